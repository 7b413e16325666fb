"""STORE and UID STORE.

Standards: RFC 9051 6.4.6, 7.5.1 (no EXPUNGE here), RFC 7162 3.1.3 (UNCHANGEDSINCE, MODIFIED), RFC 2180 4.2
(messages that are gone), RFC 5530 3 (EXPUNGEISSUED), RFC 9586 3.4.
Invariants: a client that has read the answers knows the flags of all messages it addressed: with .SILENT it is
told of those where they are not what it must think they are, since another session had its hand in.
Limits: SLICE messages in one turn, LONG_TAIL_SLICE of a mailbox with many messages outside chunks.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from itertools import compress
from typing import Final

from fedaemon.errors import Refused
from fedaemon.imap.addressing import Addressed, addressed
from fedaemon.imap.commands.expunge import ExpungeIssued, need_writable
from fedaemon.imap.condstore import enable_condstore
from fedaemon.imap.events import Command
from fedaemon.imap.fetch.heads import flags_of, heads
from fedaemon.imap.fetch.plan import Plan
from fedaemon.imap.fetch.spans import Span, spans
from fedaemon.imap.fetch.streaming import say
from fedaemon.imap.flags import FlagTexts, read_flags
from fedaemon.imap.operations import Turn, Write
from fedaemon.imap.parse.fetch import Item
from fedaemon.imap.parse.store import Store, StoreMode
from fedaemon.imap.sequence_set import Ranges
from fedaemon.imap.session import Done, Session
from fedaemon.imap.updates import say_difference, sync
from fedaemon.mailbox import words
from fedaemon.mailbox.changing import Mode, change_flags
from fedaemon.mailbox.columns import KEYWORDS, PLANES, UidRanges
from fedaemon.mailbox.opened import Chunk
from fedaemon.mailbox.view import Difference, View
from fedaemon.store.interface import Transaction

SLICE: Final = 10_000
"""To change so many takes 2 ms, and 4 to find out what the client is to be told."""
LONG_TAIL_SLICE: Final = 2_000
"""docs/mailbox-layout.md section 6."""

_Flags = Callable[[int], int]
_MODES: Final = {StoreMode.ADD: Mode.ADD, StoreMode.REMOVE: Mode.REMOVE, StoreMode.REPLACE: Mode.REPLACE}


class SomeGone(Refused):
    """Messages of a conditional STORE were expunged by another session.

    Spec: RFC 7162 3.1.3
    """

    def __init__(self, modified: bytes) -> None:
        super().__init__("Some of the messages are gone; NOOP tells which")
        self.imap_code = b"MODIFIED " + modified


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What came of a slice.

    :ivar bits: the flags, as the mailbox numbers them.
    :ivar modified: the UIDs that UNCHANGEDSINCE kept from being changed, ascending.
    """

    bits: int
    changed: bool
    modified: tuple[int, ...]


async def run(session: Session, arguments: Store, command: Command) -> Done:
    """Change flags. Spec: RFC 9051 6.4.6, RFC 7162 3.1.3"""
    selected = need_writable(session)
    if arguments.unchanged_since is not None:
        enable_condstore(session)
    found = addressed(session, arguments.messages, uid=command.uid)
    mode, flags, since = _MODES[arguments.mode], read_flags(arguments.flags), arguments.unchanged_since
    modified: list[int] = []
    gone: set[int] = set()
    for count, part in enumerate(found.slices(_slice_size(selected.view))):
        if count:
            await Turn()
        chunks, after = selected.view.chunks, None
        outcome = await Write(partial(_change, selected.id, part.ranges(), mode, flags, since))
        modified += outcome.modified
        if arguments.silent:
            after = _expected(selected.view, mode, outcome.bits)
        difference = await sync(session, may_expunge=False)
        # Nothing can be told before messages that another session expunged are: all of it is told with them.
        if not outcome.changed or selected.view.chunks is not chunks:
            gone |= await _tell(session, part, outcome, difference, after)
    return _done(found, modified, gone, arguments, uid=command.uid)


def _change(
    mailbox_id: str,
    ranges: UidRanges,
    mode: Mode,
    flags: tuple[str, ...],
    since: int | None,
    transaction: Transaction,
) -> _Outcome:
    if mode is Mode.REMOVE:
        # A keyword that the mailbox does not know need not be made to be taken away.
        bits, _ = words.flag_bits(transaction, mailbox_id, flags)
    else:
        bits = words.make_flag_bits(transaction, mailbox_id, flags)
    changed = change_flags(transaction, mailbox_id, ranges, mode, bits, since)
    return _Outcome(bits, changed.modseq is not None, tuple(changed.modified))


