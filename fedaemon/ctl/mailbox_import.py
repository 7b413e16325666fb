"""``fedaemonctl mailbox import``: mail from a Maildir or an mbox file into the mailboxes of an account.

JSON is ``{"account", "source", "dry_run", "messages", "octets", "already" (added by an earlier run), "mailboxes":
[{"name", "messages", "octets"}], "skipped": [{"what", "why"}], "stopped" (why it did not go on to the end, or
null)}``.

Invariants: the exit code is 0 only when all that was found is in.
Known gaps: quotas do not count, as this is the operator's act; an mbox has no folders.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any, Final

from fedaemon.ctl.command import DONE, Context
from fedaemon.ctl.import_marks import Marks
from fedaemon.ctl.importing import Importer, Tally
from fedaemon.ctl.mailbox_arguments import account_of, add_account, read_mailbox
from fedaemon.ctl.maildir import read_maildir
from fedaemon.ctl.mbox_reading import read_mbox
from fedaemon.ctl.slices import PAUSE_S
from fedaemon.ctl.terminal import now_ms, printable
from fedaemon.mailbox import mailboxes

EXAMPLES: Final = """\
Folders, flags, keywords and dates are kept; mailboxes that are missing are made. Nothing of the source is changed,
and nothing may write to it meanwhile. A daemon may be running or not. Quotas do not count here.

A run that was interrupted, or that had to skip something, can be run again: what is in is not added twice. Once
all is in, that is forgotten, and the same command would add all of it again.

examples:
  fedaemonctl mailbox import alice@example.org --maildir /var/mail/alice/Maildir --dry-run
  fedaemonctl mailbox import alice@example.org --maildir /var/mail/alice/Maildir
  fedaemonctl mailbox import alice@example.org --mbox ~/archive-2020 --into Archive/2020

Exit codes: 0 all is in, 1 something was skipped, or it was stopped, 2 usage or settings."""


def register(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "import",
        parents=[common],
        help="add the mail of a Maildir or an mbox file",
        description="Add the mail of a Maildir, with its folders, or of an mbox file to an account's mailboxes.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_account(parser)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--maildir", type=Path, metavar="DIR", help="a Maildir: it has cur/ and new/")
    source.add_argument("--mbox", type=Path, metavar="FILE", help="an mbox file; it goes into INBOX")
    parser.add_argument(
        "--into", type=read_mailbox, metavar="FOLDER", help="put it there, and its folders below"
    )
    parser.add_argument("--dry-run", action="store_true", help="read everything, and add nothing")
    parser.add_argument("--anew", action="store_true", help="add also what an earlier run has added")
    parser.set_defaults(run=run_import)


def run_import(context: Context, arguments: argparse.Namespace) -> int:
    """Add the mail of a source."""
    source: Path = arguments.maildir or arguments.mbox
    account = context.view(lambda snapshot: account_of(snapshot, arguments.account))
    into = arguments.into or ""
    with context.as_caller():
        marks = Marks(account, source, into)
    importer = Importer(context, account, marks, into, dry_run=arguments.dry_run)
    if not arguments.dry_run:
        context.transact(lambda transaction: mailboxes.provide(transaction, account, now_ms()))
        if arguments.anew:
            _forget(context, marks)
    if context.view(marks.ended):
        if not arguments.dry_run:
            _forget(context, marks)
        context.say(f"An earlier run has added all of {printable(source)}.")
    else:
        importer.run(read_maildir(source) if arguments.maildir else read_mbox(source))
        if not (importer.tally.skipped or importer.tally.stopped or arguments.dry_run):
            context.transact(marks.end)
            _forget(context, marks)
    return _report(context, arguments, account, source, importer.tally)


def _forget(context: Context, marks: Marks) -> None:
    while context.transact(marks.forget):
        time.sleep(PAUSE_S)


def _report(context: Context, arguments: argparse.Namespace, account: str, source: Path, tally: Tally) -> int:
    """Say what was done; return the exit code."""
    context.show(
        {
            "account": account,
            "source": str(source),
            "dry_run": arguments.dry_run,
            "messages": tally.messages,
            "octets": tally.octets,
            "already": tally.already,
            "mailboxes": [
                {"name": name, "messages": folder.messages, "octets": folder.octets}
                for name, folder in sorted(tally.folders.items())
            ],
            "skipped": [{"what": what, "why": why} for what, why in tally.skipped],
            "stopped": tally.stopped or None,
        }
    )
    if tally.folders:
        context.table(
            ("MAILBOX", "MESSAGES", "OCTETS"),
            (
                (printable(name), folder.messages, folder.octets)
                for name, folder in sorted(tally.folders.items())
            ),
        )
    if tally.skipped:
        context.table(("SKIPPED", "WHY"), ((printable(what), printable(why)) for what, why in tally.skipped))
    would = "would be" if arguments.dry_run else "are"
    context.say(f"{tally.messages} messages of {printable(source)} {would} added for {account}")
    if tally.already:
        context.say(f"{tally.already} were in it from an earlier run")
    if tally.stopped:
        return context.refuse(f"{printable(tally.stopped)}; run it again for the rest")
    if tally.skipped:
        return context.refuse(f"{len(tally.skipped)} were skipped; run it again when that is put right")
    return DONE
