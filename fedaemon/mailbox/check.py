"""What ``fedaemonctl verify`` looks at in the mailboxes.

Counters and usage must be what the rows say, every message has its content, every content its message, and what
was expunged is to be purged. Repaired is what follows from something else; what is lost is told.

Limits: a mailbox at a time, see ``census``; a deleted one is only known to be there: it goes in slices.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Final

from fedaemon.mailbox import columns as c
from fedaemon.mailbox import reading
from fedaemon.mailbox import state as states
from fedaemon.mailbox.census import COUNTED, Census
from fedaemon.mailbox.keeping import gather_texts
from fedaemon.mailbox.mailboxes import Mailbox, mailboxes
from fedaemon.mailbox.rows import Mail
from fedaemon.mailbox.state import State, Usage
from fedaemon.store.errors import StoreError
from fedaemon.store.interface import Snapshot, Transaction
from fedaemon.store.spaces import (
    MAIL,
    MAIL_CHUNK,
    MAIL_GONE,
    MAIL_PURGE,
    MAIL_ROW,
    MAILBOX_LOST,
    MAILBOX_STATE,
    USAGE,
)
from fedaemon.store.verify import Finding

KEEP_S: Final = 14 * 86400
"""For how long something expunged is kept when it is not known any more how long it was to be."""


def _wall_clock() -> float:
    return time.time()


class MailboxChecker:
    """Looks at mailboxes, their counters, and what accounts and domains use."""

    def __init__(self, now_s: Callable[[], float] = _wall_clock) -> None:
        self._now_s = now_s

    def references(self, snapshot: Snapshot) -> Iterator[str]:
        """Yield the blob of every mail, once for each reference."""
        for _, value in snapshot.scan((MAIL,)):
            yield Mail.from_record(value).blob

    def problems(self, snapshot: Snapshot) -> Iterator[Finding]:
        """Yield what is wrong."""
        used: Counter[tuple[str, str, str]] = Counter()
        known = {str(key[4]) for key, _ in snapshot.scan((MAILBOX_LOST,))}
        purges = _purges(snapshot)
        for mailbox in mailboxes(snapshot):
            known.add(mailbox.id)
            state = _state(snapshot, mailbox.id)
            if state is None:
                yield _finding("mailbox.state", mailbox, "its counters cannot be read")
                continue
            census = Census(snapshot, mailbox.id)
            yield from _compare(mailbox, state, census, purges.get(mailbox.id, set()))
            _add_usage(used, mailbox.account, census.correct(state, mailbox.account))
        yield from _lost(snapshot, known)
        for mailbox_id, modseqs in purges.items():
            for modseq in sorted(modseqs):
                if snapshot.get((MAIL_GONE, mailbox_id, modseq)) is None:
                    what = f"mailbox {mailbox_id}: nothing is known of mod-sequence {modseq}"
                    yield Finding("mail.stray_purge", what)
        for kind, name, wrong, right in _wrong_usage(snapshot, used):
            yield Finding("mailbox.usage", f"{kind} {name}: {_show(wrong)} instead of {_show(right)}")

    def repair(self, transaction: Transaction) -> None:
        """Write counters, usage and texts of chunks anew, and see to it that what was expunged is purged."""
        used: Counter[tuple[str, str, str]] = Counter()
        purges = _purges(transaction)
        for mailbox in list(mailboxes(transaction)):
            state = _state(transaction, mailbox.id)
            if state is None:
                continue
            census = Census(transaction, mailbox.id)
            correct = census.correct(state, mailbox.account)
            if correct != state:
                transaction.put((MAILBOX_STATE, mailbox.id), correct.to_record())
                transaction.announce(states.Change(mailbox.id, mailbox.account))
            _add_usage(used, mailbox.account, correct)
            for first_uid in census.texts:
                _make_texts(transaction, mailbox.id, first_uid)
            for modseq in census.unpurged(purges.get(mailbox.id, set())):
                due_s = int(self._now_s()) + KEEP_S
                transaction.put((MAIL_PURGE, due_s, mailbox.id, modseq), b"")
        for key, _ in list(transaction.scan((MAIL_PURGE,))):
            if transaction.get((MAIL_GONE, *key[2:])) is None:
                transaction.delete(key)
        for kind, name, _, right in list(_wrong_usage(transaction, used)):
            states.put_usage(transaction, kind, name, right)


def _finding(kind: str, mailbox: Mailbox, what: str) -> Finding:
    return Finding(kind, f"{mailbox.account} {mailbox.name}: {what}")


def _state(snapshot: Snapshot, mailbox_id: str) -> State | None:
    try:
        return states.load(snapshot, mailbox_id)
    except StoreError:
        return None


def _compare(mailbox: Mailbox, state: State, census: Census, due: set[int]) -> Iterator[Finding]:
    """Compare what is counted with what is there."""
    for kind, what in census.faults:
        yield _finding(kind, mailbox, what)
    correct = census.correct(state, mailbox.account)
    wrong = [
        f"{name} {getattr(state, name)} instead of {getattr(correct, name)}"
        for name in COUNTED
        if getattr(state, name) != getattr(correct, name)
    ]
    if wrong:
        yield _finding("mailbox.counters", mailbox, ", ".join(wrong))
    if state.uidnext != correct.uidnext:
        what = f"UIDNEXT {state.uidnext}, but there is UID {correct.uidnext - 1}"
        yield _finding("mailbox.uidnext", mailbox, what)
    if state.owner != correct.owner:
        yield _finding("mailbox.owner", mailbox, f"it counts for {state.owner or 'nobody'}")
    for first_uid in census.texts:
        yield _finding("mailbox.texts", mailbox, f"texts of the chunk from UID {first_uid} on are missing")
    for kind, what in census.mails(due):
        yield _finding(kind, mailbox, what)


def _lost(snapshot: Snapshot, known: set[str]) -> Iterator[Finding]:
    """Yield what there is of mailboxes that are neither an account's nor deleted."""
    for space, what in (
        (MAILBOX_STATE, "counters"),
        (MAIL, "contents"),
        (MAIL_ROW, "rows"),
        (MAIL_CHUNK, "chunks"),
    ):
        for mailbox_id in _ids(snapshot, space):
            if mailbox_id not in known:
                yield Finding("mailbox.lost", f"there are {what} of mailbox {mailbox_id}, which is gone")


