"""``fedaemonctl backup``, ``restore`` and ``verify``."""

from __future__ import annotations

import argparse
import io
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fedaemon.ctl import store as commands
from fedaemon.ctl.command import Context
from fedaemon.errors import MailError
from fedaemon.store.content import MemoryContent
from fedaemon.store.formats import CURRENT
from fedaemon.store.interface import Transaction
from fedaemon.store.lmdb_engine import LmdbEngine


class Administrator:
    """Runs command lines on one data directory, each as a process of its own would."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.out = self.err = ""

    def run(self, *line: str) -> int:
        common = argparse.ArgumentParser(add_help=False)
        common.add_argument("--json", action="store_true")
        parser = argparse.ArgumentParser()
        commands.register(parser.add_subparsers(required=True), common)
        arguments = parser.parse_args(line)
        context = Context(Path("unused"), json=arguments.json, out=io.StringIO(), err=io.StringIO())
        context.__dict__["settings"] = SimpleNamespace(server=SimpleNamespace(data_dir=self.data_dir))
        try:
            code: int = arguments.run(context, arguments)
        except MailError as error:
            code = context.refuse(error.text)
        finally:
            context.close()
        self.out, self.err = context.out.getvalue(), context.err.getvalue()  # type: ignore[attr-defined]
        return code

    def json(self, *line: str) -> tuple[int, Any]:
        code = self.run(*line, "--json")
        return code, json.loads(self.out)

    def transact(self, function: Any) -> None:
        engine = LmdbEngine.open(self.data_dir)
        engine.transact(function)
        engine.close()


@pytest.fixture
def administrator(tmp_path: Path) -> Administrator:
    administrator = Administrator(tmp_path / "data")
    administrator.transact(lambda transaction: transaction.put(("a",), b"before"))
    return administrator


def leak(administrator: Administrator) -> None:
    """Leave a content that no record of any package refers to."""
    engine = LmdbEngine.open(administrator.data_dir)
    staged = engine.blobs.stage(MemoryContent(b"leaked"))
    engine.transact(lambda transaction: engine.blobs.add(transaction, staged))
    engine.close()


def test_a_backup_is_brought_back_and_the_old_store_kept(
    administrator: Administrator, tmp_path: Path
) -> None:
    backup = str(tmp_path / "backup")
    assert administrator.run("backup", backup) == 0
    administrator.transact(lambda transaction: transaction.put(("a",), b"after"))
    assert administrator.run("restore", backup) == 1
    assert "--force" in administrator.err
    assert administrator.run("restore", backup, "--force") == 0
    assert "next: fedaemonctl verify" in administrator.out
    assert "remove it when it is not needed" in administrator.out
    found: list[bytes | None] = []

    def look(transaction: Transaction) -> None:
        found.append(transaction.get(("a",)))

    administrator.transact(look)
    assert found == [b"before"]


def test_json_tells_the_same(administrator: Administrator, tmp_path: Path) -> None:
    code, made = administrator.json("backup", str(tmp_path / "backup"))
    assert (code, made["blob_files"], made["format"]) == (0, 0, CURRENT)
    code, restored = administrator.json("restore", str(tmp_path / "backup"), "--force")
    assert code == 0
    assert Path(restored["replaced"]).is_dir()
    assert administrator.json("verify") == (0, {"sound": True, "findings": []})


def test_a_directory_in_use_is_refused_with_exit_code_1(administrator: Administrator, tmp_path: Path) -> None:
    assert administrator.run("backup", str(tmp_path)) == 1
    assert "is not empty" in administrator.err


def test_a_sound_store_says_so(administrator: Administrator) -> None:
    assert administrator.run("verify") == 0
    assert "the store is sound" in administrator.out


def test_what_is_wrong_is_listed_then_repaired_then_gone(administrator: Administrator) -> None:
    leak(administrator)
    code, result = administrator.json("verify")
    assert code == 1
    assert [finding["kind"] for finding in result["findings"]] == ["blob.references"]
    assert not result["sound"]
    assert administrator.run("verify", "--repair") == 0
    assert "repaired  blob.references" in administrator.out
    assert administrator.json("verify") == (0, {"sound": True, "findings": []})


def test_only_repair_changes_the_store(administrator: Administrator) -> None:
    leak(administrator)
    assert [administrator.run("verify"), administrator.run("verify")] == [1, 1]
