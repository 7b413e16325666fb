"""THREAD.

Standards: RFC 5256 3, 4.
Limits: the trees of A_TURN messages are made where they are, of more in a thread.
"""

from __future__ import annotations

from functools import partial
from itertools import compress
from typing import Final

from fedaemon.imap.events import Command
from fedaemon.imap.fetch.streaming import say
from fedaemon.imap.operations import InThread
from fedaemon.imap.parse.search import Thread
from fedaemon.imap.search.columns import facts, texts
from fedaemon.imap.search.finding import find, pace_of
from fedaemon.imap.search.pace import Pace
from fedaemon.imap.search.piece import Hits
from fedaemon.imap.session import Done, Session
from fedaemon.imap.threading import Threaded, thread
from fedaemon.mailbox import columns as c
from fedaemon.mailbox.rows import NO_DATE

A_TURN: Final = 2_000
"""The trees of 20,000 messages take 45 ms."""


async def run(session: Session, arguments: Thread, command: Command) -> Done:
    """Tell which messages there are, in trees. Spec: RFC 5256 3"""
    pace = pace_of(session, command)
    messages: list[Threaded] = []
    for hits in await find(session, arguments.key, command, None, pace):
        messages += await _threaded(session, hits, uid=command.uid, pace=pace)
        await pace.step()
    make = partial(thread, arguments.algorithm, messages)
    threads = make() if len(messages) <= A_TURN else await InThread(make)
    await say(session, b"* THREAD " + threads + b"\r\n" if threads else b"* THREAD\r\n")
    return Done("Threaded")


async def _threaded(session: Session, hits: Hits, *, uid: bool, pace: Pace) -> list[Threaded]:
    """Return what threads are made of."""
    piece, mask = hits.piece, hits.mask
    columns = await texts(session, piece, mask, (c.THREADING, c.BASE_SUBJECT), pace)
    lines, subjects = [compress(column.split(b"\n"), mask) for column in columns]
    internal, sent = [compress(each, mask) for each in await facts(session, piece, (c.INTERNAL, c.SENT))]
    return [
        _message(number, line, subject, arrival_s if sent_s == NO_DATE else sent_s)
        for number, line, subject, arrival_s, sent_s in zip(
            hits.numbers(uid=uid), lines, subjects, internal, sent, strict=True
        )
    ]


def _message(number: int, line: bytes, subject: bytes, sent_s: int) -> Threaded:
    """Return a message from its row of THREADING (``Texts.threading``); an empty one says nothing."""
    is_reply, message_id, *references = line.decode().split(" ") if line else ("0", "-")
    return Threaded(
        number,
        "" if message_id == "-" else message_id,
        tuple(references),
        subject.decode(),
        is_reply == "1",
        sent_s,
    )
