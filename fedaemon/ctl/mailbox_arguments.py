"""What the commands on mailboxes are told: accounts, mailboxes, sets of UIDs, points in time.

Standards: RFC 9051 5.1 (names), 9 (sequence-set); RFC 3339 5.6 (a point in time).
"""

from __future__ import annotations

import argparse
from datetime import datetime

from fedaemon.accounts.directory import resolve
from fedaemon.accounts.records import Account
from fedaemon.ctl.command import Context
from fedaemon.ctl.terminal import now_ms, read_span
from fedaemon.errors import BadSyntax, Refused
from fedaemon.imap.names import read_name
from fedaemon.imap.sequence_set import SEQUENCE_SET, SequenceSet, read_sequence_set
from fedaemon.mailbox import mailboxes
from fedaemon.mailbox import state as states
from fedaemon.mailbox.mailboxes import Mailbox
from fedaemon.mailbox.state import State
from fedaemon.message.address import parse_address
from fedaemon.store.interface import Snapshot


def add_account(parser: argparse.ArgumentParser) -> None:
    """Add the argument that ``account_of`` reads."""
    parser.add_argument("account", metavar="ACCOUNT", help="the account's address")


def account_of(snapshot: Snapshot, text: str) -> str:
    """Return the key of the account that takes mail for the address *text*; raises Refused."""
    found = resolve(snapshot, parse_address(text))
    if not isinstance(found, Account):
        raise Refused(f"{text} is no account; fedaemonctl account list shows what there is")
    return found.address


def read_mailbox(text: str) -> str:
    """Return a mailbox name as IMAP clients would see it, for argparse.

    Spec: RFC 9051 5.1
    """
    try:
        name = read_name(text.encode("utf-8", "surrogateescape"), utf8=True)
    except BadSyntax as error:
        raise argparse.ArgumentTypeError(error.text) from None
    if not name:
        raise argparse.ArgumentTypeError("a mailbox has a name")
    return name


def need_mailbox(context: Context, account: str, name: str) -> tuple[Mailbox, State]:
    """Return a mailbox with its counters; raises NoSuchMailbox."""

    def look(snapshot: Snapshot) -> tuple[Mailbox, State]:
        found = mailboxes.need(snapshot, account, name)
        return found, states.load(snapshot, found.id)

    return context.view(look)


def read_uids(text: str) -> SequenceSet:
    """Return a set of UIDs as IMAP writes it, for argparse: ``4``, ``1:9,12``, ``100:*``.

    Spec: RFC 9051 9 (sequence-set)
    """
    octets = text.encode("utf-8", "surrogateescape")
    match = SEQUENCE_SET(octets)
    if match is None or match.end() != len(octets) or octets == b"$":
        raise argparse.ArgumentTypeError('must be UIDs such as "4", "1:9,12" or "100:*"')
    try:
        return read_sequence_set(octets)
    except BadSyntax as error:
        raise argparse.ArgumentTypeError(error.text) from None


def read_moment(text: str) -> int:
    """Return a point in time in milliseconds since the epoch, for argparse.

    It is so long ago ("2h", "1d12h"), or a date with or without a time and a zone, by default the one of this
    machine.

    Spec: RFC 3339 5.6
    """
    try:
        return now_ms() - 1000 * read_span(text)
    except argparse.ArgumentTypeError:
        pass
    try:
        return int(datetime.fromisoformat(text).timestamp() * 1000)
    except (ValueError, OverflowError, OSError):
        raise argparse.ArgumentTypeError(
            'must be a time such as "2026-11-23 14:30", "2026-11-23T14:30:00Z", or "2h" for two hours ago'
        ) from None
