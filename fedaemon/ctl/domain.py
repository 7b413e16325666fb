"""``fedaemonctl domain``: the domains whose mail this server takes."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from fedaemon.accounts import directory
from fedaemon.accounts.records import MAX_LIFETIME_S, MAX_RETENTION_S, MIN_LIFETIME_S, Domain
from fedaemon.accounts.spans import parse_span, show_span
from fedaemon.ctl import quota
from fedaemon.ctl.command import DONE, USAGE, Context, sentence
from fedaemon.delivery.quota import of_domain
from fedaemon.errors import BadSyntax
from fedaemon.message.address import parse_domain
from fedaemon.store.interface import Transaction

SETTINGS = ("daily_limit", "lifetime_s", "retention_s")
"""What of a domain can be set."""


def register(groups: argparse._SubParsersAction[Any], common: argparse.ArgumentParser) -> None:
    """Add the parsers of this command group."""
    text = "the domains whose mail this server takes"
    group = groups.add_parser("domain", help=text, description=sentence(text))
    commands = group.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def add(name: str, run: Any, text: str) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = commands.add_parser(
            name, parents=[common], help=text, description=sentence(text)
        )
        parser.set_defaults(run=run)
        if name != "list":
            parser.add_argument("domain", metavar="DOMAIN", help="such as example.org")
        return parser

    _add_settings(add("add", run_add, "take the mail of a domain"))
    add("list", run_list, "list the domains")
    add("show", run_show, "show a domain")
    add("remove", run_remove, "remove a domain that has no accounts and aliases")
    add("disable", run_disable, "refuse all mail of a domain and all logins of its accounts")
    add("enable", run_enable, "take the mail of a disabled domain again, and the logins of its accounts")
    _add_settings(add("set", run_set, "change a domain's limit and times"))
    quota.add_options(
        add("quota", run_quota, "show or change how much a domain's accounts together may keep")
    )


def _add_settings(parser: argparse.ArgumentParser) -> None:
    """Add the options that ``_given`` collects."""
    add_limit(parser)
    parser.add_argument(
        "--lifetime",
        type=_span(MIN_LIFETIME_S, MAX_LIFETIME_S),
        default=argparse.SUPPRESS,
        dest="lifetime_s",
        metavar="TIME",
        help='how long delivery of its accounts\' mail is tried, such as 3d; "default": as in the settings',
    )
    parser.add_argument(
        "--retention",
        type=_span(0, MAX_RETENTION_S),
        default=argparse.SUPPRESS,
        dest="retention_s",
        metavar="TIME",
        help="how long the content of its accounts' messages is kept after their delivery has ended, such "
        'as 30d; 0: not at all; "default": as in the settings',
    )


def _span(low_s: int, high_s: int) -> Callable[[str], int | None]:
    """Return what reads a time of the command line, "default" as None."""

    def read(text: str) -> int | None:
        try:
            return None if text == "default" else parse_span(text, low_s=low_s, high_s=high_s)
        except BadSyntax as error:
            raise argparse.ArgumentTypeError(error.text) from error

    return read


def add_limit(parser: argparse.ArgumentParser) -> None:
    """Add the option --daily-limit, whose value is an int, None for the settings' default, or absent."""
    parser.add_argument(
        "--daily-limit",
        type=parse_limit,
        default=argparse.SUPPRESS,
        metavar="N",
        help='messages that may be sent a day; 0: no limit; "default": as in the settings',
    )


def given(arguments: argparse.Namespace, *names: str) -> dict[str, Any]:
    """Return the options among *names* that stand on the command line."""
    return {name: getattr(arguments, name) for name in names if hasattr(arguments, name)}


def parse_limit(text: str) -> int | None:
    """Return a daily limit as given on the command line."""
    if text == "default":
        return None
    if not text.isascii() or not text.isdigit():
        raise argparse.ArgumentTypeError(
            f'"{text}" is not a number of messages; use 0 for no limit, or "default"'
        )
    return int(text)


def show_limit(limit: int | None) -> str:
    """Return a daily limit in words."""
    return "default" if limit is None else "none" if limit == 0 else str(limit)


def show_time(span_s: int | None) -> str:
    """Return a time in words."""
    return "default" if span_s is None else show_span(span_s)


def as_json(domain: Domain) -> dict[str, Any]:
    """Return a domain as it is shown with --json; null stands for the settings' default."""
    return {
        "domain": domain.name,
        "disabled": domain.disabled,
        "daily_limit": domain.daily_limit,
        "lifetime_s": domain.lifetime_s,
        "retention_s": domain.retention_s,
        "quota_octets": domain.quota_octets,
        "quota_messages": domain.quota_messages,
    }


