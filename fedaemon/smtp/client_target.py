"""What a connection is made to, and what it must have: decided for each attempt, host and address.

Two connections with equal targets can take each other's messages.

Standards: RFC 8689 4.2.1 (REQUIRETLS), 5 (TLS-Required: No).
Invariants: credentials leave only under TLS or to this machine, so nothing that has credentials is
opportunistic; REQUIRETLS wins over everything that asks for less.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from ipaddress import ip_address
from typing import Final

from fedaemon.delivery.transport import Attempt, HostTls, NextHost, Source, TlsPolicy

_WAIVED: Final = HostTls(TlsPolicy.OPPORTUNISTIC, "tls-required: no")


@dataclass(frozen=True, slots=True)
class Target:
    """One address of a host, and how to connect to it; *source* None: the system chooses."""

    host: str
    address: str
    port: int
    tls: HostTls
    source: Source | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)

    @property
    def place(self) -> tuple[str, int]:
        """Address and port."""
        return self.address, self.port

    @property
    def lenient(self) -> bool:
        """True when the message is delivered without TLS if there is none to be had."""
        return self.tls.level is TlsPolicy.OPPORTUNISTIC or self.tls.testing


def target_of(attempt: Attempt, host: NextHost, address: str, source: Source | None) -> Target:
    """Return what *attempt* has to connect to for *address* of *host*."""
    tls = tls_for(attempt, host)
    if host.username is not None and not is_loopback(address):
        if tls.testing:
            tls = replace(tls, testing=False)
        elif tls.level is TlsPolicy.OPPORTUNISTIC:
            tls = replace(tls, level=TlsPolicy.REQUIRED, policy="route")
    return Target(host.name, address, host.port, tls, source, host.username, host.password)


def tls_for(attempt: Attempt, host: NextHost) -> HostTls:
    """Return what TLS with *host* must be for this message.

    What the recipient's side publishes (DANE, MTA-STS) gives way to the author's wish; what our own operator
    set for a route or a domain does not.

    Spec: RFC 8689 4.2.1, 5
    """
    tls = host.tls
    if attempt.require_tls:
        if tls.level in (TlsPolicy.VERIFY, TlsPolicy.DANE) and not tls.testing:
            return tls
        return replace(
            tls,
            level=TlsPolicy.VERIFY,
            policy="requiretls",
            testing=False,
            problem=tls.problem if not tls.testing else "",
            failure="",
        )
    if attempt.tls_optional and (tls.policy == "dane" or tls.policy.startswith("mta-sts")):
        return _WAIVED
    return tls


def choose_source(sources: tuple[Source, ...], address: str) -> Source | None:
    """Return the best source of the family of *address*, or None."""
    family = ":" in address
    for source in sources:
        if (":" in source.address) == family:
            return source
    return None


def is_loopback(address: str) -> bool:
    """True for an address of this machine alone."""
    return ip_address(address.partition("%")[0]).is_loopback
