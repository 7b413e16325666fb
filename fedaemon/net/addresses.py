"""One form for each client address, whichever socket it came through.

A dual-stack socket shows IPv4 clients as ``::ffff:192.0.2.1``; limits, trusted networks and logs would take
them for somebody else.

Standards: RFC 4291 2.5.5.2 (IPv4-mapped addresses), RFC 4007 11 (zone ids).
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network, ip_address

Network = IPv4Network | IPv6Network

_MAPPED = "::ffff:"


def plain_address(text: str) -> str:
    """Return the address as IPv4 where it is one, and without a zone id (``fe80::1%eth0``)."""
    if ":" not in text:
        return text
    text = text.partition("%")[0]
    if text.lower().startswith(_MAPPED) and "." in text:
        return text[len(_MAPPED) :]
    return text


def in_networks(text: str, networks: Iterable[Network]) -> bool:
    """True when the address (as ``plain_address`` gives it) lies in one of *networks*."""
    try:
        address = ip_address(text)
    except ValueError:
        return False
    return any(address in network for network in networks)
