"""``fedaemonctl message show``: what is kept of one message, in the queue or in a mailbox.

JSON is, for a message in a mailbox, ``{"account", "mailbox", "uid", "live" (false: expunged, and still kept),
"flags", "internal_s", "saved_s", "sent_s" (or null), "zone_min", "email_id", "thread_id", "modseq", "size",
"blob", "prefix_octets" (of the fields that our delivery put in front), "indexed" (whether its shape was made)}``,
for one in the queue ``{"queue_id", "sender", "account", "accepted_ms", "redacted_ms", "size", "blob"}``; for both
besides ``"structure": [{"section" ("" the whole), "type", "charset", "encoding", "octets" (of the body),
"lines"}]`` and ``"header"``, a text.

Standards: RFC 9051 6.4.5.1 (part numbers).
Invariants: what senders have written is shown without control characters; ``--raw`` gives the stored octets and
nothing else.
"""

from __future__ import annotations

import argparse
from typing import Any, Final

from fedaemon.ctl.command import DONE, USAGE, Context, sentence
from fedaemon.ctl.mailbox_arguments import account_of, read_mailbox
from fedaemon.ctl.mailbox_reading import header_octets
from fedaemon.ctl.terminal import printable, when
from fedaemon.delivery.records import load_message
from fedaemon.errors import Refused
from fedaemon.imap import object_ids
from fedaemon.mailbox import columns as c
from fedaemon.mailbox import mailboxes, reading, words
from fedaemon.mailbox.rows import NO_DATE
from fedaemon.message.mime.shape import read_shape
from fedaemon.message.mime.stored_shape import is_made
from fedaemon.store.interface import Content, Snapshot

EXAMPLES: Final = """\
examples:
  fedaemonctl message show 01K2X4W7QBTN5R8M                      one in the queue
  fedaemonctl message show alice@example.org INBOX 17            one in a mailbox
  fedaemonctl message show alice@example.org INBOX 17 --raw > message.eml"""

_EVERY: Final = b"\x01" * 256
"""The table that takes live and expunged rows."""


def register(groups: Any, common: argparse.ArgumentParser) -> None:
    """Add the command group."""
    text = "what is kept of one message: show"
    group = groups.add_parser("message", help=text, description=sentence(text))
    commands = group.add_subparsers(title="commands", metavar="COMMAND", required=True)
    parser = commands.add_parser(
        "show",
        parents=[common],
        usage="fedaemonctl message show [-h] [--json | --raw | --headers | --structure]"
        " (QUEUE_ID | ACCOUNT MAILBOX UID)",
        help="show a message in the queue or in a mailbox",
        description="Show what is kept of a message in the queue, or in a mailbox, also of an expunged one.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "which",
        nargs="+",
        metavar="QUEUE_ID | ACCOUNT MAILBOX UID",
        help="its queue id; or the account, the mailbox, and the UID as 'mailbox list --mailbox' shows it",
    )
    part = parser.add_mutually_exclusive_group()
    part.add_argument("--raw", action="store_true", help="its octets, as they are stored")
    part.add_argument("--headers", action="store_true", help="its header only")
    part.add_argument("--structure", action="store_true", help="its parts only")
    parser.set_defaults(run=run_show)


def run_show(context: Context, arguments: argparse.Namespace) -> int:
    """Show a message."""
    which: list[str] = arguments.which
    if len(which) == 1:
        facts, content = context.view(lambda snapshot: _queued(context, snapshot, which[0].upper()))
    elif len(which) == 3 and which[2].isascii() and which[2].isdigit():
        address, name, uid = which
        facts, content = context.view(lambda snapshot: _stored(context, snapshot, address, name, int(uid)))
    else:
        context.refuse("give a queue id, or an account, a mailbox and a UID")
        return USAGE
    if arguments.raw:
        for chunk in content.chunks():
            context.out.buffer.write(chunk)
        context.out.buffer.flush()
        return DONE
    structure, header = _structure(content), header_octets(content).decode("utf-8", "replace")
    context.show({**facts, "structure": structure, "header": header})
    everything = not (arguments.headers or arguments.structure)
    if everything:
        for name, value in facts.items():
            context.say(f"{name + ':':15}{_shown(name, value)}")
        context.say("")
    if everything or arguments.structure:
        _show_structure(context, structure)
    if everything:
        context.say("")
    if everything or arguments.headers:
        for line in header.removesuffix("\r\n").splitlines():
            context.say(printable(line.replace("\t", " ")))
    return DONE


def _queued(context: Context, snapshot: Snapshot, queue_id: str) -> tuple[dict[str, Any], Content]:
    """Return what is known of a message in the queue, and its content."""
    found = load_message(snapshot, queue_id)
    if found is None:
        raise Refused(f"there is no message {queue_id}; fedaemonctl queue list shows what there is")
    facts = {
        "queue_id": queue_id,
        "sender": found.sender,
        "account": found.account,
        "accepted_ms": found.accepted_ms,
        "redacted_ms": found.redacted_ms or None,
        "size": found.size,
        "blob": found.blob,
    }
    return facts, context.engine.blobs.open(snapshot, found.blob)


def _stored(
    context: Context, snapshot: Snapshot, address: str, name: str, uid: int
) -> tuple[dict[str, Any], Content]:
    """Return what is known of a message in a mailbox, and its content."""
    account = account_of(snapshot, address)
    try:
        mailbox = mailboxes.need(snapshot, account, read_mailbox(name))
    except argparse.ArgumentTypeError as error:
        raise Refused(str(error)) from None
    row = next(reading.rows(snapshot, mailbox.id, ((uid, uid),), _EVERY), None)
    mail = reading.mail(snapshot, mailbox.id, uid)
    if row is None or mail is None:
        raise Refused(f"there is no UID {uid} in {mailbox.name} of {account}, or it is purged")
    thread = object_ids.thread_id(row.thread)
    facts = {
        "account": account,
        "mailbox": mailbox.name,
        "uid": uid,
        "live": row.live,
        "flags": words.flag_names(row.flags & ~c.GONE, words.keywords(snapshot, mailbox.id)),
        "internal_s": row.internal_s,
        "saved_s": row.saved_s,
        "sent_s": None if row.sent_s == NO_DATE else row.sent_s,
        "zone_min": row.zone_min,
        "email_id": object_ids.email_id(row.email).decode(),
        "thread_id": thread.decode() if thread is not None else None,
        "modseq": row.modseq,
        "size": row.size,
        "blob": mail.blob,
        "prefix_octets": len(mail.prefix),
        "indexed": is_made(mail.shape),
    }
    return facts, reading.content(snapshot, context.engine.blobs, mail)


def _structure(content: Content) -> list[dict[str, Any]]:
    return [
        {
            "section": ".".join(map(str, part.section)),
            "type": f"{part.main_type}/{part.subtype}",
            "charset": part.charset,
            "encoding": part.encoding,
            "octets": part.body_octets,
            "lines": part.lines,
        }
        for part in read_shape(content.chunks()).parts
    ]


def _show_structure(context: Context, structure: list[dict[str, Any]]) -> None:
    context.table(
        ("SECTION", "TYPE", "CHARSET", "ENCODING", "OCTETS", "LINES"),
        (
            (part["section"] or "whole", *(printable(part[name]) for name in part if name != "section"))
            for part in structure
        ),
    )


def _shown(name: str, value: Any) -> str:
    """Return a fact as people read it."""
    if value is None or value == []:
        return "-"
    if name.endswith("_ms"):
        return when(value)
    if name.endswith("_s"):
        return when(1000 * value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return printable(" ".join(value) if isinstance(value, list) else value)
