"""Are the settings such that mail can come and go? That they are valid is known before.

Standards: RFC 5321 4.1.1.1 and 4.5.1 (our name, postmaster), RFC 8314 3 (ports of submission).
"""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from fedaemon.config import Listener
from fedaemon.ctl.doctor.case import Case
from fedaemon.ctl.doctor.finding import Area, Finding, counted
from fedaemon.web.advertised import reachable

AREA: Final = Area("settings")
_NOT_ON_THE_INTERNET: Final = (".local", ".lan", ".internal", ".localdomain", ".home.arpa")


def check_settings(case: Case) -> Iterator[Finding]:
    """Look at the settings as a whole."""
    yield AREA.ok("read", str(case.settings.source), "can be read, and every value is valid")
    yield from hostname(case)
    yield from listeners(case)
    yield from postmaster(case)
    yield from limits(case)
    yield from passwords(case)
    yield from delivery(case)


def hostname(case: Case) -> Iterator[Finding]:
    """Can others know us by our name?"""
    name = case.hostname
    do = 'set hostname in [server], such as "mail.example.org": fedaemonctl setup hostname NAME'
    if case.is_local:
        yield AREA.note(
            "hostname",
            name,
            "the server is named localhost: it is there to try things with",
            "nobody else can send mail to it, and DNS is not looked at",
            f"to make a real server of it, {do}",
        )
    elif "." not in name or name.endswith(_NOT_ON_THE_INTERNET):
        yield AREA.problem(
            "hostname",
            name,
            f"{name} is no name of the internet",
            "other servers look our name up in DNS, and refuse mail from one that is not there",
            do,
        )
    else:
        yield AREA.ok("hostname", name, f"the server is named {name}")


def listeners(case: Case) -> Iterator[Finding]:
    """Is there a way in for each kind of client?"""
    public = [each for each in case.settings.listeners if reachable(case.hostname, each.address)]
    yield from _incoming(case, public)
    if any(each.service == "submission" and each.tls != "none" for each in public):
        yield AREA.ok("submission", "", "users can submit mail")
    else:
        yield AREA.warning(
            "submission",
            "",
            'no listener takes mail from users: none with service = "submission" and TLS is open to others',
            "mail programs and applications elsewhere cannot send",
            'add [[listener]] with service = "submission", port = 465, tls = "implicit"',
        )
    if not any(each.service in ("imap", "pop3") for each in public):
        yield AREA.note(
            "reading",
            "",
            "no listener lets users elsewhere read mail (imap, pop3)",
            "their mail arrives, but no mail program can show it",
            'add [[listener]] with service = "imap", port = 993, tls = "implicit"',
        )
    for each in case.settings.listeners:
        if each.proxy_protocol and each.address in ("::", "0.0.0.0"):  # noqa: S104 - compared, not bound
            yield AREA.warning(
                "proxy",
                place(each),
                "takes the client's address from a PROXY header, and everybody can reach it",
                "who connects without passing the load balancer can claim any address, and so trust and limits",
                "set address to the one that the balancer connects to, or let a firewall admit the balancer alone",
            )


def _incoming(case: Case, public: list[Listener]) -> Iterator[Finding]:
    mx = [each for each in public if each.service == "mx"]
    if case.is_local or any(each.port == 25 for each in mx):
        yield AREA.ok("incoming", "", "other servers can bring mail")
    elif mx:
        yield AREA.warning(
            "incoming",
            place(mx[0]),
            f"other servers can bring mail to port {mx[0].port} only",
            "they connect to port 25, and know no other",
            "set port = 25, or have a firewall or load balancer pass port 25 on to it",
        )
    else:
        yield AREA.warning(
            "incoming",
            "",
            'no listener takes mail from other servers: none with service = "mx" is open to others',
            "answers to our mail, and reports of failed delivery elsewhere, cannot arrive",
            'add [[listener]] with service = "mx", port = 25, tls = "starttls"',
        )


def place(listener: Listener) -> str:
    """Return how people know a listener: "imap port 993"."""
    return f"{listener.service} port {listener.port}"


