"""What the system says of this process and of the disk below its data."""

from __future__ import annotations

import os
import resource
import sys
import time
from pathlib import Path
from typing import Final

import twisted
from fedaemon import __version__, counters

PAGE_OCTETS: Final = resource.getpagesize()
STARTED_S: Final = time.time()
"""When this module was imported, which is when the process began but for a second."""


def gauge_process(numbers: counters.Counters = counters.SERVER) -> None:
    """Set what is known of the process."""
    times = os.times()
    used_s = times.user + times.system
    before_s = numbers.value("process_cpu_seconds_total")
    numbers.count("process_cpu_seconds_total", max(0.0, used_s - before_s))
    numbers.gauge("process_resident_memory_bytes", resident_octets())
    numbers.gauge("process_open_fds", open_descriptors())
    numbers.gauge("process_max_fds", resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    numbers.gauge("process_start_time_seconds", round(STARTED_S, 3))
    python = ".".join(map(str, sys.version_info[:3]))
    numbers.gauge("build_info", 1, version=__version__, python=python, twisted=twisted.__version__)


def resident_octets() -> int:
    """Return how much memory the process has, 0 where the system does not say."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE_OCTETS
    except OSError:
        return 0


def open_descriptors() -> int:
    """Return how many files and sockets are open, 0 where the system does not say."""
    try:
        # One is the listing's own.
        return len(os.listdir("/proc/self/fd")) - 1  # noqa: PTH208
    except OSError:
        return 0


def file_octets(path: Path) -> int:
    """Return how much of the disk a file takes (a database is sparse), 0 when it is not there."""
    try:
        return path.stat().st_blocks * 512
    except OSError:
        return 0


def free_octets(path: Path) -> int:
    """Return the free disk space at *path*, 0 when the system does not say."""
    try:
        status = os.statvfs(path)
    except OSError:
        return 0
    return status.f_bavail * status.f_frsize
