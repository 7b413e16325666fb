"""The mailbox layout against a model: rows, counters, usage, and what sessions are told."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedaemon.errors import Refused
from fedaemon.mailbox import changing, compaction, keeping, reading, undelete, words
from fedaemon.mailbox import columns as c
from fedaemon.mailbox import state as states
from fedaemon.mailbox.adding import NewMail, append, copy
from fedaemon.mailbox.changing import Mode
from fedaemon.mailbox.live import LiveMailboxes
from fedaemon.mailbox.mailboxes import create
from fedaemon.mailbox.opened import OpenMailbox
from fedaemon.mailbox.rows import Mail, Row
from fedaemon.mailbox.view import Difference, View
from fedaemon.message.mime.shape import read_shape
from fedaemon.store.blobs import Blobs
from fedaemon.store.content import MemoryContent
from fedaemon.store.layout import Layout
from fedaemon.store.spaces import BLOB, MAIL, MAIL_CHUNK
from fedaemon.store.statistics import Statistics
from tests.fakes import MemoryEngine

ALICE = "alice@example.test"
NOW_MS = 1_750_000_000_000
ROWS = 4
"""Of a chunk here, so that small mailboxes have many."""
FLAGS = ("\\Seen", "\\Deleted", "\\Flagged", "$Junk", *[f"word{number}" for number in range(12)])

uid_ranges = st.lists(st.tuples(st.integers(1, 16), st.integers(0, 6)), min_size=1, max_size=3).map(
    lambda pairs: _apart(sorted((first, first + more) for first, more in pairs))
)
flag_sets = st.sets(st.sampled_from(FLAGS), max_size=4).map(lambda names: tuple(sorted(names)))
steps = st.one_of(
    st.tuples(st.just("append"), st.integers(1, 6), flag_sets),
    st.tuples(st.just("flags"), uid_ranges, st.sampled_from(Mode), flag_sets, st.booleans()),
    st.tuples(st.just("expunge"), uid_ranges, st.booleans()),
    st.tuples(st.just("seal")),
    st.tuples(st.just("purge")),
    st.tuples(st.just("compact")),
    st.tuples(st.just("sync"), st.integers(0, 1), st.booleans()),
)


def _apart(pairs: list[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """Return sorted ranges as ranges without overlap."""
    return changing.runs(sorted({uid for first, last in pairs for uid in range(first, last + 1)}))


@dataclass
class Message:
    """A message as the model has it."""

    uid: int
    size: int
    flags: set[str]
    modseq: int


@dataclass
class Model:
    """A mailbox by the book, beside the real one."""

    engine: MemoryEngine = field(default_factory=MemoryEngine)
    blobs: Blobs = field(default_factory=lambda: Blobs(Layout(Path("unused")), Statistics(), None))
    messages: dict[int, Message] = field(default_factory=dict)
    uidnext: int = 1
    modseq: int = 1
    mailbox: str = ""

    def __post_init__(self) -> None:
        self.mailbox = self.engine.transact(lambda t: create(t, ALICE, "Work", NOW_MS)).id

    def append(self, count: int, flags: tuple[str, ...]) -> None:
        def write(transaction: Any) -> tuple[int, int]:
            mails = []
            for number in range(count):
                octets = b"x" * (self.uidnext + number)
                blob = self.blobs.add(transaction, self.blobs.stage(MemoryContent(octets)))
                mails.append(NewMail(blob, len(octets), NOW_MS // 1000, flags=flags))
            return append(transaction, self.mailbox, mails, NOW_MS // 1000)

        first, modseq = self.engine.transact(write)
        self.modseq += 1
        assert (first, modseq) == (self.uidnext, self.modseq)
        for uid in range(first, first + count):
            self.messages[uid] = Message(uid, uid, set(flags), self.modseq)
        self.uidnext += count

    def flags(self, ranges: c.UidRanges, mode: Mode, flags: tuple[str, ...], since: bool) -> None:
        limit = self.modseq - 1 if since else None

        def write(transaction: Any) -> changing.Changed:
            bits = words.make_flag_bits(transaction, self.mailbox, flags)
            return changing.change_flags(transaction, self.mailbox, ranges, mode, bits, limit)

        found = self.engine.transact(write)
        modified = []
        changed = False
        for message in self.within(ranges):
            if limit is not None and message.modseq > limit:
                modified.append(message.uid)
                continue
            new = {
                Mode.ADD: message.flags | set(flags),
                Mode.REMOVE: message.flags - set(flags),
                Mode.REPLACE: set(flags),
            }[mode]
            if new != message.flags:
                message.flags, message.modseq, changed = new, self.modseq + 1, True
        self.modseq += changed
        assert found.modified == modified
        assert found.modseq == (self.modseq if changed else None)

    def expunge(self, ranges: c.UidRanges, only_deleted: bool) -> None:
        gone = self.engine.transact(
            lambda t: changing.expunge(t, self.mailbox, ranges, NOW_MS, only_deleted=only_deleted)
        )
        uids = [each.uid for each in self.within(ranges) if not only_deleted or "\\Deleted" in each.flags]
        for uid in uids:
            del self.messages[uid]
        self.modseq += bool(uids)
        assert (gone.ranges if gone else ()) == changing.runs(uids)

    def seal(self) -> None:
        uids = self.engine.view(lambda s: keeping.to_seal(s, self.mailbox, ROWS))
        texts = self.engine.view(lambda s: keeping.gather_texts(s, self.mailbox, uids))
        assert self.engine.transact(lambda t: keeping.seal(t, self.mailbox, uids, texts)) == bool(uids)

    def purge(self) -> None:
        for due in self.engine.view(lambda s: keeping.due_purges(s, NOW_MS, None, 1)):
            while self.engine.transact(
                partial(keeping.purge, blobs=self.blobs, due_s=due[0], mailbox_id=due[1], modseq=due[2])
            ):
                pass

    def compact(self) -> None:
        keys = self.engine.view(lambda s: [int(key[3]) for key, _ in s.scan((MAIL_CHUNK, self.mailbox, 0))])
        for first_uid in keys:
            self.engine.transact(partial(compaction.compact, mailbox_id=self.mailbox, first_uid=first_uid))
        self.engine.transact(lambda t: compaction.compact_tail(t, self.mailbox, 100))
        steps, _ = self.engine.view(lambda s: compaction.look(s, self.mailbox, 0, ROWS))
        for found in steps:
            assert self.engine.transact(partial(compaction.take, mailbox_id=self.mailbox, found=found))

    def within(self, ranges: c.UidRanges) -> list[Message]:
        return [
            message
            for uid, message in self.messages.items()
            if any(first <= uid <= last for first, last in ranges)
        ]

    def rows(self) -> list[Row]:
        return self.engine.view(lambda s: list(reading.rows(s, self.mailbox)))

    def names(self) -> list[str]:
        return self.engine.view(lambda s: words.keywords(s, self.mailbox))

    def open(self, before: OpenMailbox | None = None) -> OpenMailbox:
        return self.engine.view(lambda s: OpenMailbox.load(s, self.mailbox, before))

    def check(self) -> None:
        """Rows, counters, usage and contents say what the model says."""
        names = self.names()
        rows = [
            (row.uid, row.size, set(words.flag_names(row.flags, names)), row.modseq) for row in self.rows()
        ]
        mine = list(self.messages.values())
        assert rows == [(each.uid, each.size, each.flags, each.modseq) for each in mine]
        state = self.engine.view(lambda s: states.load(s, self.mailbox))
        deleted = [each.size for each in mine if "\\Deleted" in each.flags]
        assert (state.exists, state.octets) == (len(mine), sum(each.size for each in mine))
        assert state.unseen == sum("\\Seen" not in each.flags for each in mine)
        assert (state.deleted, state.deleted_octets) == (len(deleted), sum(deleted))
        assert (state.uidnext, state.modseq) == (self.uidnext, self.modseq)
        expected = states.Usage(state.octets, state.exists)
        for kind, name in (("account", ALICE), ("domain", "example.test")):
            assert self.engine.view(partial(states.usage, kind=kind, name=name)) == expected
        for message in mine:
            mail = self.engine.view(partial(reading.mail, mailbox_id=self.mailbox, uid=message.uid))
            assert mail is not None
            content = self.engine.view(partial(reading.content, blobs=self.blobs, found=mail))
            assert b"".join(content.chunks()) == b"x" * message.size
        mails = [Mail.from_record(value).blob for key, value in self.engine.entries.items() if key[0] == MAIL]
        assert sorted(mails) == sorted(str(key[1]) for key in self.engine.entries if key[0] == BLOB)


class Told:
    """A client that believes what it is told.

    :param live: look at what is different only, as notices tell.
    """

    def __init__(self, model: Model, *, live: bool = False) -> None:
        self.mailbox = model.open()
        self.live = LiveMailboxes()
        self.opened = self.live.open(model.mailbox, lambda subject: None) if live else None
        if live:
            model.engine.listeners.append(self.live.changed)
        self.view = View(self.mailbox)
        names = model.names()
        self.messages = [(row.uid, words.flag_names(row.flags, names), row.modseq) for row in model.rows()]

    def sync(self, model: Model, *, may_expunge: bool) -> None:
        if self.opened is not None:
            self.mailbox = model.engine.view(self.opened.now).mailbox
        else:
            self.mailbox = model.open(self.mailbox)
        difference = self.view.sync(self.mailbox, may_expunge=may_expunge)
        assert may_expunge or not difference.expunged
        for number, uid in reversed(difference.expunged):
            assert self.messages.pop(number - 1)[0] == uid
        names = model.names()
        by_uid = {row.uid: row for row in model.rows()}
        for number, uid, flags, modseq in difference.changed:
            assert self.messages[number - 1][0] == uid
            assert self.messages[number - 1][2] != modseq
            self.messages[number - 1] = (uid, words.flag_names(flags, names), modseq)
        uids = self.view.uids()
        assert len(uids) == self.view.exists == len(self.messages) + difference.added
        for uid in uids[len(self.messages) :]:
            row = by_uid[uid]
            self.messages.append((uid, words.flag_names(row.flags, names), row.modseq))
        assert [message[0] for message in self.messages] == list(uids)
        for number, uid in enumerate(uids, 1):
            assert (self.view.number(uid), self.view.uid(number)) == (number, uid)
        assert self.view.number(10_000) is None


@settings(max_examples=300, deadline=None)
@given(st.booleans(), st.lists(steps, max_size=30))
def test_the_mailbox_is_what_the_model_says(filled: bool, run: list[tuple[Any, ...]]) -> None:
    """Whatever was done, nothing is lost or counted wrongly, and each session ends with the truth."""
    model = Model()
    if filled:
        model.append(6, ("\\Deleted",))
        model.append(5, ())
        model.seal()
        model.seal()
    told = [Told(model), Told(model, live=True)]
    for name, *arguments in run:
        if name == "sync":
            told[arguments[0]].sync(model, may_expunge=arguments[1])
        else:
            getattr(model, name)(*arguments)
    model.check()
    names = model.names()
    truth = [(row.uid, words.flag_names(row.flags, names), row.modseq) for row in model.rows()]
    for client in told:
        client.sync(model, may_expunge=True)
        assert client.messages == truth


def test_what_is_purged_leaves_nothing_behind() -> None:
    """After expunge, purge and compaction neither rows, mails nor blobs of the messages are there."""
    model = Model()
    model.append(6, ("\\Deleted",))
    model.seal()
    model.expunge(reading.EVERY, True)
    assert [key for key in model.engine.entries if key[0] == MAIL]
    model.purge()
    model.compact()
    left = {str(key[0]) for key in model.engine.entries}
    assert left.isdisjoint({"mail", "mailrow", "mailchunk", "mailpurge", "blob", "bytes"})
    state = model.engine.view(lambda s: states.load(s, model.mailbox))
    assert (state.exists, state.gone, state.gone_octets, state.tail) == (0, 0, 0, 0)


def test_an_expunged_message_can_be_read_until_it_is_purged() -> None:
    """A session that was not told yet does not run into nothing."""
    model = Model()
    model.append(1, ())
    model.expunge(((1, 1),), False)
    assert model.engine.view(lambda s: reading.mail(s, model.mailbox, 1)) is not None
    model.purge()
    assert model.engine.view(lambda s: reading.mail(s, model.mailbox, 1)) is None


def test_what_unchangedsince_keeps() -> None:
    """Messages that were changed later are named and left alone, in chunks and outside."""
    model = Model()
    model.append(5, ())
    model.seal()
    model.flags(((2, 2), (5, 5)), Mode.ADD, ("\\Seen",), since=False)
    model.flags(((1, 5),), Mode.ADD, ("$Junk",), since=True)
    model.check()
    assert [row.modseq for row in model.rows()] == [4, 3, 4, 4, 3]


def test_rows_that_went_for_good_are_counted_until_it_may_be_told() -> None:
    """Purge and compaction take nothing from a session that is in the middle of a command."""
    model = Model()
    model.append(8, ())
    model.seal()
    client = Told(model)
    model.expunge(((2, 3), (7, 7)), only_deleted=False)
    model.purge()
    model.compact()
    model.append(1, ())
    client.sync(model, may_expunge=False)
    assert list(client.view.uids()) == [1, 2, 3, 4, 5, 6, 7, 8]
    client.sync(model, may_expunge=True)
    assert list(client.view.uids()) == [1, 4, 5, 6, 8, 9]


@pytest.mark.parametrize("sealed", [True, False])
def test_numbers_of_changes_are_those_after_expunging(sealed: bool) -> None:
    """EXPUNGE is told first, so what follows it counts without the message."""
    model = Model()
    model.append(4, ())
    if sealed:
        model.seal()
    view = View(model.open())
    model.expunge(((2, 2),), only_deleted=False)
    model.flags(((4, 4),), Mode.ADD, ("\\Seen",), since=False)
    model.append(2, ())
    difference = view.sync(model.open(), may_expunge=True)
    assert difference.expunged == [(2, 2)]
    assert difference.changed == [(3, 4, c.SEEN, 4)]
    assert difference.added == 2


def test_where_two_chunks_became_one_nothing_is_new() -> None:
    """The rows behind those of the first were in the second."""
    model = Model()
    model.append(2 * ROWS, ())
    model.seal()
    model.seal()
    model.expunge(((3, 4), (7, 8)), False)
    model.purge()
    for first_uid in (1, 5):
        model.engine.transact(partial(compaction.compact, mailbox_id=model.mailbox, first_uid=first_uid))
    mailbox = model.open()
    view = View(mailbox)
    assert [list(chunk.uids) for chunk in mailbox.chunks] == [[1, 2], [5, 6]]
    assert model.engine.transact(lambda t: compaction.merge(t, model.mailbox, 1, 5, ROWS))
    mailbox = model.open(mailbox)
    assert [list(chunk.uids) for chunk in mailbox.chunks] == [[1, 2, 5, 6]]
    assert view.sync(mailbox, may_expunge=True) == Difference()


def test_restoring_what_was_expunged() -> None:
    """A restored message is a new one with the old flags, dates and content; what was purged stays gone."""
    model = Model()
    model.append(5, ("\\Deleted", "$Junk"))
    model.seal()
    model.expunge(((1, 1),), only_deleted=False)
    model.purge()
    model.expunge(((2, 3), (5, 5)), only_deleted=True)
    lost = model.engine.view(lambda s: undelete.expunged(s, model.mailbox))
    assert [(gone.at_ms, [row.uid for row in rows]) for gone, rows in lost] == [(NOW_MS, [2, 3, 5])]
    restored = model.engine.transact(
        lambda t: undelete.restore(t, model.blobs, model.mailbox, ((1, 3), (4, 5)), NOW_MS // 1000)
    )
    assert restored == [(2, 6), (3, 7), (5, 8)]
    rows = {row.uid: row for row in model.rows()}
    assert [row.size for row in rows.values()] == [4, 2, 3, 5]
    assert words.flag_names(rows[6].flags, model.names()) == ["$Junk"]
    model.purge()
    mail = model.engine.view(lambda s: reading.mail(s, model.mailbox, 6))
    assert mail is not None
    assert model.engine.view(lambda s: reading.content(s, model.blobs, mail)).size == 2
    state = model.engine.view(lambda s: states.load(s, model.mailbox))
    assert (state.exists, state.octets, state.deleted, state.uidnext) == (4, 14, 1, 9)


def test_copies_share_content_and_ids() -> None:
    """A copy has new UIDs, and its own reference to the content; keywords are those of the target."""
    model = Model()
    model.append(3, ("$Junk",))
    other = model.engine.transact(lambda t: create(t, ALICE, "Other", NOW_MS)).id
    model.engine.transact(lambda t: words.make_flag_bits(t, other, ("elsewhere",)))
    pairs = model.engine.transact(
        lambda t: copy(t, model.blobs, model.mailbox, other, ((2, 3),), NOW_MS // 1000 + 5)
    )
    assert pairs == [(2, 1), (3, 2)]
    source = {row.uid: row for row in model.rows()}
    names = model.engine.view(lambda s: words.keywords(s, other))
    for row in model.engine.view(lambda s: list(reading.rows(s, other))):
        before = source[row.uid + 1]
        assert (row.email, row.thread, row.internal_s) == (before.email, before.thread, before.internal_s)
        assert row.saved_s == NOW_MS // 1000 + 5
        assert words.flag_names(row.flags, names) == ["$Junk"]
    model.expunge(reading.EVERY, False)
    model.purge()
    mail = model.engine.view(lambda s: reading.mail(s, other, 2))
    assert mail is not None
    content = model.engine.view(lambda s: reading.content(s, model.blobs, mail))
    assert content.size == 3


def test_at_most_128_keywords() -> None:
    """The next one is refused, and nothing is changed by it."""
    model = Model()
    names = tuple(f"w{number}" for number in range(words.MAX_KEYWORDS))
    model.append(1, names)
    assert words.flag_names(model.rows()[0].flags, model.names()) == list(names)
    with pytest.raises(Refused):
        model.append(1, ("one-more",))
    assert len(model.rows()) == 1


def test_texts_are_searched_where_they_were_sealed() -> None:
    """The columns of a chunk hold the texts of the shapes, a row for each message."""
    model = Model()

    def write(transaction: Any) -> None:
        mails = []
        for subject in ("First =?utf-8?q?gr=C3=BC=C3=9Fe?=", "second", "", "third GRUESSE first"):
            octets = f"Subject: {subject}\r\nFrom: {subject} <a@b.test>\r\n\r\n".encode()
            blob = model.blobs.add(transaction, model.blobs.stage(MemoryContent(octets)))
            mails.append(NewMail(blob, len(octets), 1, shape=read_shape([octets]).to_record()))
        append(transaction, model.mailbox, mails, 1)

    model.engine.transact(write)
    model.uidnext, model.modseq = 5, 2
    model.append(1, ())
    assert model.engine.view(lambda s: keeping.unshaped(s, model.mailbox, 1, 100)) == ([5], 6)
    model.seal()
    subjects = model.engine.view(lambda s: reading.group(s, model.mailbox, c.SUBJECT, 1))[c.SUBJECT]
    assert list(c.containing(subjects, b"first")) == [0, 3]
    assert list(c.containing(subjects, "gr\u00fcsse".encode())) == [0]
    senders = model.engine.view(lambda s: reading.group(s, model.mailbox, c.FROM, 1))[c.FROM]
    assert list(c.containing(senders, b"a@b.test")) == [0, 1, 2, 3]
