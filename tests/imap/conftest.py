from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.imap.lab import Lab


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    """A store with one account, and clients on it."""
    made = Lab(tmp_path)
    yield made
    made.close()