def postmaster(case: Case) -> Iterator[Finding]:
    """Does somebody read what other administrators write? Spec: RFC 5321 4.5.1"""
    if not case.stored.known:
        return
    without = sorted(set(case.stored.domains) - case.stored.postmasters)
    if not case.stored.domains:
        yield AREA.warning(
            "domains",
            "",
            "there is no domain here",
            "mail can neither be sent nor received before there is one",
            "fedaemonctl setup domain example.org, or: fedaemonctl domain add example.org",
        )
    elif case.stored.accounts == 0:
        yield AREA.warning(
            "accounts",
            "",
            "there is no account here",
            "nobody can log in, and mail for the domains here is refused",
            f"fedaemonctl account add alice@{case.stored.domains[0]}",
        )
    if without:
        yield AREA.warning(
            "postmaster",
            without[0],
            f"nobody gets mail for postmaster@{without[0]}{_and_more(without)}",
            "administrators and providers write there when something is wrong with your mail, and DMARC and TLS "
            "reports go there",
            'set postmaster = "you@example.org" in [server], or: '
            f"fedaemonctl alias add postmaster@{without[0]} you@{without[0]}",
        )
    elif case.stored.domains:
        yield AREA.ok("postmaster", "", "somebody gets mail for postmaster")


def _and_more(names: list[str]) -> str:
    return f" and {counted(len(names) - 1, 'more domain')}" if len(names) > 1 else ""


def limits(case: Case) -> Iterator[Finding]:
    """What can a stolen password do?"""
    bounds = case.settings.limits
    if bounds.daily_messages_per_account == 0 and bounds.daily_messages_per_domain == 0 and not case.is_local:
        yield AREA.warning(
            "daily-limit",
            "",
            "accounts may send any number of messages a day",
            "who steals one password sends spam until every provider blocks this server",
            "set daily_messages_per_account in [limits]; single accounts can have more: "
            "fedaemonctl account set ADDRESS --daily-limit N",
        )
    else:
        yield AREA.ok("daily-limit", "", "accounts have a daily limit")
    if bounds.login_failures_per_hour == 0 and not case.is_local:
        yield AREA.warning(
            "login-limit",
            "",
            "passwords may be tried without end (login_failures_per_hour = 0)",
            "machines try millions of them, and weak ones are found",
            "set login_failures_per_hour = 10 in [limits]",
        )


def passwords(case: Case) -> Iterator[Finding]:
    """Can others on this machine read a relay's password?"""
    for route in case.settings.routes:
        if route.password is None:
            continue
        path = route.password_file or case.settings.source
        if is_open_to_all(path):
            yield AREA.problem(
                "relay-password",
                str(path),
                f"every user of this machine can read the password for {route.host}",
                "who has it sends mail in your name",
                f"chmod o= {path}",
            )
        else:
            yield AREA.ok("relay-password", str(path), f"the password for {route.host} is not open to all")


def is_open_to_all(path: Path) -> bool:
    """True when users without any right can read *path*."""
    try:
        return bool(path.stat().st_mode & stat.S_IROTH)
    except OSError:
        return False


def delivery(case: Case) -> Iterator[Finding]:
    """Is delivery switched off somewhere?"""
    chosen = case.settings.delivery
    if chosen.paused:
        yield AREA.warning(
            "paused",
            "",
            "delivery to other servers is paused (delivery.paused)",
            "mail for other domains waits until it is too old",
            "set paused = false in [delivery] and reload: systemctl reload fedaemon",
        )
    if chosen.capture is not None and not case.is_local:
        yield AREA.warning(
            "capture",
            chosen.capture,
            f"all mail for other domains goes to {chosen.capture} instead of them (delivery.capture)",
            "that is for development; on a real server nobody else gets mail",
            "remove capture from [delivery] and reload: systemctl reload fedaemon",
        )
    if chosen.mx_port != 25:
        yield AREA.warning(
            "mx-port",
            "",
            f"other servers are called at port {chosen.mx_port} (delivery.mx_port)",
            "they listen on port 25; another one is for tests",
            "remove mx_port from [delivery]",
        )
