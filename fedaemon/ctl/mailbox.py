"""``fedaemonctl mailbox``: what is in a mailbox, and taking it out.

JSON of ``list`` is ``{"account": …, "mailboxes": [{"name", "uidvalidity", "uidnext", "messages": [{"uid",
"size", "internal_ms", "flags", "from", "subject"}]}]}``. JSON of ``export`` is ``{"account", "mailbox",
"format", "output", "messages": n}``.

Invariants: ``eml`` and ``maildir`` files hold the stored octets; so does ``mbox`` once its ">From " lines are
unquoted and the line ends of its own are taken off (RFC 4155 appendix A, mboxrd quoting). Existing files are
never overwritten.
Limits: memory for one piece of one message at a time.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Final

from fedaemon.accounts.directory import resolve
from fedaemon.accounts.records import Account
from fedaemon.ctl.command import DONE, Context
from fedaemon.ctl.mbox import write_mbox_message
from fedaemon.errors import BadSyntax, MailError, Refused
from fedaemon.mailbox.store import INBOX, Mail, Mailbox, content, find, mail_of, mailboxes
from fedaemon.message.address import parse_address
from fedaemon.message.encoded_word import decode
from fedaemon.message.header import Header, end_of_header
from fedaemon.store.interface import Content, Snapshot

FORMATS: Final = ("mbox", "maildir", "eml")
SLICE: Final = 100
"""Records read in one view."""

HEADER_OCTETS: Final = 262_144
MAX_SHOWN: Final = 200
"""Characters of a From or Subject in a listing."""


def register(groups: Any, common: argparse.ArgumentParser) -> None:
    """Add the command group."""
    group = groups.add_parser("mailbox", help="read mailboxes: list, export")
    commands = group.add_subparsers(title="commands", metavar="COMMAND", required=True)

    listing = commands.add_parser("list", parents=[common], help="list the mail of an account")
    listing.add_argument("address", metavar="ADDRESS")
    listing.add_argument("--mailbox", metavar="NAME", help="only this mailbox")
    listing.set_defaults(run=run_list)

    export = commands.add_parser("export", parents=[common], help="write the mail of a mailbox to files")
    export.add_argument("address", metavar="ADDRESS")
    export.add_argument(
        "--format", choices=FORMATS, required=True, help="mbox: one file; maildir, eml: a directory"
    )
    export.add_argument("--output", type=Path, required=True, metavar="PATH", help="file (mbox) or directory")
    export.add_argument("--mailbox", default=INBOX, metavar="NAME", help="default: %(default)s")
    export.set_defaults(run=run_export)


def _account(snapshot: Snapshot, text: str) -> str:
    """Return the key of the account that takes mail for the address *text*."""
    found = resolve(snapshot, parse_address(text))
    if not isinstance(found, Account):
        raise Refused(f"{text} is no account; fedaemonctl account list shows what there is")
    return found.address


def run_list(context: Context, arguments: argparse.Namespace) -> int:
    """Print what is in the mailboxes of an account."""
    account = context.view(lambda snapshot: _account(snapshot, arguments.address))
    found = context.view(lambda snapshot: list(mailboxes(snapshot, account)))
    if arguments.mailbox is not None:
        wanted = context.view(lambda snapshot: find(snapshot, account, arguments.mailbox))
        if wanted is None:
            return context.refuse(f"{account} has no mailbox {arguments.mailbox}")
        found = [wanted]
    shown = []
    for mailbox in found:
        rows = [_row(context, mail) for mail in _mails(context, mailbox)]
        shown.append(
            {
                "name": mailbox.name,
                "uidvalidity": mailbox.uidvalidity,
                "uidnext": mailbox.uidnext,
                "messages": rows,
            }
        )
        context.say(f"{mailbox.name}: {len(rows)} messages")
        context.table(
            ("UID", "ARRIVED", "OCTETS", "FROM", "SUBJECT"),
            (
                (row["uid"], _when(row["internal_ms"]), row["size"], row["from"], row["subject"])
                for row in rows
            ),
        )
    if not found:
        context.say(f"{account} has no mail yet")
    context.show({"account": account, "mailboxes": shown})
    return DONE


def _mails(context: Context, mailbox: Mailbox) -> Iterator[Mail]:
    """Yield the mail of a mailbox, slice by slice."""
    after = 0
    while True:
        rows = context.view(partial(_slice, mailbox.id, after))
        yield from rows
        if len(rows) < SLICE:
            return
        after = rows[-1].uid


def _slice(mailbox_id: str, after_uid: int, snapshot: Snapshot) -> list[Mail]:
    return list(mail_of(snapshot, mailbox_id, after_uid, SLICE))


def _content(context: Context, mail: Mail) -> Content:
    return context.view(lambda snapshot: content(snapshot, context.engine.blobs, mail))


def _row(context: Context, mail: Mail) -> dict[str, Any]:
    try:
        header = _header(_content(context, mail))
    except MailError as error:
        # One unreadable message must not hide the others.
        header = {b"from": "", b"subject": f"({error.text})"}
    return {
        "uid": mail.uid,
        "size": mail.size,
        "internal_ms": mail.internal_ms,
        "flags": list(mail.flags),
        "from": header.get(b"from", ""),
        "subject": header.get(b"subject", ""),
    }


def _header(message: Content) -> dict[bytes, str]:
    """Return the fields that a listing shows."""
    start = bytearray()
    for chunk in message.chunks():
        start += chunk
        if len(start) >= HEADER_OCTETS or end_of_header(bytes(start)) >= 0:
            break
    end = end_of_header(bytes(start))
    block = bytes(start[: end - 2] if end >= 0 else start)
    try:
        header = Header.parse(block, max_octets=2 * HEADER_OCTETS, max_fields=HEADER_OCTETS)
    except BadSyntax:
        return {}
    shown = {}
    for name in (b"from", b"subject"):
        for field in header.get_all(name)[:1]:
            shown[name] = "".join(c if c.isprintable() else " " for c in decode(field.value))[:MAX_SHOWN]
    return shown


def _when(at_ms: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at_ms / 1000))


def run_export(context: Context, arguments: argparse.Namespace) -> int:
    """Write the mail of one mailbox to files."""
    account = context.view(lambda snapshot: _account(snapshot, arguments.address))
    mailbox = context.view(lambda snapshot: find(snapshot, account, arguments.mailbox))
    target: Path = arguments.output
    try:
        count = _export(context, mailbox, arguments.format, target)
    except FileExistsError:
        return context.refuse(f"{target} exists already; give --output another name")
    except OSError as error:
        return context.refuse(f"{target} cannot be written: {error.strerror}")
    context.show(
        {
            "account": account,
            "mailbox": mailbox.name if mailbox else arguments.mailbox,
            "format": arguments.format,
            "output": str(target),
            "messages": count,
        }
    )
    context.say(f"{count} messages of {account} {arguments.mailbox} written to {target}")
    return DONE


def _export(context: Context, mailbox: Mailbox | None, form: str, target: Path) -> int:
    """Write all mail; an account without mail gives an empty file or directory. Returns how many messages."""
    mails = _mails(context, mailbox) if mailbox is not None else iter(())
    mails = _with_progress(context, mails)
    count = 0
    if form == "mbox":
        with target.open("xb") as output:
            for mail in mails:
                write_mbox_message(output, _content(context, mail), mail.prefix, mail.internal_ms / 1000)
                count += 1
        return count
    if target.is_dir() and any(target.iterdir()):
        raise FileExistsError
    for directory in ("tmp", "new", "cur") if form == "maildir" else ("",):
        (target / directory).mkdir(parents=True, exist_ok=True)
    for mail in mails:
        with (target / _file_name(form, mail)).open("xb") as output:
            _copy(_content(context, mail), output)
        count += 1
    return count


def _file_name(form: str, mail: Mail) -> str:
    if form == "eml":
        return f"{mail.uid:08}.eml"
    # Unread mail without flags belongs in new/; S= is the size that maildir++ programs look for.
    seconds, microseconds = divmod(mail.internal_ms * 1000, 1_000_000)
    base = f"{seconds}.M{microseconds}U{mail.uid}.fedaemon,S={mail.size}"
    flags = "".join(sorted(_MAILDIR_FLAGS[flag] for flag in mail.flags if flag in _MAILDIR_FLAGS))
    return f"cur/{base}:2,{flags}" if flags else f"new/{base}"


_MAILDIR_FLAGS: Final = {"\\Draft": "D", "\\Flagged": "F", "\\Answered": "R", "\\Seen": "S", "\\Deleted": "T"}


def _copy(message: Content, output: BinaryIO) -> None:
    for chunk in message.chunks():
        output.write(chunk)


def _with_progress(context: Context, mails: Iterator[Mail]) -> Iterator[Mail]:
    """Yield *mails*; on a terminal say now and then how many there were."""
    shown = sys.stderr.isatty() and not context.json
    count = 0
    for count, mail in enumerate(mails, 1):
        yield mail
        if shown and count % SLICE == 0:
            print(f"\r{count} messages", end="", file=context.err, flush=True)
    if shown and count >= SLICE:
        print(file=context.err)
