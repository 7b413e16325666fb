"""Counters of what the store has done since it was opened; plain numbers for metrics and benchmarks."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from fedaemon import counters

if TYPE_CHECKING:
    from fedaemon.store.errors import StoreError
    from fedaemon.store.group import Call, Group

LATEST: Final = 100
"""Commits whose time and size are remembered."""


@dataclass(slots=True)
class Statistics:
    """What was done. ``functions / commits`` is how well commits are shared.

    *file_syncs* counts fsync calls for blob files and their directories; a commit of LMDB adds an fdatasync
    and a synchronous write of its own. *latest* has (seconds, functions) of the latest commits; *failure* is why
    the last one did not happen, at *failed_s* on the monotonic clock, None when it did.
    """

    commits: int = 0
    functions: int = 0
    failed: int = 0
    redone: int = 0
    last_group: int = 0
    largest_group: int = 0
    file_syncs: int = 0
    latest: deque[tuple[float, int]] = field(default_factory=lambda: deque(maxlen=LATEST))
    failure: StoreError | None = None
    failed_s: float = 0.0

    def count(self, calls: Sequence[Call]) -> None:
        """Count a group that has ended."""
        size = len(calls)
        self.functions += size
        self.last_group = size
        self.largest_group = max(self.largest_group, size)
        self.failed += sum(call.error is not None for call in calls)

    def ended(self, group: Group) -> None:
        """Note how the commit of a group went."""
        if group.error is not None:
            counters.count("store_commits_failed_total")
            self.failure, self.failed_s = group.error, time.monotonic()
        elif group.commit_s:
            self.failure = None
            self.latest.append((group.commit_s, len(group.calls)))
            counters.observe("store_commit_seconds", group.commit_s)
            counters.observe("store_batch_size", len(group.calls))
