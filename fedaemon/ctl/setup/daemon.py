"""The running daemon: does it run, how is it told of new settings, and how is it started."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path
from typing import Final

from fedaemon.ctl.command import Context
from fedaemon.ctl.doctor.machine import Machine
from fedaemon.ctl.doctor.process import find_daemon

UNIT: Final = "fedaemon"
SYSTEMD: Final = Path("/run/systemd/system")
"""Is there where systemd is in charge."""
SYSTEM_CONFIG: Final = Path("/etc/fedaemon/fedaemon.toml")
PATIENCE_S: Final = 60


def tell(context: Context) -> str:
    """Have the daemon read its settings again, if systemd runs it; return what is to be said, "" for nothing."""
    with context.as_caller():
        pid = find_daemon(context.settings.server.data_dir, Machine())
        if pid is None:
            return ""
        if _systemctl("show", "--property=MainPID", "--value", UNIT) != (0, str(pid)):
            return f"The daemon (process {pid}) does not know yet; tell it: kill -HUP {pid}"
        code, said = _systemctl("reload", UNIT)
    if code:
        return f"The daemon could not be told: {said}; see: journalctl -u {UNIT}"
    return "The daemon has read the new settings."


def start_command(context: Context) -> str:
    """Return what starts the daemon, "" while it runs."""
    with context.as_caller():
        if find_daemon(context.settings.server.data_dir, Machine()) is not None:
            return ""
        if _systemctl("cat", UNIT)[0] == 0:
            return f"systemctl start {UNIT}"
    return f"twistd -n --pidfile= fedaemon --config {shlex.quote(str(context.config_path.absolute()))}"


def ctl_command(context: Context, *words: str) -> str:
    """Return a command line of fedaemonctl for the same settings."""
    config = context.config_path.absolute()
    named = [] if config == SYSTEM_CONFIG else ["-c", shlex.quote(str(config))]
    return " ".join(["fedaemonctl", *named, *words])


def _systemctl(*arguments: str) -> tuple[int, str]:
    """Return exit code and output of systemctl; not 0 where there is no systemd."""
    if not SYSTEMD.is_dir():
        return 1, ""
    try:
        done = subprocess.run(  # noqa: S603 - constant words
            ["systemctl", *arguments],  # noqa: S607 - root's own PATH
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return 1, str(error)
    return done.returncode, done.stdout.strip()
