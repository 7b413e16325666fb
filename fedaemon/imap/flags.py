"""Flags between what clients write and the bits that mailboxes keep.

Standards: RFC 9051 2.3.2, RFC 3501 2.3.2 (\\Recent), RFC 5788 (keywords).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from typing import Final

from fedaemon.errors import BadSyntax
from fedaemon.imap.session import Session
from fedaemon.mailbox.words import SYSTEM_FLAGS, flag_names

SYSTEM: Final = tuple(name.encode("ascii") for name in SYSTEM_FLAGS)
_CANONICAL: Final = {name.lower(): name for name in SYSTEM_FLAGS}


def read_flags(flags: Iterable[bytes]) -> tuple[str, ...]:
    """Return flags as mailboxes name them.

    :raises BadSyntax: for a system flag that cannot be set.

    Spec: RFC 9051 2.3.2
    """
    return tuple(dict.fromkeys(_read_flag(flag.decode("ascii")) for flag in flags))


def _read_flag(flag: str) -> str:
    if not flag.startswith("\\"):
        return flag
    try:
        return _CANONICAL[flag.lower()]
    except KeyError:
        raise BadSyntax(f"{flag} is not a flag that can be set") from None


class FlagTexts:
    """The flags of messages as FETCH shows them, each combination written once.

    :param session: with a selected mailbox; the names of its keywords are those it knows now.
    """

    __slots__ = ("_recent", "_texts", "_words")

    def __init__(self, session: Session) -> None:
        selected = session.need_selected
        self._words = list(selected.keywords)
        self._recent = [] if session.rev2 else selected.recent
        self._texts: dict[tuple[int, bool], bytes] = {}

    def text(self, uid: int, flags: int) -> bytes:
        """Return the flags of a message in parentheses; *flags* as ``View`` gives them."""
        place = bisect_right(self._recent, uid, key=_low) - 1
        recent = place >= 0 and uid <= self._recent[place][1]
        text = self._texts.get((flags, recent))
        if text is None:
            names = ["\\Recent"] * recent + flag_names(flags, self._words)
            text = self._texts[flags, recent] = b"(" + " ".join(names).encode("ascii") + b")"
        return text


def _low(pair: tuple[int, int]) -> int:
    return pair[0]
