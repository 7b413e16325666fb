"""A refusal as rules see it: its parts taken out of the text, and the text made uniform.

Standards: RFC 5321 4.2.1 (replies of several lines), RFC 2034 4 (enhanced status codes in replies).
Invariants: nothing raises, whatever the text is; the cost is linear. What an e-mail address says is no part of
the text: recipients are called spam@ and virus@, and whoever chooses an address must not choose the verdict.
Limits: MAX_TEXT characters of a reply count.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

MAX_TEXT: Final = 2048

_CODE: Final = re.compile(r"\s*([2-5][0-9][0-9])(?![0-9A-Za-z.])[ -]?")
_STATUS: Final = re.compile(r"\s*[\[(]?#?([245]\.[0-9]{1,3}\.[0-9]{1,3})(?![0-9.])[\])]?[:;]?")
_STATUS_IN_TEXT: Final = re.compile(r"\(#([245]\.[0-9]{1,3}\.[0-9]{1,3})\)")
"""qmail and its descendants put it at the end: "no mailbox here by that name (#5.1.1)"."""

_ADDRESS: Final = re.compile(r"[^\s<>(),;:\"'\[\]{}=]+")
"""A run that may be an address; whether it has an "@" is asked afterwards, which keeps this linear."""

_UNIFORM: Final = str.maketrans({"\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"'})


@dataclass(frozen=True, slots=True)
class Reply:
    """A refusal: *code* 400 to 599 or 0, *status* "x.y.z" or "", *text* as ``fold`` makes it."""

    code: int
    status: str
    text: str
    phase: str
    host: str
    permanent: bool

    @property
    def temporary(self) -> bool:
        """True when whoever refused does not call it final."""
        return self.code // 100 == 4 or not (self.code or self.permanent)


def read_reply(*, code: int, status: str, text: str, phase: str, host: str, permanent: bool) -> Reply:
    """Make a Reply of what an attempt brought.

    :param code: SMTP reply code, 0 when no reply was had; one that is no refusal counts as 0.
    :param status: enhanced status code; when "" it is looked for in the text.
    :param text: any text, of one line or several, with or without the codes in it.
    :param permanent: what to think of a failure without a reply code.
    """
    code = code if 400 <= code <= 599 else 0
    status = status or find_status(code, text[:MAX_TEXT])
    return Reply(
        code=code,
        status=status,
        text=fold(text, code, status),
        phase=phase,
        host=host.rstrip(".").lower(),
        permanent=permanent or status.startswith("5."),
    )


def split_reply(reply: str) -> tuple[int, str, str]:
    """Take a reply as a server writes it apart: (code or 0, status or "", text).

    The text has the codes of further lines still in it; ``fold`` takes them away.
    """
    code, status = 0, ""
    if (match := _CODE.match(reply)) is not None:
        code, reply = int(match[1]), reply[match.end() :]
    if (match := _STATUS.match(reply)) is not None and _fits(match[1], code):
        status, reply = match[1], reply[match.end() :]
    return code, status or find_status(code, reply[:MAX_TEXT]), reply.strip()


def find_status(code: int, text: str) -> str:
    """Return the enhanced status code that *text* begins with or names in qmail's way, or ""."""
    for match in (_STATUS.match(text), _STATUS_IN_TEXT.search(text)):
        if match is not None and _fits(match[1], code):
            return match[1]
    return ""


def _fits(status: str, code: int) -> bool:
    """Say whether a status belongs to a code. Spec: RFC 2034 4"""
    return not code or status[0] == str(code)[0]


def fold(text: str, code: int, status: str) -> str:
    """Return *text* as one line of small letters, without the repeated codes of further lines and without
    what stands in e-mail addresses.
    """
    plain = str(code) if code else ""
    again = f"{plain}-" if code else ""
    tokens = []
    for token in text[:MAX_TEXT].casefold().translate(_UNIFORM).split():
        if again and token.startswith(again):
            token = token[len(again) :]
        if token in ("", status, plain):
            continue
        tokens.append(_ADDRESS.sub(_without_address, token) if "@" in token else token)
    return " ".join(tokens)


def _without_address(match: re.Match[str]) -> str:
    return "@" if "@" in match[0] else match[0]
