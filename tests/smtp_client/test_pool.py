"""Connections that are used again: when, how often, how long, and what their end means."""

from __future__ import annotations

from typing import Any

import pytest

from fedaemon import counters
from fedaemon.delivery.transport import ConnectionLimits, HostTls, Result, TlsPolicy
from fedaemon.smtp import connection_pool
from tests.smtp_client.fakes import EXTENDED, FakeServer, refused
from tests.smtp_client.world import REMOTE, TLS, World, host, results


class Busy(World):
    """A world in which one message follows another."""

    def deliver(self, *hosts: Any, **more: Any) -> Any:
        self.finished.clear()
        return self.outcome(*hosts, **more)

    @property
    def connections(self) -> int:
        return len(self.reactor.transports)

    def wait(self, seconds: float) -> None:
        self.reactor.advance(seconds)
        self.reactor.run()


def verbs(server: FakeServer) -> list[str]:
    return [command.split()[0] for command in server.commands]


def test_the_next_message_takes_the_connection_without_rset_or_ehlo() -> None:
    server = FakeServer()
    world = Busy(server)
    opened, used = counters.value("connections_opened_total", tls="none"), reused_count()
    assert [world.deliver().reused, world.deliver().reused] == [False, True]
    assert world.connections == 1
    assert verbs(server) == ["EHLO", "MAIL", "RCPT", "DATA", "MAIL", "RCPT", "DATA"]
    assert len(server.contents) == 2
    assert counters.value("connections_opened_total", tls="none") == opened + 1
    assert reused_count() == used + 1
    assert counters.value("connections_idle") == 1


def reused_count() -> float:
    return counters.value("connections_reused_total")


def test_a_transaction_that_was_not_finished_is_reset_in_the_next_group() -> None:
    server = FakeServer(RCPT=["550 5.1.1 no", "250 ok"], DATA=["503 no", "354 go"])
    world = Busy(server)
    assert [world.deliver().result, world.deliver().result] == [Result.PERMANENT, Result.DELIVERED]
    assert verbs(server) == ["EHLO", "MAIL", "RCPT", "DATA", "RSET", "MAIL", "RCPT", "DATA"]


@pytest.mark.parametrize(
    "other",
    [
        {"tls": TlsPolicy.REQUIRED},
        {"name": "mx2.example.net"},
        {"tls": HostTls(TlsPolicy.OPPORTUNISTIC, "domain")},
        {"username": "alice", "password": "secret", "tls": TlsPolicy.REQUIRED},
    ],
)
def test_a_connection_made_for_something_else_is_not_taken(other: dict[str, Any]) -> None:
    """Above all none that is less protected, or that has shown somebody else's credentials."""
    server = FakeServer(EHLO=TLS.replace("250 STARTTLS", "250-STARTTLS\r\n250 AUTH PLAIN"))
    world = Busy(server)
    world.deliver(host(tls=TlsPolicy.OPPORTUNISTIC))
    assert world.deliver(host(**{"tls": TlsPolicy.OPPORTUNISTIC, **other})).result is Result.DELIVERED
    assert world.connections == 2


def test_one_message_for_a_connection_means_no_reuse() -> None:
    server = FakeServer()
    world = Busy(server)
    for _ in range(2):
        world.deliver(limits=ConnectionLimits(messages=1))
    assert verbs(server) == ["EHLO", "MAIL", "RCPT", "DATA", "QUIT"] * 2


@pytest.mark.parametrize(
    ("ehlo", "limits", "connections"),
    [
        (EXTENDED, ConnectionLimits(messages=3), 2),
        (EXTENDED, ConnectionLimits(messages=6), 1),
        (EXTENDED.replace("250 ", "250-") + "\r\n250 LIMITS MAILMAX=2", ConnectionLimits(), 3),
        (EXTENDED, ConnectionLimits(idle_s=0), 6),
    ],
)
def test_a_connection_carries_no_more_than_it_may(
    ehlo: str, limits: ConnectionLimits, connections: int
) -> None:
    server = FakeServer(EHLO=ehlo)
    world = Busy(server)
    assert all(world.deliver(limits=limits).result is Result.DELIVERED for _ in range(6))
    assert world.connections == connections


def test_an_idle_connection_quits_when_its_time_is_over() -> None:
    server = FakeServer()
    world = Busy(server)
    world.deliver()
    world.wait(4.9)
    assert "QUIT" not in verbs(server)
    world.wait(0.1)
    assert verbs(server)[-1] == "QUIT"
    assert world.reactor.getDelayedCalls() == []
    assert counters.value("connections_idle") == 0


def test_each_connection_has_its_own_time() -> None:
    """The one sweep serves connections with different limits, a shorter one that comes later too."""
    slow, fast = FakeServer(), FakeServer()
    world = Busy(slow, fast)
    world.deliver(host(REMOTE[0]), limits=ConnectionLimits(idle_s=60))
    world.deliver(host(REMOTE[1]), limits=ConnectionLimits(idle_s=2))
    world.wait(2)
    assert ("QUIT" in verbs(fast), "QUIT" in verbs(slow)) == (True, False)
    world.wait(57)
    assert "QUIT" not in verbs(slow)
    world.wait(1)
    assert "QUIT" in verbs(slow)


