"""What is measured of one layout, and whether its answers agree with its counters."""

from __future__ import annotations

import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

from bench.layout import plain
from bench.layout.columns import Column
from bench.layout.design import CHUNK, ROW, SHAPE, Design
from bench.layout.messages import DELETED, GONE, SEEN, Message, make
from bench.layout.view import View, newly_changed
from bench.layout.writing import Writer, state_of
from fedaemon.store.interface import Snapshot, Transaction
from fedaemon.store.lmdb_engine import LmdbEngine

APPENDS: Final = 300
BEST_OF: Final = 5
_TWENTY: Final = range(1, 20_001)
_KIB: Final = 1024
Change = Callable[[Transaction], object]


@dataclass(slots=True)
class Figures:
    """What was measured of one design: row title → value; the unit is in the title."""

    rows: dict[str, float] = field(default_factory=dict)

    def best(self, title: str, function: Callable[[], object], times: int = BEST_OF) -> None:
        """Note the shortest of *times* runs, in ms."""
        taken = []
        for _ in range(times):
            began = time.perf_counter()
            function()
            taken.append(time.perf_counter() - began)
        self.rows[f"{title}, ms"] = min(taken) * 1000

    def writes(self, title: str, functions: Sequence[Change], engine: LmdbEngine, together: int = 1) -> None:
        """Note CPU, elapsed time and octets written for each transaction of *together* of *functions*."""
        written, cpu, began = _written(), time.process_time(), time.perf_counter()
        for start in range(0, len(functions), together):
            for call in engine.transact_all(functions[start : start + together]):
                if call.error is not None:
                    raise call.error
        count = len(functions) // together
        self.rows[f"{title}, ms"] = (time.perf_counter() - began) * 1000 / count
        self.rows[f"{title}, CPU ms"] = (time.process_time() - cpu) * 1000 / count
        self.rows[f"{title}, KiB written"] = (_written() - written) / _KIB / count


def measure_design(design: Design, messages: int, directory: Path) -> Figures:
    """Measure one layout with a mailbox of *messages*.

    :raises AssertionError: when the layout gives a wrong answer.
    """
    figures = Figures()
    writer = Writer(design)
    with tempfile.TemporaryDirectory(dir=directory) as name:
        engine = LmdbEngine.open(Path(name))
        try:
            _fill(engine, writer, messages)
            _measure_size(figures, engine, messages)
            _measure_reads(figures, engine, design, messages)
            _measure_memory(figures, engine, design)
            _measure_changes(figures, engine, writer, messages)
            _check(engine, design)
            _measure_appends(figures, engine, writer, messages)
            if design.log:
                _measure_tail(figures, engine, writer)
            _check(engine, design)
        finally:
            engine.close()
    return figures


