"""What the tests of commands share: a console, and hashes that cost little."""

from __future__ import annotations

import pytest

from fedaemon.accounts import passwords
from tests.accounts.world import CHEAP
from tests.ctl.console import Console


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
