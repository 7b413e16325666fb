"""``fedaemonctl mailbox restore``: brings back what was expunged, and mailboxes that were deleted.

JSON of ``--list`` is ``{"account", "mailboxes": [{"name", "deleted_ms", "until_ms", "messages", "size"}],
"messages": [{"mailbox", "uid", "expunged_ms", "why" (expunged, expired), "until_ms", "size", "internal_s",
"restored" (it is back already), "from", "subject"}]}``, else ``{"account", "mailbox", "restored": messages,
"stopped" (why it did not go on to the end, or null)}``.

Invariants: restoring a time again brings nothing twice; what senders have written is shown without control
characters.
Limits: SLICE messages in one transaction.
Known gaps: *until* follows the setting of today; what was expunged under another keeps that one's.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import partial
from typing import Any, Final

from fedaemon.ctl import slices
from fedaemon.ctl.command import DONE, Context
from fedaemon.ctl.mailbox_arguments import (
    account_of,
    add_account,
    need_mailbox,
    read_mailbox,
    read_moment,
    read_uids,
)
from fedaemon.ctl.mailbox_reading import shown_header
from fedaemon.ctl.sealing import seal_tail
from fedaemon.ctl.terminal import now_ms, printable, when
from fedaemon.mailbox import changing, mailboxes, reading, undelete
from fedaemon.mailbox import state as states
from fedaemon.mailbox.lost import LostKey
from fedaemon.mailbox.mailboxes import Mailbox
from fedaemon.mailbox.rows import Row
from fedaemon.store.interface import Snapshot, Transaction

SLICE: Final = 500
"""As COPY: each message costs a reference of its content, which is a record to be read and written."""

EXAMPLES: Final = """\
examples:
  fedaemonctl mailbox restore alice@example.org --list
  fedaemonctl mailbox restore alice@example.org INBOX --uid 17,20:25
  fedaemonctl mailbox restore alice@example.org INBOX --as-of "2026-11-23 14:30"
  fedaemonctl mailbox restore alice@example.org INBOX --as-of 2h        as it was two hours ago
  fedaemonctl mailbox restore alice@example.org --mailbox-deleted Work --into "Work (restored)"

