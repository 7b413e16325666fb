"""Message contents: small ones as values beside their records, large ones as files; counted references.

Large contents stay out of LMDB because a commit would write them twice over (once into free pages, once more
when the page is reused), and because a file can be streamed without holding a read transaction open.

Life of a file, and what a crash leaves at each point:
1. written to a temporary name, fsynced                 -> a temporary file, swept;
2. renamed to its own name, directory fsynced           -> a file that nothing names, swept;
3. named by a committed transaction (``add``)           -> complete and durable since 1 and 2;
4. released by a committed transaction, then unlinked   -> a file that nothing names, swept.

Invariants: a record never names a file that is not durable; a file is unlinked only after the commit of the
transaction that took its last reference, and never while a backup collects files; a file is never changed
once it has its name (hard links in backups rely on it).
Limits: contents up to INLINE_OCTETS are values; larger ones are copied in pieces of 64 KiB.
"""

from __future__ import annotations

import os
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary
from zlib import crc32

from fedaemon.store import records
from fedaemon.store.content import FileContent, MemoryContent, whole
from fedaemon.store.errors import StoreError, from_os_error
from fedaemon.store.faults import Faults
from fedaemon.store.ids import is_id, new_id
from fedaemon.store.interface import Content, Snapshot, StagedContent, Transaction
from fedaemon.store.layout import Layout, sync_directory
from fedaemon.store.locks import unless_backup
from fedaemon.store.spaces import BLOB, BLOB_BYTES
from fedaemon.store.statistics import Statistics

if TYPE_CHECKING:
    from fedaemon.store.lmdb_engine import LmdbEngine

INLINE_OCTETS = 128 << 10
"""Largest content kept as a value. Most mail is smaller, and one commit then carries many messages."""
ORPHAN_AGE_S = 3600.0
"""A file that nothing names may be about to be named; after an hour it is not."""
TEMPORARY = ".new"
"""Ending of the name of a file that is being written."""


class StagedBytes:
    """Small content that will be durable with the transaction that adds it."""

    __slots__ = ("data",)

    def __init__(self, data: bytes) -> None:
        self.data = data

    @property
    def size(self) -> int:
        """Length in octets."""
        return len(self.data)


class StagedFile:
    """Large content that is durable as a file already; *crc* is the CRC-32 of its octets."""

    __slots__ = ("__weakref__", "blob_id", "crc", "size")

    def __init__(self, blob_id: str, size: int, crc: int) -> None:
        self.blob_id = blob_id
        self.size = size
        self.crc = crc


