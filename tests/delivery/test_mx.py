"""Finding the hosts for a destination."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import Deferred, fail, succeed

from fedaemon.delivery.mx import MAX_ADDRESSES, MAX_HOSTS, HostFinder
from fedaemon.delivery.routes import Route, match
from fedaemon.delivery.transport import NextHost, TlsPolicy
from fedaemon.errors import MailError, Refused, Unavailable
from fedaemon.net.resolver import DnsTemporary, Mx, NoSuchName


class Zone:
    """A resolver with the answers of a test: records, [] for none, None for NXDOMAIN, an error."""

    def __init__(self, mx: Any = None, addresses: dict[str, Any] | None = None) -> None:
        self._mx = mx
        self._addresses = addresses or {}
        self.asked: list[str] = []

    def mx(self, domain: str) -> Deferred[list[Mx]]:
        self.asked.append(domain)
        return self._answer(self._mx, domain)

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
    assert found == (NextHost("relay.test", ("192.0.2.7",), 587, TlsPolicy.VERIFY, "user", "secret"),)
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