Messages come back with new UIDs, a mailbox as it was. [mailboxes] undelete in the settings is for how long."""


def register(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "restore",
        parents=[common],
        help="bring back expunged messages and deleted mailboxes",
        description="Bring back what was expunged, or a mailbox that was deleted.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_account(parser)
    parser.add_argument(
        "mailbox", nargs="?", type=read_mailbox, metavar="MAILBOX", help="the mailbox that it was in"
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--list", action="store_true", help="what can be restored, in MAILBOX or in all")
    what.add_argument(
        "--uid", type=read_uids, dest="uids", metavar="SET", help="these messages, by the UIDs that they had"
    )
    what.add_argument(
        "--as-of", type=read_moment, metavar="TIME", help="what was there at that time and was expunged since"
    )
    what.add_argument(
        "--mailbox-deleted", type=read_mailbox, metavar="NAME", help="the mailbox of that name deleted last"
    )
    parser.add_argument(
        "--into", type=read_mailbox, metavar="NAME", help="with --mailbox-deleted: its name from now on"
    )
    parser.set_defaults(run=run_restore, misuse=parser.error)


def run_restore(context: Context, arguments: argparse.Namespace) -> int:
    """Restore what is asked for, or list what can be."""
    by_mailbox = arguments.uids is not None or arguments.as_of is not None
    if by_mailbox and arguments.mailbox is None:
        arguments.misuse("--uid and --as-of need a MAILBOX")
    if arguments.mailbox_deleted and arguments.mailbox:
        arguments.misuse("give either a MAILBOX or --mailbox-deleted")
    if arguments.into and not arguments.mailbox_deleted:
        arguments.misuse("--into goes with --mailbox-deleted")
    account = context.view(lambda snapshot: account_of(snapshot, arguments.account))
    if arguments.list:
        return _list(context, account, arguments.mailbox)
    if arguments.mailbox_deleted:
        return _undelete(context, account, arguments.mailbox_deleted, arguments.into)
    return _restore(context, account, arguments)


def _restore(context: Context, account: str, arguments: argparse.Namespace) -> int:
    """Restore messages of a mailbox."""
    mailbox, state = need_mailbox(context, account, arguments.mailbox)
    if arguments.uids is not None:
        wanted = arguments.uids.resolve(state.uidnext - 1)
        found = context.view(partial(undelete.expunged, mailbox_id=mailbox.id))
        uids = sorted(row.uid for _, rows in found for row in rows if row.uid in wanted)
        if not uids:
            return context.refuse("none of these can be restored; --list shows what can")
    else:
        uids = context.view(partial(undelete.as_of, mailbox_id=mailbox.id, at_s=arguments.as_of // 1000))
    blobs = context.engine.blobs

    def restore(part: Sequence[int], transaction: Transaction) -> int:
        ranges, now_s = changing.runs(part), now_ms() // 1000
        return len(undelete.restore(transaction, blobs, mailbox.id, ranges, now_s))

    done, stopped = slices.change(context, "restoring", uids, SLICE, restore)
    seal_tail(context, mailbox.id)
    context.show({"account": account, "mailbox": mailbox.name, "restored": done, "stopped": stopped or None})
    context.say(f"{done} messages are back in {printable(mailbox.name)} of {account}")
    return context.refuse(f"{stopped}; {len(uids) - done} are still to be restored") if stopped else DONE


def _undelete(context: Context, account: str, name: str, into: str | None) -> int:
    """Restore a deleted mailbox."""

    def restore(transaction: Transaction) -> tuple[Mailbox, int]:
        for lost in undelete.deleted(transaction, account):
            if lost.name == name:
                found = undelete.undelete(transaction, lost, into or name, now_ms())
                return found, states.load(transaction, found.id).exists
        raise mailboxes.NoSuchMailbox(
            f"{account} has no deleted mailbox {name} that can be restored; restore {account} --list shows them"
        )

    mailbox, messages = context.transact(restore)
    context.show({"account": account, "mailbox": mailbox.name, "restored": messages, "stopped": None})
    context.say(f"{printable(mailbox.name)} of {account} is back, with {messages} messages")
    return DONE


def _list(context: Context, account: str, name: str | None) -> int:
    """Print what can be restored."""
    keep_ms = 1000 * context.settings.mailboxes.undelete_s
    if name is None:
        found = context.view(lambda snapshot: list(mailboxes.mailboxes(snapshot, account)))
        lost = context.view(partial(_lost, account=account))
    else:
        found, lost = [need_mailbox(context, account, name)[0]], []
    gone_mailboxes: list[dict[str, Any]] = [
        {
            "name": key.name,
            "deleted_ms": 1000 * key.deleted_s,
            "until_ms": 1000 * key.deleted_s + keep_ms,
            "messages": state.exists,
            "size": state.octets,
        }
        for key, state in lost
    ]
    messages = [each for mailbox in found for each in _messages(context, mailbox, keep_ms)]
    if gone_mailboxes:
        _show_mailboxes(context, gone_mailboxes)
    if messages or not gone_mailboxes:
        _show_messages(context, messages)
    context.show({"account": account, "mailboxes": gone_mailboxes, "messages": messages})
    return DONE


def _lost(snapshot: Snapshot, account: str) -> list[tuple[LostKey, states.State]]:
    return [(key, states.load(snapshot, key.mailbox_id)) for key in undelete.deleted(snapshot, account)]


def _messages(context: Context, mailbox: Mailbox, keep_ms: int) -> list[dict[str, Any]]:
    """Return what is shown of the messages of a mailbox that can be restored."""

    def look(snapshot: Snapshot) -> tuple[list[tuple[changing.Gone, list[Row]]], set[int]]:
        found = undelete.expunged(snapshot, mailbox.id)
        return found, {row.email for row in reading.rows(snapshot, mailbox.id)} if found else set()

    found, live = context.view(look)
    return [
        {
            "mailbox": mailbox.name,
            "uid": row.uid,
            "expunged_ms": gone.at_ms,
            "why": gone.kind.name.lower(),
            "until_ms": gone.at_ms + keep_ms,
            "size": row.size,
            "internal_s": row.internal_s,
            "restored": row.email in live,
            **shown_header(context, mailbox.id, row.uid),
        }
        for gone, rows in found
        for row in rows
    ]


def _show_mailboxes(context: Context, found: Sequence[dict[str, Any]]) -> None:
    context.table(
        ("DELETED MAILBOX", "DELETED", "UNTIL", "MESSAGES", "OCTETS"),
        (
            (
                printable(each["name"]),
                when(each["deleted_ms"]),
                when(each["until_ms"]),
                each["messages"],
                each["size"],
            )
            for each in found
        ),
    )


def _show_messages(context: Context, messages: Sequence[dict[str, Any]]) -> None:
    context.table(
        ("MAILBOX", "UID", "GONE", "WHY", "UNTIL", "OCTETS", "FROM", "SUBJECT"),
        (
            (
                printable(each["mailbox"]),
                each["uid"],
                when(each["expunged_ms"]),
                each["why"] + (", restored" if each["restored"] else ""),
                when(each["until_ms"]),
                each["size"],
                each["from"],
                each["subject"],
            )
            for each in messages
        ),
    )
