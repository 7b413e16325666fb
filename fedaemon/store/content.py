"""Message contents as they lie in memory, in a file, in an open temporary file, or behind a prefix.

Invariants: ``chunks`` may be called any number of times, also at the same time, and gives the same bytes each
time; no piece is empty or longer than asked.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from fedaemon.store.errors import StoreError, from_os_error
from fedaemon.store.interface import Content


class MemoryContent:
    """Content that is a bytes object."""

    __slots__ = ("data",)

    def __init__(self, data: bytes) -> None:
        self.data = data

    @property
    def size(self) -> int:
        """Length in octets."""
        return len(self.data)

    def chunks(self, size: int = 65536, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """Yield the bytes from *start* to *stop* in order in pieces of at most *size* octets."""
        data = self.data
        end = _end(len(data), stop)
        if start == 0 and 0 < end == len(data) <= size:
            yield data
            return
        for at in range(start, end, size):
            yield data[at : min(at + size, end)]


class FileContent:
    """Content that is a file, opened when it is read.

    :param path: the file; it must not change while this object is used.
    :param size: its length in octets; a shorter file raises StoreError at its end, never passes for the
        whole.
    """

    __slots__ = ("_size", "path")

    def __init__(self, path: Path, size: int) -> None:
        self.path = path
        self._size = size

    @property
    def size(self) -> int:
        """Length in octets."""
        return self._size

    def chunks(self, size: int = 65536, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """Yield the bytes from *start* to *stop*; StoreError when the file is missing or ends before *stop*."""
        position, end = start, _end(self._size, stop)
        try:
            with self.path.open("rb", buffering=0) as file:
                if position:
                    file.seek(position)
                while position < end:
                    data = file.read(min(size, end - position))
                    if not data:
                        lacking = self._size - position
                        raise StoreError(f"{self.path} is {lacking} octets too short; run fedaemonctl verify")
                    position += len(data)
                    yield data
        except OSError as error:
            raise from_os_error(error, f"cannot read {self.path}") from error


class OpenFileContent:
    """Content that is an open file without a name, gone when the last object that holds it is gone.

    :param file: the file, open for reading.
    :param size: its length in octets.
    """

    __slots__ = ("_file", "_size")

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file = file
        self._size = size

    @property
    def size(self) -> int:
        """Length in octets."""
        return self._size

    def chunks(self, size: int = 65536, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """Yield the bytes from *start* to *stop* in order; raises StoreError when they cannot be read."""
        # pread leaves the file's own position alone, so that two readers do not disturb each other.
        position, end = start, _end(self._size, stop)
        try:
            while position < end:
                data = os.pread(self._file.fileno(), min(size, end - position), position)
                if not data:
                    raise StoreError(f"a spooled message is {self._size - position} octets too short")
                position += len(data)
                yield data
        except (OSError, ValueError) as error:
            if isinstance(error, OSError):
                raise from_os_error(error, "cannot read a spooled message") from error
            raise StoreError("a spooled message was read after it was discarded") from error


class PrefixedContent:
    """Content with some bytes before it, such as the fields a local delivery adds.

    :param prefix: the bytes before, possibly none.
    :param content: what follows.
    """

    __slots__ = ("content", "prefix")

    def __init__(self, prefix: bytes, content: Content) -> None:
        self.prefix = prefix
        self.content = content

    @property
    def size(self) -> int:
        """Length in octets."""
        return len(self.prefix) + self.content.size

    def chunks(self, size: int = 65536, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """Yield the bytes from *start* to *stop* in order in pieces of at most *size* octets."""
        prefix = self.prefix
        octets = len(prefix)
        end = _end(octets, stop)
        for at in range(start, end, size):
            yield prefix[at : min(at + size, end)]
        if stop is None or stop > octets:
            yield from self.content.chunks(
                size, max(start - octets, 0), None if stop is None else stop - octets
            )


def _end(octets: int, stop: int | None) -> int:
    """Return where to end in so many *octets*."""
    return octets if stop is None else min(stop, octets)


def whole(content: Content) -> bytes:
    """Return all of *content* as bytes; for contents that the caller knows to be small."""
    if type(content) is MemoryContent:
        return content.data
    return b"".join(content.chunks())