def _ids(snapshot: Snapshot, space: str) -> Iterator[str]:
    """Yield the mailbox ids in the keys of *space*, jumping from each to the next."""
    last = ""
    # Ids are digits and capital letters: "~" sorts behind them, and NUL makes the next text there is.
    while found := list(snapshot.scan((space, last + "\0"), (space, "~"), limit=1)):
        last = str(found[0][0][1])
        yield last


def _purges(snapshot: Snapshot) -> dict[str, set[int]]:
    """Return the mod-sequences whose contents are to be purged, by mailbox id."""
    found: dict[str, set[int]] = {}
    for key, _ in snapshot.scan((MAIL_PURGE,)):
        found.setdefault(str(key[2]), set()).add(int(key[3]))
    return found


def _add_usage(used: Counter[tuple[str, str, str]], account: str, state: State) -> None:
    for kind, name in (("account", account), ("domain", account.rpartition("@")[2])):
        used[kind, name, "octets"] += state.octets
        used[kind, name, "messages"] += state.exists


def _wrong_usage(
    snapshot: Snapshot, used: Counter[tuple[str, str, str]]
) -> Iterator[tuple[str, str, Usage, Usage]]:
    """Yield (kind, name, what is recorded, what is used) where the two differ."""
    names = {(kind, name) for kind, name, _ in used}
    names |= {(str(key[1]), str(key[2])) for key, _ in snapshot.scan((USAGE,))}
    for kind, name in sorted(names):
        recorded = states.usage(snapshot, kind, name)
        right = Usage(used[kind, name, "octets"], used[kind, name, "messages"])
        if recorded != right:
            yield kind, name, recorded, right


def _show(used: Usage) -> str:
    return f"{used.octets} octets in {used.messages} messages"


def _make_texts(transaction: Transaction, mailbox_id: str, first_uid: int) -> None:
    """Make the text records of a chunk anew from the shapes of its messages."""
    uids = c.unpack(c.UID, reading.group(transaction, mailbox_id, c.STATE_GROUP, first_uid)[c.UID])
    texts = gather_texts(transaction, mailbox_id, list(uids))
    for number, column in enumerate(zip(*texts, strict=True), c.TEXTS):
        data = b"\n".join([text.replace(b"\n", b" ") for text in column])
        record = c.encode({number: data}, len(uids))
        transaction.put((MAIL_CHUNK, mailbox_id, number, first_uid), record)
