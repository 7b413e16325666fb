"""Telling a session what has changed in its mailbox: EXPUNGE, VANISHED, FETCH, FLAGS, EXISTS, RECENT.

Standards: RFC 9051 5.2, 7.4, 7.5.1, 7.5.2 (UID in what was not asked for), RFC 7162 3.1.4, 3.2.10, RFC 9586 3.4,
RFC 3501 7.3.2 (RECENT).
Invariants: each change is told once; EXPUNGE comes before the numbers that follow from it, EXISTS after.
"""

from __future__ import annotations

from functools import partial
from typing import Final

from fedaemon.imap import writer
from fedaemon.imap.flags import SYSTEM, FlagTexts
from fedaemon.imap.operations import Read, Room
from fedaemon.imap.sequence_set import Ranges
from fedaemon.imap.session import BLOCK, Selected, Session
from fedaemon.mailbox.live import Now
from fedaemon.mailbox.view import Difference
from fedaemon.mailbox.words import MAX_KEYWORDS

LINES: Final = 500
"""So many are queued at once: some 30 kB."""


async def tell(session: Session, *, may_expunge: bool) -> None:
    """Tell what has changed since the session was told last.

    :param may_expunge: False behind FETCH, STORE and SEARCH without UID.
    :raises MailboxGone: it was deleted.

    Spec: RFC 9051 5.2, 7.5.1
    """
    if not session.noticed and not (session.selected is not None and session.selected.behind):
        return
    session.noticed = False
    if session.selected is not None:
        difference = await sync(session, may_expunge=may_expunge)
        await say_difference(session, difference)
    await tell_others(session)


async def tell_others(session: Session) -> None:
    """Tell what has changed in other mailboxes, and of names. Spec: RFC 5465 5"""
    if session.notifications is not None:
        await Read(partial(session.notifications.tell, session))


async def sync(session: Session, *, may_expunge: bool) -> Difference:
    """See the mailbox as it is now, and return what the session is to be told of it.

    New keywords are told at once, since what follows names them.

    :raises MailboxGone: it was deleted.
    """
    selected = session.need_selected
    # What may not be told now is told later.
    selected.behind = not may_expunge
    now = await Read(selected.live.now)
    if now.keywords != selected.keywords:
        selected.keywords = now.keywords
        say_flags(session, selected)
    difference = selected.view.sync(now.mailbox, may_expunge=may_expunge)
    if difference.added and not session.rev2:
        claim_recent(selected, now)
    return difference


async def say_difference(session: Session, difference: Difference) -> None:
    """Tell a difference that ``sync`` returned."""
    selected = session.need_selected
    if difference.expunged:
        say_expunged(session, difference)
    texts = FlagTexts(session)
    for at in range(0, len(difference.changed), LINES):
        lines = [
            changed_line(session, number, uid, texts.text(uid, flags), modseq)
            for number, uid, flags, modseq in difference.changed[at : at + LINES]
        ]
        session.say(b"".join(lines))
        if session.queued >= BLOCK:
            await Room()
    if difference.added:
        session.say(writer.untagged(b"%d" % selected.view.exists, b"EXISTS"))
        if not session.rev2:
            say_recent(session, selected)


def changed_line(session: Session, number: int, uid: int, flags: bytes, modseq: int) -> bytes:
    """Return the line that tells of a message's flags, and its mod-sequence where that is enabled.

    Spec: RFC 9051 7.5.2, RFC 7162 3.1.4, RFC 9586 3.4
    """
    end = b" MODSEQ (%d))\r\n" % modseq if session.condstore else b")\r\n"
    if session.uid_only:
        return b"* %d UIDFETCH (FLAGS %b%b" % (uid, flags, end)
    return b"* %d FETCH (UID %d FLAGS %b%b" % (number, uid, flags, end)


def say_expunged(session: Session, difference: Difference) -> None:
    """Tell of expunged messages. Spec: RFC 9051 7.5.1, RFC 7162 3.2.10, RFC 9586 3.4"""
    if session.qresync or session.uid_only:
        gone = Ranges.of(uid for _, uid in difference.expunged)
        session.say(writer.untagged(b"VANISHED", gone.encode()))
        return
    # From the last one on, so that no number is changed by another.
    lines = [b"* %d EXPUNGE\r\n" % number for number, _ in reversed(difference.expunged)]
    session.say(b"".join(lines))


def say_flags(session: Session, selected: Selected) -> None:
    """Tell which flags there are. Spec: RFC 9051 7.3.5, 7.1 (PERMANENTFLAGS)"""
    names = [*SYSTEM, *(name.encode("ascii") for name in selected.keywords)]
    session.say(writer.untagged(b"FLAGS", writer.flag_list(names)))
    if selected.read_only:
        names = []
    elif len(selected.keywords) < MAX_KEYWORDS:
        names.append(rb"\*")
    session.say(writer.status(None, b"OK", "Flags that are kept", writer.permanent_flags(names)))


def say_recent(session: Session, selected: Selected) -> None:
    """Tell how many messages are \\Recent in this session. Spec: RFC 3501 7.3.2"""
    count = 0
    if selected.recent:
        there = Ranges(selected.recent).slices(selected.view.uids())
        count = sum(stop - start for start, stop in there)
    session.say(writer.untagged(b"%d" % count, b"RECENT"))


def claim_recent(selected: Selected, now: Now) -> None:
    """Take those messages as \\Recent that no other session was told of. Spec: RFC 3501 2.3.2"""
    state = now.mailbox.state
    first = max(state.recent_from, selected.live.recent_from)
    if first < state.uidnext:
        selected.recent.append((first, state.uidnext - 1))
        if not selected.read_only:
            selected.live.recent_from = state.uidnext
