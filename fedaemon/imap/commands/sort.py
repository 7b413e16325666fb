"""SORT.

Standards: RFC 5256 3, RFC 5267 3 (ESORT), RFC 5182 2.1 (SAVE), RFC 5957 3 (DISPLAYFROM, DISPLAYTO), RFC 9394
3.1 (PARTIAL), RFC 7162 3.1.5.
Limits: A_TURN messages are sorted where they are, more in a thread.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from functools import partial
from itertools import compress
from typing import Final

from fedaemon.imap.events import Command
from fedaemon.imap.operations import InThread
from fedaemon.imap.parse.search import Sort, SortField
from fedaemon.imap.search import results
from fedaemon.imap.search.columns import facts, texts
from fedaemon.imap.search.finding import find, pace_of
from fedaemon.imap.search.pace import Pace
from fedaemon.imap.search.piece import Hits
from fedaemon.imap.search.plan import wants_modseq
from fedaemon.imap.session import Done, Session
from fedaemon.imap.sorting import Sortable, collated, sort
from fedaemon.mailbox import columns as c
from fedaemon.mailbox.rows import NO_DATE

A_TURN: Final = 5_000
"""To sort 20,000 messages takes 10 ms."""

_TEXTS: Final = {
    SortField.CC: c.SORT_CC,
    SortField.FROM: c.SORT_FROM,
    SortField.TO: c.SORT_TO,
    SortField.SUBJECT: c.BASE_SUBJECT,
    SortField.DISPLAYFROM: c.DISPLAY_FROM,
    SortField.DISPLAYTO: c.DISPLAY_TO,
}


async def run(session: Session, arguments: Sort, command: Command) -> Done:
    """Tell which messages there are, in the order asked for. Spec: RFC 5256 3"""
    pace = pace_of(session, command)
    returns = arguments.returns
    fields = frozenset([field for field, _ in arguments.order])
    rows: list[Sortable] = []
    numbers: dict[int, int] = {}
    modseqs: dict[int, int] = {}
    for hits in await find(session, arguments.key, command, returns, pace):
        uids = hits.numbers(uid=True)
        rows += await _sortables(session, hits, uids, fields, pace)
        numbers.update(zip(uids, hits.numbers(uid=command.uid), strict=True))
        modseqs.update(zip(uids, hits.modseqs(), strict=True))
        await pace.step()
    ordered = array("I", await _sorted(rows, arguments))
    if results.saves(returns) and results.keep(session, returns, ordered):
        return Done("Saved")
    told = array("I", map(numbers.__getitem__, ordered))
    changed = array("Q", map(modseqs.__getitem__, ordered)) if wants_modseq(arguments.key) else None
    if returns is None:
        await results.say_numbers(session, b"SORT", told, max(changed) if changed else None)
    else:
        session.say(results.esearch(command, returns, told, changed))
    return Done("Sorted")


async def _sorted(rows: list[Sortable], arguments: Sort) -> list[int]:
    """Return the UIDs in their order."""
    if len(rows) <= A_TURN:
        return sort(rows, arguments.order)
    ordered: list[int] = await InThread(partial(sort, rows, arguments.order))
    return ordered


async def _sortables(
    session: Session, hits: Hits, uids: array[int], fields: frozenset[SortField], pace: Pace
) -> list[Sortable]:
    """Return what is compared, without the texts that are not asked for."""
    piece, mask = hits.piece, hits.mask
    wanted = [field for field in _TEXTS if field in fields]
    columns = await texts(session, piece, mask, [_TEXTS[field] for field in wanted], pace) if wanted else []
    found = {
        field: compress(collated(column).split(b"\n"), mask)
        for field, column in zip(wanted, columns, strict=True)
    }
    sizes, internal, sent = [
        compress(values, mask) for values in await facts(session, piece, (c.SIZE, c.INTERNAL, c.SENT))
    ]

    def text(field: SortField) -> Iterator[bytes]:
        return iter(found.get(field, (b"",) * len(uids)))

    return [
        Sortable(uid, arrival_s, cc, arrival_s if sent_s == NO_DATE else sent_s, size, *rest)
        for uid, arrival_s, cc, sent_s, size, *rest in zip(
            uids,
            internal,
            text(SortField.CC),
            sent,
            sizes,
            text(SortField.FROM),
            text(SortField.TO),
            text(SortField.SUBJECT),
            text(SortField.DISPLAYFROM),
            text(SortField.DISPLAYTO),
            strict=True,
        )
    ]
