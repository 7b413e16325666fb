"""doctor: DNS by which mail programs find their settings; and that setup and doctor want the same records."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import pytest

from fedaemon.ctl.dns_records import DnsRecord
from fedaemon.ctl.dns_records import records as wanted_records
from fedaemon.ctl.doctor import client_dns, domain_dns, host_dns, transport_dns
from fedaemon.ctl.doctor.case import Case
from fedaemon.ctl.doctor.finding import Finding
from fedaemon.ctl.doctor.lookup import Lookup
from tests.ctl.doctor_case import (
    DOMAIN,
    HOST,
    PLAIN,
    PaperDns,
    active_key,
    bad,
    new_case,
    right_records,
    stored,
)

LISTENERS = """
[[listener]]
service = "http"
port = 443
tls = "implicit"
[[listener]]
service = "imap"
port = 993
tls = "implicit"
"""
Records = dict[tuple[str, str], list[str]]


def published(case: Case, *, but: str = "") -> Records:
    """Return DNS with every record that is advised for the domain, but those of one type."""
    found = right_records()
    for record in wanted_records(DOMAIN, case.host()):
        if record.type in ("SRV", "CNAME") and record.type != but:
            found[record.name, record.type] = [record.zone().split(f" {record.type} ")[1]]
    return found


def clients(changes: Records, *, but: str = "") -> Iterator[Finding]:
    case = new_case(PLAIN + LISTENERS)
    dns = PaperDns({**published(case, but=but), **changes})
    return client_dns.check_clients(dataclasses.replace(case, lookup=Lookup(dns)), DOMAIN)


def test_what_is_advised_is_found_right() -> None:
    """The records that setup prints satisfy the doctor; only the certificate for autodiscover is not there."""
    assert [each.check for each in bad(clients({}))] == ["autodiscover"]


def test_setup_and_doctor_agree() -> None:
    """Whoever publishes exactly what setup prints has no problem and no warning."""
    key = active_key()
    imap = '[[listener]]\nservice = "imap"\nport = 993\ntls = "implicit"\n'
    case = new_case(PLAIN + imap, stored=stored(key))
    records: Records = {}
    for each in wanted_records(DOMAIN, case.host(), (key,)):
        text = zone_text(each)
        records.setdefault((each.name, each.type), []).append(text)
    case = dataclasses.replace(case, lookup=Lookup(PaperDns(records)))
    checks = (domain_dns.check_domain, client_dns.check_clients, transport_dns.check_transport)
    found = [*host_dns.check_host(case), *(each for check in checks for each in check(case, DOMAIN))]
    # The advised DMARC record begins with p=none.
    assert [(each.level, each.check) for each in bad(found)] == [("note", "dmarc")]


def zone_text(record: DnsRecord) -> str:
    """Return what stands behind the type in a zone file."""
    return record.zone().partition(f" IN {record.type} ")[2].strip("()").replace("\n", " ").strip()


def test_services_that_are_missing() -> None:
    """They are convenience: one note, with every record."""
    (missing,) = [each for each in bad(clients({}, but="SRV")) if each.check == "srv"]
    assert missing.level == "note" and missing.what == "lacks 2 SRV records for mail programs"
    assert f"_imaps._tcp.{DOMAIN}. IN SRV 0 1 993 {HOST}." in missing.todo


@pytest.mark.parametrize("text", ["0 1 993 old.example.net.", "0 1 9993 mail.example.org."])
def test_a_service_that_is_elsewhere(text: str) -> None:
    """Mail programs would set themselves up wrongly."""
    found = bad(clients({(f"_imaps._tcp.{DOMAIN}", "SRV"): [text]}))
    assert ("warning", "srv") in [(each.level, each.check) for each in found]


def test_a_service_that_is_not_offered_here() -> None:
    """DNS promises POP3, and there is no listener for it."""
    found = bad(clients({(f"_pop3s._tcp.{DOMAIN}", "SRV"): [f"0 1 995 {HOST}."]}))
    (wrong,) = [each for each in found if each.check == "srv"]
    assert wrong.what.endswith("and that is not offered")


def test_names_for_settings() -> None:
    """Missing ones are a note; one that leads elsewhere is worse."""
    assert [each.level for each in bad(clients({}, but="CNAME")) if each.check == "autoconfig"] == ["note"]
    elsewhere = {
        (f"autoconfig.{DOMAIN}", "CNAME"): ["web.example.net."],
        ("web.example.net", "A"): ["9.9.9.10"],
    }
    (found,) = [each for each in bad(clients(elsewhere)) if each.check == "autoconfig"]
    assert found.level == "warning" and "9.9.9.10" in found.what