def test_attempts_at_the_same_time_have_connections_of_their_own_and_the_last_used_is_taken_first() -> None:
    server = FakeServer()
    world = Busy(server)
    world.reactor.servers[REMOTE[0]] = [server_one := FakeServer(), server_two := FakeServer()]
    attempts = [world.transport.attempt(world.make(host())) for _ in range(2)]
    world.reactor.run()
    assert all(attempt.called for attempt in attempts)
    assert world.connections == 2
    world.wait(1)
    for _ in range(3):
        world.deliver(host())
    assert sorted([len(server_one.contents), len(server_two.contents)]) == [1, 4]


def test_the_connection_that_has_waited_longest_gives_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_pool, "MOST_IDLE", 1)
    first, second = FakeServer(), FakeServer()
    world = Busy(first, second)
    world.deliver(host(REMOTE[0]))
    world.deliver(host(REMOTE[1]))
    assert ("QUIT" in verbs(first), "QUIT" in verbs(second)) == (True, False)


@pytest.mark.parametrize("words", [b"421 4.4.2 timeout\r\n", b"250 what?\r\n", b"nonsense\r\n", None])
def test_what_happens_to_an_idle_connection_is_nobodys_failure(words: bytes | None) -> None:
    server = FakeServer()
    world = Busy(server)
    world.deliver()
    world.wait(2)
    [transport] = world.reactor.transports
    if words is None:
        transport.loseConnection()
    else:
        transport.deliver(words)
    world.reactor.run()
    assert counters.value("connections_idle") == 0
    outcome = world.deliver()
    assert (outcome.result, outcome.reused) == (Result.DELIVERED, False)
    assert world.connections == 2


STALE = [
    {"MAIL": ["250 ok", None]},
    {"MAIL": ["250 ok", "421 4.4.2 goodbye"]},
    {"MAIL": ["250 ok", "garbage"]},
    {"RCPT": ["250 ok", None]},
    {"RCPT": ["250 ok", "421 4.3.2 enough"]},
]


@pytest.mark.parametrize("stale", STALE)
def test_a_stale_connection_is_replaced_by_a_fresh_one_to_the_same_address(stale: dict[str, Any]) -> None:
    first, again, other = FakeServer(**stale), FakeServer(), FakeServer()
    world = Busy([first, again], other)
    hosts = host(*REMOTE)
    world.deliver(hosts)
    outcome = world.deliver(hosts)
    assert (outcome.result, outcome.address, outcome.reused) == (Result.DELIVERED, REMOTE[0], False)
    assert (len(first.contents), len(again.contents), other.commands) == (1, 1, [])


def test_a_stale_connection_that_times_out_is_replaced_too() -> None:
    """A firewall forgot it: nothing comes back at all."""
    first, again = FakeServer(MAIL=["250 ok", ""]), FakeServer()
    world = Busy([first, again])
    world.deliver(host())
    world.finished.clear()
    world.start(host())
    world.wait(299)
    assert world.finished == []
    world.wait(1)
    assert results(world.finished[0]) == [("delivered", 250)]


def test_a_fresh_connection_that_fails_is_a_failure() -> None:
    """One replacement, not an endless row of them."""
    first, again, third = FakeServer(MAIL=["250 ok", None]), FakeServer(MAIL=None), FakeServer()
    world = Busy([first, again, third])
    world.deliver(host())
    outcome = world.deliver(host())
    assert (outcome.result, outcome.phase, outcome.reused) == (Result.TEMPORARY, "mail", False)
    assert world.connections == 2


def test_a_connection_that_only_waited_counts_as_waiting() -> None:
    """It was opened for a message that the host could not take, and carried none yet."""
    first, again = FakeServer(MAIL=None), FakeServer()
    world = Busy([first, again])
    assert world.deliver(host(), content=b"x" * 200_000).status == "5.3.4"
    outcome = world.deliver(host())
    assert (outcome.result, outcome.reused) == (Result.DELIVERED, False)


def test_a_reused_connection_that_had_accepted_a_recipient_fails_like_any_other() -> None:
    first, other = FakeServer(RCPT=["250 ok", "250 ok", None]), FakeServer()
    world = Busy(first, other)
    world.deliver(host(*REMOTE))
    world.finished.clear()
    outcomes = world.outcomes(host(*REMOTE), to=2)
    assert {outcome.address for outcome in outcomes} == {REMOTE[1]}
    assert world.reactor.dialled == list(REMOTE)


@pytest.mark.parametrize("dot", [["250 ok", None], ["250 ok", ""]])
def test_double_delivery_a_lost_final_reply_on_a_reused_connection_is_in_doubt_and_not_sent_again(
    dot: list[str | None],
) -> None:
    first, again, other = FakeServer(dot=dot), FakeServer(), FakeServer()
    world = Busy([first, again], other)
    world.deliver(host(*REMOTE))
    world.finished.clear()
    world.start(host(*REMOTE))
    world.wait(600)
    [[outcome]] = world.finished
    assert (outcome.result, outcome.phase, outcome.code) == (Result.TEMPORARY, "content", 0)
    assert "the reply to the message was lost" in outcome.text
    assert outcome.reused
    assert (len(first.contents), again.contents, other.contents) == (2, [], [])


