"""Does each listener answer as it should? And where the daemon does not run: could it listen?

Standards: RFC 5321 4.1.1.1 and 4.2, RFC 3207 4, RFC 4954 4 (no AUTH before TLS), RFC 9051 6.1.1, RFC 2449 5.
Known gaps: a firewall or provider that keeps others from a port cannot be seen from this machine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from fedaemon.config import Listener
from fedaemon.ctl.doctor.case import Case
from fedaemon.ctl.doctor.dialogue import (
    Broken,
    Conversation,
    NoTls,
    any_certificate,
    reason,
)
from fedaemon.ctl.doctor.finding import Area, Finding
from fedaemon.ctl.doctor.greetings import Seen, visit_imap, visit_pop3, visit_smtp
from fedaemon.ctl.doctor.machine import Program
from fedaemon.ctl.doctor.settings import place
from fedaemon.ctl.doctor.web_page import Page, fetch
from fedaemon.net.certificate_file import leaf
from fedaemon.net.tls import BadCertificate
from fedaemon.web.advertised import SYSTEMD, from_here

AREA: Final = Area("ports")
HEALTH: Final = "/healthz"
SYSTEMD_PID: Final = 1
_LOGIN: Final = frozenset(("LOGIN", "PLAIN", "AUTH", "AUTH=PLAIN", "USER", "SASL"))
"""What stands in a list of capabilities where passwords are taken."""
_EXPECTED: Final = {
    "mx": frozenset(("SIZE", "PIPELINING", "8BITMIME")),
    "submission": frozenset(("SIZE", "AUTH")),
}


def check_listener(case: Case, listener: Listener) -> Iterator[Finding]:
    """Look at one listener."""
    about = place(listener)
    if listener.port == 0:
        yield AREA.note(
            "port", about, "any free port is used (port = 0)", "which one it is only the log says", "set port"
        )
    elif case.pid is None:
        yield unused(case, listener)
    else:
        yield from answer(case, listener)


def unused(case: Case, listener: Listener) -> Finding:
    """Without a daemon: may the port be had?"""
    about, machine = place(listener), case.machine
    if not machine.listening(listener.port):
        return AREA.ok("port", about, "is free")
    program = machine.who_listens(listener.port)
    if listener.address.startswith(SYSTEMD) and (program is None or program.pid == SYSTEMD_PID):
        return AREA.ok("port", about, "is held for the daemon by systemd")
    return taken(about, listener.port, program)


def taken(about: str, port: int, program: Program | None) -> Finding:
    """Another program has the port."""
    who = "another program" if program is None else str(program)
    if program is None:
        todo = f"find out which one (as root: ss -ltnp 'sport = :{port}') and stop it"
    elif program.pid == SYSTEMD_PID:
        todo = "systemctl list-sockets shows which unit it is; then: systemctl disable --now NAME.socket"
    elif program.unit:
        todo = f"systemctl disable --now {program.unit}"
    else:
        todo = f"stop {program.name} (process {program.pid}), and keep it from being started again"
    return AREA.problem(
        "port",
        about,
        f"port {port} is in use by {who}",
        "two programs cannot listen on one port: the daemon does not start, or others reach the wrong server",
        todo,
    )


def answer(case: Case, listener: Listener) -> Iterator[Finding]:
    """With a daemon: talk to it."""
    about, address = place(listener), from_here(listener.address)
    try:
        with Conversation(case.connect, address, listener.port, proxied=listener.proxy_protocol) as talk:
            if listener.service == "http":
                yield from judge_health(about, health(case, listener, talk))
                shown = talk.certificate
            else:
                seen = _VISITS[listener.service](case, listener, talk)
                yield from judge(case, listener, seen)
                shown = seen.certificate
    except NoTls as error:
        yield AREA.problem(
            "tls",
            about,
            f"TLS does not work: {error}",
            "clients that keep passwords to TLS cannot connect",
            "see the daemon's log: journalctl -u fedaemon -n 50; then: fedaemonctl config check",
        )
    except Broken as error:
        yield not_ours(case, listener, f"{address} port {listener.port} {error}")
    except OSError as error:
        yield not_ours(case, listener, f"{address} port {listener.port}: {reason(error)}")
    else:
        if listener.tls != "none":
            yield from judge_certificate(case, about, shown)


def not_ours(case: Case, listener: Listener, what: str) -> Finding:
    """Nobody answers there, or somebody else does."""
    program = case.machine.who_listens(listener.port)
    if program is not None and program.pid not in (case.pid, SYSTEMD_PID):
        return taken(place(listener), listener.port, program)
    return AREA.problem(
        "answer",
        place(listener),
        f"the daemon runs, but {what}",
        "nobody can use this service",
        "if the listener is new: systemctl reload fedaemon; otherwise see its log: journalctl -u fedaemon -n 50",
    )


def _smtp(case: Case, listener: Listener, talk: Conversation) -> Seen:
    return visit_smtp(talk, case.hostname, case.hostname, listener.tls, any_certificate())


def _imap(case: Case, listener: Listener, talk: Conversation) -> Seen:
    return visit_imap(talk, case.hostname, listener.tls, any_certificate())


def _pop3(case: Case, listener: Listener, talk: Conversation) -> Seen:
    return visit_pop3(talk, case.hostname, listener.tls, any_certificate())


_VISITS: Final[dict[str, Callable[[Case, Listener, Conversation], Seen]]] = {
    "mx": _smtp,
    "submission": _smtp,
    "imap": _imap,
    "pop3": _pop3,
}


def health(case: Case, listener: Listener, talk: Conversation) -> Page:
    """Ask the http listener how the daemon is."""
    if listener.tls == "implicit":
        talk.start_tls(case.hostname, any_certificate())
    return fetch(talk, case.hostname, HEALTH)


def judge_health(about: str, page: Page) -> Iterator[Finding]:
    """200 means well; 503 comes with reasons."""
    if page.status == 200:
        yield AREA.ok("health", about, "answers, and says that the daemon is well")
    else:
        yield AREA.problem(
            "health",
            about,
            f"the daemon says that it is not well: {' '.join(page.body.split())[:300] or page.status}",
            "it takes no new mail, or takes it late",
            "fedaemonctl status shows more; the log says why: journalctl -u fedaemon -n 50",
        )


def judge(case: Case, listener: Listener, seen: Seen) -> Iterator[Finding]:
    """Judge a greeting and what is offered."""
    about = place(listener)
    if seen.name and seen.name.lower() != case.hostname:
        yield AREA.problem(
            "name",
            about,
            f"greets as {seen.name[:100]!a}, not as {case.hostname}",
            "the daemon has older settings, or another program answers",
            "systemctl restart fedaemon (the name is read at the start)",
        )
    offered = seen.secured or seen.plain
    missing = _EXPECTED.get(listener.service, frozenset()) - offered - _not_expected(listener)
    if missing:
        yield AREA.problem(
            "offers",
            about,
            f"does not offer {', '.join(sorted(missing))}",
            "clients need it, and something between may take it away (a filter or firewall that rewrites SMTP)",
            "reload the daemon; switch off SMTP inspection in firewalls (such as Cisco's fixup)",
        )
    early = seen.plain & _LOGIN if listener.service in ("mx", "submission") else frozenset[str]()
    if early:
        yield AREA.problem(
            "early-login",
            about,
            "takes passwords before TLS",
            "they can be read on the way; fedaemon never does this, so another program answers",
            f"see who listens there: ss -ltnp 'sport = :{listener.port}'",
        )
    if not early and not missing:
        how = f"with {seen.tls}" if seen.tls else "without TLS"
        yield AREA.ok("answer", about, f"answers {how} as it should")


def _not_expected(listener: Listener) -> frozenset[str]:
    """Without TLS nobody can log in."""
    return frozenset(("AUTH",)) if listener.tls == "none" else frozenset()


def judge_certificate(case: Case, about: str, shown: bytes) -> Iterator[Finding]:
    """Is it the one in the files? After a renewal without a reload it is not."""
    tls = case.settings.tls
    if tls is None:
        return
    files = [tls.certificate, *(site.certificate for site in tls.sites)]
    try:
        current = shown in [leaf(path) for path in files]
    except BadCertificate:
        return  # the files' own check says so
    if current:
        yield AREA.ok("shown-certificate", about, "shows the certificate that is in the file")
    else:
        yield AREA.problem(
            "shown-certificate",
            about,
            "shows another certificate than the one in the file",
            "the file was renewed and the daemon has not read it; when the old one ends, nobody can connect",
            "systemctl reload fedaemon, now and after each renewal (certbot: --deploy-hook)",
        )
