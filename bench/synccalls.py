"""Counting the calls that make data durable, from strace's record.

Why: what a message costs on the disk is mostly how often the server waits for it. The same method for every
server: strace with only these calls traced. Tracing slows them, so rates are never taken from such a run.
Invariants: a call is counted once, when it begins; MS_ASYNC msyncs do not count; pwrites count when their
descriptor was opened O_DSYNC or O_SYNC, or when the call itself says RWF_DSYNC or RWF_SYNC.
Known gaps: write(2) through a descriptor opened O_(D)SYNC is not traced (it would stop a server at every
reply it writes to a socket); ``sync_opens`` tells whether such descriptors exist at all.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_LINE = re.compile(r"(?P<task>\d+) +(?P<time>\d+\.\d+) (?P<rest>.*)")
_CALL = re.compile(r"(?P<name>\w+)\((?P<arguments>.*)")
_RESUMED = re.compile(r"<\.\.\. openat resumed>.*")
_RESULT = re.compile(r"= (?P<descriptor>\d+<.*>)$")
_DESCRIPTOR = re.compile(r"\d+<[^>]*>")
_OPENED_SYNC = re.compile(r"\bO_D?SYNC\b")
_WRITTEN_SYNC = re.compile(r"\bRWF_D?SYNC\b")
_ALWAYS = frozenset({"fsync", "fdatasync", "sync", "syncfs", "sync_file_range"})
_WRITES = frozenset({"pwrite64", "pwritev", "pwritev2"})


@dataclass(frozen=True, slots=True)
class SyncCalls:
    """Calls made in the time window, and how many files were opened O_(D)SYNC at any time."""

    calls: dict[str, int]
    sync_opens: int

    @property
    def total(self) -> int:
        """All calls together."""
        return sum(self.calls.values())


def count_sync_calls(traces: Iterable[Path], began_s: float, ended_s: float) -> SyncCalls:
    """Read records made by ``strace -f -ttt -y``.

    :param traces: the files, complete.
    :param began_s: calls before this time (seconds since the epoch) are not counted.
    :param ended_s: nor are those after it.
    """
    counter = _Counter(began_s, ended_s)
    for trace in traces:
        with trace.open(errors="replace") as lines:
            for line in lines:
                counter.add(line.rstrip("\n"))
    return SyncCalls(dict(sorted(counter.calls.items())), counter.sync_opens)


class _Counter:
    def __init__(self, began_s: float, ended_s: float) -> None:
        self.calls: Counter[str] = Counter()
        self.sync_opens = 0
        self._began_s = began_s
        self._ended_s = ended_s
        # "7</path>": number and path together tell LMDB's two descriptors of one file apart.
        self._sync_descriptors: set[str] = set()
        self._opening: dict[str, bool] = {}

    def add(self, line: str) -> None:
        parts = _LINE.match(line)
        if parts is None:
            return
        if _RESUMED.match(parts["rest"]):
            self._opened(parts["rest"], self._opening.pop(parts["task"], False))
            return
        call = _CALL.match(parts["rest"])
        if call is None:
            return
        name, arguments = call["name"], call["arguments"]
        if name == "openat":
            synchronous = _OPENED_SYNC.search(arguments) is not None
            if arguments.endswith("<unfinished ...>"):
                self._opening[parts["task"]] = synchronous
            else:
                self._opened(arguments, synchronous)
        elif self._began_s <= float(parts["time"]) <= self._ended_s:
            self._count(name, arguments)

    def _opened(self, text: str, synchronous: bool) -> None:
        result = _RESULT.search(text)
        if result is None:
            return
        if synchronous:
            self.sync_opens += 1
            self._sync_descriptors.add(result["descriptor"])
        else:
            self._sync_descriptors.discard(result["descriptor"])

    def _count(self, name: str, arguments: str) -> None:
        if name in _ALWAYS or (name == "msync" and "MS_SYNC" in arguments):
            self.calls[name] += 1
        elif name in _WRITES:
            descriptor = _DESCRIPTOR.match(arguments)
            known = descriptor is not None and descriptor[0] in self._sync_descriptors
            if known or _WRITTEN_SYNC.search(arguments):
                self.calls[f"synchronous {name}"] += 1
