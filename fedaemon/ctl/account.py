"""``fedaemonctl account``: who can log in, and has a mailbox."""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import Any

from fedaemon.accounts import directory, passwords
from fedaemon.accounts.records import MAIN, RIGHTS, Account
from fedaemon.ctl import quota
from fedaemon.ctl.command import DONE, USAGE, Context, sentence
from fedaemon.ctl.domain import add_limit, given, show_limit
from fedaemon.ctl.password import add_stdin, need, now_ms, read_password, remark
from fedaemon.ctl.password import as_json as password_as_json
from fedaemon.delivery.quota import Quota, of_account
from fedaemon.mailbox import mailboxes
from fedaemon.mailbox.leaving import delete_all
from fedaemon.message.address import parse_address, parse_domain
from fedaemon.store.interface import Snapshot, Transaction


def register(groups: argparse._SubParsersAction[Any], common: argparse.ArgumentParser) -> None:
    """Add the parsers of this command group."""
    text = "who can log in, and has a mailbox"
    group = groups.add_parser("account", help=text, description=sentence(text))
    commands = group.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def add(name: str, run: Any, text: str, to: Any = commands) -> Any:
        parser = to.add_parser(name, parents=[common], help=text, description=sentence(text))
        parser.set_defaults(run=run)
        if name != "list":
            parser.add_argument("address", metavar="ADDRESS", help="the account's address, its user name")
        return parser

    parser = add("add", run_add, "add an account; without --password-stdin a password is made and shown once")
    add_stdin(parser)
    add_limit(parser)
    parser = add("list", run_list, "list the accounts")
    parser.add_argument("--domain", metavar="DOMAIN", help="only those of this domain")
    parser.add_argument(
        "--over-quota",
        action="store_true",
        help="only those that have no room for ordinary mail (100 KB), or whose domain has none",
    )
    add("show", run_show, "show an account")
    add("remove", run_remove, "remove an account, its passwords and its mailboxes")
    add("disable", run_disable, "refuse an account's mail and logins")
    add("enable", run_enable, "take the mail and logins of a disabled account again")
    _add_settings(add("set", run_set, "change an account's limit, rights and notices"))
    quota.add_options(add("quota", run_quota, "show or change how much an account may keep"))
    text = "further addresses that an account may send as"
    identities = commands.add_parser("identity", help=text, description=sentence(text)).add_subparsers(
        title="commands", metavar="COMMAND", required=True
    )
    for name, run, does in (
        ("add", run_identity_add, "let an account send as an address"),
        ("remove", run_identity_remove, "let an account send as an address no longer"),
    ):
        parser = add(name, run, does, identities)
        parser.add_argument(
            "identity", metavar="IDENTITY", help="an address, or @example.org for all of a domain"
        )


