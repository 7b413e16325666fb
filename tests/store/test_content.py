"""Contents: any range of octets, in pieces."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedaemon.store.content import FileContent, MemoryContent, OpenFileContent, PrefixedContent
from fedaemon.store.errors import StoreError
from fedaemon.store.interface import Content


@given(
    st.binary(max_size=40),
    st.binary(max_size=10),
    st.integers(1, 12),
    st.integers(0, 55),
    st.none() | st.integers(0, 55),
)
def test_a_range_is_what_a_slice_is(
    data: bytes, prefix: bytes, size: int, start: int, stop: int | None
) -> None:
    """Of every kind of content, in pieces neither empty nor longer than asked, and again the same."""
    with tempfile.TemporaryDirectory() as directory, tempfile.TemporaryFile() as opened:
        path = Path(directory, "x")
        path.write_bytes(data)
        opened.write(data)
        opened.flush()
        contents: list[tuple[Content, bytes]] = [
            (MemoryContent(data), data),
            (FileContent(path, len(data)), data),
            (OpenFileContent(opened, len(data)), data),
            (PrefixedContent(prefix, FileContent(path, len(data))), prefix + data),
        ]
        for content, expected in contents:
            for _ in range(2):
                pieces = list(content.chunks(size, start, stop))
                assert b"".join(pieces) == expected[start:stop]
                assert all(0 < len(piece) <= size for piece in pieces)


def test_a_file_that_ends_before_the_range_is_noticed(tmp_path: Path) -> None:
    """What is there can be read; what is not never passes for the end."""
    path = tmp_path / "x"
    path.write_bytes(b"12345")
    content = FileContent(path, 10)
    assert list(content.chunks(start=1, stop=5)) == [b"2345"]
    with pytest.raises(StoreError, match="5 octets too short"):
        list(content.chunks(start=3))
    with pytest.raises(StoreError, match="3 octets too short"):
        list(content.chunks(start=7))
