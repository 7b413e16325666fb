"""A rule: conditions on a refusal, and the verdict where all of them are met.

Standards: RFC 5321 4.2 (codes), RFC 3463 2 (the three parts of a status).
Invariants: a condition that is not given is met; an action "reject" is for what the server calls final: what it
calls temporary gets *on_4xx*, so that no rule turns a server's "later" into "never" unless it says so.
"""

from __future__ import annotations

from dataclasses import dataclass

from fedaemon.delivery.classification.phrase import Phrase
from fedaemon.delivery.classification.reply import Reply
from fedaemon.delivery.classification.verdict import Action, Verdict


@dataclass(frozen=True, slots=True)
class Example:
    """A reply as a server writes it, which its rule must be the first to know."""

    reply: str
    host: str = ""
    phase: str = ""


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. *source* is the file that it came from.

    *hosts* are names, or "*.name" for every host below it; *codes* are "550" or "5xx" ("0": no reply was had);
    *statuses* are "5.7.1", "5.7.*" or "*.2.2". Of *any_of* one phrase must stand in the text, of *all_of*
    each, of *none_of* none.
    """

    name: str
    action: Action
    category: str
    explanation: str
    source: str
    examples: tuple[Example, ...]
    hosts: tuple[str, ...] = ()
    codes: tuple[str, ...] = ()
    statuses: tuple[str, ...] = ()
    phases: tuple[str, ...] = ()
    any_of: tuple[Phrase, ...] = ()
    all_of: tuple[Phrase, ...] = ()
    none_of: tuple[Phrase, ...] = ()
    on_4xx: Action = "retry"

    def fits(self, reply: Reply) -> bool:
        """Say whether every condition is met; the cheap ones are asked first."""
        text = reply.text
        return (
            (not self.codes or str(reply.code) in self.codes or f"{reply.code // 100}xx" in self.codes)
            and (not self.phases or reply.phase in self.phases)
            and (not self.statuses or any(status_fits(each, reply.status) for each in self.statuses))
            and (not self.hosts or any(_host_fits(each, reply.host) for each in self.hosts))
            and all(phrase.occurs(text) for phrase in self.all_of)
            and (not self.any_of or any(phrase.occurs(text) for phrase in self.any_of))
            and not any(phrase.occurs(text) for phrase in self.none_of)
        )

    def verdict(self, reply: Reply) -> Verdict:
        """Return what the rule says about a reply that fits."""
        action = self.on_4xx if self.action == "reject" and reply.temporary else self.action
        return Verdict(action, self.category, self.explanation, self.name)


def status_fits(pattern: str, status: str) -> bool:
    """Say whether *status* is what *pattern* names, part for part, "*" being any."""
    parts, wanted = status.split("."), pattern.split(".")
    return len(parts) == 3 and all(want in ("*", part) for want, part in zip(wanted, parts, strict=True))


def _host_fits(pattern: str, host: str) -> bool:
    return host.endswith(pattern[1:]) if pattern.startswith("*.") else host == pattern
