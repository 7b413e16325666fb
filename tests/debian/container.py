"""Runs commands in a Debian system that roots.py has made: booted with systemd, or one command alone.

Nothing comes out of it: the only network is a loopback of its own.
"""

from __future__ import annotations

import os
import subprocess
from contextlib import suppress
from pathlib import Path

from tests.daemon import wait_until

BOOT_S = 120.0
COMMAND_S = 900.0
ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LANG": "C.UTF-8",
    "DEBIAN_FRONTEND": "noninteractive",
}
NSPAWN = ("systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--private-network")


def run_alone(root: Path, script: str, *, user: str = "root") -> str:
    """Run *script* in *root*, which is not booted, and return what it printed; fail unless it ends with 0."""
    options = [f"--directory={root}", f"--user={user}", "--as-pid2", "--pipe"]
    # systemd-nspawn has remarks of its own, on standard error.
    done = _run([*NSPAWN, *options, "/bin/sh", "-ec", f"exec 2>&1\n{script}"], stderr=subprocess.PIPE)
    assert done.returncode == 0, f"{script}\n{done.stdout}{done.stderr}"
    return done.stdout


class Container:
    """A system that is booted in *root*; ``shut_down`` ends it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._console = root.parent / "console"
        self._nspawn: subprocess.Popen[bytes] | None = None
        self._leader = ""

    def boot(self) -> None:
        """Boot, and return when all has been started."""
        name = f"--machine=fedaemon-{os.getpid()}"
        with self._console.open("wb") as console:
            self._nspawn = subprocess.Popen(
                [*NSPAWN, f"--directory={self.root}", name, "--boot"],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
            )
        self._leader = wait_until(self._find_leader, "the container's first process", BOOT_S)
        wait_until(self._is_up, "the container's systemd", BOOT_S)

    def _find_leader(self) -> str:
        """Return the process that is number 1 in the container, "" as long as there is none."""
        assert self._nspawn is not None
        assert self._nspawn.poll() is None, self._console.read_text()
        pid = self._nspawn.pid
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            # The first child makes the second one, which is it, and goes.
            with suppress(FileNotFoundError):
                if f"\nNSpid:\t{child}\t1\n" in Path(f"/proc/{child}/status").read_text():
                    return child
        return ""

    def _is_up(self) -> bool:
        done = self._enter(["systemctl", "is-system-running"])
        return done.stdout.strip() in ("running", "degraded")

    def _enter(self, command: list[str], stdin: str = "") -> subprocess.CompletedProcess[str]:
        spaces = ["--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup"]
        return _run(["nsenter", f"--target={self._leader}", *spaces, "env", "--chdir=/root", *command], stdin)

    def run(self, *command: str, stdin: str = "", code: int = 0) -> str:
        """Run *command* as root and return what it printed, errors included; fail unless it ends with *code*."""
        done = self._enter(list(command), stdin)
        assert done.returncode == code, (command, done.returncode, done.stdout)
        return done.stdout

    def shell(self, script: str) -> str:
        """Run *script* with sh, ending at the first command that fails."""
        return self.run("sh", "-ec", script)

    def python(self, script: str, *arguments: str) -> str:
        """Run *script* with the container's Python."""
        return self.run("python3", "-", *arguments, stdin=script)

    def shut_down(self) -> None:
        """Power off."""
        if self._nspawn is None:
            return
        if self._leader:
            self._enter(["systemctl", "poweroff"])
        else:
            self._nspawn.terminate()
        try:
            self._nspawn.wait(60)
        finally:
            self._nspawn.kill()
            self._nspawn.wait()


def _run(
    command: list[str], stdin: str = "", stderr: int = subprocess.STDOUT
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        input=stdin,
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
        timeout=COMMAND_S,
        env=ENVIRONMENT,
        check=False,
    )
