"""``fedaemonctl mailbox stats``: how much is in mailboxes, and in what form it is kept.

JSON is ``{"mailboxes": [{"account", "name", "deleted_s" (when the mailbox itself was deleted, or null), and the
counters of ``Counters``}], "total": {the counters}}``.

Invariants: the counters are those that every change keeps, so nothing is counted but the chunks.
Limits: one view for each account.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict, dataclass, fields
from functools import partial
from typing import Any, Final

from fedaemon.accounts import directory
from fedaemon.ctl.command import DONE, Context
from fedaemon.ctl.mailbox_arguments import account_of
from fedaemon.ctl.terminal import printable
from fedaemon.mailbox import columns as c
from fedaemon.mailbox import mailboxes, undelete
from fedaemon.mailbox import state as states
from fedaemon.store.interface import Snapshot
from fedaemon.store.spaces import MAIL_CHUNK

EXAMPLES: Final = """\
DELETED is marked \\Deleted; EXPUNGED and KEPT are messages that are gone, and octets of theirs that are kept to be
restored; TAIL is messages in no chunk yet. Mailboxes in parentheses are deleted, and can be restored.

example:
  fedaemonctl mailbox stats alice@example.org"""


@dataclass(frozen=True, slots=True)
class Counters:
    """What is counted of a mailbox.

    :ivar size: octets of the messages; *deleted* are those with \\Deleted among them.
    :ivar expunged: messages that are gone and not yet forgotten, *expunged_size* octets of theirs.
    :ivar chunks: of messages; *tail*: messages that are in none yet.
    """

    messages: int = 0
    size: int = 0
    unseen: int = 0
    deleted: int = 0
    expunged: int = 0
    expunged_size: int = 0
    chunks: int = 0
    tail: int = 0

    def __add__(self, other: Counters) -> Counters:
        return Counters(*[getattr(self, field.name) + getattr(other, field.name) for field in fields(self)])


Line = tuple[str, str, int | None, Counters]
"""Account, mailbox, when that was deleted in seconds since the epoch, and its counters."""


def register(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "stats",
        parents=[common],
        help="how much is in mailboxes, and in what form it is kept",
        description="Show how much is in mailboxes, and in what form it is kept.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("account", nargs="?", metavar="ACCOUNT", help="default: all accounts")
    parser.set_defaults(run=run_stats)


def run_stats(context: Context, arguments: argparse.Namespace) -> int:
    """Print the counters of each mailbox, and their sum."""
    if arguments.account is not None:
        accounts = [context.view(lambda snapshot: account_of(snapshot, arguments.account))]
    else:
        accounts = context.view(lambda snapshot: [each.address for each in directory.accounts(snapshot)])
    lines = [line for account in accounts for line in context.view(partial(count, account=account))]
    total = sum((counters for *_, counters in lines), Counters())
    context.table(
        (
            "ACCOUNT",
            "MAILBOX",
            "MESSAGES",
            "OCTETS",
            "UNSEEN",
            "DELETED",
            "EXPUNGED",
            "KEPT",
            "CHUNKS",
            "TAIL",
        ),
        [
            *((account, _name(name, deleted_s), *_cells(each)) for account, name, deleted_s, each in lines),
            ("total", "", *_cells(total)),
        ],
    )
    shown = [
        {"account": account, "name": name, "deleted_s": deleted_s, **asdict(counters)}
        for account, name, deleted_s, counters in lines
    ]
    context.show({"mailboxes": shown, "total": asdict(total)})
    return DONE


def count(snapshot: Snapshot, account: str) -> list[Line]:
    """Return the counters of the mailboxes of an account, and of its deleted ones."""
    lines: list[Line] = [
        (account, mailbox.name, None, _counters(snapshot, mailbox.id))
        for mailbox in mailboxes.mailboxes(snapshot, account)
    ]
    for lost in undelete.deleted(snapshot, account):
        lines.append((account, lost.name, lost.deleted_s, _counters(snapshot, lost.mailbox_id)))
    return lines


def _counters(snapshot: Snapshot, mailbox_id: str) -> Counters:
    state = states.load(snapshot, mailbox_id)
    chunks = sum(1 for _ in snapshot.scan((MAIL_CHUNK, mailbox_id, c.STATE_GROUP)))
    return Counters(
        messages=state.exists,
        size=state.octets,
        unseen=state.unseen,
        deleted=state.deleted,
        expunged=state.gone,
        expunged_size=state.gone_octets,
        chunks=chunks,
        tail=state.tail,
    )


def _name(name: str, deleted_s: int | None) -> str:
    return printable(name) if deleted_s is None else f"({printable(name)})"


def _cells(counters: Counters) -> list[int]:
    return [getattr(counters, field.name) for field in fields(counters)]
