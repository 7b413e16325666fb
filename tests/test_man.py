"""The man pages say what the programs do, and are what ``make docs`` writes."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from docs.manual.files import ROOT, generated
from docs.manual.tree import Command, command_tree
from fedaemon.ctl.main import build_parser
from fedaemon.options import Options

TREE = command_tree(build_parser())
PAGES = sorted((ROOT / "docs/man").glob("*.md"))

_REFERENCE = re.compile(r"\b(fedaemon|fedaemonctl|fedaemon\.toml)\((\d)\)")
_LONG_OPTION = re.compile(r"--[a-z][a-z-]+")


def shown(page: Path, directory: Path) -> tuple[str, str]:
    """Return a page as a terminal of 80 columns shows it, and the warnings of what formatted it."""
    name = page.name.removesuffix(".md")
    source = directory / name
    title, _, section = name.rpartition(".")
    subprocess.run(
        ["lowdown", "-s", "-Tman", "-M", f"title={title}", "-M", f"section={section}", "-o", source, page],
        check=True,
    )
    environ = os.environ | {"MANWIDTH": "80", "LC_ALL": "C.UTF-8"}
    done = subprocess.run(
        ["man", "--warnings", "--nh", "--nj", "-l", source],
        check=True,
        capture_output=True,
        text=True,
        env=environ,
    )
    return re.sub(".\b", "", done.stdout), done.stderr


def lacking() -> Iterator[str]:
    """Give the commands and arguments whose --help leaves a newcomer alone."""
    for command in TREE.everything():
        name = " ".join(("fedaemonctl", *command.path))
        if not _is_sentence(command.description):
            yield f"{name}: its description is no sentence: {command.description!r}"
        if command.path and not command.help:
            yield f"{name}: its group does not say what it is for"
        for argument in (*command.positionals, *command.options):
            if not argument.help:
                yield f"{name}: {argument.value or argument.names} has no help"


def _is_sentence(text: str) -> bool:
    return text[:1].isupper() and text.endswith(".")


def test_what_is_generated_is_up_to_date() -> None:
    old = [name for name, text in generated().items() if (ROOT / name).read_text() != text]
    assert not old, "run: make docs"


def test_every_command_explains_itself() -> None:
    assert not list(lacking())


@pytest.mark.parametrize(
    "command", TREE.everything(), ids=lambda command: " ".join(command.path) or "fedaemonctl"
)
def test_every_option_of_fedaemonctl_is_told(command: Command) -> None:
    page = (ROOT / "docs/man/fedaemonctl.1.md").read_text()
    section = (
        page if not command.path else page.split(f"\n## {' '.join(command.path)}\n")[1].split("\n## ")[0]
    )
    for option in command.options:
        for name in set(option.names) - {"-h", "--help", "--json"}:
            assert f"`{name}`" in section, name


def test_every_option_of_the_daemon_is_told() -> None:
    page = (ROOT / "docs/man/fedaemon.8.md").read_text()
    options = Options()  # type: ignore[no-untyped-call,unused-ignore]
    for name in _LONG_OPTION.findall(str(options)):
        assert f"`{name}" in page, name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_pages_refer_to_pages_that_are_there(page: Path) -> None:
    for name, section in _REFERENCE.findall(page.read_text()):
        assert (ROOT / f"docs/man/{name}.{section}.md").is_file()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_man_page_is_made_without_warnings(page: Path, tmp_path: Path) -> None:
    if not (shutil.which("lowdown") and shutil.which("man")):
        pytest.skip("lowdown or man is not installed")
    text, warnings = shown(page, tmp_path)
    assert not warnings
    # No Markdown is left, nothing was taken for something else, and apropos finds the page.
    assert not re.search(r"`|\*\*|^\s*: |\\[\[\]<*]|Untitled", text, re.M)
    assert re.search(rf"^NAME\n\s+{re.escape(page.name.rsplit('.', 2)[0])} [-‐] \w", text, re.M)
    joined = re.sub(r"([-‐])\n\s+", "-", text)
    assert not {option for option in _LONG_OPTION.findall(page.read_text()) if option not in joined}
