"""Do the name servers that we ask answer, and can what they say be believed?

Standards: RFC 4035 4.9.3 and RFC 6840 5.7 (the AD bit), RFC 7672 2.2 (DANE needs it).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from fedaemon.ctl.doctor.case import Case
from fedaemon.ctl.doctor.finding import Area, Finding
from fedaemon.ctl.doctor.lookup import Asks
from fedaemon.errors import Unavailable
from fedaemon.net.dns_query import Answer, Server, is_local

AREA: Final = Area("resolver")
SIGNED: Final = "org"
"""A name that is signed and will stay so."""
PUBLIC: Final = frozenset(
    (
        "8.8.8.8",
        "8.8.4.4",
        "2001:4860:4860::8888",
        "2001:4860:4860::8844",
        "1.1.1.1",
        "1.0.0.1",
        "2606:4700:4700::1111",
        "2606:4700:4700::1001",
        "9.9.9.9",
        "149.112.112.112",
        "2620:fe::fe",
        "208.67.222.222",
        "208.67.220.220",
    )
)
"""Resolvers that everybody uses."""
_OWN: Final = (
    'run a validating one on this machine (apt install unbound), then nameservers = ["127.0.0.1"] in [dns]'
)


def check_resolvers(
    case: Case, servers: tuple[Server, ...], ask: Callable[[Server], Asks]
) -> Iterator[Finding]:
    """Ask each server.

    :param ask: gives who asks one server alone, believing its AD bit.
    """
    answered: list[Server] = []
    validating = True
    for server in servers:
        try:
            found = ask(server).ask(SIGNED, "SOA")
        except Unavailable as error:
            yield dead(server, error.text, alone=len(servers) == 1)
            continue
        answered.append(server)
        validating = validating and isinstance(found, Answer) and found.secure
        yield AREA.ok("answers", shown(server), "answers")
    if not answered:
        return
    yield trusted(case, answered, validating=validating)
    public = [server for server in answered if server[0] in PUBLIC]
    if public:
        yield AREA.note(
            "public",
            shown(public[0]),
            "is a resolver that everybody uses",
            "blocklists refuse to answer it, and others than you decide what it says",
            _OWN,
        )


def shown(server: Server) -> str:
    """Return a server as people write it."""
    host, port = server
    return host if port == 53 else f"{f'[{host}]' if ':' in host else host}:{port}"


def dead(server: Server, text: str, *, alone: bool) -> Finding:
    """A server does not answer."""
    make = AREA.problem if alone else AREA.warning
    why = "without DNS nothing can be delivered" if alone else "each question to it is a wait of seconds"
    return make(
        "answers",
        shown(server),
        f"gives no answer: {text}",
        why,
        "correct nameservers in [dns], or /etc/resolv.conf when it is not set there; or look at the server",
    )


def trusted(case: Case, servers: list[Server], *, validating: bool) -> Finding:
    """May DANE be used?"""
    why = "DANE, by which many servers in Europe say how to be reached under TLS, is not used for delivery"
    chosen = case.settings.dns.trust_ad
    local = all(map(is_local, servers))
    if not validating and chosen == "yes":
        return AREA.warning(
            "dnssec",
            "",
            'trust_ad = "yes", but the name servers do not validate DNSSEC',
            why,
            _OWN,
        )
    if not validating:
        return AREA.note("dnssec", "", "the name servers do not validate DNSSEC", why, _OWN)
    if chosen == "yes" or (chosen == "auto" and local):
        return AREA.ok("dnssec", "", "the name servers validate DNSSEC, and are believed: DANE is used")
    return AREA.note(
        "dnssec",
        "",
        "the name servers validate DNSSEC, but are not on this machine and so not believed",
        why,
        f'{_OWN}; or set trust_ad = "yes" in [dns] when the way to them is your own',
    )
