"""Can mail leave? A real conversation with a server elsewhere, up to STARTTLS and a good-bye.

Standards: RFC 5321 3.1, RFC 3207 4.
Invariants: no message is begun; no password is sent.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from ipaddress import ip_address
from typing import Final

from fedaemon.config import Route
from fedaemon.ctl.doctor.case import Case
from fedaemon.ctl.doctor.dialogue import (
    Broken,
    Conversation,
    NoTls,
    any_certificate,
    reason,
    trusted_certificate,
)
from fedaemon.ctl.doctor.finding import Area, Finding
from fedaemon.ctl.doctor.greetings import Seen, visit_smtp
from fedaemon.ctl.terminal import printable

AREA: Final = Area("outbound")
_UNREACHABLE: Final = frozenset((errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EADDRNOTAVAIL))
_BLOCKED: Final = (
    "most providers block outgoing port 25 for new customers, and without it nothing is delivered"
)
_ASK: Final = "ask your provider to open outgoing port 25, or send through a relay: [[route]] with port = 587"


def unknown(case: Case) -> Finding:
    """No host was named: say how to check."""
    if case.is_local or not case.delivers_itself:
        return AREA.ok("outgoing", "", "mail for other domains does not go out to their own servers")
    return AREA.note(
        "outgoing",
        "",
        "whether mail can go out was not tried, because no host was named to try it with",
        _BLOCKED,
        "fedaemonctl doctor --outbound HOST, with a mail server of another provider, such as one that "
        '"dig MX gmail.com" shows; nothing is sent',
    )


def check_host(case: Case, host: str, port: int) -> Iterator[Finding]:
    """Greet a server that mail could go to; raises ``Unavailable`` when DNS does not answer."""
    about = f"{host} port {port}"
    addresses = addresses_of(case, host)
    if not addresses:
        yield no_address(about, host)
        return
    failed: list[Finding] = []
    reached = False
    for address in tried(case, addresses):
        try:
            seen, problem = greet(case, host, address, port, "starttls")
        except Broken as error:
            failed.append(refusal(about, address, str(error)))
        except OSError as error:
            failed.append(unreached(about, address, port, error))
        else:
            reached = True
            yield answered(about, address, seen)
            yield secured(about, problem, seen)
    for finding in failed:
        yield one_way(finding) if reached else finding


def tried(case: Case, addresses: tuple[str, ...]) -> list[str]:
    """Return the first IPv4 and the first IPv6 address; of those that this machine has a way to, if any."""
    first = {ip_address(each).version: each for each in reversed(addresses)}
    ours = {ip_address(each).version for each in case.sources()}
    return [first[version] for version in sorted(first) if version in ours] or list(first.values())[:1]


def one_way(finding: Finding) -> Finding:
    """Only one of IPv4 and IPv6 works: that costs time and not mail."""
    why = "the other way works; each attempt that begins with this one loses time"
    todo = f"{finding.todo}; or use the other one alone: [[source]] with its address"
    return AREA.warning(finding.check, finding.about, finding.what, why, todo)


def addresses_of(case: Case, host: str) -> tuple[str, ...]:
    """Return the addresses of a host name; those of an address are itself."""
    if host.replace(".", "").isdecimal() or ":" in host:
        return (host,)
    return case.lookup.addresses(host)


def greet(case: Case, host: str, address: str, port: int, form: str) -> tuple[Seen, NoTls | None]:
    """Return what a server says of itself, and what is wrong with its TLS; raises Broken or OSError.

    TLS that does not verify ends a connection: then a second one tells the rest.
    """
    try:
        with Conversation(case.connect, address, port, source=case.source_for(address)) as talk:
            return visit_smtp(talk, case.hostname, host, form, trusted_certificate(case.ca_file)), None
    except NoTls as error:
        problem = error
    form = form if problem.certificate else "none"
    with Conversation(case.connect, address, port, source=case.source_for(address)) as talk:
        return visit_smtp(talk, case.hostname, host, form, any_certificate()), problem


def no_address(about: str, host: str) -> Finding:
    """The name leads nowhere."""
    return AREA.problem(
        "address", about, f"{host} has no address in DNS", "nothing can be sent there", "correct the name"
    )


def unreached(about: str, address: str, port: int, error: OSError) -> Finding:
    """There is no connection."""
    if isinstance(error, TimeoutError) and port == 25:
        return AREA.problem("connect", about, f"{address} does not answer at port 25", _BLOCKED, _ASK)
    if error.errno in _UNREACHABLE:
        return AREA.problem(
            "connect",
            about,
            f"there is no way to {address} ({reason(error)})",
            "nothing can be sent there",
            "see whether this machine has a route to the internet: ip route",
        )
    return AREA.problem(
        "connect",
        about,
        f"{address} {reason(error)}",
        "nothing can be sent there",
        "see whether the host and port are right, and whether a firewall is in between",
    )


def refusal(about: str, address: str, what: str) -> Finding:
    """It answers, but not as a mail server should."""
    return AREA.problem(
        "greeting",
        about,
        f"{address} {printable(what)}",
        "a refusal at the greeting is meant for our address: mail sent there stays in the queue",
        "read what it says; try another server; look for our address in blocklists: "
        "fedaemonctl doctor --blocklists",
    )


def answered(about: str, address: str, seen: Seen) -> Finding:
    """It greets."""
    took = f"connected in {seen.connected_s * 1000:.0f} ms"
    return AREA.ok("connect", about, f"{address} answers ({took}): {printable(seen.greeting)[:200]}")


def secured(about: str, problem: NoTls | None, seen: Seen) -> Finding:
    """How good is its TLS?"""
    if problem is None:
        return AREA.ok("tls", about, f"{seen.tls}, with a certificate that can be trusted")
    if problem.certificate:
        return AREA.note(
            "tls",
            about,
            f"{seen.tls}, but its certificate cannot be trusted: {printable(problem)}",
            "mail goes there all the same, unless a policy of its domain demands more",
        )
    return AREA.warning(
        "tls",
        about,
        f"no TLS: it {printable(problem)}",
        "mail goes there in the clear; when all servers seem to lack STARTTLS, something in between takes it out",
        "try another server; when it is the same there, switch off SMTP inspection in your firewall",
    )


def check_route(case: Case, route: Route) -> Iterator[Finding]:
    """Greet a relay, and see whether it has what its settings say; raises ``Unavailable``."""
    about = f"{route.host} port {route.port}"
    addresses = addresses_of(case, route.host)
    if not addresses:
        yield no_address(about, route.host)
        return
    form = "implicit" if route.port == 465 else "none" if route.tls == "none" else "starttls"
    try:
        seen, problem = greet(case, route.host, addresses[0], route.port, form)
    except Broken as error:
        yield refusal(about, addresses[0], str(error))
    except OSError as error:
        yield unreached(about, addresses[0], route.port, error)
    else:
        yield answered(about, addresses[0], seen)
        yield from judge_route(route, about, problem, seen)


def judge_route(route: Route, about: str, problem: NoTls | None, seen: Seen) -> Iterator[Finding]:
    """Compare a relay with its settings."""
    demanded = route.tls == "verify" or (
        problem is not None and not problem.certificate and (route.tls == "required" or route.username)
    )
    if problem is not None and demanded:
        yield AREA.problem(
            "route-tls",
            about,
            f"TLS is not as the settings demand (tls = {route.tls!r}): {printable(problem)}",
            "all mail that goes this way waits in the queue",
            "have its certificate put right, or name the host as its certificate does; "
            'tls = "required" takes any certificate',
        )
    elif route.tls != "none":
        yield secured(about, problem, seen)
    if route.username and problem is None and not seen.auth & {"PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-256"}:
        yield AREA.problem(
            "route-login",
            about,
            "takes no login, and the settings have a user name for it",
            "without a login it will not pass mail on",
            "see which port its operator names for sending with a login (mostly 587 or 465)",
        )
    elif route.username and problem is None:
        yield AREA.ok("route-login", about, f"takes logins ({', '.join(sorted(seen.auth))})")
