"""LIST and LSUB: RFC 9051 6.3.9, RFC 5258 5, RFC 3501 6.3.9, RFC 6154 5."""

from __future__ import annotations

from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar

import pytest

from fedaemon.imap import listing
from fedaemon.imap.listing import Answer, Listed, Names, line
from fedaemon.imap.operations import Turn
from fedaemon.imap.parse.listing import List, Selection, Told

T = TypeVar("T")

FOOD = [
    Listed(name)
    for name in (
        "INBOX",
        "Fruit",
        "Fruit/Apple",
        "Fruit/Banana",
        "Tofu",
        "Vegetable",
        "Vegetable/Broccoli",
        "Vegetable/Corn",
    )
]
EATEN = ["INBOX", "Fruit/Banana", "Fruit/Peach", "Vegetable", "Vegetable/Broccoli"]
DEEP = [
    Listed(name)
    for name in (
        "foo2/bar1",
        "foo2/bar2",
        "baz2",
        "baz2/bar2",
        "baz2/bar22",
        "baz2/bar222",
        "eps2",
        "eps2/mamba",
        "qux2/bar2",
    )
]
DEEP_SUBSCRIBED = [box.name for box in DEEP if box.name != "baz2"]
SUBSCRIBED = frozenset((Selection.SUBSCRIBED,))
RECURSIVE = SUBSCRIBED | {Selection.RECURSIVEMATCH}
NO_OPTIONS: frozenset[Selection] = frozenset()


def finished(coroutine: Coroutine[Any, Any, T]) -> T:
    """Return what comes of a coroutine that awaits turns only."""
    while True:
        try:
            assert isinstance(coroutine.send(None), Turn)
        except StopIteration as stop:
            value: T = stop.value
            return value


def names_of(mailboxes: Iterable[Listed], subscribed: Iterable[str]) -> Names:
    """Return the names of an account."""
    names = Names()
    names.add(mailboxes)
    names.subscribed.update(subscribed)
    return names


def list_answer(mailboxes: Iterable[Listed], subscribed: Iterable[str], asked: List) -> list[Answer]:
    """Return all that LIST tells."""
    return list(finished(listing.list_answer(names_of(mailboxes, subscribed), asked)))


def lsub_answer(mailboxes: Iterable[Listed], subscribed: Iterable[str], asked: List) -> list[Answer]:
    """Return all that LSUB tells."""
    return list(finished(listing.lsub_answer(names_of(mailboxes, subscribed), asked)))


def asked(
    *patterns: str, of: frozenset[Selection] = NO_OPTIONS, told: tuple[Told, ...] = (), reference: str = ""
) -> List:
    """Return a LIST in the extended form."""
    return List(reference, patterns, True, of, frozenset(told))


def basic(pattern: str, reference: str = "") -> List:
    """Return a LIST in the basic form."""
    return List(reference, (pattern,))


def said(answers: list[Answer]) -> list[str]:
    """Return name, attributes and child info, as one reads them."""
    return [
        " ".join([answer.name, *(word.decode()[1:] for word in answer.attributes)])
        + "".join(f" +{word.decode()}" for word in answer.child_info)
        for answer in answers
    ]


def test_the_complete_hierarchy() -> None:
    """RFC 5258 5, example 1: INBOX first, parents before their children; the basic form tells of children."""
    assert said(list_answer(FOOD, EATEN, basic("*"))) == [
        "INBOX HasNoChildren",
        "Fruit HasChildren",
        "Fruit/Apple HasNoChildren",
        "Fruit/Banana HasNoChildren",
        "Tofu HasNoChildren",
        "Vegetable HasChildren",
        "Vegetable/Broccoli HasNoChildren",
        "Vegetable/Corn HasNoChildren",
    ]


@pytest.mark.parametrize("remote", [NO_OPTIONS, frozenset((Selection.REMOTE,))])
def test_subscribed(remote: frozenset[Selection]) -> None:
    """RFC 5258 5, examples 2 and 5: names subscribed to, also those that do not exist."""
    assert said(list_answer(FOOD, EATEN, asked("*", of=SUBSCRIBED | remote))) == [
        "INBOX Subscribed",
        "Fruit/Banana Subscribed",
        "Fruit/Peach NonExistent Subscribed",
        "Vegetable Subscribed",
        "Vegetable/Broccoli Subscribed",
    ]


