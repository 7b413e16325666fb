"""Says for each host of a destination what TLS it must have: by the settings, DANE, MTA-STS, or by chance.

Theory of operation: DANE is asked first, and what it demands of a host holds. MTA-STS speaks for the other hosts.
The settings come before both: "none" and "opportunistic" switch them off for a domain (the way out when a domain
has published nonsense), "required" and "verify" are the least that a connection must have, and "dane" refuses
hosts without usable TLSA records.

Standards: RFC 7672 2.2 (DANE), RFC 8461 2 (DANE comes before MTA-STS) and 4 (what MTA-STS demands), RFC 8460 4.3
(result types), RFC 7435 (opportunistic otherwise).
Invariants: finding never fails. Where it is not known whether a policy demands something, because answers are
forged or missing or we have a bug, the host is not used for now; it is never used with less instead.
Known gaps: "verify" checks the certificate for the name in the MX record, which without DNSSEC could be forged.
Where DANE or MTA-STS demand at least what the settings do, the demand bears their name, and an author's
``TLS-Required: No`` (RFC 8689 5) waives it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final, Protocol

from twisted.internet.defer import Deferred, FirstError, gatherResults
from twisted.python.failure import Failure

from fedaemon.delivery.tls_policy.dane import DaneResolver, host_tls
from fedaemon.delivery.tls_policy.sts import NO_POLICY, StsAnswer
from fedaemon.delivery.tls_policy.sts_policy import StsPolicy
from fedaemon.delivery.transport import OPPORTUNISTIC, HostTls, NextHost, TlsPolicy
from fedaemon.errors import MailError
from fedaemon.logs import Logger

Override = tuple[str, TlsPolicy]
"""A domain, "*.domain" for its subdomains or "*" for all; and what its hosts must have."""

BY_DOMAIN: Final = "domain"
ENFORCE: Final = "mta-sts enforce"
TESTING: Final = "mta-sts testing"

VALIDATION_FAILURE: Final = "validation-failure"
DANE_REQUIRED: Final = "dane-required"

_log = Logger()


class Policies(Protocol):
    """What is asked of MTA-STS (``StsPolicies``)."""

    def find(self, domain: str) -> Deferred[StsAnswer]:
        """Fire with the policy of *domain*."""


FailureCount = Callable[[str, str, str, bool, str], None]
"""``TlsResults.record``."""


class PolicyFinder:
    """Finds policies.

    :param overrides: settings for domains; the first that matches holds.
    :param record: is told of MTA-STS policies that could not be had.
    """

    def __init__(
        self,
        resolver: DaneResolver,
        policies: Policies,
        *,
        overrides: Sequence[Override] = (),
        record: FailureCount,
    ) -> None:
        self._resolver = resolver
        self._policies = policies
        self._record = record
        self.configure(overrides)

    def configure(self, overrides: Sequence[Override]) -> None:
        """Go on with other settings for domains."""
        self._overrides = tuple((pattern.lower(), level) for pattern, level in overrides)

    def find(
        self, destination: str, hosts: tuple[NextHost, ...], *, mx_secure: bool
    ) -> Deferred[tuple[NextHost, ...]]:
        """Fire with *hosts*, in their order, and what TLS each must have; never fail.

        :param destination: a domain (lower-case A-labels) or an address literal.
        :param hosts: what its MX records name, or the domain itself; not the host of a route.
        :param mx_secure: DNSSEC authenticates the MX records, or that there are none.
        """
        return Deferred.fromCoroutine(self._apply(destination, hosts, mx_secure))

    async def _apply(
        self, destination: str, hosts: tuple[NextHost, ...], mx_secure: bool
    ) -> tuple[NextHost, ...]:
        try:
            demands = await self._find(destination, hosts, mx_secure)
        except Exception as error:
            demands = [_unknown(error, destination)] * len(hosts)
        return tuple(replace(host, tls=tls) for host, tls in zip(hosts, demands, strict=True))

    async def _find(
        self, destination: str, hosts: tuple[NextHost, ...], mx_secure: bool
    ) -> Sequence[HostTls]:
        override = self._override(destination)
        if override in (TlsPolicy.NONE, TlsPolicy.OPPORTUNISTIC):
            return [HostTls(override, BY_DOMAIN)] * len(hosts)
        is_domain = not destination.startswith("[")
        by_dane: list[HostTls | None] = [None] * len(hosts)
        if mx_secure and is_domain:
            asked = [Deferred.fromCoroutine(host_tls(self._resolver, host, destination)) for host in hosts]
            by_dane = await gatherResults(asked, consumeErrors=True)
        if override is TlsPolicy.DANE:
            return [_demand_dane(host, found) for host, found in zip(hosts, by_dane, strict=True)]
        answer = NO_POLICY
        if is_domain and not all(map(_is_final, by_dane)):
            answer = await self._policies.find(destination)
            if answer.failure:
                self._record(destination, "sts", "", False, answer.failure)
        return [
            _at_least(override, host, _by_sts(host, found, answer.policy, destination))
            for host, found in zip(hosts, by_dane, strict=True)
        ]

    def _override(self, destination: str) -> TlsPolicy | None:
        for pattern, level in self._overrides:
            if pattern in ("*", destination):
                return level
            if pattern.startswith("*.") and destination.endswith(pattern[1:]):
                return level
        return None


def _is_final(found: HostTls | None) -> bool:
    """True when DANE has the last word about a host: it authenticates the host, or forbids it for now."""
    return found is not None and found.level is TlsPolicy.DANE


def _by_sts(host: NextHost, found: HostTls | None, policy: StsPolicy | None, destination: str) -> HostTls:
    """Return what DANE (*found*) and MTA-STS together demand. Spec: RFC 8461 2, 4"""
    if policy is None or policy.mode == "none" or _is_final(found):
        return found or OPPORTUNISTIC
    if policy.mode == "testing" and found is not None:
        return found
    problem = failure = ""
    if not policy.allows(host.name):
        problem = f"the MTA-STS policy of {destination} does not allow mail to go to {host.name}"
        failure = VALIDATION_FAILURE
    if policy.mode == "testing":
        # The problem is counted, and the host is used all the same.
        return HostTls(policy=TESTING, names=(host.name,), testing=True, problem=problem, failure=failure)
    return HostTls(TlsPolicy.VERIFY, ENFORCE, names=(host.name,), problem=problem, failure=failure)


def _demand_dane(host: NextHost, found: HostTls | None) -> HostTls:
    """Return what DANE says, or that it would have to say something."""
    if found is not None and _is_final(found):
        return found
    text = f"the settings demand DANE, but DNS has no secure, usable TLSA record for {host.name}"
    return HostTls(TlsPolicy.DANE, BY_DOMAIN, problem=text, failure=DANE_REQUIRED)


def _at_least(override: TlsPolicy | None, host: NextHost, tls: HostTls) -> HostTls:
    """Return *tls*, or what the settings demand at least when that is more."""
    if override is None or tls.level in (TlsPolicy.VERIFY, TlsPolicy.DANE):
        return tls
    if override is TlsPolicy.VERIFY:
        return HostTls(TlsPolicy.VERIFY, BY_DOMAIN, names=(host.name,))
    if tls.level is TlsPolicy.REQUIRED:
        return tls
    # What is only tested would be delivered without TLS, too; that is less than the settings demand.
    return HostTls(TlsPolicy.REQUIRED, BY_DOMAIN)


def _unknown(error: BaseException, destination: str) -> HostTls:
    """Return the demand when it could not be found out: nothing is sent unprotected by mistake."""
    if isinstance(error, FirstError):
        error = error.subFailure.value or error
    if isinstance(error, MailError):
        why = error.text
    else:
        why = f"a fault of this server ({type(error).__name__})"
        _log.failure("a TLS policy was not found", Failure(error), event="defect", destination=destination)
    text = f"the TLS policy of {destination} cannot be found out: {why}"
    return HostTls(TlsPolicy.VERIFY, problem=text, failure=VALIDATION_FAILURE)
