"""Message identifiers.

Standards: RFC 5322 3.6.4 (msg-id), RFC 6532 3.2 (UTF-8 in them).
Invariants: two identifiers made anywhere are never equal; one that is made passes ``is_message_id``.
Limits: MAX_MESSAGE_ID_OCTETS.
"""

from __future__ import annotations

import re
from secrets import token_hex
from time import time_ns
from typing import Final

MAX_MESSAGE_ID_OCTETS: Final = 900
"""It must fit on a line of 998 octets together with any field name."""

_MESSAGE_ID = re.compile(
    rb"<[!-;=?A-~\x80-\xff]++@(?:[!-;=?A-Z^-~\x80-\xff]++|\[[!-;=?A-Z^-~]++\])>"
).fullmatch


def new_message_id(domain: str) -> str:
    """Return a new identifier: ``<time.random@domain>``.

    :param domain: a canonical domain (or address literal); its owner vouches for the identifier being unique.

    Spec: RFC 5322 3.6.4
    """
    return f"<{time_ns():x}.{token_hex(10)}@{domain}>"


def is_message_id(value: bytes) -> bool:
    """Say whether *value* can serve as a Message-ID.

    Real software writes all kinds of characters on both sides of the "@"; what matters is that the brackets
    are there, one "@", no white space and nothing that other programs would take for the end of it.

    :param value: an unfolded field value without white space around it.

    Spec: RFC 5322 3.6.4, 4.5.4
    """
    if len(value) > MAX_MESSAGE_ID_OCTETS or _MESSAGE_ID(value) is None:
        return False
    if value.isascii():
        return True
    try:
        value.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
