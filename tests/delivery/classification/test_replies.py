"""The table of replies: each as its server writes it, and what must become of it."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from fedaemon.delivery.classification.classifier import example_reply
from fedaemon.delivery.classification.rule import Example
from fedaemon.delivery.classification.verdict import ACTIONS, CATEGORIES
from tests.delivery.classification.support import ask, ours, what

TABLE: dict[str, Any] = tomllib.loads(Path(__file__).with_name("replies.toml").read_text("utf-8"))
ROWS = [(group, *row) for group, content in TABLE.items() for row in content["replies"]]
MIN_ROWS = 450


@pytest.mark.parametrize("group", TABLE)
def test_each_reply_gets_its_verdict(group: str) -> None:
    """Every row of a group: the action and the category that a postmaster would choose."""
    wrong = []
    for action, category, reply, *where in TABLE[group]["replies"]:
        found = what(reply, **(where[0] if where else {}))
        if found != (action, category):
            wrong.append(f"{reply[:100]}: {found} instead of {(action, category)}")
    assert not wrong, "\n".join(wrong)


def test_the_table_is_large_and_in_form() -> None:
    """The table covers the field, says nothing twice, and every category occurs in it."""
    assert len(ROWS) >= MIN_ROWS
    keys = [(row[3], str(row[4:])) for row in ROWS]
    assert len(set(keys)) == len(keys)
    assert {row[1] for row in ROWS} == set(ACTIONS)
    assert {row[2] for row in ROWS} == set(CATEGORIES)


def test_every_rule_has_a_reply_in_the_table() -> None:
    """A rule that no reply of the table needs is untested but for its own example."""
    used = {ask(row[3], **(row[4] if len(row) > 4 else {})).rule for row in ROWS}
    assert [rule.name for rule in ours().rules if rule.name not in used] == []


def test_the_quick_choice_by_words_finds_what_trying_every_rule_finds() -> None:
    """The index of words changes the cost and nothing else."""
    for _, _, _, text, *where in ROWS:
        reply = example_reply(Example(text, **(where[0] if where else {})))
        first = next((rule.name for rule in ours().rules if rule.fits(reply)), "")
        assert ours().classify_reply(reply).rule == first, text
