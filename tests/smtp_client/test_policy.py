"""TLS policies: what a host must have, what is recorded of it, what is counted, and what the author may waive."""

from __future__ import annotations

from typing import Any

import pytest

from fedaemon.delivery.transport import ConnectionLimits, HostTls, NextHost, Result, TlsPolicy
from fedaemon.net.tls_client import Verdict
from fedaemon.smtp.session_result import SessionResult
from tests.smtp_client.fakes import EXTENDED, FakeServer, handshake_failure, refused
from tests.smtp_client.world import REMOTE, TLS, TLSA, World, host, results

EXPIRED = Verdict("expired", "the certificate has expired", "certificate-expired")
ENFORCED = HostTls(TlsPolicy.VERIFY, "mta-sts enforce")
TESTING = HostTls(TlsPolicy.VERIFY, "mta-sts testing", testing=True)
DANE = HostTls(TlsPolicy.DANE, "dane", tlsa=(TLSA,))
ONE = ConnectionLimits(messages=1)


def session(policy: str, failure: str = "", text: str = "") -> SessionResult:
    return SessionResult("example.net", "mx.example.net", REMOTE[0], policy, not failure, failure, text)


@pytest.mark.parametrize("level", [TlsPolicy.OPPORTUNISTIC, TlsPolicy.REQUIRED])
def test_a_bad_certificate_is_recorded_where_it_does_not_matter(level: TlsPolicy) -> None:
    world = World(FakeServer(EHLO=TLS, verdict=EXPIRED))
    outcome = world.outcome(host(tls=HostTls(level, "route")))
    assert (outcome.result, outcome.certificate, outcome.policy) == (Result.DELIVERED, "expired", "route")
    assert (outcome.tls, outcome.tls_failure) == ("TLSv1.3 TEST", "")
    assert world.sessions == [session("route")]


def test_a_good_certificate_is_recorded_too() -> None:
    world = World(FakeServer(EHLO=TLS, verdict=Verdict("dane")))
    outcome = world.outcome(host(tls=DANE))
    assert (outcome.result, outcome.certificate, outcome.policy) == (Result.DELIVERED, "dane", "dane")
    assert world.sessions == [session("dane")]


@pytest.mark.parametrize("tls", [ENFORCED, DANE], ids=lambda tls: tls.policy)
def test_what_the_policy_refuses_is_temporary_and_named(tls: HostTls) -> None:
    server = FakeServer(EHLO=TLS, verdict=EXPIRED)
    world = World(server)
    outcome = world.outcome(host(tls=tls))
    assert (outcome.result, outcome.phase, outcome.status) == (Result.TEMPORARY, "tls", "4.7.5")
    text = f"the TLS handshake failed: the certificate has expired (policy: {tls.policy})"
    assert (outcome.text, outcome.policy) == (text, tls.policy)
    assert (outcome.certificate, outcome.tls_failure) == ("expired", "certificate-expired")
    assert server.commands == ["EHLO mail.example.org", "STARTTLS"]
    [told] = world.sessions
    assert (told.policy, told.succeeded, told.failure) == (tls.policy, False, "certificate-expired")


@pytest.mark.parametrize("tls", [ENFORCED, DANE], ids=lambda tls: tls.policy)
def test_downgrade_a_host_without_starttls_gets_nothing_under_a_policy(tls: HostTls) -> None:
    server = FakeServer()
    world = World(server)
    outcome = world.outcome(host(tls=tls))
    assert (outcome.result, outcome.tls_failure) == (Result.TEMPORARY, "starttls-not-supported")
    assert outcome.text == f"TLS is required, and the host does not offer it (policy: {tls.policy})"
    assert not any(command.startswith("MAIL") for command in server.commands)
    assert [told.failure for told in world.sessions] == ["starttls-not-supported"]


@pytest.mark.parametrize("tls", [ENFORCED, DANE], ids=lambda tls: tls.policy)
def test_a_failed_handshake_under_a_policy_has_its_result_type(tls: HostTls) -> None:
    world = World(FakeServer(EHLO=TLS, handshake=handshake_failure()))
    outcome = world.outcome(host(tls=tls))
    assert (outcome.result, outcome.tls_failure) == (Result.TEMPORARY, "validation-failure")
    assert "no shared cipher" in outcome.text
    assert [told.failure for told in world.sessions] == ["validation-failure"]
    assert len(world.reactor.transports) == 1


