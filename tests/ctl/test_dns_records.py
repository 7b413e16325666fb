"""The records a domain should have: what they say, and that a name server can read them."""

from __future__ import annotations

from dataclasses import replace

import dns.rdata
import dns.rdatatype
import dns.rdtypes.ANY.TXT
import dns.zone
import pytest

from fedaemon.config import DEFAULT_LISTENERS, Listener, parse_settings
from fedaemon.ctl.dns_host import host_of
from fedaemon.ctl.dns_records import DnsRecord, Host, policy_id, quoted_strings, records, zone_file
from fedaemon.mailauth import dns_record, keys, private_key
from fedaemon.mailauth.keys import DkimKey
from fedaemon.web.advertised import advertised

DOMAIN, NAME = "example.org", "mail.example.org"
V4, V6 = "192.0.2.1", "2001:db8::1"
HOST = Host(
    NAME,
    addresses=(V4, V6),
    offers=advertised(NAME, DEFAULT_LISTENERS),
    https=True,
    http=True,
    authority="letsencrypt.org",
)


@pytest.fixture(scope="module")
def key() -> DkimKey:
    return keys.make(DOMAIN, "s1", private_key.new_key("rsa", 2048), 0)


def published(found: list[DnsRecord]) -> dict[tuple[str, str], set[str]]:
    """Return what a name server would answer after reading the zone file."""
    text = zone_file(found, DOMAIN)
    zone = dns.zone.from_text(
        f"$ORIGIN {DOMAIN}.\n$TTL 300\n@ SOA ns. host. 1 1 1 1 1\n@ NS ns.\n{text}", relativize=False
    )
    answers: dict[tuple[str, str], set[str]] = {}
    for name, _, rdata in zone.iterate_rdatas():
        where = (name.to_text(omit_final_dot=True), dns.rdatatype.to_text(rdata.rdtype))
        if isinstance(rdata, dns.rdtypes.ANY.TXT.TXT):
            shown = b"".join(rdata.strings).decode("ascii")
        else:
            shown = rdata.to_text()
        answers.setdefault(where, set()).add(shown)
    return answers


def one(found: list[DnsRecord], name: str, kind: str) -> DnsRecord:
    (record,) = [each for each in found if (each.name, each.type) == (name, kind)]
    return record


def test_a_name_server_reads_the_zone_file_as_it_is_meant(key: DkimKey) -> None:
    """All kinds at once; the DKIM key is longer than one string of a TXT record."""
    found = records(DOMAIN, HOST, [key])
    answers = published(found)
    assert answers[NAME, "A"] == {V4}
    assert answers[NAME, "AAAA"] == {V6}
    assert answers[NAME, "CAA"] == {'0 issue "letsencrypt.org"'}
    assert answers[DOMAIN, "MX"] == {f"10 {NAME}."}
    assert answers[DOMAIN, "TXT"] == {"v=spf1 mx -all"}
    assert answers[f"s1._domainkey.{DOMAIN}", "TXT"] == {dns_record.value(key)}
    assert answers[f"_imaps._tcp.{DOMAIN}", "SRV"] == {f"0 1 993 {NAME}."}
    assert answers[f"_imap._tcp.{DOMAIN}", "SRV"] == {"0 0 0 ."}
    assert answers[f"autoconfig.{DOMAIN}", "CNAME"] == {f"{NAME}."}
    in_zone = [record for record in found if record.type != "PTR"]
    assert sum(len(values) for values in answers.values()) == len(in_zone) + 2


def test_reverse_names_are_for_whoever_gave_out_the_address() -> None:
    """They stand in the zone file as comments."""
    found = records(DOMAIN, HOST)
    record = one(found, "1.2.0.192.in-addr.arpa", "PTR")
    assert (record.value, record.needed) == (NAME, True)
    assert record.zone() == f"; 1.2.0.192.in-addr.arpa. IN PTR {NAME}."


def test_a_further_domain_leaves_the_servers_records_to_its_own_zone() -> None:
    """A name server refuses names that are not its zone's."""
    text = zone_file(records("example.net", HOST), "example.net")
    assert f"\n; {NAME}. IN A {V4}\n" in text
    assert f"\nexample.net. IN MX 10 {NAME}.\n" in text
    assert f"\n; {NAME}. IN A" in zone_file(records("il.example.org", HOST), "il.example.org")


def test_an_address_that_is_not_known_is_asked_for() -> None:
    """Behind NAT: an A record without a value, which no name server reads."""
    found = records(DOMAIN, replace(HOST, addresses=()))
    assert one(found, NAME, "A").value == ""
    assert (NAME, "A") not in published(found)
    assert not [record for record in found if record.type == "PTR"]


