"""Bounce classification: what a refusal means, and what to do about it.

A reply code alone misleads: servers say 550 to an address on a blocklist that is off it an hour later, and 552
to a mailbox that is emptied the next day. So the text is read too, by rules that are data: ``rules.toml``, which
an operator may extend or override. What no rule knows follows the reply code (``fallback.py``).

Standards: RFC 5321 4.2 (reply codes), RFC 3463 and RFC 5248 (enhanced status codes).
Invariants: a classification is a pure function of the reply and the rules: no clock, no network, no state. A
rule is never a regular expression, so no reply and no operator's file can make it slow.
Limits: ``reply.MAX_TEXT`` characters of a reply count.
"""

from fedaemon.delivery.classification.classifier import Classifier, load_classifier
from fedaemon.delivery.classification.rule_file import BadRules
from fedaemon.delivery.classification.verdict import Verdict

__all__ = ["BadRules", "Classifier", "Verdict", "load_classifier"]
