"""``fedaemonctl queue sites``: where mail goes, how much waits there, and what is wrong.

JSON is an array of ``site`` (null for a destination of which no site is known), ``state`` (paused, down,
probed, blocked, slowed, busy, open, not tried lately), ``destinations`` ({name: recipients that wait}),
``waiting`` (their sum), ``active`` and ``limit`` (connections), ``rate_per_minute`` (null for none),
``delivered`` and ``failed`` (attempts since the site is in use), ``failures`` (times in a row it went down),
``down_until_ms``, ``closed`` ({our address, "" for any: blocked until}), ``slowed_until_ms``, ``paused``
(``kind``, ``since_ms``, ``why``, or null), ``last_error`` (``at_ms``, ``code``, ``status``, ``text``,
``host``, ``phase``, ``category``, or null) and ``at_ms`` (when the daemon wrote this, null for never).
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from typing import Any, Final

from fedaemon.ctl import terminal
from fedaemon.ctl.command import DONE, Context
from fedaemon.ctl.terminal import Progress, printable, when
from fedaemon.delivery import pauses
from fedaemon.delivery.site_listing import Counts, count_waiting, known_sites, site_rows
from fedaemon.delivery.waiting import last_error

MAX_ERROR: Final = 100
"""Characters of an error in the table; ``--site`` shows all of it."""


def register(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "sites",
        parents=[common],
        help="where mail goes: waiting, connections, rate, last error, paused or closed until",
        description="List the sites that mail goes to (destinations with the same mail servers are one site),"
        " those with most waiting first.",
    )
    parser.add_argument("--site", metavar="NAME", help="all about one site, or the site of a destination")
    parser.set_defaults(run=run_sites)


def run_sites(context: Context, arguments: argparse.Namespace) -> int:
    """Print the sites, or one of them."""
    known = context.view(known_sites)
    paused = context.view(pauses.read)
    name = arguments.site
    site = None if name is None else name if name in known.records else known.names.get(name)
    counts: Counts = {}
    with Progress(context, "counting", "recipients") as progress:
        if name is None:
            counts = count_waiting(context.view, seen=progress.at)
        else:
            for destination in known.destinations(site) if site is not None else (name,):
                counts.update(count_waiting(context.view, destination, progress.at))
    rows = site_rows(known, paused, counts, terminal.now_ms())
    if name is not None:
        rows = [row for row in rows if (row["site"] == site if site else name in row["destinations"])]
        if not rows:
            return context.refuse(
                f"there is no site {name}, and nothing waits for it; fedaemonctl queue sites shows what there is"
            )
    context.show(rows)
    if context.json:
        return DONE
    if name is not None:
        for line in (line for row in rows for line in _describe(row)):
            context.say(printable(line))
    elif not rows:
        context.say("nothing is known of any site, and nothing waits")
    else:
        _table(context, rows)
    return DONE


def _table(context: Context, rows: list[dict[str, Any]]) -> None:
    context.table(
        ("SITE", "STATE", "WAITING", "ACTIVE", "LIMIT", "RATE", "DELIVERED", "FAILED", "UNTIL", "LAST ERROR"),
        [
            (
                row["site"] or ", ".join(row["destinations"]),
                row["state"],
                row["waiting"],
                row["active"],
                row["limit"] or "-",
                f"{row['rate_per_minute']}/min" if row["rate_per_minute"] else "-",
                row["delivered"],
                row["failed"],
                when(_until_ms(row)),
                printable(_words(row)),
            )
            for row in rows
        ],
    )


def _until_ms(row: Mapping[str, Any]) -> int:
    """Return until when the site is in its state, 0 for unknown."""
    if row["paused"]:
        return 0
    until_ms: int = (
        row["down_until_ms"] or max(row["closed"].values(), default=0) or row["slowed_until_ms"] or 0
    )
    return until_ms


def _words(row: Mapping[str, Any]) -> str:
    if row["paused"]:
        return row["paused"]["why"] or "paused by the administrator"
    text = last_error(row["last_error"] or {})
    return text if len(text) <= MAX_ERROR else f"{text[: MAX_ERROR - 1]}…"


def _describe(row: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines about one site."""
    yield f"{row['site'] or ', '.join(row['destinations'])}: {row['state']}"
    rate = f", at most {row['rate_per_minute']} messages a minute" if row["rate_per_minute"] else ""
    if row["site"]:
        yield f"  {row['active']} of {row['limit']} connections in use{rate}"
        yield f"  {row['delivered']} attempts delivered, {row['failed']} failed"
    if row["paused"]:
        why = f": {row['paused']['why']}" if row["paused"]["why"] else ""
        yield f"  paused ({row['paused']['kind']}) since {when(row['paused']['since_ms'])}{why}"
    if row["down_until_ms"]:
        yield f"  down, {row['failures']} times in a row; tried again at {when(row['down_until_ms'])}"
    for source, until_ms in row["closed"].items():
        yield f"  blocks mail from {source or 'this server'}; tried again at {when(until_ms)}"
    if row["slowed_until_ms"]:
        yield f"  asked for less; gets more from {when(row['slowed_until_ms'])} on"
    if row["last_error"]:
        yield f"  last error, {when(row['last_error'].get('at_ms'))}: {last_error(row['last_error'])}"
    yield f"  {row['waiting']} recipients wait:"
    for destination, count in row["destinations"].items():
        yield f"    {destination}: {count}"
    if row["at_ms"]:
        yield f"  as the daemon wrote it at {when(row['at_ms'])}"
