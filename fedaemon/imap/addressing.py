"""Which messages of the selected mailbox a command means.

Standards: RFC 9051 2.3.1, 4.1.1, 6.4.9, RFC 5182 2.1 ($), RFC 9586 3.3 (UIDREQUIRED).
Invariants: only messages that the session was told of.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass

from fedaemon.errors import BadSyntax
from fedaemon.imap.sequence_set import Ranges, SequenceSet
from fedaemon.imap.session import Session


class UidRequired(BadSyntax):
    """There are no sequence numbers in this session."""

    imap_code = b"UIDREQUIRED"


@dataclass(frozen=True, slots=True)
class Addressed:
    """Messages by place: *uids* are those of the whole mailbox, *parts* the slices of it that are meant.

    The message at ``uids[place]`` has the sequence number ``place + 1``.
    """

    uids: array[int]
    parts: tuple[tuple[int, int], ...]

    def ranges(self) -> tuple[tuple[int, int], ...]:
        """Return the same as UIDs, the first and the last of each part, for ``mailbox``."""
        return tuple((self.uids[start], self.uids[stop - 1]) for start, stop in self.parts)

    def slices(self, size: int) -> Iterator[Addressed]:
        """Yield at most *size* messages at a time, in order: what fits into a turn."""
        gathered: list[tuple[int, int]] = []
        room = size
        for first, stop in self.parts:
            start = first
            while stop - start >= room:
                yield Addressed(self.uids, (*gathered, (start, start + room)))
                start += room
                gathered, room = [], size
            if start < stop:
                gathered.append((start, stop))
                room -= stop - start
        if gathered:
            yield Addressed(self.uids, tuple(gathered))

    def places(self) -> Iterator[int]:
        """Yield the places of the messages."""
        for start, stop in self.parts:
            yield from range(start, stop)

    def __len__(self) -> int:
        return sum(stop - start for start, stop in self.parts)


def addressed(session: Session, messages: SequenceSet, *, uid: bool) -> Addressed:
    """Return the messages that a command means; UIDs that are not there are passed over.

    :raises BadSyntax: for a sequence number beyond EXISTS.
    :raises UidRequired: for sequence numbers in a session without them.

    Spec: RFC 9051 6.4.9, RFC 9586 3.3
    """
    if session.uid_only and not uid:
        raise UidRequired("This session has UIDs only: use the UID form of the command")
    selected = session.need_selected
    uids = selected.view.uids()
    if messages.saved or uid:
        largest = uids[-1] if uids else 0
        wanted = selected.saved if messages.saved else messages.resolve(largest)
        return Addressed(uids, tuple(wanted.slices(uids)))
    if messages.largest_written() > len(uids) or not uids:
        raise BadSyntax("A sequence number beyond the last message")
    numbers: Ranges = messages.resolve(len(uids))
    return Addressed(uids, tuple((low - 1, high) for low, high in numbers.pairs()))