@pytest.mark.parametrize(
    ("server", "failure", "tls"),
    [
        ({"EHLO": TLS, "verdict": EXPIRED}, "certificate-expired", True),
        ({"EHLO": EXTENDED}, "starttls-not-supported", False),
        ({"EHLO": TLS, "handshake": handshake_failure()}, "validation-failure", False),
    ],
)
def test_testing_never_keeps_a_message_back_but_counts(
    server: dict[str, Any], failure: str, tls: bool
) -> None:
    world = World(FakeServer(**server))
    world.reactor.servers = {REMOTE[0]: [FakeServer(**server), FakeServer(**server)]}
    outcome = world.outcome(host(tls=TESTING))
    assert (outcome.result, outcome.policy) == (Result.DELIVERED, "mta-sts testing")
    assert (outcome.tls_failure, bool(outcome.tls)) == (failure, tls)
    assert [(told.succeeded, told.failure) for told in world.sessions] == [(False, failure)]


def test_testing_with_a_problem_is_delivered_and_counted() -> None:
    tls = HostTls(
        TlsPolicy.VERIFY,
        "mta-sts testing",
        testing=True,
        problem="not in the policy",
        failure="validation-failure",
    )
    world = World(FakeServer(EHLO=TLS))
    outcome = world.outcome(host(tls=tls))
    assert (outcome.result, outcome.tls_failure) == (Result.DELIVERED, "validation-failure")
    assert world.sessions == [session("mta-sts testing", "validation-failure", "not in the policy")]


def test_a_host_with_a_problem_is_not_dialled() -> None:
    tls = HostTls(
        TlsPolicy.VERIFY,
        "mta-sts enforce",
        problem="mx.example.net is not in the policy",
        failure="validation-failure",
    )
    world = World(FakeServer(), FakeServer(EHLO=TLS))
    outcome = world.outcome(host(*REMOTE, tls=tls))
    assert (outcome.result, outcome.phase, outcome.status) == (Result.TEMPORARY, "tls", "4.7.5")
    assert (outcome.text, outcome.policy) == ("mx.example.net is not in the policy", "mta-sts enforce")
    assert (outcome.host, outcome.tls_failure) == ("mx.example.net", "validation-failure")
    assert world.reactor.dialled == []
    problem = "mx.example.net is not in the policy"
    assert world.sessions == [
        SessionResult(
            "example.net", "mx.example.net", "", "mta-sts enforce", False, "validation-failure", problem
        )
    ]
    good = NextHost("mx2.example.net", REMOTE[1:], 25, ENFORCED)
    world.finished.clear()
    assert world.outcome(host(tls=tls), good).host == "mx2.example.net"


def test_what_a_server_said_tells_more_than_a_problem_of_another() -> None:
    tls = HostTls(TlsPolicy.VERIFY, "dane", problem="bogus", failure="dnssec-invalid")
    world = World(FakeServer(RCPT="450 4.2.0 later"))
    outcome = world.outcome(host(), NextHost("mx2.example.net", REMOTE[1:], 25, tls))
    assert (outcome.code, outcome.host) == (450, "mx.example.net")


def test_opportunistic_counts_hosts_without_tls_but_blames_nobody() -> None:
    world = World(FakeServer())
    outcome = world.outcome(host(tls=HostTls()))
    assert (outcome.tls_failure, outcome.certificate, outcome.policy) == ("", "", "opportunistic")
    assert [told.failure for told in world.sessions] == ["starttls-not-supported"]


def test_what_has_nothing_to_do_with_tls_is_not_counted() -> None:
    world = World(refused())
    world.outcome(host(tls=ENFORCED))
    assert world.sessions == []
    plain = World(FakeServer(EHLO=TLS))
    plain.outcome(host(tls=HostTls(TlsPolicy.NONE, "route")))
    assert plain.sessions == []


def test_a_reused_connection_is_one_session() -> None:
    world = World(FakeServer(EHLO=TLS))
    for _ in range(2):
        world.finished.clear()
        assert world.outcome(host(tls=DANE)).tls
    assert world.sessions == [session("dane")]


