"""What the tests of commands share: a console, and hashes that cost little."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from fedaemon.accounts import passwords
from fedaemon.ctl.doctor.machine import Machine
from fedaemon.ctl.setup import certificate, daemon
from tests.accounts.world import CHEAP
from tests.ctl.console import Console
from tests.ctl.setup_server import Server


@pytest.fixture
def console() -> Console:
    """A console on an empty directory."""
    return Console()


@pytest.fixture
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Passwords made by commands cost next to nothing."""
    for name in ("new_account", "new_password"):
        function = getattr(passwords, name)
        monkeypatch.setitem(function.__kwdefaults__, "cost", CHEAP)


@pytest.fixture
def server(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], cheap: None, monkeypatch: pytest.MonkeyPatch
) -> Server:
    """A server to be set up, on a machine that has neither systemd nor certbot, and nobody at the terminal."""
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    monkeypatch.setattr(certificate, "LETSENCRYPT", tmp_path / "letsencrypt")
    monkeypatch.setattr(daemon, "SYSTEMD", tmp_path / "no-systemd")
    monkeypatch.setattr(Machine, "outgoing", lambda _: ("10.0.0.2",))
    monkeypatch.delenv("RENEWED_LINEAGE", raising=False)
    return Server(tmp_path, capsys)
