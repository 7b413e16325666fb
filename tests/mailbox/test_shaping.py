"""What a mailbox keeps of a content, made once before the message is added."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from twisted.internet.defer import Deferred, execute, fail
from twisted.logger import LogLevel, globalLogPublisher

from fedaemon.mailbox.adding import NewMail, thread_id
from fedaemon.mailbox.rows import NO_DATE, NO_SHAPE
from fedaemon.mailbox.shaping import (
    FEW_DELIMITERS,
    SMALL_OCTETS,
    Shaped,
    Shaper,
    is_quick,
    new_mail,
    read_shaped,
)
from fedaemon.message.mime.shape import read_shape
from fedaemon.message.mime.stored_shape import StoredShape
from fedaemon.net.threads import WorkerThreads
from fedaemon.store.content import MemoryContent
from fedaemon.store.errors import StoreError

ALICE, BOB = "alice@example.test", "bob@example.test"


@pytest.fixture
def logged() -> Iterator[list[Any]]:
    """The levels of what is logged."""
    levels: list[Any] = []

    def observe(event: Any) -> None:
        levels.append(event["log_level"])

    observer: Any = observe
    globalLogPublisher.addObserver(observer)
    yield levels
    globalLogPublisher.removeObserver(observer)


def message(*fields: bytes) -> MemoryContent:
    return MemoryContent(b"\r\n".join([*fields, b"", b"text\r\n"]))


def test_what_is_kept() -> None:
    """The shape as it is stored, and when the message was sent, and where."""
    content = message(b"Date: Mon, 23 Nov 2026 10:00:00 +0130", b"Subject: x")
    shaped = read_shaped(content)
    assert StoredShape(shaped.record).texts()[0] == b"x"
    assert shaped.record == read_shape([content.data]).to_record()
    assert (shaped.sent_s, shaped.zone_min) == (1_795_422_600, 90)
    assert read_shaped(message(b"Date: yesterday")).sent_s == NO_DATE


@pytest.mark.parametrize(
    ("fields", "root"),
    [
        ([b"Message-ID: <own@x>"], "own@x"),
        ([b"Message-ID: <own@x>", b"In-Reply-To: <parent@x>"], "parent@x"),
        ([b"Message-ID: <own@x>", b"In-Reply-To: <p@x>", b"References: <first@x> <p@x>"], "first@x"),
        ([b"References: <first@x>"], "first@x"),
        ([b"Subject: none"], ""),
    ],
    ids=["own", "in reply to", "references", "no own", "none"],
)
def test_what_a_thread_begins_with(fields: list[bytes], root: str) -> None:
    """The first ancestor that is named, else the message itself."""
    assert read_shaped(message(*fields)).root == root


def test_a_message_and_its_replies_share_a_thread() -> None:
    """Of one account: THREADIDs of two have nothing to do with each other; without identifiers there is none."""
    first = read_shaped(message(b"Message-ID: <1@x>"))
    reply = read_shaped(message(b"Message-ID: <2@x>", b"In-Reply-To: <1@x>"))
    again = read_shaped(message(b"Message-ID: <3@x>", b"References: <1@x> <2@x>", b"In-Reply-To: <2@x>"))
    assert first.thread(ALICE) == reply.thread(ALICE) == again.thread(ALICE) == thread_id(ALICE, "1@x")
    assert first.thread(ALICE) != first.thread(BOB)
    assert read_shaped(message(b"Subject: x")).thread(ALICE) == 0


def test_a_new_mail() -> None:
    """Its size has the prefix; what was not made is left to later."""
    shaped = Shaped(b"record", 5, 60, "1@x")
    assert new_mail(ALICE, "blob", 100, b"Return-Path: <>\r\n", 7, shaped, ("\\Seen",)) == NewMail(
        "blob",
        117,
        7,
        b"Return-Path: <>\r\n",
        ("\\Seen",),
        sent_s=5,
        zone_min=60,
        thread=thread_id(ALICE, "1@x"),
        shape=b"record",
    )
    without = new_mail(ALICE, "blob", 100, b"", 7, None)
    assert (without.shape, without.sent_s, without.thread) == (NO_SHAPE, NO_DATE, 0)


def result(content: Any, run_in_thread: Any = fail) -> Shaped | None:
    """Return what comes of a shaper."""
    found: list[Shaped | None] = []
    Deferred.fromCoroutine(Shaper(run_in_thread).shape(content)).addCallback(found.append)
    return found[0]


@pytest.mark.parametrize(
    ("content", "quick"),
    [
        (MemoryContent(b"x" * SMALL_OCTETS), True),
        (MemoryContent(b"x" * (SMALL_OCTETS + 1)), False),
        (MemoryContent(b"\r\n--b" * FEW_DELIMITERS), True),
        (MemoryContent(b"\r\n--b" * (FEW_DELIMITERS + 1)), False),
    ],
    ids=["small", "large", "few", "many"],
)
def test_only_what_is_quick_is_done_at_once(content: MemoryContent, quick: bool) -> None:
    """What is large, or may have many parts, goes to a thread."""
    threads: list[Any] = []

    def run(function: Any, *arguments: Any) -> Deferred[Any]:
        threads.append(function)
        return execute(function, *arguments)

    assert is_quick(content) is quick
    assert result(content, run) == read_shaped(content)
    assert threads == ([] if quick else [read_shaped])


class Broken:
    """A content that cannot be read."""

    def __init__(self, size: int, error: Exception) -> None:
        self.size = size
        self.error = error

    def chunks(self, size: int = 65536, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        yield b"Subject: "
        raise self.error


@pytest.mark.parametrize("size", [100, 1_000_000])
@pytest.mark.parametrize(
    ("error", "level"),
    [(StoreError("gone"), LogLevel.warn), (ZeroDivisionError(), LogLevel.critical)],
    ids=["unreadable", "defect"],
)
def test_what_cannot_be_made_is_left_out(logged: list[Any], size: int, error: Exception, level: Any) -> None:
    """The message is added without it, and the log tells why; here or in a thread."""
    assert result(Broken(size, error), execute) is None
    assert logged == [level]


def test_a_stopped_server_leaves_it_out(logged: list[Any]) -> None:
    """Threads that have ended make nothing."""
    threads = WorkerThreads(None, 1, "files")  # type: ignore[arg-type]
    threads.stop()
    assert result(MemoryContent(b"x" * 100_000), threads.run) is None
    assert logged == [LogLevel.warn]
