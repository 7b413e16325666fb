"""``fedaemonctl queue stats``: how much there is, in which states, where it waits and for how long.

JSON is ``at_ms``, ``messages`` ({status: n}), ``recipients`` ({state: n}), ``waiting`` (recipients),
``unfinished_octets``, ``destinations`` (the 20 with most waiting: ``destination``, null for mailboxes here, and
``waiting``), ``destinations_in_all``, ``accounts`` (the same with ``account``, null for mail without one),
``accounts_in_all``, ``categories`` ({category of the latest reply: recipients that wait}), ``ages`` (array of
``below_s``, null for the last, and ``waiting``), ``oldest`` (``id``, ``accepted_ms``, or null), ``last_hour``
and ``last_day`` ({accepted: messages, delivered, bounced, expired, suppressed: recipients}).
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping
from typing import Any

from fedaemon.ctl import terminal
from fedaemon.ctl.command import DONE, Context
from fedaemon.ctl.terminal import Progress, span, when
from fedaemon.delivery.census import take_census


def register(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "stats",
        parents=[common],
        help="count what there is: states, destinations, accounts, categories, ages",
        description="Count everything in the queue, finished mail too. Looks at every message once.",
    )
    parser.set_defaults(run=run_stats)


def run_stats(context: Context, arguments: argparse.Namespace) -> int:
    """Print the numbers."""
    with Progress(context, "counting") as progress:
        counted = take_census(context.view, terminal.now_ms(), progress.at).summary()
    context.show(counted)
    if context.json:
        return DONE
    context.say(f"messages:   {_numbers(counted['messages'])}")
    context.say(f"recipients: {_numbers(counted['recipients'])}")
    for name, title in (("last_hour", "last hour: "), ("last_day", "last day:  ")):
        context.say(f"{title} {_numbers(counted[name])}")
    context.say(f"unfinished: {counted['unfinished_octets']} octets")
    oldest = counted["oldest"]
    if oldest is None:
        context.say("nothing waits")
        return DONE
    age = span((counted["at_ms"] - oldest["accepted_ms"]) / 1000)
    context.say(f"oldest:     {oldest['id']}, accepted {when(oldest['accepted_ms'])}, waits for {age}")
    context.say("")
    context.table(("AGE", "WAITING"), _ages(counted["ages"]))
    context.say("")
    context.table(("LATEST REPLY", "WAITING"), counted["categories"].items())
    _top(context, counted, "destination", "(mailboxes here)")
    _top(context, counted, "account", "(none)")
    return DONE


def _numbers(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items())) or "none"


def _ages(groups: Iterable[Mapping[str, Any]]) -> Iterable[tuple[str, int]]:
    before = ""
    for group in groups:
        if group["below_s"] is None:
            yield f"{before} and more", group["waiting"]
        else:
            before = span(group["below_s"])
            yield f"below {before}", group["waiting"]


def _top(context: Context, counted: Mapping[str, Any], what: str, nobody: str) -> None:
    rows, in_all = counted[f"{what}s"], counted[f"{what}s_in_all"]
    more = f" (the first {len(rows)} of {in_all})" if in_all > len(rows) else ""
    context.say("")
    context.table(
        (f"{what.upper()}{more}", "WAITING"), [(row[what] or nobody, row["waiting"]) for row in rows]
    )
