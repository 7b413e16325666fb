"""Messages as the mailbox layout sees them: what a real mailbox would hold, made from a number.

Invariants: the same number gives the same message, so that every layout stores the same mailbox.
Limits: contents are left out; they are blobs, the same in every layout.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Final

SEEN: Final = 1
ANSWERED: Final = 2
FLAGGED: Final = 4
DELETED: Final = 8
DRAFT: Final = 16
GONE: Final = 128
"""Expunged: no flag of IMAP, but a bit beside them, so that a row goes without moving the others."""

TEXTS: Final = ("subject", "from", "to", "cc", "bcc")

_BEGAN_S: Final = 1_600_000_000
_VOCABULARY: Final = (
    "meeting invoice the of for project budget review re: fwd: weekly report update question about your order"
    " account reminder schedule travel plan draft contract release notes security advisory lunch tomorrow"
    " [dev-list] patch build failed überweisung réunion приглашение 会議 tickets newsletter summer offers"
)
_WORDS: Final = _VOCABULARY.split()
_NAMES: Final = [
    f"{first} {last}" for first in _WORDS[:24] for last in ("smith", "müller", "tanaka", "rossi")
]


@dataclass(frozen=True, slots=True)
class Message:
    """What a mailbox keeps of a message; texts are decoded, case-folded UTF-8 without line ends."""

    flags: int
    keywords: int
    size: int
    internal_s: int
    saved_s: int
    sent_s: int
    zone_min: int
    email: int
    thread: int
    texts: tuple[bytes, ...]
    shape: bytes


def make(number: int) -> Message:
    """Return the message of that number, 0 being the oldest."""
    chance = random.Random(number)
    flags = (SEEN if chance.random() < 0.8 else 0) | (ANSWERED if chance.random() < 0.1 else 0)
    flags |= FLAGGED if chance.random() < 0.02 else 0
    internal_s = _BEGAN_S + number * 600 + chance.randrange(600)
    subject = " ".join(chance.choices(_WORDS, k=chance.randint(3, 9))) + f" {number % 5000}"
    to = ", ".join(_address(chance) for _ in range(chance.choice((1, 1, 1, 2, 4))))
    cc = _address(chance) if chance.random() < 0.2 else ""
    texts = tuple(text.encode() for text in (subject, _address(chance), to, cc, ""))
    identifier = b"%032x" % chance.getrandbits(128)
    addresses = b"((%b)) NIL NIL ((%b))" % (texts[1], texts[2])
    envelope = b'("Mon, 1 Jan 2024 10:00:00 +0100" "%b" %b NIL NIL NIL "<%b@example.com>")' % (
        texts[0],
        addresses,
        identifier,
    )
    part = b'("text" "plain" ("charset" "utf-8") NIL NIL "quoted-printable" %d 60 NIL NIL NIL NIL)' % number
    structure = b'(%b%b "alternative" ("boundary" "%032x") NIL NIL NIL)' % (
        part,
        part,
        chance.getrandbits(128),
    )
    return Message(
        flags=flags,
        keywords=chance.choice((1, 2, 3)) if chance.random() < 0.05 else 0,
        size=int(chance.lognormvariate(9.2, 1.3)),
        internal_s=internal_s,
        saved_s=internal_s,
        sent_s=internal_s - chance.randrange(60),
        zone_min=chance.choice((0, 60, -300, 540)),
        email=chance.getrandbits(63),
        thread=chance.getrandbits(63),
        texts=texts,
        shape=envelope + structure + b"x" * 200,
    )


def _address(chance: random.Random) -> str:
    name = chance.choice(_NAMES)
    return f"{name} <{name.replace(' ', '.')}{chance.randrange(40)}@example{chance.randrange(30)}.com>"
