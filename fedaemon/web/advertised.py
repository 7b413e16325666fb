"""What mail programs are told to connect to, worked out from the listeners.

One answer for everybody who asks: autoconfig, Autodiscover and Apple's profiles here, the SRV records that
``fedaemonctl setup`` prints, and the ports that ``fedaemonctl doctor`` tries.

Standards: RFC 6186 3 and RFC 8314 5.1 (the labels of SRV records).
Invariants: a listener without TLS is never advertised, because nobody can log in there; one that only this
machine can reach is advertised when the server itself is named "localhost", and to nobody else.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final, Literal, Protocol, cast

Service = Literal["imap", "pop3", "submission"]
Tls = Literal["implicit", "starttls"]

SYSTEMD: Final = "systemd:"

USUAL_PORTS: Final[dict[tuple[str, str], int]] = {
    ("imap", "implicit"): 993,
    ("imap", "starttls"): 143,
    ("pop3", "implicit"): 995,
    ("pop3", "starttls"): 110,
    ("submission", "implicit"): 465,
    ("submission", "starttls"): 587,
}
"""The port that clients try first, in the order in which they are advertised. Spec: RFC 8314 3.2, 3.3."""

_RANK: Final = {kind: rank for rank, kind in enumerate(USUAL_PORTS)}

SRV_LABELS: Final = {
    ("imap", "implicit"): "_imaps",
    ("imap", "starttls"): "_imap",
    ("pop3", "implicit"): "_pop3s",
    ("pop3", "starttls"): "_pop3",
    ("submission", "implicit"): "_submissions",
    ("submission", "starttls"): "_submission",
}
"""The first label of a SRV record, such as "_imaps" of ``_imaps._tcp.DOMAIN``.

Spec: RFC 6186 3.1-3.3, RFC 8314 5.1.
"""


class ListenerLike(Protocol):
    """What is looked at of a listener; ``config.Listener`` has it."""

    @property
    def service(self) -> str: ...

    @property
    def address(self) -> str: ...

    @property
    def port(self) -> int: ...

    @property
    def tls(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Advertised:
    """One place to connect to. *tls* says how it begins: "implicit" from the first octet, or "starttls"."""

    service: Service
    tls: Tls
    host: str
    port: int


def advertised(hostname: str, listeners: Iterable[ListenerLike]) -> tuple[Advertised, ...]:
    """Return what clients are told, best first within each service: IMAP, POP3, submission.

    :param hostname: the server's name, as it stands in its certificate.
    :param listeners: all listeners; a port of 0 stands for the usual one of a systemd socket, and is left out
        where we open the socket ourselves, because nobody knows the port before.
    """
    found = {
        (each.service, each.tls, port)
        for each in listeners
        if (each.service, each.tls) in USUAL_PORTS and reachable(hostname, each.address)
        if (port := _port(each))
    }
    places = [
        Advertised(cast(Service, service), cast(Tls, tls), hostname, port) for service, tls, port in found
    ]
    return tuple(sorted(places, key=_preference))


def https_port(hostname: str, listeners: Iterable[ListenerLike]) -> int | None:
    """Return the port on which people reach our own HTTPS, 443 if there is a choice; None without it."""
    ports = {
        each.port or 443
        for each in listeners
        if (each.service, each.tls) == ("http", "implicit") and reachable(hostname, each.address)
    }
    return min(ports, key=lambda port: (port != 443, port), default=None)


def reachable(hostname: str, address: str) -> bool:
    """Tell whether a listener at *address* is there for others than this machine's own programs."""
    if hostname == "localhost" or address.startswith(SYSTEMD):
        return True
    return not (address and ip_address(address).is_loopback)


def from_here(address: str) -> str:
    """Return the address at which this machine itself reaches a listener at *address*."""
    if address.startswith(SYSTEMD) or ip_address(address).is_unspecified:
        return "127.0.0.1"
    return address


def _port(listener: ListenerLike) -> int:
    if listener.port or not listener.address.startswith(SYSTEMD):
        return listener.port
    return USUAL_PORTS[listener.service, listener.tls]


def _preference(place: Advertised) -> tuple[int, bool, int]:
    kind = (place.service, place.tls)
    return _RANK[kind], place.port != USUAL_PORTS[kind], place.port