def _add_settings(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``run_set``."""
    add_limit(parser)
    parser.add_argument(
        "--success-notices",
        choices=("on", "off"),
        help="a report of each delivery, also where a message does not ask for it",
    )
    for option, text in (
        ("--allow", "let its mail ask to be held until later (future_release), to be delivered by a time "
         "(deliver_by), or to go before other mail (priority); may be repeated"),
        ("--disallow", "undo --allow; may be repeated"),
    ):  # fmt: skip
        parser.add_argument(option, action="append", default=[], choices=sorted(RIGHTS), help=text)


def as_json(account: Account) -> dict[str, Any]:
    """Return an account as it is shown with --json."""
    return {
        "address": account.address,
        "disabled": account.disabled,
        "daily_limit": account.daily_limit,
        "identities": list(account.identities),
        "success_notices": account.success_notices,
        "may": sorted(account.may),
        "quota_octets": account.quota_octets,
        "quota_messages": account.quota_messages,
        "passwords": [password_as_json(password) for password in account.passwords],
    }


def run_add(context: Context, arguments: argparse.Namespace) -> int:
    """Add an account with a main password."""
    fresh = passwords.new_account(parse_address(arguments.address).key)
    account = replace(fresh, **given(arguments, "daily_limit"))
    secret = make_account(context, account, chosen := read_password(arguments))
    context.say(f"{account.address} is added.")
    if chosen is None:
        context.say(f"Its password is: {secret}")
        context.say(
            "It is shown only now; for a program or device make another: "
            "fedaemonctl password add ADDRESS --name NAME"
        )
        context.show({"address": account.address, "password": secret})
    else:
        context.show({"address": account.address})
        remark(context, chosen)
    return DONE


def make_account(context: Context, account: Account, chosen: str | None) -> str:
    """Add an account with a main password, made here when none was *chosen*; return the password."""
    # For a quick answer before the slow hash; add_account asks again when it counts.
    context.view(lambda snapshot: directory.need_domain(snapshot, account.domain))
    secret = chosen or passwords.generate_password()
    complete = replace(account, passwords=(passwords.new_password(account, MAIN, secret, now_ms=now_ms()),))
    context.transact(lambda transaction: add_account(transaction, complete))
    return secret


def add_account(transaction: Transaction, account: Account) -> None:
    """Add an account with the mailboxes that every account has; raises Refused."""
    directory.add_account(transaction, account)
    mailboxes.provide(transaction, account.address, now_ms())


def run_list(context: Context, arguments: argparse.Namespace) -> int:
    """List the accounts."""
    domain = None if arguments.domain is None else parse_domain(arguments.domain)
    default = quota.default_octets(context)

    def look(snapshot: Snapshot) -> list[tuple[Account, tuple[Quota, Quota]]]:
        return [
            (account, of_account(snapshot, account.address, default))
            for account in directory.accounts(snapshot, domain)
        ]

    found = context.view(look)
    if arguments.over_quota:
        found = [each for each in found if any(root.is_over for root in each[1])]
    context.table(
        ("ADDRESS", "STATE", "DAILY LIMIT", "PASSWORDS", "KEEPS", "IDENTITIES"),
        [
            (
                account.address,
                "disabled" if account.disabled else "active",
                show_limit(account.daily_limit),
                len(account.passwords),
                quota.show_state(*roots),
                ", ".join(account.identities),
            )
            for account, roots in found
        ],
    )
    context.show([{**as_json(account), "quota": quota.as_json(*roots)} for account, roots in found])
    return DONE


def run_show(context: Context, arguments: argparse.Namespace) -> int:
    """Show an account."""
    account = need(context, arguments.address)
    aliases = context.view(lambda snapshot: directory.aliases_to(snapshot, account.address))
    roots = _look_at_quota(context, account)
    context.say(f"address:     {account.address}")
    context.say(f"state:       {'disabled' if account.disabled else 'active'}")
    context.say(f"daily limit: {show_limit(account.daily_limit)}")
    context.say(f"keeps:       {quota.show_state(*roots)}")
    context.say(f"identities:  {', '.join(account.identities) or 'none'}")
    context.say(
        f"passwords:   {', '.join(password.name or 'main' for password in account.passwords) or 'none'}"
    )
    context.say(f"aliases:     {', '.join(aliases) or 'none'}")
    context.say(f"may ask for: {_show_rights(account)}")
    context.say(f"notices:     {_show_notices(account)}")
    context.show({**as_json(account), "quota": quota.as_json(*roots), "aliases": aliases})
    return DONE


def run_remove(context: Context, arguments: argparse.Namespace) -> int:
    """Remove an account."""
    address = parse_address(arguments.address).key

    def remove(transaction: Transaction) -> tuple[list[str], int]:
        dangling = directory.remove_account(transaction, address)
        return dangling, delete_all(transaction, address, now_ms())

    dangling, count = context.transact(remove)
    context.say(f"{address} is removed, and its {count} mailboxes with it.")
    for alias in dangling:
        context.say(f"The alias {alias} still leads to it: fedaemonctl alias remove {alias} {address}")
    context.show({"address": address, "removed": True, "mailboxes": count, "dangling_aliases": dangling})
    return DONE


def run_disable(context: Context, arguments: argparse.Namespace) -> int:
    """Disable an account."""
    account = _change(context, arguments.address, disabled=True)
    context.say(f"{account.address} is disabled: it cannot log in, and mail to it is refused")
    return DONE


def run_enable(context: Context, arguments: argparse.Namespace) -> int:
    """Enable an account."""
    account = _change(context, arguments.address, disabled=False)
    context.say(f"{account.address} is active")
    return DONE


def run_set(context: Context, arguments: argparse.Namespace) -> int:
    """Change an account's limit, rights and notices."""
    values = given(arguments, "daily_limit")
    allowed, disallowed = frozenset(arguments.allow), frozenset(arguments.disallow)
    both = allowed & disallowed
    if both:
        context.refuse(f"{', '.join(sorted(both))} cannot be allowed and disallowed at once")
        return USAGE
    if arguments.success_notices is not None:
        values["success_notices"] = arguments.success_notices == "on"
    if not values and not allowed and not disallowed:
        context.refuse("nothing to change; give --daily-limit, --success-notices, --allow or --disallow")
        return USAGE
    address = parse_address(arguments.address).key

    def change(transaction: Transaction) -> Account:
        known = directory.need_account(transaction, address)
        account = replace(known, **values, may=(known.may | allowed) - disallowed)
        directory.put_account(transaction, account)
        return account

    account = context.transact(change)
    context.show(as_json(account))
    context.say(
        f"{account.address}: daily limit {show_limit(account.daily_limit)}, "
        f"may ask for {_show_rights(account)}, notices {_show_notices(account)}"
    )
    return DONE


def run_quota(context: Context, arguments: argparse.Namespace) -> int:
    """Show or change how much an account may keep."""
    values = given(arguments, *quota.SETTINGS)
    address = parse_address(arguments.address).key
    account = _put(context, address, **values) if values else need(context, address)
    roots = _look_at_quota(context, account)
    context.say(f"{address}: {quota.show_state(*roots)} ({quota.show_limits(account)})")
    context.show({**as_json(account), "quota": quota.as_json(*roots)})
    return DONE


def _look_at_quota(context: Context, account: Account) -> tuple[Quota, Quota]:
    default = quota.default_octets(context)
    return context.view(lambda snapshot: of_account(snapshot, account.address, default))


def _show_rights(account: Account) -> str:
    return ", ".join(sorted(account.may)) or "nothing"


def _show_notices(account: Account) -> str:
    return "of each delivery" if account.success_notices else "of failures, and of what a message asks for"


def run_identity_add(context: Context, arguments: argparse.Namespace) -> int:
    """Let an account send as an address."""
    address, identity = parse_address(arguments.address).key, directory.parse_name(arguments.identity)
    context.transact(lambda transaction: directory.add_identity(transaction, address, identity))
    context.say(f"{address} may send as {identity}")
    context.show(as_json(need(context, address)))
    return DONE


def run_identity_remove(context: Context, arguments: argparse.Namespace) -> int:
    """Take an identity from an account."""
    address, identity = parse_address(arguments.address).key, directory.parse_name(arguments.identity)
    context.transact(lambda transaction: directory.remove_identity(transaction, address, identity))
    context.say(f"{address} may not send as {identity} any more")
    context.show(as_json(need(context, address)))
    return DONE


def _change(context: Context, text: str, **values: Any) -> Account:
    """Set *values* of an account, show it with --json, and return it."""
    account = _put(context, parse_address(text).key, **values)
    context.show(as_json(account))
    return account


def _put(context: Context, address: str, **values: Any) -> Account:
    """Set *values* of an account and return it."""

    def change(transaction: Transaction) -> Account:
        account = replace(directory.need_account(transaction, address), **values)
        directory.put_account(transaction, account)
        return account

    return context.transact(change)
