"""Encoded words: text beyond ASCII in header fields.

Written where a value must be ASCII, read where a person will look at it. A decoded text is only ever shown,
never used to decide anything: what an encoded word spells is not part of the field's syntax.

Standards: RFC 2047 2, 4, 5; RFC 2231 5 (language suffix).
Invariants: ``decode(encode(text).encode()) == text`` for text without control characters; an encoded text is
printable ASCII; a decoded text has no control characters; nothing is raised.
Limits: MAX_WORD_OCTETS; charsets are taken from a fixed table, never looked up by the sender's name.
"""

from __future__ import annotations

import re
from base64 import b64encode
from binascii import Error as Base64Error
from binascii import a2b_base64, a2b_qp
from typing import Final

MAX_WORD_OCTETS: Final = 64
"""One encoded word, with its delimiters: of the 75 allowed, some are left for the field's name."""
MAX_PLAIN_WORD: Final = 900
"""A longer ASCII word is encoded, because it could not be folded into lines of 998 octets otherwise."""
_PAYLOAD = MAX_WORD_OCTETS - len("=?utf-8?q??=")

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
# Lone surrogates cannot be written as UTF-8; some decoders make them out of garbage.
_SURROGATE = re.compile("[\ud800-\udfff]")
_UNSHOWN = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")
# RFC 2047 5 (3): the octets that stand for themselves even in a phrase.
_Q_PLAIN = b"!*+-/0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_Q_TABLE = [chr(octet) if octet in _Q_PLAIN else f"={octet:02X}" for octet in range(256)]
_Q_TABLE[0x20] = "_"

_WORD = re.compile(r"=\?([A-Za-z0-9_.:-]{1,40})(?:\*[A-Za-z0-9-]{0,40})?\?([BbQq])\?([!->@-~ ]*+)\?=")

CHARSETS: Final[dict[str, str]] = {
    **{name: name for name in ("utf-8", "utf-16", "utf-7", "koi8-r", "koi8-u", "gb18030", "big5")},
    **{name: name for name in ("euc-jp", "euc-kr", "iso-2022-jp", "iso-2022-kr")},
    **{f"iso-8859-{part}": f"iso8859-{part}" for part in range(1, 17) if part != 12},
    **{f"{prefix}{page}": f"cp{page}" for prefix in ("windows-", "cp") for page in range(1250, 1259)},
    **{f"{prefix}{page}": f"cp{page}" for prefix in ("windows-", "cp") for page in (874, 932, 936, 949, 950)},
    **{f"{prefix}{page}": f"cp{page}" for prefix in ("ibm", "cp") for page in (437, 850, 852, 855, 866)},
    # Labelled ISO-8859-1 or US-ASCII, written as windows-1252: what browsers and mail programs read it as.
    "iso-8859-1": "cp1252",
    "us-ascii": "cp1252",
    "ascii": "cp1252",
    "latin1": "cp1252",
    "utf8": "utf-8",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "ks_c_5601-1987": "cp949",
    "shift_jis": "cp932",
    "shift-jis": "cp932",
    "sjis": "cp932",
    "big5-hkscs": "big5hkscs",
    "tis-620": "cp874",
    "macintosh": "mac-roman",
}
"""Charsets that mail is written in. A table, because Python's codecs hold more than charsets."""


def encode(text: str) -> str:
    """Return *text* as a header value in printable ASCII: as it is, or as encoded words separated by spaces.

    Control characters and lone surrogates become spaces and question marks.

    Spec: RFC 2047 2
    """
    text = _SURROGATE.sub("?", _CONTROL.sub(" ", text))
    if text.isascii() and "=?" not in text and not _needs_folding(text):
        return text
    octets = text.encode("utf-8")
    quoted = [_Q_TABLE[octet] for octet in octets]
    if sum(map(len, quoted)) <= len(octets) * 4 // 3:
        return " ".join(f"=?utf-8?q?{piece}?=" for piece in _pieces_q(text))
    return " ".join(f"=?utf-8?b?{b64encode(piece).decode()}?=" for piece in _pieces_b(text))


def _needs_folding(text: str) -> bool:
    return len(text) > MAX_PLAIN_WORD and max(map(len, text.split(" "))) > MAX_PLAIN_WORD


def _pieces_q(text: str) -> list[str]:
    """Cut *text* between characters into Q-encoded pieces that fit into one encoded word each."""
    pieces, piece = [], ""
    for char in text:
        coded = "".join([_Q_TABLE[octet] for octet in char.encode("utf-8")])
        if len(piece) + len(coded) > _PAYLOAD:
            pieces.append(piece)
            piece = ""
        piece += coded
    return [*pieces, piece]


def _pieces_b(text: str) -> list[bytes]:
    """Cut *text* between characters into pieces whose base64 fits into one encoded word each."""
    pieces, piece = [], b""
    for char in text:
        octets = char.encode("utf-8")
        if len(piece) + len(octets) > _PAYLOAD // 4 * 3:
            pieces.append(piece)
            piece = b""
        piece += octets
    return [*pieces, piece]


def decode(value: bytes) -> str:
    """Return the text of a header value for showing it.

    :param value: an unfolded value; octets that are not UTF-8 become U+FFFD.
    :returns: the text, in which control characters have become U+FFFD, tabs spaces. What is no proper encoded
        word, or is in an unknown charset, stays as it is written.

    Spec: RFC 2047 6.2
    """
    return decode_text(value.decode("utf-8", "replace"))


def decode_text(text: str) -> str:
    """Like ``decode``, for a value that is already text."""
    if "=?" not in text:
        return _show(text)
    result: list[str] = []
    run: list[bytes] = []  # of neighbouring encoded words: some software cuts a character in two between them
    run_codec = ""
    end = 0
    for match in _WORD.finditer(text):
        codec = CHARSETS.get(match[1].lower())
        octets = None if codec is None else _octets(match[2], match[3])
        if codec is None or octets is None:
            continue
        between = text[end : match.start()]
        neighbours = bool(run) and not between.strip(" \t")
        if run and not (neighbours and codec == run_codec):
            result.append(b"".join(run).decode(run_codec, "replace"))
            run = []
        if not neighbours:
            result.append(between)
        run.append(octets)
        run_codec = codec
        end = match.end()
    if run:
        result.append(b"".join(run).decode(run_codec, "replace"))
    result.append(text[end:])
    return _show("".join(result))


def _octets(encoding: str, coded: str) -> bytes | None:
    if encoding in "Qq":
        return a2b_qp(coded.encode("ascii"), header=True)
    try:
        return a2b_base64(coded + "=" * (-len(coded) % 4))
    except Base64Error:
        return None


def _show(text: str) -> str:
    return _UNSHOWN.sub("\ufffd", text.replace("\t", " "))
