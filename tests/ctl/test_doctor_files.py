"""doctor: files, their owners and modes, disk space; what the kernel tells of this machine."""

from __future__ import annotations

import fcntl
import os
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from fedaemon.ctl.doctor import files
from fedaemon.ctl.doctor.files import User, cannot_read, user
from fedaemon.ctl.doctor.machine import Machine
from fedaemon.ctl.doctor.process import find_daemon
from fedaemon.net.selfsigned import make_local_ca
from tests.ctl.doctor_case import HOST, bad, new_case, the

STRANGER = User(54321, frozenset((54321,)), "stranger")
OF_THE_GROUP = User(54321, frozenset((os.getgid(),)), "member")
NEEDS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="gives files to others, which needs root")


@pytest.fixture
def open_path() -> Iterator[Path]:
    """A directory that everybody can pass through; those of pytest are private."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o711)
        yield Path(name)


@pytest.mark.parametrize(
    ("mode", "runs_as", "readable"),
    [
        (0o604, STRANGER, True),
        (0o640, STRANGER, False),
        (0o640, OF_THE_GROUP, True),
        (0o604, OF_THE_GROUP, False),
        (0o000, User(0, frozenset(), "root"), True),
    ],
)
def test_who_can_read_a_file(open_path: Path, mode: int, runs_as: User, *, readable: bool) -> None:
    """The kernel's rule: the owner's bits for the owner, the group's for members, the others' for all else."""
    path = open_path / "file"
    path.write_text("")
    path.chmod(mode)
    assert (cannot_read(path, runs_as) == "") is readable


def test_a_directory_on_the_way_is_closed(open_path: Path) -> None:
    """What keeps a user out is named, with owner and mode."""
    path = open_path / "private" / "file"
    path.parent.mkdir(mode=0o700)
    path.write_text("")
    path.chmod(0o644)
    obstacle = cannot_read(path, STRANGER)
    assert obstacle == f"{path.parent} belongs to {user(os.getuid()).name} and has mode 0700"


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """It cannot be read, and why is said."""
    assert cannot_read(tmp_path / "none", user(os.getuid())) == f"{tmp_path}/none does not exist"


def test_settings_that_everybody_can_change(tmp_path: Path) -> None:
    """Then everybody can have all mail."""
    source = tmp_path / "fedaemon.toml"
    source.write_text("")
    source.chmod(0o646)
    case, own = new_case(source=source), user(os.getuid())
    assert the(files.settings_file(case, own), "problem", "settings-file").todo == f"chmod o-w {source}"
    source.chmod(0o644)
    assert bad(files.settings_file(case, own)) == []


def test_settings_that_the_daemon_cannot_read(tmp_path: Path) -> None:
    """The command to mend it is given."""
    source = tmp_path / "fedaemon.toml"
    source.write_text("")
    source.chmod(0o600)
    finding = the(files.settings_file(new_case(source=source), STRANGER), "problem", "settings-file")
    assert "stranger cannot read it" in finding.what and "chmod 0640" in finding.todo


def test_a_private_key_that_all_can_read(tmp_path: Path) -> None:
    """The certificate may be public, its key not."""
    made = make_local_ca(tmp_path, (HOST,))
    text = f'[server]\nhostname = "{HOST}"\n[tls]\ncertificate = "{made.certificate}"\n'
    case = new_case(f'{text}private_key = "{made.private_key}"\n')
    assert bad(files.key_files(case, user(os.getuid()))) == []
    made.private_key.chmod(0o644)
    assert the(files.key_files(case, user(os.getuid())), "problem", "tls-file").about == str(made.private_key)
    made.private_key.chmod(0o600)
    finding = [each for each in bad(files.key_files(case, STRANGER)) if each.about == str(made.private_key)]
    assert "stranger cannot read it" in finding[0].what and "setup certificate" in finding[0].todo


def test_the_data_directory(tmp_path: Path) -> None:
    """It is the daemon's alone."""
    case, own = new_case(f'[server]\nhostname = "{HOST}"\ndata_dir = "{tmp_path}/data"\n'), user(os.getuid())
    the(files.data_directory(case, own), "note", "data-dir")
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    (data / "file").write_text("")
    assert bad(files.data_directory(case, own)) == []
    data.chmod(0o750)
    assert the(files.data_directory(case, own), "warning", "data-dir").todo == f"chmod 0700 {data}"


