"""Which files are generated, and from what."""

from __future__ import annotations

from pathlib import Path

from docs.manual.commands import page
from docs.manual.completion import script
from docs.manual.settings import settings_page
from docs.manual.tree import command_tree
from fedaemon.ctl.main import build_parser

ROOT = Path(__file__).parents[2]


def generated() -> dict[str, str]:
    """Return the text of each generated file, by its path below the root."""
    tree = command_tree(build_parser())
    return {
        "docs/man/fedaemonctl.1.md": page(tree, (ROOT / "docs/manual/fedaemonctl.1.md").read_text()),
        "docs/man/fedaemon.toml.5.md": settings_page(
            (ROOT / "etc/fedaemon.toml").read_text(), (ROOT / "docs/manual/fedaemon.toml.5.md").read_text()
        ),
        "etc/fedaemonctl.bash-completion": script(tree),
    }
