"""``fedaemonctl alias``: addresses whose mail goes to other addresses, here or elsewhere."""

from __future__ import annotations

import argparse
from typing import Any

from fedaemon.accounts import directory
from fedaemon.accounts.records import Alias
from fedaemon.ctl.command import DONE, Context, sentence
from fedaemon.message.address import parse_domain
from fedaemon.store.interface import Transaction


def register(groups: argparse._SubParsersAction[Any], common: argparse.ArgumentParser) -> None:
    """Add the parsers of this command group."""
    text = "addresses whose mail goes to other addresses"
    group = groups.add_parser("alias", help=text, description=sentence(text))
    commands = group.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def add(name: str, run: Any, text: str) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = commands.add_parser(
            name, parents=[common], help=text, description=sentence(text)
        )
        parser.set_defaults(run=run)
        return parser

    address = "an address, or @example.org for whatever else is sent to a domain"
    parser = add("add", run_add, "let the mail of an address go to others; adds to what it has")
    parser.add_argument("address", metavar="ADDRESS", help=address)
    parser.add_argument("targets", metavar="TARGET", nargs="+", help="where its mail goes")
    parser = add("list", run_list, "list the aliases")
    parser.add_argument("--domain", metavar="DOMAIN", help="only those of this domain")
    parser = add("remove", run_remove, "remove an alias, or some of its targets")
    parser.add_argument("address", metavar="ADDRESS", help=address)
    parser.add_argument("targets", metavar="TARGET", nargs="*", help="only these (default: the whole alias)")


def as_json(alias: Alias) -> dict[str, Any]:
    """Return an alias as it is shown with --json."""
    return {"address": alias.address, "targets": list(alias.targets)}


def run_add(context: Context, arguments: argparse.Namespace) -> int:
    """Add an alias, or targets to one."""
    address = directory.parse_name(arguments.address)

    def add(transaction: Transaction) -> Alias:
        targets = tuple(directory.parse_target(transaction, target) for target in arguments.targets)
        return directory.add_alias(transaction, address, targets)

    alias = context.transact(add)
    context.say(f"{alias.address} -> {', '.join(alias.targets)}")
    context.show(as_json(alias))
    return DONE


def run_list(context: Context, arguments: argparse.Namespace) -> int:
    """List the aliases."""
    domain = None if arguments.domain is None else parse_domain(arguments.domain)
    found = context.view(lambda snapshot: list(directory.aliases(snapshot, domain)))
    context.table(("ADDRESS", "TARGETS"), [(alias.address, ", ".join(alias.targets)) for alias in found])
    context.show([as_json(alias) for alias in found])
    return DONE


def run_remove(context: Context, arguments: argparse.Namespace) -> int:
    """Remove an alias, or some of its targets."""
    address = directory.parse_name(arguments.address)

    def remove(transaction: Transaction) -> Alias | None:
        targets = tuple(directory.parse_target(transaction, target) for target in arguments.targets)
        return directory.remove_alias(transaction, address, targets)

    left = context.transact(remove)
    if left is None:
        context.say(f"{address} is removed")
        context.show({"address": address, "removed": True})
    else:
        context.say(f"{address} -> {', '.join(left.targets)}")
        context.show(as_json(left))
    return DONE