@NEEDS_ROOT
def test_files_of_others_in_the_data_directory(tmp_path: Path) -> None:
    """Root's copies are what a daemon cannot open."""
    data = tmp_path / "data"
    (data / "blobs").mkdir(parents=True, mode=0o700)
    data.chmod(0o700)
    os.chown(data, 54321, 54321)
    case = new_case(f'[server]\nhostname = "{HOST}"\ndata_dir = "{data}"\n')
    finding = the(files.data_directory(case, STRANGER), "problem", "foreign-files")
    assert str(data / "blobs") in finding.what and "chown -R 54321:" in finding.todo
    os.chown(data / "blobs", 54321, 54321)
    assert bad(files.data_directory(case, STRANGER)) == []


def test_disk_space() -> None:
    """Below the reserve mail is refused, and near it that is to come."""
    where, reserve = Path("/data"), 256 << 20
    assert files.disk_space(where, 8 << 30, reserve).level == "ok"
    assert files.disk_space(where, 512 << 20, reserve).level == "warning"
    full = files.disk_space(where, 100 << 20, reserve)
    assert full.level == "problem" and full.what.startswith(
        "100 MiB are free, less than the reserve of 256 MiB"
    )
    assert files.inodes(where, 9_999).level == "problem"
    assert files.inodes(where, 1_000_000).level == "ok"


def test_what_cannot_be_looked_at_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """An ordinary user sees less, and is told so once for each place."""

    def closed(*_: object) -> object:
        raise PermissionError(13, "Permission denied", "/var/lib/fedaemon")

    monkeypatch.setattr(files, "data_directory", closed)
    monkeypatch.setattr(files, "settings_file", lambda *_: ())
    found = [each for each in files.check_files(new_case()) if each.check == "not-permitted"]
    assert [(each.level, each.about) for each in found] == [("warning", "/var/lib/fedaemon")]
    assert found[0].todo == "run this as root: sudo fedaemonctl doctor"


def test_who_listens_here() -> None:
    """The kernel is asked for a port: this process has it, and then nobody."""
    machine = Machine()
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port = listening.getsockname()[1]
        assert not machine.listening(port)
        listening.listen()
        assert machine.listening(port)
        found = machine.who_listens(port)
        assert found is not None and found.pid == os.getpid()
    assert machine.who_listens(port) is None


def test_the_addresses_of_this_machine() -> None:
    """Its own, and none of others; asking sends nothing."""
    machine = Machine()
    assert machine.holds("127.0.0.1")
    assert not machine.holds("192.0.2.254")
    assert all(machine.holds(address) for address in machine.outgoing())


def test_programs_by_their_units(tmp_path: Path) -> None:
    """A made-up /proc: Postfix calls itself master, and systemd knows its unit; process 1 holds a copy."""
    (tmp_path / "net").mkdir()
    head = (
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
    )
    line = (
        "   0: 00000000:0019 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 777 1\n"
    )
    (tmp_path / "net" / "tcp").write_text(head + line)
    for pid, name, group in (
        (1, "systemd", "0::/init.scope"),
        (88, "master", "0::/system.slice/postfix.service"),
    ):
        process = tmp_path / str(pid)
        (process / "fd").mkdir(parents=True)
        (process / "fd" / "3").symlink_to("socket:[777]")
        (process / "exe").symlink_to(
            f"/usr/lib/postfix/sbin/{name}" if pid == 88 else "/usr/lib/systemd/systemd"
        )
        (process / "comm").write_text(f"{name}\n")
        (process / "cgroup").write_text(f"{group}\n")
    machine = Machine(tmp_path)
    assert str(machine.who_listens(25)) == "postfix (process 88, postfix.service)"
    assert machine.listening(25) and not machine.listening(26)


def test_the_daemon_is_who_holds_the_lock(tmp_path: Path) -> None:
    """A number that somebody left in the file is not enough; the lock itself is never taken."""
    lock, machine = tmp_path / "service.lock", Machine()
    assert find_daemon(tmp_path, machine) is None
    lock.write_text(f"{os.getpid()}\n")
    assert find_daemon(tmp_path, machine) is None
    with lock.open("r+") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert find_daemon(tmp_path, machine) == os.getpid()
        assert machine.user_of(os.getpid()) == os.getuid()
        assert machine.open_files_limit(os.getpid()) is not None
    assert find_daemon(tmp_path, machine) is None
