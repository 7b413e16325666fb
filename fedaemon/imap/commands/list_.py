"""LIST.

Standards: RFC 9051 6.3.9, RFC 5258 3 (LIST-EXTENDED), RFC 5819 2 (LIST-STATUS), RFC 6154 2 (SPECIAL-USE).
Invariants: the STATUS of a mailbox comes behind its LIST; none where it was deleted meanwhile.
Limits: SLICE answers in one turn.
Known gaps: RETURN with METADATA or MYRIGHTS.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Final

from fedaemon.errors import Refused
from fedaemon.imap import listing
from fedaemon.imap.access import mailbox_named, names_of
from fedaemon.imap.commands.status import enable_by, status_line
from fedaemon.imap.events import Command
from fedaemon.imap.listing import Answer, Names
from fedaemon.imap.operations import Read, Room, Turn
from fedaemon.imap.parse.listing import List, StatusItem
from fedaemon.imap.session import BLOCK, Done, Session
from fedaemon.store.interface import Snapshot

SLICE: Final = 100
"""With STATUS they take some 3 ms."""


async def run(session: Session, arguments: List, command: Command) -> Done:
    """Tell of mailboxes. Spec: RFC 9051 6.3.9, RFC 5258 3"""
    enable_by(session, arguments.status)
    names = Names() if listing.asks_for_root(arguments) else await names_of(session)
    answers = await listing.list_answer(names, arguments)
    await say(session, answers, b"LIST", arguments.status)
    return Done("That is all")


async def say(
    session: Session, answers: Iterator[Answer], command: bytes, status: tuple[StatusItem, ...] = ()
) -> None:
    """Tell *answers*, each with the items of STATUS that are asked for. Spec: RFC 5819 2"""
    while piece := list(islice(answers, SLICE)):
        told = await Read(_Statuses(session, piece, status)) if status else {}
        for answer in piece:
            session.say(listing.line(answer, utf8=session.utf8, command=command))
            if answer.name in told:
                session.say(told[answer.name])
        await (Room() if session.queued >= BLOCK else Turn())


class _Statuses:
    """Reads the STATUS of those answers that are mailboxes."""

    def __init__(self, session: Session, answers: list[Answer], items: tuple[StatusItem, ...]) -> None:
        self._session = session
        self._answers = answers
        self._items = items

    def __call__(self, snapshot: Snapshot) -> dict[str, bytes]:
        found: dict[str, bytes] = {}
        for name in [answer.name for answer in self._answers if answer.exists]:
            try:
                mailbox = mailbox_named(self._session, name)(snapshot)
                found[name] = status_line(self._session, snapshot, mailbox, self._items, name)
            except Refused:
                continue  # deleted meanwhile
        return found
