"""Counters of what the store has done since it was opened; plain numbers for metrics and benchmarks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fedaemon.store.group import Call


@dataclass(slots=True)
class Statistics:
    """What was done. ``functions / commits`` is how well commits are shared.

    *file_syncs* counts fsync calls for blob files and their directories; a commit of LMDB adds an fdatasync
    and a synchronous write of its own.
    """

    commits: int = 0
    functions: int = 0
    failed: int = 0
    redone: int = 0
    last_group: int = 0
    largest_group: int = 0
    file_syncs: int = 0

    def count(self, calls: Sequence[Call]) -> None:
        """Count a group that has ended."""
        size = len(calls)
        self.functions += size
        self.last_group = size
        self.largest_group = max(self.largest_group, size)
        self.failed += sum(call.error is not None for call in calls)
