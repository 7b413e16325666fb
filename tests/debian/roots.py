"""Debian systems in directories: one that builds the package, one that it is installed on.

Each is made once by mmdebstrap and kept in build/debian, so that a second run needs neither the network nor a
minute; "make clean" removes them. What it is made of is part of its name: with another list it is made anew. Tests
change a layer above it.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

PROJECT = Path(__file__).parent.parent.parent
PLACE = PROJECT / "build" / "debian"
SUITE = "bookworm"
SOURCES = (
    f"deb http://deb.debian.org/debian {SUITE} main",
    f"deb http://deb.debian.org/debian {SUITE}-updates main",
    f"deb http://deb.debian.org/debian-security {SUITE}-security main",
)
TOOLS = ("mmdebstrap", "systemd-nspawn", "nsenter", "systemd-analyze")
BUILDER = "builder"
SEQUENCES = {"dh-sequence-python3": "dh-python", "dh-sequence-bash-completion": "bash-completion"}
"""Packages that provide a part of debhelper; the others are in debhelper itself."""

SERVER_PACKAGES = (
    "fail2ban",
    "python3-dkim",
    "python3-dnspython",
    "python3-idna",
    "python3-lmdb",
    "python3-openssl",
    "python3-service-identity",
    "python3-systemd",
    "python3-twisted",
)
"""What ${python3:Depends} stands for, and what the tests use on the server besides."""


@contextmanager
def build_root() -> Iterator[Path]:
    """A system with the package's build dependencies, lintian, and a user who builds."""
    packages = (*_relations("Build-Depends"), "lintian")
    hook = f'--customize-hook=chroot "$1" useradd --create-home {BUILDER}'
    with _layer(_made("build", "--variant=buildd", f"--include={','.join(packages)}", hook)) as root:
        yield root


@contextmanager
def server_root() -> Iterator[Path]:
    """A small system with systemd, and with what the package depends on ready to be installed.

    Python is there for the tests; nothing that the package depends on is installed.
    """
    awaited = " ".join((*_relations("Depends"), *SERVER_PACKAGES))
    download = f'chroot "$1" apt-get -qq -y --download-only --no-install-recommends install {awaited}'
    options = (
        "--variant=apt",
        "--include=systemd,systemd-sysv,dbus,python3",
        "--skip=cleanup/apt/lists,cleanup/apt/cache",
        f"--customize-hook={download}",
    )
    with _layer(_made("server", *options)) as root:
        yield root


def _relations(field: str) -> tuple[str, ...]:
    """Return the packages that *field* of debian/control names, the first of alternatives, without versions."""
    control = (PROJECT / "debian" / "control").read_text()
    found = re.search(rf"^{field}:\n((?: .*\n)+)", control, re.MULTILINE)
    assert found is not None, field
    return tuple(_package(line) for line in found[1].splitlines() if not line.startswith(" ${"))


def _package(relation: str) -> str:
    """Return the package's name in *relation*; debhelper's virtual ones are written as what provides them."""
    name = re.split(r"[\s(|,<]", relation.strip())[0]
    if name.startswith("dh-sequence-"):
        return SEQUENCES.get(name, "debhelper")
    return name.replace("debhelper-compat", "debhelper")


def _made(name: str, *arguments: str) -> Path:
    """Return the directory of a system that nothing changes any more, made now unless it is there."""
    made_of = hashlib.sha256(repr((arguments, SOURCES)).encode()).hexdigest()[:12]
    kept = PLACE / f"{name}-{made_of}"
    if not kept.exists():
        PLACE.mkdir(parents=True, exist_ok=True)
        for old in PLACE.glob(f"{name}-*"):
            shutil.rmtree(old)
        fresh = PLACE / f"{name}-unfinished"
        # In a mount namespace of its own nothing that runs on this machine can hold what it has to unmount.
        make = ["unshare", "--mount", "mmdebstrap", "--format=directory", *arguments]
        done = subprocess.run([*make, SUITE, fresh, *SOURCES], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        fresh.rename(kept)
    return kept


@contextmanager
def _layer(below: Path) -> Iterator[Path]:
    """A directory that shows *below* and takes all changes, which are gone at the end."""
    with TemporaryDirectory(prefix="layer-", dir=PLACE) as directory:
        upper, work, merged = (Path(directory) / name for name in ("upper", "work", "merged"))
        for place in (upper, work, merged):
            place.mkdir()
        options = f"lowerdir={below},upperdir={upper},workdir={work}"
        subprocess.run(["mount", "-t", "overlay", "-o", options, "overlay", merged], check=True)
        try:
            yield merged
        finally:
            # Lazily: the last processes of a container that was shut down may still be on their way out.
            subprocess.run(["umount", "--lazy", merged], check=True)
