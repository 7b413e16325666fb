"""The differences to Dovecot that docs/imap-differences.md explains, by name; those of FETCH as rules.

Invariants: a rule holds for one kind of difference only; whoever uses them has an example for each.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fedaemon.message.mime.part import Part
from tests.lab.imap_tokens import Token

DOCUMENT: Final = Path(__file__).parent.parent.parent / "docs" / "imap-differences.md"

_ROW = re.compile(r"^\| `([a-z0-9-]+)` \| (fetch|search|commands) \|", re.MULTILINE).findall


def documented(subject: str) -> set[str]:
    """Return the names of the differences that concern *subject*: "fetch", "search" or "commands"."""
    return {name for name, of in _ROW(DOCUMENT.read_text()) if of == subject}


@dataclass(frozen=True, slots=True)
class Difference:
    """One item of one message, answered differently; *part* is None where the item names none."""

    item: str
    section: str
    part: Part | None
    parts: tuple[Part, ...]
    message: bytes
    ours: Token
    theirs: Token

    @property
    def both(self) -> tuple[bytes, bytes] | None:
        """Both answers, if they are octets."""
        if isinstance(self.ours, bytes) and isinstance(self.theirs, bytes):
            return self.ours, self.theirs
        return None


def _line_ends_counted(ours: Token, theirs: Token) -> bool:
    """Tell whether two structures differ only in that parts are one line end longer."""
    if isinstance(ours, list) and isinstance(theirs, list):
        return len(ours) == len(theirs) and all(map(_line_ends_counted, ours, theirs))
    if isinstance(ours, int) and isinstance(theirs, int):
        return theirs - ours in (0, 1, 2)
    return ours == theirs


def _multipart_line_end(one: Difference) -> bool:
    if one.item.startswith("BODY") and isinstance(one.ours, list):
        return _line_ends_counted(one.ours, one.theirs)
    holds_parts = one.part is not None and one.part.section and one.part.main_type in ("multipart", "message")
    if not holds_parts or one.item.endswith(("MIME", "HEADER")):
        return False
    if isinstance(one.ours, int) and isinstance(one.theirs, int):
        return one.theirs == one.ours + 2
    return one.both is not None and one.both[1] == one.both[0] + b"\r\n"


def _header_line_end(one: Difference) -> bool:
    if one.both is None or not one.item.endswith(("MIME", "HEADER")):
        return False
    return one.both[0] == one.both[1] + b"\r\n"


def _added_empty_line(one: Difference) -> bool:
    return one.both is not None and one.item == "FIELDS" and one.both[1] == one.both[0] + b"\r\n"


def _past_the_header(one: Difference) -> bool:
    if one.both is None or one.item != "FIELDS.NOT":
        return False
    return one.both[1].startswith(one.both[0]) and b"--" in one.both[1][len(one.both[0]) :]


def _inner_encodings(one: Difference) -> bool:
    holds_parts = one.part is not None and (
        not one.part.section or one.part.main_type in ("multipart", "message")
    )
    return (
        one.item.startswith("BINARY") and holds_parts and b"content-transfer-encoding:" in one.message.lower()
    )


def _no_boundary(one: Difference) -> bool:
    return b"Content-Type: multipart/mixed\r\n\r\n" in one.message and one.theirs in (b"", 0)


def _odd_encoding(one: Difference) -> bool:
    if not one.item.startswith("BINARY") or one.theirs != "UNKNOWN-CTE" or one.part is None:
        return False
    return not one.part.section or one.part.encoding == "7bit"


RULES: Final[dict[str, Callable[[Difference], bool]]] = {
    "multipart-line-end": _multipart_line_end,
    "header-line-end": _header_line_end,
    "added-empty-line": _added_empty_line,
    "past-the-header": _past_the_header,
    "inner-encodings": _inner_encodings,
    "no-boundary": _no_boundary,
    "odd-encoding": _odd_encoding,
}
"""By their names in the document."""
