"""The journal: what it is given, and what happens when it does not take it."""

from __future__ import annotations

import fcntl
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from twisted.logger import LogEvent

from fedaemon.logs.journal import MAX_FALLBACK, JournalObserver, datagram
from fedaemon.logs.record import MAX_TEXT
from tests.logs.conftest import Written
from tests.logs.reading import read_datagram


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[socket.socket]:
    """The journal's end."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
        end.bind(str(tmp_path / "journal"))
        end.setblocking(False)
        yield end


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """Standard error: the end that is read, and the one that is written to."""
    ends = os.pipe()
    os.set_blocking(ends[0], False)
    yield ends
    for end in ends:
        os.close(end)


def logged(events: Written, reason: str = "x") -> LogEvent:
    events.log.error("it waits", event="outcomes-unrecorded", id="Q1", session=7, account="", reason=reason)
    return events[-1]


def test_each_field_is_one_of_the_journal_s(events: Written, journal: socket.socket, tmp_path: Path) -> None:
    """Level as priority, mail as facility, the line as message."""
    JournalObserver(str(tmp_path / "journal"))(logged(events))
    assert read_datagram(journal.recv(65536)) == {
        "MESSAGE": "outcomes-unrecorded: it waits id=Q1 session=7 reason=x",
        "PRIORITY": "3",
        "SYSLOG_IDENTIFIER": "fedaemon",
        "SYSLOG_FACILITY": "2",
        "FEDAEMON_EVENT": "outcomes-unrecorded",
        "FEDAEMON_TEXT": "it waits",
        "FEDAEMON_ID": "Q1",
        "FEDAEMON_SESSION": "7",
        "FEDAEMON_REASON": "x",
    }


@pytest.mark.parametrize("reason", ["a\nMESSAGE=b", "\n", "a\nPRIORITY\n\0\0\0\0\0\0\0\0", "\udcff", "\0"])
def test_no_value_can_be_another_field(events: Written, reason: str) -> None:
    """What has several lines is given with its length."""
    found = read_datagram(datagram(logged(events, reason)))
    assert found["FEDAEMON_REASON"] == reason.encode("utf-8", "replace").decode()
    assert found["PRIORITY"] == "3"
    assert "\n" not in found["MESSAGE"]


def test_a_traceback_is_in_the_message(events: Written) -> None:
    """There people look for it."""
    found = read_datagram(datagram(events.fail(ZeroDivisionError())))
    assert found["MESSAGE"].startswith("defect: it failed session=3\nTraceback")
    assert found["PRIORITY"] == "2"
    assert "FEDAEMON_TRACEBACK" not in found


def test_a_datagram_is_bounded(events: Written, journal: socket.socket, tmp_path: Path) -> None:
    """A larger one than the system takes would be lost."""
    JournalObserver(str(tmp_path / "journal"))(logged(events, "ü" * 10 * MAX_TEXT))
    assert len(journal.recv(1 << 20)) < 8 * MAX_TEXT


def test_without_a_journal_the_line_goes_to_standard_error(
    events: Written, pipe: tuple[int, int], tmp_path: Path
) -> None:
    """With the priority as service managers read it, and as one line."""
    observer = JournalObserver(str(tmp_path / "nowhere"), fallback=pipe[1])
    observer(logged(events))
    observer(logged(events, "y" * 10 * MAX_FALLBACK))
    first, second = os.read(pipe[0], 65536).splitlines(keepends=True)
    assert first == b"<3>outcomes-unrecorded: it waits id=Q1 session=7 reason=x\n"
    assert len(second) == MAX_FALLBACK


def test_a_journal_that_is_behind_is_not_waited_for(
    events: Written, journal: socket.socket, pipe: tuple[int, int], tmp_path: Path
) -> None:
    """Its queue is full, then standard error, too: lines are lost, and mail goes on."""
    observer = JournalObserver(str(tmp_path / "journal"), fallback=pipe[1])
    fcntl.fcntl(pipe[1], fcntl.F_SETPIPE_SZ, 4096)
    event = logged(events)
    for _ in range(10_000):
        observer(event)
    taken = 0
    while True:
        try:
            taken += bool(journal.recv(65536))
        except BlockingIOError:
            break
    told = os.read(pipe[0], 65536).count(b"\n")
    assert taken
    assert told
    assert taken + told < 10_000
    observer(event)
    assert journal.recv(65536)


def test_no_standard_error_at_all(events: Written, tmp_path: Path) -> None:
    """Also then nothing is raised."""
    ends = os.pipe()
    for end in ends:
        os.close(end)
    JournalObserver(str(tmp_path / "nowhere"), fallback=ends[1])(logged(events))
