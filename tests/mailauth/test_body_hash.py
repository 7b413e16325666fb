"""The body hash: equal to dkimpy's canonical form, however the body is cut, and linear in its length."""

from __future__ import annotations

import base64
import hashlib
import tracemalloc
from collections.abc import Iterator
from itertools import pairwise

import pytest
from dkim.canonicalization import Relaxed
from hypothesis import given
from hypothesis import strategies as st

from fedaemon.mailauth.body_hash import BodyHash
from fedaemon.mailauth.signature import CHUNK_OCTETS, hash_body

BODIES = st.lists(
    st.sampled_from(
        [b" ", b"\t", b"\r\n", b"\r", b"\n", b"x", b"\xc3\xa4", b"\0", b"word", b"\r\n\r\n", b"  "]
    )
).map(b"".join)


def digest(*blocks: bytes) -> bytes:
    body = BodyHash()
    for block in blocks:
        body.feed(block)
    return body.finish()


def dkimpys(body: bytes) -> bytes:
    """The digest of dkimpy's canonical form, of the body as DATA transfers it: its last line ended."""
    if body and not body.endswith(b"\r\n"):
        body += b"\r\n"
    return hashlib.sha256(Relaxed.canonicalize_body(body)).digest()


@given(BODIES)
def test_it_is_dkimpys_form(body: bytes) -> None:
    """White space, line ends and bare CR and LF in any order."""
    assert digest(body) == dkimpys(body)


@given(BODIES, st.lists(st.integers(0, 60)))
def test_any_cut_gives_the_same(body: bytes, cuts: list[int]) -> None:
    """Blocks of any size, empty ones among them."""
    edges = [0, *sorted(min(cut, len(body)) for cut in cuts), len(body)]
    assert digest(*(body[start:end] for start, end in pairwise(edges))) == dkimpys(body)


def test_every_cut_in_two_and_octet_by_octet() -> None:
    """A body with all that matters, cut at each boundary."""
    body = b" C \r\nD \t E\r\n \r\n\r\n \t\r\nlast \t \r\n\r\n \r\n"
    for cut in range(len(body) + 1):
        assert digest(body[:cut], body[cut:]) == dkimpys(body), cut
    assert digest(*(body[at : at + 1] for at in range(len(body)))) == dkimpys(body)


@pytest.mark.parametrize(
    ("body", "canonical"),
    [
        (b" C \r\nD \t E\r\n\r\n\r\n", b" C\r\nD E\r\n"),
        (b"", b""),
        (b"\r\n\r\n", b""),
        (b" \t\r\n \r\n", b""),
        (b"no line end", b"no line end\r\n"),
        (b"white space at the end \t", b"white space at the end\r\n"),
        (b"line\r\n  ", b"line\r\n"),
    ],
)
def test_the_canonical_form(body: bytes, canonical: bytes) -> None:
    """The example of the standard, and the edges of it. Spec: RFC 6376 3.4.4, 3.4.5"""
    assert digest(body) == hashlib.sha256(canonical).digest()


def test_the_hash_of_no_body() -> None:
    """The value that the standard gives. Spec: RFC 6376 3.4.4"""
    assert base64.b64encode(digest()) == b"47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="


class LongContent:
    """Content that is made as it is read, each chunk anew."""

    def __init__(self, line: bytes, chunks: int) -> None:
        self._line, self._chunks = line, chunks
        self.octets_given = 0

    @property
    def size(self) -> int:
        return self._chunks * CHUNK_OCTETS

    def chunks(self, size: int = 65536, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        for _ in range(self._chunks):
            self.octets_given += size
            yield bytes(bytearray((self._line * (size // len(self._line) + 1))[:size]))


@pytest.mark.parametrize("line", [b"text  and\tmore \r\n", b"\r\n", b" "])
def test_a_large_body_is_not_held(line: bytes) -> None:
    """32 MiB pass through a few chunks' worth of memory, also when nothing can be decided until the end."""
    content = LongContent(line, 256)
    tracemalloc.start()
    try:
        hash_body(content, 0)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert content.octets_given == content.size
    assert peak < 8 * CHUNK_OCTETS


def test_many_empty_lines_in_the_middle() -> None:
    """They count when something follows, however many they are."""
    body = b"a\r\n" + b"\r\n" * 20_001 + b"b\r\n"
    assert digest(*(body[at : at + 1000] for at in range(0, len(body), 1000))) == dkimpys(body)
