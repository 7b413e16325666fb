"""What TLS a host must have: DANE, MTA-STS, the settings, and every way in which answers can be missing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from twisted.internet.defer import Deferred, fail, succeed
from twisted.logger import LogEvent, globalLogPublisher

from fedaemon.delivery.tls_policy.dane import MAX_RECORDS, usable
from fedaemon.delivery.tls_policy.finder import Override, PolicyFinder
from fedaemon.delivery.tls_policy.sts import NO_POLICY, StsAnswer
from fedaemon.delivery.tls_policy.sts_policy import Mode, StsPolicy
from fedaemon.delivery.transport import HostTls, NextHost, Tlsa, TlsPolicy
from fedaemon.net.dns_query import DnsTemporary
from fedaemon.net.resolver import TlsaRecord
from fedaemon.store.errors import StoreError
from tests.delivery.tls_policy.world import DIGEST, DOMAIN, EE, MX, START_MS, FakeDns, fired

OTHER = "mx.example.net"


class FakePolicies:
    """MTA-STS as a test says."""

    def __init__(self) -> None:
        self.answer: StsAnswer | Exception = NO_POLICY
        self.asked: list[str] = []

    def policy(self, mode: Mode, *mx: str) -> None:
        self.answer = StsAnswer(StsPolicy("1", mode, mx or (MX,), 86_400, START_MS))

    def find(self, domain: str) -> Deferred[StsAnswer]:
        self.asked.append(domain)
        return fail(self.answer) if isinstance(self.answer, Exception) else succeed(self.answer)


class World:
    """A finder with everything around it; MX and OTHER are hosts in signed zones, without TLSA records."""

    def __init__(self) -> None:
        self.dns = FakeDns()
        self.dns.host(MX)
        self.dns.host(OTHER)
        self.sts = FakePolicies()
        self.recorded: list[tuple[str, str, str, bool, str]] = []
        self.overrides: Sequence[Override] = ()
        self.mx_secure = True

    def find(self, *names: str, destination: str = DOMAIN) -> list[HostTls]:
        """Return what the hosts must have."""
        finder = PolicyFinder(
            self.dns,
            self.sts,
            overrides=self.overrides,
            record=lambda *counted: self.recorded.append(counted),
        )
        hosts = tuple(NextHost(name, ("192.0.2.1",), 25) for name in names)
        found = fired(finder.find(destination, hosts, mx_secure=self.mx_secure))
        assert [replace(host, tls=HostTls()) for host in found] == list(hosts)
        return [host.tls for host in found]

    def tls(self) -> HostTls:
        """Return what MX must have."""
        return self.find(MX)[0]


@pytest.fixture
def world() -> World:
    return World()


def test_without_any_policy_tls_is_opportunistic(world: World) -> None:
    """RFC 7435: used when offered, nothing demanded."""
    assert world.tls() == HostTls()
    assert world.recorded == []


# -- DANE --------------------------------------------------------------------------------------------------


def test_secure_tlsa_records_demand_dane(world: World) -> None:
    """RFC 7672 2.2: the records, and the names that a certificate of usage 2 may be for; no MTA-STS is asked."""
    world.dns.records(MX, EE)
    assert world.tls() == HostTls(TlsPolicy.DANE, "dane", names=(MX, DOMAIN), tlsa=(Tlsa(3, 1, 1, DIGEST),))
    assert world.sts.asked == []


def test_tlsa_records_that_are_not_secure_are_none(world: World) -> None:
    """Anybody could have written them."""
    world.dns.records(MX, EE, secure=False)
    assert world.tls() == HostTls()


def test_without_secure_mx_records_no_tlsa_is_asked_for(world: World) -> None:
    """RFC 7672 2.2.1: who forges the MX records names a host with good TLSA records of his own."""
    world.mx_secure = False
    world.dns.records(MX, EE)
    assert world.tls() == HostTls()
    assert world.dns.asked == []


def test_without_secure_addresses_no_tlsa_is_asked_for(world: World) -> None:
    """RFC 7672 2.2.2: servers of unsigned zones often fail at the question, which must not stop mail."""
    world.dns.host(MX, secure=False)
    world.dns.tlsa_records[f"_25._tcp.{MX}"] = DnsTemporary("SERVFAIL")
    assert world.tls() == HostTls()
    assert f"_25._tcp.{MX}" not in world.dns.asked


def test_a_tlsa_answer_that_cannot_be_had_forbids_the_host(world: World) -> None:
    """RFC 7672 2.1: forged or suppressed answers must not make us do without authentication."""
    world.dns.tlsa_records[f"_25._tcp.{MX}"] = DnsTemporary("DNS answers SERVFAIL")
    bad, good = world.find(MX, OTHER)
    assert (bad.level, bad.failure) == (TlsPolicy.DANE, "dnssec-invalid")
    assert MX in bad.problem
    assert "SERVFAIL" in bad.problem
    assert good == HostTls()


def test_addresses_that_cannot_be_had_forbid_the_host(world: World) -> None:
    """The same a step earlier."""
    world.dns.hosts[MX] = DnsTemporary("DNS answers SERVFAIL")
    assert world.tls().failure == "dnssec-invalid"


@pytest.mark.parametrize(
    "record",
    [
        TlsaRecord(0, 1, 1, DIGEST),
        TlsaRecord(1, 1, 1, DIGEST),
        TlsaRecord(4, 1, 1, DIGEST),
        TlsaRecord(255, 1, 1, DIGEST),
        TlsaRecord(3, 2, 1, DIGEST),
        TlsaRecord(3, 1, 3, DIGEST),
        TlsaRecord(3, 1, 1, DIGEST[1:]),
        TlsaRecord(3, 1, 2, DIGEST),
        TlsaRecord(2, 0, 0, b""),
    ],
)
def test_unusable_records_alone_demand_encryption(world: World, record: TlsaRecord) -> None:
    """RFC 7672 2.2: unknown numbers, usages 0 and 1 and wrong lengths authenticate nothing, but tell of TLS."""
    world.dns.records(MX, record)
    assert world.tls() == HostTls(TlsPolicy.REQUIRED, "dane")
    world.dns.records(MX, record, EE)
    assert world.tls().tlsa == (Tlsa(3, 1, 1, DIGEST),)


def test_of_two_digests_only_the_stronger_counts() -> None:
    """RFC 7671 9: for each usage and selector; whole certificates and keys always count."""
    strong, weak = TlsaRecord(3, 1, 2, DIGEST * 2), TlsaRecord(3, 1, 1, DIGEST)
    whole, other = TlsaRecord(3, 1, 0, b"key"), TlsaRecord(2, 0, 1, DIGEST)
    found = [(each.usage, each.matching) for each in usable((weak, strong, whole, other))]
    assert found == [(3, 2), (3, 0), (2, 1)]


def test_the_number_of_records_is_bounded() -> None:
    """A zone cannot make us compare thousands of records with each certificate."""
    assert len(usable([TlsaRecord(3, 1, 1, bytes([n % 256]) * 32) for n in range(500)])) == MAX_RECORDS


def test_an_alias_is_looked_at_where_it_leads_first(world: World) -> None:
    """RFC 7672 2.2.2: then under its own name; the first of the names is for SNI."""
    world.dns.host(MX, leads_to=OTHER)
    world.dns.records(OTHER, EE)
    world.dns.records(MX, TlsaRecord(2, 0, 1, DIGEST))
    assert world.tls().names == (OTHER, MX, DOMAIN)
    assert world.tls().tlsa[0].usage == 3
    world.dns.records(OTHER)
    assert world.tls().names == (MX, DOMAIN)
    assert world.tls().tlsa[0].usage == 2


def test_a_signed_alias_into_an_unsigned_zone_has_its_own_records(world: World) -> None:
    """RFC 7672 2.2.2: and only these; an alias in an unsigned zone has none."""
    world.dns.host(MX, secure=False, leads_to=OTHER)
    world.dns.records(MX, EE)
    world.dns.records(OTHER, TlsaRecord(2, 0, 1, DIGEST))
    assert world.tls() == HostTls()
    world.dns.aliases[MX] = True
    assert world.tls().names == (MX, DOMAIN)
    assert f"_25._tcp.{OTHER}" not in world.dns.asked


def test_the_port_is_part_of_the_name(world: World) -> None:
    """RFC 6698 3."""
    host = NextHost(MX, ("192.0.2.1",), 2525)
    fired(PolicyFinder(world.dns, world.sts, record=lambda *_: None).find(DOMAIN, (host,), mx_secure=True))
    assert f"_2525._tcp.{MX}" in world.dns.asked


# -- MTA-STS -----------------------------------------------------------------------------------------------


def test_enforce_demands_a_verified_certificate_of_an_allowed_host(world: World) -> None:
    """RFC 8461 4: other hosts are not used, however good their certificates are."""
    world.sts.policy("enforce", "*.example.org")
    good, bad = world.find(MX, OTHER)
    assert good == HostTls(TlsPolicy.VERIFY, "mta-sts enforce", names=(MX,))
    assert (bad.policy, bad.failure) == ("mta-sts enforce", "validation-failure")
    assert OTHER in bad.problem


def test_testing_demands_nothing_and_counts(world: World) -> None:
    """RFC 8461 5: mail goes on to any host; a host that is not allowed counts as a failure."""
    world.sts.policy("testing")
    good, bad = world.find(MX, OTHER)
    assert good == HostTls(policy="mta-sts testing", names=(MX,), testing=True)
    assert (bad.level, bad.testing) == (TlsPolicy.OPPORTUNISTIC, True)
    assert (bad.policy, bad.failure) == ("mta-sts testing", "validation-failure")
    assert OTHER in bad.problem


def test_mode_none_is_no_policy(world: World) -> None:
    """A domain that has ended its policy is like one that never had one."""
    world.sts.policy("none")
    assert world.tls() == HostTls()


def test_dane_comes_before_mta_sts(world: World) -> None:
    """RFC 8461 2: MTA-STS never overrides DANE, neither its demand nor its failure; it speaks for the others."""
    third = "mx3.example.org"
    world.dns.host(third)
    world.sts.policy("enforce", third)
    world.dns.records(MX, EE)
    world.dns.tlsa_records[f"_25._tcp.{OTHER}"] = DnsTemporary("SERVFAIL")
    dane, broken, verified = world.find(MX, OTHER, third)
    assert (dane.policy, dane.problem) == ("dane", "")
    assert (broken.policy, broken.failure) == ("dane", "dnssec-invalid")
    assert verified.policy == "mta-sts enforce"


def test_mta_sts_adds_authentication_to_unusable_tlsa_records(world: World) -> None:
    """enforce is more than encryption; testing is less, and takes nothing away."""
    world.dns.records(MX, TlsaRecord(1, 1, 1, DIGEST))
    world.sts.policy("enforce")
    assert world.tls().level is TlsPolicy.VERIFY
    world.sts.policy("testing")
    assert world.tls() == HostTls(TlsPolicy.REQUIRED, "dane")


def test_a_policy_that_cannot_be_had_is_counted(world: World) -> None:
    """RFC 8460 4.3.2: the domain wants to know; mail goes on without."""
    world.sts.answer = StsAnswer(None, "sts-policy-fetch-error", "no answer")
    assert world.tls() == HostTls()
    assert world.recorded == [(DOMAIN, "sts", "", False, "sts-policy-fetch-error")]


def test_an_address_literal_has_no_policy(world: World) -> None:
    """There is no domain to ask about."""
    assert world.find("[192.0.2.1]", destination="[192.0.2.1]") == [HostTls()]
    assert (world.dns.asked, world.sts.asked) == ([], [])


# -- The settings ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", [TlsPolicy.NONE, TlsPolicy.OPPORTUNISTIC])
def test_the_settings_can_switch_policies_off(world: World, level: TlsPolicy) -> None:
    """The way out when a domain has published records that it does not live up to."""
    world.overrides = [(DOMAIN, level)]
    world.dns.records(MX, EE)
    world.sts.policy("enforce", "other.example.org")
    assert world.tls() == HostTls(level, "domain")
    assert (world.dns.asked, world.sts.asked) == ([], [])


def test_required_and_verify_are_the_least(world: World) -> None:
    """Policies that demand more still hold."""
    for level, names in ((TlsPolicy.REQUIRED, ()), (TlsPolicy.VERIFY, (MX,))):
        world.overrides = [("*", level)]
        world.sts.answer = NO_POLICY
        assert world.tls() == HostTls(level, "domain", names=names)
        world.sts.policy("enforce")
        assert world.tls().policy == "mta-sts enforce"
        world.sts.policy("testing")
        assert world.tls() == HostTls(level, "domain", names=names)
    world.dns.records(MX, EE)
    assert world.tls().policy == "dane"


def test_required_leaves_what_dane_says(world: World) -> None:
    """Unusable TLSA records demand the same, and the timeline names them."""
    world.overrides = [("*", TlsPolicy.REQUIRED)]
    world.dns.records(MX, TlsaRecord(1, 1, 1, DIGEST))
    assert world.tls() == HostTls(TlsPolicy.REQUIRED, "dane")


@pytest.mark.parametrize("why", ["no records", "unusable", "mx not secure"])
def test_dane_can_be_demanded(world: World, why: str) -> None:
    """A host without usable records is not used; RFC 8460 4.3.2 calls it dane-required."""
    world.overrides = [(DOMAIN, TlsPolicy.DANE)]
    world.dns.records(MX, EE)
    assert world.tls().problem == ""
    world.dns.records(MX, *{"unusable": [TlsaRecord(0, 0, 0, b"x")], "mx not secure": [EE]}.get(why, []))
    world.mx_secure = why != "mx not secure"
    tls = world.tls()
    assert (tls.level, tls.policy, tls.failure) == (TlsPolicy.DANE, "domain", "dane-required")
    assert MX in tls.problem


@pytest.mark.parametrize(
    ("destination", "level"),
    [
        ("example.org", TlsPolicy.REQUIRED),
        ("a.example.org", TlsPolicy.VERIFY),
        ("a.b.example.org", TlsPolicy.VERIFY),
        ("badexample.org", TlsPolicy.NONE),
        ("[192.0.2.1]", TlsPolicy.NONE),
    ],
)
def test_the_first_pattern_that_matches_holds(world: World, destination: str, level: TlsPolicy) -> None:
    """As with routes: a domain, its subdomains, everything; case makes no difference."""
    world.overrides = [
        ("Example.ORG", TlsPolicy.REQUIRED),
        ("*.example.org", TlsPolicy.VERIFY),
        ("*", TlsPolicy.NONE),
    ]
    assert world.find(MX, destination=destination)[0].level is level


def test_settings_can_change(world: World) -> None:
    """A reload of the settings reaches the finder."""
    finder = PolicyFinder(world.dns, world.sts, record=lambda *_: None)
    host = NextHost(MX, ("192.0.2.1",), 25)
    finder.configure([("*", TlsPolicy.NONE)])
    (found,) = fired(finder.find(DOMAIN, (host,), mx_secure=True))
    assert found.tls.level is TlsPolicy.NONE


# -- Failing safely ----------------------------------------------------------------------------------------


def test_what_cannot_be_found_out_forbids_the_hosts(world: World) -> None:
    """A store that cannot be read may hold a policy."""
    world.sts.answer = StoreError("input/output error")
    first, second = world.find(MX, OTHER)
    assert first == second
    assert "input/output error" in first.problem


@pytest.mark.parametrize("where", ["dns", "sts"])
def test_a_bug_forbids_the_hosts_and_is_logged(world: World, where: str) -> None:
    """Never an unprotected delivery by mistake, and never a failure of the finder."""
    if where == "dns":
        world.dns.hosts[MX] = ZeroDivisionError("bug")
    else:
        world.sts.answer = ZeroDivisionError("bug")
    logged: list[LogEvent] = []
    observer: Any = logged.append
    globalLogPublisher.addObserver(observer)
    try:
        (tls,) = world.find(MX)
    finally:
        globalLogPublisher.removeObserver(observer)
    assert "ZeroDivisionError" in tls.problem
    assert [event["log_failure"].type for event in logged if "log_failure" in event] == [ZeroDivisionError]
