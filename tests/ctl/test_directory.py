"""fedaemonctl directory."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fedaemon.mailbox import mailboxes
from fedaemon.store.lmdb_engine import LmdbEngine
from tests.ctl.console import Console

TEXT = """
[[domain]]
name = "example.org"
[[account]]
address = "alice@example.org"
[[alias]]
address = "info@example.org"
targets = ["alice@example.org"]
"""


@pytest.fixture
def console(tmp_path: Path) -> Iterator[Console]:
    """A console on a real store: a dry run must leave nothing in it."""
    engine = LmdbEngine.open(tmp_path / "data")
    yield Console(engine)
    engine.close()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file with one domain, account and alias."""
    file = tmp_path / "directory.toml"
    file.write_text(TEXT)
    return file


def test_apply_shows_what_it_does(console: Console, file: Path) -> None:
    """The diff, what is still to be done, and nothing the second time."""
    said = console.text("directory", "apply", str(file))
    assert said.splitlines() == [
        "+ domain example.org",
        "+ account alice@example.org",
        "+ alias info@example.org",
        "alice@example.org has no password yet: fedaemonctl password set alice@example.org",
    ]
    assert console.text("directory", "apply", str(file)) == "Nothing to change.\n"


def test_a_dry_run_changes_nothing(console: Console, file: Path) -> None:
    """The same diff, and an untouched store."""
    shown = console.json("directory", "apply", "--dry-run", str(file))
    assert shown["dry_run"] is True
    assert [(entry["change"], entry["kind"]) for entry in shown["changes"]] == [
        ("+", "domain"),
        ("+", "account"),
        ("+", "alias"),
    ]
    assert "nothing was changed" in console.text("directory", "apply", "--dry-run", str(file))
    assert console.json("domain", "list") == console.json("account", "list") == []


def test_export_and_apply_are_inverse(
    console: Console, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is exported, to a file or to standard output, makes the same directory elsewhere."""
    console.text("directory", "apply", str(file))
    copy = tmp_path / "copy.toml"
    console.text("directory", "export", str(copy))
    text = console.text("directory", "export")
    assert copy.read_text() == text
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
    other = Console()
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))
    other.text("directory", "apply", "--prune", "-")
    assert other.text("directory", "export") == text


def test_prune(console: Console, file: Path) -> None:
    """What the file does not name goes only when asked for."""
    console.text("domain", "add", "b.example")
    console.text("directory", "apply", str(file))
    assert len(console.json("domain", "list")) == 2
    assert console.text("directory", "apply", "--prune", str(file)) == "- domain b.example\n"


@pytest.mark.parametrize("content", [b"[[domain]", b"[[user]]\n", b'[[domain]]\nname = "\xff"\n', None])
def test_a_file_that_cannot_be_read_is_a_usage_error(
    console: Console, file: Path, content: bytes | None
) -> None:
    """Exit code 2, with the file's name: not TOML, an unknown table, not UTF-8, missing."""
    if content is None:
        file.unlink()
    else:
        file.write_bytes(content)
    assert console.run("directory", "apply", str(file)) == 2
    assert str(file) in console.err


def test_a_directory_that_does_not_hold_together_is_refused(console: Console, file: Path) -> None:
    """Exit code 1, and nothing of the file is applied."""
    file.write_text(TEXT + '[[account]]\naddress = "a@example.com"\n')
    assert "domain add example.com" in console.refused("directory", "apply", str(file))
    assert console.json("domain", "list") == console.json("account", "list") == []


def test_an_export_that_cannot_be_written(console: Console, tmp_path: Path) -> None:
    """Refused with the reason."""
    assert "No such file" in console.refused("directory", "export", str(tmp_path / "missing" / "file"))


def test_mailboxes_come_and_go_with_accounts(console: Console, file: Path) -> None:
    """Those of a new account are made; those of a pruned one are deleted, unless it is a dry run."""

    def names() -> set[str]:
        found = console.engine.view(lambda snapshot: list(mailboxes.mailboxes(snapshot, "alice@example.org")))
        return {each.name for each in found}

    console.text("directory", "apply", str(file))
    assert names() == set(mailboxes.STANDARD)
    file.write_text('[[domain]]\nname = "example.org"\n')
    console.text("directory", "apply", "--prune", "--dry-run", str(file))
    assert names() == set(mailboxes.STANDARD)
    console.text("directory", "apply", "--prune", str(file))
    assert names() == set()
