"""Daemons and peers for end-to-end tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.peers import DOMAIN, Mx, World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A fedaemon that asks a DNS server of the test's and delivers to two MX hosts of the domain remote.test."""
    made = World(tmp_path)
    try:
        yield made
    finally:
        made.close()


__all__ = ["DOMAIN", "Mx", "world"]
