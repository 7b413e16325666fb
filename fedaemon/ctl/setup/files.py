"""The files that setup writes: the settings, certificates and keys, each replaced in one step.

Invariants: a reader sees the old file or the new one; a file has its mode and its owner before it has its name, so
that a key is never open to others; what a change makes of the settings can be read before it takes their place.
Known gaps: no copy of the old settings is kept; only the lines that are told change.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Final

from fedaemon.config import BadSettings, parse_settings
from fedaemon.ctl.command import Context
from fedaemon.ctl.privileges import INSTEAD, ROOT, SERVICE_USER, daemon_user, is_hidden
from fedaemon.errors import Refused
from fedaemon.settings_file import read_toml
from fedaemon.store.layout import sync_directory

SAMPLE: Final = "fedaemon.toml"
"""Beside this module: what a settings file begins as (etc/fedaemon.toml)."""
READABLE_BY_DAEMON, OWN_ONLY, DIRECTORY_MODE = 0o640, 0o600, 0o750


def replace_file(path: Path, data: bytes, mode: int, owner: tuple[int, int] | None = None) -> None:
    """Write *path* durably, whole or not at all; raises OSError.

    :param owner: user and group id; those of the caller without it.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, OWN_ONLY)
    try:
        with os.fdopen(descriptor, "wb") as file:
            if owner is not None:
                os.fchown(descriptor, *owner)
            os.fchmod(descriptor, mode)
            file.write(data)
            file.flush()
            os.fsync(descriptor)
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def for_daemon(data_dir: Path) -> tuple[int, tuple[int, int] | None]:
    """Return mode and owner of a file that only root writes and the daemon reads."""
    user = daemon_user(data_dir) if os.geteuid() == ROOT else None
    return (OWN_ONLY, None) if user is None else (READABLE_BY_DAEMON, (ROOT, user.gid))


class SettingsFile:
    """The settings file of a run; ``changed``: the daemon that runs has something to read again."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self.path = context.config_path
        self.changed = False

    def text(self) -> str:
        """Return the text of the settings, the sample's where there are none yet; raises BadSettings."""
        with self._context.as_caller():
            if is_hidden(self.path):
                raise BadSettings(f"{self.path}: Permission denied; {INSTEAD.format(SERVICE_USER)}")
            try:
                text = self.path.read_bytes().decode("utf-8")
            except FileNotFoundError:
                return resources.files(__package__).joinpath(SAMPLE).read_text(encoding="utf-8")
            except UnicodeDecodeError:
                raise BadSettings(f"{self.path}: not UTF-8 text; save the file as UTF-8") from None
        read_toml(text, self.path)
        return text

    def hostname(self) -> str:
        """Return the host name that is set, "" when there is none, or no file."""
        server = tomllib.loads(self.text()).get("server")
        return str(server.get("hostname", "")) if isinstance(server, dict) else ""

    def edit(self, change: Callable[[str], str]) -> bool:
        """Change the settings, if *change* makes a difference; return whether it did.

        :param change: gives the new text for the old one.
        :raises BadSettings: what comes of it could not be read; nothing is changed.
        """
        old = self.text()
        ends = "\r\n" if "\r\n" in old else "\n"
        new = change(old.replace("\r\n", "\n")).replace("\n", ends)
        if new == old:
            return False
        with self._context.as_caller():
            settings = parse_settings(new, self.path)
            self._write(new.encode("utf-8"), settings.server.data_dir)
        self._context.__dict__.pop("settings", None)
        self.changed = True
        return True

    def _write(self, data: bytes, data_dir: Path) -> None:
        # A link stays one: what it leads to is replaced.
        path = self.path.resolve()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                status = path.stat()
                mode, owner = status.st_mode & 0o777, (status.st_uid, status.st_gid)
            except FileNotFoundError:
                mode, given = for_daemon(data_dir)
                owner = given or (os.geteuid(), os.getegid())
            replace_file(path, data, mode, owner)
        except OSError as error:
            raise Refused(f"{path} cannot be written: {error.strerror}; run it as root") from error
