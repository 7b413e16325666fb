"""The command reader: one line end, whatever the split."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from fedaemon.smtp.lines import Fault, Input, LineFault
from tests.smtp.driving import pieces

LIMIT = 20
TRICKY = st.lists(
    st.sampled_from([b"\r", b"\n", b"\r\n", b"\0", b"NOOP", b"a", b"bcdefghijk", b" "]), max_size=30
).map(b"".join)
CUTS = st.lists(st.integers(0, 1000), max_size=12)


def read(parts: list[bytes]) -> list[bytes | Fault]:
    """Return all lines of *parts*, and the faults among them."""
    source = Input()
    lines: list[bytes | Fault] = []
    for part in parts:
        source.receive(part)
        while source.ready():
            line = source.line(LIMIT)
            if line is not None:
                lines.append(line.fault if isinstance(line, LineFault) else line)
    return lines


@given(TRICKY, CUTS)
@settings(max_examples=300, deadline=None)
def test_one_line_or_fault_for_each_crlf_however_split(data: bytes, cuts: list[int]) -> None:
    """Whole, in pieces and byte by byte the same lines are read; each CR LF ends exactly one."""
    data += b"\r\n"
    whole = read([data])
    assert len(whole) == data.count(b"\r\n")
    assert read(pieces(data, cuts)) == whole
    assert read([data[i : i + 1] for i in range(len(data))]) == whole


@given(TRICKY)
@settings(deadline=None)
def test_what_is_read_is_what_was_sent(data: bytes) -> None:
    """A line is what stands between two CR LFs, if it has nothing forbidden and is not too long."""
    for line, sent in zip(read([data + b"\r\n"]), (data + b"\r\n").split(b"\r\n"), strict=False):
        if isinstance(line, bytes):
            assert line == sent
            assert not set(line) & {0x00, 0x0A, 0x0D}
            assert len(line) <= LIMIT - 2
        else:
            assert len(sent) > LIMIT - 2 or set(sent) & {0x00, 0x0A, 0x0D}


def test_a_bare_lf_is_told_at_once() -> None:
    """A person at a terminal without CR hears of it; what follows up to CR LF belongs to the same line."""
    assert read([b"NOOP\n"]) == [Fault.BARE_LF]
    assert read([b"NOOP\nNOOP\n", b"x\r\n", b"NOOP\r\n"]) == [Fault.BARE_LF, b"NOOP"]


def test_what_comes_while_earlier_input_waits_is_kept_in_order() -> None:
    """Pieces queue up behind the one that is being read."""
    source = Input()
    for piece in (b"one\r\ntw", b"o\r", b"\nthree\r\n"):
        source.receive(piece)
    assert source.pending() == 17
    lines = []
    while source.ready():
        line = source.line(LIMIT)
        if line is not None:
            lines.append(line)
    assert lines == [b"one", b"two", b"three"]
    assert source.pending() == 0


def test_cost_is_linear_byte_by_byte() -> None:
    """A long line in single octets is gathered, not searched anew for each octet."""

    class Counting(bytes):
        searched = 0

        def find(self, *arguments) -> int:  # type: ignore[no-untyped-def]
            Counting.searched += len(self)
            return bytes.find(self, *arguments)

    source = Input()
    for _ in range(10_000):
        source.receive(Counting(b"a"))
        assert source.ready()
        assert source.line(20_000) is None
    assert Counting.searched <= 20_000