async def _tell(
    session: Session, part: Addressed, outcome: _Outcome, difference: Difference, after: _Flags | None
) -> set[int]:
    """Say what the client is to hear of a slice; return the places of messages that are gone.

    :param after: with .SILENT, what the client takes the flags of a message to be: those are not told.
    """
    meant = _meant(part, outcome)
    if after is not None and not session.condstore:
        told = [
            each for each in difference.changed if not meant[each[0] - 1] or each[2] != after(each[0] - 1)
        ]
        await say_difference(session, replace(difference, changed=told))
        return set()
    others = [each for each in difference.changed if not meant[each[0] - 1]]
    await say_difference(session, replace(difference, changed=others))
    lines, gone = _Lines(session, after), set[int]()
    for each in spans(session.need_selected.view, part.parts):
        span = each
        if outcome.modified:
            span = span.only([at for at, number in enumerate(span.numbers) if meant[number - 1]])
        if span.chunk.live is not None:
            live = list(map(span.chunk.live.__getitem__, span.rows))
            gone.update(number - 1 for number, here in zip(span.numbers, live, strict=True) if not here)
            span = span.only(list(compress(range(len(live)), live)))
        await say(session, lines.of(span))
    return gone


class _Lines:
    """Writes what is told of the messages of a STORE: UID, FLAGS, and MODSEQ where that is enabled.

    :param after: as ``_tell`` has it.
    """

    __slots__ = ("_after", "_loud", "_quiet", "_texts")

    def __init__(self, session: Session, after: _Flags | None) -> None:
        first = () if session.uid_only else (Item.UID,)
        last = (Item.MODSEQ,) if session.condstore else ()
        self._loud = Plan((*first, Item.FLAGS, *last), (), (), session.uid_only, sets_seen=False)
        self._quiet = replace(self._loud, columns=(*first, *last))
        self._after = after
        self._texts = FlagTexts(session)

    def of(self, span: Span) -> bytes:
        """Return the lines for a span; in quiet ones nothing is said of flags that the client knows."""
        if self._after is None:
            return b"".join(heads(self._loud, self._texts, span, {}))
        lines = heads(self._quiet, self._texts, span, {})
        for at, flags in enumerate(flags_of(span.chunk, span.rows)):
            if flags != self._after(span.numbers[at] - 1):
                (lines[at],) = heads(self._loud, self._texts, span.only([at]), {})
        return b"".join(lines)


def _meant(part: Addressed, outcome: _Outcome) -> bytearray:
    """Return the mask, by place, of the messages whose flags were changed, or were so already."""
    meant = bytearray(len(part.uids))
    for start, stop in part.parts:
        meant[start:stop] = b"\x01" * (stop - start)
    for uid in outcome.modified:
        meant[bisect_left(part.uids, uid)] = 0
    return meant


def _expected(view: View, mode: Mode, bits: int) -> _Flags:
    """Return what tells, by place, the flags that the client takes a message to have when it hears nothing."""
    shown = list(zip(view.chunks, view.shown, strict=True))
    planes = {number - KEYWORDS for chunk in view.chunks for number, _ in chunk.planes}
    planes.update(place for place in range(PLANES) if bits >> 8 + 8 * place & 255)
    octets = [_counted(chunk.flags, mask) for chunk, mask in shown]
    columns = [(0, b"".join(octets).translate(_table(mode, bits & 255)))]
    for plane in sorted(planes):
        shift = 8 + 8 * plane
        octets = [_counted(_plane(chunk, plane), mask) for chunk, mask in shown]
        columns.append((shift, b"".join(octets).translate(_table(mode, bits >> shift & 255))))
    if len(columns) == 1:
        return columns[0][1].__getitem__
    return lambda place: sum(octets[place] << shift for shift, octets in columns)


def _plane(chunk: Chunk, plane: int) -> bytes:
    return dict(chunk.planes).get(KEYWORDS + plane, bytes(len(chunk.uids)))


def _table(mode: Mode, bits: int) -> bytes:
    """Return the table that changes octets of flags."""
    if mode is Mode.ADD:
        return bytes(octet | bits for octet in range(256))
    if mode is Mode.REMOVE:
        return bytes(octet & ~bits for octet in range(256))
    return bytes([bits]) * 256


def _done(found: Addressed, modified: list[int], gone: set[int], arguments: Store, *, uid: bool) -> Done:
    """Return the tagged answer; messages that are gone matter to who named them by their numbers.

    :param modified: UIDs.
    :param gone: places.
    :raises ExpungeIssued: some are gone, and the client waits to be told their flags.
    :raises SomeGone: some are gone, of a conditional STORE.

    Spec: RFC 7162 3.1.3, RFC 2180 4.2, RFC 9051 6.4.9
    """
    numbers = Ranges.of(modified)
    if not uid:
        places = [bisect_left(found.uids, each) for each in modified]
        if gone and arguments.unchanged_since is not None:
            raise SomeGone(Ranges.of(place + 1 for place in sorted(gone.union(places))).encode())
        if gone and not arguments.silent:
            raise ExpungeIssued
        numbers = Ranges.of(place + 1 for place in places)
    return Done("Stored", b"MODIFIED " + numbers.encode() if numbers else b"")


def _counted(octets: bytes, mask: bytes | None) -> bytes:
    return octets if mask is None else bytes(compress(octets, mask))


def _slice_size(view: View) -> int:
    """Return how many messages are changed in one turn: rows outside chunks are changed one by one."""
    chunks = view.chunks
    long_tail = chunks and not chunks[-1].first_uid and len(chunks[-1].uids) > LONG_TAIL_SLICE
    return LONG_TAIL_SLICE if long_tail else SLICE
