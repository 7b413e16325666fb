"""Dates: written in one form, read in many."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedaemon.message.date import FIRST_USABLE_S, LAST_USABLE_S, format_date, parse_date
from tests.message.strategies import mail_like_octets

NOON = datetime(2025, 7, 1, 12, 0, 0, tzinfo=UTC).timestamp()


def test_a_date_is_written_as_rfc_5322_says() -> None:
    """Day of the week, two-digit day, four-digit year, numeric zone."""
    assert format_date(NOON + 0.999) == "Tue, 01 Jul 2025 12:00:00 +0000"
    assert format_date(0) == "Thu, 01 Jan 1970 00:00:00 +0000"


@given(st.integers(FIRST_USABLE_S, LAST_USABLE_S - 1))
def test_reading_undoes_writing(epoch_s: int) -> None:
    """Every usable second comes back, and the email package agrees."""
    written = format_date(epoch_s)
    assert parse_date(written.encode()) == epoch_s
    assert parsedate_to_datetime(written).timestamp() == epoch_s


@pytest.mark.parametrize(
    "value",
    [
        b"Tue, 01 Jul 2025 12:00:00 +0000",
        b"Tue, 1 Jul 2025 12:00:00 +0000",
        b"1 Jul 2025 12:00:00 +0000",
        b"1 Jul 2025 12:00 +0000",
        b"TUE, 01 JUL 2025 12:00:00 GMT",
        b"Tue, 01 Jul 2025 14:00:00 +0200",
        b"Tue, 01 Jul 2025 14:00:00 +0200 (CEST)",
        b"Tue, 01 Jul 2025 14:00:00 +0200 (Central (European) Summer \\) Time)",
        b"(a)Tue(b), (c)01(d) Jul 2025 12:00:00 UT(e)",
        b"Tue,  1 Jul 25 12:00:00 Z",
        b"Tue, 1 Jul 125 12:00:00 UTC",
        b"Tue , 1 Jul 2025 12 : 00 : 00 -0000",
        b"Tue,1 Jul 2025 12:00:00+0000",
        b"Tue, 01 Jul 2025 08:00:00 EDT",
        b"Tue, 01 Jul 2025 07:00:00 EST",
        b"Tue, 01 Jul 2025 04:00:00 PST",
        b"Tue, 01 Jul 2025 06:30:00 -0530",
        b"Wed, 02 Jul 2025 12:00:00 +2400",
        b"Tue, 01 Jul 2025 12:00:00 A",
        b"Tue, 01 Jul 2025 12:00:00 MEST",
        b"Mon, 01 Jul 2025 12:00:00 +0000",
        b"\tTue, 01 Jul 2025\t12:00:00 +0000 ",
    ],
)
def test_real_forms_are_read(value: bytes) -> None:
    """Comments, old years, named and unknown zones (RFC 5322 4.3): all of these are the same noon."""
    assert parse_date(value) == NOON


def test_old_years_are_completed() -> None:
    """RFC 5322 4.3: two digits below 50 are this century, others and three digits count from 1900."""
    assert parse_date(b"1 Jan 49 00:00:00 GMT") == datetime(2049, 1, 1, tzinfo=UTC).timestamp()
    assert parse_date(b"1 Jan 99 00:00:00 GMT") == datetime(1999, 1, 1, tzinfo=UTC).timestamp()


def test_a_leap_second_is_the_second_before() -> None:
    """23:59:60 is a real second, for which there is no number of its own."""
    assert (
        parse_date(b"31 Dec 2016 23:59:60 +0000")
        == datetime(2016, 12, 31, 23, 59, 59, tzinfo=UTC).timestamp()
    )


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"now",
        b"Tue, 01 Jul 2025",
        b"Tue, 01 Jul 2025 12:00:00",
        b"Tue Jul  1 12:00:00 2025",
        b"2025-07-01T12:00:00Z",
        b"Tue, 31 Feb 2025 12:00:00 +0000",
        b"Tue, 00 Jul 2025 12:00:00 +0000",
        b"Tue, 01 Foo 2025 12:00:00 +0000",
        b"Tue, 01 Jul 2025 24:00:00 +0000",
        b"Tue, 01 Jul 2025 12:60:00 +0000",
        b"Tue, 01 Jul 2025 12:00:61 +0000",
        b"Tue, 01 Jul 2025 12:00:00 +0060",
        b"Tue, 01 Jul 2025 12:00:00 +02:00",
        b"Tue, 01 Jul 12025 12:00:00 +0000",
        b"Tue, 01 Jul 0000 12:00:00 +0000",
        b"Thu, 01 Jan 1970 00:00:00 +0000",
        b"Thu, 01 Jan 1970 23:59:59 +0000",
        b"Fri, 31 Dec 9999 23:59:59 -2359",
        b"Tue, 01 Jul 2025 12:00:00 +0000 x",
        b"Tue, 01 Jul 2025 12:00:00 +0000 (open",
        b"Xxx, 01 Jul 2025 12:00:00 +0000",
        b"Tue, 01 Jul 2025 12:00:00 +0000\0",
        b"Tue, 01 Jul 2025 12:00:00 +0000" + b"(x)" * 100,
        "Tue, ٠١ Jul 2025 12:00:00 +0000".encode(),
    ],
)
def test_unusable_dates_are_none(value: bytes) -> None:
    """No date, no such day, no zone, a clock never set, or the year 10000."""
    assert parse_date(value) is None


@given(
    st.one_of(
        mail_like_octets,
        st.from_regex(rb"\d{1,2} [JFM][aeu][nbr] \d{2,4} \d\d:\d\d [+-]\d{4}", fullmatch=True),
    )
)
def test_garbage_raises_nothing(value: bytes) -> None:
    """Any octets give None or a usable moment."""
    epoch_s = parse_date(value)
    assert epoch_s is None or FIRST_USABLE_S <= epoch_s < LAST_USABLE_S
