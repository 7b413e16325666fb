"""Finds the hosts to try for a destination: a route, an address literal, the MX records, or the domain
itself.

What was found is kept for ``KEPT_S``, so that a burst to one domain is not a burst of questions, and so that its
messages go to the same host in one order and share connections.

Standards: RFC 5321 5.1 (MX, preferences, implicit MX, loops), RFC 7505 (null MX), RFC 3463.
Invariants: a DNS failure is temporary; permanent is only what DNS says for certain. Our own name in the MX
list takes itself and everything that is not better out of it; when nothing is left, mail would come back to
us: a loop.
Limits: ``MAX_HOSTS`` hosts and ``MAX_ADDRESSES`` addresses of each are tried, so that a strange zone cannot
keep an attempt busy for hours.
"""

from __future__ import annotations

import ipaddress
import random
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

from twisted.internet.defer import Deferred, DeferredList, succeed

from fedaemon.delivery.routes import Route, match
from fedaemon.delivery.transport import HostTls, NextHost
from fedaemon.errors import MailError, Refused, Unavailable
from fedaemon.net.resolver import Mx, MxAnswer, NoSuchName

MAX_HOSTS: Final = 10
MAX_ADDRESSES: Final = 10


KEPT_S: Final = 30.0
MAX_KEPT: Final = 10_000


class MailResolver(Protocol):
    """What is asked of DNS (``net/resolver.py``)."""

    def mx_answer(self, domain: str) -> Deferred[MxAnswer]:
        """Fire with the MX records, none of them when there are none."""

    def addresses(self, host: str) -> Deferred[list[str]]:
        """Fire with the addresses in the order to try them, [] when there are none."""


class TlsPolicies(Protocol):
    """Finds what TLS the hosts of a destination must have (``tls_policy/finder.py``)."""

    def find(
        self, destination: str, hosts: tuple[NextHost, ...], *, mx_secure: bool
    ) -> Deferred[tuple[NextHost, ...]]:
        """Fire with the hosts, their ``tls`` filled in; never fail."""


