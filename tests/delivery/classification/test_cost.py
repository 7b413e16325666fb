"""What a classification costs: a handful of rules for a common reply, and no more than each once for any."""

from __future__ import annotations

from unittest.mock import patch

import pytest

from fedaemon.delivery.classification.reply import MAX_TEXT
from fedaemon.delivery.classification.rule import Rule
from tests.delivery.classification.support import ask, ours


def asked(text: str) -> int:
    """Return how many rules are asked about a reply."""
    count = 0
    fits = Rule.fits

    def counting(rule: Rule, reply: object) -> bool:
        nonlocal count
        count += 1
        return fits(rule, reply)  # type: ignore[arg-type]

    with patch.object(Rule, "fits", counting):
        ask(text)
    return count


@pytest.mark.parametrize(
    "reply",
    [
        "550 5.1.1 <bob@example.com>: Recipient address rejected: User unknown in virtual mailbox table",
        "452 4.2.2 The email account that you tried to reach is over quota.",
        "421 4.7.0 mx.example.net Error: too many connections from 192.0.2.1",
        "550 xyzzy",
    ],
)
def test_a_common_reply_asks_few_rules(reply: str) -> None:
    """Words that a rule cannot do without keep most of them out."""
    assert asked(reply) <= len(ours().rules) // 4


def test_a_text_of_all_words_asks_each_rule_at_most_once() -> None:
    """The worst that a hostile server can do."""
    words = " ".join(word for rule in ours().rules for phrase in rule.any_of for word in phrase.words)
    assert len(words) > MAX_TEXT
    for start in range(0, len(words), MAX_TEXT):
        assert asked(f"550 {words[start : start + MAX_TEXT]}") <= len(ours().rules)
