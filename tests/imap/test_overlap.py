"""Commands that overlap: they wait for their commits together, and are answered in order."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from fedaemon.imap.engine import OVERLAPPING, Request
from fedaemon.imap.operations import Write
from fedaemon.store.errors import StoreFull
from tests.imap.lab import Client, Lab

MAIL = b"Subject: s\r\n\r\ntext\r\n"


def append(tag: bytes, mailbox: bytes = b"INBOX", message: bytes = MAIL, plus: bytes = b"+") -> bytes:
    return b"%b APPEND %b {%d%b}\r\n%b\r\n" % (tag, mailbox, len(message), plus, message)


class SlowClient(Client):
    """A client whose commits wait until ``commit``, as those of a store that gathers them."""

    def __init__(self, lab: Lab) -> None:
        super().__init__(lab, {})
        assert self.tagged(b"LOGIN a@example.org secret").startswith(b"OK ")
        self.waiting: list[Request] = []
        self.refuses = 0

    def go_on(self) -> bytes:
        said = []
        while (request := self.engine.next_request()) is not None:
            if isinstance(request.operation, Write):
                self.waiting.append(request)
                continue
            try:
                self.engine.answer(request, self._carry_out(request))
            except Exception as error:  # noqa: BLE001, RUF100 - the engine decides what it means
                self.engine.fail(request, error)
        said.append(self.engine.take_output())
        return b"".join(said)

    def commit(self) -> bytes:
        """Have all that waits committed together, and answered in that order."""
        waiting, self.waiting = self.waiting, []
        for number, request in enumerate(waiting, 1):
            if number == self.refuses:
                self.engine.fail(request, StoreFull("no room"))
            else:
                self.engine.answer(request, self.lab.write(request.operation.function))  # type: ignore[attr-defined]
        return self.go_on()


@pytest.fixture
def slow(lab: Lab) -> SlowClient:
    return SlowClient(lab)


def tags(said: bytes) -> list[bytes]:
    return [line.split()[0] for line in said.splitlines() if not line.startswith(b"* ")]


def test_appends_wait_for_their_commit_together(slow: SlowClient) -> None:
    assert slow.raw(append(b"a") + append(b"b", b"Sent") + append(b"c") + b"d NOOP\r\n") == b""
    assert len(slow.waiting) == 3
    said = slow.commit()
    assert tags(said) == [b"a", b"b", b"c", b"d"]
    assert b"a OK [APPENDUID 1700000000 1]" in said
    assert b"c OK [APPENDUID 1700000000 2]" in said


def test_one_that_is_refused_is_answered_in_its_place(slow: SlowClient) -> None:
    assert slow.raw(append(b"a") + append(b"b", b"nowhere") + append(b"c")) == b""
    slow.refuses = 2
    said = slow.commit()
    assert [line[:4] for line in said.splitlines()] == [b"a OK", b"b NO", b"c NO"]
    assert b"b NO [TRYCREATE]" in said


def test_answers_come_in_order_whichever_is_done_first(slow: SlowClient) -> None:
    slow.raw(append(b"a") + append(b"b"))
    first, second = slow.waiting
    write: Callable[[Request], object] = lambda request: slow.lab.write(request.operation.function)  # type: ignore[attr-defined]  # noqa: E731
    slow.engine.answer(second, write(second))
    assert slow.go_on() == b""
    slow.engine.answer(first, write(first))
    assert tags(slow.go_on()) == [b"a", b"b"]


def test_what_does_not_overlap_waits(slow: SlowClient) -> None:
    """RFC 9051 5.5: a sequence number, or a STATUS, depends on what is answered before it."""
    slow.lab.deliver(MAIL)
    slow.raw(b"s SELECT INBOX\r\n")
    for command in (b"FETCH 1 FLAGS", b"COPY 1 Sent", b"STATUS Sent (MESSAGES)", b"SEARCH ALL", b"LOGOUT"):
        assert slow.raw(append(b"a") + b"b " + command + b"\r\n") == b""
        assert len(slow.waiting) == 1
        said = slow.commit() + slow.commit()
        assert tags(said) == [b"a", b"b"], command


def test_copies_by_uid_overlap(slow: SlowClient) -> None:
    slow.lab.deliver(MAIL, MAIL)
    slow.raw(b"s SELECT INBOX\r\n")
    assert slow.raw(b"a UID COPY 1 Sent\r\nb UID COPY 2 Sent\r\n") == b""
    assert len(slow.waiting) == 2
    assert tags(slow.commit()) == [b"a", b"b"]


def test_a_literal_that_waits_is_asked_for_in_its_turn(slow: SlowClient) -> None:
    slow.raw(append(b"a"))
    assert slow.raw(b"b APPEND INBOX {%d}\r\n" % len(MAIL)) == b""
    said = slow.commit()
    assert said.endswith(b"+ OK\r\n")
    assert tags(said) == [b"a", b"+"]
    slow.raw(MAIL + b"\r\n")
    assert tags(slow.commit()) == [b"b"]


def test_there_is_a_limit(slow: SlowClient) -> None:
    count = OVERLAPPING + 8
    slow.raw(b"".join(append(b"t%d" % number) for number in range(count)))
    assert len(slow.waiting) == OVERLAPPING
    said = slow.commit() + slow.commit()
    assert tags(said) == [b"t%d" % number for number in range(count)]


def test_the_end_of_the_connection_ends_them_all(slow: SlowClient) -> None:
    slow.raw(append(b"a") + append(b"b"))
    slow.engine.drop()
    for request in slow.waiting:
        slow.engine.answer(request, None)
    assert slow.engine.closed
