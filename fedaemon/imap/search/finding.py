"""Finding the messages of the selected mailbox that a key means, piece by piece.

Standards: RFC 9051 6.4.4, RFC 5182 2.1 (SAVE), RFC 7162 3.1 (MODSEQ enables CONDSTORE), RFC 9586 3.3.
Invariants: a command with SAVE that is answered NO leaves nothing in ``$``; one that is answered BAD changes
nothing.
Known gaps: BADCHARSET is a NO, too, but leaves ``$`` as it was: the command is never begun.
"""

from __future__ import annotations

from fedaemon.imap.addressing import UidRequired
from fedaemon.imap.condstore import enable_condstore
from fedaemon.imap.events import Command
from fedaemon.imap.parse.search import Return
from fedaemon.imap.parse.search_keys import Key
from fedaemon.imap.search.matching import matching
from fedaemon.imap.search.pace import Pace
from fedaemon.imap.search.piece import Hits, pieces
from fedaemon.imap.search.plan import Node, plan, wants_modseq
from fedaemon.imap.search.results import saves
from fedaemon.imap.sequence_set import Ranges
from fedaemon.imap.session import Session


async def find(
    session: Session, key: Key, command: Command, returns: Return | None, pace: Pace
) -> list[Hits]:
    """Return the messages that *key* means, in the order of their numbers.

    :raises UidRequired: for sequence numbers in a session without them.

    Spec: RFC 9051 6.4.4, RFC 5182 2.1 (what is left of ``$`` after NO)
    """
    if session.uid_only and not command.uid:
        raise UidRequired("This session has UIDs only: use the UID form of the command")
    if wants_modseq(key):
        enable_condstore(session)
    node = plan(session, key)
    try:
        return await _all_hits(session, node, pace)
    except Exception:
        if saves(returns):
            session.need_selected.saved = Ranges()
        raise


async def _all_hits(session: Session, node: Node, pace: Pace) -> list[Hits]:
    found = []
    for piece in pieces(session.need_selected.view):
        hits = Hits(piece, await matching(session, node, piece, piece.shown, pace))
        if hits:
            found.append(hits)
        pace.done += piece.shown.count(1)
        await pace.step()
    return found


def pace_of(session: Session, command: Command) -> Pace:
    """Return the pace of a command that looks at all messages."""
    return Pace(session, command.tag, session.need_selected.view.exists)
