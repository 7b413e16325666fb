"""doctor: what receivers make of an SPF record, with the examples of RFC 7208 where it has them."""

from __future__ import annotations

import pytest

from fedaemon.ctl.doctor.lookup import Lookup
from fedaemon.ctl.doctor.spf import MAX_LOOKUPS, evaluate, spf_records
from tests.ctl.doctor_case import PaperDns

ZONE = {
    ("example.com", "A"): ["192.0.2.10", "192.0.2.11"],
    ("example.com", "MX"): ["10 mail-a.example.com.", "20 mail-b.example.com."],
    ("amy.example.com", "A"): ["192.0.2.65"],
    ("mail-a.example.com", "A"): ["192.0.2.129"],
    ("mail-b.example.com", "A"): ["192.0.2.130"],
    ("mail-b.example.com", "AAAA"): ["2001:db8::130"],
    ("mail-c.example.org", "A"): ["192.0.2.140"],
    ("example.org", "MX"): ["10 mail-c.example.org."],
    ("inner.example", "TXT"): ['"v=spf1 ip4:192.0.2.200 -all"'],
    ("outer.example", "TXT"): ['"v=spf1 redirect=inner.example"'],
    ("loop.example", "TXT"): ['"v=spf1 include:loop.example -all"'],
    ("two.example", "TXT"): ['"v=spf1 -all"', '"v=spf1 +all"'],
}


def result(record: str, address: str) -> str:
    dns = PaperDns({**ZONE, ("example.com", "TXT"): [f'"{record}"']})
    return evaluate(Lookup(dns), "example.com", address).result


@pytest.mark.parametrize(
    ("record", "address", "expected"),
    [
        ("v=spf1 +all", "192.0.2.99", "pass"),
        ("v=spf1 a -all", "192.0.2.10", "pass"),
        ("v=spf1 a -all", "192.0.2.99", "fail"),
        ("v=spf1 a:example.org -all", "192.0.2.10", "fail"),
        ("v=spf1 mx -all", "192.0.2.129", "pass"),
        ("v=spf1 mx -all", "2001:db8::130", "pass"),
        ("v=spf1 mx:example.org -all", "192.0.2.140", "pass"),
        ("v=spf1 mx mx:example.org -all", "192.0.2.130", "pass"),
        ("v=spf1 mx/30 mx:example.org/30 -all", "192.0.2.131", "pass"),
        ("v=spf1 mx/30 mx:example.org/30 -all", "192.0.2.143", "pass"),
        ("v=spf1 mx/30 -all", "192.0.2.132", "fail"),
        ("v=spf1 mx//64 -all", "2001:db8::1", "pass"),
        ("v=spf1 ip4:192.0.2.128/28 -all", "192.0.2.129", "pass"),
        ("v=spf1 ip4:192.0.2.128/28 -all", "192.0.2.65", "fail"),
        ("v=spf1 ip6:2001:db8::/32 -all", "2001:db8::1", "pass"),
        ("v=spf1 include:inner.example ~all", "192.0.2.200", "pass"),
        ("v=spf1 include:inner.example ~all", "192.0.2.201", "softfail"),
        ("v=spf1 redirect=outer.example", "192.0.2.200", "pass"),
        ("v=spf1 -ip4:192.0.2.1 ?all", "192.0.2.1", "fail"),
        ("v=spf1 ?all", "192.0.2.1", "neutral"),
        ("v=spf1", "192.0.2.1", "neutral"),
        ("v=spf1 include:nobody.example -all", "192.0.2.1", "permerror"),
        ("v=spf1 redirect=nobody.example", "192.0.2.1", "permerror"),
        ("v=spf1 include:two.example -all", "192.0.2.1", "permerror"),
        ("v=spf1 include:loop.example -all", "192.0.2.1", "permerror"),
        ("v=spf1 ip4:192.0.2.300 -all", "192.0.2.1", "permerror"),
        ("v=spf1 a/99 -all", "192.0.2.1", "permerror"),
        ("v=spf1 include -all", "192.0.2.1", "permerror"),
        ("v=spf1 mxx -all", "192.0.2.1", "permerror"),
        ("V=SPF1 A -ALL exp=explain.example.com", "192.0.2.10", "pass"),
    ],
)
def test_records(record: str, address: str, expected: str) -> None:
    """Terms are tried from left to right, and the first that matches decides."""
    assert result(record, address) == expected


def test_too_many_questions() -> None:
    """Ten terms that ask DNS are allowed, an eleventh makes the record void."""
    ten = " ".join(["a:amy.example.com"] * MAX_LOOKUPS)
    assert result(f"v=spf1 {ten} -all", "192.0.2.1") == "fail"
    assert result(f"v=spf1 {ten} mx -all", "192.0.2.1") == "permerror"


def test_terms_for_receivers_alone() -> None:
    """Macros depend on the message."""
    dns = PaperDns({("example.com", "TXT"): ['"v=spf1 exists:%{ir}.example.net a -all"']})
    assert evaluate(Lookup(dns), "example.com", "192.0.2.1").unsure


def test_what_is_a_record_of_spf() -> None:
    """The version must stand alone. Spec: RFC 7208 4.5"""
    assert spf_records(["v=spf1", "v=spf10 -all", "v=spf1 -all", "spf2.0/pra"]) == ["v=spf1", "v=spf1 -all"]