def measure_plain(messages: int, directory: Path) -> Figures:
    """Measure the layout without chunks."""
    figures = Figures()
    with tempfile.TemporaryDirectory(dir=directory) as name:
        engine = LmdbEngine.open(Path(name))
        try:
            for batch in _batches(messages):
                engine.transact(_append(plain.append, batch))
            figures.best("open", lambda: engine.view(plain.unseen), times=2)
            figures.best("SEARCH UNSEEN", lambda: engine.view(plain.unseen), times=1)
            shapes = partial(plain.shapes, uids=_TWENTY)
            figures.best("FETCH 1:20000 (ENVELOPE BODYSTRUCTURE)", lambda: engine.view(shapes), times=2)
            for count in ("first", "again"):
                title = f"SEARCH SUBJECT, rare, {count}"
                figures.best(title, lambda: engine.view(_plain_subject), times=1)
            step = max(1, messages // 64)
            ones = [_plain_flag("\\Deleted", range(uid, uid + 1)) for uid in range(1, messages, step)]
            figures.writes("STORE of one", ones, engine)
            figures.writes("STORE on 20,000", [_plain_flag("\\Seen", _TWENTY)], engine)
            _time_appends(figures, engine, plain.append, messages)
        finally:
            engine.close()
    return figures


def _plain_subject(snapshot: Snapshot) -> list[int]:
    return plain.subject(snapshot, "zusammenfassung")


def _plain_flag(flag: str, uids: range) -> Change:
    return lambda transaction: plain.add_flag(transaction, flag, uids)


def _batches(messages: int) -> Iterator[list[Message]]:
    for start in range(1, messages + 1, 1000):
        yield [make(number) for number in range(start, min(start + 1000, messages + 1))]


def _fill(engine: LmdbEngine, writer: Writer, messages: int) -> None:
    """Append the mailbox, a thousand messages a transaction."""
    for batch in _batches(messages):
        engine.transact(_append(writer.append, batch))
        while engine.transact(writer.seal):
            pass


def _measure_size(figures: Figures, engine: LmdbEngine, messages: int) -> None:
    def octets(snapshot: Snapshot, space: str) -> int:
        return sum(len(value) for _, value in snapshot.scan((space,)))

    for title, space in (("chunks", CHUNK), ("rows outside chunks", ROW), ("shapes", SHAPE)):
        total = engine.view(partial(octets, space=space))
        figures.rows[f"{title}, octets a message"] = total / messages


def _measure_reads(figures: Figures, engine: LmdbEngine, design: Design, messages: int) -> None:
    def opened() -> View:
        return engine.view(lambda snapshot: View.open(design, snapshot))

    figures.best("open", opened)
    figures.best("STATUS", lambda: engine.view(state_of))
    view = opened()
    figures.best("SELECT of an open mailbox: counts, first unseen", view.counts)
    figures.best("UIDs by sequence number", view.uids)
    figures.best("FETCH 1:* (UID FLAGS MODSEQ)", lambda: sum(len(piece) for piece in view.fetch_flags()))
    figures.best("FETCH 1:20000 (ENVELOPE BODYSTRUCTURE)", lambda: engine.view(_fetch_shapes), times=2)
    figures.best("SEARCH UNSEEN", view.unseen)
    figures.best("SEARCH MODSEQ", lambda: view.changed_since(messages))

    def since() -> object:
        least = 1_600_000_000 + messages * 300
        return engine.view(lambda snapshot: view.at_least(snapshot, Column.INTERNAL, least))

    def larger() -> object:
        return engine.view(lambda snapshot: view.at_least(snapshot, Column.SIZE, 50_001))

    figures.best("SEARCH SINCE, first", since, times=1)
    figures.best("SEARCH SINCE, again", since)
    figures.best("SEARCH LARGER, again", larger)
    for title, column, needle in (
        ("SEARCH SUBJECT, rare", Column.SUBJECT, b"zusammenfassung"),
        ("SEARCH SUBJECT, 1 in 8", Column.SUBJECT, "überw".encode()),
        ("SEARCH FROM", Column.FROM, b"rossi39@example7.com"),
    ):
        search = _text_search(engine, view, column, needle)
        figures.best(f"{title}, first", search, times=1)
        figures.best(f"{title}, again", search)


def _fetch_shapes(snapshot: Snapshot) -> int:
    return sum(map(len, View.fetch_shapes(snapshot, _TWENTY)))


def _text_search(engine: LmdbEngine, view: View, column: Column, needle: bytes) -> Callable[[], object]:
    return lambda: engine.view(lambda snapshot: view.text(snapshot, column, needle))


def _measure_memory(figures: Figures, engine: LmdbEngine, design: Design) -> None:
    tracemalloc.start()
    try:
        view = engine.view(lambda snapshot: View.open(design, snapshot))
        figures.rows["memory of an open mailbox, KiB"] = tracemalloc.get_traced_memory()[0] / _KIB
        engine.view(lambda snapshot: view.at_least(snapshot, Column.SIZE, 1))
        figures.rows["memory with sizes and dates, KiB"] = tracemalloc.get_traced_memory()[0] / _KIB
        before = tracemalloc.get_traced_memory()[0]
        session = View(design, (*view.chunks,))
        figures.rows["memory of one more session, KiB"] = (tracemalloc.get_traced_memory()[0] - before) / _KIB
        assert session.chunks == view.chunks
    finally:
        tracemalloc.stop()


def _measure_changes(figures: Figures, engine: LmdbEngine, writer: Writer, messages: int) -> None:
    """STORE and EXPUNGE; what is asked for in the middle of the mailbox stays clear of what was asked before."""
    step = max(1, messages // 64)
    everywhere = [range(uid, uid + 1) for uid in range(1, messages, step)]
    figures.writes("STORE of one", [_flag(writer, DELETED, uids) for uids in everywhere], engine)
    twenty = range(1, min(messages, 20_000) + 1)
    before = engine.view(lambda snapshot: View.open(writer.design, snapshot))
    figures.writes("STORE on 20,000", [_flag(writer, SEEN, twenty)], engine)
    after = engine.view(lambda snapshot: View.open(writer.design, snapshot))
    figures.best("what another session is to be told of it", lambda: newly_changed(before, after))
    figures.writes("STORE on 20,000, nothing to do", [_flag(writer, SEEN, twenty)], engine)
    expunges = [_expunge(writer, uids) for uids in everywhere]
    figures.writes("EXPUNGE of one", expunges, engine)
    _check(engine, writer.design)
    middle = messages // 2
    many = range(middle, middle + min(10_000, messages // 4))
    figures.writes("EXPUNGE of 10,000", [_expunge(writer, many)], engine)
    firsts = engine.view(writer.first_uids)
    # A chunk each, as when the retention of the one expunged message in it is over.
    compactions = [_compaction(writer, uid) for uid in firsts[: len(firsts) // 2][:20]]
    if compactions:
        figures.writes("compaction of one chunk", compactions, engine)


def _flag(writer: Writer, bit: int, uids: range) -> Change:
    return lambda transaction: writer.add_flag(transaction, bit, uids)


def _expunge(writer: Writer, uids: range) -> Change:
    return lambda transaction: writer.expunge(transaction, uids)


def _compaction(writer: Writer, uid: int) -> Change:
    return lambda transaction: writer.compact(transaction, uid)


def _append(append: Callable[[Transaction, list[Message]], object], batch: list[Message]) -> Change:
    return lambda transaction: append(transaction, batch)


def _measure_appends(figures: Figures, engine: LmdbEngine, writer: Writer, messages: int) -> None:
    _time_appends(figures, engine, writer.append, messages)
    seals = 0
    began = time.perf_counter()
    while engine.transact(writer.seal):
        seals += 1
    if seals:
        figures.rows["making one chunk of rows, ms"] = (time.perf_counter() - began) * 1000 / seals


def _measure_tail(figures: Figures, engine: LmdbEngine, writer: Writer) -> None:
    """What costs most with rows: as many outside chunks as there can be, which is one too few for a chunk."""
    rows = engine.view(lambda snapshot: sum(1 for _ in snapshot.scan((ROW,))))
    last = engine.view(state_of).uidnext
    batch = [make(last + offset) for offset in range(writer.design.rows - 1 - rows)]
    engine.transact(_append(writer.append, batch))
    view = engine.view(lambda snapshot: View.open(writer.design, snapshot))
    figures.best("open with the longest tail", lambda: engine.view(partial(View.open, writer.design)))
    search = _text_search(engine, view, Column.SUBJECT, b"zusammenfassung")
    figures.best("SEARCH SUBJECT, rare, with the longest tail", search)
    uids = engine.view(lambda snapshot: [int(key[2]) for key, _ in snapshot.scan((ROW,))])
    ones = [_flag(writer, DELETED, range(uid, uid + 1)) for uid in uids[-50:]]
    figures.writes("STORE of one in the tail", ones, engine)
    figures.writes("STORE on the whole tail", [_flag(writer, SEEN, range(uids[0], uids[-1] + 1))], engine)


def _time_appends(
    figures: Figures, engine: LmdbEngine, append: Callable[[Transaction, list[Message]], object], number: int
) -> None:
    for together in (1, 10):
        appends = []
        for _ in range(APPENDS * together):
            number += 1
            appends.append(_append(append, [make(number)]))
        figures.writes(f"append, {together} a transaction", appends, engine, together)


def _check(engine: LmdbEngine, design: Design) -> None:
    """The counters, the rows, and a second reading agree."""
    view = engine.view(lambda snapshot: View.open(design, snapshot))
    state = engine.view(state_of)
    exists, unseen, _ = view.counts()
    assert (exists, unseen) == (state.exists, state.unseen), (exists, unseen, state)
    uids = view.uids()
    assert len(uids) == exists and uids[-1] == state.uidnext - 1
    octets = sum(engine.view(lambda snapshot: _sizes(snapshot, view)))
    assert octets == state.octets


def _sizes(snapshot: Snapshot, view: View) -> list[int]:
    view.at_least(snapshot, Column.SIZE, 0)
    return [
        size
        for chunk in view.chunks
        for size, flags in zip(chunk.facts[Column.SIZE], chunk.flags, strict=True)
        if not flags & GONE
    ]


def _written() -> int:
    """Return how many octets this process has given to the system to write."""
    lines = Path("/proc/self/io").read_text().splitlines()
    return next(int(line.partition(":")[2]) for line in lines if line.startswith("wchar:"))
