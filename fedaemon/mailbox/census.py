"""What is in a mailbox, counted from its rows: what ``check`` compares the counters with.

Invariants: a mailbox with a chunk that cannot be read is not counted: whatever it counts may be right.
Limits: some 100 octets of memory a message.
"""

from __future__ import annotations

from array import array
from collections.abc import Container, Iterator
from itertools import compress
from operator import not_
from typing import Final

from fedaemon.mailbox import columns as c
from fedaemon.mailbox.changing import Gone, decode_gone, runs
from fedaemon.mailbox.rows import Row
from fedaemon.mailbox.state import State
from fedaemon.message.mime.stored_shape import TEXT_COLUMNS
from fedaemon.store.errors import StoreError
from fedaemon.store.interface import Snapshot
from fedaemon.store.spaces import MAIL, MAIL_CHUNK, MAIL_GONE, MAIL_ROW

COUNTED: Final = (
    "exists", "unseen", "deleted", "octets", "deleted_octets", "gone", "gone_octets", "tail",
)  # fmt: skip
"""The fields of ``State`` that follow from the rows."""


class Census:
    """Looks at all that there is under a mailbox's id.

    :ivar faults: (kind, what) of chunks that cannot be counted.
    :ivar texts: the chunks, by first UID, whose text records are not all as they should be.
    :ivar live: UIDs of messages, *gone* of expunged ones whose rows are still there.
    :ivar highest: the highest UID.
    """

    def __init__(self, snapshot: Snapshot, mailbox_id: str) -> None:
        self.faults: list[tuple[str, str]] = []
        self.texts: list[int] = []
        self.live: set[int] = set()
        self.gone: set[int] = set()
        self.highest = 0
        self._counts = dict.fromkeys(COUNTED, 0)
        self._snapshot = snapshot
        self._id = mailbox_id
        self._look()

    def _look(self) -> None:
        chunks: dict[int, c.Columns] = {}
        texts: dict[int, list[int]] = {}
        for key, value in self._snapshot.scan((MAIL_CHUNK, self._id)):
            group, first_uid = int(key[2]), int(key[3])
            try:
                columns = c.decode(value)
            except StoreError as error:
                # Texts can be made anew; to be one too few is enough for that.
                if group < c.TEXTS:
                    self._fault(first_uid, error.text)
                continue
            if group < c.TEXTS:
                chunks.setdefault(first_uid, {}).update(columns)
            elif group in columns:
                texts.setdefault(first_uid, []).append(rows_in(group, columns[group]))
        for first_uid, columns in sorted(chunks.items()):
            self._count_chunk(first_uid, columns, texts.pop(first_uid, []))
        for first_uid in texts:
            self._fault(first_uid, "there are only texts of it")
        for _, value in self._snapshot.scan((MAIL_ROW, self._id)):
            try:
                row = Row.from_record(value)
            except StoreError as error:
                self.faults.append(("mailbox.row", error.text))
                continue
            self._counts["tail"] += 1
            self._count(array("I", [row.uid]), bytes([row.flags & 255]), array("I", [row.size]))

    def _fault(self, first_uid: int, what: str) -> None:
        self.faults.append(("mailbox.chunk", f"the chunk from UID {first_uid} on: {what}"))

    def _count_chunk(self, first_uid: int, columns: c.Columns, texts: list[int]) -> None:
        if any(column not in columns for column in (c.UID, c.MODSEQ, c.FLAGS, *c.FACTS)):
            self._fault(first_uid, "a column is missing")
            return
        rows = len(columns[c.FLAGS])
        if not rows or any(rows_in(column, data) != rows for column, data in columns.items()):
            self._fault(first_uid, "its columns have different numbers of rows")
            return
        # Where no message is left the texts may have gone already.
        if any(columns[c.FLAGS].translate(c.LIVE)) and texts != [rows] * TEXT_COLUMNS:
            self.texts.append(first_uid)
        uids = c.unpack(c.UID, columns[c.UID])
        if uids[0] < first_uid:
            self._fault(first_uid, f"it begins with UID {uids[0]}")
        self._count(uids, columns[c.FLAGS], c.unpack(c.SIZE, columns[c.SIZE]))

    def _count(self, uids: array[int], flags: bytes, sizes: array[int]) -> None:
        if any(uid <= before for before, uid in zip([self.highest, *uids], uids, strict=False)):
            self.faults.append(("mailbox.order", f"UID {uids[0]} or one behind it stands out of order"))
        self.highest = max(self.highest, *uids)
        live, gone = flags.translate(c.LIVE), flags.translate(c.EXPUNGED)
        deleted = flags.translate(c.TO_BE_EXPUNGED)
        self.live.update(compress(uids, live))
        self.gone.update(compress(uids, gone))
        for name, mask in (("exists", live), ("deleted", deleted), ("gone", gone)):
            self._counts[name] += mask.count(1)
        self._counts["unseen"] += flags.translate(c.UNSEEN).count(1)
        for name, mask in (("octets", live), ("deleted_octets", deleted), ("gone_octets", gone)):
            self._counts[name] += sum(compress(sizes, mask))

    def correct(self, state: State, owner: str) -> State:
        """Return *state* as it should be; as it is where the mailbox cannot be counted."""
        if self.faults:
            return state
        return state._replace(**self._counts, uidnext=max(state.uidnext, self.highest + 1), owner=owner)

    def mails(self, due: Container[int]) -> Iterator[tuple[str, str]]:
        """Yield (kind, what) of contents that are missing, nobody's, or never to be released.

        :param due: the mod-sequences of the changes whose contents are to be purged.
        """
        if self.faults:
            return
        mails = {int(key[2]) for key, _ in self._snapshot.scan((MAIL, self._id))}
        for first, last in runs(sorted(self.live - mails)):
            yield "mail.missing", f"UID {first} to {last}: the content is lost"
        for first, last in runs(sorted(mails - self.live - self.gone)):
            yield "mail.stray", f"UID {first} to {last}: contents of messages that are not there"
        kept = sorted(mails & self.gone)
        for modseq, gone in self._history():
            mask = c.within(kept, gone.ranges)
            if any(mask) and modseq not in due:
                yield "mail.unpurged", f"what was expunged with mod-sequence {modseq} is never purged"
            kept = list(compress(kept, map(not_, mask)))
        for first, last in runs(kept):
            yield "mail.unpurged", f"UID {first} to {last}: nobody knows when they were expunged"

    def unpurged(self, due: Container[int]) -> list[int]:
        """Return the mod-sequences of the changes whose contents are there and not to be purged."""
        return [
            modseq
            for modseq, gone in self._history()
            if modseq not in due
            and any(
                next(self._snapshot.scan((MAIL, self._id, first), (MAIL, self._id, last + 1), limit=1), None)
                for first, last in gone.ranges
            )
        ]

    def _history(self) -> Iterator[tuple[int, Gone]]:
        for key, value in self._snapshot.scan((MAIL_GONE, self._id)):
            yield int(key[2]), decode_gone(value)


def rows_in(column: int, data: bytes) -> int:
    """Return how many rows a column has; -1 when its octets are not those of whole rows."""
    if column in c.TYPECODES:
        rows, rest = divmod(len(data), array(c.TYPECODES[column]).itemsize)
        return -1 if rest else rows
    return data.count(b"\n") + 1 if column >= c.TEXTS else len(data)
