"""A phrase that a rule looks for: words as they stand in a reply, with ``*`` for a little of anything.

It exists instead of regular expressions because rules are written by people in a hurry and read texts written
by strangers: a phrase is found in linear time whatever either of them does.

``mailbox full`` stands between word borders: it is not found in "mailbox fullness". ``block*`` ends anywhere
("blocked", "blocking"), ``*list`` begins anywhere. In the middle ``*`` stands for 0 to GAP characters. Letters
match in either case; a space matches any run of white space (``reply.fold`` has made that one space).

Invariants: the cost of ``occurs`` is at most the length of the text for each piece between ``*``.
Limits: MAX_CHARACTERS a phrase, MAX_WILDCARDS in it, at least MIN_LETTERS letters or digits.
"""

from __future__ import annotations

import re
from typing import Final

GAP: Final = 80
"""What ``*`` may stand for: an IP address, a host or a queue id and a few words, but not half the reply."""

MAX_CHARACTERS: Final = 160
MAX_WILDCARDS: Final = 4
MIN_LETTERS: Final = 3
"""Fewer would be found in every second reply."""

STEM: Final = 3
"""By so many first letters words with an open end are found quickly."""

WORD: Final = re.compile(r"[^\W_]+")
"""What counts as a word, in texts and in phrases."""


class Phrase:
    """One phrase. :raises ValueError: with what is wrong with it."""

    __slots__ = ("_closed", "_open", "_pieces", "source", "stems", "words")

    def __init__(self, source: str) -> None:
        text = " ".join(source.casefold().split())
        if sum(character.isalnum() for character in text) < MIN_LETTERS:
            raise ValueError(f"the phrase {source!r} has fewer than {MIN_LETTERS} letters or digits")
        if "@" in text:
            raise ValueError(f"the phrase {source!r} has an e-mail address, and addresses do not count")
        if len(text) > MAX_CHARACTERS:
            raise ValueError(f"the phrase {source[:40]!r}… has more than {MAX_CHARACTERS} characters")
        if text.count("*") > MAX_WILDCARDS:
            raise ValueError(f"the phrase {source!r} has more than {MAX_WILDCARDS} wildcards")
        self.source = source
        self._pieces = tuple(piece for piece in text.split("*") if piece)
        # A border is only asked for where the phrase itself begins or ends with a letter or digit.
        self._open = text[0] == "*" or not text[0].isalnum()
        self._closed = text[-1] == "*" or not text[-1].isalnum()
        self.words, self.stems = _words_and_stems(text)
        """What a text must have, so that the phrase can be in it: whole words, and first letters of words."""

    def occurs(self, text: str) -> bool:
        """Say whether the phrase stands in *text*, which ``reply.fold`` has made."""
        ends = self._first(text)
        for piece in self._pieces[1:]:
            if not ends:
                return False
            ends = _following(text, piece, ends)
        if self._closed:
            return bool(ends)
        return any(end == len(text) or not text[end].isalnum() for end in ends)

    def _first(self, text: str) -> list[int]:
        """Return where the first piece ends, wherever it stands behind a word border."""
        piece = self._pieces[0]
        ends = []
        at = text.find(piece)
        while at >= 0:
            if self._open or at == 0 or not text[at - 1].isalnum():
                ends.append(at + len(piece))
            at = text.find(piece, at + 1)
        return ends


def _following(text: str, piece: str, ends: list[int]) -> list[int]:
    """Return where *piece* ends, wherever it begins at most GAP characters after one of *ends*.

    Both lists ascend, so the latest end before a place is all that matters, and each is passed once.
    """
    found: list[int] = []
    latest = 0
    at = text.find(piece, ends[0])
    while at >= 0:
        while latest + 1 < len(ends) and ends[latest + 1] <= at:
            latest += 1
        if at - ends[latest] <= GAP:
            found.append(at + len(piece))
        at = text.find(piece, at + 1)
    return found


def _words_and_stems(text: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the words of a phrase that no wildcard touches, and how words begin whose end is open."""
    words, stems = [], []
    for match in WORD.finditer(text):
        before, after = text[: match.start()][-1:], text[match.end() :][:1]
        if before != "*" and after != "*":
            words.append(match[0])
        elif before != "*" and len(match[0]) >= STEM:
            stems.append(match[0][:STEM])
    return tuple(words), tuple(stems)
