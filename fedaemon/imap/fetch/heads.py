"""The beginnings of FETCH answers: what the columns of the mailbox know, for the messages of a span at once.

Standards: RFC 9051 7.5.2, RFC 8474 5, RFC 8514 4.
Invariants: sealing and compaction may have moved rows since the session looked: a record is taken only where it
has the same UIDs, and otherwise each message is looked for by its UID.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from fedaemon.imap import object_ids
from fedaemon.imap.fetch.dates import date_time
from fedaemon.imap.fetch.plan import FACTS, Plan
from fedaemon.imap.fetch.spans import Span
from fedaemon.imap.flags import FlagTexts
from fedaemon.imap.parse.fetch import Item
from fedaemon.mailbox import columns as c
from fedaemon.mailbox import reading
from fedaemon.mailbox.changing import runs
from fedaemon.mailbox.opened import Chunk
from fedaemon.mailbox.rows import fact_columns
from fedaemon.store.interface import Snapshot

Facts = Mapping[int, Sequence[int]]
"""By column: the values of the messages of a span."""

_EVERY_ROW: Final = b"\x01" * 256


def read_facts(span: Span, columns: Sequence[int], mailbox_id: str, snapshot: Snapshot) -> tuple[Span, Facts]:
    """Return the facts of messages, also of expunged ones; those that are purged are left out of the span.

    :param columns: which facts; none are read when empty.
    """
    if not columns:
        return span, {}
    first_uid = span.chunk.first_uid
    state = reading.group(snapshot, mailbox_id, c.STATE_GROUP, first_uid)
    if state and c.unpack(c.UID, state[c.UID]) == span.chunk.uids:
        record = reading.group(snapshot, mailbox_id, c.FACTS_GROUP, first_uid)
        places: Iterable[int] = span.rows
    else:
        uids = span.uids()
        found = list(reading.rows(snapshot, mailbox_id, runs(uids), _EVERY_ROW))
        there = {row.uid for row in found}
        if len(there) < len(uids):
            span = span.only([at for at, uid in enumerate(uids) if uid in there])
        record, places = fact_columns(found) if found else dict.fromkeys(columns, b""), range(len(found))
    places = list(places)
    return span, {
        column: list(map(c.unpack(column, record[column]).__getitem__, places)) for column in columns
    }


def heads(plan: Plan, texts: FlagTexts, span: Span, facts: Facts) -> list[bytes]:
    """Return the beginning of each answer; all of it when columns know all that is asked."""
    values = [_VALUES[item](texts, span, facts) for item in plan.columns]
    first: Iterable[int] = span.uids() if plan.by_uid else span.numbers
    template = plan.template
    return [template % row for row in zip(first, *values, strict=True)]


def flags_of(chunk: Chunk, rows: Sequence[int]) -> list[int]:
    """Return the flags of rows, keywords among them."""
    if chunk.planes:
        return list(map(chunk.flags_at, rows))
    return list(map(chunk.flags.__getitem__, rows))


def _fact(
    item: Item, written: Callable[[int], object]
) -> Callable[[FlagTexts, Span, Facts], Iterable[object]]:
    """Return what makes values of a column that is read."""

    def values(texts: FlagTexts, span: Span, facts: Facts) -> Iterable[object]:
        return map(written, facts[FACTS[item]])

    return values


def _flags(texts: FlagTexts, span: Span, facts: Facts) -> Iterable[object]:
    return map(texts.text, span.uids(), flags_of(span.chunk, span.rows))


def _modseqs(texts: FlagTexts, span: Span, facts: Facts) -> Iterable[object]:
    return map(span.chunk.modseqs.__getitem__, span.rows)


def _uids(texts: FlagTexts, span: Span, facts: Facts) -> Iterable[object]:
    return span.uids()


def _thread(thread: int) -> bytes:
    name = object_ids.thread_id(thread)
    return b"NIL" if name is None else b"(" + name + b")"


_VALUES: Final[dict[Item, Callable[[FlagTexts, Span, Facts], Iterable[object]]]] = {
    Item.UID: _uids,
    Item.FLAGS: _flags,
    Item.MODSEQ: _modseqs,
    Item.RFC822_SIZE: _fact(Item.RFC822_SIZE, int),
    Item.INTERNALDATE: _fact(Item.INTERNALDATE, date_time),
    Item.SAVEDATE: _fact(Item.SAVEDATE, date_time),
    Item.EMAILID: _fact(Item.EMAILID, object_ids.email_id),
    Item.THREADID: _fact(Item.THREADID, _thread),
}
