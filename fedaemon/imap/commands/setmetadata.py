"""SETMETADATA.

Standards: RFC 5464 4.3 (MAXSIZE, TOOMANY), RFC 6154 4 (/private/specialuse), RFC 5530 3 (NOPERM).
Invariants: all entries are written, or none.
"""

from __future__ import annotations

from functools import partial

from fedaemon.errors import Refused
from fedaemon.imap.access import mailbox_named
from fedaemon.imap.events import Command
from fedaemon.imap.operations import Write
from fedaemon.imap.parse.metadata import SetMetadata
from fedaemon.imap.session import Done, Session
from fedaemon.mailbox import metadata
from fedaemon.store.interface import Transaction


class NotYours(Refused):
    """Only the administrator may change that."""

    imap_code = b"NOPERM"


async def run(session: Session, arguments: SetMetadata, command: Command) -> Done:
    """Write annotations of a mailbox or of the account. Spec: RFC 5464 4.3"""
    entries = [(name.decode("ascii"), value) for name, value in arguments.entries]
    if not arguments.mailbox and any(name.startswith("/shared/") for name, _ in entries):
        raise NotYours("What all accounts share is the administrator's")
    await Write(partial(_write, session, arguments.mailbox, entries))
    return Done("Written")


def _write(
    session: Session, name: str, entries: list[tuple[str, bytes | None]], transaction: Transaction
) -> None:
    mailbox = mailbox_named(session, name)(transaction) if name else None
    account = mailbox.account if mailbox is not None else session.account
    metadata.write(transaction, account, mailbox, entries)
