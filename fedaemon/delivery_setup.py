"""From settings to what delivery goes by; the daemon and fedaemonctl both need it.

Invariants: nothing is opened here but the files with bounce rules that the settings name.
"""

from __future__ import annotations

from collections.abc import Callable

from fedaemon.config import BadSettings, Settings
from fedaemon.delivery.classification import BadRules, Classifier, load_classifier
from fedaemon.delivery.manager import Rules
from fedaemon.delivery.routes import Route, match
from fedaemon.delivery.schedule import Schedule
from fedaemon.delivery.sites.shaping import PROVIDERS, Shaping, ShapingRule, SiteLimits
from fedaemon.delivery.transport import ConnectionLimits, Source, TlsPolicy
from fedaemon.message.address import parse_address


def rules(settings: Settings) -> Rules:
    """Return what delivery goes by.

    :raises BadSettings: a file with bounce rules is wrong.
    """
    delivery = settings.delivery
    return Rules(
        hostname=settings.server.hostname,
        schedule=schedule(settings),
        classifier=classifier(settings),
        shaping=shaping(settings),
        sources=sources(settings),
        paused=delivery.paused,
        suppression_ms=delivery.suppression_s * 1000,
        complaints=parse_address(delivery.complaints).key if delivery.complaints else "",
        quota_octets=settings.mailboxes.quota or None,
    )


def schedule(settings: Settings) -> Schedule:
    """Return the retry rules."""
    delivery = settings.delivery
    return Schedule(
        lifetime_ms=delivery.lifetime_s * 1000,
        notice_ms=delivery.delay_notice_s * 1000,
        lifetime_at=_lifetimes(settings),
    )


def _lifetimes(settings: Settings) -> Callable[[str], int | None]:
    """Return what tells the lifetime that the route for a destination has."""
    ways = routes(settings)
    own = {route: given.lifetime_s for route, given in zip(ways, settings.routes, strict=True)}

    def lifetime_ms(destination: str) -> int | None:
        route = match(ways, destination)
        lifetime_s = own[route] if route is not None else None
        return None if lifetime_s is None else lifetime_s * 1000

    return lifetime_ms if any(own.values()) else lambda destination: None


def classifier(settings: Settings) -> Classifier:
    """Return what reads other servers' replies.

    :raises BadSettings: a file with rules is wrong.
    """
    try:
        return load_classifier(settings.delivery.bounce_rules)
    except BadRules as error:
        raise BadSettings(*error.problems) from None


def shaping(settings: Settings) -> Shaping:
    """Return the limits of sites, the administrator's first."""
    delivery = settings.delivery
    own = tuple(
        ShapingRule(
            site.name,
            site.hosts,
            SiteLimits(
                site.connections,
                min(5, site.connections),
                site.messages_per_minute,
                ConnectionLimits(
                    site.messages_per_connection, site.connection_idle_s, site.recipients_per_message
                ),
            ),
            site.shared,
        )
        for site in settings.sites
    )
    default = SiteLimits(
        delivery.connections_per_site,
        min(5, delivery.connections_per_site),
        delivery.messages_per_minute,
        ConnectionLimits(
            delivery.messages_per_connection, delivery.connection_idle_s, delivery.recipients_per_message
        ),
    )
    return Shaping((*own, *PROVIDERS), default)


def sources(settings: Settings) -> tuple[Source, ...]:
    """Return the addresses that connections come from."""
    return tuple(
        Source(source.address, source.hostname or settings.server.hostname) for source in settings.sources
    )


def routes(settings: Settings) -> tuple[Route, ...]:
    """Return the routes."""
    return tuple(
        Route(route.domain, route.host, route.port, TlsPolicy(route.tls), route.username, route.password)
        for route in settings.routes
    )


def tls_policies(settings: Settings) -> tuple[tuple[str, TlsPolicy], ...]:
    """Return (pattern, policy) for domains whose TLS the settings decide."""
    return tuple((policy.domain, TlsPolicy(policy.tls)) for policy in settings.tls_policies)
