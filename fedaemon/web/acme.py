"""What certbot puts into its webroot, so that an authority sees that the host is ours (HTTP-01).

Standards: RFC 8555 8.3.
Invariants: only a file of the one directory is read, named by a token without dots and slashes; a link is not
followed, so that nobody who may write there shows other files of ours.
Limits: ``MAX_OCTETS`` of a file; reading is done in a thread.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from twisted.internet.defer import Deferred

from fedaemon.web.exchange import Answer, Asked, plain

PREFIX: Final = "/.well-known/acme-challenge/"
MAX_OCTETS: Final = 4096

_TOKEN = re.compile(r"[A-Za-z0-9_-]{1,128}").fullmatch


async def challenge(
    asked: Asked, webroot: Path | None, run_in_thread: Callable[..., Deferred[Any]]
) -> Answer:
    """Answer with the file of a token."""
    token = asked.path.removeprefix(PREFIX)
    if webroot is not None and _TOKEN(token) is not None:
        content: bytes | None = await run_in_thread(read_token, webroot / PREFIX.strip("/"), token)
        if content is not None:
            return Answer(200, content, "application/octet-stream")
    return plain(404, "there is no such challenge")


def read_token(directory: Path, token: str) -> bytes | None:
    """Return the content of a plain and small file, None for any other; blocks."""
    try:
        descriptor = os.open(directory / token, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_size > MAX_OCTETS:
            return None
        return os.read(descriptor, MAX_OCTETS)
    finally:
        os.close(descriptor)
