"""The command reader: RFC 9051 2.2.1, 4.3, RFC 3501, RFC 7888, RFC 3516."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedaemon.imap.events import (
    Abuse,
    Command,
    CommandEnd,
    Continuation,
    Event,
    Line,
    Literal,
    LiteralBlock,
    LiteralEnd,
    MessageLiteral,
    Refusal,
    Skipped,
)
from fedaemon.imap.limits import AFTER_LOGIN, BEFORE_LOGIN, ReaderLimits
from fedaemon.imap.reader import Reader
from tests.imap.driving import drive

SMALL = ReaderLimits(64, 256, 32, 64, 512, messages=True)
NOOP = Command(b"z", b"NOOP", False, b"", ())


def test_a_command_is_tag_name_and_text() -> None:
    """UID is split off once, the name is upper case, the text keeps its leading space."""
    assert drive([b"a1 noop\r\nA2 uid fetch 1:* FLAGS\r\n"]) == [
        Command(b"a1", b"NOOP", False, b"", ()),
        Command(b"A2", b"FETCH", True, b" 1:* FLAGS", ()),
    ]


def test_literals_are_kept_beside_the_text() -> None:
    """RFC 9051 4.3: the synchronising one asks for a continuation, LITERAL+ does not."""
    assert drive([b"A001 LOGIN {11}\r\nFRED FOOBAR {7+}\r\nfat man\r\n"]) == [
        Continuation(),
        Command(
            b"A001", b"LOGIN", False, b" \0 \0", (Literal(b"FRED FOOBAR", False), Literal(b"fat man", False))
        ),
    ]


def test_the_content_of_append_is_streamed() -> None:
    """RFC 9051 6.3.12: question, blocks, end, rest of the command; nothing of the content is kept."""
    assert drive([b"A3 APPEND saved (\\Seen) {3}\r\nabc\r\n"]) == [
        MessageLiteral(Command(b"A3", b"APPEND", False, b" saved (\\Seen) ", ()), 3, False, True),
        LiteralBlock(b"abc"),
        LiteralEnd(),
        CommandEnd(Command(b"A3", b"APPEND", False, b"", ())),
    ]


@pytest.mark.parametrize(
    ("line", "streamed"),
    [
        (b"APPEND ", False),
        (b"APPEND x ", True),
        (b"APPEND URL ", True),
        (b"APPEND x UTF8 (", True),
        (b"APPEND x CATENATE (URL ", False),
        (b'APPEND x CATENATE (URL "imap://a" URL ', False),
        (b"APPEND x CATENATE (TEXT ", True),
        (b"REPLACE 5 ", False),
        (b"REPLACE 5 x ", True),
        (b"REPLACE 5 url ", True),
        (b"UID REPLACE 5 ", False),
        (b"SETMETADATA x (/private/comment ", False),
    ],
)
def test_only_contents_are_streamed(line: bytes, streamed: bool) -> None:
    """A mailbox name or a URL may be a literal too (RFC 4469 3, RFC 8508 3)."""
    events = drive([b"a " + line + b"{1+}\r\n"])
    assert [type(event) for event in events] == ([MessageLiteral] if streamed else [])


def test_a_refused_content_that_does_not_wait_is_swallowed() -> None:
    """RFC 7888 4: its octets are no commands."""
    text = b"a APPEND x {8+}\r\nb NOOP\r\n {3+}\r\n\r\n)\r\nz NOOP\r\n"
    assert drive([text], refuse=True)[1:] == [Skipped(b"a"), NOOP]


def test_a_refused_content_that_waits_does_not_come() -> None:
    """RFC 9051 4.3: after NO the client sends its next command."""
    assert drive([b"a APPEND x {8}\r\nz NOOP\r\n"], refuse=True)[1:] == [Skipped(b"a"), NOOP]


def test_refusing_within_a_content_skips_its_rest() -> None:
    """A full disk in the middle of APPEND costs that command alone."""
    reader = Reader(AFTER_LOGIN)
    reader.receive(b"a APPEND x {8+}\r\nb NO")
    assert isinstance(reader.next_event(), MessageLiteral)
    reader.accept()
    assert reader.next_event() == LiteralBlock(b"b NO")
    reader.refuse()
    reader.receive(b"OP\r\n\r\nz NOOP\r\n")
    assert [reader.next_event(), reader.next_event()] == [Skipped(b"a"), NOOP]


@pytest.mark.parametrize("octets", [b"", b"/", b"/a", b"/a)"])
def test_refusing_around_a_kept_literal_skips_its_rest(octets: bytes) -> None:
    """A URL of CATENATE that has come in part, or whole, is passed over once and no more."""
    rest = b"/a)\r\nz NOOP\r\n"
    reader = Reader(AFTER_LOGIN)
    reader.receive(b"a APPEND x CATENATE (TEXT {0+}\r\n URL {2+}\r\n" + octets)
    assert isinstance(reader.next_event(), MessageLiteral)
    reader.accept()
    assert [reader.next_event(), reader.next_event()] == [LiteralEnd(), None]
    reader.refuse()
    reader.receive(rest[len(octets) :])
    assert [reader.next_event(), reader.next_event()] == [Skipped(b"a"), NOOP]


@pytest.mark.parametrize(
    ("text", "tag"),
    [
        (b"a NO\rOP\r\n", b"a"),
        (b"a NO\0OP\r\n", b"a"),
        (b"a NOOP\nb DELETE x\r\n", b"a"),
        (b"a NOOP\r\r\n", b"a"),
        (b"\r\n", None),
        (b" NOOP\r\n", None),
        (b"a+ NOOP\r\n", None),
        (b"a\r\n", b"a"),
        (b"a {3}\r\n", b"a"),
        (b"* {8+}\r\nb NOOP\r\n\r\n", None),
        (b"a X " + b"x" * 100 + b"\r\n", b"a"),
        (b"a X " + b"x" * 100 + b"{8+}\r\nb NOOP\r\n\r\n", b"a"),
        (b"a X {40+}\r\n" + b"b NOOP\r\n" * 5 + b"\r\n", b"a"),
        (b"a X {40}\r\n", b"a"),
        (b"a X {9223372036854775808}\r\n", b"a"),
        (b"a APPEND x {1+}\r\ny" + b" " * 100 + b"\r\n", b"a"),
        (b"a X" + b" {0+}\r\n" * 5 + b"\r\n", b"a"),
    ],
)
@pytest.mark.parametrize("step", [1, 7, 1000])
def test_a_refused_command_gets_one_answer_and_the_next_is_understood(
    text: bytes, tag: bytes | None, step: int
) -> None:
    """RFC 7888 4: whatever is wrong, the reader does not lose its place."""
    text += b"z NOOP\r\n"
    events = drive([text[start : start + step] for start in range(0, len(text), step)], SMALL)
    refusals = [event for event in events if isinstance(event, Refusal)]
    assert [refusal.tag for refusal in refusals] == [tag]
    assert events[-1] == NOOP
    assert [event for event in events if isinstance(event, Command)] == [NOOP]


@pytest.mark.parametrize("text", [b"a X {9999+}\r\n", b"a X {99999999999999999999+}\r\n", b"x" * 2000])
@pytest.mark.parametrize("step", [1, 5000])
def test_a_client_that_does_not_end_is_given_up(text: bytes, step: int) -> None:
    """The octets of a refused command are passed over up to a limit; then nothing is read any more."""
    events = drive(
        [text[start : start + step] for start in range(0, len(text), step)] + [b"\r\nz NOOP\r\n"], SMALL
    )
    assert [type(event) for event in events] == [Abuse]


def test_before_login_contents_are_like_other_literals() -> None:
    """A client that has not logged in cannot make the reader ask for a message."""
    events = drive([b"a APPEND x {5000}\r\nz NOOP\r\n"], BEFORE_LOGIN)
    assert [type(event) for event in events] == [Refusal, Command]


def test_a_bare_lf_is_answered_at_once() -> None:
    """A person who types into nc is told why."""
    assert [type(event) for event in drive([b"a NOOP\n"])] == [Refusal]


def test_a_line_of_an_exchange_is_read_as_it_is() -> None:
    """RFC 9051 6.2.2, 6.3.13: an answer to a challenge and DONE have no tag, and announce no literal."""
    reader = Reader()
    reader.receive(b"DONE {3+}\r\nz NOOP\r\n")
    reader.expect_line()
    assert [reader.next_event(), reader.next_event()] == [Line(b"DONE {3+}"), NOOP]


def test_what_was_not_read_can_be_taken_back() -> None:
    """After COMPRESS the rest is to be inflated; after STARTTLS there must be none."""
    reader = Reader()
    reader.receive(b"z NOOP\r\nrest")
    assert reader.next_event() == NOOP
    assert (reader.pending(), reader.take_pending(), reader.pending()) == (4, b"rest", 0)


PIECES = st.lists(
    st.sampled_from(
        [
            b"a NOOP\r\n", b"b LOGIN {3+}\r\n", b"abc", b"\r\n", b"c APPEND x {6+}\r\n", b"c APPEND {1}\r\n",
            b"\n", b"\r", b"\0", b" {2}\r\n", b" (\\Seen) {4+}\r\n", b"x" * 70, b"~{3+}\r\n", b")", b"UID ",
            b"{600+}\r\n", b'"q"', b" CATENATE (URL ", b"TEXT {5+}\r\n", b"d REPLACE 4 ",
        ]
    ),
    max_size=25,
)  # fmt: skip


@given(
    PIECES | st.lists(st.binary(max_size=40), max_size=5),
    st.lists(st.integers(0, 600), max_size=20),
    st.booleans(),
)
def test_any_split_gives_the_same_events(pieces: list[bytes], cuts: list[int], refuse: bool) -> None:
    """How the network cuts the input does not matter, and nothing is raised."""
    text = b"".join(pieces)
    whole = drive([text], SMALL, refuse=refuse)
    places = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    parts = [text[start:stop] for start, stop in pairwise(places)]
    assert drive(parts, SMALL, refuse=refuse) == whole
    assert drive([bytes([octet]) for octet in text], SMALL, refuse=refuse) == whole


@pytest.mark.parametrize(
    "block", [b"x" * 1000, b"a X {30+}\r\n" + b"y" * 30, b" {0+}\r\n", b"a X ((((((((", b"a X\r\n", b"\n"]
)
def test_floods_are_held_within_limits(block: bytes) -> None:
    """A megabyte of anything costs no more than a command and what was received at once."""
    reader = Reader(SMALL)
    most = 0
    for _ in range(1_000_000 // len(block)):
        reader.receive(block)
        event: Event | None = None
        while (event := reader.next_event()) is not None:
            if isinstance(event, Abuse):
                break
        most = max(most, reader.held())
    assert 0 <= most <= SMALL.command_octets + SMALL.line_octets + len(block)


def test_a_content_is_not_kept() -> None:
    """A message of 8 MB leaves the reader as it comes."""
    reader = Reader(AFTER_LOGIN)
    reader.receive(b"a APPEND x {8388608+}\r\n")
    assert isinstance(reader.next_event(), MessageLiteral)
    reader.accept()
    taken = 0
    for _ in range(128):
        reader.receive(b"x" * 65_536)
        event = reader.next_event()
        assert isinstance(event, LiteralBlock)
        taken += len(event.data)
        assert reader.held() == 0
    assert taken == 8_388_608
    assert reader.next_event() == LiteralEnd()
