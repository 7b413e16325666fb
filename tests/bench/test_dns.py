"""The DNS server for which every domain exists, asked as the product's resolver asks."""

from __future__ import annotations

import dns.message
import dns.query
import dns.rcode
import dns.rdatatype
import pytest

from bench.dns import EveryDomain, answer


def _ask(port: int, name: str, kind: str) -> list[str]:
    response = dns.query.udp(dns.message.make_query(name, kind), "127.0.0.1", port=port, timeout=5)
    assert response.rcode() == dns.rcode.NOERROR
    return [each.to_text() for records in response.answer for each in records]


def test_each_domain_has_an_exchanger_of_its_own() -> None:
    """Different names for hosts make different sites; all of them are this machine."""
    with EveryDomain() as server:
        assert _ask(server.port, "d1.test", "MX") == ["10 mx.d1.test."]
        assert _ask(server.port, "d2.test", "MX") == ["10 mx.d2.test."]
        assert _ask(server.port, "mx.d1.test", "A") == ["127.0.0.1"]
        assert _ask(server.port, "mx.d1.test", "AAAA") == []
        assert _ask(server.port, "_mta-sts.d1.test", "TXT") == []
        assert server.asked == 5


def test_the_records_are_under_the_name_that_was_asked_for() -> None:
    """A resolver drops records of other names."""
    response = dns.message.from_wire(answer(dns.message.make_query("d1.test", "MX").to_wire()))
    assert [records.name.to_text() for records in response.answer] == ["d1.test."]
    assert response.answer[0].rdtype == dns.rdatatype.MX


@pytest.mark.parametrize("cut", [0, 5, 12, 15, 24])
def test_what_is_no_question_is_not_answered(cut: int) -> None:
    """Half a question must not end the thread that answers the others."""
    question = dns.message.make_query("d1.test", "A", use_edns=False).to_wire()
    assert answer(question[:cut]) == b""
    assert answer(question) != b""


def test_a_response_is_not_answered() -> None:
    """Two such servers would answer each other for ever."""
    response = answer(dns.message.make_query("d1.test", "A").to_wire())
    assert answer(response) == b""
