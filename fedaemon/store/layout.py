"""Where the store's files lie, who owns them, and how they are made durable.

    DATA_DIR/store/data.mdb, lock.mdb    LMDB
    DATA_DIR/blobs/XX/ID                 large contents; XX are the last two characters of ID
    DATA_DIR/spool/                      messages on their way in (files without names, where the system can)
    DATA_DIR/service.lock                held by the daemon that serves this directory
    DATA_DIR/backup.lock                 held by running backups: blob files stay where they are
    DATA_DIR/restore/                    a restore that has not finished

Invariants: directories are 0700 and files 0600; when root works on a directory of another user (fedaemonctl
under sudo), what it makes belongs to that user, so that the daemon can still write it.
"""

from __future__ import annotations

import os
from pathlib import Path

FILE_MODE, DIRECTORY_MODE = 0o600, 0o700


def sync_directory(path: Path) -> None:
    """Bring the names in directory *path* to stable storage; raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class Layout:
    """The paths under one data directory.

    :param data_dir: the directory of ``[server] data_dir``.
    """

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.store = data_dir / "store"
        self.database = self.store / "data.mdb"
        self.blobs = data_dir / "blobs"
        self.spool = data_dir / "spool"
        self.service_lock = data_dir / "service.lock"
        self.backup_lock = data_dir / "backup.lock"
        self.unfinished_restore = data_dir / "restore"

    def make(self) -> None:
        """Make the directories that are missing, durably; raises OSError."""
        for directory in (self.data_dir, self.store, self.blobs, self.spool):
            self.make_directory(directory)

    def make_directory(self, path: Path) -> None:
        """Make one directory (and its parents) with its name durable, unless it is there; raises OSError."""
        if path.is_dir():
            return
        if not path.parent.is_dir():
            self.make_directory(path.parent)
        path.mkdir(mode=DIRECTORY_MODE, exist_ok=True)
        self.own(path)
        sync_directory(path.parent)

    def own(self, path: Path) -> None:
        """Give *path* to the user of the data directory when root made it; raises OSError."""
        if os.geteuid() != 0:
            return
        status = self.data_dir.stat()
        if status.st_uid != 0:
            os.chown(path, status.st_uid, status.st_gid)

    def create(self, path: Path) -> int:
        """Create the file *path*, which must not exist, and return a descriptor for it; raises OSError."""
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)
        try:
            self.own(path)
        except OSError:
            os.close(descriptor)
            path.unlink(missing_ok=True)
            raise
        return descriptor

    def open_lock(self, path: Path) -> int:
        """Open the lock file *path*, made when missing, for ``flock``; raises OSError."""
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
        self.own(path)
        return descriptor

    def blob(self, blob_id: str) -> Path:
        """Return the file of a large blob."""
        return self.blobs / blob_id[-2:] / blob_id