def test_keys_that_sign_or_will_are_published_and_retired_ones_are_not(key: DkimKey) -> None:
    names = {
        record.name
        for state in ("pending", "active", "retired")
        for record in records(DOMAIN, HOST, [replace(key, selector=state, state=state)])
        if "_domainkey" in record.name
    }
    assert names == {f"pending._domainkey.{DOMAIN}", f"active._domainkey.{DOMAIN}"}


@pytest.mark.parametrize(
    ("host", "record"),
    [
        (HOST, "v=spf1 mx -all"),
        (replace(HOST, sources=("192.0.2.7", V6)), "v=spf1 mx ip4:192.0.2.7 -all"),
        (replace(HOST, relays=("relay.example.net",)), "v=spf1 mx a:relay.example.net -all"),
        (replace(HOST, relays=("2001:db8::25",)), "v=spf1 mx ip6:2001:db8::25 -all"),
    ],
)
def test_spf_names_every_way_that_mail_leaves(host: Host, record: str) -> None:
    """RFC 7208 5: the mail exchanger, further addresses of ours, and a relay."""
    assert one(records(DOMAIN, host), DOMAIN, "TXT").value == record


def test_without_http_nothing_points_there() -> None:
    """Neither the policy of MTA-STS (RFC 8461 3.1) nor the names that mail programs ask."""
    names = {
        record.name.partition(".")[0] for record in records(DOMAIN, replace(HOST, https=False, http=False))
    }
    assert not names & {"autoconfig", "autodiscover", "_autodiscover", "mta-sts", "_mta-sts"}
    only_http = {record.name.partition(".")[0] for record in records(DOMAIN, replace(HOST, https=False))}
    assert "autoconfig" in only_http
    assert not only_http & {"autodiscover", "mta-sts", "_mta-sts"}


def test_the_id_of_the_policy_changes_with_the_policy_alone() -> None:
    """RFC 8461 3.1: 1 to 32 letters and digits."""
    ids = {policy_id(replace(HOST, mta_sts=mode)) for mode in ("testing", "enforce")}
    assert len(ids) == 2
    assert all(each.isalnum() and len(each) <= 32 for each in ids)
    assert policy_id(replace(HOST, addresses=())) == policy_id(HOST)
    none = records(DOMAIN, replace(HOST, mta_sts="none"))
    assert not [record for record in none if "mta-sts" in record.name]


def test_strings_of_a_txt_record_are_short_enough_and_escaped() -> None:
    text = 'a\\"' * 300
    rdata = dns.rdata.from_text("IN", "TXT", quoted_strings(text).replace("\n", " ").strip("()"))
    assert isinstance(rdata, dns.rdtypes.ANY.TXT.TXT)
    assert b"".join(rdata.strings).decode() == text
    assert max(len(each) for each in rdata.strings) == 255


def test_the_server_is_described_as_its_settings_have_it() -> None:
    """Listeners that only this machine reaches are not told to anybody."""
    settings = parse_settings(
        f'[server]\nhostname = "{NAME}"\n'
        '[[listener]]\nservice = "http"\nport = 443\ntls = "implicit"\n'
        '[[listener]]\nservice = "http"\nport = 80\ntls = "none"\naddress = "127.0.0.1"\n'
        '[[listener]]\nservice = "imap"\nport = 143\n'
        '[[route]]\ndomain = "example.net"\nhost = "a.example"\n[[route]]\ndomain = "*"\nhost = "b.example"\n'
        '[[source]]\naddress = "192.0.2.9"\n[http]\nmta_sts = "enforce"\n'
    )
    host = host_of(settings, [V4, V4], "Let's Encrypt")
    assert (host.hostname, host.addresses, host.https, host.http) == (NAME, (V4,), True, False)
    assert [(offer.service, offer.tls, offer.port) for offer in host.offers] == [("imap", "starttls", 143)]
    assert (host.relays, host.sources, host.mta_sts) == (("b.example",), ("192.0.2.9",), "enforce")
    assert host.authority == "letsencrypt.org"
    assert host_of(settings, [], "Somebody").authority == ""


def test_no_listener_is_advertised_for_a_port_that_is_not_there() -> None:
    found = records(
        DOMAIN, replace(HOST, offers=advertised(NAME, [Listener("imap", "::", 1143, "starttls")]))
    )
    assert one(found, f"_imap._tcp.{DOMAIN}", "SRV").value == f"0 1 1143 {NAME}"
    assert one(found, f"_submissions._tcp.{DOMAIN}", "SRV").value == "0 0 0 ."
