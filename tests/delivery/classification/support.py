"""What the tests of the classification share: our rules, read once, and a short way to ask."""

from __future__ import annotations

from functools import cache

from fedaemon.delivery.classification import Classifier, Verdict, load_classifier
from fedaemon.delivery.classification.classifier import example_reply
from fedaemon.delivery.classification.rule import Example


@cache
def ours() -> Classifier:
    """The classifier of the built-in rules."""
    return load_classifier()


def ask(reply: str, *, phase: str = "", host: str = "", classifier: Classifier | None = None) -> Verdict:
    """Classify a reply as a server writes it, with its codes."""
    return (classifier or ours()).classify_reply(example_reply(Example(reply, host, phase)))


def what(reply: str, *, phase: str = "", host: str = "") -> tuple[str, str]:
    """Return action and category by the built-in rules."""
    verdict = ask(reply, phase=phase, host=host)
    return verdict.action, verdict.category
