"""What was expunged since a mod-sequence, from what each expunge has written down.

Standards: RFC 7162 3.2.5, 3.2.6, 3.2.10.2 (VANISHED (EARLIER)).
Invariants: no UID of a live message is returned, and none that was expunged since is left out; where the history
does not reach back so far, every UID without a live message is told: more than was asked, never less.
Limits: reads what was expunged since and no more; where the history does not reach, the UIDs of the mailbox, some
2 ms for 100,000 of which few were expunged.
"""

from __future__ import annotations

from itertools import compress

from fedaemon.mailbox import columns as c
from fedaemon.mailbox import reading
from fedaemon.mailbox import state as states
from fedaemon.mailbox.changing import decode_gone, runs
from fedaemon.store.interface import Snapshot
from fedaemon.store.spaces import MAIL_GONE


def vanished_since(
    snapshot: Snapshot, mailbox_id: str, modseq: int, known: c.UidRanges
) -> tuple[tuple[int, int], ...]:
    """Return those UIDs of *known* whose messages were expunged after *modseq*, ascending.

    :param known: what the client asks about; UIDs that were never given are not returned.
    :raises StoreError: there is no such mailbox.

    Spec: RFC 7162 3.2.10.2
    """
    state = states.load(snapshot, mailbox_id)
    given = intersection(known, ((1, state.uidnext - 1),))
    if modseq < state.history_from:
        return _without_live(snapshot, mailbox_id, given)
    start, stop = (MAIL_GONE, mailbox_id, modseq + 1), (MAIL_GONE, mailbox_id, state.modseq + 1)
    gone = [each for _, value in snapshot.scan(start, stop) for each in decode_gone(value).ranges]
    return intersection(given, _joined(sorted(gone)))


def intersection(one: c.UidRanges, other: c.UidRanges) -> tuple[tuple[int, int], ...]:
    """Return the UIDs that are in both."""
    found: list[tuple[int, int]] = []
    first = second = 0
    while first < len(one) and second < len(other):
        low = max(one[first][0], other[second][0])
        high = min(one[first][1], other[second][1])
        if low <= high:
            found.append((low, high))
        if one[first][1] < other[second][1]:
            first += 1
        else:
            second += 1
    return tuple(found)


def without(ranges: c.UidRanges, taken: c.UidRanges) -> tuple[tuple[int, int], ...]:
    """Return the UIDs of *ranges* that are not in *taken*."""
    low, rest = 1, []
    for first, last in taken:
        rest.append((low, first - 1))
        low = last + 1
    return intersection(ranges, [pair for pair in (*rest, (low, reading.UID_END - 1)) if pair[0] <= pair[1]])


def _without_live(snapshot: Snapshot, mailbox_id: str, ranges: c.UidRanges) -> tuple[tuple[int, int], ...]:
    live: list[tuple[int, int]] = []
    for _, columns in reading.chunks(snapshot, mailbox_id, ranges):
        uids, mask = c.unpack(c.UID, columns[c.UID]), columns[c.FLAGS].translate(c.LIVE)
        if 0 not in mask and uids[-1] - uids[0] == len(uids) - 1:
            # The common case, in which no step for each message is taken.
            live.append((uids[0], uids[-1]))
        else:
            live += runs(compress(uids, mask))
    live += runs(row.uid for row in reading.tail(snapshot, mailbox_id, ranges) if row.live)
    return without(ranges, live)


def _joined(ranges: list[tuple[int, int]]) -> c.UidRanges:
    """Return sorted ranges, which may touch, as few as possible."""
    found: list[tuple[int, int]] = []
    for first, last in ranges:
        if found and first <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(last, found[-1][1]))
        else:
            found.append((first, last))
    return found
