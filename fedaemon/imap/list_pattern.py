"""Patterns of LIST: ``*`` stands for anything, ``%`` for anything within a level.

Patterns come from the peer and are matched with all names of an account, so no matcher that goes back may run
them: all positions in the pattern are followed at once, one bit each, and a name is read once.

Standards: RFC 9051 6.3.9, RFC 3501 6.3.8.
Invariants: INBOX is matched in any case, also as a first level that is written out; all else octet for octet.
Limits: the work for a name is its length times the length of the pattern in machine words.
"""

from __future__ import annotations

import re
from typing import Final

from fedaemon.mailbox.mailboxes import INBOX, SEPARATOR, canonical_name

_WILD = re.compile(r"[*%]").search
_CAPITALS: Final = {letter: letter - 32 for letter in range(ord("a"), ord("z") + 1)}


class Pattern:
    """A pattern that names are matched with.

    :ivar shows_levels: whether it ends with ``%``, which asks for levels of the hierarchy too.
    """

    __slots__ = ("_inbox", "_prefix", "_wild", "shows_levels")

    def __init__(self, reference: str, pattern: str) -> None:
        """Join *reference* and *pattern* to the canonical pattern."""
        text = canonical_name(reference + pattern)
        self.shows_levels = pattern.endswith("%")
        self._prefix, self._wild = _split(text)
        prefix, wild = _split(text.translate(_CAPITALS))
        self._inbox = INBOX.startswith(prefix) and wild.matches(INBOX[len(prefix) :])

    def matches(self, name: str) -> bool:
        """Tell whether *name* is meant.

        Spec: RFC 9051 6.3.9
        """
        if name == INBOX:
            return self._inbox
        return name.startswith(self._prefix) and self._wild.matches(name[len(self._prefix) :])


def _split(text: str) -> tuple[str, _Wild]:
    """Return what all matching names begin with, and the rest of the pattern."""
    found = _WILD(text)
    start = len(text) if found is None else found.start()
    return text[:start], _Wild(text[start:])


class _Wild:
    """An automaton with one state for each number of characters of the pattern that have been met.

    In a state before a wildcard any character may stay there (before ``%``, any but the separator).
    """

    __slots__ = ("_advance", "_end", "_stay", "_stay_at_separator", "_text")

    def __init__(self, text: str) -> None:
        self._text = text
        self._advance: dict[str, int] = {}
        self._stay = self._stay_at_separator = 0
        state = 1
        for character in text:
            if character in "*%":
                self._stay |= state
                if character == "*":
                    self._stay_at_separator |= state
            else:
                self._advance[character] = self._advance.get(character, 0) | state
                state <<= 1
        self._end = state

    def matches(self, rest: str) -> bool:
        """Tell whether all of *rest* is met."""
        if self._text in ("", "*", "%"):
            return self._text == "*" or (SEPARATOR not in rest if self._text else not rest)
        states = 1
        advance = self._advance.get
        for character in rest:
            stay = self._stay_at_separator if character == SEPARATOR else self._stay
            states = (states & advance(character, 0)) << 1 | states & stay
            if not states:
                return False
        return bool(states & self._end)
