"""The INBOX in slices: every message once, whatever is sealed, expunged or compacted in between."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedaemon.mailbox import keeping, reading
from fedaemon.mailbox.adding import NewMail, append
from fedaemon.mailbox.changing import expunge, runs
from fedaemon.mailbox.mailboxes import INBOX, need, provide
from fedaemon.pop3 import inbox
from fedaemon.store.spaces import MAIL_CHUNK
from tests.fakes import MemoryEngine

ALICE = "alice@example.test"
NOW_MS = 1_750_000_000_000


class Mail:
    """An INBOX with some messages, the message of UID n having 10 n octets."""

    def __init__(self, messages: int) -> None:
        self.engine = MemoryEngine()
        self.engine.transact(lambda t: provide(t, ALICE, NOW_MS))
        self.id = self.engine.view(lambda s: need(s, ALICE, INBOX)).id
        mails = [NewMail("b", 10 * uid, 1) for uid in range(1, messages + 1)]
        self.engine.transact(lambda t: append(t, self.id, mails, 1))

    def seal(self, rows: int) -> bool:
        """Make one chunk of so many rows, when there are as many."""

        def write(transaction: Any) -> bool:
            uids = keeping.to_seal(transaction, self.id, rows)
            return keeping.seal(transaction, self.id, uids, keeping.gather_texts(transaction, self.id, uids))

        return self.engine.transact(write)

    def expunge(self, *uids: int) -> None:
        """Expunge messages."""
        ranges = runs(sorted(uids))
        self.engine.transact(lambda t: expunge(t, self.id, ranges, NOW_MS, only_deleted=False))

    def uids(self) -> list[int]:
        """Return what is there."""
        return [row.uid for row in self.engine.view(lambda s: list(reading.rows(s, self.id)))]

    def listed(self, between: Callable[[], object] = lambda: None) -> list[tuple[int, int]]:
        """List all slices; call *between* after each."""
        mails: list[tuple[int, int]] = []
        after_uid: int | None = 0
        while after_uid is not None:
            part = self.engine.view(partial(inbox.list_mails, mailbox_id=self.id, after_uid=after_uid))
            mails += zip(part.uids, part.sizes, strict=True)
            after_uid = part.after_uid
            between()
        return mails


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Slices of two chunks, or five rows."""
    monkeypatch.setattr(inbox, "CHUNKS", 2)
    monkeypatch.setattr(inbox, "TAIL_ROWS", 5)


def test_the_inbox_of_an_account(small: None) -> None:
    """Its id and UIDVALIDITY; none when nothing has come yet."""
    mail = Mail(1)
    found = mail.engine.view(lambda s: inbox.inbox_of(s, ALICE))
    assert found == (mail.id, NOW_MS // 1000)
    assert mail.engine.view(lambda s: inbox.inbox_of(s, "bob@example.test")) is None


@settings(max_examples=150, deadline=None)
@given(
    st.integers(0, 40),
    st.lists(st.integers(1, 7), max_size=6),
    st.sets(st.integers(1, 40)),
    st.booleans(),
)
def test_every_live_message_is_listed_once(
    messages: int, chunks: list[int], expunged: set[int], seals: bool
) -> None:
    """With its size, from chunks and tail, also when rows are sealed between two slices."""
    mail = Mail(messages)
    for rows in chunks:
        mail.seal(rows)
    mail.expunge(*expunged)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inbox, "CHUNKS", 2)
        patch.setattr(inbox, "TAIL_ROWS", 5)
        listed = mail.listed((lambda: mail.seal(3)) if seals else lambda: None)
    assert listed == [(uid, 10 * uid) for uid in range(1, messages + 1) if uid not in expunged]


def test_a_slice_is_not_longer_than_it_may_be(small: None) -> None:
    """Two chunks at first, gone ones counted, then five rows."""
    mail = Mail(20)
    for _ in range(3):
        mail.seal(4)
    mail.expunge(1, 2, 3, 4)
    first = mail.engine.view(partial(inbox.list_mails, mailbox_id=mail.id, after_uid=0))
    assert (list(first.uids), first.after_uid) == ([5, 6, 7, 8], 8)
    second = mail.engine.view(partial(inbox.list_mails, mailbox_id=mail.id, after_uid=8))
    assert (list(second.uids), second.after_uid) == ([9, 10, 11, 12], 12)
    third = mail.engine.view(partial(inbox.list_mails, mailbox_id=mail.id, after_uid=12))
    assert (list(third.uids), third.after_uid) == ([13, 14, 15, 16, 17], 17)
    last = mail.engine.view(partial(inbox.list_mails, mailbox_id=mail.id, after_uid=17))
    assert (list(last.uids), last.after_uid) == ([18, 19, 20], None)


def removed(mail: Mail, uids: tuple[int, ...]) -> list[tuple[int, int]]:
    """Remove messages slice by slice; return what each slice said."""
    said = []
    while uids:
        remove = partial(inbox.remove, mailbox_id=mail.id, uids=uids, now_ms=NOW_MS, keep_s=60)
        part = mail.engine.transact(remove)
        said.append(part)
        uids = uids[part[0] :]
    return said


def test_a_removal_keeps_to_its_slices(small: None) -> None:
    """Two chunks, or five rows of the tail; what is gone already is seen to, and not counted."""
    mail = Mail(30)
    for _ in range(5):
        mail.seal(4)
    mail.expunge(2, 29)
    uids = (1, 2, 3, 6, 10, 17, 20, 21, 22, 23, 24, 26, 29)
    assert removed(mail, uids) == [(4, 3), (1, 1), (2, 2), (5, 5), (1, 0)]
    assert mail.uids() == [uid for uid in range(1, 31) if uid not in uids]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(1, 7), max_size=6), st.sets(st.integers(1, 40), min_size=1))
def test_a_removal_sees_to_every_uid(chunks: list[int], uids: set[int]) -> None:
    """However the messages are spread over chunks and the tail, and no chunk is touched twice."""
    mail = Mail(30)
    for rows in chunks:
        mail.seal(rows)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inbox, "CHUNKS", 2)
        patch.setattr(inbox, "TAIL_ROWS", 5)
        said = removed(mail, tuple(sorted(uids)))
    assert sum(count for _, count in said) == len(uids & set(range(1, 31)))
    assert mail.uids() == sorted(set(range(1, 31)) - uids)
    there = sum(key[0] == MAIL_CHUNK and key[2] == 0 for key in mail.engine.entries)
    assert len(said) <= -(-there // 2) + -(-40 // 5)
