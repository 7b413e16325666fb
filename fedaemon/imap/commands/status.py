"""STATUS, and what LIST returns of it.

Standards: RFC 9051 6.3.11, 7.3.2 (STATUS), RFC 3501 6.3.10 (RECENT), RFC 5819 2 (LIST-STATUS), RFC 7162 3.1.7
(HIGHESTMODSEQ), RFC 7889 4 (APPENDLIMIT), RFC 8438 3 (SIZE), RFC 8474 4.3 (MAILBOXID), RFC 9208 4.1.4
(DELETED, DELETED-STORAGE).
Invariants: all but RECENT is in the mailbox's counters: no message is looked at. Sizes are octets; only quotas
have units of 1,024.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from fedaemon.imap import writer
from fedaemon.imap.access import mailbox_named
from fedaemon.imap.condstore import enable_condstore
from fedaemon.imap.events import Command
from fedaemon.imap.operations import Read
from fedaemon.imap.parse.listing import Status, StatusItem
from fedaemon.imap.session import Done, Session
from fedaemon.mailbox import columns as c
from fedaemon.mailbox import reading
from fedaemon.mailbox import state as states
from fedaemon.mailbox.mailboxes import Mailbox
from fedaemon.mailbox.state import State
from fedaemon.store.interface import Snapshot

_COUNTERS: Final[dict[StatusItem, Callable[[State], int]]] = {
    StatusItem.DELETED: lambda state: state.deleted,
    StatusItem.DELETED_STORAGE: lambda state: state.deleted_octets,
    StatusItem.HIGHESTMODSEQ: lambda state: state.modseq,
    StatusItem.MESSAGES: lambda state: state.exists,
    StatusItem.SIZE: lambda state: state.octets,
    StatusItem.UIDNEXT: lambda state: state.uidnext,
    StatusItem.UIDVALIDITY: lambda state: state.uidvalidity,
    StatusItem.UNSEEN: lambda state: state.unseen,
}


async def run(session: Session, arguments: Status, command: Command) -> Done:
    """Tell what a mailbox has in it, without opening it. Spec: RFC 9051 6.3.11"""
    enable_by(session, arguments.items)
    find = mailbox_named(session, arguments.name)
    session.say(await Read(lambda snapshot: status_line(session, snapshot, find(snapshot), arguments.items)))
    return Done("That is all")


def enable_by(session: Session, items: Iterable[StatusItem]) -> None:
    """Enable CONDSTORE for whoever asks for HIGHESTMODSEQ. Spec: RFC 7162 3.1"""
    if StatusItem.HIGHESTMODSEQ in items:
        enable_condstore(session)


def status_line(
    session: Session, snapshot: Snapshot, mailbox: Mailbox, items: Iterable[StatusItem], name: str = ""
) -> bytes:
    """Return the answer with *items* in their order.

    :param name: under which the session knows the mailbox, if that is not its own.
    :raises MailboxGone: it was deleted.

    Spec: RFC 9051 7.3.4
    """
    state = states.need(snapshot, mailbox.id)
    values = [b"%b %b" % (item.value, _value(session, snapshot, mailbox, state, item)) for item in items]
    shown = writer.mailbox(name or mailbox.name, utf8=session.utf8)
    return writer.untagged(b"STATUS", shown, b"(" + b" ".join(values) + b")")


def counter(state: State, item: StatusItem) -> bytes:
    """Return the value of an item that is a counter of the mailbox."""
    return b"%d" % _COUNTERS[item](state)


def _value(session: Session, snapshot: Snapshot, mailbox: Mailbox, state: State, item: StatusItem) -> bytes:
    match item:
        case StatusItem.APPENDLIMIT:
            return b"%d" % session.settings.max_message_octets
        case StatusItem.MAILBOXID:
            return b"(" + mailbox.id.encode("ascii") + b")"
        case StatusItem.RECENT:
            return b"%d" % _recent(session, snapshot, mailbox, state)
        case _:
            return counter(state, item)


def _recent(session: Session, snapshot: Snapshot, mailbox: Mailbox, state: State) -> int:
    """Return how many messages the next session that selects the mailbox is the first to be told of.

    They are the last ones, so counting them is cheap where clients come by at all.

    Spec: RFC 3501 6.3.10
    """
    first = max(state.recent_from, session.settings.live.recent_from(mailbox.id))
    if session.rev2 or first >= state.uidnext:
        return 0
    ranges = ((first, state.uidnext - 1),)
    count = sum(row.live for row in reading.tail(snapshot, mailbox.id, ranges))
    for _, columns in reading.chunks(snapshot, mailbox.id, ranges):
        within = c.within(c.unpack(c.UID, columns[c.UID]), ranges)
        count += c.both(columns[c.FLAGS].translate(c.LIVE), within).count(1)
    return count
