"""FETCH and UID FETCH.

Standards: RFC 9051 6.4.5, 6.4.9, RFC 7162 3.1 (what enables CONDSTORE), 3.1.4.1 (CHANGEDSINCE), 3.2.6 (VANISHED),
RFC 9394 3.3 (PARTIAL), RFC 9586 3.3.
Invariants: messages are answered in the order of their numbers, each at most once.
Limits: \\Seen is set on SEEN_SLICE messages in a commit.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Final

from fedaemon.errors import BadSyntax
from fedaemon.imap import writer
from fedaemon.imap.addressing import Addressed, addressed
from fedaemon.imap.condstore import enable_condstore
from fedaemon.imap.events import Command
from fedaemon.imap.fetch.answering import Answering
from fedaemon.imap.fetch.plan import make_plan
from fedaemon.imap.fetch.seen import set_seen
from fedaemon.imap.fetch.spans import changed_since, partial_of, spans
from fedaemon.imap.operations import Read
from fedaemon.imap.parse.fetch import Fetch, Item
from fedaemon.imap.sequence_set import Ranges
from fedaemon.imap.session import Done, Session
from fedaemon.mailbox import columns as c
from fedaemon.mailbox import state as states
from fedaemon.mailbox.changing import runs
from fedaemon.mailbox.history import vanished_since, without
from fedaemon.store.interface import Snapshot

SEEN_SLICE: Final = 2_000
NOBODY: Final[frozenset[int]] = frozenset()


async def run(session: Session, arguments: Fetch, command: Command) -> Done:
    """Answer what is asked of messages. Spec: RFC 9051 6.4.5"""
    if arguments.vanished and not session.qresync:
        raise BadSyntax("VANISHED needs QRESYNC: ENABLE it first")
    messages = addressed(session, arguments.messages, uid=command.uid)
    if arguments.changed_since is not None or Item.MODSEQ in arguments.items:
        enable_condstore(session)
    if arguments.vanished:
        await _say_vanished(session, arguments, messages)
    view = session.need_selected.view
    if arguments.changed_since is not None:
        messages = await changed_since(view, messages, arguments.changed_since)
    if arguments.partial is not None:
        messages = partial_of(messages, *arguments.partial)
    plan = make_plan(session, arguments, uid=command.uid)
    answering = Answering(session, plan)
    slices: Iterable[Addressed] = messages.slices(SEEN_SLICE) if plan.sets_seen else (messages,)
    for each in slices:
        told = await set_seen(session, each) if plan.sets_seen else NOBODY
        for span in spans(view, each.parts):
            await answering.answer(span, told)
    return answering.done()


async def _say_vanished(session: Session, arguments: Fetch, messages: Addressed) -> None:
    """Tell which of the UIDs that are asked about were expunged since. Spec: RFC 7162 3.2.6"""
    selected = session.need_selected
    assert arguments.changed_since is not None
    gone = await Read(partial(_vanished, selected.id, arguments, selected.saved))
    # Those that it still counts are told by VANISHED without EARLIER, which takes them off the count.
    gone = without(gone, runs(messages.uids))
    if gone:
        session.say(writer.untagged(b"VANISHED (EARLIER)", Ranges(gone).encode()))


def _vanished(mailbox_id: str, arguments: Fetch, saved: Ranges, snapshot: Snapshot) -> c.UidRanges:
    """Return what vanished; ``*`` is the highest UID that was given, so that 1:* asks about all."""
    last = max(1, states.load(snapshot, mailbox_id).uidnext - 1)
    known = saved if arguments.messages.saved else arguments.messages.resolve(last)
    since = arguments.changed_since or 0
    return vanished_since(snapshot, mailbox_id, since, tuple(known.pairs()))
