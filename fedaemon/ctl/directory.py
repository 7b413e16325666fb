"""``fedaemonctl directory``: all domains, accounts and aliases as one text that can be versioned."""

from __future__ import annotations

import argparse
import os
import sys
from functools import partial
from pathlib import Path
from typing import Any

from fedaemon.accounts import declared, declared_text
from fedaemon.accounts.directory import stored_account
from fedaemon.ctl.command import DONE, USAGE, Context, sentence
from fedaemon.ctl.password import now_ms
from fedaemon.errors import BadSyntax, Refused
from fedaemon.mailbox import mailboxes
from fedaemon.mailbox.leaving import delete_all
from fedaemon.store.interface import Transaction


class _DryRunError(Exception):
    """Ends the transaction of a dry run, so that nothing of it stays."""

    def __init__(self, changes: list[declared.Change]) -> None:
        super().__init__()
        self.changes = changes


def register(groups: argparse._SubParsersAction[Any], common: argparse.ArgumentParser) -> None:
    """Add the parsers of this command group."""
    text = "all domains, accounts and aliases as one text"
    group = groups.add_parser("directory", help=text, description=sentence(text))
    commands = group.add_subparsers(title="commands", metavar="COMMAND", required=True)
    text = "write the directory as TOML (without passwords)"
    parser = commands.add_parser("export", parents=[common], help=text, description=sentence(text))
    parser.add_argument("file", metavar="FILE", nargs="?", default="-", help="default: standard output")
    parser.set_defaults(run=run_export)
    text = "make the directory equal to a file, for what the file names"
    parser = commands.add_parser("apply", parents=[common], help=text, description=sentence(text))
    parser.add_argument("file", metavar="FILE", help='"-": standard input')
    parser.add_argument("--prune", action="store_true", help="also remove what the file does not name")
    parser.add_argument("--dry-run", action="store_true", help="show what would change, and change nothing")
    parser.set_defaults(run=run_apply)


def run_export(context: Context, arguments: argparse.Namespace) -> int:
    """Write the directory."""
    text = context.view(declared_text.write)
    if arguments.file == "-":
        context.out.write(text)
        return DONE
    target = Path(arguments.file)
    # Beside the target and renamed: a full disk leaves the old file as it was.
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    with context.as_caller():
        try:
            draft.write_text(text, encoding="utf-8")
            draft.replace(target)
        except OSError as error:
            draft.unlink(missing_ok=True)
            raise Refused(f"{target}: {error.strerror}") from error
    context.say(f"The directory is in {target}; after changes: fedaemonctl directory apply {target}")
    context.show({"file": str(target)})
    return DONE


def run_apply(context: Context, arguments: argparse.Namespace) -> int:
    """Make the directory equal to a file."""
    try:
        wanted = declared_text.read(_read(arguments.file))
    except BadSyntax as error:
        context.refuse(f"{arguments.file}: {error.text}")
        return USAGE

    def apply(transaction: Transaction) -> list[declared.Change]:
        changes = declared.apply(transaction, wanted, prune=arguments.prune)
        _follow(transaction, changes)
        if arguments.dry_run:
            raise _DryRunError(changes)
        return changes

    try:
        changes = context.transact(apply)
    except _DryRunError as dry_run:
        changes = dry_run.changes
    _tell(context, changes, arguments.dry_run)
    return DONE


def _follow(transaction: Transaction, changes: list[declared.Change]) -> None:
    """Make the mailboxes of accounts that came, and delete those of accounts that went."""
    for change in changes:
        if (change.sign, change.kind) == ("+", "account"):
            mailboxes.provide(transaction, change.name, now_ms())
        elif (change.sign, change.kind) == ("-", "account"):
            delete_all(transaction, change.name, now_ms())


def _read(name: str) -> str:
    try:
        return sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8")
    except OSError as error:
        raise BadSyntax(error.strerror or str(error)) from error
    except UnicodeDecodeError as error:
        raise BadSyntax("the file is not UTF-8") from error


def _tell(context: Context, changes: list[declared.Change], dry_run: bool) -> None:
    """Show the changes, and what is still to be done."""
    for change in changes:
        context.say(str(change))
    if not changes:
        context.say("Nothing to change.")
    elif dry_run:
        context.say(f"{len(changes)} changes; nothing was changed (--dry-run)")
    added = [change.name for change in changes if (change.sign, change.kind) == ("+", "account")]
    if not dry_run:
        for name in added:
            account = context.view(partial(stored_account, address=name))
            if account is not None and not account.passwords:
                context.say(f"{name} has no password yet: fedaemonctl password set {name}")
    context.show(
        {
            "dry_run": dry_run,
            "changes": [
                {
                    "change": change.sign,
                    "kind": change.kind,
                    "name": change.name,
                    "details": list(change.details),
                }
                for change in changes
            ],
        }
    )
