"""Finding the hosts for a destination."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from twisted.internet.defer import Deferred, fail, succeed

from fedaemon.delivery.mx import KEPT_S, MAX_ADDRESSES, MAX_HOSTS, HostFinder
from fedaemon.delivery.routes import Route, match
from fedaemon.delivery.transport import HostTls, NextHost, TlsPolicy
from fedaemon.errors import MailError, Refused, Unavailable
from fedaemon.net.resolver import DnsTemporary, Mx, MxAnswer, NoSuchName


class Zone:
    """A resolver with the answers of a test: records, [] for none, None for NXDOMAIN, an error."""

    def __init__(self, mx: Any = None, addresses: dict[str, Any] | None = None) -> None:
        self._mx = mx
        self._addresses = addresses or {}
        self.asked: list[str] = []
        self.secure = False

    def mx_answer(self, domain: str) -> Deferred[MxAnswer]:
        self.asked.append(domain)
        records = tuple(self._mx) if isinstance(self._mx, list) else self._mx
        return self._answer(records, domain).addCallback(MxAnswer, self.secure)

    def addresses(self, host: str) -> Deferred[list[str]]:
        self.asked.append(host)
        return self._answer(self._addresses.get(host, ["192.0.2.9"]), host)

    def _answer(self, answer: Any, name: str) -> Deferred[Any]:
        if answer is None:
            return fail(NoSuchName(f"{name} does not exist"))
        return fail(answer) if isinstance(answer, Exception) else succeed(answer)


def find(zone: Zone, destination: str = "remote.test", **options: Any) -> tuple[NextHost, ...]:
    """Return the hosts, or raise what the finder failed with."""
    finder = HostFinder(zone, **{"names": ("mail.example.test",), **options})
    found: list[Any] = []
    finder.find(destination).addBoth(found.append)
    if isinstance(found[0], tuple):
        return found[0]
    found[0].raiseException()
    raise AssertionError


def names(hosts: tuple[NextHost, ...]) -> list[str]:
    return [host.name for host in hosts]


def test_preferences_are_kept_and_equal_ones_shuffled() -> None:
    """RFC 5321 5.1: lower preference first; those that are equal in random order."""
    numbers = iter([0.9, 0.1, 0.5])
    zone = Zone([Mx(20, "c"), Mx(10, "a"), Mx(20, "b")])
    assert names(find(zone, random=lambda: next(numbers))) == ["a", "b", "c"]
    numbers = iter([0.1, 0.5, 0.9])
    assert names(find(zone, random=lambda: next(numbers))) == ["a", "c", "b"]


def test_hosts_have_their_addresses_and_the_mx_port() -> None:
    """Addresses in the order of the resolver; the port is the setting's."""
    zone = Zone([Mx(10, "a")], {"a": ["2001:db8::1", "192.0.2.1"]})
    assert find(zone, port=2525) == (NextHost("a", ("2001:db8::1", "192.0.2.1"), 2525),)


def test_a_domain_without_mx_is_its_own_host() -> None:
    """The implicit MX."""
    assert names(find(Zone([]))) == ["remote.test"]


def test_hosts_without_address_are_left_out() -> None:
    """One MX that does not exist and one whose look-up fails do no harm while a third is there."""
    zone = Zone([Mx(1, "a"), Mx(2, "b"), Mx(3, "c")], {"a": None, "b": DnsTemporary("SERVFAIL")})
    assert names(find(zone)) == ["c"]


FAILURES: list[tuple[Zone, type[MailError], str]] = [
    (Zone(None), Refused, "5.1.2"),
    (Zone([Mx(0, ".")]), Refused, "5.1.10"),
    (Zone([], {"remote.test": []}), Refused, "5.1.2"),
    (Zone([Mx(1, "a"), Mx(2, "b")], {"a": None, "b": []}), Refused, "5.4.4"),
    (Zone([Mx(1, "a"), Mx(2, "b")], {"a": None, "b": DnsTemporary("x")}), Unavailable, "4.4.3"),
    (Zone(DnsTemporary("SERVFAIL", status="4.4.3")), Unavailable, "4.4.3"),
    (Zone([Mx(10, "mail.example.test"), Mx(20, "b")]), Refused, "5.4.6"),
]


@pytest.mark.parametrize(("zone", "family", "status"), FAILURES)
def test_what_cannot_be_reached_says_why(zone: Zone, family: type[MailError], status: str) -> None:
    """Permanent is what DNS says for certain, temporary is everything else."""
    with pytest.raises(family) as failed:
        find(zone)
    assert failed.value.status == status


def test_a_loop_is_cut_at_our_own_name() -> None:
    """We are a backup MX for it: only better ones are tried."""
    zone = Zone([Mx(10, "better"), Mx(20, "MAIL.example.test"), Mx(20, "equal"), Mx(30, "worse")])
    assert names(find(zone)) == ["better"]


def test_a_strange_zone_costs_little() -> None:
    """A hundred MX with a hundred addresses each are cut to the limits."""
    hosts = [f"h{number}" for number in range(100)]
    zone = Zone([Mx(10, host) for host in hosts], {host: ["192.0.2.1"] * 100 for host in hosts})
    found = find(zone)
    assert len(found) == MAX_HOSTS
    assert len(found[0].addresses) == MAX_ADDRESSES


