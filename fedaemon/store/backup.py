"""Backups of a running store, and bringing one back.

A backup is a directory: ``store/data.mdb`` (a compact copy of one moment), ``blobs/XX/ID`` for every file
that copy names, and ``backup.json``, written last. On the same file system the blob files are hard links and
cost no space.

Invariants: while a backup collects, no process unlinks a blob file (``locks.backup_hold``), and the hold
begins before the moment of the copy, so that every file the copy names is still there. A directory without
``backup.json`` is no backup and is not restored. A restore becomes visible by renames after everything is
durable; one cut short leaves DATA_DIR/restore, and the store refuses to open until that is settled, rather
than come up empty.
Limits: free pages are not reused while the copy is made, so the store may grow meanwhile.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path

import lmdb

from fedaemon.store import formats, records
from fedaemon.store.errors import NewerFormat, StoreError, from_os_error
from fedaemon.store.ids import new_id
from fedaemon.store.interface import Snapshot
from fedaemon.store.layout import FILE_MODE, Layout, sync_directory
from fedaemon.store.lmdb_engine import MAP_SIZE_LEAST, LmdbEngine
from fedaemon.store.lmdb_transaction import LmdbSnapshot, store_error
from fedaemon.store.locks import ServiceLock, backup_hold
from fedaemon.store.spaces import BLOB

MANIFEST = "backup.json"
BACKUP_VERSION = 1
COPY_OCTETS = 1 << 20
PROGRESS_EVERY = 1000
"""Files between two lines of progress."""

Progress = Callable[[str], None]
Outside = Callable[[], AbstractContextManager[None]]
"""Gives a context in which files outside the data directory are used: perhaps with the rights of somebody else."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup says about itself: its version, the store's format, when, and how much."""

    version: int
    format: int
    made_ms: int
    database_octets: int
    blob_files: int


def backup(
    engine: LmdbEngine, target: Path, progress: Progress, *, outside: Outside = nullcontext
) -> Manifest:
    """Write a backup into the directory *target*, which must be empty or missing; the store stays in use.

    :param progress: called with a line of text now and then.
    :param outside: with whose rights *target* is written.
    Raises StoreError; what was written so far stays, without a manifest.
    """
    layout = Layout(target)
    try:
        with backup_hold(engine.layout), outside():
            if target.exists() and any(target.iterdir()):
                raise StoreError(f"{target} is not empty; give a new directory for each backup")
            for directory in (target, layout.store, layout.blobs):
                layout.make_directory(directory)
            progress("copying the database")
            engine.copy_to(layout.store)
            layout.database.chmod(FILE_MODE)
            _sync_file(layout.database)
            sync_directory(layout.store)
            with _Copied(layout) as snapshot:
                found = formats.version(snapshot)
                files = _collect(engine.layout, layout, snapshot, progress)
        with outside():
            manifest = Manifest(
                BACKUP_VERSION,
                formats.CURRENT if found is None else found,
                time.time_ns() // 1_000_000,
                layout.database.stat().st_size,
                files,
            )
            _write_manifest(target, manifest)
    except OSError as error:
        raise from_os_error(error, f"cannot write the backup {target}") from error
    return manifest


