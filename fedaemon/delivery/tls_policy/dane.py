"""Finds out from DNS whether a mail server must be authenticated by TLSA records (DANE).

Theory of operation: only a chain of secure answers counts. The MX records must be secure (the caller knows), then
the host's addresses; only then are TLSA records asked for, because servers of unsigned zones are known to answer
nothing sensible to that. An alias is looked at under the name where it leads first, then under its own; an alias
in a signed zone that leads to an unsigned one has TLSA records under its own name alone.

Standards: RFC 7672 2.1 (kinds of answers), 2.2 (secure MX, aliases, unusable records), 3.1 (usages), RFC 7671 9
(digest agility), RFC 6698 2.1.
Invariants: when a TLSA answer cannot be had where there may be one, the host is not used: an attacker who can
suppress answers must not be able to suppress authentication.
Known gaps: when the destination itself is an alias, the name where it leads is not a name that certificates of
usage 2 may be for.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Protocol

from twisted.internet.defer import Deferred

from fedaemon.delivery.transport import HostTls, NextHost, Tlsa, TlsPolicy
from fedaemon.errors import MailError
from fedaemon.net.resolver import AddressAnswer, TlsaAnswer, TlsaRecord

DANE: Final = "dane"
DNSSEC_INVALID: Final = "dnssec-invalid"

MAX_RECORDS: Final = 32
"""More records than this are a strange zone, and each costs a comparison with each certificate."""

_DIGEST_OCTETS: Final = {1: 32, 2: 64}


class DaneResolver(Protocol):
    """What is asked of DNS (``net/resolver.py``)."""

    def address_answer(self, host: str) -> Deferred[AddressAnswer]:
        """Fire with the addresses of *host*, where its aliases lead, and whether that is secure."""

    def alias_is_secure(self, host: str) -> Deferred[bool]:
        """Fire with True when *host* is an alias in a signed zone."""

    def tlsa(self, name: str) -> Deferred[TlsaAnswer]:
        """Fire with the TLSA records at *name*."""


async def host_tls(resolver: DaneResolver, host: NextHost, destination: str) -> HostTls | None:
    """Return what DANE says about a host of a secure MX answer; None when it says nothing.

    :param destination: the domain that mail goes to; a certificate of usage 2 may be for it, too.

    Spec: RFC 7672 2.2
    """
    try:
        for base in await _bases(resolver, host.name):
            answer = await resolver.tlsa(f"_{host.port}._tcp.{base}")
            if answer.secure and answer.records:
                return _demanded(answer.records, tuple(dict.fromkeys((base, host.name, destination))))
    except MailError as error:
        text = f"it is not known whether DANE protects {host.name}: {error.text}"
        return HostTls(TlsPolicy.DANE, DANE, problem=text, failure=DNSSEC_INVALID)
    return None


async def _bases(resolver: DaneResolver, host: str) -> tuple[str, ...]:
    """Return the names under which TLSA records may be, the one to look at first in front.

    Spec: RFC 7672 2.2.2, 2.2.3
    """
    found = await resolver.address_answer(host)
    if found.secure:
        return tuple(dict.fromkeys((found.name, host)))
    if found.name != host and await resolver.alias_is_secure(host):
        return (host,)
    return ()


def _demanded(records: Iterable[TlsaRecord], names: tuple[str, ...]) -> HostTls:
    """Return what secure TLSA records demand."""
    good = usable(records)
    if good:
        return HostTls(TlsPolicy.DANE, DANE, names=names, tlsa=good)
    # RFC 7672 2.2: a host that publishes TLSA records does TLS, even if none of them can be used.
    return HostTls(TlsPolicy.REQUIRED, DANE)


def usable(records: Iterable[TlsaRecord]) -> tuple[Tlsa, ...]:
    """Return the records that authenticate mail servers; of two digests of one kind only the stronger.

    Spec: RFC 7672 3.1, RFC 7671 9
    """
    good = [record for record in records if _is_usable(record)][:MAX_RECORDS]
    strongest: dict[tuple[int, int], int] = {}
    for record in good:
        kind = (record.usage, record.selector)
        strongest[kind] = max(strongest.get(kind, 0), record.matching)
    return tuple(
        Tlsa(record.usage, record.selector, record.matching, record.data)
        for record in good
        if record.matching in (0, strongest[record.usage, record.selector])
    )


def _is_usable(record: TlsaRecord) -> bool:
    # Usages 0 and 1 name public authorities, on which no two mail servers agree (RFC 7672 3.1.3).
    if record.usage not in (2, 3) or record.selector not in (0, 1) or record.matching not in (0, 1, 2):
        return False
    return len(record.data) == _DIGEST_OCTETS.get(record.matching, len(record.data)) and bool(record.data)
