"""``fedaemonctl doctor [DOMAIN …]``: looks at everything that mail depends on, and says what to do.

JSON is an array of findings, each with ``level`` (problem, warning, note, ok), ``area`` (settings, files, daemon,
clock, ports, certificate, resolver, dns, outbound, blocklists), ``check`` (a name that stays the same between
versions), ``about`` (the file, listener, address or domain, or ""), ``what``, ``why`` and ``todo`` (texts for
people; "" where there is nothing to say). Findings of level ok are always among them.
"""

from __future__ import annotations

import argparse
import pwd
from contextlib import suppress
from functools import partial
from typing import Any, Final

from fedaemon.config import BadSettings, Settings
from fedaemon.ctl.command import DONE, REFUSED, USAGE, Context
from fedaemon.ctl.doctor import report
from fedaemon.ctl.doctor.blocklists import LISTS
from fedaemon.ctl.doctor.case import Case, Stored, read_store
from fedaemon.ctl.doctor.examination import Wishes, examine, ordered, settings_problems
from fedaemon.ctl.doctor.finding import Area, Finding, counted
from fedaemon.ctl.doctor.lookup import Asks, Lookup
from fedaemon.ctl.doctor.machine import Machine
from fedaemon.ctl.doctor.process import find_daemon
from fedaemon.ctl.privileges import SERVICE_USER
from fedaemon.ctl.terminal import Progress
from fedaemon.errors import MailError
from fedaemon.message.domain import parse_domain
from fedaemon.net.dns_query import DnsQuery, Server, system_servers
from fedaemon.store.layout import Layout

DNS_S: Final = 5.0
"""For one question."""


def register(groups: Any, common: argparse.ArgumentParser) -> None:
    """Add the command."""
    parser = groups.add_parser(
        "doctor",
        parents=[common],
        help="check settings, files, ports, certificate, DNS; each finding says what to do",
        description="Looks at everything that mail depends on: settings, files and disk, the daemon, the clock, "
        "every listener, certificates, name servers, and the DNS records of the server and its domains. Each "
        "finding says what it is, why it matters, and what to do. Changes nothing and sends no mail; works beside "
        "a running daemon and without one. Run it as root: it then sees everything.",
        epilog="Exit codes: 0 no problem (there may be warnings and notes), 1 problems, 2 the settings cannot be "
        "used.",
    )
    parser.add_argument(
        "domain", nargs="*", metavar="DOMAIN", help="look at these domains (default: all in the store)"
    )
    parser.add_argument(
        "-v", "--verbose", action="store_true", help="show what is right, too, each in a line"
    )
    parser.add_argument(
        "--outbound",
        type=host_and_port,
        metavar="HOST[:PORT]",
        help="greet this mail server elsewhere, up to STARTTLS, to see whether outgoing port 25 is open; nothing "
        "is sent (relays of [[route]] are always greeted)",
    )
    parser.add_argument(
        "--blocklists",
        action="store_true",
        help=f"ask blocklists for the server's addresses ({', '.join(LISTS)}); they get to know who asks",
    )
    parser.set_defaults(run=run_doctor)


def host_and_port(text: str) -> tuple[str, int]:
    """Return host and port, for argparse: "mx.example.org", "192.0.2.1:2525", "[2001:db8::1]:25"."""
    host, port = text, "25"
    if text.startswith("["):
        host, _, rest = text[1:].partition("]")
        port = rest.removeprefix(":") or "25"
    elif text.count(":") == 1:
        host, port = text.split(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise argparse.ArgumentTypeError('must be a host, such as "mx.example.org" or "192.0.2.1:25"')
    return host, int(port)


def run_doctor(context: Context, arguments: argparse.Namespace) -> int:
    """Examine, and report."""
    try:
        settings = context.settings
    except BadSettings as error:
        report.show(context, settings_problems(error.problems), verbose=arguments.verbose)
        return USAGE
    domains = tuple(dict.fromkeys(parse_domain(name) for name in arguments.domain))
    wishes = Wishes(arguments.outbound, LISTS if arguments.blocklists else ())
    stored, found = look_into_store(context, settings)
    servers = tuple(settings.dns.nameservers or system_servers())
    with context.as_caller(), Progress(context, "examining", "checks") as progress:
        case = new_case(settings, stored, domains or _enabled(stored), servers)
        found.extend(examine(case, wishes, servers, partial(_believing, DNS_S), progress.at))
    found = ordered(found)
    report.show(context, found, verbose=arguments.verbose)
    return REFUSED if any(finding.level == "problem" for finding in found) else DONE


def _believing(lifetime_s: float, server: Server) -> Asks:
    return DnsQuery((server,), trust_ad=True, lifetime_s=lifetime_s)


def _enabled(stored: Stored) -> tuple[str, ...]:
    return tuple(name for name in stored.domains if name not in stored.disabled)


def new_case(
    settings: Settings, stored: Stored, domains: tuple[str, ...], servers: tuple[Server, ...]
) -> Case:
    """Return the case of this machine."""
    machine = Machine()
    pid = find_daemon(settings.server.data_dir, machine)
    uid = machine.user_of(pid) if pid is not None else None
    trust_ad = {"yes": True, "no": False}.get(settings.dns.trust_ad)
    return Case(
        settings,
        stored,
        Lookup(DnsQuery(servers, trust_ad, lifetime_s=DNS_S)),
        domains=domains,
        uid=_service_user(settings) if uid is None else uid,
        pid=pid,
        machine=machine,
    )


def _service_user(settings: Settings) -> int:
    """Return whom the daemon will run as: the owner of the data directory, or the user made for it."""
    with suppress(OSError):
        return settings.server.data_dir.stat().st_uid
    with suppress(KeyError):
        return pwd.getpwnam(SERVICE_USER).pw_uid
    return 0


def look_into_store(context: Context, settings: Settings) -> tuple[Stored, list[Finding]]:
    """Return what the store says, and what there is to say of the store.

    :raises StoreError: the caller has no access to the data directory, and so would be told nonsense.
    """
    area, data_dir = Area("files"), settings.server.data_dir
    try:
        data_dir.stat()
    except FileNotFoundError:
        return Stored(), []
    except OSError:
        pass  # it is there, and not for us
    context.work_as_owner()
    if not Layout(data_dir).database.exists():
        return Stored(), []
    try:
        stored = context.view(partial(read_store, postmaster=settings.server.postmaster))
    except MailError as error:
        what, _, todo = error.text.partition("; ")
        why = "domains, accounts and keys are in it: they were not looked at"
        todo = todo or "see what this says: fedaemonctl verify"
        return Stored(known=False), [area.problem("store", str(data_dir), what, why, todo)]
    text = f"the store can be read: {counted(len(stored.domains), 'domain')}"
    return stored, [area.ok("store", str(data_dir), text)]
