"""``fedaemonctl suppression``: addresses to which an account's mail is refused, because it bounced there."""

from __future__ import annotations

import argparse
from typing import Any

from fedaemon.accounts import directory
from fedaemon.accounts.spans import parse_span
from fedaemon.ctl.command import DONE, Context, sentence
from fedaemon.ctl.password import now_ms
from fedaemon.delivery import suppression
from fedaemon.delivery.suppression import MANUAL, Suppression, when
from fedaemon.errors import BadSyntax, Refused
from fedaemon.message.address import parse_address
from fedaemon.store.interface import Transaction

MIN_SPAN_S, MAX_SPAN_S = 60, 3650 * 86_400


def register(groups: argparse._SubParsersAction[Any], common: argparse.ArgumentParser) -> None:
    """Add the parsers of this command group."""
    text = "addresses to which an account's mail is refused, because it bounced there"
    group = groups.add_parser("suppression", help=text, description=sentence(text))
    commands = group.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def add(name: str, run: Any, text: str) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = commands.add_parser(
            name, parents=[common], help=text, description=sentence(text)
        )
        parser.set_defaults(run=run)
        if name != "list":
            parser.add_argument("account", metavar="ACCOUNT", help="the account whose mail is refused")
            parser.add_argument("address", metavar="ADDRESS", help="the address that it writes to")
        return parser

    parser = add("list", run_list, "list the addresses")
    parser.add_argument("--account", metavar="ACCOUNT", help="only those of this account")
    add("show", run_show, "show why and until when an address is refused")
    parser = add("add", run_add, "refuse an account's mail to an address")
    parser.add_argument(
        "--for",
        dest="span_s",
        type=_span,
        metavar="TIME",
        help="such as 14d; without it until the address is removed",
    )
    parser.add_argument("--why", default="", metavar="TEXT", help="told to who sends there")
    add("remove", run_remove, "take an account's mail to an address again")


def _span(text: str) -> int:
    try:
        return parse_span(text, low_s=MIN_SPAN_S, high_s=MAX_SPAN_S)
    except BadSyntax as error:
        raise argparse.ArgumentTypeError(error.text) from error


def as_json(entry: Suppression) -> dict[str, Any]:
    """Return an entry as it is shown with --json; *until_ms* null: until it is removed."""
    return {
        "account": entry.account,
        "address": entry.address,
        "category": entry.category,
        "since_ms": entry.since_ms,
        "until_ms": entry.until_ms or None,
        "count": entry.count,
        "reply": entry.reply,
    }


def show_until(entry: Suppression) -> str:
    """Return the end of an entry in words."""
    return when(entry.until_ms) if entry.until_ms else "it is removed"


def run_list(context: Context, arguments: argparse.Namespace) -> int:
    """List the entries that hold."""
    account = None if arguments.account is None else parse_address(arguments.account).key
    now = now_ms()
    found = context.view(
        lambda snapshot: [entry for entry in suppression.listing(snapshot, account) if entry.covers(now)]
    )
    context.table(
        ("ACCOUNT", "ADDRESS", "WHY", "SINCE", "UNTIL"),
        [
            (entry.account, entry.address, entry.category, when(entry.since_ms), show_until(entry))
            for entry in found
        ],
    )
    context.show([as_json(entry) for entry in found])
    return DONE


def run_show(context: Context, arguments: argparse.Namespace) -> int:
    """Show an entry."""
    account, address = _names(arguments)
    now = now_ms()
    entry = context.view(lambda snapshot: suppression.find(snapshot, account, address, now))
    if entry is None:
        raise _unknown(account, address)
    context.say(f"account:  {entry.account}")
    context.say(f"address:  {entry.address}")
    context.say(f"why:      {entry.category}")
    context.say(f"since:    {when(entry.since_ms)}")
    context.say(f"until:    {show_until(entry)}")
    context.say(f"noted:    {entry.count} times")
    context.say(f"reply:    {entry.reply or 'none'}")
    context.show(as_json(entry))
    return DONE


def run_add(context: Context, arguments: argparse.Namespace) -> int:
    """Put an entry in by hand."""
    account, address = _names(arguments)
    now = now_ms()
    until_ms = 0 if arguments.span_s is None else now + arguments.span_s * 1000
    why = " ".join(arguments.why.split())[: suppression.MAX_REPLY]
    entry = Suppression(account, address, now, until_ms, MANUAL, why)

    def add(transaction: Transaction) -> None:
        directory.need_account(transaction, account)
        if suppression.find(transaction, account, address, now) is not None:
            raise Refused(
                f"{address} is suppressed for {account} already; see: "
                f"fedaemonctl suppression show {account} {address}"
            )
        suppression.put(transaction, entry)

    context.transact(add)
    context.say(f"Mail of {account} to {address} is refused until {show_until(entry)}")
    context.show(as_json(entry))
    return DONE


def run_remove(context: Context, arguments: argparse.Namespace) -> int:
    """Remove an entry."""
    account, address = _names(arguments)
    if not context.transact(lambda transaction: suppression.remove(transaction, account, address)):
        raise _unknown(account, address)
    context.say(f"Mail of {account} to {address} is taken again")
    context.show({"account": account, "address": address, "removed": True})
    return DONE


def _names(arguments: argparse.Namespace) -> tuple[str, str]:
    return parse_address(arguments.account).key, parse_address(arguments.address).key


def _unknown(account: str, address: str) -> Refused:
    return Refused(
        f"{address} is not suppressed for {account}; see: fedaemonctl suppression list --account {account}"
    )
