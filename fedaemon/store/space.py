"""The disk reserve: new mail is refused while there is still room to finish what was taken.

Invariants: only growth is refused; what becomes of messages is recorded below the reserve too, because it
frees space, and the reserve is there for it.
Limits: the operating system is asked at most every CHECK_S seconds, so each message can ask.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from fedaemon.store.errors import StoreFull, from_os_error

CHECK_S = 1.0
EXHAUSTED_OCTETS = 1 << 20
"""With less than this free, a write that failed for no clear reason failed for want of room."""


class DiskSpace:
    """The free space of the file system of one directory.

    :param directory: the data directory.
    :param reserve_octets: what must stay free.
    :param clock: monotonic seconds.
    """

    def __init__(
        self, directory: Path, reserve_octets: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.reserve_octets = reserve_octets
        self._directory = directory
        self._clock = clock
        self._checked = float("-inf")
        self._free = 0

    def check(self, octets: int = 0) -> None:
        """Raise StoreFull (452 4.3.1) when *octets* more would leave less free than the reserve."""
        now = self._clock()
        if now - self._checked >= CHECK_S:
            self._free = self._ask()
            self._checked = now
        if self._free - octets < self.reserve_octets:
            raise StoreFull(
                f"only {self._free >> 20} MiB of disk space are free and {self.reserve_octets >> 20} MiB are"
                " kept in reserve; please try again later"
            )

    def exhausted(self) -> bool:
        """Tell whether there is next to no room left now, reserve or not."""
        return self._ask() < EXHAUSTED_OCTETS

    def _ask(self) -> int:
        try:
            status = os.statvfs(self._directory)
        except OSError as error:
            raise from_os_error(error, "cannot ask for free disk space") from error
        return status.f_bavail * status.f_frsize