def test_return_children_and_subscribed() -> None:
    """RFC 5258 5, examples 3 and 6: return options add attributes and no names."""
    both = (Told.CHILDREN, Told.SUBSCRIBED)
    assert said(list_answer(FOOD, EATEN, asked("%", told=both))) == [
        "INBOX HasNoChildren Subscribed",
        "Fruit HasChildren",
        "Tofu HasNoChildren",
        "Vegetable HasChildren Subscribed",
    ]
    assert said(list_answer(FOOD, EATEN, asked("%", of=frozenset((Selection.REMOTE,))))) == [
        "INBOX",
        "Fruit",
        "Tofu",
        "Vegetable",
    ]


def test_several_patterns_tell_each_name_once() -> None:
    """RFC 5258 3: a mailbox that several patterns match is told once."""
    assert said(list_answer(FOOD, [], asked("INBOX", "Fr%", "%t", "Fruit/A*"))) == [
        "INBOX",
        "Fruit",
        "Fruit/Apple",
    ]


def test_recursive_match_tells_parents_of_what_is_selected() -> None:
    """RFC 5258 5, example 8: parents that match, existing or not, with CHILDINFO."""
    assert said(list_answer(FOOD, [*EATEN, "Bread/Rye"], asked("%", of=RECURSIVE))) == [
        "INBOX Subscribed",
        "Bread NonExistent +SUBSCRIBED",
        "Fruit +SUBSCRIBED",
        "Vegetable Subscribed +SUBSCRIBED",
    ]


def test_a_parent_that_says_nothing_new_is_left_out() -> None:
    """RFC 5258 5, example 9: with "*2", baz2 and qux2 have only children that are told themselves."""
    assert said(list_answer(DEEP, DEEP_SUBSCRIBED, asked("*2", of=RECURSIVE))) == [
        "baz2/bar2 Subscribed",
        "baz2/bar22 Subscribed",
        "baz2/bar222 Subscribed",
        "eps2 Subscribed +SUBSCRIBED",
        "foo2 NonExistent +SUBSCRIBED",
        "foo2/bar2 Subscribed",
        "qux2/bar2 Subscribed",
    ]
    assert said(list_answer(DEEP, DEEP_SUBSCRIBED, asked("%2", of=RECURSIVE))) == [
        "baz2 +SUBSCRIBED",
        "eps2 Subscribed +SUBSCRIBED",
        "foo2 NonExistent +SUBSCRIBED",
        "qux2 NonExistent +SUBSCRIBED",
    ]


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (basic("%"), ["a NonExistent Noselect HasChildren", "b HasNoChildren"]),
        (asked("%"), ["a NonExistent", "b"]),
        (basic("a/%"), ["a/b NonExistent Noselect HasChildren"]),
        (basic("%/%"), ["a/b NonExistent Noselect HasChildren"]),
        (basic("*"), ["a/b/c HasNoChildren", "b HasNoChildren"]),
        (asked("%", of=SUBSCRIBED), []),
    ],
)
def test_missing_levels(request_: List, expected: list[str]) -> None:
    """RFC 9051 6.3.9: % at the end tells levels of the hierarchy that are no mailboxes, * does not."""
    assert said(list_answer([Listed("a/b/c"), Listed("b")], [], request_)) == expected


