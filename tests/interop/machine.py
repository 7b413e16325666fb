"""This machine once more, to be configured as a page says: what is changed in it is gone when it is closed.

Why: a page on Postfix or Exim has people write to /etc and install packages. The test does just that, with the
very paths and commands, in an overlay of the file system with processes of its own; the network is the same, so
"localhost" is where the server under test listens.

Invariants: nothing outside changes; every process inside ends with the machine, also when the tests are killed.
Known gaps: needs root, and a kernel that can lay a file system over another.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import pytest

from tests.daemon import PATIENCE_S, wait_until
from tests.interop.conftest import ROOT, Local
from tests.interop.pages import Page, replaced, says

DOWNLOADS: Final = ROOT / "var" / "interop"
"""Where tests/prepare keeps packages that cannot be installed beside the others; each in a folder of its name."""

BOOT: Final = """
mount -t tmpfs tmpfs "$1"; cd "$1"; mkdir upper work root
mount -t overlay overlay -o lowerdir=/,upperdir=upper,workdir=work root
for each in dev sys tmp; do mount --rbind /$each root/$each; done
mount -t proc proc root/proc
printf '#!/bin/sh\\nexit 101\\n' >root/usr/sbin/policy-rc.d; chmod +x root/usr/sbin/policy-rc.d
exec chroot root sh -c 'cd /; echo ready; exec cat'
"""
"""It lasts until its input ends, which is when the test or its process does."""

UNSHARE: Final = ("unshare", "--mount", "--pid", "--fork", "--kill-child")
ENTER: Final = ("--mount", "--pid", "--root", "env", "--chdir=/root")
PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
INSTALL: Final = "dpkg --remove --force-depends {}; DEBIAN_FRONTEND=noninteractive dpkg --install {}/*.deb"


def need_machine() -> None:
    """Skip where there can be no such machine; in CI nothing is skipped."""
    tried = subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False)
    possible = tried.returncode == 0
    if not possible and os.environ.get("CI"):
        pytest.fail("only root can lay a file system over this one, and CI skips nothing")
    if not possible:
        pytest.skip("only root can lay a file system over this one")


class Machine:
    """A running overlay of this machine, for a ``with`` statement.

    :ivar root: its file system, seen from outside.
    """

    root: Path

    def __enter__(self) -> Self:
        self._directory = Path(tempfile.mkdtemp(prefix="machine-"))
        self._holder = subprocess.Popen(
            [*UNSHARE, "sh", "-ec", BOOT, "sh", str(self._directory)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._holder.stdout is not None
        assert self._holder.stdout.readline() == "ready\n"
        children = Path(f"/proc/{self._holder.pid}/task/{self._holder.pid}/children")
        self._first = children.read_text().strip()
        self.root = Path(f"/proc/{self._first}/root")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._holder.communicate(timeout=PATIENCE_S)
        shutil.rmtree(self._directory)

    def run(self, command: str) -> str:
        """Run shell lines as root in root's home, and return what they print; fail if they do."""
        done = subprocess.run(
            ["nsenter", "--target", self._first, *ENTER, "sh", "-ec", command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={"PATH": PATH, "HOME": "/root", "LC_ALL": "C.UTF-8"},
            text=True,
            timeout=2 * PATIENCE_S,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}"
        return done.stdout

    def add_program(self, name: str, lines: str) -> None:
        """Put a shell script where every program is found before those of the system."""
        path = self.root / "usr/local/bin" / name
        path.write_text(f"#!/bin/sh\n{lines}")
        path.chmod(0o755)

    def install(self, name: str, instead_of: str) -> None:
        """Install the packages that were downloaded as *name* in place of one that they conflict with."""
        self.run(INSTALL.format(instead_of, DOWNLOADS / name))

    def trust(self, ca_file: Path) -> None:
        """Add an authority to those that every program trusts."""
        with (self.root / "etc/ssl/certs/ca-certificates.crt").open("ab") as known:
            known.write(ca_file.read_bytes())


class Followed:
    """A page about a mail server, followed on a machine step by step.

    :ivar variant: which of the ways that the page offers.
    :ivar replacements: what stands in place of the page's examples; a test may change the password.
    """

    def __init__(self, page: Page, machine: Machine, local: Local, variant: str = "") -> None:
        self._page, self._machine, self.variant = page, machine, variant
        self.replacements = {
            "mail.example.org": "localhost",
            "465": str(local.settings["ports"]["submissions"]),
            "587": str(local.settings["ports"]["submission"]),
            "alice@example.org": "alice@example.test",
            "bob@example.net": "bob@example.test",
            "PASSWORD": local.alice,
        }
        machine.trust(Path(local.settings["ca_file"]))

    def write(self) -> None:
        """Write the files of the page where it says."""
        self._page.write(self._machine.root, self.replacements, self.variant)

    def follow(self, *commands: str) -> None:
        """Run the lines of the page that are marked with these names."""
        for command in commands:
            self.run(replaced(self._page.commands(self.variant)[command], self.replacements))

    def run(self, command: str) -> str:
        """Run other shell lines and return what they print."""
        return self._machine.run(command)

    def shows(self, error: str, where: str) -> None:
        """Wait until the command *where* prints what the page quotes as *error*."""
        quoted = self._page.errors()[error]
        try:
            wait_until(lambda: says(self.run(where), quoted, self.replacements), f"{error} in {where}")
        except AssertionError as waited:
            raise AssertionError(f"{quoted}\nis not in what {where!r} prints:\n{self.run(where)}") from waited


def write_to(recipient: str, subject: str, *options: str) -> str:
    """Return the command of a program that sends a message."""
    return f"printf 'Subject: {subject}\\n\\nhi\\n' | sendmail {' '.join(options)} {recipient}"
