"""What the tests of signatures share: keys, messages, a signing domain, and dkimpy as the verifier."""

from __future__ import annotations

import base64
from functools import lru_cache
from types import SimpleNamespace
from typing import Any

import dkim
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from fedaemon.accounts.directory import add_domain, is_hosted
from fedaemon.accounts.records import Domain
from fedaemon.mailauth import dns_record, keys
from fedaemon.mailauth.keys import DkimKey
from fedaemon.mailauth.private_key import Algorithm, PrivateKey, new_key
from tests.fakes import MemoryEngine

DOMAIN = "example.org"
CREATED_MS = 1_764_000_000_000

HEADER = (
    b"Received: from client by mail.example.org; Mon, 24 Nov 2025 16:00:00 +0000\r\n"
    b"From: Ann <ann@example.org>\r\n"
    b"To: bob@example.net\r\n"
    b"Subject: a  subject\r\n that is folded\r\n"
    b"Date: Mon, 24 Nov 2025 16:00:00 +0000\r\n"
    b"Message-ID: <1@example.org>\r\n"
)
MESSAGE = HEADER + b"\r\nHello,\r\n\r\n  how are\tyou?  \r\n\r\n\r\n"


@lru_cache
def a_key(algorithm: Algorithm, number: int = 0) -> PrivateKey:
    """Return the same key for the same arguments: RSA keys take a while to make."""
    return new_key(algorithm)


def stored(
    engine: MemoryEngine, selector: str, algorithm: Algorithm, domain: str = DOMAIN, number: int = 0
) -> DkimKey:
    """Put an active key in the store, and its domain."""
    key = keys.make(domain, selector, a_key(algorithm, number), CREATED_MS)

    def change(transaction: Any) -> None:
        if not is_hosted(transaction, domain):
            add_domain(transaction, Domain(domain))
        keys.add(transaction, key)
        keys.activate(transaction, domain, selector, CREATED_MS)

    engine.transact(change)
    return key


class Zone:
    """The DNS records that verifiers see."""

    def __init__(self, *published: DkimKey) -> None:
        self.texts = {f"{dns_record.name(key)}.": dns_record.value(key) for key in published}

    def __call__(self, name: bytes, timeout: int = 5) -> bytes | None:
        text = self.texts.get(name.decode())
        return None if text is None else text.encode()


def verdicts(message: bytes, zone: Zone) -> list[bool]:
    """Return what dkimpy says of each signature, from the top."""
    count = message.lower().split(b"\r\n\r\n")[0].count(b"dkim-signature:")
    found = []
    for index in range(count):
        try:
            found.append(bool(dkim.DKIM(message).verify(idx=index, dnsfunc=zone)))
        except dkim.ValidationError:
            found.append(False)
    return found


class _VerifyKey:
    """What dkimpy asks of PyNaCl, which is not installed, done by ``cryptography``."""

    def __init__(self, text: bytes, encoder: object) -> None:
        self._key = Ed25519PublicKey.from_public_bytes(base64.b64decode(text))

    def verify(self, digest: bytes, signature: bytes) -> None:
        try:
            self._key.verify(signature, digest)
        except InvalidSignature:
            raise BadSignature from None


class BadSignature(Exception):
    """Stands for PyNaCl's error of that name."""


NACL = SimpleNamespace(
    signing=SimpleNamespace(VerifyKey=_VerifyKey),
    encoding=SimpleNamespace(Base64Encoder=None),
    exceptions=SimpleNamespace(BadSignatureError=BadSignature, ValueError=ValueError),
)
