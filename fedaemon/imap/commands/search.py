"""SEARCH.

Standards: RFC 9051 6.4.4, RFC 3501 6.4.4, RFC 4731 3.1, RFC 5182 2.1 (SAVE), RFC 7162 3.1.5 (MODSEQ), RFC 9394 3.1
(PARTIAL), RFC 9585 4 (INPROGRESS), RFC 9586 3.3.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable
from functools import partial
from typing import Final

from fedaemon.imap.events import Command
from fedaemon.imap.parse.search import Result, Return, Search
from fedaemon.imap.search import results
from fedaemon.imap.search.finding import find, pace_of
from fedaemon.imap.search.pace import Pace
from fedaemon.imap.search.plan import wants_modseq
from fedaemon.imap.session import Done, Session

_ALL: Final = Return(frozenset((Result.ALL,)))


async def run(session: Session, arguments: Search, command: Command) -> Done:
    """Tell which messages there are. Spec: RFC 9051 6.4.4"""
    pace = pace_of(session, command)
    returns = arguments.returns
    found = await find(session, arguments.key, command, returns, pace)
    if results.saves(returns):
        uids = await _joined("I", [partial(hits.numbers, uid=True) for hits in found], pace)
        if results.keep(session, returns, uids):
            return Done("Saved")
    numbers = await _joined("I", [partial(hits.numbers, uid=command.uid) for hits in found], pace)
    modseqs = None
    if wants_modseq(arguments.key):
        modseqs = await _joined("Q", [hits.modseqs for hits in found], pace)
    if returns is None and not session.rev2:
        await results.say_numbers(session, b"SEARCH", numbers, max(modseqs) if modseqs else None)
    else:
        session.say(results.esearch(command, returns or _ALL, numbers, modseqs))
    return Done("Searched")


async def _joined(typecode: str, parts: list[Callable[[], array[int]]], pace: Pace) -> array[int]:
    joined = array(typecode)
    for part in parts:
        joined += part()
        await pace.step()
    return joined