class _Copied:
    """The database of a backup, opened to read; a context manager that gives a snapshot."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout

    def __enter__(self) -> Snapshot:
        try:
            # lock=False: nobody else writes it, and a backup should hold no lock file.
            self._environment = lmdb.open(
                str(self._layout.store), readonly=True, lock=False, create=False, map_size=MAP_SIZE_LEAST
            )
            self._txn = self._environment.begin()
        except lmdb.Error as error:
            raise store_error(error, f"cannot read {self._layout.database}") from error
        return LmdbSnapshot(self._txn)

    def __exit__(self, *_: object) -> None:
        self._txn.abort()
        self._environment.close()


def _blob_files(snapshot: Snapshot) -> Iterator[str]:
    for key, value in snapshot.scan((BLOB,)):
        if records.decode(value)["place"] == "file":
            yield str(key[1])


def _collect(source: Layout, target: Layout, snapshot: Snapshot, progress: Progress) -> int:
    """Link or copy every file that *snapshot* names; returns how many."""
    directories = set()
    files = 0
    for blob_id in _blob_files(snapshot):
        path = target.blob(blob_id)
        if path.parent not in directories:
            target.make_directory(path.parent)
            directories.add(path.parent)
        try:
            _link_or_copy(source.blob(blob_id), path)
        except FileNotFoundError:
            # Missing before the backup: the operator should hear of it, and still have the rest.
            progress(f"blob {blob_id} is missing in the store; run fedaemonctl verify")
            continue
        files += 1
        if not files % PROGRESS_EVERY:
            progress(f"{files} large messages")
    for directory in directories:
        sync_directory(directory)
    return files


def _link_or_copy(source: Path, target: Path) -> None:
    """Make *target* the same durable file as *source*; raises OSError."""
    try:
        os.link(source, target)
    except OSError as error:
        # Another file system, one without links, or one whose links are used up.
        if error.errno not in (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP):
            raise
        _copy(source, target)


def _copy(source: Path, target: Path, outside: Outside = nullcontext) -> None:
    """Copy a file durably; *source* is opened with the rights that *outside* gives.

    Never through a symbolic link: the store's user could have put it there, to be given what only root may read.
    """
    with outside():
        reading = os.fdopen(os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb")
    with reading, target.open("wb") as writing:
        shutil.copyfileobj(reading, writing, COPY_OCTETS)
    target.chmod(FILE_MODE)
    _sync_file(target)


def _sync_file(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_manifest(target: Path, manifest: Manifest) -> None:
    temporary = target / (MANIFEST + ".new")
    temporary.write_text(json.dumps(asdict(manifest), indent=2) + "\n")
    temporary.chmod(FILE_MODE)
    _sync_file(temporary)
    temporary.rename(target / MANIFEST)
    sync_directory(target)


def read_manifest(source: Path) -> Manifest:
    """Return what the backup *source* says about itself; raises StoreError when it is none, or too new."""
    try:
        fields = json.loads((source / MANIFEST).read_text())
        if fields["version"] > BACKUP_VERSION:
            raise NewerFormat(f"{source} was written by a newer fedaemon; restore it with that one")
        manifest = Manifest(**fields)
        formats.check(manifest.format)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise StoreError(f"{source} is not a finished backup: it has no readable {MANIFEST}") from error
    return manifest


def restore(
    source: Path, data_dir: Path, *, force: bool, progress: Progress, outside: Outside = nullcontext
) -> Path | None:
    """Put the backup *source* in place of the store in *data_dir*; the backup itself is not changed.

    :param force: allow it although there is a store already, which is moved aside, or a restore cut short.
    :param outside: with whose rights *source* is read.
    Returns where the old store was moved to, None when there was none. Raises StoreError; StoreInUse while a
    daemon runs on *data_dir*.
    """
    with outside():
        manifest = read_manifest(source)
    layout, origin = Layout(data_dir), Layout(source)
    try:
        layout.make_directory(data_dir)
        lock = ServiceLock(layout)
        try:
            if not force and (layout.store.exists() or layout.unfinished_restore.exists()):
                raise StoreError(f"there is a store in {data_dir} already; --force moves it aside")
            arriving = Layout(layout.unfinished_restore)
            if arriving.data_dir.exists():
                shutil.rmtree(arriving.data_dir)
            _bring(origin, arriving, manifest, progress, outside)
            return _switch(layout, arriving)
        finally:
            lock.release()
    except OSError as error:
        raise from_os_error(error, f"cannot restore {source}") from error


def _bring(
    origin: Layout, arriving: Layout, manifest: Manifest, progress: Progress, outside: Outside
) -> None:
    """Copy the backup beside the store, durably."""
    for directory in (arriving.data_dir, arriving.store, arriving.blobs):
        arriving.make_directory(directory)
    progress(f"copying the database, {manifest.database_octets >> 20} MiB")
    _copy(origin.database, arriving.database, outside)
    sync_directory(arriving.store)
    files = 0
    for name, paths in _large_messages(origin, outside):
        target = arriving.blobs / name
        arriving.make_directory(target)
        for path in paths:
            _copy(path, target / path.name, outside)
            files += 1
            if not files % PROGRESS_EVERY:
                progress(f"{files} of {manifest.blob_files} large messages")
        sync_directory(target)
    if files < manifest.blob_files:
        raise StoreError(f"the backup has {files} of its {manifest.blob_files} large messages: it is damaged")


def _large_messages(origin: Layout, outside: Outside) -> Iterator[tuple[str, list[Path]]]:
    """Yield the directories of a backup's large messages, and what is in each."""
    with outside():
        directories = sorted(origin.blobs.glob("*/"))
    for directory in directories:
        with outside():
            paths = list(directory.iterdir())
        yield directory.name, paths


def _switch(layout: Layout, arriving: Layout) -> Path | None:
    """Move the old store aside and what arrived into its place; the order lets ``restore`` be run again."""
    replaced = None
    for path in (layout.store, layout.blobs):
        if path.exists():
            if replaced is None:
                now = time.time()
                stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))
                replaced = layout.data_dir / f"replaced-{stamp}-{new_id(int(now * 1000))[-6:]}"
                layout.make_directory(replaced)
            path.rename(replaced / path.name)
    if replaced is not None:
        sync_directory(replaced)
    arriving.blobs.rename(layout.blobs)
    arriving.store.rename(layout.store)
    sync_directory(layout.data_dir)
    arriving.data_dir.rmdir()
    sync_directory(layout.data_dir)
    return replaced
