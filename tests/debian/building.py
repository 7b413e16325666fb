"""Builds the package from the working tree, as a user without privileges and without a network."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.debian.container import run_alone
from tests.debian.roots import BUILDER, PROJECT


@dataclass(frozen=True)
class Built:
    """What a build made; *root* is the system it was made in, and the paths are outside of it."""

    root: Path
    version: str
    directory: str

    @property
    def deb(self) -> Path:
        """The package."""
        return self.root / self.directory.lstrip("/") / f"fedaemon_{self.version}_all.deb"


def build(root: Path, version: str = "", options: str = "") -> Built:
    """Build in *root*; *version* instead of the changelog's, *options* are DEB_BUILD_OPTIONS."""
    directory = f"/home/{BUILDER}/{version or 'now'}"
    source = root / directory.lstrip("/") / "fedaemon"
    subprocess.run([PROJECT / "etc" / "make-deb", "--source", source.parent], check=True)
    if version:
        _add_to_changelog(source / "debian" / "changelog", version)
    run_alone(root, f"chown -R {BUILDER}: {directory}")
    run_alone(
        root,
        f"cd {directory}/fedaemon\n"
        f"export DEB_BUILD_OPTIONS={options}\n"
        "dpkg-buildpackage -us -uc >../build.log 2>&1 || { tail -n 60 ../build.log; exit 1; }",
        user=BUILDER,
    )
    return Built(root, version or _version(source / "debian" / "changelog"), directory)


def _version(changelog: Path) -> str:
    return changelog.read_text().split("(", 1)[1].split(")", 1)[0]


def _add_to_changelog(changelog: Path, version: str) -> None:
    before = changelog.read_text()
    signature = next(line for line in before.splitlines() if line.startswith(" -- "))
    entry = f"fedaemon ({version}) bookworm; urgency=medium\n\n  * Newer.\n\n{signature}\n\n"
    changelog.write_text(entry + before)
