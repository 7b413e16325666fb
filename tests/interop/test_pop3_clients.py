"""The programs that people fetch mail with over POP3, each with what local mode tells and nothing else.

What arrives must be octet for octet what is stored, dots at the beginning of lines and a last line without end
included; what a program deletes is gone, and nothing else.
"""

from __future__ import annotations

import mailbox
import poplib
import smtplib
import subprocess
from collections.abc import Callable
from email.message import EmailMessage
from pathlib import Path
from uuid import uuid4

import pytest

from tests.daemon import client_context
from tests.interop.conftest import Local

BOB = "bob@example.test"
Need = Callable[..., None]


@pytest.fixture
def sent(local: Local) -> tuple[str, bytes]:
    """A message in bob's mailbox, and nothing else there; return its subject and octets."""
    with connected(local) as pop3:
        for number in range(1, pop3.stat()[0] + 1):
            pop3.dele(number)
        pop3.quit()
    message = EmailMessage()
    subject = f"pop3 {uuid4().hex}"
    message["From"], message["To"], message["Subject"] = "alice@example.test", BOB, subject
    message.set_content(".\n..\n.hidden\nПривет, мир\nthe last line\n", cte="8bit")
    with smtplib.SMTP_SSL(
        "localhost",
        local.settings["ports"]["submissions"],
        context=client_context(Path(local.settings["ca_file"])),
    ) as client:
        client.login("alice@example.test", local.alice)
        client.send_message(message)
    return subject, local.wait_for(BOB, subject)


class connected:
    """A POP3 session of bob's over TLS."""

    def __init__(self, local: Local, *, starttls: bool = False) -> None:
        context = client_context(Path(local.settings["ca_file"]))
        ports = local.settings["ports"]
        if starttls:
            self._pop3 = poplib.POP3("localhost", ports["pop3"])
            self._pop3.stls(context)
        else:
            self._pop3 = poplib.POP3_SSL("localhost", ports["pop3s"], context=context)
        self._pop3.user(BOB)
        self._pop3.pass_(password(local))

    def __enter__(self) -> poplib.POP3:
        return self._pop3

    def __exit__(self, *_: object) -> None:
        self._pop3.close()


def password(local: Local) -> str:
    found: str = local.settings["accounts"][BOB]["password"]
    return found


def run(*command: object) -> bytes:
    done = subprocess.run([str(part) for part in command], capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr).decode()
    return done.stdout


@pytest.mark.parametrize("starttls", [False, True], ids=["995", "110"])
def test_poplib(local: Local, sent: tuple[str, bytes], starttls: bool) -> None:
    """Python's poplib: octet for octet; what is deleted is gone at QUIT, and not before."""
    with connected(local, starttls=starttls) as pop3:
        assert "STLS" not in pop3.capa()
        count, size = pop3.stat()
        _, lines, _ = pop3.retr(1)
        assert (count, size) == (1, len(sent[1]))
        assert b"\r\n".join(lines) + b"\r\n" == sent[1]
        unique = pop3.uidl(1)
        pop3.dele(1)
        pop3.rset()
        pop3.quit()
    with connected(local, starttls=starttls) as pop3:
        assert pop3.uidl(1) == unique
        pop3.dele(1)
        pop3.quit()
    assert local.inbox(BOB) == []


def test_curl(local: Local, sent: tuple[str, bytes], need: Need) -> None:
    """curl's pop3s: a message is its octets, a listing its size."""
    need("curl")
    ports = local.settings["ports"]
    options = ["--silent", "--show-error", "--cacert", local.settings["ca_file"]]
    login = ["--user", f"{BOB}:{password(local)}"]
    whole = run("curl", *options, *login, f"pop3s://localhost:{ports['pop3s']}/1")
    assert whole == sent[1]
    url = f"pop3://localhost:{ports['pop3']}/"
    listed = run("curl", *options, "--ssl-reqd", *login, url)
    assert listed.split() == [b"1", str(len(sent[1])).encode()]


def test_mpop(local: Local, sent: tuple[str, bytes], need: Need, tmp_path: Path) -> None:
    """mpop fetches once, keeps on the server, and knows at the second run what it has."""
    need("mpop")
    folder = tmp_path / "maildir"
    for name in ("cur", "new", "tmp"):
        (folder / name).mkdir(parents=True)
    settings = tmp_path / "mpoprc"
    settings.write_text(
        f"account default\nhost localhost\nport {local.settings['ports']['pop3s']}\ntls on\ntls_starttls off\n"
        f"tls_trust_file {local.settings['ca_file']}\nuser {BOB}\npasswordeval echo {password(local)}\n"
        f"keep on\nuidls_file {tmp_path / 'uidls'}\ndelivery maildir {folder}\n"
    )
    settings.chmod(0o600)
    for _ in range(2):
        run("mpop", "-C", settings)
    (fetched,) = mailbox.Maildir(str(folder))
    assert fetched["Subject"] == sent[0]
    assert len(local.inbox(BOB)) == 1


def test_fetchmail(local: Local, sent: tuple[str, bytes], need: Need, tmp_path: Path) -> None:
    """fetchmail over STLS: what it has fetched it deletes."""
    need("fetchmail")
    settings = tmp_path / "fetchmailrc"
    settings.write_text(
        f'poll localhost protocol pop3 port {local.settings["ports"]["pop3"]} user "{BOB}" '
        f'password "{password(local)}" sslproto tls1.2+ sslcertck sslcertfile "{local.settings["ca_file"]}" '
        f'mda "tee -a {tmp_path / "fetched"}"\n'
    )
    settings.chmod(0o600)
    run("fetchmail", "-f", settings, "--pidfile", tmp_path / "pid", "-i", tmp_path / "ids")
    assert f"Subject: {sent[0]}".encode() in (tmp_path / "fetched").read_bytes()
    assert local.inbox(BOB) == []


def test_getmail(local: Local, sent: tuple[str, bytes], need: Need, tmp_path: Path) -> None:
    """getmail6 hands a message on, and the second run finds nothing new."""
    need("getmail")
    (tmp_path / "getmailrc").write_text(
        "[retriever]\ntype = SimplePOP3SSLRetriever\nserver = localhost\n"
        f"port = {local.settings['ports']['pop3s']}\nusername = {BOB}\npassword = {password(local)}\n"
        f"ca_certs = {local.settings['ca_file']}\n[destination]\ntype = MDA_external\npath = /usr/bin/tee\n"
        f'arguments = ("-a", "{tmp_path / "fetched"}")\nallow_root_commands = true\n'
        "[options]\nread_all = false\nreceived = false\ndelivered_to = false\n"
    )
    for _ in range(2):
        run("getmail", "--getmaildir", tmp_path, "--rcfile", "getmailrc")
    assert (tmp_path / "fetched").read_bytes().count(f"Subject: {sent[0]}".encode()) == 1
