"""Object identifiers as clients see them.

Standards: RFC 8474 4 (MAILBOXID), 5 (EMAILID, THREADID), 7 (objectid).
Invariants: the first letter says what it is, so that no two kinds have the same; what was written reads back.
"""

from __future__ import annotations

import re
from typing import Final

_EMAIL: Final = re.compile(rb"M([0-9a-f]{1,16})").fullmatch
_THREAD: Final = re.compile(rb"T([0-9a-f]{1,16})").fullmatch


def email_id(email: int) -> bytes:
    """Return EMAILID. Spec: RFC 8474 5.1"""
    return b"M%x" % email


def thread_id(thread: int) -> bytes | None:
    """Return THREADID, None for a message that is in no thread. Spec: RFC 8474 5.2"""
    return b"T%x" % thread if thread else None


def read_email_id(text: bytes) -> int | None:
    """Return the number of an EMAILID, None for what is none of ours: no message has it. Spec: RFC 8474 6"""
    found = _EMAIL(text)
    return int(found[1], 16) if found else None


def read_thread_id(text: bytes) -> int | None:
    """Return the number of a THREADID, None for what is none of ours. Spec: RFC 8474 6"""
    found = _THREAD(text)
    return int(found[1], 16) if found else None