def test_double_delivery_a_recipient_delivered_on_a_reused_connection_is_not_offered_again() -> None:
    """The first transaction of an attempt succeeds, the server ends the second with 421: only the rest goes on."""
    first, again = FakeServer(MAIL=["250 ok", "250 ok", "421 4.3.2 enough"]), FakeServer()
    world = Busy([first, again])
    world.deliver(host())
    world.finished.clear()
    outcomes = world.outcomes(host(), to=2, limits=ConnectionLimits(recipients=1))
    assert results(outcomes) == [("delivered", 250)] * 2
    recipients = [command for command in first.commands + again.commands if command.startswith("RCPT")]
    assert (len(first.contents), len(again.contents)) == (2, 1)
    assert recipients.count("RCPT TO:<b0@example.net>") == 2  # one of them for the message before


@pytest.mark.parametrize("at_once", [True, False])
def test_how_many_messages_a_server_bears_is_learned_from_its_421(at_once: bool) -> None:
    """Some say it with the reply to the last message, some to the command after it."""
    if at_once:
        limited: dict[str, Any] = {"dot": ["250 ok", "250 ok\r\n421 4.7.0 too many messages"]}
    else:
        limited = {"MAIL": ["250 ok", "250 ok", "421 4.7.0 too many messages"]}
    servers = [FakeServer(**limited), *(FakeServer() for _ in range(3))]
    world = Busy(list(servers))
    for _ in range(6):
        assert world.deliver(host()).result is Result.DELIVERED
    assert [len(server.contents) for server in servers] == [2, 2, 2, 0]
    assert verbs(servers[1])[-1] == verbs(servers[2])[-1] == "QUIT"


def test_a_421_after_a_while_is_about_time_and_teaches_nothing() -> None:
    servers = [FakeServer(MAIL=["250 ok", "421 4.4.2 idle too long"]), FakeServer(), FakeServer()]
    world = Busy(list(servers))
    world.deliver(host())
    world.wait(3)
    for _ in range(3):
        world.deliver(host())
    assert [len(server.contents) for server in servers] == [1, 3, 0]


def test_what_was_learned_is_forgotten_after_an_hour() -> None:
    servers = [FakeServer(MAIL=["250 ok", "421 4.7.0 enough"]), *(FakeServer() for _ in range(4))]
    world = Busy(list(servers))
    for _ in range(3):
        world.deliver(host())
    assert [len(server.contents) for server in servers] == [1, 1, 1, 0, 0]
    world.wait(3600)
    for _ in range(2):
        world.deliver(host())
    assert [len(server.contents) for server in servers] == [1, 1, 1, 2, 0]


def test_close_lets_idle_connections_quit_and_running_ones_end() -> None:
    idle, busy = FakeServer(), FakeServer(dot="")
    world = Busy(idle, busy)
    world.deliver(host(REMOTE[0]))
    world.finished.clear()
    world.start(host(REMOTE[1]))
    closed: list[None] = []
    world.transport.close().addCallback(closed.append)
    world.reactor.run()
    assert (verbs(idle)[-1], closed, world.finished) == ("QUIT", [], [])
    world.reactor.transports[1].deliver(b"250 2.0.0 taken\r\n")
    world.reactor.run()
    assert (results(world.finished[0]), closed, verbs(busy)[-1]) == ([("delivered", 250)], [None], "QUIT")
    assert world.reactor.getDelayedCalls() == []


def test_a_stale_connection_is_not_replaced_while_the_server_stops() -> None:
    first = FakeServer(MAIL=["250 ok", ""])
    world = Busy([first, refused()])
    world.deliver(host())
    world.finished.clear()
    world.start(host())
    world.transport.close()
    world.reactor.transports[0].loseConnection()
    world.reactor.run()
    assert results(world.finished[0]) == [("temporary", 0)]
    assert world.reactor.dialled == [REMOTE[0]]


def test_after_a_stale_connection_the_others_that_waited_are_not_tried_in_turn() -> None:
    """A server that was restarted has forgotten all of them: one failure is enough to know it."""
    stale = [FakeServer(MAIL=["250 ok", None]) for _ in range(3)]
    fresh = FakeServer()
    world = Busy([*stale, fresh])
    attempts = [world.transport.attempt(world.make(host())) for _ in range(3)]
    world.reactor.run()
    assert all(attempt.called for attempt in attempts)
    assert world.deliver(host()).result is Result.DELIVERED
    assert len(fresh.contents) == 1
    assert sum(command.startswith("MAIL") for server in stale for command in server.commands) == 4


def test_a_connection_that_is_about_to_close_is_not_taken() -> None:
    world = Busy(FakeServer())
    world.deliver(host())
    [transport] = world.reactor.transports
    transport.protocol.dataReceived(b"421 4.3.2 restarting\r\n")
    assert not transport.gone
    used = reused_count()
    assert world.transport.take(transport.protocol.target) is None
    assert reused_count() == used
