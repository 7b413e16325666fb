"""Our rules: each is reached by its own examples, and keeps within what its category promises."""

from __future__ import annotations

import pytest

from fedaemon.delivery.classification.classifier import OUR_RULES, misplaced_examples
from tests.delivery.classification.support import ours

NEVER_FINAL = ("blocklist", "greylist", "network", "capacity", "rate", "block", "dmarc", "protocol")


def test_each_example_is_known_by_its_own_rule_first() -> None:
    """A rule that another shadows is dead."""
    assert misplaced_examples(ours(), str(OUR_RULES)) == []


@pytest.mark.parametrize("category", NEVER_FINAL)
def test_no_rule_of_ours_makes_final_what_passes(category: str) -> None:
    """What is promised to be retried cannot be lost by a slip in the file."""
    final = [rule.name for rule in ours().rules if rule.category == category and rule.action == "reject"]
    assert final == (["command-unknown"] if category == "protocol" else [])


def test_only_a_virus_is_final_against_a_temporary_code() -> None:
    """4yz means later to all others."""
    assert {rule.category for rule in ours().rules if rule.on_4xx == "reject"} == {"virus"}


def test_every_rule_says_something_of_its_own() -> None:
    """An explanation is a sentence, for a reader who has never seen a reply code."""
    for rule in ours().rules:
        assert rule.explanation[0].isupper(), rule.name
        assert rule.explanation.endswith("."), rule.name