class Blobs:
    """The contents of a store."""

    def __init__(self, layout: Layout, statistics: Statistics, faults: Faults | None) -> None:
        self._layout = layout
        self._statistics = statistics
        self._faults = faults
        # Files of this process on their way into a transaction; a sweep leaves them alone, however old.
        self._staged: WeakValueDictionary[str, StagedFile] = WeakValueDictionary()

    # staging

    def stage(self, content: Content) -> StagedContent:
        """Bring *content* to where ``add`` can name it; blocks on the disk when it is over INLINE_OCTETS.

        Raises StoreError when it cannot be written (StoreFull when there is no room); nothing is left behind.
        """
        if content.size <= INLINE_OCTETS:
            return StagedBytes(whole(content))
        blob_id = new_id(time.time_ns() // 1_000_000)
        path = self._layout.blob(blob_id)
        temporary = path.with_name(blob_id + TEMPORARY)
        try:
            self._layout.make_directory(path.parent)
            size, crc = self._write(temporary, content)
            self._at("blob.rename")
            temporary.rename(path)
            self._at("blob.renamed")
            sync_directory(path.parent)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            path.unlink(missing_ok=True)
            raise from_os_error(error, f"cannot write blob {blob_id}") from error
        except BaseException:
            # The content itself could not be read.
            temporary.unlink(missing_ok=True)
            raise
        self._statistics.file_syncs += 2
        staged = StagedFile(blob_id, size, crc)
        self._staged[blob_id] = staged
        return staged

    def _write(self, path: Path, content: Content) -> tuple[int, int]:
        """Write *content* to the new file *path* and sync it; returns its size and CRC-32."""
        size = crc = 0
        with os.fdopen(self._layout.create(path), "wb", buffering=0) as file:
            for piece in content.chunks():
                self._at("blob.write")
                crc = crc32(piece, crc)
                size += len(piece)
                view = memoryview(piece)
                while view:
                    view = view[file.write(view) :]
            self._at("blob.fsync")
            os.fsync(file.fileno())
        return size, crc

    def discard(self, staged: StagedContent) -> None:
        """Remove the file of content that no transaction has added, and none will; blocks on the disk.

        To be called when the transaction was refused; a file not discarded waits for the sweep.
        """
        if isinstance(staged, StagedFile):
            self._unlink(staged.blob_id)

    def _at(self, point: str) -> None:
        if self._faults is not None:
            self._faults.at(point)

    # in transactions

    def add(self, transaction: Transaction, staged: StagedContent, references: int = 1) -> str:
        """Name *staged* in the store with so many references, and return its blob id."""
        if isinstance(staged, StagedBytes):
            blob_id = new_id(time.time_ns() // 1_000_000)
            data = staged.data
            transaction.put((BLOB_BYTES, blob_id), data)
            transaction.put((BLOB, blob_id), _record(references, len(data), crc32(data), "inline"))
        elif isinstance(staged, StagedFile):
            blob_id = staged.blob_id
            if transaction.get((BLOB, blob_id)) is not None:
                self.retain(transaction, blob_id, references)
            elif not self._layout.blob(blob_id).exists():
                # Added, released and unlinked before, or discarded.
                raise StoreError(f"the staged content {blob_id} is gone")
            else:
                transaction.put((BLOB, blob_id), _record(references, staged.size, staged.crc, "file"))
        else:
            raise TypeError("only what stage returned can be added")
        return blob_id

    def retain(self, transaction: Transaction, blob_id: str, count: int = 1) -> None:
        """Add *count* references; raises StoreError when there is no such blob."""
        record = _get(transaction, blob_id)
        self._count(transaction, blob_id, record, record["references"] + count)

    def release(self, transaction: Transaction, blob_id: str, count: int = 1) -> None:
        """Take *count* references away; the last one removes the blob, its file after the commit.

        Raises StoreError when there is no such blob or it has fewer references.
        """
        record = _get(transaction, blob_id)
        left = record["references"] - count
        if left < 0:
            raise StoreError(f"blob {blob_id} was released too often; run fedaemonctl verify")
        self._count(transaction, blob_id, record, left)

    def _count(self, transaction: Transaction, blob_id: str, record: dict[str, Any], count: int) -> None:
        if count:
            record["references"] = count
            transaction.put((BLOB, blob_id), records.encode(record))
            return
        transaction.delete((BLOB, blob_id))
        if record["place"] == "inline":
            transaction.delete((BLOB_BYTES, blob_id))
        else:
            transaction.after_commit(partial(self._unlink_released, blob_id))

    # reading

    def open(self, snapshot: Snapshot, blob_id: str) -> Content:
        """Return the content of a blob, usable after the snapshot; raises StoreError when it is missing.

        A file is opened when it is read: whoever reads holds a reference until done.
        """
        # Only inline blobs have octets here, and most are inline: their records need not be read.
        data = snapshot.get((BLOB_BYTES, blob_id))
        if data is not None:
            return MemoryContent(data)
        record = _get(snapshot, blob_id)
        if record["place"] != "file":
            raise StoreError(f"the content of blob {blob_id} is missing; run fedaemonctl verify")
        return FileContent(self._layout.blob(blob_id), record["size"])

    def size(self, snapshot: Snapshot, blob_id: str) -> int:
        """Return the length of a blob in octets; raises StoreError when there is no such blob."""
        size: int = _get(snapshot, blob_id)["size"]
        return size

    def length(self, snapshot: Snapshot, blob_id: str) -> int:
        """Return how many octets of a blob there really are, whatever its record says; raises StoreError."""
        content = self.open(snapshot, blob_id)
        if not isinstance(content, FileContent):
            return content.size
        try:
            return content.path.stat().st_size
        except OSError as error:
            raise from_os_error(error, f"cannot look at blob {blob_id}") from error

    # files that nothing names

    def _unlink(self, blob_id: str) -> bool:
        """Remove a blob's file unless a backup is running; True when it is gone."""
        try:
            with unless_backup(self._layout) as allowed:
                if allowed:
                    self._at("blob.unlink")
                    self._layout.blob(blob_id).unlink(missing_ok=True)
                return allowed
        except OSError:
            # The record is gone and the file an orphan; the next sweep tries again.
            return False

    def _unlink_released(self, blob_id: str) -> None:
        self._unlink(blob_id)

    def sweep(self, engine: LmdbEngine, age_s: float = ORPHAN_AGE_S) -> int:
        """Remove blob and spool files that no record names and that are older than *age_s* seconds.

        Blocks on the disk; safe beside a running daemon. Returns how many were removed.
        """
        before = time.time() - age_s
        removed = 0
        for directory in sorted(self._layout.blobs.glob("*/")):
            names = [path for path in directory.iterdir() if _older(path, before)]
            orphans = engine.view(partial(self.orphans, paths=names))
            removed += sum(self._remove(path) for path in orphans)
        for path in self._layout.spool.iterdir():
            if _older(path, before):
                removed += self._remove(path)
        return removed

    def orphans(self, snapshot: Snapshot, paths: list[Path]) -> list[Path]:
        """Return those files of the blob directories that nothing names and nobody is about to name."""
        return [
            path
            for path in paths
            if not (
                is_id(path.name)
                and (path.name in self._staged or snapshot.get((BLOB, path.name)) is not None)
            )
        ]

    def _remove(self, path: Path) -> bool:
        if is_id(path.name):
            return self._unlink(path.name)
        try:
            path.unlink(missing_ok=True)
        except OSError:
            return False
        return True


def _record(references: int, size: int, crc: int, place: str) -> bytes:
    """Return what ``records.encode`` would, for the one record that every accepted message writes."""
    return b'\x01{"references":%d,"size":%d,"crc":%d,"place":"%b"}' % (references, size, crc, place.encode())


def _get(snapshot: Snapshot, blob_id: str) -> dict[str, Any]:
    value = snapshot.get((BLOB, blob_id))
    if value is None:
        raise StoreError(f"there is no blob {blob_id}; run fedaemonctl verify")
    return records.decode(value)


def _older(path: Path, before: float) -> bool:
    try:
        return path.stat().st_mtime < before
    except FileNotFoundError:
        return False
