"""Quick resynchronisation: what a client has missed while it was away.

Standards: RFC 7162 3.2.5, 3.2.6, 3.2.10.
Known gaps: the client's sequence match data (3.2.5.2) is not looked at: what was expunged is known as long as the
history reaches, and told for all UIDs the client knows beyond.
"""

from __future__ import annotations

from functools import partial

from fedaemon.imap import writer
from fedaemon.imap.flags import FlagTexts
from fedaemon.imap.operations import Read, Room
from fedaemon.imap.parse.mailboxes import QResync
from fedaemon.imap.sequence_set import Ranges
from fedaemon.imap.session import BLOCK, Session
from fedaemon.imap.updates import changed_line
from fedaemon.mailbox.changing import runs
from fedaemon.mailbox.history import vanished_since, without
from fedaemon.mailbox.live import Now


async def resync(session: Session, known: QResync, now: Now) -> None:
    """Tell what changed since *known*; nothing when the UIDs it knows are of another time.

    Spec: RFC 7162 3.2.5
    """
    selected = session.need_selected
    state = now.mailbox.state
    if known.uid_validity != state.uidvalidity or known.modseq >= state.modseq:
        return
    if known.known_uids is not None:
        uids = known.known_uids.resolve(max(1, state.uidnext - 1))
    else:
        uids = Ranges([(1, state.uidnext - 1)] if state.uidnext > 1 else [])
    gone = await Read(
        partial(vanished_since, mailbox_id=selected.id, modseq=known.modseq, known=tuple(uids.pairs()))
    )
    # Those that EXISTS has counted are told by VANISHED without EARLIER, which takes them off the count.
    gone = without(gone, runs(selected.view.uids()))
    if gone:
        session.say(writer.untagged(b"VANISHED (EARLIER)", Ranges(gone).encode()))
    texts = FlagTexts(session)
    for number, uid, flags, modseq in selected.view.changed_since(known.modseq):
        if uid in uids:
            session.say(changed_line(session, number, uid, texts.text(uid, flags), modseq))
            if session.queued >= BLOCK:
                await Room()
