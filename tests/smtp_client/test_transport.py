"""Attempts against servers that follow a script: which host is tried, what is final, what TLS demands."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.error import TimeoutError as ConnectTimeout

from fedaemon.delivery.transport import (
    Attempt,
    ConnectionLimits,
    HostTls,
    NextHost,
    Outcome,
    Recipient,
    Result,
    TlsPolicy,
)
from fedaemon.smtp.client_dialling import UNREACHABLE_S
from fedaemon.smtp.client_timeouts import Timeouts
from fedaemon.smtp.transport import SmtpTransport
from tests.smtp_client.fakes import EXTENDED, FakeServer, FakeTls, Text, handshake_failure, refused
from tests.smtp_client.world import REMOTE, TLS, TLSA, World, host, results


def test_a_delivery_says_everything_about_itself() -> None:
    server = FakeServer()
    outcome = World(server).outcome(ret="FULL", envid="E1")
    assert outcome == Outcome(
        number=10,
        result=Result.DELIVERED,
        text="Ok: queued as REMOTE",
        code=250,
        status="2.0.0",
        phase="content",
        host="mx.example.net",
        address="192.0.2.1",
        tls="",
        duration_ms=0,
        policy="none",
        source="192.0.2.99",
        dsn_passed_on=True,
    )
    assert server.commands == [
        "EHLO mail.example.org",
        "MAIL FROM:<a@example.org> SIZE=4 BODY=8BITMIME RET=FULL ENVID=E1",
        "RCPT TO:<b0@example.net>",
        "DATA",
    ]
    assert server.contents == [b"Hi\r\n"]


def test_recipients_get_results_of_their_own() -> None:
    server = FakeServer(RCPT=["250 ok", "550 5.1.1 no", "450 4.2.1 later"])
    outcomes = World(server).outcomes(to=3)
    assert results(outcomes) == [("delivered", 250), ("permanent", 550), ("temporary", 450)]
    assert [outcome.phase for outcome in outcomes] == ["content", "rcpt", "rcpt"]


def test_dsn_is_not_said_to_be_passed_on_where_it_is_not_offered() -> None:
    assert not World(FakeServer(EHLO="250 mx")).outcome().dsn_passed_on


@pytest.mark.parametrize(
    "first",
    [
        refused(),
        ConnectTimeout(),
        FakeServer(connect="554 5.7.1 no"),
        FakeServer(connect="421 4.3.2 later"),
        FakeServer(connect=None),
        FakeServer(connect="SSH-2.0-x"),
        FakeServer(EHLO="421 4.3.2 later"),
        FakeServer(MAIL="451 4.3.0 later"),
        FakeServer(MAIL=None),
        FakeServer(RCPT="450 4.2.0 greylisted"),
        FakeServer(RCPT=None),
        FakeServer(DATA=None),
        FakeServer(DATA="421 4.3.2 later"),
    ],
    ids=lambda first: str(getattr(first, "answers", first))[-60:],
)
def test_fall_over_trouble_before_the_content_goes_to_the_next_address(first: object) -> None:
    second = FakeServer()
    world = World(first, second)
    outcome = world.outcome()
    assert (outcome.result, outcome.address) == (Result.DELIVERED, "192.0.2.2")
    assert len(second.contents) == 1


@pytest.mark.parametrize(
    ("server", "result", "phase"),
    [
        (FakeServer(MAIL="550 5.7.1 no"), "permanent", "mail"),
        (FakeServer(RCPT="550 5.1.1 no"), "permanent", "rcpt"),
        (FakeServer(DATA="554 5.7.1 no"), "permanent", "data"),
        (FakeServer(DATA="451 4.7.1 no"), "temporary", "data"),
        (FakeServer(dot="550 5.7.1 spam"), "permanent", "content"),
        (FakeServer(dot="451 4.7.1 later"), "temporary", "content"),
        (FakeServer(dot="421 4.3.2 down"), "temporary", "content"),
        (FakeServer(dot=None), "temporary", "content"),
    ],
)
def test_final_answers_go_to_no_other_host(server: FakeServer, result: str, phase: str) -> None:
    """Above all: no second copy goes out after the end of a message was sent."""
    world = World(server, FakeServer())
    outcome = world.outcome()
    assert (outcome.result.value, outcome.phase, outcome.address) == (result, phase, "192.0.2.1")
    assert world.reactor.dialled == ["192.0.2.1"]


def test_a_lost_reply_to_the_message_is_temporary_and_says_so() -> None:
    outcome = World(FakeServer(dot=None)).outcome()
    assert (outcome.result, outcome.code, outcome.phase) == (Result.TEMPORARY, 0, "content")
    assert "the reply to the message was lost" in outcome.text


def test_only_those_without_an_answer_go_to_the_next_host() -> None:
    first = FakeServer(RCPT=["550 5.1.1 no", "450 4.2.0 later"])
    second = FakeServer()
    outcomes = World(first, second).outcomes(to=2)
    assert results(outcomes) == [("permanent", 550), ("delivered", 250)]
    assert [command for command in second.commands if command.startswith("RCPT")] == [
        "RCPT TO:<b1@example.net>"
    ]


def test_when_no_host_takes_it_the_most_telling_temporary_answer_is_kept() -> None:
    world = World(FakeServer(RCPT="450 4.2.0 greylisted"), refused())
    outcome = world.outcome()
    assert (outcome.result, outcome.code, outcome.text) == (Result.TEMPORARY, 450, "greylisted")
    assert world.reactor.dialled == ["192.0.2.1", "192.0.2.2"]


def test_nobody_reachable() -> None:
    outcome = World(refused()).outcome()
    assert (outcome.result, outcome.phase, outcome.status) == (Result.TEMPORARY, "connect", "4.4.1")
    assert outcome.text == "could not connect to port 25: Connection refused"
    late = World(ConnectTimeout()).outcome()
    assert late.text == "could not connect to port 25: timed out after 30 s"


def test_a_host_that_is_down_is_tried_last_for_a_while() -> None:
    """RFC 5321 4.5.4.1: not every message pays for a dead first host; later it has its place again."""
    world = World(refused(), FakeServer())
    first = world.outcome()
    assert (first.address, world.reactor.dialled) == ("192.0.2.2", ["192.0.2.1", "192.0.2.2"])
    world.reactor.dialled.clear()
    world.start(limits=ConnectionLimits(messages=1))
    assert world.reactor.dialled[-1:] in ([], ["192.0.2.2"])
    assert "192.0.2.1" not in world.reactor.dialled
    world.reactor.advance(UNREACHABLE_S + 10)
    world.start()
    assert world.reactor.dialled[-2:] == ["192.0.2.1", "192.0.2.2"]


def test_a_refused_greeting_is_temporary_but_521_from_every_host_is_not() -> None:
    assert World(FakeServer(connect="554 no")).outcome().result is Result.TEMPORARY
    never = FakeServer(connect="521 5.3.2 host takes no mail")
    outcome = World(never, never).outcome()
    assert (outcome.result, outcome.code) == (Result.PERMANENT, 521)
    assert World(never, refused()).outcome().result is Result.TEMPORARY


def test_no_host_and_no_address() -> None:
    for hosts in ((NextHost("mx.example.net", (), 25),), ()):
        world = World()
        attempt = Attempt("Q", "a@x", (Recipient(1, "b@x"), Recipient(2, "c@x")), Text(b""), hosts)
        world.transport.attempt(attempt).addCallback(world.finished.append)
        assert results(world.finished[0]) == [("temporary", 0)] * 2


def test_no_more_addresses_are_tried_than_the_limit() -> None:
    world = World()
    addresses = tuple(f"192.0.2.{number}" for number in range(50, 80))
    world.reactor.servers = {address: refused() for address in addresses}
    assert world.outcome(host(*addresses)).result is Result.TEMPORARY
    assert len(world.reactor.dialled) == 10


def test_ipv6_is_dialled_like_any_other_address() -> None:
    world = World()
    world.reactor.servers = {"2001:db8::1": FakeServer()}
    assert world.outcome(host("2001:db8::1")).address == "2001:db8::1"


# Several transactions


def test_a_hundred_recipients_fill_a_transaction() -> None:
    server = FakeServer()
    outcomes = World(server).outcomes(to=230)
    assert results(outcomes) == [("delivered", 250)] * 230
    assert len(server.contents) == 3
    assert sum(command.startswith("EHLO") for command in server.commands) == 1


def test_rcptmax_of_rfc_9422_is_kept() -> None:
    server = FakeServer(EHLO="250-mx\r\n250 LIMITS RCPTMAX=2")
    assert results(World(server).outcomes(to=5)) == [("delivered", 250)] * 5
    assert len(server.contents) == 3


def test_mailmax_of_rfc_9422_takes_another_connection() -> None:
    server = FakeServer(EHLO="250-mx\r\n250 LIMITS RCPTMAX=1 MAILMAX=2")
    world = World(server)
    assert results(world.outcomes(to=3)) == [("delivered", 250)] * 3
    assert len(world.reactor.transports) == 2


def test_recipients_beyond_the_servers_limit_go_in_the_next_transaction() -> None:
    replies = ["250 ok", "250 ok", "452 4.5.3 too many", "452 4.5.3 too many", "250 ok"]
    server = FakeServer(RCPT=replies)
    assert results(World(server).outcomes(to=4)) == [("delivered", 250)] * 4
    assert [command.split()[0] for command in server.commands].count("MAIL") == 2


def test_a_server_that_never_has_room_is_not_asked_for_ever() -> None:
    server = FakeServer(RCPT="452 4.5.3 too many")
    world = World(server)
    assert results(world.outcomes(to=3)) == [("temporary", 452)] * 3
    assert [command.split()[0] for command in server.commands].count("MAIL") == 1


def test_a_failure_between_transactions_leaves_what_was_delivered() -> None:
    server = FakeServer(EHLO="250-mx\r\n250 LIMITS RCPTMAX=1", MAIL=["250 ok", None])
    assert results(World(server, refused()).outcomes(to=2)) == [("delivered", 250), ("temporary", 0)]


# Obstacles


@pytest.mark.parametrize(
    ("more", "status"),
    [
        ({"content": b"x" * 100_001}, "5.3.4"),
        ({"body": "BINARYMIME"}, "5.6.3"),
    ],
)
def test_what_the_server_cannot_take_is_not_begun(more: dict[str, Any], status: str) -> None:
    server = FakeServer()
    outcome = World(server).outcome(**more)
    assert (outcome.result, outcome.status, outcome.code) == (Result.PERMANENT, status, 0)
    assert server.commands == ["EHLO mail.example.org"]


def test_smtputf8_is_needed_and_not_offered() -> None:
    outcome = World(FakeServer(EHLO="250 mx")).outcome(smtputf8=True)
    assert (outcome.result, outcome.status) == (Result.PERMANENT, "5.6.7")


# TLS


def test_tls_is_used_when_offered() -> None:
    server = FakeServer(EHLO=TLS)
    outcome = World(server).outcome(host(tls=TlsPolicy.OPPORTUNISTIC))
    assert (outcome.result, outcome.tls) == (Result.DELIVERED, "TLSv1.3 TEST")
    assert server.commands[:3] == ["EHLO mail.example.org", "STARTTLS", "EHLO mail.example.org"]


def test_opportunistic_goes_without_where_it_is_not_offered() -> None:
    world = World(FakeServer())
    outcome = world.outcome(host(tls=TlsPolicy.OPPORTUNISTIC))
    assert (outcome.result, outcome.tls) == (Result.DELIVERED, "")
    assert len(world.reactor.transports) == 1


def test_tls_none_does_not_use_it() -> None:
    server = FakeServer(EHLO=TLS)
    assert World(server).outcome(host()).tls == ""
    assert "STARTTLS" not in server.commands


BROKEN = [
    {"handshake": handshake_failure()},
    {"STARTTLS": "454 4.7.0 not now"},
    {"STARTTLS": None},
    {"STARTTLS": "220 go\r\n250 injected"},
    {"EHLO": [TLS, None]},  # the handshake succeeds and nothing follows
]


@pytest.mark.parametrize("broken", BROKEN)
def test_opportunistic_falls_back_to_plain_on_a_new_connection(broken: dict[str, Any]) -> None:
    first, second = FakeServer(**{"EHLO": TLS, **broken}), FakeServer(EHLO=TLS)
    world = World([first, second])
    outcome = world.outcome(host(tls=TlsPolicy.OPPORTUNISTIC))
    assert (outcome.result, outcome.tls) == (Result.DELIVERED, "")
    assert not any(command.startswith("MAIL") for command in first.commands)
    assert "STARTTLS" not in second.commands


@pytest.mark.parametrize("policy", [TlsPolicy.REQUIRED, TlsPolicy.VERIFY])
@pytest.mark.parametrize("broken", [*BROKEN, {"EHLO": EXTENDED}])
def test_downgrade_no_envelope_leaves_without_tls_where_it_is_required(
    policy: TlsPolicy, broken: dict[str, Any]
) -> None:
    server = FakeServer(**{"EHLO": TLS, **broken})
    world = World(server)
    outcome = world.outcome(host(tls=policy))
    assert outcome.result is Result.TEMPORARY
    assert outcome.phase in ("tls", "ehlo")
    assert not any(command.startswith(("MAIL", "AUTH")) for command in server.commands)
    assert len(world.reactor.transports) == 1


def test_tls_required_falls_over_to_a_host_that_has_it() -> None:
    world = World(FakeServer(), FakeServer(EHLO=TLS))
    outcome = world.outcome(host(*REMOTE, tls=TlsPolicy.REQUIRED))
    assert (outcome.result, outcome.address) == (Result.DELIVERED, "192.0.2.2")


@pytest.mark.parametrize(
    ("tls", "asked"),
    [
        (HostTls(TlsPolicy.VERIFY), {"verify": True}),
        (HostTls(TlsPolicy.VERIFY, names=("example.net",)), {"verify": True, "names": ("example.net",)}),
        (HostTls(TlsPolicy.VERIFY, testing=True), {"verify": False}),
        (HostTls(TlsPolicy.REQUIRED), {"verify": False}),
        (HostTls(TlsPolicy.OPPORTUNISTIC), {"verify": False}),
        (HostTls(TlsPolicy.DANE, tlsa=(TLSA,)), {"verify": False, "tlsa": (TLSA,)}),
        (
            HostTls(TlsPolicy.DANE, tlsa=(TLSA,), names=("base.example.net", "mx.example.net")),
            {
                "host": "base.example.net",
                "verify": False,
                "names": ("base.example.net", "mx.example.net"),
                "tlsa": (TLSA,),
            },
        ),
        (HostTls(TlsPolicy.VERIFY, tlsa=(TLSA,)), {"verify": True}),
    ],
)
def test_the_handshake_is_asked_for_what_the_policy_demands(tls: HostTls, asked: dict[str, Any]) -> None:
    world = World(FakeServer(EHLO=TLS))
    world.outcome(host(tls=tls))
    assert world.tls.asked == [{"host": "mx.example.net", "names": (), "tlsa": (), **asked}]


def test_requiretls_goes_only_to_hosts_that_offer_it_over_verified_tls() -> None:
    offering = FakeServer(EHLO=TLS.replace("250 STARTTLS", "250-STARTTLS\r\n250 REQUIRETLS"))
    world = World(FakeServer(EHLO=TLS), offering)
    outcome = world.outcome(host(*REMOTE), require_tls=True)
    assert (outcome.result, outcome.address) == (Result.DELIVERED, "192.0.2.2")
    assert any(command.startswith("MAIL") and "REQUIRETLS" in command for command in offering.commands)
    assert [asked["verify"] for asked in world.tls.asked] == [True, True]


def test_requiretls_without_a_host_that_offers_it() -> None:
    outcome = World(FakeServer(EHLO=TLS)).outcome(require_tls=True)
    assert (outcome.result, outcome.status) == (Result.PERMANENT, "5.7.30")
    later = World(FakeServer(EHLO=TLS), refused()).outcome(require_tls=True)
    assert later.result is Result.TEMPORARY


def test_a_report_goes_on_where_requiretls_is_not_offered() -> None:
    """RFC 8689 5: a report about such a message must not get lost for it."""
    server = FakeServer(EHLO=TLS)
    outcome = World(server).outcome(require_tls=True, sender="")
    assert outcome.result is Result.DELIVERED
    assert not any("REQUIRETLS" in command for command in server.commands)


# Credentials

AUTH = EXTENDED.replace("250 ", "250-") + "\r\n250 AUTH PLAIN"
AUTH_TLS = TLS.replace("250 STARTTLS", "250-STARTTLS\r\n250 AUTH PLAIN")


def test_credentials_are_shown_under_tls() -> None:
    server = FakeServer(EHLO=AUTH_TLS)
    login = {"username": "alice", "password": "secret"}
    assert World(server).outcome(host(tls=TlsPolicy.REQUIRED, **login)).result is Result.DELIVERED
    assert server.commands[3].startswith("AUTH PLAIN ")


@pytest.mark.parametrize("policy", [TlsPolicy.NONE, TlsPolicy.OPPORTUNISTIC])
@pytest.mark.parametrize("ehlo", [AUTH, AUTH_TLS])
def test_credentials_are_never_shown_in_the_open(policy: TlsPolicy, ehlo: str) -> None:
    """Stripping STARTTLS, or breaking the handshake, must not bring out a password."""
    server = FakeServer(EHLO=ehlo, handshake=handshake_failure())
    world = World(server)
    outcome = world.outcome(host(tls=policy, username="alice", password="secret"))
    assert outcome.result is Result.TEMPORARY
    assert outcome.phase == ("auth" if policy is TlsPolicy.NONE else "tls")
    assert len(world.reactor.transports) == 1
    assert not any(command.startswith("AUTH") for command in server.commands)


def test_credentials_go_to_this_machine_without_tls() -> None:
    for address in ("127.0.0.1", "::1"):
        world = World()
        server = FakeServer(EHLO=AUTH)
        world.reactor.servers = {address: server}
        outcome = world.outcome(
            host(address, tls=TlsPolicy.OPPORTUNISTIC, username="alice", password="secret")
        )
        assert outcome.result is Result.DELIVERED
        assert server.commands[1].startswith("AUTH")


def test_refused_credentials_are_a_temporary_failure() -> None:
    server = FakeServer(EHLO=AUTH_TLS, AUTH="535 5.7.8 wrong")
    outcome = World(server).outcome(host(tls=TlsPolicy.REQUIRED, username="alice", password="secret"))
    assert (outcome.result, outcome.phase, outcome.code) == (Result.TEMPORARY, "auth", 535)


# Our own faults, and the end


def test_a_defect_of_ours_is_a_temporary_outcome() -> None:
    """An address that cannot be written in a command takes nothing down, and nothing is sent of it."""
    world = World(FakeServer())
    recipients = (Recipient(1, "b@x"), Recipient(2, "c\r\nDATA\r\n@x"))
    attempt = Attempt("Q", "a@x", recipients, Text(b"Hi\r\n"), (host(),))
    world.transport.attempt(attempt).addCallback(world.finished.append)
    world.reactor.run()
    assert results(world.finished[0]) == [("temporary", 0)] * 2
    assert world.reactor.servers[REMOTE[0]].commands == ["EHLO mail.example.org"]


def test_close_lets_attempts_end_and_begins_no_other() -> None:
    world = World(FakeServer(MAIL="451 later"), FakeServer())
    attempt = Attempt("Q", "a@x", (Recipient(1, "b@x"),), Text(b"Hi\r\n"), (host(*REMOTE),))
    world.transport.attempt(attempt).addCallback(world.finished.append)
    closed: list[None] = []
    world.transport.close().addCallback(closed.append)
    assert closed == []
    world.reactor.run()
    assert (results(world.finished[0]), closed) == ([("temporary", 451)], [None])
    assert world.reactor.dialled == ["192.0.2.1"]
    world.transport.attempt(attempt).addCallback(world.finished.append)
    assert world.finished[1][0].text == "the server is shutting down"
    assert world.reactor.getDelayedCalls() == []


@pytest.mark.parametrize("silent", [None, FakeServer(connect="220-wait")])
def test_close_waits_no_longer_than_the_drain_time(silent: object) -> None:
    world = World(silent, FakeServer())
    world.start()
    closed: list[None] = []
    world.transport.close().addCallback(closed.append)
    world.reactor.advance(29)
    assert (world.finished, closed) == ([], [])
    world.reactor.advance(1)
    world.reactor.run()
    assert results(world.finished[0]) == [("temporary", 0)]
    assert closed == [None]
    assert len(world.reactor.dialled) == 1


def test_close_with_nothing_open_is_done_at_once() -> None:
    closed: list[None] = []
    World().transport.close().addCallback(closed.append)
    assert closed == [None]


def test_the_timeouts_are_settings() -> None:
    world = World(FakeServer(connect="220-wait"))
    world.transport = SmtpTransport(world.reactor, "x", FakeTls(), timeouts=Timeouts(greeting_s=7))
    world.start()
    world.reactor.advance(7)
    assert "timed out after 7 s waiting for the greeting" in world.finished[0][0].text
