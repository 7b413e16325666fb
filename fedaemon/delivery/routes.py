"""Routes: destinations whose mail goes to a named host instead of where DNS says.

Invariants: the first match wins; without a match, MX. A pattern is "*" (everything), a domain, or "*.domain"
(its subdomains, not itself).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from fedaemon.delivery.transport import TlsPolicy


@dataclass(frozen=True, slots=True)
class Route:
    """A rule for the destinations that *domain* matches; *host* is a name or an IP address."""

    domain: str
    host: str
    port: int
    tls: TlsPolicy = TlsPolicy.OPPORTUNISTIC
    username: str | None = None
    password: str | None = field(default=None, repr=False)

    def matches(self, destination: str) -> bool:
        """Return True when mail for *destination* (lower-case A-labels, or a literal) goes this way."""
        pattern = self.domain.lower()
        if pattern == "*":
            return True
        if pattern.startswith("*."):
            return destination.endswith(pattern[1:]) and len(destination) > len(pattern) - 1
        return destination == pattern


def match(routes: Sequence[Route], destination: str) -> Route | None:
    """Return the first route for *destination*, or None."""
    return next((route for route in routes if route.matches(destination)), None)
