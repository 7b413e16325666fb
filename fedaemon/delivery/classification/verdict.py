"""What a classification says: the action, the category, and a sentence for people."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Action = Literal["retry", "slow_down", "reject"]

ACTIONS: Final[dict[str, Action]] = {"retry": "retry", "slow_down": "slow_down", "reject": "reject"}
"""retry: as the schedule says; slow_down: and send less to this site for a while; reject: to the sender."""

CATEGORIES: Final = (
    "auth",
    "block",
    "blocklist",
    "capacity",
    "config",
    "dmarc",
    "envelope",
    "greylist",
    "message",
    "network",
    "other",
    "policy",
    "protocol",
    "rate",
    "recipient",
    "sender",
    "spam",
    "virus",
)

PHASES: Final = (
    "dns",
    "connect",
    "tls",
    "greeting",
    "ehlo",
    "auth",
    "mail",
    "rcpt",
    "data",
    "content",
    "local",
)
"""Where in an attempt a refusal came (``delivery.transport.Outcome.phase``)."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What to do about a refusal. *rule* is the name of the rule that said so, "" for the reply code."""

    action: Action
    category: str
    explanation: str
    rule: str = ""
