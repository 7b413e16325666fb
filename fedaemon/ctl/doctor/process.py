"""Does the daemon run, and can it hold as many connections as the settings promise? And what time is it?

Standards: proc(5), adjtimex(2), systemd.exec(5) (LimitNOFILE).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Final

from fedaemon import __version__
from fedaemon.ctl.doctor.case import Case
from fedaemon.ctl.doctor.finding import Area, Finding
from fedaemon.ctl.doctor.machine import Machine
from fedaemon.ctl.terminal import span, when
from fedaemon.errors import Unavailable
from fedaemon.store.layout import Layout

DAEMON: Final = Area("daemon")
CLOCK: Final = Area("clock")
OTHER_FILES: Final = 200
"""Descriptors for the store, logs, DNS, and messages being read and written."""
EARLIEST_YEAR: Final = 2025
"""Of the first release: a clock before it is wrong."""


def find_daemon(data_dir: Path, machine: Machine) -> int | None:
    """Return the process that serves *data_dir*, None when none does."""
    path = Layout(data_dir).service_lock
    try:
        text = path.read_text().strip()
    except (OSError, UnicodeDecodeError):
        return None
    if not text.isdecimal() or not machine.holds_lock(int(text), path):
        return None
    return int(text)


def check_daemon(case: Case) -> Iterator[Finding]:
    """Look at the process."""
    if case.pid is None:
        yield DAEMON.warning(
            "running",
            "",
            "the daemon does not run",
            "no mail is taken or delivered; what is queued waits",
            "systemctl start fedaemon, or: twistd -n --pidfile= fedaemon --config "
            f"{case.settings.source.absolute()}; if it ends at once: journalctl -u fedaemon -n 30",
        )
        return
    began = Layout(case.settings.server.data_dir).service_lock.stat().st_mtime
    since = f"since {when(int(began * 1000))} ({span(case.now.timestamp() - began)})"
    yield DAEMON.ok("running", f"process {case.pid}", f"runs {since}")
    yield from own_words(case)
    yield from descriptors(case, case.machine.open_files_limit(case.pid))
    if case.machine.user_of(case.pid) == 0 and not case.is_local:
        yield DAEMON.warning(
            "root",
            f"process {case.pid}",
            "runs as root",
            "whoever finds a hole in it has the whole machine",
            "run it as a user of its own: the systemd unit of the package does",
        )


def own_words(case: Case) -> Iterator[Finding]:
    """What does the daemon say of itself?"""
    try:
        status = case.read_status(case.settings.server.data_dir)
    except Unavailable as error:
        yield DAEMON.problem(
            "health",
            f"process {case.pid}",
            f"runs, but does not say how it is: {error.text}",
            "it hangs, or is still starting or ending; mail is late",
            "look again in a minute; then see its log: journalctl -u fedaemon -n 50",
        )
        return
    for reason in status["reasons"]:
        yield DAEMON.problem(
            "health",
            f"process {case.pid}",
            f"is not well: {reason}",
            "it takes no new mail, or takes it late",
            "fedaemonctl status shows more; its log says why: journalctl -u fedaemon -n 50",
        )
    if status["version"] != __version__:
        yield DAEMON.warning(
            "version",
            f"process {case.pid}",
            f"is of version {status['version']}, and {__version__} is installed",
            "an update takes effect when the daemon is restarted",
            "systemctl restart fedaemon",
        )
    elif not status["reasons"]:
        yield DAEMON.ok("health", f"process {case.pid}", "says that it is well")


def descriptors(case: Case, limit: int | None) -> Iterator[Finding]:
    """Every connection takes a descriptor."""
    sessions, others = case.settings.limits.sessions, case.settings.delivery.connections + OTHER_FILES
    needed = sessions + others
    if limit is None:
        return
    if sessions == 0:
        yield DAEMON.note(
            "descriptors",
            "",
            f"connections are not limited (limits.sessions = 0), the daemon's descriptors are: {limit}",
            "when they are used up, nobody can connect and messages above 64 KiB are refused for the time",
            f"set sessions in [limits] to {max(1, limit - others)} or less",
        )
    elif limit < needed:
        yield DAEMON.warning(
            "descriptors",
            "",
            f"the daemon may have {limit} files and connections open, and the settings promise {needed} "
            f"({sessions} sessions, {case.settings.delivery.connections} deliveries, {OTHER_FILES} others)",
            "when they are used up, nobody can connect and messages above 64 KiB are refused for the time",
            "set LimitNOFILE=65536 (systemctl edit fedaemon) or ulimit -n, or sessions in [limits] lower",
        )
    else:
        yield DAEMON.ok("descriptors", "", f"{limit} descriptors are enough for {sessions} sessions")


def check_clock(case: Case) -> Iterator[Finding]:
    """Look at the time."""
    yield year(case.now)
    disciplined = case.machine.clock_is_set()
    if disciplined:
        yield CLOCK.ok("synchronised", "", "the clock is kept right by time servers")
    elif disciplined is None:
        yield CLOCK.note(
            "synchronised",
            "",
            "whether time servers keep the clock right cannot be seen here",
            "in a container the host's clock counts",
            "look on the host: timedatectl",
        )
    else:
        yield CLOCK.warning(
            "synchronised",
            "",
            "nothing keeps the clock right",
            "with a wrong clock signatures (DKIM) and certificates are taken for expired or not yet valid, and "
            "mail looks delayed",
            "apt install systemd-timesyncd && timedatectl set-ntp true",
        )


def year(now: datetime) -> Finding:
    """Is the time one at which this program can run?"""
    if now.year < EARLIEST_YEAR:
        return CLOCK.problem(
            "year",
            "",
            f"the clock says {now:%Y-%m-%d %H:%M}, which is past",
            "certificates are not valid yet, signatures are refused, and mail is sorted wrongly",
            "set the clock (timedatectl set-time), then have it kept right: timedatectl set-ntp true",
        )
    return CLOCK.ok("year", "", f"it is {now:%Y-%m-%d %H:%M} UTC")
