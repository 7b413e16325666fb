"""What this server offers to people who read mail, as every page that tells of it needs it.

Invariants: nobody learns here whether an account exists: only the domain of an address is looked at.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from fedaemon.errors import BadSyntax
from fedaemon.message.address import Address, parse_address
from fedaemon.message.domain import parse_domain
from fedaemon.web.advertised import Advertised, Service
from fedaemon.web.exchange import Asked

Hosted = Callable[[str], Awaitable[bool]]
"""Tells whether a domain (lower-case A-labels) is ours."""


@dataclass(frozen=True, slots=True)
class Offer:
    """*places* are best first; *https_port* is None where no listener of ours has HTTPS."""

    hostname: str
    places: tuple[Advertised, ...]
    https_port: int | None = None

    def of(self, service: Service) -> tuple[Advertised, ...]:
        """Return the places of one service, best first."""
        return tuple(place for place in self.places if place.service == service)

    def url(self, path: str, domain: str) -> str:
        """Return where *path* is found over HTTPS.

        With a listener of our own it is under our name, which its certificate has. Without one a web server passes
        on what is asked under the names of *domain*, and may not have ours.
        """
        if self.https_port is None:
            return f"https://autodiscover.{domain}{path}"
        port = "" if self.https_port == 443 else f":{self.https_port}"
        return f"https://{self.hostname}{port}{path}"


def read_address(text: str) -> Address | None:
    """Return the address that *text* is, None when it is none."""
    try:
        return parse_address(text.strip())
    except BadSyntax:
        return None


def domain_asked_for(asked: Asked, text: str, prefix: str) -> str | None:
    """Return the domain that is meant: that of the address *text*, or of the host name behind *prefix*."""
    if text:
        address = read_address(text)
        return None if address is None else address.domain
    try:
        return parse_domain(asked.host.removeprefix(prefix))
    except BadSyntax:
        return None
