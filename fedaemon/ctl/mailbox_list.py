"""``fedaemonctl mailbox list``: the mailboxes of an account, or the messages in one of them.

JSON is ``{"account", "mailboxes": [{"name", "special_use" (or null), "messages", "unseen", "size" (octets),
"uidvalidity", "uidnext", "subscribed"}]}``; with ``--mailbox`` it is ``{"account", "mailbox", "messages": [{"uid",
"size", "internal_s", "flags", "from", "subject"}]}``.

Invariants: what senders have written is shown without control characters.
"""

from __future__ import annotations

import argparse
from typing import Any, Final

from fedaemon.ctl.command import DONE, Context
from fedaemon.ctl.mailbox_arguments import account_of, add_account, need_mailbox, read_mailbox
from fedaemon.ctl.mailbox_reading import rows, shown_header
from fedaemon.ctl.terminal import printable, when
from fedaemon.mailbox import mailboxes, words
from fedaemon.mailbox import state as states
from fedaemon.store.interface import Snapshot

EXAMPLES: Final = """\
examples:
  fedaemonctl mailbox list alice@example.org
  fedaemonctl mailbox list alice@example.org --mailbox Work/2026 --json"""


def register(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "list",
        parents=[common],
        help="list the mailboxes of an account, or what is in one",
        description="List the mailboxes of an account, or the messages in one of them.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_account(parser)
    parser.add_argument("--mailbox", type=read_mailbox, metavar="NAME", help="the messages in this mailbox")
    parser.set_defaults(run=run_list)


def run_list(context: Context, arguments: argparse.Namespace) -> int:
    """Print the mailboxes of an account, or the messages in one."""
    account = context.view(lambda snapshot: account_of(snapshot, arguments.account))
    if arguments.mailbox is not None:
        return _list_messages(context, account, arguments.mailbox)
    found = context.view(lambda snapshot: describe(snapshot, account))
    context.table(
        ("MAILBOX", "MESSAGES", "UNSEEN", "OCTETS", "UIDVALIDITY", "SPECIAL USE"),
        (
            (
                printable(one["name"]),
                one["messages"],
                one["unseen"],
                one["size"],
                one["uidvalidity"],
                one["special_use"] or "",
            )
            for one in found
        ),
    )
    if not found:
        context.say(f"{account} has no mailboxes yet; they are made at the first login or delivery")
    context.show({"account": account, "mailboxes": found})
    return DONE


def describe(snapshot: Snapshot, account: str) -> list[dict[str, Any]]:
    """Return what is shown of each mailbox of an account."""
    subscribed = mailboxes.subscriptions(snapshot, account)
    shown = []
    for mailbox in mailboxes.mailboxes(snapshot, account):
        state = states.load(snapshot, mailbox.id)
        shown.append(
            {
                "name": mailbox.name,
                "special_use": mailbox.special_use,
                "messages": state.exists,
                "unseen": state.unseen,
                "size": state.octets,
                "uidvalidity": state.uidvalidity,
                "uidnext": state.uidnext,
                "subscribed": mailbox.name in subscribed,
            }
        )
    return shown


def _list_messages(context: Context, account: str, name: str) -> int:
    """Print what is in a mailbox."""
    mailbox, _ = need_mailbox(context, account, name)
    shown: list[dict[str, Any]] = []
    found = list(rows(context, mailbox.id))
    # After the rows: flags that came meanwhile have names in it, and none of theirs goes.
    keywords = context.view(lambda snapshot: words.keywords(snapshot, mailbox.id))
    for row in found:
        shown.append(
            {
                "uid": row.uid,
                "size": row.size,
                "internal_s": row.internal_s,
                "flags": words.flag_names(row.flags, keywords),
                **shown_header(context, mailbox.id, row.uid),
            }
        )
    context.table(
        ("UID", "ARRIVED", "OCTETS", "FLAGS", "FROM", "SUBJECT"),
        (
            (
                one["uid"],
                when(1000 * one["internal_s"]),
                one["size"],
                " ".join(one["flags"]),
                one["from"],
                one["subject"],
            )
            for one in shown
        ),
    )
    if not shown:
        context.say(f"there is nothing in {printable(mailbox.name)} of {account}")
    context.show({"account": account, "mailbox": mailbox.name, "messages": shown})
    return DONE
