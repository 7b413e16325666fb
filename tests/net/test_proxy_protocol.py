"""PROXY protocol: real headers are read at any split, and nothing else gets through."""

from __future__ import annotations

import itertools
import socket
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedaemon.errors import BadSyntax
from fedaemon.net.proxy_protocol import MAX_V2_OCTETS, V2_SIGNATURE, ProxyHeader, ProxyParser

V1_TCP4 = b"PROXY TCP4 192.0.2.7 198.51.100.1 50000 25\r\n"
V1_TCP6 = b"PROXY TCP6 2001:db8::7 2001:db8::1 50000 465\r\n"


def v2(command: int, family: int, body: bytes) -> bytes:
    return V2_SIGNATURE + struct.pack("!BBH", 0x20 | command, family, len(body)) + body


V2_TCP4 = v2(
    1,
    0x11,
    socket.inet_aton("192.0.2.7") + socket.inet_aton("198.51.100.1") + struct.pack("!HH", 50000, 25),
)
V2_TCP6_WITH_TLVS = v2(
    1,
    0x21,
    socket.inet_pton(socket.AF_INET6, "2001:db8::7")
    + socket.inet_pton(socket.AF_INET6, "2001:db8::1")
    + struct.pack("!HH", 50000, 465)
    + b"\x05\x00\x03abc\x04\x00\x01\x00",
)
GOOD = [
    (V1_TCP4, False, ("192.0.2.7", 50000, "198.51.100.1", 25)),
    (V1_TCP6, False, ("2001:db8::7", 50000, "2001:db8::1", 465)),
    (b"PROXY UNKNOWN\r\n", True, ("", 0, "", 0)),
    (b"PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n", True, ("", 0, "", 0)),
    (V2_TCP4, False, ("192.0.2.7", 50000, "198.51.100.1", 25)),
    (V2_TCP6_WITH_TLVS, False, ("2001:db8::7", 50000, "2001:db8::1", 465)),
    (v2(0, 0x00, b""), True, ("", 0, "", 0)),
    (v2(0, 0x11, bytes(12)), True, ("", 0, "", 0)),
    (v2(1, 0x00, b"\x04\x00\x01\x00"), True, ("", 0, "", 0)),
]


def read_in_blocks(blocks: list[bytes]) -> tuple[ProxyHeader | None, bytes]:
    """Feed the blocks; return the header and everything after it."""
    parser = ProxyParser()
    for position, block in enumerate(blocks):
        header = parser.feed(block)
        if header is not None:
            return header, block[header.consumed :] + b"".join(blocks[position + 1 :])
    return None, b""


@pytest.mark.parametrize(("data", "local", "fields"), GOOD)
@settings(max_examples=40)
@given(cuts=st.lists(st.integers(0, 130), max_size=6), rest=st.binary(max_size=20))
def test_any_split_gives_the_same_header_and_leaves_the_same_rest(
    data: bytes, local: bool, fields: tuple[str, int, str, int], cuts: list[int], rest: bytes
) -> None:
    """A header is read alike however TCP cuts it, and the client's octets behind it are all there."""
    stream = data + rest
    edges = sorted({0, len(stream), *(cut % (len(stream) + 1) for cut in cuts)})
    header, after = read_in_blocks([stream[a:b] for a, b in itertools.pairwise(edges)])
    assert header is not None
    assert header.local is local
    assert (header.source, header.source_port, header.destination, header.destination_port) == fields
    assert after == rest


@pytest.mark.parametrize(("data", "local", "fields"), GOOD)
def test_nothing_is_said_before_the_last_octet(data: bytes, local: bool, fields: object) -> None:
    """A header that is not complete is neither taken nor refused."""
    parser = ProxyParser()
    answers = [parser.feed(data[i : i + 1]) for i in range(len(data))]
    assert answers[:-1] == [None] * (len(data) - 1)
    assert answers[-1] is not None
    assert answers[-1].consumed == 1


@pytest.mark.parametrize(
    "data",
    [
        b"EHLO client.example\r\n",
        b"\x16\x03\x01",
        b"P ",
        b"PROXY\r\n",
        b"PROXY TCP4 192.0.2.7 198.51.100.1 50000 25\n",
        b"PROXY TCP4 192.0.2.7 198.51.100.1 50000\r\n",
        b"PROXY TCP4  192.0.2.7 198.51.100.1 50000 25\r\n",
        b"PROXY TCP4 2001:db8::7 198.51.100.1 50000 25\r\n",
        b"PROXY TCP6 192.0.2.7 198.51.100.1 50000 25\r\n",
        b"PROXY TCP4 192.0.2.7 198.51.100.1 050 25\r\n",
        b"PROXY TCP4 192.0.2.7 198.51.100.1 -1 25\r\n",
        b"PROXY TCP4 192.0.2.7 198.51.100.1 65536 25\r\n",
        b"PROXY TCP4 192.0.2.256 198.51.100.1 1 25\r\n",
        b"PROXY TCP4 \xff\xfe 198.51.100.1 1 25\r\n",
        b"PROXY UDP4 192.0.2.7 198.51.100.1 1 25\r\n",
        b"PROXY UNKNOWN " + b"x" * 100,
        V2_SIGNATURE + b"\x11\x11\x00\x0c" + bytes(12),
        V2_SIGNATURE + b"\x22\x11\x00\x0c" + bytes(12),
        v2(1, 0x12, bytes(12)),
        v2(1, 0x31, bytes(216)),
        v2(1, 0x11, bytes(11)),
        v2(1, 0x21, bytes(12)),
        V2_SIGNATURE + struct.pack("!BBH", 0x21, 0x11, MAX_V2_OCTETS),
    ],
)
def test_what_is_no_header_is_refused(data: bytes) -> None:
    """A client that came past the proxy, or a proxy that talks nonsense, gets no session."""
    with pytest.raises(BadSyntax):
        ProxyParser().feed(data)


@settings(max_examples=150)
@given(st.binary(max_size=200), st.sampled_from([b"", b"PROXY ", V2_SIGNATURE, V2_SIGNATURE + b"\x21\x11"]))
def test_garbage_raises_only_bad_syntax(garbage: bytes, start: bytes) -> None:
    """Nothing but BadSyntax escapes the parser, and what it consumed was there."""
    try:
        header = ProxyParser().feed(start + garbage)
    except BadSyntax:
        return
    assert header is None or 0 < header.consumed <= len(start + garbage)
