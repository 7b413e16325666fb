"""``fedaemonctl password``: the main password of an account, and one of its own for each program or device.

Passwords are hashed before the store is asked: the hash takes long, and the store has one writer.
"""

from __future__ import annotations

import argparse
import sys
import time
from datetime import UTC, datetime
from typing import Any

from fedaemon.accounts import directory, passwords
from fedaemon.accounts.records import MAIN, SCOPES, Account, Password
from fedaemon.ctl.command import DONE, Context, sentence
from fedaemon.errors import Refused
from fedaemon.message.address import parse_address

SHORT = 12
"""A password chosen by a person with fewer characters gets a remark."""

MAX_NAME = 64


def register(groups: argparse._SubParsersAction[Any], common: argparse.ArgumentParser) -> None:
    """Add the parsers of this command group."""
    text = "the passwords of an account"
    group = groups.add_parser("password", help=text, description=sentence(text))
    commands = group.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def add(name: str, run: Any, text: str) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = commands.add_parser(
            name, parents=[common], help=text, description=sentence(text)
        )
        parser.set_defaults(run=run)
        parser.add_argument("address", metavar="ADDRESS", help="the account's address")
        return parser

    parser = add("add", run_add, "make a password for one program or device; it is shown once")
    parser.add_argument(
        "--name", type=parse_password_name, required=True, help="what it is for, such as laptop"
    )
    parser.add_argument(
        "--scope",
        type=parse_scopes,
        default=SCOPES,
        metavar="smtp,imap,pop3",
        help="the services it is good for (default: all)",
    )
    add("list", run_list, "list the passwords of an account (their names, not themselves)")
    parser = add("remove", run_remove, "remove a password; whoever uses it is refused at once")
    parser.add_argument("--name", required=True, help='as shown by "password list"')
    add_stdin(
        add("set", run_set, "set the main password; without --password-stdin one is made and shown once")
    )


def add_stdin(parser: argparse.ArgumentParser) -> None:
    """Add the option --password-stdin."""
    parser.add_argument("--password-stdin", action="store_true", help="read the password from standard input")


def parse_password_name(text: str) -> str:
    """Return the name of an app password as given on the command line."""
    if not 1 <= len(text) <= MAX_NAME or not text.isprintable() or text != text.strip():
        raise argparse.ArgumentTypeError(f"a name has 1 to {MAX_NAME} printable characters")
    return text


def parse_scopes(text: str) -> frozenset[str]:
    """Return the scopes given as "smtp,imap"."""
    scopes = frozenset(part.strip() for part in text.split(","))
    if not scopes <= SCOPES:
        raise argparse.ArgumentTypeError(f'"{text}" is not some of smtp,imap,pop3')
    return scopes


def read_password(arguments: argparse.Namespace) -> str | None:
    """Return the password from standard input with --password-stdin, else None.

    :raises Refused: it cannot be a password (``passwords.prepare``).
    """
    if not arguments.password_stdin:
        return None
    # One line, and no more than a password can have: the rest of a file given by mistake is not read.
    text = sys.stdin.readline(passwords.MAX_RAW_CHARACTERS + 2).rstrip("\r\n")
    passwords.prepare(text)
    return text


def remark(context: Context, password: str) -> None:
    """Say on standard error when a password chosen by a person is short."""
    if len(password) < SHORT:
        print(
            f"fedaemonctl: note: a password of {len(password)} characters can be guessed; one that is made "
            "here (without --password-stdin) cannot",
            file=context.err,
        )


def now_ms() -> int:
    """Return the time in milliseconds since the epoch."""
    return int(time.time() * 1000)


def as_json(password: Password) -> dict[str, Any]:
    """Return what may be told of a password with --json."""
    return {
        "name": password.name or "main",
        "scopes": sorted(password.scopes),
        "created": show_time(password.created_ms),
    }


def show_time(time_ms: int) -> str:
    """Return a time as people and programs read it."""
    return datetime.fromtimestamp(time_ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def need(context: Context, text: str) -> Account:
    """Return the account whose address is *text*; raises ``Refused`` or ``BadSyntax``."""
    key = parse_address(text).key
    return context.view(lambda snapshot: directory.need_account(snapshot, key))


def run_add(context: Context, arguments: argparse.Namespace) -> int:
    """Make an app password."""
    account = need(context, arguments.address)
    if arguments.name == "main":
        raise Refused(f'"main" is the main password: fedaemonctl password set {account.address}')
    secret = passwords.generate_password()
    password = passwords.new_password(
        account, arguments.name, secret, scopes=arguments.scope, now_ms=now_ms()
    )
    context.transact(
        lambda transaction: directory.set_password(transaction, account, password, replaces=False)
    )
    context.say(f'Password "{arguments.name}" of {account.address} for {", ".join(sorted(password.scopes))}:')
    context.say(f"    {secret}")
    context.say("It is shown only now; enter it in the program together with the full address as user name.")
    context.show({"address": account.address, **as_json(password), "password": secret})
    return DONE


def run_list(context: Context, arguments: argparse.Namespace) -> int:
    """List the passwords of an account."""
    account = need(context, arguments.address)
    context.table(
        ("NAME", "SCOPES", "CREATED"),
        [
            (password.name or "main", ",".join(sorted(password.scopes)), show_time(password.created_ms))
            for password in account.passwords
        ],
    )
    context.show([as_json(password) for password in account.passwords])
    return DONE


def run_remove(context: Context, arguments: argparse.Namespace) -> int:
    """Remove a password."""
    address = parse_address(arguments.address).key
    name = MAIN if arguments.name == "main" else arguments.name
    context.transact(lambda transaction: directory.remove_password(transaction, address, name))
    context.say(
        f'Password "{arguments.name}" of {address} is removed; whoever uses it is refused from now on.'
    )
    context.show({"address": address, "name": arguments.name, "removed": True})
    return DONE


def run_set(context: Context, arguments: argparse.Namespace) -> int:
    """Set the main password."""
    account = need(context, arguments.address)
    given = read_password(arguments)
    secret = given or passwords.generate_password()
    password = passwords.new_password(account, MAIN, secret, now_ms=now_ms())
    context.transact(
        lambda transaction: directory.set_password(transaction, account, password, replaces=True)
    )
    if given is None:
        context.say(f"Main password of {account.address}:")
        context.say(f"    {secret}")
        context.say("It is shown only now.")
        context.show({"address": account.address, "password": secret})
    else:
        context.say(f"The main password of {account.address} is set.")
        context.show({"address": account.address})
        remark(context, given)
    return DONE