def test_special_uses() -> None:
    """RFC 6154 5.1, 5.2: told in the basic form and when asked for; both selections together narrow."""
    boxes = [Listed("Sent", "\\Sent"), Listed("Old/Junk", "\\Junk"), Listed("Other")]
    use = frozenset((Selection.SPECIAL_USE,))
    assert said(list_answer(boxes, [], asked("*", of=use))) == ["Old/Junk Junk", "Sent Sent"]
    assert said(list_answer(boxes, [], asked("S*", told=(Told.SPECIAL_USE,)))) == ["Sent Sent"]
    assert said(list_answer(boxes, [], asked("S*"))) == ["Sent"]
    assert said(list_answer(boxes, [], basic("S*"))) == ["Sent HasNoChildren Sent"]
    assert said(list_answer(boxes, ["Sent", "Other"], asked("*", of=use | SUBSCRIBED))) == [
        "Sent Subscribed Sent"
    ]
    deep = asked("%", of=use | RECURSIVE)
    assert said(list_answer(boxes, ["Old/Junk"], deep)) == ["Old NonExistent +SPECIAL-USE +SUBSCRIBED"]


def test_mailboxes_that_cannot_be_selected() -> None:
    """RFC 9051 7.3.1: they exist, but have no STATUS."""
    answers = list_answer([Listed("a", selectable=False), Listed("a/b")], [], basic("*"))
    assert said(answers) == ["a Noselect HasChildren", "a/b HasNoChildren"]
    assert [answer.exists for answer in answers] == [False, True]


@pytest.mark.parametrize(
    ("reference", "root"),
    [("", ""), ("foo", ""), ("foo/", "foo/"), ("~/Mail/foo", "~/"), ("/usr/staff", "/")],
)
def test_the_empty_pattern_asks_for_the_root(reference: str, root: str) -> None:
    """RFC 9051 6.3.9: separator and root, in the basic form only."""
    assert list_answer(FOOD, [], basic("", reference)) == [Answer(root, (b"\\Noselect",))]
    assert list_answer([Listed("foo")], [], asked("", reference=reference)) == []


def test_lsub() -> None:
    """RFC 3501 6.3.9: levels above with % only, \\Noselect unless subscribed to themselves."""
    assert said(lsub_answer(FOOD, EATEN, basic("%"))) == ["INBOX", "Fruit Noselect", "Vegetable"]
    assert said(lsub_answer(FOOD, EATEN, basic("*"))) == EATEN
    assert said(lsub_answer(FOOD, EATEN, basic("%", "Fruit/"))) == ["Fruit/Banana", "Fruit/Peach"]
    assert said(lsub_answer([Listed("a", selectable=False)], ["a"], basic("a"))) == ["a Noselect"]


def test_lines() -> None:
    """RFC 9051 7.3.1, RFC 5258 4: attributes, separator, the name as the session reads it, CHILDINFO."""
    assert line(Answer(""), utf8=False) == b'* LIST () "/" ""\r\n'
    full = Answer("A/\u00e9 x", (b"\\NonExistent", b"\\HasChildren"), (b"SUBSCRIBED",))
    words = b'* LIST (\\NonExistent \\HasChildren) "/" "A/%s x" ("CHILDINFO" ("SUBSCRIBED"))\r\n'
    assert line(full, utf8=False) == words % b"&AOk-"
    assert line(full, utf8=True) == words % "\u00e9".encode()
    assert line(Answer("b"), utf8=False, command=b"LSUB") == b'* LSUB () "/" b\r\n'


def test_much_work_takes_several_turns() -> None:
    """Each turn matches at most MATCHES_A_TURN patterns with names, whichever of the two are many."""
    names = names_of([Listed(f"a/{number}") for number in range(1000)], [])
    turns = 0
    coroutine = listing.list_answer(names, asked(*["x", "y", "a/1%"]))
    while True:
        try:
            coroutine.send(None)
        except StopIteration as stop:
            told = list(stop.value)
            break
        turns += 1
    assert turns == 3 * 1000 // listing.MATCHES_A_TURN - 1
    assert len(told) == 111


def test_parents_of_names_told_and_hidden() -> None:
    """A parent is told when any of the names below it is hidden, in whichever order they are looked at."""
    for subscribed in (["a/b/x", "a/b/y2"], ["a/b/y2", "a/b/x"]):
        names = Names()
        names.subscribed = dict.fromkeys(subscribed)  # type: ignore[assignment]
        found = list(finished(listing.list_answer(names, asked("*2", "a", of=RECURSIVE))))
        assert said(found) == ["a NonExistent +SUBSCRIBED", "a/b/y2 NonExistent Subscribed"]
