"""Can the daemon read and write what it must, can nobody else, and is there room?

Standards: proc(5), path_resolution(7).
Known gaps: access control lists are not evaluated; a file that has one is taken to be right.
"""

from __future__ import annotations

import grp
import os
import pwd
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fedaemon.ctl.doctor.case import Case
from fedaemon.ctl.doctor.finding import Area, Finding, counted
from fedaemon.store.layout import Layout
from fedaemon.tls_setup import own_files

AREA: Final = Area("files")
FEW_INODES: Final = 10_000
MOST_FILES: Final = 20_000
"""So many files of the data directory are looked at."""
_ACL: Final = "system.posix_acl_access"


@dataclass(frozen=True, slots=True)
class User:
    """Whom the kernel asks about: a user and all groups."""

    uid: int
    groups: frozenset[int]
    name: str


def user(uid: int) -> User:
    """Return what the system knows of a user id."""
    try:
        entry = pwd.getpwuid(uid)
    except KeyError:
        return User(uid, frozenset(), str(uid))
    groups = {each.gr_gid for each in grp.getgrall() if entry.pw_name in each.gr_mem}
    return User(uid, frozenset(groups | {entry.pw_gid}), entry.pw_name)


def check_files(case: Case) -> Iterator[Finding]:
    """Look at the files that the settings name, and at the data directory."""
    runs_as = user(case.uid)
    for check in (settings_file, key_files, data_directory):
        try:
            yield from check(case, runs_as)
        except PermissionError as error:
            yield _not_permitted(Path(error.filename or ""), error)
    yield from room(case)


def settings_file(case: Case, runs_as: User) -> Iterator[Finding]:
    """The daemon reads it, and whoever may write it decides where mail goes."""
    path = case.settings.source.absolute()
    if obstacle := cannot_read(path, runs_as):
        yield AREA.problem(
            "settings-file",
            str(path),
            f"the user {runs_as.name} cannot read it: {obstacle}",
            "the daemon does not start without it",
            f"chgrp fedaemon {path} && chmod 0640 {path}",
        )
    elif path.stat().st_mode & stat.S_IWOTH:
        yield AREA.problem(
            "settings-file",
            str(path),
            "every user of this machine can change it",
            "who changes it gets all mail",
            f"chmod o-w {path}",
        )
    else:
        yield AREA.ok("settings-file", str(path), "the daemon can read it, and not everybody can change it")


def key_files(case: Case, runs_as: User) -> Iterator[Finding]:
    """Private keys: readable by the daemon, and not by everybody."""
    tls = case.settings.tls
    if tls is None:
        keys = [own_files(case.settings).private_key]
        certificates = []
    else:
        keys = [tls.private_key, *(site.private_key for site in tls.sites)]
        certificates = [tls.certificate, *(site.certificate for site in tls.sites)]
    for path in (*certificates, *keys):
        if obstacle := cannot_read(path, runs_as):
            if tls is None:
                continue  # made at the first start
            yield AREA.problem(
                "tls-file",
                str(path),
                f"the user {runs_as.name} cannot read it: {obstacle}",
                "the daemon cannot start, and after a reload goes on with the old certificate",
                "fedaemonctl setup certificate --certificate FILE --key FILE puts both where it can read them",
            )
        elif path in keys and path.stat().st_mode & stat.S_IROTH:
            yield AREA.problem(
                "tls-file",
                str(path),
                "every user of this machine can read the private key",
                "who has it can pass for this server",
                f"chmod 0640 {path}",
            )
        else:
            yield AREA.ok("tls-file", str(path), "the daemon can read it")


def cannot_read(path: Path, runs_as: User) -> str:
    """Return why *runs_as* cannot read *path*, "" when it can; raise PermissionError when we cannot tell."""
    if runs_as.uid == os.geteuid() and os.access(path, os.R_OK, effective_ids=True):
        return ""
    for parent in reversed(path.absolute().parents):
        if obstacle := _lacks(parent, runs_as, stat.S_IXUSR):
            return obstacle
    return _lacks(path, runs_as, stat.S_IRUSR)


