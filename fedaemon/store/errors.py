"""What the store says when it cannot do its work, each with what the operator should do.

Standards: RFC 5321 4.2 (reply codes), RFC 3463 3.4 (4.3.1 "mail system full", 4.3.0 "other or undefined").
Invariants: every one of them is temporary to a peer (promise 2): the store being full, broken or too new is
never the fault of who sent the mail.
"""

from __future__ import annotations

import errno

from fedaemon.errors import Unavailable

FULL_ERRNOS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""Errors of the operating system that mean "no room", as opposed to "broken"."""


class StoreError(Unavailable):
    """The store cannot read or write: 451 4.3.0."""


class StoreFull(StoreError):
    """There is no room left, or less than the reserve: 452 4.3.1."""

    code = 452
    status = "4.3.1"


class NewerFormat(StoreError):
    """The store was written by a newer fedaemon, whose records this one would misread."""


class StoreInUse(StoreError):
    """Another process serves this data directory."""


def from_os_error(error: OSError, doing: str) -> StoreError:
    """Return the StoreError for a failed system call.

    :param error: what the operating system said.
    :param doing: what was tried, for the text ("cannot write blob 01J…").
    """
    reason = error.strerror or str(error)
    if error.errno in FULL_ERRNOS:
        return StoreFull(f"{doing}: {reason}; free some disk space")
    return StoreError(f"{doing}: {reason}")
