"""What the tests of web share: an offer, and a site on a monitor that says what the test wants."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass, field
from ipaddress import ip_network
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from twisted.internet.defer import Deferred, succeed

from fedaemon.config import Listener
from fedaemon.web.advertised import advertised
from fedaemon.web.exchange import Answer, Asked
from fedaemon.web.offer import Offer
from fedaemon.web.site import PublicSite

HOST = "mail.example.org"
DOMAIN = "example.org"

LISTENERS = tuple(
    Listener(service, "::", port, tls)
    for service, port, tls in (
        ("submission", 587, "starttls"),
        ("submission", 465, "implicit"),
        ("pop3", 110, "starttls"),
        ("pop3", 995, "implicit"),
        ("imap", 143, "starttls"),
        ("imap", 993, "implicit"),
    )
)


@dataclass
class FakeMonitor:
    """What the site asks of ``Monitor``."""

    reasons: list[str] = field(default_factory=list)
    delivery: Any = field(default_factory=lambda: SimpleNamespace(paused=False))

    def unwell(self) -> list[str]:
        return self.reasons

    def metrics(self) -> str:
        return "fedaemon_healthy 1\n"

    def status(self) -> dict[str, Any]:
        return {"version": "1"}


async def hosted(domain: str) -> bool:
    """Tell whether a domain is ours: example.org and one that is not ASCII."""
    return domain in (DOMAIN, "xn--e1afmkfd.xn--p1ai")


def result(awaitable: Awaitable[Answer]) -> Answer:
    """Return what a page answers, which it does at once."""
    found: list[Any] = []
    Deferred.fromCoroutine(cast(Any, awaitable)).addBoth(found.append)
    [answer] = found
    if not isinstance(answer, Answer):
        answer.raiseException()
    return cast(Answer, answer)


@dataclass
class Visitor:
    """Asks a site."""

    site: PublicSite
    monitor: FakeMonitor

    def ask(self, path: str, method: str = "GET", **parts: Any) -> Answer:
        """Return the answer; *parts* are those of ``Asked``."""
        return result(self.site.answer(Asked(method, path, **{"address": "192.0.2.1", **parts})))


@pytest.fixture
def offer() -> Offer:
    return Offer(HOST, advertised(HOST, LISTENERS), 443)


@pytest.fixture
def visitor(offer: Offer, tmp_path: Path) -> Visitor:
    monitor = FakeMonitor()
    site = PublicSite(
        offer,
        hosted,
        cast(Any, monitor),
        lambda function, *arguments: succeed(function(*arguments)),
        sts_mode="testing",
        webroot=tmp_path,
        metrics_networks=(ip_network("10.0.0.0/8"),),
    )
    return Visitor(site, monitor)
