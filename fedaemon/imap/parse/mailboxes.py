"""The commands that name mailboxes: SELECT, CREATE, RENAME and so on, and COPY and MOVE.

Standards: RFC 9051 6.3, 6.4.7, 6.4.8, RFC 7162 3.1.8, 3.2.5 (CONDSTORE, QRESYNC), RFC 6154 3 (USE), RFC 4315 2.1
(UID EXPUNGE).
Limits: those of the cursor.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from fedaemon.imap.names import MailboxName
from fedaemon.imap.parse import values
from fedaemon.imap.parse.cursor import Cursor
from fedaemon.imap.parse.errors import Unsupported
from fedaemon.imap.sequence_set import SequenceSet

SPECIAL_USES: Final = {
    name.upper(): name
    for name in (b"\\All", b"\\Archive", b"\\Drafts", b"\\Flagged", b"\\Junk", b"\\Sent", b"\\Trash")
}
"""RFC 6154 2; \\Important of RFC 8457 is not offered."""


@dataclass(frozen=True, slots=True)
class Mailbox:
    """DELETE, SUBSCRIBE, UNSUBSCRIBE or GETQUOTAROOT."""

    name: MailboxName


@dataclass(frozen=True, slots=True)
class QResync:
    """What the client knows: numbers and UIDs of *match* are of equal count where they are given."""

    uid_validity: int
    modseq: int
    known_uids: SequenceSet | None = None
    match: tuple[SequenceSet, SequenceSet] | None = None


@dataclass(frozen=True, slots=True)
class Select:
    """SELECT or EXAMINE."""

    name: MailboxName
    condstore: bool = False
    qresync: QResync | None = None


@dataclass(frozen=True, slots=True)
class Create:
    """CREATE; *uses* are special uses in their usual case."""

    name: MailboxName
    uses: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Rename:
    """RENAME."""

    old: MailboxName
    new: MailboxName


@dataclass(frozen=True, slots=True)
class Copy:
    """COPY or MOVE, with UID or without."""

    messages: SequenceSet
    target: MailboxName


@dataclass(frozen=True, slots=True)
class Expunge:
    """EXPUNGE, or UID EXPUNGE with *uids*."""

    uids: SequenceSet | None = None


def mailbox(cursor: Cursor) -> Mailbox:
    """Read the one name of DELETE, SUBSCRIBE, UNSUBSCRIBE or GETQUOTAROOT.

    Spec: RFC 9051 6.3.5, 6.3.7, 6.3.8, RFC 9208 4.1.2
    """
    cursor.space()
    name = cursor.mailbox()
    cursor.end()
    return Mailbox(name)


def select(cursor: Cursor) -> Select:
    """Read the arguments of SELECT or EXAMINE.

    Spec: RFC 9051 6.3.2, RFC 7162 3.1.8, 3.2.5
    """
    cursor.space()
    name = cursor.mailbox()
    found: tuple[QResync | None, ...] = ()
    if cursor.skip(b" "):
        found = cursor.items(lambda: _select_parameter(cursor))
    cursor.end()
    resyncs = [parameter for parameter in found if parameter is not None]
    if len(resyncs) > 1:
        cursor.fail("one QRESYNC")
    return Select(name, bool(found), resyncs[0] if resyncs else None)


def _select_parameter(cursor: Cursor) -> QResync | None:
    """Take CONDSTORE (None), or QRESYNC, which implies it."""
    if cursor.skip_word(b"CONDSTORE"):
        return None
    if not cursor.skip_word(b"QRESYNC"):
        cursor.fail("CONDSTORE or QRESYNC")
    cursor.expect(b" (")
    uid_validity = cursor.number(1)
    cursor.space()
    modseq = cursor.number64(1)
    known: SequenceSet | None = None
    match: tuple[SequenceSet, SequenceSet] | None = None
    more = cursor.skip(b" ")
    if more and not cursor.at(b"("):
        known = values.plain_set(cursor)
        more = cursor.skip(b" ")
    if more:
        cursor.expect(b"(")
        numbers = values.plain_set(cursor)
        cursor.space()
        match = (numbers, values.plain_set(cursor))
        cursor.expect(b")")
    cursor.expect(b")")
    return QResync(uid_validity, modseq, known, match)


def create(cursor: Cursor) -> Create:
    """Read the arguments of CREATE.

    Spec: RFC 9051 6.3.4, RFC 6154 3
    """
    cursor.space()
    name = cursor.mailbox()
    uses: tuple[bytes, ...] = ()
    if cursor.skip(b" ("):
        if not cursor.skip_word(b"USE"):
            cursor.fail("USE")
        cursor.space()
        uses = tuple(dict.fromkeys(cursor.items(lambda: _use(cursor), empty=True)))
        cursor.expect(b")")
    cursor.end()
    return Create(name, uses)


def _use(cursor: Cursor) -> bytes:
    cursor.expect(b"\\")
    use = SPECIAL_USES.get(b"\\" + cursor.atom("a special use").upper())
    if use is None:
        raise Unsupported("No such special use", b"USEATTR")
    return use


def rename(cursor: Cursor) -> Rename:
    """Read the arguments of RENAME.

    Spec: RFC 9051 6.3.6
    """
    cursor.space()
    old = cursor.mailbox()
    cursor.space()
    new = cursor.mailbox()
    cursor.end()
    return Rename(old, new)


def copy(cursor: Cursor) -> Copy:
    """Read the arguments of COPY or MOVE.

    Spec: RFC 9051 6.4.7, 6.4.8
    """
    cursor.space()
    messages = values.sequence_set(cursor)
    cursor.space()
    target = cursor.mailbox()
    cursor.end()
    return Copy(messages, target)


def expunge(cursor: Cursor) -> Expunge:
    """Read the arguments of EXPUNGE: none, or UIDs after UID.

    Spec: RFC 9051 6.4.3, 6.4.9
    """
    uids: SequenceSet | None = None
    if cursor.uid:
        cursor.space()
        uids = values.sequence_set(cursor)
    cursor.end()
    return Expunge(uids)
