"""Whose rights fedaemonctl works with when root runs it.

The store belongs to the user that the daemon runs as. What root made in it, that user could not read; and whatever
root opens, renames or gives away below a directory of another user, that user can have led elsewhere by a symbolic
link. So root's fedaemonctl works on the store as its owner, and as root only on files that the caller named.

Invariants: ids are never changed unless the process is root's; only the effective ones are, so that root's rights
come back; nothing inside the data directory is ever given to another user.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from fedaemon.store.errors import StoreError

T = TypeVar("T")

SERVICE_USER: Final = "fedaemon"
"""The user that packages make for the daemon."""
SYSTEM_SETTINGS: Final = Path("/etc")
"""Settings below it are those of the machine's own service."""
ROOT: Final = 0
INSTEAD: Final = "run it as root, or: sudo -u {} fedaemonctl …"
"""What somebody without access is to do; with the name of the user who has it."""


@dataclass(frozen=True, slots=True)
class User:
    """Somebody whose rights can be taken on."""

    uid: int
    gid: int
    name: str

    @classmethod
    def of(cls, uid: int, gid: int) -> User:
        """Return the user *uid*; of one that has no name here the group is *gid*."""
        try:
            entry = pwd.getpwuid(uid)
        except KeyError:
            return cls(uid, gid, "")
        return cls(uid, entry.pw_gid, entry.pw_name)

    def __str__(self) -> str:
        return self.name or f"#{self.uid}"


class Privileges:
    """The rights of this process: the caller's, until ``become`` takes on those of somebody else."""

    def __init__(self) -> None:
        self._user: User | None = None
        self._groups: list[int] = []

    def become(self, user: User) -> None:
        """Take on the rights of *user* from now on; the process must be root's."""
        if self._user is None:
            self._groups = os.getgroups()
            self._user = user
            self._lower(user)

    def leave(self) -> None:
        """Take on the caller's rights again, for good."""
        if self._user is not None:
            self._raise()
            self._user = None

    @contextmanager
    def as_caller(self) -> Iterator[None]:
        """Inside, have the caller's rights: around files that the caller named."""
        user = self._user
        if user is None or os.geteuid() == ROOT:
            yield
            return
        self._raise()
        try:
            yield
        finally:
            self._lower(user)

    def each_as_caller(self, found: Iterable[T]) -> Iterator[T]:
        """Yield what *found* yields, where looking for it needs the caller's rights."""
        iterator = iter(found)
        while True:
            with self.as_caller():
                try:
                    one = next(iterator)
                except StopIteration:
                    return
            yield one

    def _lower(self, user: User) -> None:
        # Groups first: without root's uid they can no longer be changed.
        if user.name:
            os.initgroups(user.name, user.gid)
        else:
            os.setgroups([user.gid])
        os.setegid(user.gid)
        os.seteuid(user.uid)

    def _raise(self) -> None:
        os.seteuid(ROOT)
        os.setegid(os.getgid())
        os.setgroups(self._groups)


def is_hidden(path: Path) -> bool:
    """Tell whether the rights of the caller are what keeps it from reading *path*."""
    try:
        path.open("rb").close()
    except PermissionError:
        return True
    except OSError:
        return False
    return False


def owner(data_dir: Path, config: Path) -> User | None:
    """Return the user as whom root is to work on *data_dir*, which is made when it is not there.

    None when the rights of the caller are the right ones: it is not root, or the directory is root's own.

    :param config: the settings file: the machine's own service has a user of its own.
    :raises StoreError: the directory cannot be made, or is not for the caller.
    """
    try:
        status = data_dir.stat()
    except FileNotFoundError:
        return _make(data_dir, config)
    except OSError as error:
        raise StoreError(f"{data_dir}: {error.strerror}; run it as root") from error
    if os.geteuid() != ROOT:
        _check_access(data_dir, status.st_uid, status.st_gid)
        return None
    return None if status.st_uid == ROOT else User.of(status.st_uid, status.st_gid)


def daemon_user(data_dir: Path) -> User | None:
    """Return the user that the daemon runs as, so far as it is not root; raises OSError."""
    try:
        status = data_dir.stat()
    except FileNotFoundError:
        return _service_user()
    return None if status.st_uid == ROOT else User.of(status.st_uid, status.st_gid)


def _service_user() -> User | None:
    try:
        entry = pwd.getpwnam(SERVICE_USER)
    except KeyError:
        return None
    return User(entry.pw_uid, entry.pw_gid, entry.pw_name)


def _check_access(data_dir: Path, uid: int, gid: int) -> None:
    """Refuse a user who cannot work on *data_dir*, with what to do instead."""
    if not os.access(data_dir, os.R_OK | os.W_OK | os.X_OK, effective_ids=True):
        user = User.of(uid, gid)
        instead = INSTEAD.format(user) if uid != ROOT else "run it as root"
        raise StoreError(f"{data_dir} belongs to {user}, and you have no access to it; {instead}")


def _make(data_dir: Path, config: Path) -> User | None:
    """Make the data directory of the machine's own service for its user; leave any other to the store."""
    if os.geteuid() != ROOT or not config.absolute().is_relative_to(SYSTEM_SETTINGS):
        return None
    user = _service_user()
    if user is None:
        return None
    try:
        data_dir.parent.mkdir(parents=True, exist_ok=True)
        data_dir.mkdir(mode=0o700)
        # By descriptor, and never through a link that somebody put there meanwhile.
        descriptor = os.open(data_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            os.fchown(descriptor, user.uid, user.gid)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise StoreError(
            f"{data_dir} cannot be made: {error.strerror}; make it for the user {user}"
        ) from error
    return user
