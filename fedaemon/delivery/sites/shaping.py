"""Which destinations are one site, and what limits hold there.

Destinations with the same set of mail exchangers are one site: a provider's thousand domains share its
patience. A rule may go further and make one site of all hosts that fit it, for providers that name hosts for
each customer.

Invariants: the first rule that fits wins, the administrator's before ours; a site's name is the same each
time its hosts are the same, whatever their order.
Limits: a name has at most ``MAX_NAME`` characters, because it is part of keys.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from fedaemon.delivery.transport import DEFAULT_LIMITS, ConnectionLimits, NextHost

MAX_NAME: Final = 120


@dataclass(frozen=True, slots=True)
class SiteLimits:
    """What holds at a site.

    *connections*: the most at a time; a new site begins with *initial* and earns more. *rate_per_minute*:
    messages; 0 is no limit. *connection* says how each one may be used.
    """

    connections: int = 20
    initial: int = 5
    rate_per_minute: int = 0
    connection: ConnectionLimits = DEFAULT_LIMITS


DEFAULT_SITE: Final = SiteLimits()


@dataclass(frozen=True, slots=True)
class ShapingRule:
    """Limits for the sites one of whose hosts fits one of *hosts*: "mx.example.org", or "*.example.org".

    *shared*: all of them are one site, called *name*.
    """

    name: str
    hosts: tuple[str, ...]
    limits: SiteLimits
    shared: bool = False

    def fits(self, host: str) -> bool:
        """Return True when the rule is about *host*."""
        host = host.lower().rstrip(".")
        return any(
            host.endswith(pattern[1:]) if pattern.startswith("*.") else pattern in ("*", host)
            for pattern in self.hosts
        )


def _provider(
    name: str, *hosts: str, connections: int = 20, messages: int = 100, recipients: int = 100
) -> ShapingRule:
    limits = SiteLimits(connections, min(5, connections), 0, ConnectionLimits(messages, 5.0, recipients))
    return ShapingRule(name, hosts, limits, shared=True)


PROVIDERS: Final = (
    _provider("google", "*.google.com", "*.googlemail.com", "*.psmtp.com", connections=20, messages=50),
    _provider("microsoft", "*.outlook.com", "*.hotmail.com", connections=15, messages=50),
    _provider("yahoo", "*.yahoodns.net", "*.yahoo.com", connections=10, messages=20, recipients=50),
    _provider("apple", "*.icloud.com", "*.mail.me.com", "*.apple.com", connections=10, messages=50),
    _provider("comcast", "*.comcast.net", connections=10, messages=50),
    _provider("cox", "*.cox.net", connections=5, messages=20),
    _provider("att", "*.prodigy.net", "*.att.net", connections=5, messages=20),
    _provider("charter", "*.charter.net", "*.rr.com", "*.spectrum.net", connections=5, messages=20),
    _provider("t-online", "*.t-online.de", connections=5, messages=20),
    _provider("1und1", "*.gmx.net", "*.web.de", "*.kundenserver.de", connections=10, messages=20),
    _provider("orange", "*.orange.fr", "*.wanadoo.fr", connections=2, messages=50),
    _provider("sfr", "*.sfr.fr", "*.neuf.fr", connections=3, messages=20),
    _provider("laposte", "*.laposte.net", connections=2, messages=20),
    _provider("free", "*.free.fr", connections=3, messages=20),
    _provider("mail.ru", "*.mail.ru", connections=10, messages=20),
    _provider("yandex", "*.yandex.ru", "*.yandex.net", connections=10, messages=20),
    _provider("qq", "*.qq.com", connections=5, messages=10, recipients=20),
    _provider(
        "netease", "*.163.com", "*.126.com", "*.netease.com", connections=5, messages=10, recipients=20
    ),
    _provider("proofpoint", "*.pphosted.com", "*.ppe-hosted.com", connections=15, messages=50),
    _provider("mimecast", "*.mimecast.com", connections=15, messages=50),
    _provider("barracuda", "*.barracudanetworks.com", connections=10, messages=50),
)
"""Providers that name a host for each customer or that are known to mind many connections.

The figures err on the side of patience: the limit of a site that refuses goes down by itself in any case.
"""


@dataclass(frozen=True, slots=True)
class Shaping:
    """All rules, the administrator's first, and what holds where none fits."""

    rules: tuple[ShapingRule, ...] = PROVIDERS
    default: SiteLimits = DEFAULT_SITE

    def site_of(self, hosts: Sequence[NextHost]) -> tuple[str, SiteLimits]:
        """Return the name of the site that *hosts* are, and its limits."""
        names = sorted({host.name.lower().rstrip(".") for host in hosts})
        rule = next((rule for rule in self.rules if any(map(rule.fits, names))), None)
        limits = rule.limits if rule is not None else self.default
        if rule is not None and rule.shared:
            return rule.name, limits
        port = hosts[0].port
        name = names[0] if port == 25 else f"{names[0]}:{port}"
        if len(names) > 1 or len(name) > MAX_NAME:
            digest = hashlib.sha256("\n".join(names).encode()).hexdigest()[:8]
            name = f"{name[:MAX_NAME]}+{len(names) - 1}~{digest}"
        return name, limits
