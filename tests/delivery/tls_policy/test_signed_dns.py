"""Policies from real DNS: zones signed, unsigned and forged, behind a validating resolver."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from fedaemon.delivery.tls_policy.finder import PolicyFinder
from fedaemon.delivery.transport import HostTls, NextHost, Tlsa, TlsPolicy
from fedaemon.net.dns_query import DnsTemporary
from fedaemon.net.resolver import Resolver
from tests.delivery.tls_policy.test_finder import FakePolicies
from tests.lab import dns
from tests.net.conftest import ThreadClock

pytestmark = pytest.mark.skipif(bool(dns.missing()), reason=f"not installed: {dns.missing()}")

TRUE, FALSE, WEAK = "ab" * 32, "cd" * 32, "ef" * 32
DANE_EE = f"IN TLSA 3 1 1 {TRUE}"

ZONES = {
    "signed.test": f"""\
@ IN MX 10 mx
@ IN MX 20 away.unsigned.test.
@ IN MX 30 without
@ IN MX 40 alias
@ IN MX 50 leaving
@ IN MX 60 odd
mx IN A 127.0.0.2
_25._tcp.mx {DANE_EE}
without IN A 127.0.0.3
alias IN CNAME mx
leaving IN CNAME away.unsigned.test.
_25._tcp.leaving IN TLSA 2 0 1 {TRUE}
odd IN A 127.0.0.4
_25._tcp.odd IN TLSA 3 1 1 abcd
_25._tcp.odd IN TLSA 1 1 1 {TRUE}
""",
    "unsigned.test": f"""\
@ IN MX 10 mx
away IN A 127.0.0.5
_25._tcp.away {DANE_EE}
mx IN A 127.0.0.6
_25._tcp.mx {DANE_EE}
""",
    "forged.test": f"""\
@ IN MX 10 mx
mx IN A 127.0.0.7
_25._tcp.mx {DANE_EE}
""",
    "forged-address.test": f"""\
@ IN MX 10 mx
mx IN A 127.0.0.8
_25._tcp.mx {DANE_EE}
""",
    "forged-mx.test": "@ IN MX 10 mx.signed.test.\n",
}


@pytest.fixture(scope="module")
def servers() -> Iterator[dns.SignedDns]:
    running = dns.SignedDns(
        ZONES,
        unsigned=("unsigned.test",),
        forged={
            "forged.test": (TRUE, FALSE),
            "forged-address.test": ("127.0.0.8", "127.0.0.9"),
            "forged-mx.test": ("mx.signed.test", "mx.unsigned.test"),
        },
    )
    running.start()
    yield running
    running.stop()


@pytest.fixture
def resolver(reactor: ThreadClock, servers: dns.SignedDns) -> Iterator[Resolver]:
    own = Resolver(reactor, [servers.address])
    yield own
    own.stop()


@pytest.fixture
def reactor() -> ThreadClock:
    return ThreadClock()


Find = Callable[..., dict[str, HostTls]]


@pytest.fixture
def find(reactor: ThreadClock, resolver: Resolver) -> Find:
    def look(domain: str, asked: Resolver = resolver) -> dict[str, HostTls]:
        """Return what each mail server of *domain* must have, as delivery would ask."""
        answer = reactor.wait_for(asked.mx_answer(domain))
        hosts = tuple(NextHost(mx.host, ("127.0.0.1",), 25) for mx in answer.records)
        finder = PolicyFinder(asked, FakePolicies(), record=lambda *_: None)
        found = reactor.wait_for(finder.find(domain, hosts, mx_secure=answer.secure))
        return {host.name: host.tls for host in found}

    return look


def test_a_signed_domain(find: Find) -> None:
    """RFC 7672 2.2 on each kind of host: with records, in an unsigned zone, without records (NSEC proves it), an
    alias inside, an alias that leaves the zone, and records that cannot be used."""
    found = find("signed.test")
    good = (Tlsa(3, 1, 1, bytes.fromhex(TRUE)),)
    mx, alias, leaving = "mx.signed.test", "alias.signed.test", "leaving.signed.test"
    assert found == {
        mx: HostTls(TlsPolicy.DANE, "dane", names=(mx, "signed.test"), tlsa=good),
        "away.unsigned.test": HostTls(),
        "without.signed.test": HostTls(),
        alias: HostTls(TlsPolicy.DANE, "dane", names=(mx, alias, "signed.test"), tlsa=good),
        leaving: HostTls(
            TlsPolicy.DANE,
            "dane",
            names=(leaving, "signed.test"),
            tlsa=(Tlsa(2, 0, 1, bytes.fromhex(TRUE)),),
        ),
        "odd.signed.test": HostTls(TlsPolicy.REQUIRED, "dane"),
    }


def test_an_unsigned_domain_has_no_dane(find: Find) -> None:
    """TLSA records without DNSSEC say nothing."""
    assert find("unsigned.test") == {"mx.unsigned.test": HostTls()}


@pytest.mark.parametrize("domain", ["forged.test", "forged-address.test"])
def test_a_forged_answer_forbids_the_host(find: Find, domain: str) -> None:
    """RFC 7672 2.1: whoever changes records on the way stops mail, and does not get it."""
    ((name, tls),) = find(domain).items()
    assert name == f"mx.{domain}"
    assert (tls.level, tls.failure) == (TlsPolicy.DANE, "dnssec-invalid")
    assert "SERVFAIL" in tls.problem


def test_forged_mx_records_are_no_answer(reactor: ThreadClock, resolver: Resolver) -> None:
    """Delivery is told that DNS cannot answer now, which is temporary."""
    with pytest.raises(DnsTemporary, match="SERVFAIL"):
        reactor.wait_for(resolver.mx_answer("forged-mx.test"))


def test_nobody_is_believed_who_is_not_trusted(
    reactor: ThreadClock, servers: dns.SignedDns, find: Find
) -> None:
    """The same resolver, but the settings say that the way to it is not safe: no DANE, and no harm."""
    distrusting = Resolver(reactor, [servers.address], trust_ad=False)
    assert set(find("signed.test", distrusting).values()) == {HostTls()}
    distrusting.stop()


def test_a_server_that_validates_nothing_authenticates_nothing(
    reactor: ThreadClock, servers: dns.SignedDns, find: Find
) -> None:
    """An authoritative server, asked directly, never says AD."""
    direct = Resolver(reactor, [servers.authoritative])
    assert set(find("forged.test", direct).values()) == {HostTls()}
    direct.stop()


def test_the_absence_of_mx_records_can_be_secure(reactor: ThreadClock, resolver: Resolver) -> None:
    """The domain itself is then the secure next host."""
    assert reactor.wait_for(resolver.mx_answer("mx.signed.test")).secure is True
    assert reactor.wait_for(resolver.mx_answer("mx.unsigned.test")).secure is False
