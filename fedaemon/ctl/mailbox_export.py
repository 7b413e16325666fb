"""``fedaemonctl mailbox export``: the mail of an account as files.

JSON is ``{"account", "directory", "messages" (written), "left" (there from an earlier run), "mailboxes": [name],
"without_keywords" (messages some of whose keywords have no place in a Maildir), "skipped": [{"what", "why"}],
"stopped" (why it did not go on to the end, or null)}``.

Invariants: the exit code is 0 only when all that there is was written, keywords apart.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

from fedaemon.ctl.command import DONE, Context
from fedaemon.ctl.exporting import EmlWriter, MaildirWriter, MboxWriter, Writer
from fedaemon.ctl.mailbox_arguments import account_of, add_account, read_mailbox
from fedaemon.ctl.mailbox_reading import message, rows
from fedaemon.ctl.terminal import Interruption, Progress, printable
from fedaemon.errors import MailError, Refused
from fedaemon.mailbox import mailboxes, words
from fedaemon.mailbox import state as states
from fedaemon.mailbox.mailboxes import Mailbox
from fedaemon.store.interface import Snapshot

WRITERS: Final[dict[str, type[Writer]]] = {"maildir": MaildirWriter, "mbox": MboxWriter, "eml": EmlWriter}

EXAMPLES: Final = """\
A Maildir keeps all there is: folders, flags, keywords (as Dovecot does) and dates. An mbox keeps dates, and an eml
file its date as that of the file.

A run that was interrupted can be run again: what is there already is left.

examples:
  fedaemonctl mailbox export alice@example.org /srv/alice --maildir
  fedaemonctl mailbox export alice@example.org . --mailbox Archive/2020 --mbox

Exit codes: 0 all is written, 1 something was skipped, or it was stopped, 2 usage or settings."""


@dataclass(slots=True)
class Tally:
    """What has been done so far.

    :ivar left: messages that an earlier run has written.
    :ivar skipped: what was not written, and why.
    """

    mailboxes: list[str] = field(default_factory=list)
    messages: int = 0
    left: int = 0
    skipped: list[tuple[str, str]] = field(default_factory=list)
    stopped: str = ""


@dataclass(frozen=True, slots=True)
class _Opened:
    """A mailbox that is to be written."""

    mailbox: Mailbox
    uidvalidity: int
    exists: int
    keywords: list[str]


def register(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "export",
        parents=[common],
        help="write the mail of an account to files",
        description="Write the mail of an account to files in a directory.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_account(parser)
    parser.add_argument("directory", type=Path, metavar="DIR", help="made when it is not there")
    parser.add_argument("--mailbox", type=read_mailbox, metavar="NAME", help="default: all of them")
    form = parser.add_mutually_exclusive_group(required=True)
    for name, text in (
        ("maildir", "DIR becomes a Maildir with folders"),
        ("mbox", "an mbox file for each mailbox"),
        ("eml", "a directory for each mailbox, a file for each message"),
    ):
        form.add_argument(f"--{name}", action="store_const", dest="form", const=name, help=text)
    parser.set_defaults(run=run_export)


def run_export(context: Context, arguments: argparse.Namespace) -> int:
    """Write the mail of an account."""
    account = context.view(lambda snapshot: account_of(snapshot, arguments.account))
    opened = context.view(partial(_open, account=account, name=arguments.mailbox))
    writer = WRITERS[arguments.form](arguments.directory)
    tally = Tally()
    total = sum(each.exists for each in opened)
    with (
        Interruption() as interruption,
        Progress(context, "exporting", total=total) as progress,
        context.as_caller(),
    ):
        try:
            # Mail is private, and what is made in it need not be.
            arguments.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            for each in opened:
                _write_mailbox(context, each, writer, tally, interruption, progress)
                if tally.stopped:
                    break
        except OSError as error:
            tally.stopped = f"{error.filename or arguments.directory} cannot be written: {error.strerror}"
    return _report(context, account, arguments.directory, writer, tally)


def _open(snapshot: Snapshot, account: str, name: str | None) -> list[_Opened]:
    found = (
        mailboxes.mailboxes(snapshot, account) if name is None else [mailboxes.need(snapshot, account, name)]
    )
    opened = []
    for mailbox in found:
        state = states.load(snapshot, mailbox.id)
        keywords = words.keywords(snapshot, mailbox.id)
        opened.append(_Opened(mailbox, state.uidvalidity, state.exists, keywords))
    return opened


def _write_mailbox(
    context: Context,
    opened: _Opened,
    writer: Writer,
    tally: Tally,
    interruption: Interruption,
    progress: Progress,
) -> None:
    name, keywords = opened.mailbox.name, opened.keywords
    try:
        writer.begin(name, opened.uidvalidity, keywords)
    except Refused as error:
        tally.skipped.append((name, error.text))
        return
    whole, before = False, tally.messages
    # Keywords that were made after we looked have no name here.
    known = (256 << len(keywords)) - 1
    try:
        for row in rows(context, opened.mailbox.id):
            if interruption.asked:
                tally.stopped = "interrupted"
                return
            progress.at(tally.messages + tally.left)
            if writer.has(row):
                tally.left += 1
                continue
            try:
                mail, content = message(context, opened.mailbox.id, row.uid)
                writer.write(row, words.flag_names(row.flags & known, keywords), mail.prefix, content)
            except MailError as error:
                tally.skipped.append((f"{name}: UID {row.uid}", error.text))
            else:
                tally.messages += 1
        whole = True
        tally.mailboxes.append(name)
    finally:
        if not writer.end(whole=whole):
            tally.messages = before


def _report(context: Context, account: str, directory: Path, writer: Writer, tally: Tally) -> int:
    """Say what was done; return the exit code."""
    context.show(
        {
            "account": account,
            "directory": str(directory),
            "messages": tally.messages,
            "left": tally.left,
            "mailboxes": tally.mailboxes,
            "without_keywords": writer.nameless,
            "skipped": [{"what": what, "why": why} for what, why in tally.skipped],
            "stopped": tally.stopped or None,
        }
    )
    if tally.skipped:
        context.table(("SKIPPED", "WHY"), ((printable(what), printable(why)) for what, why in tally.skipped))
    context.say(f"{tally.messages} messages of {account} are written to {printable(directory)}")
    if tally.left:
        context.say(f"{tally.left} were there already, and are left as they are")
    if writer.nameless:
        context.say(f"{writer.nameless} have more keywords than a Maildir has letters for")
    if tally.stopped:
        return context.refuse(f"{printable(tally.stopped)}; run it again for the rest")
    if tally.skipped:
        return context.refuse(f"{len(tally.skipped)} were skipped")
    return DONE
