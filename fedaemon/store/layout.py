"""Where the store's files lie, who owns them, and how they are made durable.

    DATA_DIR/store/data.mdb, lock.mdb    LMDB
    DATA_DIR/blobs/XX/ID                 large contents; XX are the last two characters of ID
    DATA_DIR/spool/                      messages on their way in (files without names, where the system can)
    DATA_DIR/service.lock                held by the daemon that serves this directory
    DATA_DIR/backup.lock                 held by running backups: blob files stay where they are
    DATA_DIR/restore/                    a restore that has not finished

Invariants: directories are 0700 and files 0600, and all belong to the owner of the data directory: nobody else can
open the store, not even root (fedaemonctl takes on the owner's rights before).
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
        sync_directory(path.parent)

    def foreign_owner(self) -> int | None:
        """Return the user whose data directory root, as whom we run, would spoil with files of its own.

        None when all is well, or the directory is not there yet.
        """
        if os.geteuid() != 0 or not self.data_dir.exists():
            return None
        return self.data_dir.stat().st_uid or None

    def create(self, path: Path) -> int:
        """Create the file *path*, which must not exist, and return a descriptor for it; raises OSError."""
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)

    def open_lock(self, path: Path) -> int:
        """Open the lock file *path*, made when missing, for ``flock``; raises OSError."""
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)

    def blob(self, blob_id: str) -> Path:
        """Return the file of a large blob."""
        return self.blobs / blob_id[-2:] / blob_id
