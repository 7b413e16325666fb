"""Messages on the wire: dots, line ends, TOP, and the end."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedaemon.pop3.transmission import transmit

OCTETS = st.lists(st.sampled_from([b"\r\n", b"\n", b"\r", b".", b"a", b"\r\n.\r\n", b"\n.", b"\0\xff"])).map(
    b"".join
)


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    """Return *data* cut at *cuts*, without empty pieces."""
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[start:stop] for start, stop in pairwise(places)]


def received(wire: bytes) -> list[bytes]:
    """Return the lines that a client takes from *wire*, written from RFC 1939 3; nothing may follow the end."""
    lines = wire.split(b"\r\n")
    end = lines.index(b".")
    assert lines[end + 1 :] == [b""]
    return [line.removeprefix(b".") for line in lines[:end]]


def expected_lines(data: bytes) -> list[bytes]:
    """Return the lines of *data*, whichever way they end."""
    lines = data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n").split(b"\r\n")
    if lines[-1] == b"":
        return lines[:-1]
    # A CR at the very end is half a line end.
    return [*lines[:-1], lines[-1][:-1]] if lines[-1].endswith(b"\r") else lines


@given(OCTETS, st.lists(st.integers(0, 200), max_size=6))
def test_a_client_receives_the_lines_of_the_message(data: bytes, cuts: list[int]) -> None:
    """RFC 1939 3: nothing in a message ends it early, however it comes from the store."""
    assert received(b"".join(transmit(pieces(data, cuts)))) == expected_lines(data)


@given(OCTETS, st.lists(st.integers(0, 200), max_size=6), st.integers(0, 5))
def test_top_is_the_header_and_so_many_lines(data: bytes, cuts: list[int], count: int) -> None:
    """RFC 1939 7; a message without an empty line is all header."""
    lines = expected_lines(data)
    wanted = lines[: lines.index(b"") + 1 + count] if b"" in lines else lines
    assert received(b"".join(transmit(pieces(data, cuts), count))) == wanted


@given(OCTETS, st.lists(st.integers(0, 200), max_size=6))
def test_no_line_end_but_cr_lf(data: bytes, cuts: list[int]) -> None:
    """A client that takes LF for a line end sees the same lines (RFC 1939 11)."""
    wire = b"".join(transmit(pieces(data, cuts)))
    assert wire.count(b"\n") == wire.count(b"\r\n")


@pytest.mark.parametrize(
    ("message", "wire"),
    [
        (b"", b".\r\n"),
        (b"x", b"x\r\n.\r\n"),
        (b"x\r\n", b"x\r\n.\r\n"),
        (b"x\r", b"x\r\n.\r\n"),
        (b".\r\n", b"..\r\n.\r\n"),
        (b"a\n.\r\n+OK forged\r\n", b"a\r\n..\r\n+OK forged\r\n.\r\n"),
    ],
)
def test_ends_of_messages(message: bytes, wire: bytes) -> None:
    """Each message has exactly one end."""
    assert b"".join(transmit([message] if message else [])) == wire


def test_a_well_formed_message_is_as_long_as_listed() -> None:
    """RFC 1939 11: what LIST says is the octets of the message without doubled dots."""
    message = b"Subject: x\r\n\r\n" + b"line\r\n" * 1000
    assert len(b"".join(transmit([message]))) == len(message) + len(b".\r\n")


def test_top_reads_no_further_than_it_must() -> None:
    """The rest of a large message is not even read from the store."""
    read: list[int] = []

    def chunks() -> Iterator[bytes]:
        for number in range(100):
            read.append(number)
            yield b"H: x\r\n\r\n" if number == 0 else b"body\r\n"

    b"".join(transmit(chunks(), 3))
    assert read == [0, 1, 2, 3]
