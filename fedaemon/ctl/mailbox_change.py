"""``fedaemonctl mailbox create``, ``rename``, ``delete``: the mailboxes of an account.

JSON of ``create`` and ``delete`` is ``{"account", "mailboxes": [name]}``, that of ``rename`` ``{"account",
"mailbox", "was"}``.

Standards: RFC 9051 6.3.4, 6.3.5, 6.3.6.
Invariants: all the names of one command, or none of them.
"""

from __future__ import annotations

import argparse
from typing import Any

from fedaemon.ctl.command import DONE, Context, sentence
from fedaemon.ctl.mailbox_arguments import account_of, add_account, read_mailbox
from fedaemon.ctl.terminal import now_ms, printable
from fedaemon.mailbox import mailboxes, renaming
from fedaemon.store.interface import Transaction


def register(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the commands."""

    def add(name: str, run: Any, text: str, example: str) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = commands.add_parser(
            name,
            parents=[common],
            help=text,
            description=sentence(text),
            epilog=f"example: fedaemonctl mailbox {name} alice@example.org {example}",
        )
        add_account(parser)
        parser.set_defaults(run=run)
        return parser

    parser = add(
        "create", run_create, "make mailboxes, those above them too, and subscribe to them", "Work/2026"
    )
    parser.add_argument(
        "names", nargs="+", type=read_mailbox, metavar="NAME", help='"/" is between the levels: Work/2026'
    )
    parser = add(
        "rename", run_rename, "give a mailbox, and those below it, another name", "Work Archive/Work"
    )
    parser.add_argument("old", type=read_mailbox, metavar="OLD", help="its name now")
    parser.add_argument("new", type=read_mailbox, metavar="NEW", help="its name from now on")
    text = "delete mailboxes; mailbox restore brings them back for some time"
    parser = add("delete", run_delete, text, "Work/2026")
    parser.add_argument("names", nargs="+", type=read_mailbox, metavar="NAME", help="mailboxes to delete")


def run_create(context: Context, arguments: argparse.Namespace) -> int:
    """Make mailboxes."""

    def create(transaction: Transaction) -> str:
        account = account_of(transaction, arguments.account)
        mailboxes.provide(transaction, account, now_ms())
        for name in arguments.names:
            mailboxes.create(transaction, account, name, now_ms())
            mailboxes.subscribe(transaction, account, name)
        return account

    account = context.transact(create)
    for name in arguments.names:
        context.say(f"{account} has the mailbox {printable(name)}")
    context.show({"account": account, "mailboxes": arguments.names})
    return DONE


def run_rename(context: Context, arguments: argparse.Namespace) -> int:
    """Rename a mailbox; a subscription follows it, as who reads it there did not ask for this."""

    def change(transaction: Transaction) -> str:
        account = account_of(transaction, arguments.account)
        old, new = arguments.old, arguments.new
        renaming.rename(transaction, account, old, new, now_ms())
        for name in mailboxes.subscriptions(transaction, account):
            if name == old or name.startswith(old + mailboxes.SEPARATOR):
                mailboxes.unsubscribe(transaction, account, name)
                mailboxes.subscribe(transaction, account, new + name[len(old) :])
        return account

    account = context.transact(change)
    context.say(f"{printable(arguments.old)} of {account} is {printable(arguments.new)} now")
    context.show({"account": account, "mailbox": arguments.new, "was": arguments.old})
    return DONE


def run_delete(context: Context, arguments: argparse.Namespace) -> int:
    """Delete mailboxes; subscriptions to them go too, as nobody else would take them off."""

    def delete(transaction: Transaction) -> str:
        account = account_of(transaction, arguments.account)
        for name in arguments.names:
            mailboxes.delete(transaction, account, name, now_ms())
            mailboxes.unsubscribe(transaction, account, name)
        return account

    account = context.transact(delete)
    for name in arguments.names:
        context.say(
            f"{printable(name)} of {account} is deleted; to bring it back:"
            f" fedaemonctl mailbox restore {account} --mailbox-deleted {printable(name)}"
        )
    context.show({"account": account, "mailboxes": arguments.names})
    return DONE
