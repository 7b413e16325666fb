"""Names of mailboxes: the same commands leave the same names and subscriptions as Dovecot's.

Standards: RFC 9051 6.3.4 to 6.3.11 (CREATE, DELETE, RENAME, SUBSCRIBE, LIST, STATUS), RFC 3501 6.3.9 (LSUB).
Limits: DIFFERENTIAL_EXAMPLES in the environment says how many scripts are made up.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import count
from typing import Final

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from tests.imap.lab import Lab
from tests.interop.imap_sides import EngineSide, Side, ok
from tests.lab.dovecot import Dovecot, dovecot
from tests.lab.imap_tokens import Token, pairs

__all__ = ["dovecot"]

EXAMPLES: Final = int(os.environ.get("DIFFERENTIAL_EXAMPLES", "100"))
NAMES: Final = ("a", "b", "a/b", "a/b/c", "b/c", "&AOQ-")
MARKS: Final = {"\\marked", "\\unmarked"}
"""Hints that a server need not give (RFC 9051 7.3.1)."""
PATTERNS: Final = ("*", "%", "a*", "%/%", "a/%", "*b", "a", "x", "*c*")

names = st.sampled_from(NAMES)
commands = st.one_of(
    st.tuples(
        st.sampled_from(("CREATE", "CREATE", "CREATE", "DELETE", "SUBSCRIBE", "UNSUBSCRIBE", "STATUS")), names
    ),
    st.tuples(st.just("RENAME"), names, names),
)
scripts = st.lists(commands, min_size=1, max_size=10)
examples = count()


@pytest.fixture(scope="module")
def sides(dovecot: Dovecot, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Side, Side]]:
    """A session of each."""
    lab = Lab(tmp_path_factory.mktemp("lab"))
    with dovecot.imap("names") as client:
        yield EngineSide(lab), client
    lab.close()


def run(side: Side, prefix: str, verb: str, *arguments: str) -> tuple[str, list[dict[str, Token]]]:
    """Run a command in a part of the names; return its status and what STATUS tells."""
    text = " ".join([verb, *[prefix + name for name in arguments]])
    if verb == "STATUS":
        text += " (MESSAGES UNSEEN UIDNEXT)"
    answer = side.command(text.encode())
    told = [pairs(response.tokens[1]) for response in answer.named("STATUS")]
    return answer.status.name, told


def listed(side: Side, command: str, prefix: str, pattern: str) -> dict[str, frozenset[str]]:
    """Return names with their attributes."""
    answer = ok(side, f'{command} "" {prefix}{pattern}'.encode())
    found = {}
    for response in answer.named(command.split(" ")[0]):
        attributes, _, name = response.tokens[:3]
        text = name.decode() if isinstance(name, bytes) else str(name)
        assert isinstance(attributes, list)
        found[text.removeprefix(prefix)] = frozenset(str(one).lower() for one in attributes) - MARKS
    return found


def selectable(names: dict[str, frozenset[str]]) -> dict[str, frozenset[str]]:
    """Return those that are mailboxes."""
    return {name: attributes for name, attributes in names.items() if "\\noselect" not in attributes}


def leftover(side: Side, prefix: str, names: tuple[str, ...]) -> bool:
    """Tell whether one of *names* is deleted, and still a name above others (``deleted-above``)."""
    return any("\\noselect" in listed(side, "LIST", prefix, name).get(name, ()) for name in names)


def with_parents(script: list[tuple[str, ...]]) -> Iterator[tuple[str, ...]]:
    """Yield commands; before one that makes a name those that make the names above it."""
    for command in script:
        if command[0] in ("CREATE", "RENAME"):
            levels = command[-1].split("/")
            for depth in range(1, len(levels)):
                yield ("CREATE", "/".join(levels[:depth]))
        yield command


@given(scripts)
@settings(
    max_examples=EXAMPLES // 2, derandomize=True, deadline=None, database=None, phases=(Phase.generate,)
)
def test_scripts(sides: tuple[Side, Side], script: list[tuple[str, ...]]) -> None:
    """Each command ends alike, and leaves the same names and subscriptions."""
    prefix = f"p{next(examples)}/"
    for command in with_parents(script):
        if command[0] in ("DELETE", "RENAME", "SUBSCRIBE") and leftover(sides[1], prefix, command[1:]):
            continue
        ours, theirs = (run(side, prefix, *command) for side in sides)
        assert ours == theirs, command
    for pattern in PATTERNS:
        ours_listed, theirs_listed = (selectable(listed(side, "LIST", prefix, pattern)) for side in sides)
        assert ours_listed == theirs_listed, pattern
        ours_listed, theirs_listed = (listed(side, "LSUB", prefix, pattern) for side in sides)
        assert ours_listed == theirs_listed, pattern


def test_names_above(sides: tuple[Side, Side]) -> None:
    """They become mailboxes here, and names only in Dovecot (RFC 9051 6.3.4)."""
    prefix = f"p{next(examples)}/"
    for side in sides:
        assert run(side, prefix, "CREATE", "b/c")[0] == "OK"
    ours, theirs = (sorted(listed(side, "LIST", prefix, "b")["b"]) for side in sides)
    assert (ours, theirs) == (["\\haschildren"], ["\\haschildren", "\\noselect"])


def test_a_deleted_name_above_others(sides: tuple[Side, Side]) -> None:
    """It is told for ``%`` as by Dovecot, but not for ``*``: so it is in the example of RFC 9051 6.3.5."""
    prefix = f"p{next(examples)}/"
    for side in sides:
        for verb, name in (("CREATE", "b"), ("CREATE", "b/c"), ("DELETE", "b")):
            assert run(side, prefix, verb, name)[0] == "OK"
    assert ["\\noselect" in listed(side, "LIST", prefix, "%")["b"] for side in sides] == [True, True]
    assert ["b" in listed(side, "LIST", prefix, "*") for side in sides] == [False, True]
