"""``fedaemonctl queue pause``, ``resume`` and ``pauses``: stopping remote mail for a while.

JSON of ``pause`` is ``{"kind", "name", "since_ms", "why"}``, of ``resume`` ``{"kind", "name"}``, of ``pauses`` an
array of what ``pause`` gives. Kinds are all (its name is ""), site, domain and account.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import Any

from fedaemon.accounts.directory import resolve
from fedaemon.accounts.records import Account
from fedaemon.ctl import terminal
from fedaemon.ctl.command import DONE, Context, sentence
from fedaemon.ctl.queue_filter import read_domain
from fedaemon.ctl.terminal import printable, when
from fedaemon.delivery import pauses
from fedaemon.delivery.pauses import Kind
from fedaemon.delivery.site_listing import known_sites
from fedaemon.message.address import parse_address


def register(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the commands."""
    for name, run, text in (
        ("pause", run_pause, "try nothing remote for a while: everything, a site, an account or a domain"),
        ("resume", run_resume, "end a pause"),
    ):
        parser = commands.add_parser(name, parents=[common], help=text, description=sentence(text))
        what = parser.add_mutually_exclusive_group(required=True)
        what.add_argument("--site", metavar="SITE", help="what goes to this site (see queue sites)")
        what.add_argument("--account", metavar="ADDRESS", help="what this account has sent")
        what.add_argument("--domain", metavar="DOMAIN", help="what goes to this domain")
        what.add_argument("--all", action="store_true", help="all remote mail")
        if name == "pause":
            parser.add_argument("--why", default="", metavar="TEXT", help="shown wherever the pause is")
            parser.epilog = "Mail is accepted and local mail delivered meanwhile. A restart changes nothing."
        parser.set_defaults(run=run)
    listing = commands.add_parser(
        "pauses", parents=[common], help="list what is paused", description="List what is paused."
    )
    listing.set_defaults(run=run_pauses)


def _read(context: Context, arguments: argparse.Namespace) -> tuple[Kind, str]:
    """Return what is meant."""
    if arguments.site is not None:
        return "site", arguments.site
    if arguments.domain is not None:
        return "domain", read_domain(arguments.domain)
    if arguments.account is not None:
        address = parse_address(arguments.account)
        found = context.view(lambda snapshot: resolve(snapshot, address))
        # Mail of an account that is gone may still wait.
        return "account", found.address if isinstance(found, Account) else address.key
    return "all", ""


def run_pause(context: Context, arguments: argparse.Namespace) -> int:
    """Pause something."""
    kind, name = _read(context, arguments)
    paused = context.transact(
        lambda transaction: pauses.pause(transaction, kind, name, arguments.why, terminal.now_ms())
    )
    context.show(asdict(paused))
    context.say(printable(str(paused)))
    if kind == "site" and name not in context.view(known_sites).records:
        context.say(
            "nothing is known of a site of that name now; fedaemonctl queue sites shows the names that there are"
        )
    return DONE


def run_resume(context: Context, arguments: argparse.Namespace) -> int:
    """End a pause."""
    kind, name = _read(context, arguments)
    what = "all remote mail" if kind == "all" else f"the {kind} {name}"
    if not context.transact(lambda transaction: pauses.resume(transaction, kind, name, terminal.now_ms())):
        return context.refuse(f"{what} is not paused; fedaemonctl queue pauses shows what is")
    context.show({"kind": kind, "name": name})
    context.say(printable(f"{what} goes on"))
    for each in context.view(pauses.read):
        context.say(printable(f"still: {each}"))
    return DONE


def run_pauses(context: Context, arguments: argparse.Namespace) -> int:
    """List the pauses."""
    found = list(context.view(pauses.read))
    context.show([asdict(each) for each in found])
    if found:
        context.table(
            ("KIND", "NAME", "SINCE", "WHY"),
            [(each.kind, each.name, when(each.since_ms), printable(each.why)) for each in found],
        )
    else:
        context.say("nothing is paused")
    return DONE
