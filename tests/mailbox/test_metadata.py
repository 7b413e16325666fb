"""Annotations: RFC 5464 3, 4.2, 4.3, RFC 6154 4."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Set
from functools import partial

import pytest

from fedaemon.errors import Refused
from fedaemon.mailbox import mailboxes as m
from fedaemon.mailbox import metadata, renaming
from fedaemon.mailbox.leaving import delete_all
from fedaemon.mailbox.metadata import MetadataChanged
from fedaemon.store.keys import KEY_OCTETS, encode_key
from fedaemon.store.spaces import MAILBOX_META
from tests.fakes import MemoryEngine

ALICE = "alice@example.test"
NOW_MS = 1_750_000_000_000
Entries = list[tuple[str, bytes | None]]


@pytest.fixture
def engine() -> Iterator[MemoryEngine]:
    made = MemoryEngine()
    made.transact(lambda t: m.provide(t, ALICE, NOW_MS))
    yield made


def mailbox(engine: MemoryEngine, name: str) -> m.Mailbox:
    return engine.view(lambda s: m.need(s, ALICE, name))


def write(engine: MemoryEngine, where: m.Mailbox | None, *entries: tuple[str, bytes | None]) -> None:
    engine.transact(lambda t: metadata.write(t, ALICE, where, entries))


def read(
    engine: MemoryEngine, where: m.Mailbox | None, entry: str, depth: metadata.Depth = 0
) -> dict[str, bytes]:
    return engine.view(lambda s: metadata.read(s, ALICE, where, entry, depth))


def test_values(engine: MemoryEngine) -> None:
    """An empty value is one; None removes an entry, also one that is not there."""
    sent = mailbox(engine, "Sent")
    write(engine, sent, ("/private/comment", b"a\0b\xff"), ("/shared/comment", b""))
    write(engine, None, ("/private/comment", b"mine"))
    assert read(engine, sent, "/private/comment") == {"/private/comment": b"a\0b\xff"}
    assert read(engine, sent, "/shared/comment") == {"/shared/comment": b""}
    assert read(engine, None, "/private/comment") == {"/private/comment": b"mine"}
    assert read(engine, mailbox(engine, "Junk"), "/private/comment") == {}
    write(engine, sent, ("/private/comment", None), ("/private/none", None))
    assert read(engine, sent, "/private/comment") == {}


def test_depth(engine: MemoryEngine) -> None:
    """RFC 5464 4.2.2: the entry, those one level below, and all below; not those that only begin like it."""
    names = [
        "/private/a",
        "/private/a/b",
        "/private/a/b/c",
        "/private/a/d",
        "/private/a0/b",
        "/private/a-b/c",
    ]
    write(engine, None, *[(name, b"x") for name in names])
    assert list(read(engine, None, "/private/a")) == ["/private/a"]
    assert list(read(engine, None, "/private/a", 1)) == ["/private/a", "/private/a/b", "/private/a/d"]
    assert list(read(engine, None, "/private/a", None)) == names[:4]
    assert sorted(read(engine, None, "/private", None)) == sorted(names)


def test_they_go_with_the_mailbox(engine: MemoryEngine) -> None:
    """Under another name they are the same; a new mailbox of the old name has none."""
    write(engine, mailbox(engine, "Sent"), ("/private/comment", b"x"))
    engine.transact(lambda t: renaming.rename(t, ALICE, "Sent", "Old", NOW_MS))
    assert read(engine, mailbox(engine, "Old"), "/private/comment")
    engine.transact(lambda t: m.delete(t, ALICE, "Old", NOW_MS))
    engine.transact(lambda t: m.create(t, ALICE, "Old", NOW_MS + 1))
    assert not read(engine, mailbox(engine, "Old"), "/private/comment")


def test_an_account_of_the_same_name_has_none(engine: MemoryEngine) -> None:
    """What an account noted about itself goes with it."""
    write(engine, None, ("/private/comment", b"x"))
    engine.transact(lambda t: delete_all(t, ALICE, NOW_MS))
    assert not read(engine, None, "/private/comment")


@pytest.mark.parametrize(
    ("entries", "code"),
    [
        ([("/private/b", b"x" * 65_537)], b"METADATA MAXSIZE 65536"),
        ([("/private/" + "x" * 212, b"x")], b"LIMIT"),
        ([("/private/specialuse", b"\\All")], b"USEATTR"),
        ([("/private/specialuse", b"Drafts")], b"USEATTR"),
        ([("/private/specialuse", b"\\Archive \\Junk")], b"USEATTR"),
        ([("/private/specialuse", b"\\Junk")], b"USEATTR"),
    ],
    ids=["value", "name", "no such use", "no use", "two uses", "taken"],
)
def test_refused(engine: MemoryEngine, entries: Entries, code: bytes) -> None:
    """RFC 5464 4.3: the client is told why, and the entry before it is not written either."""
    made = engine.transact(lambda t: m.create(t, ALICE, "Own", NOW_MS))
    with pytest.raises(Refused) as caught:
        write(engine, made, ("/private/a", b"x"), *entries)
    assert caught.value.imap_code == code  # type: ignore[attr-defined]
    assert read(engine, made, "/private", None) == {}


@pytest.mark.parametrize(("name", "most"), [("MAX_ENTRIES", 3), ("MAX_OCTETS", 30)])
def test_limits_of_an_account(
    engine: MemoryEngine, monkeypatch: pytest.MonkeyPatch, name: str, most: int
) -> None:
    """All its mailboxes count together; who is at the limit can still change and remove."""
    monkeypatch.setattr(metadata, name, most)
    entries: Entries = [("/private/a", b"x" * 10), ("/private/b", b"x" * 10)]
    write(engine, mailbox(engine, "Sent"), *entries)
    write(engine, None, ("/private/a", b"x" * 10))
    with pytest.raises(metadata.TooManyEntries):
        write(engine, mailbox(engine, "Junk"), ("/private/c", b"x"))
    write(engine, None, ("/private/a", b"y" * 10))
    write(engine, mailbox(engine, "Sent"), ("/private/a", None), ("/private/c", b"x"))


def test_the_longest_key_fits() -> None:
    """The store takes the longest entry of a mailbox of the longest address."""
    address = "x" * 256
    key = (MAILBOX_META, address, "0" * 16, "/" * metadata.MAX_ENTRY_OCTETS)
    assert len(encode_key(key)) <= KEY_OCTETS


def test_special_use(engine: MemoryEngine) -> None:
    """RFC 6154 4: an entry like others, of which a mailbox has one, and each is had by one mailbox."""
    entry = metadata.SPECIAL_USE
    archive, own = (
        mailbox(engine, "Archive"),
        engine.transact(partial(m.create, account=ALICE, name="x", now_ms=1)),
    )
    assert read(engine, archive, entry) == {entry: b"\\Archive"}
    assert read(engine, archive, "/private", 1) == {entry: b"\\Archive"}
    assert read(engine, archive, "/shared", None) == read(engine, own, "/private", None) == {}
    write(engine, archive, (entry, None))
    write(engine, own, (entry, b"\\archive"))
    assert mailbox(engine, "Archive").special_use is None
    assert mailbox(engine, "x").special_use == "\\Archive"
    write(engine, mailbox(engine, "x"), (entry, b"\\Archive"))
    write(engine, mailbox(engine, "x"), (entry, None))
    with pytest.raises(m.UnfitUse):
        write(engine, mailbox(engine, "INBOX"), (entry, b"\\Archive"))


def test_changes_are_announced(engine: MemoryEngine) -> None:
    """RFC 5464 4.4.2: each entry, and a change of the special use as one of the mailbox too."""
    told: set[Hashable] = set()

    def listen(subjects: Set[Hashable]) -> None:
        told.update(subjects)

    engine.listeners.append(listen)
    sent = mailbox(engine, "Sent")
    write(engine, None, ("/private/comment", b"x"), ("/private/a", None))
    assert told == {MetadataChanged(ALICE, "", "/private/comment"), MetadataChanged(ALICE, "", "/private/a")}
    told.clear()
    write(engine, sent, (metadata.SPECIAL_USE, None))
    assert told == {MetadataChanged(ALICE, sent.id, metadata.SPECIAL_USE), m.NamesChanged(ALICE)}
