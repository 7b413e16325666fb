"""THREAD: RFC 5256 3."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedaemon.imap import threading
from fedaemon.imap.parse.search import ThreadAlgorithm
from fedaemon.imap.threading import Threaded, thread

REFERENCES = ThreadAlgorithm.REFERENCES
ORDEREDSUBJECT = ThreadAlgorithm.ORDEREDSUBJECT


def made(
    number: int, references: str = "", *, id_: str | None = None, subject: str = "", sent: int = 0
) -> Threaded:
    """Return a message; "re:" before the subject makes it a reply; without *sent* it is as old as its number."""
    is_reply = subject.startswith("re:")
    name = str(number) if id_ is None else id_
    return Threaded(
        number, name, tuple(references.split()), subject.removeprefix("re:"), is_reply, sent or number
    )


@pytest.mark.parametrize("algorithm", ThreadAlgorithm)
def test_nothing_gives_nothing(algorithm: ThreadAlgorithm) -> None:
    """RFC 5256 4: without messages there are no threads."""
    assert thread(algorithm, []) == b""


def test_the_example_of_the_response() -> None:
    """RFC 5256 4: a single message, and a thread that splits into two."""
    messages = [made(2), made(3), made(6, "3"), made(4, "3 6"), made(23, "4"), made(44, "6")]
    messages += [made(7, "44"), made(96, "44 7")]
    assert thread(REFERENCES, messages) == b"(2)(3 6 (4 23)(44 7 96))"


def test_ordered_subject_has_no_grandchildren() -> None:
    """RFC 5256 3: the oldest is the parent of all others; threads are in the order of their first messages."""
    messages = [made(1, subject="b", sent=5), made(2, subject="a", sent=9), made(3, subject="b", sent=4)]
    messages += [made(4, subject="c", sent=4), made(5, subject="b", sent=6), made(6, subject="a", sent=9)]
    assert thread(ORDEREDSUBJECT, messages) == b"(3 (1)(5))(4)(2 6)"


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        ([made(1, "x"), made(2, "x")], b"((1)(2))"),
        ([made(1, "x y z")], b"(1)"),
        ([made(1, "x y"), made(2, "x z")], b"((1)(2))"),
        ([made(1), made(2, "1 y"), made(3, "1 y")], b"(1 (2)(3))"),
        ([made(1, "x"), made(2, "x 1")], b"(1 2)"),
        ([made(5, "x", sent=9), made(6, "x", sent=8), made(7, sent=8)], b"((6)(5))(7)"),
    ],
    ids=["kept at the root", "no child", "below a dummy", "promoted", "one child", "date of its first child"],
)
def test_dummies(messages: list[Threaded], expected: bytes) -> None:
    """RFC 5256 3, steps 3 and 4: only at the root, and only with several children, do dummies remain."""
    assert thread(REFERENCES, messages) == expected


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        ([made(1, "1")], b"(1)"),
        ([made(1, "2"), made(2, "1")], b"(2 1)"),
        ([made(1, "3"), made(2, "1"), made(3, "2")], b"(3 1 2)"),
        ([made(1, "2 2 2"), made(2)], b"(2 1)"),
        ([made(1, id_="a"), made(2, id_="a"), made(3, "a")], b"(1 3)(2)"),
        ([made(1, id_=""), made(2, id_="")], b"(1)(2)"),
        ([made(1, "2 3"), made(2), made(3, "4"), made(4)], b"(2)(4 3 1)"),
    ],
    ids=["itself", "two", "three", "repeated", "one id twice", "no ids", "own references win"],
)
def test_contradictions(messages: list[Threaded], expected: bytes) -> None:
    """RFC 5256 3, step 1: no loops; ids are unique; a message's own references replace what others say of it."""
    assert thread(REFERENCES, messages) == expected


