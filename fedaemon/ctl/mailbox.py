"""``fedaemonctl mailbox``: the mailboxes of accounts, what is in them, and taking it out, in, and back.

JSON of each command is described in its module.
"""

from __future__ import annotations

import argparse
from typing import Any, Final

from fedaemon.ctl import (
    mailbox_change,
    mailbox_export,
    mailbox_expunge,
    mailbox_import,
    mailbox_list,
    mailbox_restore,
    mailbox_stats,
)

EXAMPLES: Final = """\
examples:
  fedaemonctl mailbox list alice@example.org                   which there are, and how much is in them
  fedaemonctl mailbox create alice@example.org Work/2026
  fedaemonctl mailbox expunge alice@example.org Trash --older-than 30d
  fedaemonctl mailbox restore alice@example.org --list         what can be brought back
  fedaemonctl mailbox restore alice@example.org INBOX --as-of 2h
  fedaemonctl mailbox import alice@example.org --maildir /var/mail/alice/Maildir
  fedaemonctl mailbox export alice@example.org /srv/alice --maildir

All of them work beside a running daemon, whose sessions see it within a second, and without one. Each command has
a --help of its own.
Exit codes: 0 done, 1 refused, not found, skipped or interrupted, 2 usage or settings."""


def register(groups: Any, common: argparse.ArgumentParser) -> None:
    """Add the command group."""
    group = groups.add_parser(
        "mailbox",
        help="mailboxes: list, create, rename, delete, stats, import, export, expunge, restore",
        description="Look at mailboxes, change them, and move mail in and out.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = group.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for part in (
        mailbox_list,
        mailbox_change,
        mailbox_stats,
        mailbox_import,
        mailbox_export,
        mailbox_expunge,
        mailbox_restore,
    ):
        part.register(commands, common)
