"""``fedaemonctl status``: how the running daemon is, on one screen.

The daemon tells it over DATA_DIR/status.socket; when none runs, the store and the settings say what they can. The
exit code is 0 when the daemon runs and is well, else 1.

JSON is ``running``, ``version``, ``hostname``, ``at_ms``, ``paused`` (array of ``kind``, ``name``, ``since_ms``,
``why``), ``certificates`` (array of ``name``, ``expires_ms``), ``queue`` (``counted_ms``, ``recipients`` by state,
``oldest_ms``, ``attempts`` under way), ``store`` (``octets``, ``free_octets``, ``reserve_octets``; and of the
daemon ``commits``, ``commit_ms``, ``commit_largest_ms``, ``batch``, of its latest commits). Only a running daemon
has ``pid``, ``started_ms``, ``healthy``, ``reasons``, ``listeners`` (array of ``service``, ``address``, ``port``,
``tls``), ``sessions`` (by service ``open``, ``logged_in``), ``rates`` (of the last ``minute``, ``hour``, ``day``:
``seconds`` that are known of it, ``accepted`` messages, and recipients ``delivered``, ``deferred``, ``bounced``,
``expired``), ``reactor_lag`` (``latest_ms``, ``largest_ms`` of five minutes), ``memory_octets``, ``problems``
(array of ``at``, ``level``, ``event``, ``text``: what was logged as a warning or worse, oldest first).
"""

from __future__ import annotations

import argparse
import shutil
import time
from functools import partial
from pathlib import Path
from typing import Any

from fedaemon import __version__
from fedaemon.ctl import terminal
from fedaemon.ctl.command import DONE, REFUSED, Context
from fedaemon.ctl.status_screen import screen
from fedaemon.ctl.terminal import Progress, read_count
from fedaemon.delivery import pauses

CLEAR = "\x1b[H\x1b[2J"


def register(groups: Any, common: argparse.ArgumentParser) -> None:
    """Add the command."""
    parser = groups.add_parser(
        "status",
        parents=[common],
        help="show how the running daemon is: listeners, sessions, queue, rates, problems",
        description="Show how the running daemon is, on one screen.",
        epilog="Exit codes: 0 it runs and is well, 1 it does not run, or not as it should. "
        "What an administrator holds is not counted as waiting; see: fedaemonctl queue stats",
    )
    parser.add_argument(
        "--watch",
        nargs="?",
        type=read_count,
        const=2,
        metavar="SECONDS",
        help="show it again every so many seconds (2), until Ctrl-C",
    )
    parser.set_defaults(run=run)


def run(context: Context, arguments: argparse.Namespace) -> int:
    """Show the state, once or again and again."""
    data_dir = context.work_as_owner()
    if arguments.watch is None:
        return _show(context, data_dir)
    try:
        while True:
            if context.out.isatty() and not context.json:
                print(CLEAR, end="", file=context.out)
            _show(context, data_dir)
            context.out.flush()
            time.sleep(arguments.watch)
    except KeyboardInterrupt:
        return DONE


def _show(context: Context, data_dir: Path) -> int:
    status = read(context, data_dir)
    context.show(status)
    size = shutil.get_terminal_size()
    context.say("\n".join(screen(status, terminal.now_ms(), size.columns)))
    return DONE if status["running"] and status["healthy"] else REFUSED


def read(context: Context, data_dir: Path) -> dict[str, Any]:
    """Return what the daemon says, or what there is to say without it."""
    from fedaemon.web.status_client import NotRunning, read_status

    try:
        return {"running": True, **read_status(data_dir)}
    except NotRunning:
        return without_daemon(context, data_dir)


def without_daemon(context: Context, data_dir: Path) -> dict[str, Any]:
    """Return what the settings, the disk and the store say."""
    from fedaemon.store.layout import Layout
    from fedaemon.web.process import file_octets, free_octets

    settings, database = context.settings, Layout(data_dir).database
    status: dict[str, Any] = {
        "running": False,
        "version": __version__,
        "hostname": settings.server.hostname,
        "at_ms": terminal.now_ms(),
        "data_dir": str(data_dir),
        "paused": [],
        "certificates": _certificates(context),
        "queue": {"counted_ms": None, "recipients": {}, "oldest_ms": None, "attempts": 0},
        "store": {
            "octets": file_octets(database),
            "free_octets": free_octets(data_dir),
            "reserve_octets": settings.limits.disk_reserve,
        },
    }
    # To look is not to make a store where there is none.
    if database.exists():
        status["queue"] = _queue(context)
        status["paused"] = [
            {"kind": each.kind, "name": each.name, "since_ms": each.since_ms, "why": each.why}
            for each in context.view(pauses.read)
        ]
    return status


def _queue(context: Context) -> dict[str, Any]:
    from fedaemon.web.queue_depth import Count, look

    count = Count(0.0)
    oldest_ms: dict[str, int] | None = None
    with Progress(context, "counting what waits", "recipients") as progress:
        while oldest_ms is None:
            oldest_ms = context.view(partial(look, count))
            progress.at(sum(count.recipients.values()))
    return {
        "counted_ms": terminal.now_ms(),
        "recipients": count.recipients,
        "oldest_ms": min(oldest_ms.values(), default=None),
        "attempts": 0,
    }


def _certificates(context: Context) -> list[dict[str, Any]]:
    from fedaemon.net.tls import BadCertificate, ServerTls

    tls = context.settings.tls
    if tls is None:
        return []
    try:
        made = ServerTls(
            tls.certificate, tls.private_key, [(site.certificate, site.private_key) for site in tls.sites]
        )
    except BadCertificate:
        # doctor says what is wrong with it; often only the daemon's user may read the key.
        return []
    return [{"name": name, "expires_ms": int(end.timestamp() * 1000)} for name, end in made.expiries]
