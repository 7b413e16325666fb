"""``fedaemonctl mailbox expunge``: takes messages out of a mailbox, for some time so that they can be restored.

JSON is ``{"account", "mailbox", "expunged": messages, "restorable_until_ms", "stopped"}``; *stopped* is what kept
it from going on to the end, or null.

Standards: RFC 9051 6.4.3.
Invariants: only what was chosen when the command began goes, and is counted; with ``--deleted`` only what has
\\Deleted still.
Limits: SLICE messages in one transaction.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any, Final

from fedaemon.ctl import slices
from fedaemon.ctl.command import DONE, Context
from fedaemon.ctl.mailbox_arguments import account_of, add_account, need_mailbox, read_mailbox, read_uids
from fedaemon.ctl.mailbox_reading import rows
from fedaemon.ctl.terminal import confirm, now_ms, printable, read_span, when
from fedaemon.mailbox import changing
from fedaemon.mailbox import columns as c
from fedaemon.store.interface import Transaction

SLICE: Final = 2000

EXAMPLES: Final = """\
examples:
  fedaemonctl mailbox expunge alice@example.org Trash --older-than 30d
  fedaemonctl mailbox expunge alice@example.org INBOX --uid 17,20:25

They can be brought back for some time: fedaemonctl mailbox restore ACCOUNT MAILBOX --list"""


def register(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "expunge",
        parents=[common],
        help="take messages out of a mailbox; for some time they can be restored",
        description="Take messages out of a mailbox; for some time they can be restored.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_account(parser)
    parser.add_argument("mailbox", type=read_mailbox, metavar="MAILBOX", help="such as Trash")
    chosen = parser.add_mutually_exclusive_group(required=True)
    chosen.add_argument("--deleted", action="store_true", help="those that are marked \\Deleted")
    chosen.add_argument(
        "--older-than",
        type=read_span,
        dest="older_s",
        metavar="TIME",
        help='those that arrived longer ago than that, such as "30d"',
    )
    chosen.add_argument(
        "--uid", type=read_uids, dest="uids", metavar="SET", help='such as "4", "1:9,12", "100:*"'
    )
    chosen.add_argument("--all", action="store_true", help="all of them")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.set_defaults(run=run_expunge)


def run_expunge(context: Context, arguments: argparse.Namespace) -> int:
    """Expunge what was chosen."""
    account = context.view(lambda snapshot: account_of(snapshot, arguments.account))
    mailbox, _ = need_mailbox(context, account, arguments.mailbox)
    uids = _chosen(context, arguments, mailbox.id)
    name = printable(mailbox.name)
    question = f"expunge {len(uids)} messages of {account} {name}?"
    if uids and not confirm(context, question, yes=arguments.yes):
        return context.refuse("nothing was expunged")
    keep_s = context.settings.mailboxes.undelete_s

    def expunge(part: Sequence[int], transaction: Transaction) -> int:
        ranges, deleted = changing.runs(part), arguments.deleted
        gone = changing.expunge(
            transaction, mailbox.id, ranges, now_ms(), only_deleted=deleted, keep_s=keep_s
        )
        return sum(last - first + 1 for first, last in gone.ranges) if gone is not None else 0

    done, stopped = slices.change(context, "expunging", uids, SLICE, expunge)
    until_ms = now_ms() + 1000 * keep_s
    context.show(
        {
            "account": account,
            "mailbox": mailbox.name,
            "expunged": done,
            "restorable_until_ms": until_ms if done else None,
            "stopped": stopped or None,
        }
    )
    context.say(f"{done} messages of {account} {name} are expunged")
    if done and keep_s:
        context.say(f"Until {when(until_ms)}: fedaemonctl mailbox restore {account} {name} --list")
    return context.refuse(f"{stopped}; run it again for the rest") if stopped else DONE


def _chosen(context: Context, arguments: argparse.Namespace, mailbox_id: str) -> list[int]:
    """Return the UIDs of the messages that are meant."""
    if arguments.deleted:
        return [row.uid for row in rows(context, mailbox_id, c.TO_BE_EXPUNGED)]
    found = list(rows(context, mailbox_id))
    if arguments.older_s is not None:
        before_s = now_ms() // 1000 - arguments.older_s
        return [row.uid for row in found if row.internal_s < before_s]
    if arguments.uids is not None:
        wanted = arguments.uids.resolve(found[-1].uid if found else 0)
        return [row.uid for row in found if row.uid in wanted]
    return [row.uid for row in found]
