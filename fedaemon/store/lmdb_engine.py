"""The store on LMDB: reads at any time, one write transaction at a time, durable when a commit returns.

LMDB, because it is one file, needs no process of its own, reads without locks, and its commit is a switch
between two meta pages that no crash can leave half done. fedaemonctl and the daemon open the same store;
LMDB's locks keep their writers apart. This module knows no Twisted reactor; ``async_store.py`` puts it behind
Deferreds.

Theory of crash safety, point by point:
- before the commit: nothing of the transaction is reachable; its pages are free in what the meta page names;
- inside the commit: pages are written and synced first, then the meta page is written with O_DSYNC; until
  that write the old state stands, after it the new one;
- after the commit, before anyone is told: it is durable and the caller does not know, as after a lost reply;
- blob files are durable before the transaction that names them begins (``blobs.py``) and are unlinked only
  after the commit that released them; what a crash leaves between is an orphan file, which the sweep removes.

Invariants: sync and metasync are never off. A failed commit leaves the store as it was, and the next one
works (a panic of LMDB, after which it refuses everything, is answered by opening it anew). An engine is not
used across a fork: open it in startService, not when the service is made, because twistd forks between. A
directory is open once in a process, since LMDB's file locks belong to the process.
Limits: map_size (1 TiB, sparse; less where the address space refuses). A read function holds back the reuse
of pages for as long as it runs.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import lmdb

from fedaemon.logs import Logger
from fedaemon.store import formats
from fedaemon.store.blobs import Blobs
from fedaemon.store.errors import StoreError, StoreFull, from_os_error
from fedaemon.store.faults import Faults
from fedaemon.store.group import Call, Group
from fedaemon.store.interface import Snapshot, Transaction
from fedaemon.store.layout import FILE_MODE, Layout, sync_directory
from fedaemon.store.lmdb_transaction import LmdbSnapshot, LmdbTransaction, store_error
from fedaemon.store.space import DiskSpace
from fedaemon.store.statistics import Statistics

T = TypeVar("T")

MAP_SIZE = 1 << 40
MAP_SIZE_LEAST = 1 << 28
RESERVE_OCTETS = 256 << 20
MAX_READERS = 1024
"""Slots for read transactions of all processes; one is 64 octets of lock.mdb."""

_log = Logger()
_open: set[str] = set()
_open_lock = threading.Lock()


class LmdbEngine:
    """An open store. Made by ``open``."""

    def __init__(self, layout: Layout, map_size: int, reserve_octets: int, faults: Faults | None) -> None:
        self.layout = layout
        self.space = DiskSpace(layout.data_dir, reserve_octets)
        self.faults = faults
        self.statistics = Statistics()
        self.blobs = Blobs(layout, self.statistics, faults)
        self.reactor_thread: int | None = None
        self._map_size = map_size
        self._env: Any = None
        self._gate = threading.Condition(threading.Lock())
        self._readers = 0
        self._write_lock = threading.Lock()
        self._last_own = 0
        self._committing = 0
        self._foreign = 0

    @classmethod
    def open(
        cls,
        data_dir: Path,
        *,
        create: bool = True,
        map_size: int = MAP_SIZE,
        reserve_octets: int = RESERVE_OCTETS,
        faults: Faults | None = None,
    ) -> LmdbEngine:
        """Open the store of *data_dir*, and bring it to this program's format.

        :param create: make the store when there is none.
        :param map_size: octets of address space to reserve, the most the store can grow to.
        :param reserve_octets: free disk space below which ``check_space`` refuses.
        :param faults: for tests; by default what FEDAEMON_FAULTS says.
        Raises StoreError, with what to do, when it cannot; NewerFormat for a store of a newer fedaemon.
        """
        layout = Layout(data_dir)
        if layout.unfinished_restore.exists():
            raise StoreError(
                f"a restore into {data_dir} was interrupted: run it again with --force, or remove"
                f" {layout.unfinished_restore} when the store beside it is the one to use"
            )
        if (uid := layout.foreign_owner()) is not None:
            raise StoreError(f"{data_dir} belongs to user {uid}; run fedaemon as that user, not as root")
        if not create and not layout.database.exists():
            raise StoreError(f"there is no store in {data_dir}; check data_dir in the settings")
        engine = cls(layout, map_size, reserve_octets, faults or Faults.from_environment(os.environ))
        name = str(layout.store.resolve())
        with _open_lock:
            if name in _open:
                raise StoreError(f"the store in {data_dir} is open in this process already")
            _open.add(name)
        try:
            engine._prepare()
        except BaseException:
            engine.close()
            raise
        return engine

    def _prepare(self) -> None:
        new = not self.layout.database.exists()
        try:
            self.layout.make()
            self._env = self._open_environment()
            if new:
                sync_directory(self.layout.store)
            # Slots of processes that were killed would hold back the reuse of pages for ever.
            self._env.reader_check()
        except OSError as error:
            raise from_os_error(error, f"cannot open the store in {self.layout.data_dir}") from error
        except lmdb.Error as error:
            raise store_error(error, f"cannot open the store in {self.layout.data_dir}") from error
        found = self.view(formats.version)
        if found is not None:
            formats.check(found)
        if found != formats.CURRENT:
            while self.transact(formats.upgrade):
                pass

    def _open_environment(self) -> Any:
        size = self._map_size
        while True:
            try:
                # meminit stays on: without it, unused parts of pages are whatever memory held before, and
                # that may be a password (promise 8).
                return lmdb.open(
                    str(self.layout.store),
                    map_size=size,
                    mode=FILE_MODE,
                    readahead=False,
                    max_readers=MAX_READERS,
                    max_spare_txns=16,
                )
            except lmdb.MemoryError:
                if size // 2 < MAP_SIZE_LEAST:
                    raise
                size //= 2

    def close(self) -> None:
        """Close the store for good, as soon as reads and writes of other threads have ended."""
        with self._write_lock, self._gate:
            while self._readers:
                self._gate.wait()
            if self._env is not None:
                self._env.close()
                self._env = None
        with _open_lock:
            _open.discard(str(self.layout.store.resolve()))

    # reading

    def view(self, function: Callable[[Snapshot], T]) -> T:
        """Run *function* on a consistent view and return what it returns; scans end inside it."""
        txn = self._begin_read()
        try:
            return function(LmdbSnapshot(txn))
        finally:
            txn.abort()
            with self._gate:
                self._readers -= 1
                if not self._readers:
                    self._gate.notify_all()

    def _begin_read(self) -> Any:
        for final in (False, True):
            with self._gate:
                try:
                    txn = self._environment().begin()
                except lmdb.Error as error:
                    failure = error
                else:
                    self._readers += 1
                    return txn
            # The writer may be waiting for this very thread, so a reader never waits for the writer.
            if final or not self._write_lock.acquire(blocking=False):
                break
            try:
                self._recover(failure)
            finally:
                self._write_lock.release()
        raise store_error(failure, "cannot read the store") from failure

    def _environment(self) -> Any:
        if self._env is None:
            raise StoreError("the store is closed")
        return self._env

    # writing

    def transact(self, function: Callable[[Transaction], T]) -> T:
        """Run *function* atomically; durable when this returns what it returned.

        Raises what *function* raised, or StoreError when the store cannot write; nothing has changed then.
        """
        call = Call(function)
        self._run([call])
        if call.error is not None:
            raise call.error
        value: T = call.value
        return value

    def transact_all(self, functions: Sequence[Callable[[Transaction], Any]]) -> list[Call]:
        """Run *functions* in one transaction, without those that fail; durable when this returns.

        Returns a ``Call`` for each, in order, with its value or its error; raises nothing for them.
        """
        calls = [Call(function) for function in functions]
        self._run(calls)
        return calls

    def _run(self, calls: list[Call]) -> None:
        if threading.get_ident() == self.reactor_thread:
            # The writer thread may hold the transaction and wait for this thread: that would never end.
            raise RuntimeError("in the reactor thread use store.write, not the engine")
        group = Group()
        group.calls = calls
        try:
            transaction = self.begin()
            try:
                usable = all(call.run(transaction) for call in calls)
            except BaseException:
                self.abort(transaction)
                raise
            if not usable:
                transaction = self.begin_again(transaction)
                try:
                    group.run_again(transaction, self.begin_nested)
                except BaseException:
                    self.abort(transaction)
                    raise
            self.commit(transaction)
        except StoreError as error:
            group.fail(error)
        self.statistics.count(calls)

    def begin(self) -> LmdbTransaction:
        """Begin the write transaction, waiting for those of other threads and processes.

        ``commit`` or ``abort`` must follow in the same thread (LMDB's lock belongs to it); in between the
        transaction may be used in one other thread, never in two at once. Raises StoreError.
        """
        self._write_lock.acquire()
        try:
            for final in (False, True):
                try:
                    txn = self._environment().begin(write=True)
                except lmdb.Error as error:
                    if final:
                        raise store_error(error, "cannot write to the store") from error
                    self._recover(error)
                else:
                    break
            number = txn.id()
            if self._last_own and number > self._last_own + 1:
                self._foreign += 1
            return LmdbTransaction(txn)
        except BaseException:
            self._write_lock.release()
            raise

    def begin_nested(self, transaction: LmdbTransaction) -> Any:
        """Return an LMDB transaction inside *transaction*, which must not be used until it has ended."""
        return self._environment().begin(parent=transaction.txn, write=True)

    def begin_again(self, transaction: LmdbTransaction) -> LmdbTransaction:
        """Throw *transaction* away and begin another."""
        self.abort(transaction)
        self.statistics.redone += 1
        return self.begin()

    def abort(self, transaction: LmdbTransaction) -> None:
        """End *transaction*; nothing of it remains."""
        try:
            transaction.txn.abort()
        finally:
            self._write_lock.release()

    def commit(self, transaction: LmdbTransaction) -> None:
        """Make *transaction* durable, then run what it has for after the commit.

        Raises StoreError when it could not; the store is as it was before, and what is for after is not run.
        """
        txn = transaction.txn
        try:
            if transaction.changes:
                number = txn.id()
                self._committing = number
                try:
                    if self.faults is not None:
                        self.faults.at("commit")
                    txn.commit()
                except OSError as error:
                    txn.abort()
                    raise from_os_error(error, "cannot write to the store") from error
                except lmdb.Error as error:
                    raise self._commit_error(error) from error
                self._last_own = number
                self.statistics.commits += 1
                if self.faults is not None:
                    self.faults.at("committed")
            else:
                txn.abort()
        finally:
            self._write_lock.release()
        for function in transaction.after:
            try:
                function()
            except Exception:
                _log.failure("a function to run after a commit failed", event="defect")

    def _commit_error(self, error: lmdb.Error) -> StoreError:
        # LMDB calls a write that was cut short by a full disk an I/O error.
        if self.space.exhausted():
            return StoreFull("cannot write to the store: the disk is full; free some space")
        return store_error(error, "cannot write to the store")

    def _recover(self, error: lmdb.Error) -> None:
        """Make the store usable again after *error* of begin; called with the write lock held, outside reads.

        Another process with a larger map has written beyond ours: take its size over. A panic (the meta page
        could not be written): open anew, which takes the newest meta page that is whole.
        """
        if not isinstance(error, lmdb.MapResizedError | lmdb.PanicError):
            return
        with self._gate:
            while self._readers:
                self._gate.wait()
            try:
                if isinstance(error, lmdb.MapResizedError):
                    self._environment().set_mapsize(0)
                else:
                    _log.warn(
                        "the store panicked and is opened anew", event="store-reopened", reason=str(error)
                    )
                    self._environment().close()
                    self._env = self._open_environment()
            except lmdb.Error as again:
                raise store_error(again, "cannot open the store again") from again

    # what else is asked

    def last_transaction_id(self) -> int:
        """Return the number of the last commit by any process."""
        with self._gate:
            number: int = self._environment().info()["last_txnid"]
        return number

    def foreign_commits(self) -> int:
        """Return a number that grows when another process has committed since it was last asked."""
        last = self.last_transaction_id()
        if last not in (self._last_own, self._committing):
            self._foreign += 1
            self._last_own = last
        return self._foreign

    def check_space(self, octets: int = 0) -> None:
        """Raise StoreFull (452 4.3.1) when less than the reserve would be free after writing *octets* more.

        For what makes the store grow, such as a new message, before it is taken. Recording what became of
        messages needs no check: it frees space, and the reserve is there for it.
        """
        self.space.check(octets)

    def copy_to(self, directory: Path) -> None:
        """Write a consistent, compact copy of the database into the empty *directory*, durably.

        Raises StoreError.
        """

        def copy(compact: bool) -> None:
            # As a reader, so that the environment is not opened anew meanwhile.
            self.view(lambda _: self._environment().copy(str(directory), compact=compact))

        try:
            with suppress(lmdb.Error):
                copy(compact=True)
                return
            # A database that has leaked pages cannot be compacted, but copied.
            (directory / "data.mdb").unlink(missing_ok=True)
            copy(compact=False)
        except lmdb.Error as error:
            raise store_error(error, f"cannot copy the store to {directory}") from error
        except OSError as error:
            raise from_os_error(error, f"cannot copy the store to {directory}") from error
