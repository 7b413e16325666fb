"""Which checks there are for a case, and running them side by side.

Theory of operation: most checks wait for the network, so each runs in a thread of its own; their order in the
result is that of the list, not that of their ends. The name servers come first: when none answers, nothing is
asked that needs them. A check that fails is a finding, too, and hides no other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from fedaemon.ctl.doctor import blocklists, certificate, host_dns, outbound, resolver
from fedaemon.ctl.doctor.case import Case
from fedaemon.ctl.doctor.client_dns import check_clients
from fedaemon.ctl.doctor.domain_dns import check_domain
from fedaemon.ctl.doctor.files import check_files
from fedaemon.ctl.doctor.finding import Area, Finding
from fedaemon.ctl.doctor.lookup import Asks
from fedaemon.ctl.doctor.ports import check_listener
from fedaemon.ctl.doctor.process import check_clock, check_daemon
from fedaemon.ctl.doctor.settings import check_settings, place
from fedaemon.ctl.doctor.transport_dns import check_dane, check_transport
from fedaemon.errors import Unavailable
from fedaemon.net.dns_query import Server

AREAS: Final = (
    "settings",
    "files",
    "daemon",
    "clock",
    "ports",
    "certificate",
    "resolver",
    "dns",
    "outbound",
    "blocklists",
)
"""In the order in which they are shown."""
THREADS: Final = 16


@dataclass(frozen=True, slots=True)
class Check:
    """One thing to look at."""

    area: Area
    about: str
    run: Callable[[], Iterator[Finding]]


@dataclass(frozen=True, slots=True)
class Wishes:
    """What was asked for on the command line: a host to greet, lists to ask."""

    outbound: tuple[str, int] | None = None
    blocklists: tuple[str, ...] = ()


def examine(
    case: Case,
    wishes: Wishes,
    servers: tuple[Server, ...],
    ask: Callable[[Server], Asks],
    progress: Callable[[int], None] = lambda count: None,
) -> list[Finding]:
    """Run every check; return what they found, area by area.

    :param servers: the name servers; *ask* gives who asks one of them alone.
    :param progress: called with the number of checks that have ended.
    """
    asked = Check(resolver.AREA, "", partial(resolver.check_resolvers, case, servers, ask))
    first = run([asked], progress)
    if any(finding.check == "answers" and finding.level == "ok" for finding in first):
        case = with_addresses(case)
        checks = [*local_checks(case), *network_checks(case, wishes)]
    else:
        checks = local_checks(case)
        first.append(unasked(case))
    return ordered([*first, *run(checks, progress)])


def ordered(findings: Iterable[Finding]) -> list[Finding]:
    """Return findings area by area; within one they keep their order."""
    return sorted(findings, key=lambda finding: AREAS.index(finding.area))


def unasked(case: Case) -> Finding:
    """What DNS has to say stays unknown."""
    return host_dns.AREA.note(
        "not-checked",
        case.hostname,
        "was not looked at, because no name server answers",
        "what is wrong in DNS stays unknown",
        "see to the name servers first, then run this again",
    )


def with_addresses(case: Case) -> Case:
    """Return the case with the addresses that DNS gives our name."""
    try:
        return replace(case, addresses=case.lookup.addresses(case.hostname))
    except Unavailable:
        return case


def local_checks(case: Case) -> list[Check]:
    """Return the checks that stay on this machine."""
    found = [
        Check(Area("settings"), "", partial(check_settings, case)),
        Check(Area("files"), "", partial(check_files, case)),
        Check(Area("daemon"), "", partial(check_daemon, case)),
        Check(Area("clock"), "", partial(check_clock, case)),
        Check(Area("certificate"), "", partial(certificate.check_certificates, case)),
    ]
    found.extend(
        Check(Area("ports"), place(each), partial(check_listener, case, each))
        for each in case.settings.listeners
    )
    return found


def network_checks(case: Case, wishes: Wishes) -> list[Check]:
    """Return the checks that ask DNS or other servers."""
    dns, out = host_dns.AREA, outbound.AREA
    found: list[Check] = []
    if not case.is_local:
        found.append(Check(dns, case.hostname, partial(host_dns.check_host, case)))
        found.append(Check(dns, case.hostname, partial(check_dane, case)))
        for domain in case.domains:
            for check in (check_domain, check_transport, check_clients):
                found.append(Check(dns, domain, partial(check, case, domain)))
    if wishes.outbound is None:
        found.append(Check(out, "", lambda: iter((outbound.unknown(case),))))
    else:
        found.append(Check(out, wishes.outbound[0], partial(outbound.check_host, case, *wishes.outbound)))
    routes = {(route.host, route.port): route for route in reversed(case.settings.routes)}
    found.extend(
        Check(out, route.host, partial(outbound.check_route, case, route)) for route in routes.values()
    )
    for address in case.public_addresses() if wishes.blocklists else ():
        for zone in wishes.blocklists:
            found.append(Check(blocklists.AREA, zone, partial(blocklists.check_list, case, address, zone)))
    return found


def run(checks: Sequence[Check], progress: Callable[[int], None]) -> list[Finding]:
    """Run checks in threads; return their findings in the checks' order."""
    with ThreadPoolExecutor(THREADS, "doctor") as pool:
        ends: list[Future[list[Finding]]] = [pool.submit(_found, check) for check in checks]
        for count, _ in enumerate(as_completed(ends), 1):
            progress(count)
        return [finding for end in ends for finding in end.result()]


def _found(check: Check) -> list[Finding]:
    found: list[Finding] = []
    try:
        # What was found before a failure is kept: extend() takes the findings one by one.
        found.extend(check.run())
    except Unavailable as error:
        found.append(_unanswered(check, error))
    except Exception as error:
        found.append(_failed(check, error))
    return found


def _unanswered(check: Check, error: Unavailable) -> Finding:
    return check.area.warning(
        "not-checked",
        check.about,
        f"could not be looked at: {error.text}",
        "what is wrong there stays unknown",
        "run this again; when it stays so, the name servers of that domain do not answer",
    )


def _failed(check: Check, error: Exception) -> Finding:
    return check.area.warning(
        "not-checked",
        check.about,
        f"this check itself failed: {type(error).__name__}: {error}",
        "that is a defect of fedaemonctl; what is wrong there stays unknown",
        "report it, with this line",
    )


def settings_problems(problems: Iterable[str]) -> list[Finding]:
    """Return the findings for settings that cannot be used: "FILE:LINE: what; fix" for each."""
    found = []
    for problem in problems:
        about, _, text = problem.partition(": ")
        what, _, todo = text.partition("; ")
        found.append(
            Area("settings").problem(
                "read", about, what, "the daemon does not start, and a reload changes nothing", todo
            )
        )
    return found
