"""The content decoder: transparency, faults, and that the input's split changes neither result nor cost."""

from __future__ import annotations

import re

from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from fedaemon.smtp.content import ChunkDecoder, DataDecoder, Inspection, Malformed
from tests.smtp.driving import pieces

TRICKY = st.lists(
    st.sampled_from(
        [b"\r", b"\n", b".", b"\r\n", b"\r\n.", b"\r\n.\r\n", b"..", b"\0", b"a", b"\xe9", b"MAIL"]
    ),
    max_size=30,
).map(b"".join)
CUTS = st.lists(st.integers(0, 1000), max_size=12)


def decode(parts: list[bytes], normalise: bool = False) -> tuple[bytes, bytes, Inspection]:
    """Return the content of *parts*, what stands behind its end, and the inspection; there must be an end."""
    inspection = Inspection(normalise)
    decoder = DataDecoder(inspection)
    content = b""
    for number, part in enumerate(parts):
        block, stop, ended = decoder.decode(part, 0)
        content += block
        if ended:
            return content, part[stop:] + b"".join(parts[number + 1 :]), inspection
        assert stop == len(part)
    raise AssertionError("no end of data")


def expected(data: bytes) -> tuple[bytes, bytes]:
    """Return content and rest by the words of RFC 5321 4.1.1.4 and 4.5.2, without regard to cost."""
    raw, _, rest = (b"\r\n" + data).partition(b"\r\n.\r\n")
    lines = (raw + b"\r\n").split(b"\r\n")[1:]
    return b"\r\n".join(line[1:] if line.startswith(b".") else line for line in lines), rest


@given(TRICKY, CUTS)
@example(b"", [1])
@example(b"\r\n", [1, 2, 3])
@settings(max_examples=300, deadline=None)
def test_decodes_as_the_standard_says_however_split(data: bytes, cuts: list[int]) -> None:
    """Content, rest and faults are the same whole, in pieces and byte by byte."""
    data += b"\r\n.\r\nNOOP\r\n"
    content, rest, whole = decode([data])
    assert (content, rest) == expected(data)
    for parts in (pieces(data, cuts), [data[i : i + 1] for i in range(len(data))]):
        again, rest_again, split = decode(parts)
        assert (again, rest_again) == (content, rest)
        assert (split.faults, split.size, split.eight_bit) == (whole.faults, whole.size, whole.eight_bit)


@given(TRICKY)
@settings(deadline=None)
def test_notes_the_first_fault_of_each_kind(data: bytes) -> None:
    """What is noted is what is there, with its line number."""
    raw = (data + b"\r\n").partition(b"\r\n.\r\n")[0]
    assume(not raw.startswith(b".\r\n"))
    found = {}
    for kind, pattern in {
        Malformed.NUL: rb"\0",
        Malformed.BARE_CR: rb"\r(?!\n)",
        Malformed.BARE_LF: rb"(?<!\r)\n",
    }.items():
        match = re.search(pattern, raw + b"\r\n")
        if match is not None:
            found[kind] = raw.count(b"\n", 0, match.start()) + 1
    assert decode([raw + b"\r\n.\r\n"])[2].faults == found


@given(TRICKY, CUTS)
@example(b"a\r\n.\nb", [])
@example(b".\n", [])
@settings(max_examples=200, deadline=None)
def test_normalised_content_has_only_whole_line_ends(data: bytes, cuts: list[int]) -> None:
    """Bare LF becomes CR LF and is no fault; the result does not depend on the split."""
    data += b"\r\n.\r\n"
    content, rest, inspection = decode([data], normalise=True)
    assert Malformed.BARE_LF not in inspection.faults
    assert re.search(rb"(?<!\r)\n", content) is None
    assert decode(pieces(data, cuts), normalise=True)[:2] == (content, rest)
    assert decode([data[i : i + 1] for i in range(len(data))], normalise=True)[:2] == (content, rest)
    assert content.replace(b"\r\n", b"\n").count(b"\n") == expected(data)[0].replace(b"\r\n", b"\n").count(
        b"\n"
    )


def test_a_dot_between_line_ends_of_both_kinds_is_kept() -> None:
    """A dot line that a bare LF has a part in is content under normalise, and stays a dot."""
    for raw in (b"a\n.\nb", b"a\n.\r\nb", b"a\r\n.\nb"):
        assert decode([raw + b"\r\n.\r\n"], normalise=True)[0] == b"a\r\n.\r\nb\r\n"
    assert decode([b".\nb\r\n.\r\n"], normalise=True)[0] == b".\r\nb\r\n"


@given(TRICKY, CUTS, CUTS)
@settings(deadline=None)
def test_chunks_are_the_same_however_split(data: bytes, chunk_cuts: list[int], read_cuts: list[int]) -> None:
    """Neither the chunks nor the reads change content or faults."""

    def read(chunks: list[bytes], cuts: list[int]) -> tuple[bytes, dict[Malformed, int]]:
        inspection = Inspection(False)
        decoder = ChunkDecoder(inspection)
        content = b""
        for number, chunk in enumerate(chunks):
            decoder.begin(len(chunk), number == len(chunks) - 1)
            ended = False
            for part in pieces(chunk, cuts) or [b""]:
                block, stop, ended = decoder.decode(part, 0)
                assert stop == len(part)
                content += block
            assert ended
        return content, inspection.faults

    whole = read([data], [])
    assert whole[0] == data
    assert read(pieces(data, chunk_cuts) or [b""], read_cuts) == whole


class CountingBytes(bytes):
    """Octets that count how many of them are copied out by slices."""

    copied = 0

    def __getitem__(self, key):  # type: ignore[no-untyped-def]
        taken = bytes.__getitem__(self, key)
        if isinstance(taken, bytes):
            CountingBytes.copied += len(taken)
        return taken


def test_cost_is_linear_in_one_big_block() -> None:
    """Many messages in one block: what is copied in all is about the block, not once for each message."""
    block = CountingBytes(b"one\r\n..two\r\n.\r\n" * 2000)
    CountingBytes.copied = position = messages = 0
    while position < len(block):
        _, position, ended = DataDecoder(Inspection(False)).decode(block, position)
        messages += ended
    assert messages == 2000
    assert CountingBytes.copied <= 2 * len(block)


def test_cost_is_linear_in_small_blocks() -> None:
    """However small the blocks, no more than a few octets are held back and joined to the next."""
    decoder = DataDecoder(Inspection(False))
    for part in (b"\r", b"\n", b".", b"\r", b".", b"\r\n", b"a") * 1000:
        decoder.decode(part, 0)
        assert len(decoder._held) <= 2
