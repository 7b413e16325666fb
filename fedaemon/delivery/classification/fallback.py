"""The verdict by reply code alone, for texts that no rule knows.

4yz is tried again and 5yz is final, as the standards say, but for what says in its enhanced status that it
passes: a full mailbox, a full or closed system, a network that cannot be reached; and for what concerns us and not
the message: a refusal before MAIL, a login that fails.

Standards: RFC 5321 4.2.2 and 4.2.3 (codes), RFC 3463 3 (statuses), RFC 5248 (their registry), RFC 4954 6
(login), RFC 7372 3 (SPF, DKIM and reverse DNS), RFC 7504 (521 and 556).
Invariants: 421 is never final: it closes the channel, whatever for.
"""

from __future__ import annotations

from typing import Final

from fedaemon.delivery.classification.reply import Reply
from fedaemon.delivery.classification.rule import status_fits
from fedaemon.delivery.classification.verdict import Action, Verdict

BEFORE_MAIL: Final = ("connect", "tls", "greeting", "ehlo")

_BY_STATUS: Final[tuple[tuple[str, str, Action], ...]] = (
    # status, category, action when the reply is final; the first that fits
    ("*.1.7", "sender", "reject"),
    ("*.1.8", "sender", "reject"),
    ("*.1.9", "sender", "reject"),
    ("*.1.*", "recipient", "reject"),
    ("*.2.2", "capacity", "retry"),
    ("*.2.3", "message", "reject"),
    ("*.2.*", "recipient", "reject"),
    ("*.3.1", "capacity", "retry"),
    ("*.3.2", "network", "retry"),
    ("*.3.3", "protocol", "reject"),
    ("*.3.4", "message", "reject"),
    # A system that says its own settings are wrong will be put right.
    ("*.3.5", "config", "retry"),
    ("*.3.*", "other", "reject"),
    ("*.4.1", "network", "retry"),
    ("*.4.2", "network", "retry"),
    ("*.4.3", "network", "retry"),
    ("*.4.5", "rate", "slow_down"),
    ("*.4.6", "config", "reject"),
    ("*.4.*", "network", "reject"),
    ("*.5.3", "envelope", "reject"),
    ("*.5.*", "protocol", "reject"),
    ("*.6.7", "envelope", "reject"),
    ("*.6.*", "message", "reject"),
    # Our login, or the encryption that it asks for: our settings are never the sender's fault.
    ("*.7.8", "config", "retry"),
    ("*.7.9", "config", "retry"),
    ("*.7.10", "config", "retry"),
    ("*.7.11", "config", "retry"),
    ("*.7.12", "config", "retry"),
    ("*.7.13", "config", "retry"),
    ("*.7.14", "config", "retry"),
    ("*.7.17", "recipient", "reject"),
    ("*.7.18", "recipient", "reject"),
    ("*.7.20", "auth", "reject"),
    ("*.7.21", "auth", "reject"),
    ("*.7.22", "auth", "reject"),
    ("*.7.23", "auth", "reject"),
    ("*.7.24", "auth", "reject"),
    ("*.7.25", "config", "retry"),
    ("*.7.26", "auth", "reject"),
    ("*.7.27", "sender", "reject"),
    ("*.7.28", "rate", "slow_down"),
    ("*.7.29", "auth", "reject"),
    ("*.7.*", "policy", "reject"),
)

_BY_CODE: Final[dict[int, tuple[str, Action]]] = {
    # code: category, action when the reply is final
    421: ("network", "retry"),
    432: ("config", "retry"),
    450: ("recipient", "retry"),
    452: ("capacity", "retry"),
    454: ("config", "retry"),
    455: ("protocol", "retry"),
    500: ("protocol", "reject"),
    501: ("protocol", "reject"),
    502: ("protocol", "reject"),
    503: ("protocol", "reject"),
    504: ("protocol", "reject"),
    530: ("config", "retry"),
    534: ("config", "retry"),
    535: ("config", "retry"),
    538: ("config", "retry"),
    551: ("recipient", "reject"),
    # "Exceeded storage allocation": a mailbox that is full today, unless the status says otherwise.
    552: ("capacity", "retry"),
    553: ("envelope", "reject"),
    555: ("protocol", "reject"),
}
_FINAL_ANYWHERE: Final = (521, 556)
"""Hosts and domains that take no mail at all say so at the greeting too."""
_LOGIN: Final = (530, 534, 535, 538)

_LATER: Final = "It is tried again, and given up only when the message's time is over."
_WHAT: Final = {
    "auth": "The remote server could not verify that the message comes from its sender's domain.",
    "block": "The remote server does not accept this server's mail at present.",
    "capacity": "There is no room for the message at the recipient's side.",
    "config": "The remote server cannot work with this server as one of the two is set up.",
    "envelope": "The remote server does not take the addresses of this message as they are.",
    "message": "The remote server does not take this message for its form, type or size.",
    "network": "The remote server cannot be reached or cannot work at present.",
    "other": "The remote server refused the message for a reason that only its reply says.",
    "policy": "The remote server refused the message by a policy of its own.",
    "protocol": "The remote server and this one did not understand each other.",
    "rate": "The remote server gets more mail than it wants to take.",
    "recipient": "The remote server cannot deliver to this recipient.",
    "sender": "The remote server does not accept the sender's address.",
}


def by_code(reply: Reply) -> Verdict:
    """Return what to think of a reply that no rule knows."""
    category, action = _row(reply)
    if reply.temporary and action == "reject":
        action = "retry"
    if reply.phase in BEFORE_MAIL and reply.code not in _FINAL_ANYWHERE and action == "reject":
        # Nothing was known of the message yet: whom they refuse is this server, and another day they may not.
        category, action = "block", "retry"
    later = _LATER if action != "reject" else "The reply is final."
    return Verdict(action, category, f"{_WHAT[category]} {later}")


def _row(reply: Reply) -> tuple[str, Action]:
    """Return the category, and the action for a final reply."""
    if reply.code in _LOGIN or reply.phase == "auth":
        return "config", "retry"
    if reply.code in _FINAL_ANYWHERE and reply.status in ("", "5.3.2"):
        return "recipient", "reject"
    for status, category, action in _BY_STATUS:
        if status_fits(status, reply.status):
            return category, action
    if reply.code in _BY_CODE:
        return _BY_CODE[reply.code]
    if reply.phase in ("dns", "connect", "tls") and not reply.code:
        return "network", "reject"
    return "other", "reject"
