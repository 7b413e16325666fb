"""A transport on a fake reactor, and what it is asked to do there."""

from __future__ import annotations

from typing import Any

from fedaemon.delivery.transport import Attempt, HostTls, NextHost, Outcome, Recipient, Tlsa, TlsPolicy
from fedaemon.smtp.session_result import SessionResult
from fedaemon.smtp.transport import SmtpTransport
from tests.smtp_client.fakes import EXTENDED, FakeReactor, FakeTls, Text

TLS = EXTENDED.replace("250 ", "250-") + "\r\n250 STARTTLS"
TLSA = Tlsa(3, 1, 1, b"x" * 32)
REMOTE = ("192.0.2.1", "192.0.2.2")


def host(
    *addresses: str, name: str = "mx.example.net", tls: TlsPolicy | HostTls = TlsPolicy.NONE, **more: Any
) -> NextHost:
    tls = tls if isinstance(tls, HostTls) else HostTls(tls, tls.value)
    return NextHost(name, addresses or REMOTE[:1], 25, tls, **more)


class World:
    """A transport on a fake reactor."""

    def __init__(self, *servers: Any) -> None:
        self.reactor = FakeReactor(dict(zip(REMOTE, servers, strict=False)))
        self.tls = FakeTls()
        self.sessions: list[SessionResult] = []
        self.transport = SmtpTransport(
            self.reactor, "mail.example.org", self.tls, on_session=self.sessions.append
        )
        self.finished: list[list[Outcome]] = []

    def make(self, *hosts: NextHost, to: int = 1, content: bytes = b"Hi\r\n", **more: Any) -> Attempt:
        return Attempt(
            "QUEUEID",
            more.pop("sender", "a@example.org"),
            tuple(Recipient(10 + number, f"b{number}@example.net") for number in range(to)),
            Text(content),
            hosts or (host(*list(self.reactor.servers)),),
            **more,
        )

    def start(self, *hosts: NextHost, **more: Any) -> None:
        self.transport.attempt(self.make(*hosts, **more)).addCallback(self.finished.append)
        self.reactor.run()

    def outcomes(self, *hosts: NextHost, **more: Any) -> list[Outcome]:
        self.start(*hosts, **more)
        [outcomes] = self.finished
        return sorted(outcomes, key=lambda outcome: outcome.number)

    def outcome(self, *hosts: NextHost, **more: Any) -> Outcome:
        [outcome] = self.outcomes(*hosts, **more)
        return outcome


def results(outcomes: list[Outcome]) -> list[tuple[str, int]]:
    return [(outcome.result.value, outcome.code) for outcome in outcomes]