def _lacks(path: Path, runs_as: User, right: int) -> str:
    """Return what keeps *runs_as* from *path*; *right* as the bit of the owner."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return f"{path} does not exist"
    if runs_as.uid == 0 or _ACL in _attributes(path):
        return ""
    shift = 0 if status.st_uid == runs_as.uid else 3 if status.st_gid in runs_as.groups else 6
    if status.st_mode & (right >> shift):
        return ""
    owner = user(status.st_uid).name
    return f"{path} belongs to {owner} and has mode {stat.S_IMODE(status.st_mode):04o}"


def _attributes(path: Path) -> list[str]:
    try:
        return os.listxattr(path)
    except OSError:
        return []


def data_directory(case: Case, runs_as: User) -> Iterator[Finding]:
    """All of it belongs to the daemon's user, and to nobody else."""
    path = case.settings.server.data_dir
    try:
        status = path.stat()
    except FileNotFoundError:
        yield AREA.note(
            "data-dir",
            str(path),
            "does not exist yet",
            "the daemon makes it at its first start, if it may",
            "start it: systemctl start fedaemon",
        )
        return
    if status.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        yield AREA.warning(
            "data-dir",
            str(path),
            f"others than its owner have access to it (mode {stat.S_IMODE(status.st_mode):04o})",
            "everybody's mail is in there",
            f"chmod 0700 {path}",
        )
    else:
        yield AREA.ok(
            "data-dir", str(path), f"belongs to {user(status.st_uid).name}, and nobody else has access"
        )
    yield from foreign_files(path, status.st_uid)


def foreign_files(path: Path, owner: int) -> Iterator[Finding]:
    """Files that another user made there, such as root by a copy."""
    layout = Layout(path)
    foreign: list[Path] = []
    count = 0
    for directory, _, names in os.walk(path, onerror=_raise):
        for each in (Path(directory), *(Path(directory, name) for name in names)):
            count += 1
            if _owner(each) not in (owner, None):
                foreign.append(each)
        if count > MOST_FILES:
            break
    if foreign:
        yield AREA.problem(
            "foreign-files",
            str(path),
            f"has {counted(len(foreign), 'file')} of another user in it, such as {foreign[0]}",
            "the daemon cannot read or write them, and refuses to start or answers 451",
            f"stop the daemon, then: chown -R {user(owner).name}: {layout.data_dir}",
        )
    else:
        yield AREA.ok("foreign-files", str(path), "everything in it belongs to its owner")


def _raise(error: OSError) -> None:
    if isinstance(error, PermissionError):
        raise error  # anything else: gone meanwhile


def _owner(path: Path) -> int | None:
    try:
        return path.lstat().st_uid
    except OSError:
        return None  # gone meanwhile


def _not_permitted(path: Path, error: OSError) -> Finding:
    return AREA.warning(
        "not-permitted",
        str(path),
        f"cannot be looked at: {error.strerror}",
        "what is wrong there stays unknown",
        "run this as root: sudo fedaemonctl doctor",
    )


def room(case: Case) -> Iterator[Finding]:
    """Is there free space beyond the reserve, and a file to be had?"""
    path = case.settings.server.data_dir
    while not path.exists() and path != path.parent:
        path = path.parent
    disk = os.statvfs(path)
    yield disk_space(path, disk.f_bavail * disk.f_frsize, case.settings.limits.disk_reserve)
    if disk.f_files:
        yield inodes(path, disk.f_favail)


def disk_space(path: Path, free: int, reserve: int) -> Finding:
    """Judge the free space."""
    shown, kept = f"{free >> 20} MiB are free", f"{reserve >> 20} MiB (limits.disk_reserve)"
    if free < reserve:
        return AREA.problem(
            "disk",
            str(path),
            f"{shown}, less than the reserve of {kept}",
            "new mail is refused (452) until there is more",
            "free some space, or keep finished mail for a shorter time: retention and history in [delivery]",
        )
    if free < 4 * reserve:
        return AREA.warning(
            "disk",
            str(path),
            f"only {shown}; below {kept} no new mail is taken",
            "a few large messages are enough to get there",
            "free some space, or give the file system more",
        )
    return AREA.ok("disk", str(path), shown)


def inodes(path: Path, free: int) -> Finding:
    """Judge how many files can still be made."""
    if free < FEW_INODES:
        return AREA.problem(
            "inodes",
            str(path),
            f"only {free} more files can be made on this file system",
            "messages above 64 KiB are files; when none can be made, mail is refused although there is space",
            "remove small files you do not need (find what has most: du --inodes -x / | sort -n | tail)",
        )
    return AREA.ok("inodes", str(path), f"{free} more files can be made")
