"""GETMETADATA.

Standards: RFC 5464 4.2 (DEPTH, MAXSIZE), 4.4.1, RFC 6154 4 (/private/specialuse).
Invariants: an entry without a value is told as NIL where it was asked for by its name alone.
"""

from __future__ import annotations

from functools import partial

from fedaemon.imap import writer
from fedaemon.imap.access import mailbox_named
from fedaemon.imap.events import Command
from fedaemon.imap.operations import Read, Room, Turn
from fedaemon.imap.parse.metadata import WHOLE_TREE, GetMetadata
from fedaemon.imap.session import BLOCK, Done, Session
from fedaemon.mailbox import metadata
from fedaemon.store.interface import Snapshot


async def run(session: Session, arguments: GetMetadata, command: Command) -> Done:
    """Tell annotations of a mailbox or of the account. Spec: RFC 5464 4.2"""
    found: dict[str, bytes | None] = {}
    for entry in arguments.entries:
        found |= await Read(partial(_read, session, arguments, entry.decode("ascii")))
        await Turn()
    longest = 0
    if arguments.max_size is not None:
        too_long = {
            name: len(value) for name, value in found.items() if value and len(value) > arguments.max_size
        }
        found = {name: value for name, value in found.items() if name not in too_long}
        longest = max(too_long.values(), default=0)
    await _say(session, arguments.mailbox, found)
    return Done("That is all", b"METADATA LONGENTRIES %d" % longest if longest else b"")


def _read(
    session: Session, arguments: GetMetadata, entry: str, snapshot: Snapshot
) -> dict[str, bytes | None]:
    mailbox = mailbox_named(session, arguments.mailbox)(snapshot) if arguments.mailbox else None
    account = mailbox.account if mailbox is not None else session.account
    depth = None if arguments.depth == WHOLE_TREE else arguments.depth
    found: dict[str, bytes | None] = {entry: None} if depth == 0 else {}
    return found | metadata.read(snapshot, account, mailbox, entry, depth)


async def _say(session: Session, name: str, entries: dict[str, bytes | None]) -> None:
    """Tell all entries in one response. Spec: RFC 5464 4.4.1"""
    before = b"* METADATA " + writer.mailbox(name, utf8=session.utf8) + b" ("
    for entry, value in entries.items():
        shown = (
            writer.literal8(value) if value and b"\0" in value else writer.nstring(value, utf8=session.utf8)
        )
        session.say(before + writer.astring(entry.encode("ascii")) + b" " + shown)
        before = b" "
        if session.queued >= BLOCK:
            await Room()
    if entries:
        session.say(b")\r\n")