class HostFinder:
    """Finds next hosts.

    :param seconds: a clock.
    :param policies: finds the TLS policy of hosts that no route names; None for opportunistic TLS.
    :param names: our own names, in lower case, by which an MX list leads back to us.
    :param port: the port of hosts that MX records name.
    :param random: returns a number of 0 <= n < 1.
    """

    def __init__(
        self,
        resolver: MailResolver,
        *,
        names: Sequence[str],
        routes: Sequence[Route] = (),
        port: int = 25,
        random: Callable[[], float] = random.random,
        seconds: Callable[[], float] = time.monotonic,
        policies: TlsPolicies | None = None,
    ) -> None:
        self._resolver = resolver
        self._seconds = seconds
        self._policies = policies
        self._kept: OrderedDict[str, tuple[float, tuple[NextHost, ...]]] = OrderedDict()
        self._names = frozenset(name.lower() for name in names)
        self._routes = tuple(routes)
        self._port = port
        self._random = random

    def find(self, destination: str) -> Deferred[tuple[NextHost, ...]]:
        """Fire with the hosts for *destination* in the order to try them, never with none.

        Fails with ``Refused`` (permanent) or ``Unavailable`` (temporary), each saying what DNS said.

        Spec: RFC 5321 5.1
        """
        kept = self._kept.get(destination)
        if kept is not None and kept[0] > self._seconds():
            return succeed(kept[1])
        return Deferred.fromCoroutine(self._find_and_keep(destination))

    async def _find_and_keep(self, destination: str) -> tuple[NextHost, ...]:
        hosts = await self._find(destination)
        self._kept[destination] = (self._seconds() + KEPT_S, hosts)
        self._kept.move_to_end(destination)
        if len(self._kept) > MAX_KEPT:
            self._kept.popitem(last=False)
        return hosts

    async def _find(self, destination: str) -> tuple[NextHost, ...]:
        route = match(self._routes, destination)
        if route is not None:
            addresses = await self._route_addresses(route)
            tls = HostTls(route.tls, "route")
            return (NextHost(route.host, addresses, route.port, tls, route.username, route.password),)
        if destination.startswith("["):
            address = _literal(destination)
            return (NextHost(destination, (address,), self._port),)
        names, secure = await self._exchangers(destination)
        hosts = await self._resolve(names, destination)
        if self._policies is not None:
            hosts = await self._policies.find(destination, hosts, mx_secure=secure)
        return hosts

    async def _route_addresses(self, route: Route) -> tuple[str, ...]:
        """Look up a route's host. What is wrong with it is our settings' fault, so never permanent."""
        literal = _address(route.host.strip("[]"))
        if literal:
            return (literal,)
        try:
            found = await self._resolver.addresses(route.host)
        except NoSuchName:
            found = []
        if not found:
            raise Unavailable(
                f"the host {route.host} of the route for {route.domain} has no address", status="4.4.4"
            )
        return tuple(found[:MAX_ADDRESSES])

    async def _exchangers(self, domain: str) -> tuple[list[str], bool]:
        """Return the names of the mail exchangers in the order to try them, and whether DNSSEC vouches for
        them.
        """
        try:
            answer = await self._resolver.mx_answer(domain)
        except NoSuchName:
            raise Refused(f"the domain {domain} does not exist (DNS says NXDOMAIN)", status="5.1.2") from None
        found: Sequence[Mx] = answer.records
        if not found:
            return [domain], answer.secure
        if all(mx.host in ("", ".") for mx in found):
            raise Refused(f"the domain {domain} takes no mail (null MX)", code=556, status="5.1.10")
        ours = [mx.preference for mx in found if mx.host.lower() in self._names]
        if ours:
            found = [mx for mx in found if mx.preference < min(ours)]
            if not found:
                raise Refused(
                    f"mail for {domain} loops back: its best mail server is this one, which does not host it",
                    code=554,
                    status="5.4.6",
                )
        # Equal preferences are shuffled, so that the load is shared.
        order = sorted((mx.preference, self._random(), mx.host) for mx in found if mx.host not in ("", "."))
        hosts = list(dict.fromkeys(host for _, _, host in order))
        return hosts[:MAX_HOSTS], answer.secure

    async def _resolve(self, names: list[str], domain: str) -> tuple[NextHost, ...]:
        """Look up the addresses of all *names* at once; those without are left out."""
        asked = [self._resolver.addresses(name) for name in names]
        results: list[tuple[bool, Any]] = await DeferredList(asked, consumeErrors=True)
        hosts: list[NextHost] = []
        temporary: MailError | None = None
        for name, (good, found) in zip(names, results, strict=True):
            if good:
                if found:
                    hosts.append(NextHost(name, tuple(found[:MAX_ADDRESSES]), self._port))
            elif isinstance(found.value, NoSuchName):
                continue
            elif isinstance(found.value, MailError):
                temporary = found.value
            else:
                found.raiseException()
        if hosts:
            return tuple(hosts)
        if temporary is not None:
            raise Unavailable(
                f"no mail server of {domain} could be looked up: {temporary.text}", status="4.4.3"
            )
        if names == [domain]:
            raise Refused(f"the domain {domain} has no mail server and no address", status="5.1.2")
        raise Refused(
            f"none of the mail servers of {domain} has an address: {', '.join(names)}", status="5.4.4"
        )


def _address(text: str) -> str:
    """Return *text* as an IP address, "" when it is none."""
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return ""


def _literal(destination: str) -> str:
    """Return the IP address of an address literal."""
    text = destination.strip("[]")
    if text.lower().startswith("ipv6:"):
        text = text[len("ipv6:") :]
    address = _address(text)
    if not address:
        raise Refused(f"{destination} is not an address that mail can be sent to", status="5.1.2")
    return address
