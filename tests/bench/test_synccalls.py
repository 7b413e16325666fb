"""Counting synchronising calls in strace's record."""

from __future__ import annotations

from pathlib import Path

from bench.synccalls import SyncCalls, count_sync_calls


def _count(tmp_path: Path, *lines: str) -> SyncCalls:
    trace = tmp_path / "trace"
    trace.write_text("".join(line + "\n" for line in lines))
    return count_sync_calls([trace], 100.0, 200.0)


def test_a_call_counts_once_although_it_is_shown_in_two_parts(tmp_path: Path) -> None:
    """Threads interrupt each other's lines; the resumed half is not a second call."""
    counted = _count(
        tmp_path,
        "7 110.000001 fsync(5</q/a> <unfinished ...>",
        "8 110.000002 fdatasync(6</q/b>) = 0",
        "7 110.000003 <... fsync resumed>) = 0",
    )
    assert counted.calls == {"fdatasync": 1, "fsync": 1}
    assert counted.total == 2


def test_only_calls_inside_the_window_count(tmp_path: Path) -> None:
    """Start and warm-up are not part of the figure."""
    counted = _count(
        tmp_path, "7 99.9 fsync(5</q/a>) = 0", "7 150.0 fsync(5</q/a>) = 0", "7 200.1 fsync(5</q/a>) = 0"
    )
    assert counted.calls == {"fsync": 1}


def test_writes_count_through_descriptors_opened_for_synchronous_writing(tmp_path: Path) -> None:
    """LMDB opens its file twice; only the descriptor with O_DSYNC waits, even if opened before the window."""
    counted = _count(
        tmp_path,
        '7 10.0 openat(AT_FDCWD</>, "/d/data.mdb", O_RDWR|O_CREAT, 0600) = 5</d/data.mdb>',
        '7 10.1 openat(AT_FDCWD</>, "/d/data.mdb", O_RDWR|O_DSYNC <unfinished ...>',
        '8 10.2 openat(AT_FDCWD</>, "/etc/x", O_RDONLY) = 9</etc/x>',
        "7 10.3 <... openat resumed>) = 6</d/data.mdb>",
        '8 150.0 pwrite64(5</d/data.mdb>, "x"..., 4096, 8192) = 4096',
        '8 150.1 pwrite64(6</d/data.mdb>, "x"..., 120, 16 <unfinished ...>',
        "8 150.2 <... pwrite64 resumed>) = 120",
    )
    assert counted == SyncCalls({"synchronous pwrite64": 1}, sync_opens=1)


def test_a_reused_descriptor_is_synchronous_no_more(tmp_path: Path) -> None:
    """The same number for the same path, opened anew without the flag, writes without waiting."""
    counted = _count(
        tmp_path,
        '7 10.0 openat(AT_FDCWD</>, "/d/f", O_RDWR|O_SYNC) = 5</d/f>',
        '7 10.1 openat(AT_FDCWD</>, "/d/f", O_RDWR) = 5</d/f>',
        '7 150.0 pwrite64(5</d/f>, "x"..., 4, 0) = 4',
    )
    assert counted.total == 0


def test_msync_counts_only_when_it_waits(tmp_path: Path) -> None:
    """MS_ASYNC makes nothing durable; RWF_DSYNC makes a single write so."""
    counted = _count(
        tmp_path,
        "7 150.0 msync(0x7f00, 4096, MS_ASYNC) = 0",
        "7 150.1 msync(0x7f00, 4096, MS_SYNC) = 0",
        "7 150.2 pwritev2(5</d/f>, [{...}], 1, 0, RWF_DSYNC) = 4",
        "7 150.3 pwritev2(5</d/f>, [{...}], 1, 0, 0) = 4",
    )
    assert counted.calls == {"msync": 1, "synchronous pwritev2": 1}