@pytest.mark.parametrize(
    ("literal", "address"), [("[192.0.2.1]", "192.0.2.1"), ("[IPv6:2001:db8::1]", "2001:db8::1")]
)
def test_an_address_literal_is_its_own_address(literal: str, address: str) -> None:
    """No DNS is asked."""
    zone = Zone()
    assert find(zone, literal)[0].addresses == (address,)
    assert zone.asked == []


def test_an_unknown_literal_is_refused() -> None:
    """Only IPv4 and IPv6 can be connected to."""
    with pytest.raises(Refused):
        find(Zone(), "[x400:foo]")


def test_a_route_goes_before_mx() -> None:
    """Its host, port, TLS and credentials are used, and MX is not asked."""
    zone = Zone(addresses={"relay.test": ["192.0.2.7"]})
    route = Route("*", "relay.test", 587, TlsPolicy.VERIFY, "user", "secret")
    found = find(zone, routes=(route,))
    assert found == (
        NextHost("relay.test", ("192.0.2.7",), 587, HostTls(TlsPolicy.VERIFY, "route"), "user", "secret"),
    )
    assert zone.asked == ["relay.test"]
    assert "secret" not in repr(route) + repr(found)


@pytest.mark.parametrize("answer", [None, [], DnsTemporary("SERVFAIL")])
def test_a_route_that_is_wrong_is_our_own_fault(answer: Any) -> None:
    """Never permanent for the mail (promise 2)."""
    with pytest.raises(Unavailable):
        find(Zone(addresses={"relay.test": answer}), routes=(Route("*", "relay.test", 25),))


def test_a_route_to_an_address_asks_nobody() -> None:
    """An IP address is used as it is."""
    zone = Zone()
    assert find(zone, routes=(Route("*", "127.0.0.1", 2525),))[0].addresses == ("127.0.0.1",)
    assert zone.asked == []


ROUTES = (
    Route("a.test", "one", 25),
    Route("*.a.test", "two", 25),
    Route("b.test", "three", 25),
    Route("*", "four", 25),
)


@pytest.mark.parametrize(
    ("destination", "host"),
    [("a.test", "one"), ("x.a.test", "two"), ("y.x.a.test", "two"), ("b.test", "three"), ("xa.test", "four")],
)
def test_the_first_route_that_matches_wins(destination: str, host: str) -> None:
    """Exact, subdomains, everything."""
    found = match(ROUTES, destination)
    assert found is not None
    assert found.host == host


def test_without_a_matching_route_there_is_none() -> None:
    """MX is asked then."""
    assert match(ROUTES[:3], "c.test") is None
    assert match(ROUTES[:3], ".a.test") is None


def test_what_was_found_is_kept_for_a_moment() -> None:
    """A burst to one domain asks once, and keeps the order of equal hosts; later it is asked again."""
    now = [0.0]
    zone = Zone([Mx(10, "a"), Mx(10, "b")])
    finder = HostFinder(zone, names=("mail.example.test",), seconds=lambda: now[0])
    found: list[Any] = []
    finder.find("remote.test").addBoth(found.append)
    asked = len(zone.asked)
    for _ in range(5):
        finder.find("remote.test").addBoth(found.append)
    assert len(zone.asked) == asked
    assert len({tuple(names(each)) for each in found}) == 1
    now[0] = KEPT_S + 1
    finder.find("remote.test").addBoth(found.append)
    assert len(zone.asked) == 2 * asked


def test_failures_are_not_kept() -> None:
    """What could not be found is asked again at the next attempt."""
    zone = Zone(DnsTemporary("no answer"))
    finder = HostFinder(zone, names=("mail.example.test",))
    for _ in range(2):
        failed: list[Any] = []
        finder.find("remote.test").addBoth(failed.append)
        assert failed[0].check(MailError)
    assert zone.asked == ["remote.test", "remote.test"]


class Policies:
    """Notes what it is asked, and demands verified TLS."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, bool]] = []

    def find(
        self, destination: str, hosts: tuple[NextHost, ...], *, mx_secure: bool
    ) -> Deferred[tuple[NextHost, ...]]:
        self.asked.append((destination, mx_secure))
        return succeed(tuple(replace(host, tls=HostTls(TlsPolicy.VERIFY, "domain")) for host in hosts))


def test_tls_policies_are_asked_for_mx_hosts_and_not_for_routes() -> None:
    """Whether DNSSEC vouches for the MX records is handed on; a route has its own TLS."""
    policies = Policies()
    zone = Zone([Mx(10, "a")])
    zone.secure = True
    (host,) = find(zone, policies=policies)
    assert host.tls == HostTls(TlsPolicy.VERIFY, "domain")
    assert policies.asked == [("remote.test", True)]
    (host,) = find(zone, policies=policies, routes=(Route("*", "192.0.2.7", 25, TlsPolicy.NONE),))
    assert host.tls == HostTls(TlsPolicy.NONE, "route")
    assert len(policies.asked) == 1
