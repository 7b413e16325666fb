"""The base subject: what remains of a subject without Re:, Fwd: and the names of mailing lists.

Standards: RFC 5256 2.1 (base subject), 5 (grammar).
Invariants: nothing is raised; the result is case-folded, without white space at its ends or two spaces in a row.
Limits: MAX_CHARACTERS.
"""

from __future__ import annotations

import re
from typing import Final

MAX_CHARACTERS: Final = 1_000
"""Characters of a subject that are looked at: a line of mail has no more."""

_BLOB = r"\[[^\[\]]*+\] *+"
_BLOB_PREFIX = re.compile(_BLOB).match
_REFWD_PREFIX = re.compile(rf"(?:{_BLOB})*+(?:re|fwd?+) *+(?:{_BLOB})?+: *+").match


def base_subject(subject: str) -> tuple[str, bool]:
    """Return the base subject, and whether it shows the message to be a reply or forwarded.

    :param subject: decoded and case-folded.

    Spec: RFC 5256 2.1
    """
    text = " ".join(subject[:MAX_CHARACTERS].split())
    reply = False
    while True:
        while text.endswith("(fwd)"):
            text, reply = text[:-5].rstrip(" "), True
        text, led = _without_leaders(text)
        reply = reply or led
        if not (text.startswith("[fwd:") and text.endswith("]")):
            return text, reply
        text, reply = text[5:-1].strip(" "), True


def _without_leaders(text: str) -> tuple[str, bool]:
    """Take off leaders, and blobs as long as something remains (steps 3 to 5)."""
    reply = False
    while True:
        match = _REFWD_PREFIX(text)
        if match is not None:
            text, reply = text[match.end() :], True
            continue
        match = _BLOB_PREFIX(text)
        if match is None or match.end() == len(text):
            return text, reply
        text = text[match.end() :]
