"""``fedaemonctl backup``, ``restore`` and ``verify``: looking after the store itself."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from fedaemon.ctl.command import DONE, REFUSED, Context, sentence
from fedaemon.delivery.check import DeliveryChecker
from fedaemon.mailbox.check import MailboxChecker
from fedaemon.store.backup import backup, restore
from fedaemon.store.verify import Checker, verify

CHECKERS: tuple[Callable[[], Checker], ...] = (DeliveryChecker, MailboxChecker)
"""Every package that has records of its own, and so references to contents."""


def register(groups: argparse._SubParsersAction[Any], common: argparse.ArgumentParser) -> None:
    """Add the parsers of this command group."""

    def add(name: str, run: Any, text: str) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = groups.add_parser(
            name, parents=[common], help=text, description=sentence(text)
        )
        parser.set_defaults(run=run)
        return parser

    parser = add("backup", run_backup, "write a backup of the store, also while the daemon runs")
    parser.add_argument("directory", type=Path, metavar="DIR", help="a new or empty directory")
    parser = add("restore", run_restore, "bring a backup back; the daemon must be stopped")
    parser.add_argument("directory", type=Path, metavar="DIR", help="a directory that backup wrote")
    parser.add_argument("--force", action="store_true", help="move a store that is there aside")
    parser = add("verify", run_verify, "check that the store holds together, also while the daemon runs")
    parser.add_argument("--repair", action="store_true", help="put right what follows from the records")


def run_backup(context: Context, arguments: argparse.Namespace) -> int:
    """Write a backup."""
    manifest = backup(context.engine, arguments.directory, context.say, outside=context.as_caller)
    context.say(
        f"{arguments.directory}: {manifest.database_octets >> 10} KiB of database and"
        f" {manifest.blob_files} large messages"
    )
    context.show({"directory": str(arguments.directory), **asdict(manifest)})
    return DONE


def run_restore(context: Context, arguments: argparse.Namespace) -> int:
    """Bring a backup back."""
    data_dir = context.work_as_owner()
    replaced = restore(
        arguments.directory,
        data_dir,
        force=arguments.force,
        progress=context.say,
        outside=context.as_caller,
    )
    context.say(f"{data_dir} holds the store of {arguments.directory} now; next: fedaemonctl verify")
    if replaced is not None:
        context.say(f"the store that was there is in {replaced}; remove it when it is not needed")
    context.show({"data_dir": str(data_dir), "replaced": None if replaced is None else str(replaced)})
    return DONE


def run_verify(context: Context, arguments: argparse.Namespace) -> int:
    """Check the store; exit code 1 when something is left that is not as it should be."""
    checkers = [make() for make in CHECKERS]
    findings = verify(context.engine, checkers, repair=arguments.repair, progress=context.say)
    rows = [("repaired" if finding.repaired else "wrong", finding.kind, finding.what) for finding in findings]
    if rows:
        context.table(("STATE", "KIND", "WHAT"), rows)
    left = sum(not finding.repaired for finding in findings)
    context.say(
        f"{len(findings)} findings, {left} of them not repaired" if findings else "the store is sound"
    )
    context.show({"sound": not left, "findings": [asdict(finding) for finding in findings]})
    return REFUSED if left else DONE
