"""The mailbox layouts that are measured give right answers, and the measurement runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.layout.columns import Column, decode, encode, having
from bench.layout.design import DESIGNS, Design, Row, ranges, shape_record, texts_of
from bench.layout.messages import DELETED, SEEN, Message, make
from bench.layout.view import View, newly_changed
from bench.layout.writing import Writer, state_of
from fedaemon.mailbox.columns import containing
from fedaemon.store.interface import Snapshot
from fedaemon.store.lmdb_engine import LmdbEngine

T = TypeVar("T")
ROOT = Path(__file__).parents[2]
MESSAGES = {uid: make(uid) for uid in range(1, 231)}
SMALL = [replace(design, rows=50) for design in DESIGNS]


class Box:
    """A mailbox of 230 messages in chunks of 50 rows, the last thirty outside chunks where there are rows."""

    def __init__(self, directory: Path, design: Design) -> None:
        self.design = design
        self.engine = LmdbEngine.open(directory)
        self.writer = Writer(design)
        for start in range(1, 231, 23):
            batch = [MESSAGES[uid] for uid in range(start, start + 23)]
            self.engine.transact(partial(self.writer.append, messages=batch))
            while self.engine.transact(self.writer.seal):
                pass

    def view(self) -> View:
        """What a new session sees."""
        return self.look(partial(View.open, self.design))

    def look(self, function: Callable[[Snapshot], T]) -> T:
        """Run *function* on the store as it is."""
        return self.engine.view(function)

    def with_subject(self, view: View, needle: bytes) -> list[int]:
        """SEARCH SUBJECT."""
        return list(self.look(partial(view.text, column=Column.SUBJECT, needle=needle)))


@pytest.fixture(params=SMALL, ids=lambda design: str(design.name))
def box(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Box]:
    """A mailbox in each layout."""
    made = Box(tmp_path, request.param)
    yield made
    made.engine.close()


def _uids(condition: Callable[[Message], bool], but: range = range(0)) -> list[int]:
    return [uid for uid, message in MESSAGES.items() if uid not in but and condition(message)]


def _with_subject(needle: bytes, but: range = range(0)) -> list[int]:
    return _uids(lambda each: needle in each.texts[0], but)


def test_searches_find_what_a_look_at_each_message_finds(box: Box) -> None:
    """By flag, date, size and text, in chunks and in the rows that are in none."""
    view = box.view()
    middle_s = MESSAGES[120].internal_s
    assert list(view.unseen()) == _uids(lambda each: not each.flags & SEEN)
    assert list(box.look(lambda snapshot: view.at_least(snapshot, Column.INTERNAL, middle_s))) == _uids(
        lambda each: each.internal_s >= middle_s
    )
    assert list(box.look(lambda snapshot: view.at_least(snapshot, Column.SIZE, 20_000))) == _uids(
        lambda each: each.size >= 20_000
    )
    for needle in ("überw".encode(), b"re: ", b"nowhere"):
        assert box.with_subject(view, needle) == _with_subject(needle)


def test_counters_and_first_unseen_are_those_of_the_messages(box: Box) -> None:
    """STATUS reads the counters alone, SELECT the flags."""
    unseen = _uids(lambda each: not each.flags & SEEN)
    assert box.view().counts() == (230, len(unseen), unseen[0])
    state = box.look(state_of)
    assert (state.exists, state.unseen, state.uidnext) == (230, len(unseen), 231)
    assert state.octets == sum(each.size for each in MESSAGES.values())


def test_a_flag_changes_the_mod_sequence_of_those_that_lacked_it(box: Box) -> None:
    """And another session is told of just these; a second time nothing is written."""
    before = box.view()
    modseq = box.look(state_of).modseq
    box.engine.transact(lambda transaction: box.writer.add_flag(transaction, SEEN, range(20, 221)))
    changed = [uid for uid in _uids(lambda each: not each.flags & SEEN) if 20 <= uid <= 220]
    after = box.view()
    assert list(after.changed_since(modseq)) == changed
    assert newly_changed(before, after) == ([], changed)
    commits = box.engine.statistics.commits
    box.engine.transact(lambda transaction: box.writer.add_flag(transaction, SEEN, range(20, 221)))
    assert box.engine.statistics.commits == commits


def test_expunged_messages_count_nowhere(box: Box) -> None:
    """Neither as marked rows nor after their chunk was written anew; the others keep UID and place."""
    gone = range(40, 111)
    before = box.view()
    box.engine.transact(lambda transaction: box.writer.expunge(transaction, gone))
    assert newly_changed(before, box.view()) == (list(gone), [])
    for _ in ("marked", "compacted"):
        view = box.view()
        unseen = _uids(lambda each: not each.flags & SEEN, gone)
        left = _uids(lambda each: True, gone)
        assert list(view.uids()) == left
        assert view.counts() == (len(left), len(unseen), left.index(unseen[0]) + 1)
        assert box.with_subject(view, b"re: ") == _with_subject(b"re: ", gone)
        fetched = b"".join(view.fetch_flags()).splitlines()
        assert [line.split()[1] for line in fetched] == [b"%d" % number for number in range(1, len(left) + 1)]
        for uid in [uid for uid in box.look(box.writer.first_uids) if uid <= 110]:
            box.engine.transact(partial(box.writer.compact, first_uid=uid))
    state = box.look(state_of)
    assert (state.exists, state.unseen) == (len(left), len(unseen))
    assert state.octets == sum(MESSAGES[uid].size for uid in left)


def test_a_flag_leaves_expunged_rows_alone(box: Box) -> None:
    """What is kept for undelete keeps the flags it had."""
    box.engine.transact(lambda transaction: box.writer.expunge(transaction, range(1, 231, 1)[:60]))
    before = box.view()
    box.engine.transact(lambda transaction: box.writer.add_flag(transaction, DELETED, range(1, 231)))
    gone, flags = newly_changed(before, box.view())
    assert gone == []
    assert flags == list(range(61, 231))


_LINES = st.binary(max_size=8).map(lambda text: text.replace(b"\n", b" "))


@given(st.lists(_LINES, min_size=1), _LINES.filter(bool))
def test_a_scan_of_joined_texts_finds_the_rows_that_contain(lines: list[bytes], needle: bytes) -> None:
    """Each row once, no matter how often it contains the text."""
    expected = [row for row, line in enumerate(lines) if needle in line]
    assert list(containing(b"\n".join(lines), needle)) == expected


@given(st.dictionaries(st.sampled_from(list(Column)), st.binary()), st.integers(0, 65535))
def test_records_of_columns_come_back(columns: dict[Column, bytes], rows: int) -> None:
    """Whatever columns a record holds."""
    assert decode(encode(rows, columns)) == columns


def test_small_records_come_back() -> None:
    """Rows with the extremes of their fields, texts, and runs of UIDs."""
    row = Row(2**32 - 1, 2**63 - 1, 255, 255, 2**32 - 1, -(2**40), 2**40, 0, -720, 2**64 - 1, 0)
    assert Row.from_record(row.to_record()) == row
    assert texts_of(shape_record(MESSAGES[1])) == list(MESSAGES[1].texts)
    assert len(ranges([1, 2, 3, 7])) == 1 + 2 * 8


def test_a_chunk_of_another_version_is_refused() -> None:
    """Instead of being read as something else."""
    with pytest.raises(ValueError, match="version 2"):
        decode(b"\x02" + encode(0, {})[1:])


def test_masks_leave_out_what_is_gone() -> None:
    """An expunged message is neither seen nor unseen."""
    flags = bytes([0, SEEN, 0x80, 0x80 | SEEN])
    assert flags.translate(having(SEEN)) == b"\x00\x01\x00\x00"
    assert flags.translate(having(SEEN, absent=True)) == b"\x01\x00\x00\x00"


def test_the_whole_measurement_runs(tmp_path: Path) -> None:
    """Every design with a small mailbox, as table and as JSON."""
    file = tmp_path / "figures.json"
    done = subprocess.run(
        [sys.executable, "-m", "bench.mailbox_layout", "--messages", "2200", "--json", str(file)],
        cwd=ROOT,
        env=dict(os.environ),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    figures = json.loads(file.read_text())["figures"]["2200"]
    assert len(figures) == len(DESIGNS) + 1
    for name, rows in figures.items():
        assert rows["append, 1 a transaction, KiB written"] > 0, name
    assert "| SEARCH UNSEEN, ms |" in done.stdout
