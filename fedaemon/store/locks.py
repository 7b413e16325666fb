"""Locks between processes on one data directory: who serves it, and who is making a backup.

LMDB keeps writers apart; these locks say what LMDB cannot: that a daemon is running (two would deliver each
message twice, and a restore would pull the floor away), and that blob files must stay because a backup is
collecting them.

Invariants: flock, so that the kernel releases a lock with the process that held it, however it ends.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from fedaemon.store.errors import StoreInUse, from_os_error
from fedaemon.store.layout import Layout


class ServiceLock:
    """The right to serve a data directory; held from construction until ``release``.

    Raises StoreInUse when a running daemon holds it.
    """

    def __init__(self, layout: Layout) -> None:
        try:
            self._descriptor = layout.open_lock(layout.service_lock)
        except OSError as error:
            raise from_os_error(error, f"cannot open {layout.service_lock}") from error
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.read(self._descriptor, 32).decode("ascii", "replace").strip() or "unknown"
            os.close(self._descriptor)
            raise StoreInUse(
                f"a fedaemon (process {holder}) is running on {layout.data_dir}; stop it first"
            ) from error
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, f"{os.getpid()}\n".encode("ascii"), 0)

    def release(self) -> None:
        """Give the right up."""
        os.close(self._descriptor)


@contextmanager
def backup_hold(layout: Layout) -> Iterator[None]:
    """Keep every blob file in its place while inside; waits for another backup to end."""
    try:
        descriptor = layout.open_lock(layout.backup_lock)
    except OSError as error:
        raise from_os_error(error, f"cannot open {layout.backup_lock}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def unless_backup(layout: Layout) -> Iterator[bool]:
    """Give True when no backup is running, and let none begin while inside; False when one is."""
    descriptor = layout.open_lock(layout.backup_lock)
    try:
        try:
            # Shared: those who remove files do not keep each other from it.
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)
