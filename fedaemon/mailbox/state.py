"""The counters of a mailbox, and of what an account and a domain use: kept exactly, so that nobody counts.

Invariants: every transaction that changes rows leaves the counters equal to what the rows say
(``MailboxChecker`` compares them); usage counts live messages only.
Limits: 2**32 - 1 messages, UIDs and rows; owners of 65,535 octets.
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

from fedaemon.errors import Refused
from fedaemon.store.errors import NewerFormat, StoreError
from fedaemon.store.interface import Snapshot, Transaction
from fedaemon.store.spaces import MAILBOX_STATE, USAGE

VERSION: Final = 1
_STATE = struct.Struct("<BIIQQQIIIIQQIQIH")
_USAGE = struct.Struct("<BQQ")


class State(NamedTuple):
    """The counters of a mailbox.

    :ivar modseq: HIGHESTMODSEQ.
    :ivar history_from: MAIL_GONE is complete for mod-sequences above it.
    :ivar generation: grows when chunks change without a mod-sequence (sealing, compaction).
    :ivar exists: live messages, *octets* of theirs; *unseen* and *deleted* (with their octets) among them.
    :ivar recent_from: UIDs from there on are \\Recent for the next read-write SELECT (IMAP4rev1).
    :ivar gone: rows of expunged messages that are still there; *gone_octets* of theirs.
    :ivar tail: rows that are in no chunk, gone ones included.
    :ivar owner: the account's address; empty once the mailbox is deleted: its messages count for nobody then.
    """

    uidvalidity: int
    uidnext: int = 1
    modseq: int = 1
    history_from: int = 1
    generation: int = 0
    exists: int = 0
    unseen: int = 0
    deleted: int = 0
    recent_from: int = 1
    octets: int = 0
    deleted_octets: int = 0
    gone: int = 0
    gone_octets: int = 0
    tail: int = 0
    owner: str = ""

    def to_record(self) -> bytes:
        """Return the state as octets."""
        owner = self.owner.encode()
        return _STATE.pack(VERSION, *self[:-1], len(owner)) + owner

    @classmethod
    def from_record(cls, value: bytes) -> State:
        """Return the state of a record.

        :raises NewerFormat: for one of another version.
        :raises StoreError: for a damaged one.
        """
        if value[:1] != b"\x01":
            raise NewerFormat("a mailbox state of an unknown version; run the newer fedaemon that wrote it")
        try:
            _, *counters, length = _STATE.unpack_from(value)
            owner = value[_STATE.size : _STATE.size + length].decode()
            return cls._make([*counters, owner])
        except (struct.error, UnicodeDecodeError) as error:
            raise StoreError("a damaged mailbox state; run fedaemonctl verify") from error


class Usage(NamedTuple):
    """What an account or a domain uses."""

    octets: int = 0
    messages: int = 0


class MailboxGone(Refused):
    """The mailbox was deleted while it was open."""

    imap_code = b"NONEXISTENT"

    def __init__(self) -> None:
        super().__init__("the mailbox was deleted")


class Change(NamedTuple):
    """Announced at each commit that changes what is in a mailbox, or the form in which it is kept.

    :ivar chunks: the first UIDs of the chunks that are different; None when the form is, or nobody knows.
    :ivar tail: whether rows outside chunks are, beside new ones behind them.
    """

    mailbox_id: str
    owner: str
    chunks: tuple[int, ...] | None = None
    tail: bool = True


def load(snapshot: Snapshot, mailbox_id: str) -> State:
    """Return the counters of a mailbox; raises StoreError when there is no such mailbox (any more)."""
    value = snapshot.get((MAILBOX_STATE, mailbox_id))
    if value is None:
        raise StoreError("the mailbox is gone")
    return State.from_record(value)


def need(snapshot: Snapshot, mailbox_id: str) -> State:
    """Return the counters of a mailbox that is to be changed; raises MailboxGone."""
    value = snapshot.get((MAILBOX_STATE, mailbox_id))
    state = State.from_record(value) if value is not None else None
    if state is None or not state.owner:
        raise MailboxGone
    return state


def save(
    transaction: Transaction,
    mailbox_id: str,
    before: State,
    after: State,
    *,
    chunks: tuple[int, ...] | None = None,
    tail: bool = True,
) -> None:
    """Write the counters and what they change of the usage of account and domain, and announce ``Change``.

    :param chunks: as ``Change`` has them, and *tail*.
    """
    transaction.announce(Change(mailbox_id, after.owner, chunks, tail))
    transaction.put((MAILBOX_STATE, mailbox_id), after.to_record())
    add_usage(transaction, after.owner, after.octets - before.octets, after.exists - before.exists)


def usage(snapshot: Snapshot, kind: str, name: str) -> Usage:
    """Return what the account (*kind* "account") or domain ("domain") of that *name* uses."""
    value = snapshot.get((USAGE, kind, name))
    if value is None:
        return Usage()
    version, octets, messages = _USAGE.unpack(value)
    if version != VERSION:
        raise NewerFormat("a usage record of an unknown version; run the newer fedaemon that wrote it")
    return Usage(octets, messages)


def add_usage(transaction: Transaction, owner: str, octets: int, messages: int) -> None:
    """Add to the usage of an account and of its domain; the numbers may be negative."""
    if not owner or not (octets or messages):
        return
    for kind, name in (("account", owner), ("domain", owner.rpartition("@")[2])):
        before = usage(transaction, kind, name)
        put_usage(transaction, kind, name, Usage(before.octets + octets, before.messages + messages))


def put_usage(transaction: Transaction, kind: str, name: str, used: Usage) -> None:
    """Write what an account or domain uses."""
    transaction.put((USAGE, kind, name), _USAGE.pack(VERSION, *used))
