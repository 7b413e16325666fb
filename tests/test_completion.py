"""Completion for bash, in a real bash: the words, and what a person sees who presses the tabulator."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.test_man import TREE

ROOT = Path(__file__).parent.parent
SCRIPT = ROOT / "etc/fedaemonctl.bash-completion"
PACKAGE = Path("/usr/share/bash-completion/bash_completion")
PROGRAM = Path(sys.executable).parent / "fedaemonctl"

CALL = """
source "$1"; shift
for line; do
    COMP_LINE=$line; COMP_POINT=${#line}
    _fedaemonctl fedaemonctl
    printf '%s\\n' "${COMPREPLY[*]}"
done
"""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a settings file whose store has two domains and three accounts."""
    directory = tmp_path_factory.mktemp("completion")
    config = directory / "fedaemon.toml"
    config.write_text('[server]\nhostname = "mail.example.org"\ndata_dir = "data"\n')
    for command in (
        "domain add example.org",
        "domain add example.net",
        "account add alice@example.org",
        "account add albert@example.org",
        "account add bob@example.net",
    ):
        subprocess.run([PROGRAM, "-c", config, *command.split()], check=True, capture_output=True)
    return config


def complete(*lines: str, config: Path = Path("/nonexistent")) -> list[list[str]]:
    """Return the words that each line may go on with."""
    environ = os.environ | {"PATH": f"{PROGRAM.parent}:{os.environ['PATH']}", "FEDAEMON_CONFIG": str(config)}
    done = subprocess.run(
        ["bash", "--norc", "-c", CALL, "bash", SCRIPT, *lines],
        check=True,
        capture_output=True,
        text=True,
        env=environ,
        cwd=ROOT,
    )
    assert not done.stderr
    return [line.split() for line in done.stdout.splitlines()]


def test_every_command_and_option_is_offered() -> None:
    lines, expected = [], []
    for command in TREE.everything():
        line = " ".join(("fedaemonctl", *command.path, "-"))
        lines.append(line)
        expected.append({name for option in command.options for name in option.names})
        if command.commands:
            lines.append(line[:-1])
            expected.append({each.path[-1] for each in command.commands})
    for line, found, wanted in zip(lines, complete(*lines), expected, strict=True):
        assert set(found) == wanted, line


def test_choices_and_half_words() -> None:
    assert complete(
        "fedaemonctl qu",
        "fedaemonctl queue re",
        "fedaemonctl dkim create --algorithm ",
        "fedaemonctl account set alice@example.org --allow f",
        "fedaemonctl queue list --state waiting --o",
        "fedaemonctl config check ",
    ) == [
        ["queue"],
        ["retry", "release", "resume"],
        ["rsa", "ed25519", "both"],
        ["future_release"],
        ["--older"],
        [],
    ]


def test_files_and_directories() -> None:
    files, directories, neither = complete(
        "fedaemonctl -c setup.c", "fedaemonctl backup docs/integ", "fedaemonctl queue show setup.c"
    )
    assert (files, directories, neither) == (["setup.cfg"], ["docs/integrations"], [])


def test_domains_and_accounts_come_from_the_store(store: Path) -> None:
    """Whichever way the settings file is named; from "@" on bash takes it for another word."""
    assert complete("fedaemonctl domain show ", "fedaemonctl account show al", config=store) == [
        ["example.net", "example.org"],
        ["albert@example.org", "alice@example.org"],
    ]
    assert complete(
        f"fedaemonctl -c {store} account show alice@ex", f"fedaemonctl --config {store} alias add b"
    ) == [
        ["@example.org"],
        ["bob@example.net"],
    ]


def test_without_a_store_nothing_is_offered() -> None:
    assert complete("fedaemonctl account show ") == [[]]


@pytest.mark.parametrize("package", [False, True], ids=["bash alone", "bash-completion"])
def test_a_person_presses_the_tabulator(package: bool, store: Path) -> None:
    if package and not PACKAGE.is_file():
        pytest.skip("the package bash-completion is not installed")
    with Terminal(store, [PACKAGE] if package else []) as terminal:
        assert terminal.types("fedaemonctl queue li\t", "list ")
        assert terminal.types("\x15fedaemonctl account show alice@exam\t", "alice@example.org ")


class Terminal:
    """An interactive bash."""

    def __init__(self, config: Path, scripts: list[Path]) -> None:
        self._config = config
        self._scripts = [*scripts, SCRIPT]

    def __enter__(self) -> Terminal:
        self._pid, self._fd = pty.fork()
        if not self._pid:
            environ = {
                "PATH": f"{PROGRAM.parent}:/usr/bin:/bin",
                "FEDAEMON_CONFIG": str(self._config),
                "PS1": "$ ",
            }
            os.execve("/bin/bash", ["bash", "--norc", "--noprofile", "-i"], environ | {"TERM": "dumb"})
        for script in self._scripts:
            os.write(self._fd, f"source {script}; echo read$?\n".encode())
            assert self._reads("read0\r\n")
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)
        os.waitpid(self._pid, 0)

    def types(self, keys: str, shown: str) -> bool:
        """Press *keys*; tell whether *shown* appears, of which the end was not typed."""
        os.write(self._fd, keys.encode())
        return self._reads(shown)

    def _reads(self, text: str) -> bool:
        seen = ""
        for piece in self._pieces():
            seen += piece
            if text in seen:
                return True
        return False

    def _pieces(self) -> Iterator[str]:
        until = time.monotonic() + 30
        while time.monotonic() < until and select.select([self._fd], [], [], 30)[0]:
            yield os.read(self._fd, 65536).decode("utf-8", "replace")
