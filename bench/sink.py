"""Postfix's smtp-sink: takes mail, throws it away, and says how many messages it has had.

Why: a message counts as relayed when the next server has it. smtp-sink writes its counters at each message
and each end of a session; the last ones in its output are read.
Limits: SESSIONS connections at a time, more than the servers under measurement open; no TLS.
"""

from __future__ import annotations

import re
import time
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from bench.server import POLL_S, Processes, free_ports, wait_for_greeting

SESSIONS: Final = 256
BACKLOG: Final = 1000
STALL_S: Final = 60.0
"""Without a further message for so long, the rest is not going to come."""
TAIL_OCTETS: Final = 200

_COUNTERS = re.compile(rb"mesg=(\d+)\s")


class Sink:
    """A sink on a port of loopback, running between enter and exit.

    :param directory: for its output.
    """

    def __init__(self, directory: Path) -> None:
        self._output = directory / "sink"
        self.port = free_ports(1)[0]

    def __enter__(self) -> Self:
        """Start it.

        :raises BenchError: when it does not come up.
        """
        self._processes = Processes("sink")
        try:
            limits = ["-m", str(SESSIONS), f"127.0.0.1:{self.port}", str(BACKLOG)]
            self._processes.spawn(["smtp-sink", "-4", "-c", "-u", "nobody", *limits], self._output)
            wait_for_greeting(self._processes, self.port, self._output)
        except BaseException:
            self._processes.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._processes.stop()

    def cpu_s(self) -> float:
        """User and system time in seconds so far."""
        return self._processes.cpu_s()

    def received(self) -> int:
        """How many messages it has had."""
        size = self._output.stat().st_size
        with self._output.open("rb") as file:
            file.seek(max(0, size - TAIL_OCTETS))
            return last_count(file.read())

    def wait_for(self, messages: int) -> int:
        """Return once it has had *messages*, or when no more have come for STALL_S: how many it has had."""
        had, since = self.received(), time.monotonic()
        while had < messages and time.monotonic() - since < STALL_S:
            time.sleep(POLL_S)
            now = self.received()
            if now != had:
                had, since = now, time.monotonic()
        return had


def last_count(output: bytes) -> int:
    """Return the number of messages in the last complete counters that smtp-sink wrote, 0 without any."""
    found = _COUNTERS.findall(output)
    return int(found[-1]) if found else 0
