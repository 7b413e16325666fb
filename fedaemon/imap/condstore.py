"""Mod-sequences are told from the first command on that shows that the client knows them.

Standards: RFC 7162 3.1, 3.1.2.1.
"""

from __future__ import annotations

from itertools import compress

from fedaemon.imap import writer
from fedaemon.imap.session import Session
from fedaemon.mailbox import columns as c
from fedaemon.mailbox.view import View


def enable_condstore(session: Session) -> None:
    """From now on mod-sequences are told; say up to which one the client knows all. Spec: RFC 7162 3.1"""
    if session.condstore:
        return
    session.enabled.add(b"CONDSTORE")
    if session.selected is not None:
        code = b"HIGHESTMODSEQ %d" % _told(session.selected.view)
        session.say(writer.status(None, b"OK", "Changes are numbered", code))


def _told(view: View) -> int:
    """Return the highest mod-sequence of what the session was told; the mailbox's may be of an expunge."""
    live = (compress(chunk.modseqs, chunk.flags.translate(c.LIVE)) for chunk in view.chunks)
    return max((max(modseqs, default=1) for modseqs in live), default=1)
