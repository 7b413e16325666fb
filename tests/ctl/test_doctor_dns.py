"""doctor: DNS of the server's name, and of a domain."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from fedaemon.ctl.doctor import domain_dns, host_dns
from fedaemon.ctl.doctor.case import Stored
from fedaemon.ctl.doctor.finding import Finding
from fedaemon.ctl.doctor.lookup import Lookup
from fedaemon.errors import Unavailable
from fedaemon.mailauth import dns_record
from fedaemon.mailauth.keys import DkimKey
from tests.ctl.doctor_case import (
    ADDRESS,
    DOMAIN,
    HOST,
    NOW,
    PLAIN,
    PaperDns,
    PaperMachine,
    active_key,
    bad,
    new_case,
    right_records,
    stored,
    the,
)

REVERSE = "44.33.22.11.in-addr.arpa"
SIX = "2606:2800::25"
Records = dict[tuple[str, str], list[str]]


def changed(changes: Records) -> Records:
    """Return the right records with some of them replaced; an empty list removes them."""
    found = {**right_records(), **changes}
    return {key: texts for key, texts in found.items() if texts}


def host(changes: Records, **more: Any) -> list[Finding]:
    return list(host_dns.check_host(new_case(records=changed(changes), **more)))


def test_a_right_host() -> None:
    """Name, address and reverse name lead to each other."""
    assert bad(host({})) == []


def test_no_address() -> None:
    """The record to publish has the address from which the machine calls."""
    found = bad(host({(HOST, "A"): []}, addresses=()))
    assert [each.check for each in found] == ["address", "source", "own-spf"]
    assert found[0].todo == f"publish: {HOST}. IN A {ADDRESS}"


def test_an_alias() -> None:
    """A mail exchanger has addresses itself."""
    changes: Records = {
        (HOST, "A"): [],
        (HOST, "CNAME"): ["vm7.example.net."],
        ("vm7.example.net", "A"): [ADDRESS],
        ("vm7.example.net", "TXT"): ['"v=spf1 a -all"'],
    }
    finding = the(host(changes), "problem", "alias")
    assert "vm7.example.net" in finding.what and HOST in finding.todo


def test_an_address_of_no_use() -> None:
    """What was written for the network at home is of no use to others."""
    machine = PaperMachine("192.168.1.5")
    found = host({(HOST, "A"): ["192.168.1.5"]}, addresses=("192.168.1.5",), machine=machine)
    assert ("problem", "address") in [(each.level, each.check) for each in bad(found)]


def test_behind_nat() -> None:
    """The public address is the router's: a note, and everything else is right."""
    the(host({}, machine=PaperMachine("10.0.0.5")), "note", "address")


@pytest.mark.parametrize(
    ("changes", "level", "words"),
    [
        ({(REVERSE, "PTR"): []}, "problem", "has no reverse name"),
        ({(REVERSE, "PTR"): ["static.provider.example."]}, "problem", "which does not lead back"),
        (
            {(REVERSE, "PTR"): ["vm7.provider.example."], ("vm7.provider.example", "A"): [ADDRESS]},
            "warning",
            f"vm7.provider.example, but we greet as {HOST}",
        ),
    ],
)
def test_a_reverse_name_that_is_not_ours(changes: Records, level: str, words: str) -> None:
    """Missing, false, or another one of ours: who sets it, and to what, is said."""
    finding = the(host(changes), level, "reverse")
    assert words in finding.what and f"set to {HOST}" in finding.todo and finding.about == ADDRESS


def test_mail_goes_out_by_ipv6_unnoticed() -> None:
    """The classic: an IPv6 address that nobody set up, from which mail is refused."""
    found = bad(host({}, machine=PaperMachine(ADDRESS, SIX)))
    assert [(each.check, each.about) for each in found] == [
        ("reverse", SIX),
        ("source", SIX),
        ("own-spf", HOST),
    ]
    assert f"{HOST}. IN AAAA {SIX}" in found[1].todo


def test_a_source_with_a_name_of_its_own() -> None:
    """[[source]] may say who we are there."""
    text = f'{PLAIN}[[source]]\naddress = "{SIX}"\nhostname = "out.example.org"\n'
    pointer = "5.2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.2.6.0.6.2.ip6.arpa"
    changes: Records = {
        ("out.example.org", "AAAA"): [SIX],
        (pointer, "PTR"): ["out.example.org."],
        (HOST, "TXT"): [f'"v=spf1 a ip6:{SIX} -all"'],
    }
    assert bad(host_dns.check_host(new_case(text, records=changed(changes)))) == []
    assert "source" in [each.check for each in bad(host_dns.check_host(new_case(text, records=changed({}))))]


def test_the_policy_of_our_own_name() -> None:
    """Reports of failed delivery are judged by it."""
    the(host({(HOST, "TXT"): []}), "note", "own-spf")
    the(host({(HOST, "TXT"): ['"v=spf1 -all"']}), "warning", "own-spf")


def test_behind_a_relay_reverse_names_do_not_matter() -> None:
    """Others see the relay's address."""
    relay = f'{PLAIN}[[route]]\ndomain = "*"\nhost = "relay.example.net"\n'
    case = new_case(relay, records=changed({(REVERSE, "PTR"): []}))
    assert bad(host_dns.check_host(case)) == []


def test_dns_that_does_not_answer_is_never_none() -> None:
    """A name server that fails raises; nothing is called missing."""
    dns = PaperDns(right_records())
    dns.broken.add(HOST)
    with pytest.raises(Unavailable):
        list(host_dns.check_host(new_case(lookup=Lookup(dns))))


