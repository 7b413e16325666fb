"""What DATA and BDAT carry: nothing is lost, nothing ends early, nothing is smuggled."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedaemon.smtp import client_content
from fedaemon.smtp.client_content import Chunker, DotStuffer
from tests.smtp_client.fakes import unstuff

# Mostly what matters: dots and line ends.
dangerous = st.lists(
    st.sampled_from([b".", b"..", b"\r\n", b"\r", b"\n", b"a", b"\r\n.\r\n", b"\x00"]), max_size=30
)
clean = st.lists(st.sampled_from([b".", b"..", b"\r\n", b"a", b".\r\n", b"text\r\n"]), max_size=30).map(
    b"".join
)
places = st.lists(st.integers(0, 200), max_size=8)


def cut(data: bytes, where: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(data) + 1) for place in where), len(data)]
    return [data[start:stop] for start, stop in pairwise(edges) if start < stop]


def stuffed(blocks: list[bytes]) -> bytes:
    stuffer = DotStuffer()
    return b"".join([stuffer.feed(block) for block in blocks]) + stuffer.finish()


def chunks_of(blocks: list[bytes]) -> list[bytes]:
    chunker = Chunker()
    chunks = [chunk for block in blocks if (chunk := chunker.feed(block)) is not None]
    return [*chunks, chunker.finish()]


@given(clean, places)
def test_decoding_data_gives_the_content_for_any_blocks(content: bytes, where: list[int]) -> None:
    got, rest = unstuff(stuffed(cut(content, where)))
    assert rest == b""
    assert got == content if content.endswith(b"\r\n") or not content else got == content + b"\r\n"


@pytest.mark.parametrize(
    ("blocks", "sent"),
    [
        ([], b".\r\n"),
        ([b"a"], b"a\r\n.\r\n"),
        ([b"a\r\n"], b"a\r\n.\r\n"),
        ([b"."], b"..\r\n.\r\n"),
        ([b"a\r\n", b".\r\n"], b"a\r\n..\r\n.\r\n"),
        ([b"a\r", b"\n.b\r\n"], b"a\r\n..b\r\n.\r\n"),
        ([b"a\r\n.", b"\r\n"], b"a\r\n..\r\n.\r\n"),
        ([b"a.", b".b\r\n"], b"a..b\r\n.\r\n"),
        ([b"a\r\n", b".", b".", b"\r\n"], b"a\r\n...\r\n.\r\n"),
        ([b"a\r"], b"a\r\n.\r\n"),
    ],
)
def test_dots_and_line_ends_at_block_borders(blocks: list[bytes], sent: bytes) -> None:
    assert stuffed(blocks) == sent


@given(dangerous.map(b"".join), places)
def test_smuggling_no_content_ends_data_early_or_holds_a_bare_cr_or_lf(
    content: bytes, where: list[int]
) -> None:
    """A lax server that takes LF.LF or CR.CR for the end sees only the real one, whatever reaches us."""
    sent = stuffed(cut(content, where))
    assert re.search(rb"\r(?!\n)|(?<!\r)\n", sent) is None
    assert (b"\r\n" + sent).count(b"\r\n.\r\n") == 1
    got, rest = unstuff(sent)
    assert rest == b""
    expected = re.sub(rb"\r\n|\r|\n", b"\r\n", content)
    assert got in (expected, expected + b"\r\n")


@given(clean, places, st.integers(1, 12))
def test_chunks_add_up_to_the_content_and_only_the_last_is_short(
    content: bytes, where: list[int], chunk_octets: int
) -> None:
    before = client_content.CHUNK_OCTETS
    client_content.CHUNK_OCTETS = chunk_octets
    try:
        chunks = chunks_of(cut(content, where))
    finally:
        client_content.CHUNK_OCTETS = before
    assert b"".join(chunks) == content
    assert all(len(chunk) >= chunk_octets for chunk in chunks[:-1])
    assert chunks[-1] or not content


@given(dangerous.map(b"".join), places)
def test_chunks_hold_no_bare_cr_or_lf_either(content: bytes, where: list[int]) -> None:
    assert b"".join(chunks_of(cut(content, where))) == re.sub(rb"\r\n|\r|\n", b"\r\n", content)
