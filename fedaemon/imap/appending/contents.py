"""Contents that are made of others, without a copy of any.

Standards: RFC 4469 3 (CATENATE).
Invariants: those of ``store/content.py``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fedaemon.store.interface import Content


class Cut:
    """Some octets of a content.

    :param start: the first octet, *stop* the one behind the last; both lie within *content*.
    """

    __slots__ = ("_content", "_start", "_stop")

    def __init__(self, content: Content, start: int, stop: int) -> None:
        self._content = content
        self._start = start
        self._stop = max(start, stop)

    @property
    def size(self) -> int:
        """Length in octets."""
        return self._stop - self._start

    def chunks(self, size: int = 65536, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """Yield the octets from *start* to *stop* in order in pieces of at most *size* octets."""
        end = self._stop if stop is None else min(self._start + stop, self._stop)
        return self._content.chunks(size, min(self._start + start, end), end)


class Joined:
    """Contents one behind the other."""

    __slots__ = ("_contents",)

    def __init__(self, contents: Sequence[Content]) -> None:
        self._contents = tuple(contents)

    @property
    def size(self) -> int:
        """Length in octets."""
        return sum(content.size for content in self._contents)

    def chunks(self, size: int = 65536, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """Yield the octets from *start* to *stop* in order in pieces of at most *size* octets."""
        before, end = 0, self.size if stop is None else stop
        for content in self._contents:
            first, last = max(start - before, 0), min(end - before, content.size)
            if first < last:
                yield from content.chunks(size, first, last)
            before += content.size