def test_a_truncated_list_is_corrected_by_the_message_itself() -> None:
    """RFC 5256 3, step 1.B: 4 says that 3 follows 1, but 3 itself knows 2."""
    assert thread(REFERENCES, [made(1), made(2, "1"), made(3, "2"), made(4, "1 3")]) == b"(1 2 3 4)"
    late = [made(1), made(2, "1 4"), made(3, "1"), made(4, "3")]
    assert thread(REFERENCES, late) == b"(1 3 4 2)"


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        ([made(1, subject="s"), made(2, subject="re:s")], b"(1 2)"),
        ([made(1, subject="re:s"), made(2, subject="s")], b"(2 1)"),
        ([made(1, subject="s"), made(2, subject="s")], b"((1)(2))"),
        ([made(1, subject="re:s"), made(2, subject="re:s"), made(3, subject="re:s")], b"((1)(2)(3))"),
        ([made(1, "x", subject="s"), made(2, "x"), made(3, subject="s")], b"((1)(2)(3))"),
        ([made(3, subject="s"), made(4, "x", subject="s"), made(5, "x")], b"((3)(4)(5))"),
        ([made(n, "xy"[n % 2], subject="s") for n in range(1, 5)], b"((1)(2)(3)(4))"),
        ([made(1, subject=""), made(2, subject="")], b"(1)(2)"),
        ([made(1, subject="s"), made(2, "1", subject="t"), made(3, subject="re:s")], b"(1 (2)(3))"),
    ],
    ids=[
        "reply",
        "reply first",
        "two",
        "replies only",
        "dummy",
        "dummy later",
        "two dummies",
        "empty",
        "among children",
    ],
)
def test_one_subject_joins_threads(messages: list[Threaded], expected: bytes) -> None:
    """RFC 5256 3, step 5: by the first message of each thread."""
    assert thread(REFERENCES, messages) == expected


@pytest.mark.parametrize("backwards", [False, True])
def test_a_deep_thread(backwards: bool) -> None:
    """A thread of 10,000 levels is written, whichever end comes first."""
    last = 10_000
    if backwards:
        messages = [made(n, str(n + 1) if n < last else "", sent=last - n + 1) for n in range(1, last + 1)]
        expected = range(last, 0, -1)
    else:
        messages = [made(n, str(n - 1) if n > 1 else "") for n in range(1, last + 1)]
        expected = range(1, last + 1)
    assert thread(REFERENCES, messages) == b"(" + b" ".join(b"%d" % n for n in expected) + b")"


def test_contradictions_cannot_cost_more_than_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """When the steps are used up a link is left out, and every message is still told."""
    messages = [made(1, "2 4"), made(2), made(3, "2"), made(4, "3")]
    assert thread(REFERENCES, messages) == b"(2 3 4 1)"
    monkeypatch.setattr(threading, "MAX_CLIMB_STEPS", 0)
    assert thread(REFERENCES, messages) == b"(2 3)(4 1)"


IDS = st.sampled_from(["", "a", "b", "c", "d", "e", "f", "g"])
MESSAGES = st.lists(
    st.builds(
        Threaded,
        number=st.integers(1, 1000),
        message_id=IDS,
        references=st.lists(IDS.filter(bool), max_size=5).map(tuple),
        base_subject=st.sampled_from(["", "", "s", "t"]),
        is_reply=st.booleans(),
        sent_s=st.integers(0, 5),
    ),
    max_size=12,
    unique_by=lambda message: message.number,
)


@given(MESSAGES, st.sampled_from(ThreadAlgorithm))
def test_each_number_is_told_once_and_in_the_grammar(
    messages: list[Threaded], algorithm: ThreadAlgorithm
) -> None:
    """RFC 5256 5: whatever the headers say, the answer is a thread-list with each message once."""
    text = thread(algorithm, messages)
    assert sorted(map(int, re.findall(rb"\d+", text))) == sorted(message.number for message in messages)
    while (reduced := re.sub(rb"\((?:N(?: N)*(?: TT+)?|TT+)\)", b"T", re.sub(rb"\d+", b"N", text))) != text:
        text = reduced
    assert set(text) <= set(b"T")


@given(MESSAGES)
def test_the_order_of_the_input_does_not_matter(messages: list[Threaded]) -> None:
    """Messages are taken in the order of their numbers."""
    assert thread(REFERENCES, messages[::-1]) == thread(REFERENCES, messages)
