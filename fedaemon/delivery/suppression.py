"""The suppression list: addresses to which an account's mail is refused for a while, because it bounced there.

Whoever goes on writing to addresses that do not exist is soon taken for a spammer, and all other users of the
server with him. So an address that a remote server said does not exist is refused at RCPT, to the account
whose mail bounced, until the entry runs out or is taken back; the refusal says when it bounced and what the
remote server said. A refusal for any other reason (policy, spam, a full mailbox) suppresses nothing: it says
something about the message or the day, not about the address. Administrators put entries in by hand, too.

Each entry has a second key, by when it runs out, so that ``sweep`` costs what there is to remove.

Standards: RFC 5321 4.5.4.1 (a permanent failure is not to be tried again).
Invariants: the keys by time equal the entries that run out; an entry is found by every spelling of its
address; an entry without an end is never given one by a bounce.
Limits: MAX_REPLY characters of a reply are kept.
Known gaps: what an alias of ours leads to is not looked up here, only addresses given at RCPT.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Final

from fedaemon import counters
from fedaemon.message.address import parse_address
from fedaemon.store.interface import Key, Snapshot, Transaction
from fedaemon.store.records import decode, encode
from fedaemon.store.spaces import SUPPRESSED

BOUNCED: Final = "recipient"
"""The category of a bounce that says that the address does not exist."""
COMPLAINED: Final = "complaint"
"""The recipient told its provider that the account's mail is unwanted."""
MANUAL: Final = "manual"
"""An administrator's entry."""

MAX_REPLY: Final = 200
MAX_KEY_OCTETS: Final = 440
"""Of account and address together; a longer address is named by its digest (``store/keys.py`` has 510)."""

_BY_TIME: Final = ""
"""Stands for an account in the keys by time; no account has an empty name."""


@dataclass(frozen=True, slots=True)
class Suppression:
    """One entry. *until_ms* is 0 for one without an end; *count* says how often it was noted.

    *category* is ``BOUNCED``, ``COMPLAINED`` or ``MANUAL``, *reply* what the remote server said, or why.
    """

    account: str
    address: str
    since_ms: int
    until_ms: int
    category: str
    reply: str = ""
    count: int = 1

    def covers(self, now_ms: int) -> bool:
        """True until it has run out."""
        return not self.until_ms or now_ms < self.until_ms


def note_bounce(
    transaction: Transaction,
    account: str,
    address: str,
    category: str,
    reply: str,
    now_ms: int,
    keep_ms: int,
) -> bool:
    """Suppress *address* for *account* after a permanent failure or a complaint; True when that was done.

    :param address: as on the wire, in any spelling.
    :param category: of the classification; anything but ``BOUNCED`` and ``COMPLAINED`` changes nothing.
    :param reply: what the remote server said.
    :param keep_ms: how long the entry lasts; 0 changes nothing.
    """
    if not account or keep_ms <= 0 or category not in (BOUNCED, COMPLAINED):
        return False
    key = parse_address(address).key
    known = find(transaction, account, key, now_ms)
    since_ms, until_ms, count = now_ms, now_ms + keep_ms, 1
    if known is not None:
        since_ms, count = known.since_ms, known.count + 1
        until_ms = max(known.until_ms, until_ms) if known.until_ms else 0
    put(transaction, Suppression(account, key, since_ms, until_ms, category, reply[:MAX_REPLY], count))
    transaction.after_commit(_count)
    return True


def _count() -> None:
    counters.count("suppressed_total")


def find(snapshot: Snapshot, account: str, address: str, now_ms: int) -> Suppression | None:
    """Return the entry of *account* for *address* (``Address.key``) unless it has run out."""
    value = snapshot.get(_key(account, address))
    if value is None:
        return None
    found = _load(account, value)
    return found if found.covers(now_ms) else None


def put(transaction: Transaction, entry: Suppression) -> None:
    """Record *entry*, whose address is an ``Address.key``, in place of what was there."""
    remove(transaction, entry.account, entry.address)
    key = _key(entry.account, entry.address)
    record = {
        "address": entry.address,
        "since_ms": entry.since_ms,
        "until_ms": entry.until_ms,
        "category": entry.category,
        "reply": entry.reply,
        "count": entry.count,
    }
    transaction.put(key, encode(record))
    if entry.until_ms:
        transaction.put(_time_key(entry.until_ms, key), b"")


def remove(transaction: Transaction, account: str, address: str) -> bool:
    """Take back the entry of *account* for *address* (``Address.key``); True when there was one."""
    key = _key(account, address)
    value = transaction.get(key)
    if value is None:
        return False
    until_ms = _load(account, value).until_ms
    if until_ms:
        transaction.delete(_time_key(until_ms, key))
    return transaction.delete(key)


def listing(snapshot: Snapshot, account: str | None = None) -> Iterator[Suppression]:
    """Yield the entries of *account*, or all, by account and address; also those that have run out."""
    if account is not None:
        for _, value in snapshot.scan((SUPPRESSED, account)):
            yield _load(account, value)
        return
    for key, value in snapshot.scan((SUPPRESSED,)):
        name = key[1]
        assert isinstance(name, str)
        if name != _BY_TIME:
            yield _load(name, value)


def sweep(transaction: Transaction, now_ms: int, limit: int) -> int:
    """Remove at most *limit* entries that have run out; return how many."""
    over = list(transaction.scan((SUPPRESSED, _BY_TIME, 0), (SUPPRESSED, _BY_TIME, now_ms + 1), limit=limit))
    for key, _ in over:
        transaction.delete(key)
        transaction.delete((SUPPRESSED, *key[3:]))
    return len(over)


def when(time_ms: int) -> str:
    """Return a moment as people read it."""
    return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _load(account: str, value: bytes) -> Suppression:
    return Suppression(account, **decode(value))


def _key(account: str, address: str) -> Key:
    if len(account.encode()) + len(address.encode()) > MAX_KEY_OCTETS:
        address = blake2b(address.encode(), digest_size=16).hexdigest()
    return (SUPPRESSED, account, address)


def _time_key(until_ms: int, key: Key) -> Key:
    return (SUPPRESSED, _BY_TIME, until_ms, *key[1:])
