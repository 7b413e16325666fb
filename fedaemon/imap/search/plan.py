"""From the keys of SEARCH to what is to be looked at, cheapest first.

Flags, numbers and mod-sequences are in memory, facts and texts of headers in columns, everything else in the
messages. A node is given the rows that are still in question, so that a message is read only when nothing cheaper
has decided.

Standards: RFC 9051 6.4.4, RFC 3501 6.4.4 (RECENT), RFC 5032 3, RFC 5182 2.1 ($), RFC 7162 3.1.5, RFC 8474 6,
RFC 8514 4, RFC 9586 3.3 (UIDREQUIRED).
Invariants: numbers mean what the session was told; a number beyond the last message means none.
Known gaps: a message without a usable Date is in no SENTBEFORE, SENTON and SENTSINCE.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import Final, TypeAlias

from fedaemon.imap import object_ids
from fedaemon.imap.addressing import UidRequired
from fedaemon.imap.parse import search_keys as keys
from fedaemon.imap.sequence_set import Ranges, SequenceSet
from fedaemon.imap.session import Selected, Session
from fedaemon.mailbox import columns as c
from fedaemon.mailbox.text_index import TextKind, one_line
from fedaemon.mailbox.words import SYSTEM_FLAGS
from fedaemon.message.mime.charset import folded

DAY_S: Final = 86_400
LEAST: Final = -(2**62)
"""Below all dates that there are, and above ``rows.NO_DATE``."""
MOST: Final = 2**64

_DATES: Final = {b"INTERNAL": (c.INTERNAL,), b"SENT": (c.SENT, c.ZONE), b"SAVED": (c.SAVED,)}
_TEXTS: Final = {b"SUBJECT": c.SUBJECT, b"FROM": c.FROM, b"TO": c.TO, b"CC": c.CC, b"BCC": c.BCC}
_FIELD = re.compile(rb"([^\s:]+:)[ \t]+(.*)", re.DOTALL).fullmatch


@dataclass(frozen=True, slots=True)
class Every:
    """Every message."""


@dataclass(frozen=True, slots=True)
class WithFlag:
    """*bit* in the flags, or in a plane of keywords; *column* 0 is in none."""

    column: int
    bit: int


@dataclass(frozen=True, slots=True)
class WithUid:
    """The UID is in *ranges*."""

    ranges: Ranges


@dataclass(frozen=True, slots=True)
class ChangedSince:
    """The mod-sequence is at least *modseq*."""

    modseq: int


@dataclass(frozen=True, slots=True)
class Fact:
    """*least* <= the first of *columns* < *below*; ZONE behind SENT makes it local time."""

    columns: tuple[int, ...]
    least: int
    below: int


@dataclass(frozen=True, slots=True)
class Text:
    """*needle* is in a text column."""

    column: int
    needle: bytes


@dataclass(frozen=True, slots=True)
class Inside:
    """*needle* is in what ``text_index`` keeps; with a *field*, such as ``list-id:``, in one of that name.

    :ivar no_headers: whether headers of parts are not looked into.
    """

    kind: TextKind
    needle: bytes
    field: bytes = b""
    no_headers: bool = False


@dataclass(frozen=True, slots=True)
class AllOf:
    """All of the nodes, cheapest first."""

    nodes: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class OneOf:
    """One of two nodes, cheaper first."""

    first: Node
    second: Node


@dataclass(frozen=True, slots=True)
class Except:
    """All but those of the node."""

    node: Node


Node: TypeAlias = Every | WithFlag | WithUid | ChangedSince | Fact | Text | Inside | AllOf | OneOf | Except

_COSTS: Final[dict[type, int]] = {Fact: 1, Text: 2, Inside: 3}


def cost(node: Node) -> int:
    """Return how dear a node is: 0 in memory, 1 facts, 2 texts, 3 the messages themselves."""
    match node:
        case AllOf():
            return max(map(cost, node.nodes))
        case OneOf():
            return max(cost(node.first), cost(node.second))
        case Except():
            return cost(node.node)
    return _COSTS.get(type(node), 0)


def wants_modseq(key: keys.Key) -> bool:
    """Tell whether MODSEQ is among the keys: then the answer has one, too. Spec: RFC 7162 3.1.5"""
    match key:
        case keys.And():
            return any(map(wants_modseq, key.keys))
        case keys.Or():
            return wants_modseq(key.first) or wants_modseq(key.second)
        case keys.Not():
            return wants_modseq(key.key)
    return isinstance(key, keys.ModSeq)


def plan(session: Session, key: keys.Key) -> Node:
    """Return what *key* means in the selected mailbox now.

    :raises UidRequired: for sequence numbers in a session without them.

    Spec: RFC 9051 6.4.4
    """
    match key:
        case keys.And():
            return AllOf(tuple(sorted(map(partial(plan, session), key.keys), key=cost)))
        case keys.Or():
            return _one_of(plan(session, key.first), plan(session, key.second))
        case keys.Not():
            return Except(plan(session, key.key))
        case keys.HasFlag():
            return _flag(session.need_selected, key.flag.decode("ascii"))
        case keys.Messages():
            return WithUid(_uids(session, key.messages, uid=key.uid))
        case keys.ModSeq():
            return ChangedSince(key.modseq)
        case keys.HasText():
            return _text(key.field, key.text)
        case keys.HasHeader():
            return _header(key.name, key.text)
    return _fact(key, int(session.settings.clock()))


def _one_of(first: Node, second: Node) -> Node:
    return OneOf(*sorted((first, second), key=cost))


def _flag(selected: Selected, name: str) -> Node:
    if name == "\\Recent":
        return WithUid(Ranges(selected.recent))
    if name in SYSTEM_FLAGS:
        return WithFlag(c.FLAGS, SYSTEM_FLAGS[name])
    for place, keyword in enumerate(selected.keywords):
        if keyword.lower() == name.lower():
            return WithFlag(c.KEYWORDS + place // 8, 1 << place % 8)
    return WithFlag(0, 0)


def _uids(session: Session, messages: SequenceSet, *, uid: bool) -> Ranges:
    """Return the UIDs that a set means, and perhaps others between them."""
    selected = session.need_selected
    if messages.saved:
        return selected.saved
    if session.uid_only and not uid:
        raise UidRequired("This session has UIDs only: search for UIDs")
    uids = selected.view.uids()
    if uid:
        return messages.resolve(uids[-1] if uids else 0)
    numbers = messages.resolve(len(uids)).pairs()
    return Ranges(
        (uids[low - 1], uids[min(high, len(uids)) - 1]) for low, high in numbers if low <= len(uids)
    )


def _text(field: bytes, text: str) -> Node:
    needle = folded(text).encode()
    if not needle:
        # It is in every field that there is, and in every text.
        return _header(field, "") if field in _TEXTS else Every()
    if field in _TEXTS:
        # No row has a LF, but one stands between two of them.
        return Text(_TEXTS[field], needle) if b"\n" not in needle else Except(Every())
    needle = one_line(needle)
    if field == b"BODY":
        return Inside(TextKind.BODIES, needle, no_headers=True)
    headers: Node = Inside(TextKind.HEADERS, needle)
    begins = _FIELD(needle)
    if begins is not None:
        # Names stand directly before their values there, and it may be one.
        headers = OneOf(headers, Inside(TextKind.HEADERS, begins[1] + begins[2]))
    return OneOf(headers, Inside(TextKind.BODIES, needle))


def _header(name: bytes, text: str) -> Node:
    """Return where a field is looked for; whether there is one at all only the header itself says."""
    if text and name in _TEXTS:
        return _text(name, text)
    field = folded(name.decode("utf-8", "replace")).encode() + b":"
    return Inside(TextKind.HEADERS, one_line(folded(text).encode()), one_line(field))


def _fact(key: keys.Key, now_s: int) -> Node:
    match key:
        case keys.OnDay():
            day = (key.day - date(1970, 1, 1)).days * DAY_S
            least = LEAST if key.relation == b"BEFORE" else day
            below = {b"BEFORE": day, b"ON": day + DAY_S, b"SINCE": MOST}[key.relation]
            return Fact(_DATES[key.kind], least, below)
        case keys.Size(larger=True):
            return Fact((c.SIZE,), key.octets + 1, MOST)
        case keys.Size():
            return Fact((c.SIZE,), 0, key.octets)
        case keys.Within(younger=True):
            return Fact((c.INTERNAL,), now_s - key.seconds, MOST)
        case keys.Within():
            return Fact((c.INTERNAL,), LEAST, now_s - key.seconds + 1)
        case keys.ObjectId():
            read = object_ids.read_thread_id if key.thread else object_ids.read_email_id
            number = read(key.object_id) or 0
            # 0 is no id: a message whose thread is 0 has none.
            return Fact((c.THREAD if key.thread else c.EMAIL,), number, number + 1 if number else 0)
    # All, and SaveDateSupported, as every mailbox keeps that date.
    return Every()
