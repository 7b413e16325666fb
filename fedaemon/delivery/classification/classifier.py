"""Finds the verdict on a refusal: the first rule that fits, or else the reply code's.

There are hundreds of rules and a refusal for every second recipient of a bad list, so a rule is looked at only
when a word that it cannot do without stands in the reply: that leaves a handful.

Invariants: the choice by words changes nothing but the cost (a test compares it with trying every rule).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from fedaemon.delivery.classification.fallback import by_code
from fedaemon.delivery.classification.phrase import STEM, WORD, Phrase
from fedaemon.delivery.classification.reply import Reply, read_reply, split_reply
from fedaemon.delivery.classification.rule import Example, Rule
from fedaemon.delivery.classification.rule_file import RuleFile, read_rules
from fedaemon.delivery.classification.verdict import Verdict

OUR_RULES: Final = Path(__file__).with_name("rules.toml")


class Classifier:
    """Rules, in the order in which they are asked."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self.rules = tuple(rules)
        self._for_all: list[int] = []
        self._by_word: dict[str, list[int]] = {}
        self._by_stem: dict[str, list[int]] = {}
        common = Counter(word for rule in self.rules for phrase in _phrases(rule) for word in phrase.words)
        for number, rule in enumerate(self.rules):
            keys = _needed(rule, common)
            if not keys:
                self._for_all.append(number)
            for word, stem in keys:
                index, key = (self._by_word, word) if word else (self._by_stem, stem)
                index.setdefault(key, []).append(number)

    def classify(
        self, *, code: int, status: str, text: str, phase: str, host: str = "", permanent: bool = False
    ) -> Verdict:
        """Say what a refusal means and what to do about it. Never raises.

        :param code: SMTP reply code, 0 when no reply was had (DNS, network, TLS, our own refusal to send).
        :param status: enhanced status code, "" when none is known.
        :param text: the reply without its codes (with them does no harm), or what went wrong.
        :param phase: where it happened (``verdict.PHASES``), "" when unknown.
        :param host: name of the host that said it.
        :param permanent: for code 0: whether it is final where no rule knows better.

        Spec: RFC 5321 4.2
        """
        return self.classify_reply(
            read_reply(code=code, status=status, text=text, phase=phase, host=host, permanent=permanent)
        )

    def classify_reply(self, reply: Reply) -> Verdict:
        """Say what a refusal means that has been taken apart before."""
        rule = next((rule for rule in self._candidates(reply.text) if rule.fits(reply)), None)
        return by_code(reply) if rule is None else rule.verdict(reply)

    def rule(self, name: str) -> Rule | None:
        """Return the rule of that name."""
        return next((rule for rule in self.rules if rule.name == name), None)

    def _candidates(self, text: str) -> Iterator[Rule]:
        """Return the rules that may fit, in their order."""
        numbers = set(self._for_all)
        by_word, by_stem = self._by_word, self._by_stem
        for word in set(WORD.findall(text)):
            if word in by_word:
                numbers.update(by_word[word])
            if word[:STEM] in by_stem:
                numbers.update(by_stem[word[:STEM]])
        return (self.rules[number] for number in sorted(numbers))


def load_classifier(extra: Sequence[Path] = ()) -> Classifier:
    """Make a classifier of our rules and an operator's files.

    The rules of a later file come before those of an earlier one, and all of them before ours; a rule whose name
    is known already takes that rule's place.

    :raises BadRules: with a line for each problem in any of the files.
    """
    rules: list[Rule] = list(read_rules(OUR_RULES).rules)
    for path in extra:
        rules = _with(rules, read_rules(path))
    return Classifier(rules)


def misplaced_examples(classifier: Classifier, source: str) -> list[str]:
    """Return "SOURCE: rule NAME: what; fix" for each example that its own rule is not the first to know.

    :param source: the file whose rules are looked at.
    """
    problems = []
    for rule in classifier.rules:
        for example in rule.examples if rule.source == source else ():
            found = classifier.classify_reply(example_reply(example)).rule
            if found != rule.name:
                what = f"is known by the rule {found} before" if found else "does not meet its conditions"
                problems.append(
                    f"{source}: rule {rule.name}: its example {example.reply[:60]!r} {what}; "
                    "mend the conditions or the example"
                )
    return problems


def example_reply(example: Example) -> Reply:
    """Take an example apart as a reply."""
    code, status, text = split_reply(example.reply)
    return read_reply(
        code=code, status=status, text=text, phase=example.phase, host=example.host, permanent=False
    )


def _with(rules: list[Rule], file: RuleFile) -> list[Rule]:
    """Return *rules* with what a further file adds, replaces and disables."""
    known = {rule.name for rule in rules}
    given = {rule.name: rule for rule in file.rules}
    added = [rule for rule in file.rules if rule.name not in known]
    kept = [given.get(rule.name, rule) for rule in rules if rule.name not in file.disabled]
    return added + kept


def _phrases(rule: Rule) -> tuple[Phrase, ...]:
    return (*rule.any_of, *rule.all_of)


def _needed(rule: Rule, common: Counter[str]) -> list[tuple[str, str]]:
    """Return (word, "") or ("", stem) keys of which a text must have one to meet the rule; none: any text may."""
    keys = [_key(phrase, common) for phrase in rule.all_of]
    if found := next((key for key in keys if key != ("", "")), None):
        return [found]
    keys = [_key(phrase, common) for phrase in rule.any_of]
    return [] if ("", "") in keys else list(dict.fromkeys(keys))


def _key(phrase: Phrase, common: Counter[str]) -> tuple[str, str]:
    """Return the word of *phrase* that rules need least often, or else a stem, or nothing."""
    if phrase.words:
        return min(phrase.words, key=lambda word: (common[word], -len(word), word)), ""
    return "", max(phrase.stems, default="")
