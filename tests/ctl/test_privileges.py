"""fedaemonctl run by root works on the store as its owner, and only on files that were named as root."""

from __future__ import annotations

import os
import shutil
import smtplib
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from fedaemon.ctl import privileges
from fedaemon.ctl.command import Context
from fedaemon.ctl.main import main
from fedaemon.ctl.privileges import Privileges, User, owner
from fedaemon.store.blobs import INLINE_OCTETS
from fedaemon.store.errors import StoreError
from tests import daemon
from tests.daemon import CTL, PATIENCE_S, Daemon, client_context, free_port, wait_until

NOBODY = 65534
ALICE = "alice@example.test"
PASSWORD = "correct horse battery staple"
LARGE = b"x" * 76 + b"\r\n"

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can work as somebody else")


class Machine:
    """A settings file of root's, a data directory of nobody's, and a place that only root may enter."""

    def __init__(self, top: Path) -> None:
        self.data = top / "data"
        self.private = top / "private"
        self.config = top / "fedaemon.toml"
        self.port = free_port()
        self.private.mkdir(mode=0o700)
        self.config.write_text(
            f'[server]\nhostname = "localhost"\ndata_dir = "{self.data}"\n'
            f'[[listener]]\nservice = "submission"\nport = {self.port}\ntls = "implicit"\n'
            "[limits]\ndisk_reserve = 0\n"
        )
        self.config.chmod(0o640)
        os.chown(self.config, 0, NOBODY)

    def give(self) -> None:
        """Make the data directory nobody's."""
        self.data.mkdir(mode=0o700)
        os.chown(self.data, NOBODY, NOBODY)

    def run(self, *arguments: object, code: int = 0) -> None:
        """Run a command as root, in this process."""
        assert main(["-c", str(self.config), *map(str, arguments)]) == code
        assert os.geteuid() == os.getegid() == 0

    def maildir(self) -> Path:
        """Make a Maildir that only root can read, with a message for a file of its own."""
        folder = self.private / "Maildir" / "cur"
        folder.mkdir(mode=0o700, parents=True)
        for number, octets in ((1, 10), (2, INLINE_OCTETS), (3, 3 << 20)):
            body = LARGE * (octets // len(LARGE) + 1)
            (folder / f"{number}.x:2,S").write_bytes(b"Message-ID: <%d@x>\r\n\r\n%b" % (number, body))
        return folder.parent

    def owners(self) -> set[tuple[int, int]]:
        """Return who owns what is in the data directory."""
        made = [self.data, *self.data.rglob("*")]
        return {(status.st_uid, status.st_gid) for path in made if (status := path.lstat())}


@pytest.fixture
def machine(cheap: None) -> Iterator[Machine]:
    # Not pytest's directory, which nobody may enter.
    top = Path(tempfile.mkdtemp(prefix="fedaemon-privileges-"))
    top.chmod(0o755)
    try:
        yield Machine(top)
    finally:
        shutil.rmtree(top)


@pytest.fixture
def filled(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """A machine with an account that has mail."""
    machine.give()
    machine.run("domain", "add", "example.test")
    password = machine.private / "password"
    password.write_text(PASSWORD + "\n")
    with password.open() as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        machine.run("account", "add", ALICE, "--password-stdin")
    machine.run("mailbox", "import", ALICE, "--maildir", machine.maildir())
    return machine


def as_nobody() -> tuple[list[str], dict[str, str]]:
    """Return a command line that runs this Python as nobody, and its environment."""
    python, environment = [sys.executable], dict(os.environ, PYTHONDONTWRITEBYTECODE="1")
    if not all(parent.stat().st_mode & 0o001 for parent in Path(sys.executable).resolve().parents):
        # An interpreter in somebody's home: the system's, with our packages.
        python = ["/usr/bin/python3", "-S"]
        environment["PYTHONPATH"] = os.pathsep.join(path for path in (str(Path.cwd()), *sys.path[1:]) if path)
    rights = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    return [*rights, *python], environment


def ctl_as_nobody(machine: Machine, *arguments: str) -> subprocess.CompletedProcess[str]:
    command, environment = as_nobody()
    return subprocess.run(
        [*command, *CTL[1:], "-c", str(machine.config), *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


@needs_root
def test_what_root_makes_belongs_to_the_owner_of_the_store(filled: Machine) -> None:
    """Also files of large messages, locks and what verify opens; the source was for root alone."""
    filled.run("verify", "--repair")
    filled.run("backup", filled.private / "backup")
    assert list(filled.data.rglob("blobs/*/*"))
    assert (filled.data / "backup.lock").exists()
    assert filled.owners() == {(NOBODY, NOBODY)}


@needs_root
def test_files_that_root_named_are_written_as_root(filled: Machine) -> None:
    """A backup, an export of mail, and the directory, where only root may write."""
    filled.run("backup", filled.private / "backup")
    filled.run("mailbox", "export", ALICE, filled.private / "mail", "--eml")
    filled.run("directory", "export", filled.private / "directory.toml")
    filled.run("directory", "apply", filled.private / "directory.toml")
    exported = sorted((filled.private / "mail").rglob("*.eml"))
    assert [path.stat().st_size > INLINE_OCTETS for path in exported] == [False, True, True]
    for path in (*exported, filled.private / "directory.toml", filled.private / "backup" / "backup.json"):
        assert path.stat().st_uid == 0


@needs_root
def test_a_restored_store_belongs_to_the_owner(filled: Machine) -> None:
    """The backup is one that only root can read; the old store is moved aside."""
    filled.run("backup", filled.private / "backup")
    filled.run("restore", filled.private / "backup", "--force")
    filled.run("verify")
    assert list(filled.data.glob("replaced-*/blobs/*/*"))
    assert filled.owners() == {(NOBODY, NOBODY)}


@needs_root
def test_a_symbolic_link_in_a_backup_is_not_followed(
    filled: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    """Else whoever has the store could have root bring files that only root may read into it."""
    filled.run("backup", filled.private / "backup")
    secret = filled.private / "secret"
    secret.write_text("secret")
    blob = next((filled.private / "backup").rglob("blobs/*/*"))
    blob.unlink()
    blob.symlink_to(secret)
    filled.run("restore", filled.private / "backup", "--force", code=1)
    assert "cannot restore" in capsys.readouterr().err
    assert not any(path.is_file() and path.read_bytes() == b"secret" for path in filled.data.rglob("*"))


@needs_root
def test_root_follows_no_symbolic_link_of_the_stores_owner_to_what_is_not_theirs(
    filled: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    """A lock file that leads to a file of root's is neither made, opened nor given away."""
    target = filled.private / "target"
    (filled.data / "backup.lock").unlink(missing_ok=True)
    (filled.data / "backup.lock").symlink_to(target)
    filled.run("backup", filled.private / "backup", code=1)
    assert "Permission denied" in capsys.readouterr().err
    assert not target.exists()


@needs_root
def test_the_machines_own_service_gets_its_data_directory_made(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the name of the user, as no directory says whose it is; for no settings but those of the system."""
    monkeypatch.setattr(privileges, "SERVICE_USER", "nobody")
    assert owner(machine.data, machine.config) is None
    assert not machine.data.exists()
    monkeypatch.setattr(privileges, "SYSTEM_SETTINGS", machine.config.parent)
    machine.run("domain", "add", "example.test")
    assert machine.data.stat().st_mode & 0o777 == 0o700
    assert {uid for uid, _ in machine.owners()} == {NOBODY}


@needs_root
def test_others_are_told_whose_the_store_is(filled: Machine) -> None:
    """One line, and exit code 1; settings that they may not read: exit code 2."""
    filled.config.chmod(0o644)
    os.chown(filled.data, 0, 0)
    done = ctl_as_nobody(filled, "domain", "list")
    said = f"fedaemonctl: {filled.data} belongs to root, and you have no access to it; run it as root\n"
    assert (done.returncode, done.stderr) == (1, said)
    os.chown(filled.data, 12345, 12345)
    assert "or: sudo -u #12345 fedaemonctl …" in ctl_as_nobody(filled, "domain", "list").stderr
    filled.config.chmod(0o600)
    done = ctl_as_nobody(filled, "domain", "list")
    said = f"{filled.config}: Permission denied; run it as root, or: sudo -u fedaemon fedaemonctl …\n"
    assert (done.returncode, done.stderr) == (2, said)


@needs_root
def test_the_owner_works_as_before(filled: Machine) -> None:
    """After root, in the same store."""
    assert ctl_as_nobody(filled, "domain", "list").stdout.splitlines()[1].startswith("example.test")
    assert ctl_as_nobody(filled, "verify").returncode == 0


@needs_root
def test_the_daemon_serves_what_root_made_and_root_works_beside_it(
    filled: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It runs as nobody; large messages go both ways."""
    filled.run("backup", filled.private / "backup")
    command, environment = as_nobody()
    monkeypatch.setattr(daemon, "TWISTD", [*command, daemon.TWISTD[1]])
    server = Daemon(filled.config.parent, filled.config.read_text())
    server.environment = environment
    umask = os.umask(0)  # nobody writes to the socket that says when it is ready
    try:
        server.start()
        os.umask(umask)
        message = b"From: %b\r\nMessage-ID: <new@x>\r\n\r\n%b" % (ALICE.encode(), LARGE * 3000)
        context = client_context(filled.data / "tls" / "ca.pem")
        with smtplib.SMTP_SSL("localhost", filled.port, context=context, timeout=PATIENCE_S) as client:
            client.login(ALICE, PASSWORD)
            client.sendmail(ALICE, [ALICE], message)
        (filled.private / "Maildir" / "cur" / "4.x:2,").write_bytes(
            b"Message-ID: <4@x>\r\n\r\n" + LARGE * 3000
        )
        filled.run("mailbox", "import", ALICE, "--maildir", filled.private / "Maildir", "--into", "Old")
        wait_until(lambda: exported(filled, "INBOX") == 4, "the message in INBOX")
        assert exported(filled, "Old") == 4
        filled.run("verify")
        assert server.stop() == 0
    finally:
        os.umask(umask)
        if server.process is not None and server.process.poll() is None:
            server.kill()
    assert filled.owners() == {(NOBODY, NOBODY)}


@needs_root
def test_root_starts_no_daemon_on_a_directory_of_another_user(machine: Machine) -> None:
    """Its files would be in the way of the one that should run there."""
    machine.give()
    server = Daemon(machine.config.parent, machine.config.read_text())
    with pytest.raises(
        AssertionError, match=f"belongs to user {NOBODY}; run fedaemon as that user, not as root"
    ):
        server.start()
    assert list(machine.data.iterdir()) == []


def exported(machine: Machine, mailbox: str) -> int:
    """Return how many messages an export of *mailbox* gives."""
    target = Path(tempfile.mkdtemp(dir=machine.private))
    machine.run("mailbox", "export", ALICE, target, "--eml", "--mailbox", mailbox)
    return len(list(target.rglob("*.eml")))


def test_nobodys_ids_change_unless_root_runs_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With any other user the store is opened as ever, whoever owns the directory."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    for name in ("seteuid", "setegid", "setgroups", "initgroups"):
        monkeypatch.setattr(os, name, lambda *_: pytest.fail("ids were changed"))
    (tmp_path / "fedaemon.toml").write_text('[server]\nhostname = "localhost"\ndata_dir = "data"\n')
    context = Context(tmp_path / "fedaemon.toml")
    assert context.engine.layout.database.exists()
    with context.as_caller():
        assert list(context.privileges.each_as_caller("ab")) == ["a", "b"]
    context.close()


@needs_root
def test_rights_come_back_for_named_files_whatever_happens(tmp_path: Path) -> None:
    """Also when the work on them fails, and inside each other; groups come and go, too."""
    found = Privileges()
    before = os.getgroups()
    found.become(User(12345, 12346, ""))
    assert (os.geteuid(), os.getegid(), os.getgroups()) == (12345, 12346, [12346])
    with pytest.raises(StoreError), found.as_caller(), found.as_caller():
        assert (os.geteuid(), os.getegid(), os.getgroups()) == (0, 0, before)
        raise StoreError("no")
    assert os.geteuid() == 12345
    found.leave()
    assert (os.geteuid(), os.getegid(), os.getgroups()) == (0, 0, before)
