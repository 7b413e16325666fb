"""Which hosts are one site, and whose limits hold."""

from __future__ import annotations

from fedaemon.delivery.sites.shaping import MAX_NAME, PROVIDERS, Shaping, ShapingRule, SiteLimits
from fedaemon.delivery.transport import NextHost


def hosts(*names: str, port: int = 25) -> tuple[NextHost, ...]:
    return tuple(NextHost(name, ("192.0.2.1",), port) for name in names)


def test_the_set_of_hosts_is_the_site_whatever_its_order() -> None:
    """Two domains with the same exchangers share a site; one host more is another site."""
    shaping = Shaping(rules=())
    name, _ = shaping.site_of(hosts("mx1.host.test", "mx2.host.test"))
    assert shaping.site_of(hosts("MX2.host.test.", "mx1.host.test"))[0] == name
    assert name.startswith("mx1.host.test+1~")
    assert shaping.site_of(hosts("mx1.host.test"))[0] == "mx1.host.test"
    assert shaping.site_of(hosts("mx1.host.test", "mx3.host.test"))[0] != name


def test_a_route_to_another_port_is_a_site_of_its_own() -> None:
    """A relay beside a mail exchanger on one host does not share its limits."""
    assert Shaping(rules=()).site_of(hosts("relay.test", port=587))[0] == "relay.test:587"


def test_names_are_bounded() -> None:
    """They are part of keys."""
    long = ".".join(["a" * 60] * 4)
    name, _ = Shaping(rules=()).site_of(hosts(long, "b" + long))
    assert len(name) <= MAX_NAME + 16


def test_providers_are_one_site_for_all_their_customers() -> None:
    """Each customer of such a provider has a host name of its own."""
    shaping = Shaping()
    one, limits = shaping.site_of(hosts("example-org.mail.protection.outlook.com"))
    assert shaping.site_of(hosts("example-net.mail.protection.outlook.com")) == (one, limits)
    assert one == "microsoft"
    assert shaping.site_of(hosts("aspmx.l.google.com", "alt1.aspmx.l.google.com"))[0] == "google"
    assert shaping.site_of(hosts("mx.outlook.com.evil.test"))[0] == "mx.outlook.com.evil.test"


def test_the_administrators_rules_come_first() -> None:
    """And decide whether the hosts that fit are one site."""
    mine = ShapingRule("mine", ("*.google.com",), SiteLimits(connections=2, initial=2), shared=False)
    shaping = Shaping((mine, *PROVIDERS), SiteLimits(connections=9))
    name, limits = shaping.site_of(hosts("aspmx.l.google.com"))
    assert (name, limits.connections) == ("aspmx.l.google.com", 2)
    assert shaping.site_of(hosts("mx.remote.test"))[1].connections == 9
    exact = Shaping((ShapingRule("one", ("mx.remote.test",), SiteLimits(1, 1), shared=True),))
    assert exact.site_of(hosts("mx.remote.test"))[0] == "one"
    assert exact.site_of(hosts("x.mx.remote.test"))[0] == "x.mx.remote.test"


def test_providers_begin_within_their_limits() -> None:
    """Names are unique; a small limit is not passed at the start."""
    names = [rule.name for rule in PROVIDERS]
    assert len(set(names)) == len(names)
    assert all(rule.limits.initial <= rule.limits.connections for rule in PROVIDERS)