def test_broken_tls_is_remembered_for_some_minutes() -> None:
    broken = [FakeServer(EHLO=TLS, handshake=handshake_failure()) for _ in range(6)]
    world = World(list(broken))
    for _ in range(3):
        world.finished.clear()
        outcome = world.outcome(host(tls=HostTls()), limits=ONE)
        assert (outcome.result, outcome.tls, outcome.tls_failure) == (
            Result.DELIVERED,
            "",
            "validation-failure",
        )
    assert ["STARTTLS" in server.commands for server in broken] == [True, *[False] * 5]
    assert len(world.sessions) == 1
    world.reactor.advance(600)
    world.finished.clear()
    world.outcome(host(tls=HostTls()), limits=ONE)
    assert ["STARTTLS" in server.commands for server in broken] == [True, False, False, False, True, False]


def test_downgrade_what_is_remembered_does_not_weaken_a_policy() -> None:
    """That plaintext was used where it may be is no reason to use it where it may not."""
    broken = [FakeServer(EHLO=TLS, handshake=handshake_failure()) for _ in range(3)]
    world = World(list(broken))
    world.outcome(host(tls=HostTls()))
    world.finished.clear()
    assert world.outcome(host(tls=ENFORCED)).result is Result.TEMPORARY
    assert not any(command.startswith("MAIL") for command in broken[2].commands)


# RFC 8689

OFFERING = TLS.replace("250 STARTTLS", "250-STARTTLS\r\n250 REQUIRETLS")
ROUTE = HostTls(TlsPolicy.VERIFY, "route")


@pytest.mark.parametrize(
    "tls",
    [
        ENFORCED,
        TESTING,
        DANE,
        HostTls(TlsPolicy.REQUIRED, "dane"),
        HostTls(
            TlsPolicy.VERIFY, "mta-sts enforce", problem="not in the policy", failure="validation-failure"
        ),
    ],
)
def test_tls_required_no_waives_what_the_recipients_side_publishes(tls: HostTls) -> None:
    world = World([FakeServer(EHLO=TLS, handshake=handshake_failure()), FakeServer()])
    outcome = world.outcome(host(tls=tls), tls_optional=True)
    assert (outcome.result, outcome.policy) == (Result.DELIVERED, "tls-required: no")


@pytest.mark.parametrize("tls", [ROUTE, HostTls(TlsPolicy.REQUIRED, "domain")])
def test_tls_required_no_does_not_waive_what_our_operator_set(tls: HostTls) -> None:
    outcome = World(FakeServer()).outcome(host(tls=tls), tls_optional=True)
    assert (outcome.result, outcome.policy) == (Result.TEMPORARY, tls.policy)


def test_requiretls_wins_over_tls_required_no() -> None:
    outcome = World(FakeServer()).outcome(host(tls=ENFORCED), tls_optional=True, require_tls=True)
    assert (outcome.result, outcome.policy) == (Result.TEMPORARY, "mta-sts enforce")


@pytest.mark.parametrize(
    ("tls", "policy", "verify", "tlsa"),
    [
        (HostTls(), "requiretls", True, ()),
        (HostTls(TlsPolicy.NONE, "route"), "requiretls", True, ()),
        (HostTls(TlsPolicy.REQUIRED, "dane"), "requiretls", True, ()),
        (TESTING, "requiretls", True, ()),
        (ENFORCED, "mta-sts enforce", True, ()),
        (DANE, "dane", False, (TLSA,)),
    ],
)
def test_requiretls_asks_for_a_verified_host(
    tls: HostTls, policy: str, verify: bool, tlsa: tuple[object, ...]
) -> None:
    """DANE is verification, and by other means than the authorities."""
    world = World(FakeServer(EHLO=OFFERING))
    outcome = world.outcome(host(tls=tls), require_tls=True)
    assert (outcome.result, outcome.policy) == (Result.DELIVERED, policy)
    [asked] = world.tls.asked
    assert (asked["verify"], asked["tlsa"]) == (verify, tlsa)


def test_requiretls_is_not_satisfied_by_testing() -> None:
    outcome = World(FakeServer(EHLO=OFFERING, verdict=EXPIRED)).outcome(host(tls=TESTING), require_tls=True)
    assert (outcome.result, outcome.tls_failure) == (Result.TEMPORARY, "certificate-expired")


def test_credentials_are_not_put_at_risk_by_testing() -> None:
    server = FakeServer(EHLO=TLS.replace("250 STARTTLS", "250-STARTTLS\r\n250 AUTH PLAIN"), verdict=EXPIRED)
    outcome = World(server).outcome(host(tls=TESTING, username="alice", password="secret"))
    assert results([outcome]) == [("temporary", 0)]
    assert not any(command.startswith("AUTH") for command in server.commands)
