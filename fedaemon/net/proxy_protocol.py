"""Reads the PROXY protocol header that a load balancer puts before a connection's first byte.

It exists so that limits, lock-outs and logs see the client's address and not the balancer's. A listener that
is set to expect the header takes no connection without one: otherwise anybody could choose their own address.

Standards: the PROXY protocol, versions 1 and 2 (HAProxy, doc/proxy-protocol.txt, sections 2.1 and 2.2).
Invariants: no I/O; any split of the input gives the same answer; what is not a header is refused at its first
wrong octet; octets after the header are never looked at.
Limits: a version 1 line has at most 107 octets (the specification's own limit), a version 2 header at most
``MAX_V2_OCTETS``.
Known gaps: additional values (TLVs) of version 2 are skipped, their checksum included.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from fedaemon.errors import BadSyntax

V1_PREFIX = b"PROXY "
V2_SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
MAX_V1_OCTETS = 107
MAX_V2_OCTETS = 4096
"""Addresses need 52; the rest is room for TLVs (a TLS client certificate's name, a unique id)."""

_V2_FIXED = struct.Struct("!12sBBH")
_V2_TCP4 = struct.Struct("!4s4sHH")
_V2_TCP6 = struct.Struct("!16s16sHH")


@dataclass(frozen=True, slots=True)
class ProxyHeader:
    """What the balancer said.

    *local* is True when it speaks for itself (health check) or does not know the client: the connection's own
    addresses count then, and the address fields are empty. *consumed* is how many octets of the block given
    last to ``ProxyParser.feed`` belong to the header; what follows them is the client's.
    """

    consumed: int
    local: bool = False
    source: str = ""
    source_port: int = 0
    destination: str = ""
    destination_port: int = 0


class ProxyParser:
    """Collects one header from blocks of any size."""

    __slots__ = ("_buffer",)

    def __init__(self) -> None:
        self._buffer = b""

    def feed(self, data: bytes) -> ProxyHeader | None:
        """Take the next block; return the header once complete, None while octets are missing.

        :raises BadSyntax: this is not a PROXY protocol header; the connection should be closed without a
            word.
        """
        before = len(self._buffer)
        buffer = self._buffer = self._buffer + data
        if buffer.startswith(V1_PREFIX):
            return _read_v1(buffer, before)
        if buffer.startswith(V2_SIGNATURE):
            return _read_v2(buffer, before)
        if V1_PREFIX.startswith(buffer) or V2_SIGNATURE.startswith(buffer):
            return None
        raise BadSyntax("no PROXY protocol header; connect through the proxy, or turn proxy_protocol off")


def _read_v1(buffer: bytes, before: int) -> ProxyHeader | None:
    """Read ``PROXY TCP4 192.0.2.1 198.51.100.1 50000 25`` CRLF."""
    end = buffer.find(b"\n", 0, MAX_V1_OCTETS)
    if end < 0:
        if len(buffer) >= MAX_V1_OCTETS:
            raise BadSyntax("PROXY line is longer than 107 octets")
        return None
    consumed = end + 1 - before
    if buffer[end - 1 : end] != b"\r":
        raise BadSyntax("PROXY line does not end in CRLF")
    fields = buffer[: end - 1].split(b" ")
    if fields[1] == b"UNKNOWN":
        return ProxyHeader(consumed, local=True)
    if len(fields) != 6 or fields[1] not in (b"TCP4", b"TCP6"):
        raise BadSyntax("PROXY line is not of the form PROXY TCP4|TCP6 SOURCE DESTINATION PORT PORT")
    family = IPv4Address if fields[1] == b"TCP4" else IPv6Address
    try:
        source, destination = (str(family(field.decode("ascii"))) for field in fields[2:4])
    except ValueError:
        raise BadSyntax("PROXY line has a bad address") from None
    return ProxyHeader(consumed, False, source, _port_of(fields[4]), destination, _port_of(fields[5]))


def _port_of(text: bytes) -> int:
    """Return the port written as *text*; no sign, no leading zero."""
    if not text.isdigit() or len(text) > 5 or (text[:1] == b"0" and text != b"0") or int(text) > 65535:
        raise BadSyntax("PROXY line has a bad port")
    return int(text)


def _read_v2(buffer: bytes, before: int) -> ProxyHeader | None:
    """Read the binary form: signature, version and command, family, length, addresses, TLVs."""
    if len(buffer) < _V2_FIXED.size:
        return None
    _, version_command, family, length = _V2_FIXED.unpack_from(buffer)
    end = _V2_FIXED.size + length
    if version_command not in (0x20, 0x21):
        raise BadSyntax("PROXY header has an unknown version or command")
    if end > MAX_V2_OCTETS:
        raise BadSyntax(f"PROXY header is longer than {MAX_V2_OCTETS} octets")
    if len(buffer) < end:
        return None
    consumed = end - before
    if version_command == 0x20 or family == 0x00:
        return ProxyHeader(consumed, local=True)
    form = {0x11: _V2_TCP4, 0x21: _V2_TCP6}.get(family)
    if form is None or length < form.size:
        raise BadSyntax("PROXY header is not about TCP over IPv4 or IPv6, or is too short")
    source, destination, source_port, destination_port = form.unpack_from(buffer, _V2_FIXED.size)
    address = IPv4Address if family == 0x11 else IPv6Address
    return ProxyHeader(
        consumed, False, str(address(source)), source_port, str(address(destination)), destination_port
    )
