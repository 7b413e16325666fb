"""``fedaemonctl setup`` as somebody at a terminal meets it: on a real one."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import subprocess
import termios
import time
from pathlib import Path

import pytest

from fedaemon.config import read_settings
from tests.ctl.setup_server import ALICE, DOMAIN, NAME, Server, make_pair
from tests.daemon import CTL, PATIENCE_S

PASSWORD = "correct horse battery staple"


class Terminal:
    """fedaemonctl on a terminal of its own; ``shown`` is what stands on it."""

    def __init__(self, *arguments: object) -> None:
        self._ours, theirs = pty.openpty()
        self.shown = ""
        self._seen = 0
        self.process = subprocess.Popen(
            [*CTL, *map(str, arguments)],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
            env={**os.environ, "SUDO_USER": "carol"},
        )
        os.close(theirs)

    def answer(self, question: str, text: str) -> str:
        """Wait for *question*, type *text* and Return; give what was shown before and with the question."""
        before = self._until(question)
        os.write(self._ours, f"{text}\n".encode())
        return before

    def leave(self, question: str) -> None:
        """Wait for *question* and press Ctrl-D."""
        self._until(question)
        os.write(self._ours, b"\x04")

    def end(self) -> str:
        """Return the rest, and see to it that all went well."""
        rest = self._until(None)
        assert self.process.wait(PATIENCE_S) == 0, self.shown
        return rest

    def _until(self, text: str | None) -> str:
        end = time.monotonic() + PATIENCE_S
        while text is None or text not in self.shown[self._seen :]:
            ready, _, _ = select.select([self._ours], [], [], max(0.0, end - time.monotonic()))
            assert ready, f"waited for {text!r} in vain:\n{self.shown}"
            try:
                data = os.read(self._ours, 65_536)
            except OSError:  # the other side is closed
                data = b""
            if not data:
                assert text is None, f"ended before {text!r}:\n{self.shown}"
                break
            self.shown += data.decode().replace("\r\n", "\n")
        position = len(self.shown) if text is None else self.shown.index(text, self._seen) + len(text)
        found, self._seen = self.shown[self._seen : position], position
        return found

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait(PATIENCE_S)
        os.close(self._ours)


def test_each_question_has_a_reason_and_an_answer_to_begin_with(server: Server, tmp_path: Path) -> None:
    """A whole run: wrong answers are asked again, a password is typed twice and never shown."""
    pair = make_pair(tmp_path / "new")
    with_public_address(server)
    terminal = Terminal("-c", server.config, "setup")
    try:
        assert "Return takes the answer in brackets" in terminal.answer("Host name", "mail")
        assert "that is no complete name" in terminal.answer("Host name", NAME)
        assert "behind the @" in terminal.answer("[example.org]: ", "")
        assert "+ domain: example.org" in terminal.answer("[carol@example.org]: ", "alice")
        assert "a good one is made" in terminal.answer("Password: ", PASSWORD)
        terminal.answer("The same again: ", "something else")
        assert "they are not the same" in terminal.answer("Password: ", PASSWORD)
        terminal.answer("The same again: ", PASSWORD)
        assert "mail programs warn of it" in terminal.answer(
            "Certificate [self-made]: ", "/nowhere/chain.pem"
        )
        terminal.answer("Key [/nowhere/privkey.pem]: ", "")
        assert "/nowhere/chain.pem" in terminal.answer("Certificate [self-made]: ", str(pair.certificate))
        terminal.answer(f"Key [{pair.private_key}]: ", "")
        assert "MTA-STS" in terminal.answer("Serve HTTP [", "perhaps")
        assert "please answer y or n" in terminal.answer("Serve HTTP [", "n")
        rest = terminal.end()
    finally:
        terminal.close()
    assert PASSWORD not in terminal.shown
    assert f"{DOMAIN}. IN MX 10 {NAME}." in rest
    assert f"doctor {DOMAIN}" in rest
    settings = read_settings(server.config)
    assert (settings.server.hostname, settings.server.postmaster) == (NAME, ALICE)
    assert settings.tls is not None
    assert [each["name"] for each in server.json("password", "list", ALICE)] == ["main"]


def test_return_alone_keeps_everything(server: Server) -> None:
    """What is there is the answer to begin with, and the password is not asked for again."""
    server.set_up("--http", "--certificate", make_pair(server.top / "new").certificate)
    with_public_address(server)
    before = server.config.read_bytes()
    terminal = Terminal("-c", server.config, "setup")
    try:
        for question in (f"[{NAME}]: ", f"[{DOMAIN}]: ", f"[{ALICE}]: ", "[as it is]: ", "[Y/n]: "):
            terminal.answer(question, "")
        rest = terminal.end()
    finally:
        terminal.close()
    assert "Password" not in terminal.shown
    assert "+ " not in rest
    assert server.config.read_bytes() == before


def with_public_address(server: Server) -> None:
    """Have a listener say which it is, so that no machine has to ask."""
    text = server.config.read_text()
    server.config.write_text(text.replace('#address = "::"', 'address = "198.41.0.4"'))


def test_whoever_leaves_is_told_that_it_goes_on_from_there(server: Server) -> None:
    """Ctrl-D; the host name is set, and is the answer to begin with the next time."""
    terminal = Terminal("-c", server.config, "setup")
    try:
        terminal.answer("Host name", NAME)
        terminal.leave("[example.org]: ")
        with pytest.raises(AssertionError, match="fedaemonctl setup goes on from there"):
            terminal.end()
    finally:
        terminal.close()
    assert terminal.process.returncode == 1
    assert read_settings(server.config).server.hostname == NAME


def test_a_password_is_made_for_whoever_wants_none(server: Server) -> None:
    server.set_up()
    terminal = Terminal("-c", server.config, "setup", "account", "bob@example.org")
    try:
        terminal.answer("Password: ", "")
        assert "Its password is: " in terminal.end()
    finally:
        terminal.close()


def test_whoever_leaves_at_the_password_adds_no_account(server: Server) -> None:
    """Ctrl-D there is no password either."""
    server.set_up()
    terminal = Terminal("-c", server.config, "setup", "account", "bob@example.org")
    try:
        terminal.leave("Password: ")
        with pytest.raises(AssertionError, match="stopped"):
            terminal.end()
    finally:
        terminal.close()
    assert terminal.process.returncode == 1
    assert [each["address"] for each in server.json("account", "list")] == [ALICE]
