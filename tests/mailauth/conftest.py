"""Every test of this folder can have Ed25519 signatures verified."""

from __future__ import annotations

import dkim
import pytest

from tests.mailauth.messages import NACL


@pytest.fixture(autouse=True)
def ed25519_verifier(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets dkimpy verify Ed25519 signatures without PyNaCl."""
    monkeypatch.setattr(dkim, "nacl", NACL, raising=False)
