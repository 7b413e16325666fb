"""A message on its way in: in memory while small, in a file without a name once it is large.

Invariants: memory stays within *memory_limit* plus what has arrived and is being written (PENDING_OCTETS,
then the producer is told to wait); pieces keep their order; the reactor never writes to the disk; a crash
leaves nothing, as the file has no name.
Limits: one write to the disk at a time for each message.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Any, BinaryIO, cast

from twisted.internet.defer import Deferred, fail, succeed
from twisted.python.failure import Failure

from fedaemon.store.content import MemoryContent, OpenFileContent
from fedaemon.store.errors import StoreError, from_os_error
from fedaemon.store.faults import Faults
from fedaemon.store.interface import Content

MEMORY_LIMIT = 1 << 20
PENDING_OCTETS = 1 << 20
"""How much may wait for the disk before the producer is paused; a socket read is 64 KiB."""

WRITE_OCTETS = 256 << 10
"""How much is gathered for one turn of a thread, so that handing over costs little."""

RunInThread = Callable[..., Deferred[Any]]


class _State(Enum):
    OPEN = "open"
    FINISHED = "finished"
    DISCARDED = "discarded"


class Spool:
    """Collects the content of one message.

    :param directory: where the file goes; the data directory's spool.
    :param run_in_thread: runs a blocking function elsewhere, as ``deferToThread`` does.
    :param memory_limit: octets held in memory before a file is made.
    :param faults: for tests.
    """

    def __init__(
        self,
        directory: Path,
        run_in_thread: RunInThread,
        memory_limit: int = MEMORY_LIMIT,
        faults: Faults | None = None,
    ) -> None:
        self.size = 0
        self._directory = directory
        self._run_in_thread = run_in_thread
        self._memory_limit = memory_limit
        self._faults = faults
        self._state = _State.OPEN
        self._pieces: list[bytes] = []
        self._pending = 0
        self._file: BinaryIO | None = None
        self._writing = False
        self._failure: StoreError | None = None
        self._paused: Deferred[None] | None = None
        self._finished: Deferred[Content] | None = None

    def write(self, data: bytes) -> Deferred[None] | None:
        """Take *data*. None: go on; a Deferred: pause the producer until it fires.

        The Deferred does not fail: a failed disk is told by ``finish``, and what comes meanwhile is dropped.
        """
        if self._state is not _State.OPEN:
            raise ValueError("the spool is closed")
        self.size += len(data)
        if self._failure is not None or not data:
            return None
        self._pieces.append(data)
        self._pending += len(data)
        if self.size <= self._memory_limit:
            return None
        if not self._writing and self._pending >= WRITE_OCTETS:
            self._flush()
        if self._pending < PENDING_OCTETS:
            return None
        if self._paused is None:
            self._paused = Deferred()
        return self._paused

    def finish(self) -> Deferred[Content]:
        """Fire with the whole content once it is collected; fails with StoreError when the disk failed.

        The content stays readable until it is no longer referred to.
        """
        if self._state is not _State.OPEN:
            raise ValueError("the spool is closed")
        self._state = _State.FINISHED
        if self.size <= self._memory_limit and self._failure is None:
            content = MemoryContent(b"".join(self._pieces))
            self._pieces.clear()
            return succeed(cast("Content", content))
        if not self._writing and self._failure is None and self._pieces:
            self._flush()
        if self._writing:
            self._finished = Deferred()
            return self._finished
        return self._result()

    def discard(self) -> None:
        """Throw away what was collected; may be called at any time and more than once.

        A Deferred of ``write`` that waits fires; one of ``finish`` that waits fails with StoreError.
        """
        if self._state is _State.DISCARDED:
            return
        self._state = _State.DISCARDED
        self._pieces.clear()
        self._pending = 0
        self._failure = self._failure or StoreError("the message was discarded")
        if not self._writing:
            self._close()
        self._go_on()

    def _flush(self) -> None:
        """Have what is pending written by a thread."""
        pieces, self._pieces = self._pieces, []
        octets, self._pending = self._pending, 0
        self._writing = True
        self._run_in_thread(self._write_pieces, pieces).addCallbacks(
            self._written, self._failed, callbackArgs=(octets,)
        )

    def _write_pieces(self, pieces: list[bytes]) -> None:
        """Write *pieces* to the file, made when missing; runs in a thread."""
        if self._file is None:
            # It outlives this call: the content reads it.
            self._file = cast("BinaryIO", tempfile.TemporaryFile(dir=self._directory, buffering=0))  # noqa: SIM115
        if self._faults is not None:
            self._faults.at("spool.write")
        view = memoryview(b"".join(pieces))
        while view:
            view = view[os.write(self._file.fileno(), view) :]

    def _written(self, _: object, octets: int) -> None:
        self._writing = False
        if self._state is _State.DISCARDED:
            self._close()
        elif self._pending >= WRITE_OCTETS or (self._pieces and self._state is _State.FINISHED):
            self._flush()
        self._go_on()

    def _failed(self, failure: Failure) -> None:
        self._writing = False
        error = failure.value
        if isinstance(error, OSError):
            self._failure = from_os_error(error, "cannot spool a message")
        else:
            self._failure = StoreError(f"cannot spool a message: {error!r}")
        self._failure.__cause__ = error
        self._pieces.clear()
        self._pending = 0
        self._close()
        self._go_on()

    def _go_on(self) -> None:
        """Tell those who wait what has become possible."""
        if self._paused is not None and self._pending < PENDING_OCTETS:
            paused, self._paused = self._paused, None
            paused.callback(None)
        if self._finished is not None and (not self._writing or self._state is _State.DISCARDED):
            finished, self._finished = self._finished, None
            self._result().chainDeferred(finished)

    def _result(self) -> Deferred[Content]:
        if self._failure is not None:
            return fail(self._failure)
        file, self._file = self._file, None
        return succeed(cast("Content", OpenFileContent(cast("BinaryIO", file), self.size)))

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