def run_add(context: Context, arguments: argparse.Namespace) -> int:
    """Add a domain."""
    domain = Domain(parse_domain(arguments.domain), **given(arguments, *SETTINGS))
    context.transact(lambda transaction: directory.add_domain(transaction, domain))
    context.say(
        f"{domain.name} is a domain of this server now; next: fedaemonctl account add NAME@{domain.name}"
    )
    context.show(as_json(domain))
    return DONE


def run_list(context: Context, arguments: argparse.Namespace) -> int:
    """List the domains."""
    found = context.view(
        lambda snapshot: [
            (domain, of_domain(snapshot, domain.name)) for domain in directory.domains(snapshot)
        ]
    )
    context.table(
        ("DOMAIN", "STATE", "DAILY LIMIT", "LIFETIME", "RETENTION", "KEEPS"),
        [
            (
                domain.name,
                "disabled" if domain.disabled else "active",
                show_limit(domain.daily_limit),
                show_time(domain.lifetime_s),
                show_time(domain.retention_s),
                quota.show_state(root),
            )
            for domain, root in found
        ],
    )
    context.show([{**as_json(domain), "quota": quota.as_json(root)} for domain, root in found])
    return DONE


def run_show(context: Context, arguments: argparse.Namespace) -> int:
    """Show a domain."""
    name = parse_domain(arguments.domain)
    domain = context.view(lambda snapshot: directory.need_domain(snapshot, name))
    accounts = context.view(
        lambda snapshot: [account.address for account in directory.accounts(snapshot, name)]
    )
    aliases = context.view(lambda snapshot: [alias.address for alias in directory.aliases(snapshot, name)])
    root = context.view(lambda snapshot: of_domain(snapshot, name))
    context.say(f"domain:      {domain.name}")
    context.say(f"state:       {'disabled' if domain.disabled else 'active'}")
    context.say(f"daily limit: {show_limit(domain.daily_limit)}")
    context.say(f"lifetime:    {show_time(domain.lifetime_s)}")
    context.say(f"retention:   {show_time(domain.retention_s)}")
    context.say(f"keeps:       {quota.show_state(root)}")
    context.say(f"accounts:    {len(accounts)}")
    context.say(f"aliases:     {len(aliases)}")
    context.show({**as_json(domain), "quota": quota.as_json(root), "accounts": accounts, "aliases": aliases})
    return DONE


def run_remove(context: Context, arguments: argparse.Namespace) -> int:
    """Remove a domain."""
    name = parse_domain(arguments.domain)
    context.transact(lambda transaction: directory.remove_domain(transaction, name))
    context.say(f"{name} is no domain of this server any more")
    context.show({"domain": name, "removed": True})
    return DONE


def run_disable(context: Context, arguments: argparse.Namespace) -> int:
    """Disable a domain."""
    domain = _change(context, arguments.domain, disabled=True)
    context.say(f"{domain.name} is disabled: no mail for it is taken, and none of its accounts can log in")
    return DONE


def run_enable(context: Context, arguments: argparse.Namespace) -> int:
    """Enable a domain."""
    domain = _change(context, arguments.domain, disabled=False)
    context.say(f"{domain.name} is active")
    return DONE


def run_set(context: Context, arguments: argparse.Namespace) -> int:
    """Change a domain's limit and times."""
    values = given(arguments, *SETTINGS)
    if not values:
        context.refuse("nothing to change; give --daily-limit, --lifetime or --retention")
        return USAGE
    domain = _change(context, arguments.domain, **values)
    context.say(
        f"{domain.name}: daily limit {show_limit(domain.daily_limit)}, "
        f"lifetime {show_time(domain.lifetime_s)}, retention {show_time(domain.retention_s)}"
    )
    return DONE


def run_quota(context: Context, arguments: argparse.Namespace) -> int:
    """Show or change how much a domain's accounts together may keep."""
    values = given(arguments, *quota.SETTINGS)
    name = parse_domain(arguments.domain)
    if values:
        domain = _put(context, name, **values)
    else:
        domain = context.view(lambda snapshot: directory.need_domain(snapshot, name))
    root = context.view(lambda snapshot: of_domain(snapshot, name))
    context.say(f"{name}: {quota.show_state(root)} ({quota.show_limits(domain)})")
    context.show({**as_json(domain), "quota": quota.as_json(root)})
    return DONE


def _change(context: Context, text: str, **values: Any) -> Domain:
    """Set *values* of a domain, show it with --json, and return it."""
    domain = _put(context, parse_domain(text), **values)
    context.show(as_json(domain))
    return domain


def _put(context: Context, name: str, **values: Any) -> Domain:
    """Set *values* of a domain and return it."""

    def change(transaction: Transaction) -> Domain:
        domain = replace(directory.need_domain(transaction, name), **values)
        directory.put_domain(transaction, domain)
        return domain

    return context.transact(change)
