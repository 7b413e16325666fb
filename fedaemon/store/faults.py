"""Places where tests make the store fail, and the crash suite makes it die.

Durability is only worth what its failures do, so each place where the disk can say no has a name here.
In-process tests hold a ``Faults`` and call ``fail``; a real process is given rules in its environment:

    FEDAEMON_FAULTS="commit:ENOSPC:0.01,blob.rename:kill:0.5"

(point, name of an errno or "kill" for kill -9 of itself, probability). Without the variable nothing is
checked.

Points: ``commit`` (before LMDB commits), ``committed`` (durable, nobody told yet: only "kill" makes sense),
``blob.write`` (each piece), ``blob.fsync``, ``blob.rename``, ``blob.renamed`` (before the directory is
synced), ``blob.unlink``, ``spool.write``.
"""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Mapping
from random import random

VARIABLE = "FEDAEMON_FAULTS"

POINTS = frozenset(
    {
        "commit",
        "committed",
        "blob.write",
        "blob.fsync",
        "blob.rename",
        "blob.renamed",
        "blob.unlink",
        "spool.write",
    }
)

KILL = -1
"""In place of an errno: the process kills itself."""


class Faults:
    """Which points fail, how, and how often."""

    def __init__(self) -> None:
        self._rules: dict[str, tuple[int, float]] = {}
        self._times: dict[str, tuple[int, int]] = {}

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Faults | None:
        """Return the rules in FEDAEMON_FAULTS, None without it; raises ValueError when it is misspelt."""
        text = environment.get(VARIABLE, "")
        if not text:
            return None
        faults = cls()
        for rule in text.split(","):
            point, how, probability = rule.strip().split(":")
            code = KILL if how == "kill" else getattr(errno, how, None)
            if point not in POINTS or code is None:
                raise ValueError(f"{VARIABLE}: no such rule: {rule!r}")
            faults._rules[point] = (code, float(probability))
        return faults

    def fail(self, point: str, code: int, times: int = 1) -> None:
        """Let *point* raise OSError(code) the next *times* times."""
        if point not in POINTS:
            raise ValueError(f"no such fault point: {point!r}")
        self._times[point] = (code, times)

    def at(self, point: str) -> None:
        """Be at *point*: go on, raise OSError, or die."""
        code, times = self._times.get(point, (0, 0))
        if times:
            self._times[point] = (code, times - 1)
            raise OSError(code, os.strerror(code))
        code, probability = self._rules.get(point, (0, 0.0))
        if code and random() < probability:  # noqa: S311 - chance in tests, not a secret
            if code == KILL:
                os.kill(os.getpid(), signal.SIGKILL)
            raise OSError(code, os.strerror(code))
