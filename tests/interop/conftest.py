"""Local mode, started once, for real clients to send to."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.daemon import CTL, PATIENCE_S, wait_until
from tests.interop.servers import PASSWORD, Certified, Server, strict_server

ROOT = Path(__file__).parent.parent.parent


@dataclass
class Local:
    """A running local mode; *settings* is local.json."""

    directory: Path
    settings: dict[str, Any]

    @property
    def alice(self) -> str:
        """The password of alice@example.test."""
        password: str = self.settings["accounts"]["alice@example.test"]["password"]
        return password

    def environment(self) -> dict[str, str]:
        """What client programs are told through their environment."""
        return {
            **os.environ,
            "MAIL_HOST": self.settings["host"],
            "PORT_TLS": str(self.settings["ports"]["submissions"]),
            "PORT_STARTTLS": str(self.settings["ports"]["submission"]),
            "MAIL_USER": "alice@example.test",
            "MAIL_PASSWORD": self.alice,
            "CA_FILE": self.settings["ca_file"],
            "SSL_CERT_FILE": self.settings["ca_file"],
            "NODE_EXTRA_CA_CERTS": self.settings["ca_file"],
        }

    def inbox(self, address: str) -> list[bytes]:
        """Return the messages in an account's INBOX."""
        target = self.directory / "export"
        shutil.rmtree(target, ignore_errors=True)
        subprocess.run(
            [
                *CTL,
                "-c",
                self.settings["config"],
                "mailbox",
                "export",
                address,
                str(target),
                "--mailbox",
                "INBOX",
                "--eml",
            ],
            check=True,
            capture_output=True,
            timeout=PATIENCE_S,
        )
        return [path.read_bytes() for path in sorted(target.rglob("*.eml"))]

    def wait_for(self, address: str, subject: str) -> bytes:
        """Return the message with *subject* from an account's INBOX once it is there."""
        wanted = f"\r\nSubject: {subject}\r\n".encode()

        def found() -> bytes | None:
            return next((one for one in self.inbox(address) if wanted in one), None)

        message: bytes = wait_until(found, f"the message {subject!r} in {address}")
        return message


@pytest.fixture(scope="session")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Local]:
    """Local mode on ports of its own."""
    directory = tmp_path_factory.mktemp("local")
    offset = 20_000 + os.getpid() % 10_000
    with (directory / "output").open("wb") as output:
        process = subprocess.Popen(
            [*CTL, "local", str(directory), "--port-offset", str(offset)],
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        path = directory / "local.json"

        def ready() -> bool:
            assert process.poll() is None, (directory / "output").read_text()
            return path.exists()

        wait_until(ready, "local mode to be ready")
        yield Local(directory, json.loads(path.read_text()))
    finally:
        process.terminate()
        assert process.wait(PATIENCE_S) == 0


@pytest.fixture(scope="session")
def strict(local: Local, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that refuses what local mode takes."""
    with strict_server(tmp_path_factory.mktemp("strict"), Certified(local)) as ports:
        yield Server(ports, local.settings["ca_file"], PASSWORD)


@pytest.fixture(scope="session")
def need() -> Callable[..., None]:
    """Skip by name when a program is not installed and could not be; in CI nothing may be missing."""

    def check(program: str, *paths: str) -> None:
        if shutil.which(program) and all(Path(path).exists() for path in paths):
            return
        if os.environ.get("CI"):
            pytest.fail(f"{program} is not installed, and CI skips nothing")
        pytest.skip(f"{program} is not installed: tests/prepare says how")

    return check


@pytest.fixture(scope="session")
def node_modules() -> Path:
    """What tests/interop/package.json names, from the npm registry, kept in var/; skips by name without it."""
    directory = ROOT / "var" / "interop"
    directory.mkdir(parents=True, exist_ok=True)
    # Two workers must not install at the same time.
    with (directory / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if npm_installed(directory):
            return directory / "node_modules"
    if os.environ.get("CI"):
        pytest.fail("Nodemailer and Express could not be installed, and CI skips nothing")
    pytest.skip("Nodemailer and Express are not installed: npm and its registry are needed")


def npm_installed(directory: Path) -> bool:
    """See to it that *directory* has the packages of package.json; say whether it has."""
    wanted = (Path(__file__).parent / "package.json").read_text()
    installed = directory / "node_modules" / "installed.json"
    if installed.exists() and installed.read_text() == wanted:
        return True
    if shutil.which("npm") is None:
        return False
    (directory / "package.json").write_text(wanted)
    command = ["npm", "install", "--silent", "--no-audit", "--no-fund"]
    done = subprocess.run(command, cwd=directory, check=False, timeout=300, stdout=sys.stderr)
    if done.returncode == 0:
        installed.write_text(wanted)
    return done.returncode == 0