def domain(check: str, changes: Records, settings: str = PLAIN, **more: Any) -> list[Finding]:
    function = getattr(domain_dns, check)
    return list(function(new_case(settings, records=changed(changes), **more), DOMAIN))


@pytest.mark.parametrize(
    ("changes", "level", "words"),
    [
        ({(DOMAIN, "MX"): []}, "problem", "has no MX record"),
        ({(DOMAIN, "MX"): [], (DOMAIN, "A"): [ADDRESS]}, "warning", "own address is ours"),
        ({(DOMAIN, "MX"): ["0 ."]}, "problem", "null MX"),
        ({(DOMAIN, "MX"): ["10 old.example.net."]}, "problem", f"name old.example.net, and not {HOST}"),
        (
            {(DOMAIN, "MX"): ["10 mx.example.org."], ("mx.example.org", "A"): [ADDRESS]},
            "warning",
            "under the name mx.example.org",
        ),
    ],
)
def test_mail_that_does_not_come_here(changes: Records, level: str, words: str) -> None:
    """The record to publish is given with each."""
    finding = the(domain("mail_exchangers", changes), level, "mx")
    assert words in finding.what and f"publish: {DOMAIN}. IN MX 10 {HOST}." in finding.todo


def test_a_filter_before_us() -> None:
    """Another host may come first, if that is meant."""
    changes = {(DOMAIN, "MX"): ["5 filter.example.net.", f"10 {HOST}."]}
    assert "filter.example.net first" in the(domain("mail_exchangers", changes), "note", "mx-order").what
    assert bad(domain("mail_exchangers", {})) == []


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        ([], "has no SPF record"),
        (['"v=spf1 mx -all"', '"v=spf1 a -all"'], "has 2 SPF records"),
        (['"v=spf1 ip4:192.0.2.1 -all"'], "does not let 11.22.33.44 send (fail)"),
        (['"v=spf1 mx:other.example ~all"'], "(softfail)"),
        (['"v=spf1 mxx -all"'], "is of no use"),
    ],
)
def test_spf_that_shuts_us_out(texts: list[str], words: str) -> None:
    """What to publish or to add is said."""
    finding = the(domain("sender_policy", {(DOMAIN, "TXT"): texts}), "problem", "spf")
    assert words in finding.what


def test_the_record_in_which_we_are() -> None:
    """Other TXT records do not matter; behind a relay only its operator knows."""
    texts = ['"google-site-verification=x"', '"v=spf1 ip4:11.22.33.0/24 -all"']
    assert bad(domain("sender_policy", {(DOMAIN, "TXT"): texts})) == []
    relay = f'{PLAIN}[[route]]\ndomain = "*"\nhost = "relay.example.net"\n'
    assert "relay" in the(domain("sender_policy", {}, relay), "note", "spf").what
    texts = ['"v=spf1 exists:%{i}.spf.example.net -all"']
    assert "macros" in the(domain("sender_policy", {(DOMAIN, "TXT"): texts}), "note", "spf").why


@pytest.fixture(scope="module")
def key() -> DkimKey:
    return active_key()


def test_a_key_that_is_published(key: DkimKey) -> None:
    """The active key is in DNS."""
    changes = {(dns_record.name(key), "TXT"): [f'"{dns_record.value(key)}"']}
    assert bad(domain("signatures", changes, stored=stored(key))) == []


def test_keys_that_are_not_published(key: DkimKey) -> None:
    """An active one is a problem, one that was retired lately a warning, one retired long ago nothing."""
    finding = the(domain("signatures", {}, stored=stored(key)), "problem", "dkim")
    assert f"fedaemonctl dkim show {DOMAIN} s2026" in finding.todo
    now_ms = int(NOW.timestamp() * 1000)
    late = dataclasses.replace(key, selector="old", state="retired", until_ms=now_ms + 1)
    changes = {(dns_record.name(key), "TXT"): [f'"{dns_record.value(key)}"']}
    assert (
        "old (retired)"
        in the(domain("signatures", changes, stored=stored(key, late)), "warning", "dkim").what
    )
    past = dataclasses.replace(late, until_ms=now_ms)
    assert bad(domain("signatures", changes, stored=stored(key, past))) == []


def test_no_key_at_all(key: DkimKey) -> None:
    """Make one; or activate the one that waits."""
    assert the(domain("signatures", {}), "problem", "dkim").todo == f"fedaemonctl setup dkim {DOMAIN}"
    pending = dataclasses.replace(key, state="pending")
    finding = the(domain("signatures", {}, stored=stored(pending)), "problem", "dkim")
    assert f"fedaemonctl dkim activate {DOMAIN} s2026" in finding.todo


@pytest.mark.parametrize(
    ("texts", "level"),
    [
        ([], "warning"),
        (['"v=DMARC1; p=reject"', '"v=DMARC1; p=none"'], "problem"),
        (['"v=DMARC1; p=rejected"'], "problem"),
        (['"v=DMARC1; rua=mailto:a@example.org"'], "problem"),
        (['"v=DMARC1; p=none"'], "note"),
    ],
)
def test_dmarc(texts: list[str], level: str) -> None:
    """One valid record; p=none is right for the beginning."""
    the(domain("dmarc", {(f"_dmarc.{DOMAIN}", "TXT"): texts}), level, "dmarc")


def test_a_domain_of_somebody_else() -> None:
    """It may be asked for, and is said not to be ours."""
    case = new_case(stored=Stored())
    assert "fedaemonctl domain add" in the(domain_dns.check_domain(case, DOMAIN), "note", "domain").todo
