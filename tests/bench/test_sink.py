"""Reading smtp-sink's counters, and seeing messages arrive there."""

from __future__ import annotations

import shutil
import smtplib
from pathlib import Path

import pytest

from bench.sink import Sink, last_count


@pytest.mark.parametrize(
    ("output", "count"),
    [
        (b"", 0),
        (b"sess=1 quit=0 mesg=0\r", 0),
        (b"sess=1 quit=0 mesg=7\rsess=1 quit=1 mesg=7\rsess=2 quit=1 mesg=8\r", 8),
        (b"t=1 mesg=99\rsess=2 quit=1 mesg=10", 99),
        (b"sess=2 quit=1 mesg=120\rsess=2 qu", 120),
    ],
)
def test_the_last_complete_counter_counts(output: bytes, count: int) -> None:
    """A number that is still being written has perhaps lost its last digit."""
    assert last_count(output) == count


@pytest.mark.skipif(shutil.which("smtp-sink") is None, reason="smtp-sink comes with the package postfix")
def test_messages_are_counted_as_they_arrive(tmp_path: Path) -> None:
    """Two on one connection, which need not end for them to count."""
    with Sink(tmp_path) as sink:
        assert sink.received() == 0
        with smtplib.SMTP("127.0.0.1", sink.port) as client:
            for number in (1, 2):
                client.sendmail("a@bench.test", ["b@bench.test"], b"Subject: one\r\n\r\nHello.\r\n")
                assert sink.wait_for(number) == number
