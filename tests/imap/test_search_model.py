"""SEARCH and SORT against messages whose properties are known, in any form that a mailbox can have."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedaemon.imap.search import contents, piece
from fedaemon.mailbox import text_index
from tests.imap.lab import Client, Lab
from tests.imap.mail import expunge, seal

DAY_S = 86_400
START_S = 1_700_000_000
WORDS = ("kiwi", "Äpfel", "pear\r\nkiwi", "quince " * 12, "ki", "e")
NEEDLES = ("KIWI", "äpfel", "pear", "iw", "ince q", "nobody", "e")
NAMES = ("Ann", "Bob", "Änne")
FLAGS = ("\\Seen", "\\Flagged", "\\Deleted", "$Junk", *[f"k{number}" for number in range(9)])
RELATIONS = ("BEFORE", "ON", "SINCE")
ZONES = (-660, 0, 330, 840)


@dataclass(frozen=True)
class Known:
    """A message, and what is known of it."""

    subject: str
    name: str
    body: str
    flags: tuple[str, ...]
    arrived_s: int
    sent_s: int
    zone_min: int

    def octets(self) -> bytes:
        sent = datetime.fromtimestamp(self.sent_s, timezone(timedelta(minutes=self.zone_min)))
        text = (
            f"From: {self.name} <{self.name[0].lower().replace('ä', 'a')}@example.org>\r\n"
            f"Subject: {self.subject.replace(chr(13) + chr(10), ' ')}\r\n"
            f"Date: {sent:%a, %d %b %Y %H:%M:%S %z}\r\nX-Word: {self.subject[:4].strip()}\r\n"
            "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=limit\r\n\r\n"
            "--limit\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
            f"{self.body}\r\n--limit\r\nContent-Type: application/octet-stream\r\n\r\nhidden\r\n--limit--\r\n"
        )
        return text.encode()

    @property
    def sent_on(self) -> date:
        return (datetime.fromtimestamp(self.sent_s, UTC) + timedelta(minutes=self.zone_min)).date()

    @property
    def arrived_on(self) -> date:
        return datetime.fromtimestamp(self.arrived_s, UTC).date()


Predicate = Callable[[Known, int, int], bool]
"""Of a message, its sequence number and its UID."""
KeyCase = tuple[str, Predicate]

knowns = st.builds(
    Known,
    st.sampled_from(WORDS),
    st.sampled_from(NAMES),
    st.sampled_from(WORDS),
    st.sets(st.sampled_from(FLAGS), max_size=3).map(lambda names: tuple(sorted(names))),
    st.integers(0, 5).map(lambda day: START_S + day * DAY_S),
    st.integers(0, 9).map(lambda part: START_S + part * DAY_S // 2),
    st.sampled_from(ZONES),
)


def _holds(text: str, needle: str) -> bool:
    return needle.casefold() in text.casefold()


def _quoted(needle: str) -> str:
    return f"{{{len(needle.encode())}+}}\r\n{needle}"


def _text_case(field: str, needle: str) -> KeyCase:
    texts: dict[str, Callable[[Known], str]] = {
        "SUBJECT": lambda known: known.subject.replace("\r\n", " "),
        "FROM": lambda known: f"{known.name} <{known.name[0].lower().replace('ä', 'a')}@example.org>",
        "BODY": lambda known: known.body,
        "HEADER X-WORD": lambda known: known.subject[:4].strip(),
    }
    if field == "TEXT":
        parts = [_text_case(each, needle)[1] for each in texts]
        return f"TEXT {_quoted(needle)}", lambda *found: any(part(*found) for part in parts)
    return f"{field} {_quoted(needle)}", lambda known, _number, _uid: _holds(texts[field](known), needle)


def _day_case(field: str, relation: str, day: int) -> KeyCase:
    wanted = datetime.fromtimestamp(START_S, UTC).date() + timedelta(days=day)

    def meant(known: Known, _number: int, _uid: int) -> bool:
        found = known.sent_on if field else known.arrived_on
        return {"BEFORE": found < wanted, "ON": found == wanted, "SINCE": found >= wanted}[relation]

    return f"{field}{relation} {wanted:%d-%b-%Y}", meant


def _flag_case(flag: str) -> KeyCase:
    key = flag[1:].upper() if flag.startswith("\\") else f"KEYWORD {flag.upper()}"
    return key, lambda known, _number, _uid: flag in known.flags


def _size_case(larger: bool, octets: int) -> KeyCase:
    def meant(known: Known, _number: int, _uid: int) -> bool:
        size = len(known.octets())
        return size > octets if larger else size < octets

    return f"{'LARGER' if larger else 'SMALLER'} {octets}", meant


def _number_case(uid: bool, low: int, high: int) -> KeyCase:
    if uid:
        return f"UID {low}:{high}", lambda _known, _number, found: low <= found <= high
    return f"{low}:{high}", lambda _known, number, _uid: low <= number <= high


# "e" is in the header fields of parts, which BODY and TEXT search, too.
NOT_IN_FIELDS = NEEDLES[:-1]
leaves = st.one_of(
    st.just(("ALL", lambda *_: True)),
    st.builds(_text_case, st.sampled_from(("SUBJECT", "FROM", "HEADER X-WORD")), st.sampled_from(NEEDLES)),
    st.builds(_text_case, st.sampled_from(("BODY", "TEXT")), st.sampled_from(NOT_IN_FIELDS)),
    st.builds(
        _day_case,
        st.sampled_from(("", "SENT")),
        st.sampled_from(("BEFORE", "ON", "SINCE")),
        st.integers(-1, 6),
    ),
    st.builds(_flag_case, st.sampled_from(FLAGS)),
    st.builds(_size_case, st.booleans(), st.integers(370, 480)),
    st.builds(_number_case, st.booleans(), st.integers(1, 12), st.integers(12, 30)),
)


def _not(case: KeyCase) -> KeyCase:
    return f"NOT {case[0]}", lambda *found: not case[1](*found)


def _or(one: KeyCase, other: KeyCase) -> KeyCase:
    return f"OR {one[0]} {other[0]}", lambda *found: one[1](*found) or other[1](*found)


def _and(one: KeyCase, other: KeyCase) -> KeyCase:
    return f"({one[0]} {other[0]})", lambda *found: one[1](*found) and other[1](*found)


key_cases = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.builds(_not, inner), st.builds(_or, inner, inner), st.builds(_and, inner, inner)
    ),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(knowns, min_size=1, max_size=26),
    st.integers(0, 3),
    st.sets(st.integers(1, 26), max_size=6),
    st.sets(st.integers(1, 26), max_size=4),
    st.lists(key_cases, min_size=1, max_size=8),
    st.booleans(),
)
def test_what_is_found(
    messages: list[Known],
    chunks: int,
    expunged: set[int],
    expunged_later: set[int],
    cases: list[KeyCase],
    seal_later: bool,
) -> None:
    """Chunks and a tail, with rows that are gone, and with some that are gone but not told to the session."""
    with (
        TemporaryDirectory() as directory,
        pytest.MonkeyPatch.context() as patch,
        closing(Lab(Path(directory) / "store")) as lab,
    ):
        patch.setattr(contents, "MIN_BLOCK", 3)
        patch.setattr(text_index, "BLOCK_OCTETS", 150)
        patch.setattr(text_index, "LONG_OCTETS", 60)
        patch.setattr(piece, "PIECE_ROWS", 7)
        for each in messages:
            lab.now_s = each.arrived_s
            lab.deliver(each.octets(), flags=each.flags)
        for _ in range(chunks):
            seal(lab, 7)
        expunge(lab, expunged)
        client = lab.client(select="INBOX")
        shown = [uid for uid in range(1, len(messages) + 1) if uid not in expunged]
        expunge(lab, expunged_later)
        if seal_later:
            seal(lab, 7)
        for key, meant in cases * 2:
            numbers = [number for number, uid in enumerate(shown, 1) if meant(messages[uid - 1], number, uid)]
            assert _found(client, key) == numbers, key


def _found(client: Client, key: str) -> list[int]:
    answer, done = client.raw(f"t SEARCH {key}\r\n".encode()).split(b"\r\n")[:2]
    assert answer.startswith(b"* SEARCH"), answer
    assert done == b"t OK Searched"
    return [int(number) for number in answer.split()[2:]]
