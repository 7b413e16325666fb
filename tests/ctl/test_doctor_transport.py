"""doctor: MTA-STS, reports on TLS, TLSA records."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

import pytest

from fedaemon.ctl.doctor import transport_dns
from fedaemon.ctl.doctor.case import Case
from fedaemon.ctl.doctor.dialogue import Broken
from fedaemon.ctl.doctor.finding import Finding
from fedaemon.ctl.doctor.lookup import Lookup
from fedaemon.delivery.tls_policy.sts_policy import parse_policy
from tests.ctl.doctor_case import DOMAIN, HOST, PLAIN, PaperDns, bad, new_case, the
from tests.lab.authority import Authority
from tests.lab.policy_host import PolicyHost, policy
from tests.net.chains import write


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


def case_for(authority: Authority, more: str = "") -> Case:
    return new_case(f'{PLAIN}[delivery]\nca_file = "{authority.ca_file}"\n{more}', records={})


def policies(authority: Authority, announced: str, text: str | int) -> list[Finding]:
    """Look at a domain whose policy is *text*, or an HTTP status."""
    name = f"mta-sts.{DOMAIN}"
    server = PolicyHost("127.0.0.1", 0, authority.good_for(name))
    server.policies[name] = text
    try:
        more = f'mta_sts_port = {server.port}\n[[listener]]\nservice = "http"\nport = 443\ntls = "implicit"\n'
        records = {(name, "A"): ["127.0.0.1"], (f"_mta-sts.{DOMAIN}", "TXT"): [f'"{announced}"']}
        case = dataclasses.replace(case_for(authority, more), lookup=Lookup(PaperDns(records)))
        return list(transport_dns.mta_sts(case, DOMAIN))
    finally:
        server.close()


def test_a_policy_that_can_be_had(authority: Authority) -> None:
    """It is fetched as others do, and names us."""
    assert bad(policies(authority, "v=STSv1; id=1", policy("enforce", HOST))) == []
    assert bad(policies(authority, "v=STSv1; id=1", policy("testing", "*.example.org"))) == []


@pytest.mark.parametrize(
    ("announced", "text", "level", "words"),
    [
        ("v=STSv1; id=1", policy("enforce", "mx.old.test"), "problem", f"and not {HOST}"),
        ("v=STSv1; id=1", policy("testing", "mx.old.test"), "warning", f"and not {HOST}"),
        ("v=STSv1; id=1", 404, "problem", "status 404"),
        ("v=STSv1; id=1", "hello", "problem", "no field"),
        ("v=STSv1; id=", policy("enforce", HOST), "warning", "is not valid"),
        ("something else", policy("enforce", HOST), "note", "does not announce"),
    ],
)
def test_a_policy_that_is_wrong(
    authority: Authority, announced: str, text: str | int, level: str, words: str
) -> None:
    """In force and without us it keeps mail away."""
    assert words in the(policies(authority, announced, text), level, "mta-sts").what


def test_a_policy_whose_host_is_not_trusted(authority: Authority, tmp_path: Path) -> None:
    """Other servers check the certificate, too; and the name must exist."""
    other = Authority(tmp_path / "other")
    server = PolicyHost("127.0.0.1", 0, other.good_for(f"mta-sts.{DOMAIN}"))
    try:
        case = case_for(authority, f"mta_sts_port = {server.port}\n")
        records = {(f"mta-sts.{DOMAIN}", "A"): ["127.0.0.1"]}
        with pytest.raises(Broken, match="certificate is refused"):
            transport_dns.fetch_policy(dataclasses.replace(case, lookup=Lookup(PaperDns(records))), DOMAIN)
        with pytest.raises(Broken, match="has no address"):
            transport_dns.fetch_policy(case, DOMAIN)
    finally:
        server.close()


def test_mode_none_asks_for_nothing() -> None:
    """A policy that is being taken back may name anybody."""
    taken_back = parse_policy(b"version: STSv1\nmode: none\nmx: other.test\nmax_age: 1\n", "1", 0)
    assert transport_dns.judge_policy(new_case(), DOMAIN, taken_back).level == "ok"


@pytest.mark.parametrize(
    ("texts", "level"),
    [([], "note"), (['"v=TLSRPTv1"'], "warning"), (['"v=TLSRPTv1; rua=mailto:a@example.org"'], None)],
)
def test_reports_on_tls(texts: list[str], level: str | None) -> None:
    """They are an offer."""
    case = new_case(records={(f"_smtp._tls.{DOMAIN}", "TXT"): texts})
    assert [each.level for each in bad(transport_dns.tls_reports(case, DOMAIN))] == ([level] if level else [])


def tlsa(authority: Authority, tmp_path: Path, *, right: bool, secure: bool) -> list[Finding]:
    link = authority.link(HOST)
    certificate, key = write(tmp_path / f"{right}{secure}", link)
    text = f'{PLAIN}[tls]\ncertificate = "{certificate}"\nprivate_key = "{key}"\n'
    digest = hashlib.sha256(link.spki if right else b"").hexdigest()
    dns = PaperDns({(f"_25._tcp.{HOST}", "TLSA"): [f"3 1 1 {digest}"]}, secure=secure)
    return list(transport_dns.check_dane(new_case(text, lookup=Lookup(dns))))


def test_tlsa_records(authority: Authority, tmp_path: Path) -> None:
    """One that does not fit keeps mail away; without DNSSEC they are idle; without any nothing is said."""
    assert bad(tlsa(authority, tmp_path, right=True, secure=True)) == []
    the(tlsa(authority, tmp_path, right=True, secure=False), "note", "tlsa")
    the(tlsa(authority, tmp_path, right=False, secure=True), "problem", "tlsa")
    assert list(transport_dns.check_dane(new_case())) == []
