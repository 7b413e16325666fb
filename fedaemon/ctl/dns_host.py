"""What DNS records say of this server, as its settings and this machine have it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from fedaemon.config import Settings
from fedaemon.ctl.dns_records import Host
from fedaemon.web.advertised import advertised, https_port, reachable

HTTP, HTTPS = 80, 443
AUTHORITIES: Final = {"Let's Encrypt": "letsencrypt.org"}
"""Organisations that issue certificates, and their names in CAA records. Spec: RFC 8659 4.2"""


def host_of(settings: Settings, addresses: Iterable[str], authority: str = "") -> Host:
    """Return what the records of *settings*' server are made from.

    :param addresses: its public addresses.
    :param authority: organisation that issued its certificate.
    """
    name, listeners = settings.server.hostname, settings.listeners
    return Host(
        name,
        addresses=tuple(dict.fromkeys(addresses)),
        offers=advertised(name, listeners),
        https=https_port(name, listeners) == HTTPS,
        http=any(
            (each.service, each.tls, each.port) == ("http", "none", HTTP) and reachable(name, each.address)
            for each in listeners
        ),
        mta_sts=settings.http.mta_sts,
        relays=tuple(route.host for route in settings.routes if route.domain == "*")[:1],
        sources=tuple(source.address for source in settings.sources),
        authority=AUTHORITIES.get(authority, ""),
    )
