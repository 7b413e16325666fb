"""SELECT and EXAMINE.

Standards: RFC 9051 6.3.2, 6.3.3, 7.1 (CLOSED, READ-ONLY), RFC 3501 6.3.1 (RECENT, UNSEEN), RFC 7162 3.1.2
(HIGHESTMODSEQ), 3.2.5 (QRESYNC), RFC 8474 4 (MAILBOXID).
Invariants: the mailbox that was selected is left first, also when the new one cannot be selected.
"""

from __future__ import annotations

from functools import partial

from fedaemon.errors import BadSyntax
from fedaemon.imap import updates, writer
from fedaemon.imap.access import mailbox_named
from fedaemon.imap.condstore import enable_condstore
from fedaemon.imap.events import Command
from fedaemon.imap.operations import Read, WriteLater
from fedaemon.imap.parse.mailboxes import Select
from fedaemon.imap.resync import resync
from fedaemon.imap.session import Done, Selected, Session
from fedaemon.mailbox import state as states
from fedaemon.mailbox.live import LiveMailbox, Now
from fedaemon.mailbox.mailboxes import Mailbox
from fedaemon.mailbox.view import View
from fedaemon.store.interface import Transaction


async def run(session: Session, arguments: Select, command: Command) -> Done:
    """Select a mailbox. Spec: RFC 9051 6.3.2, 6.3.3"""
    if arguments.qresync is not None and not session.qresync:
        raise BadSyntax("QRESYNC has to be enabled first")
    if session.selected is not None:
        session.deselect()
        # Clients that talk about two mailboxes at a time need to know where one ends.
        session.say(writer.status(None, b"OK", "The mailbox before is closed", b"CLOSED"))
    mailbox = await Read(mailbox_named(session, arguments.name))
    if arguments.condstore:
        enable_condstore(session)
    live = session.settings.live.open(mailbox.id, session.notice)
    try:
        now = await Read(live.now)
    except BaseException:
        session.settings.live.close(live, session.notice)
        raise
    selected = _selected(live, now, mailbox, read_only=command.name == b"EXAMINE")
    session.select(selected)
    session.noticed = False
    await _describe(session, selected, now, mailbox)
    if arguments.qresync is not None:
        await resync(session, arguments.qresync, now)
    if selected.read_only:
        return Done("Opened for reading", b"READ-ONLY")
    return Done("Opened", b"READ-WRITE")


def _selected(live: LiveMailbox, now: Now, mailbox: Mailbox, *, read_only: bool) -> Selected:
    return Selected(live, View(now.mailbox), mailbox.name, read_only, now.keywords)


async def _describe(session: Session, selected: Selected, now: Now, mailbox: Mailbox) -> None:
    """Say what a client has to know of the mailbox. Spec: RFC 9051 6.3.2"""
    state = now.mailbox.state
    session.say(writer.untagged(b"%d" % selected.view.exists, b"EXISTS"))
    if not session.rev2:
        updates.claim_recent(selected, now)
        updates.say_recent(session, selected)
        if not selected.read_only and state.recent_from < state.uidnext:
            await WriteLater(partial(_recent_seen, mailbox.id, state.uidnext))
        unseen = selected.view.first_unseen()
        if unseen is not None:
            session.say(writer.status(None, b"OK", "The first that is not read", b"UNSEEN %d" % unseen))
    updates.say_flags(session, selected)
    for words, code in (
        ("UIDs are valid", b"UIDVALIDITY %d" % state.uidvalidity),
        ("The next UID", b"UIDNEXT %d" % state.uidnext),
        ("Changes are numbered", b"HIGHESTMODSEQ %d" % state.modseq),
        ("The mailbox has an id", b"MAILBOXID (%s)" % mailbox.id.encode("ascii")),
    ):
        session.say(writer.status(None, b"OK", words, code))
    if session.rev2:
        name = writer.mailbox(mailbox.name, utf8=session.utf8)
        session.say(writer.untagged(b'LIST () "/"', name))


def _recent_seen(mailbox_id: str, uidnext: int, transaction: Transaction) -> None:
    """The messages below *uidnext* are \\Recent for nobody else."""
    before = states.need(transaction, mailbox_id)
    if before.recent_from < uidnext:
        after = before._replace(recent_from=uidnext)
        states.save(transaction, mailbox_id, before, after, chunks=(), tail=False)
