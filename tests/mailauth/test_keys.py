"""The records of keys, their life, and the key files of other programs."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_public_key,
)
from hypothesis import given
from hypothesis import strategies as st

from fedaemon.accounts.directory import add_domain
from fedaemon.accounts.records import Domain
from fedaemon.errors import Refused
from fedaemon.mailauth import keys
from fedaemon.mailauth.keys import MAX_KEYS, DkimKey
from fedaemon.mailauth.private_key import MAX_FILE_OCTETS, Algorithm, BadKey, from_der, from_file, new_key
from fedaemon.store.errors import NewerFormat
from tests.fakes import MemoryEngine
from tests.mailauth.messages import CREATED_MS, DOMAIN, a_key

NONE = NoEncryption()


@pytest.fixture
def engine() -> MemoryEngine:
    engine = MemoryEngine()
    engine.transact(lambda transaction: add_domain(transaction, Domain(DOMAIN)))
    return engine


def add(engine: MemoryEngine, selector: str, algorithm: Algorithm = "rsa", domain: str = DOMAIN) -> DkimKey:
    key = keys.make(domain, selector, a_key(algorithm), CREATED_MS)
    engine.transact(lambda transaction: keys.add(transaction, key))
    return key


def activate(engine: MemoryEngine, selector: str, now_ms: int = CREATED_MS) -> list[str]:
    _, retired = engine.transact(lambda transaction: keys.activate(transaction, DOMAIN, selector, now_ms))
    return [key.selector for key in retired]


def remove(engine: MemoryEngine, selector: str, now_ms: int, *, force: bool = False) -> DkimKey:
    return engine.transact(
        lambda transaction: keys.remove(transaction, DOMAIN, selector, now_ms, force=force)
    )


def states(engine: MemoryEngine) -> dict[str, str]:
    return engine.view(lambda snapshot: {key.selector: key.state for key in keys.keys(snapshot, DOMAIN)})


@pytest.mark.parametrize("algorithm", ["rsa", "ed25519"])
def test_a_record_gives_the_key_back(algorithm: Algorithm) -> None:
    """The key read from the store signs as the one that was made."""
    key = keys.make(DOMAIN, "s", a_key(algorithm), CREATED_MS)
    assert keys.decode(keys.encode(key)) == key
    assert from_der(key.private).sign(b"d" * 32) == a_key(algorithm).sign(b"d" * 32)
    with pytest.raises(NewerFormat):
        keys.decode(b"\x02" + keys.encode(key)[1:])


def test_the_life_of_a_key(engine: MemoryEngine) -> None:
    """Pending, active, retired by the next of its algorithm, removed when its signatures have run out."""
    add(engine, "a")
    add(engine, "e", "ed25519")
    assert activate(engine, "a") == activate(engine, "e") == []
    add(engine, "b")
    assert states(engine) == {"a": "active", "b": "pending", "e": "active"}
    later_ms = CREATED_MS + 86_400_000
    assert activate(engine, "b", later_ms) == ["a"]
    assert states(engine) == {"a": "retired", "b": "active", "e": "active"}
    old = engine.view(lambda snapshot: keys.need_key(snapshot, DOMAIN, "a"))
    assert old.until_ms == later_ms + 7 * 86_400_000
    with pytest.raises(Refused, match=r"on its way until 2025-12-02"):
        remove(engine, "a", old.until_ms - 1)
    assert remove(engine, "a", old.until_ms).selector == "a"
    assert states(engine) == {"b": "active", "e": "active"}


def test_a_rotation_can_be_undone(engine: MemoryEngine) -> None:
    """The retired key signs again, and the new one is retired."""
    add(engine, "a")
    activate(engine, "a")
    add(engine, "b")
    activate(engine, "b")
    assert activate(engine, "a") == ["b"]
    key = engine.view(lambda snapshot: keys.need_key(snapshot, DOMAIN, "a"))
    assert (key.state, key.until_ms, key.retired_ms) == ("active", 0, 0)


def test_refusals(engine: MemoryEngine) -> None:
    """Each says what to do, and changes nothing."""
    add(engine, "a")
    activate(engine, "a")
    before = dict(engine.entries)
    cases: list[tuple[str, Any]] = [
        ("already", lambda: add(engine, "a")),
        ("domain add", lambda: add(engine, "a", domain="other.example")),
        ("active already", lambda: activate(engine, "a")),
        ("dkim list", lambda: activate(engine, "none")),
        ("dkim list", lambda: remove(engine, "none", CREATED_MS, force=True)),
        ("signs its mail", lambda: remove(engine, "a", CREATED_MS)),
    ]
    for text, case in cases:
        with pytest.raises(Refused, match=text):
            case()
    assert engine.entries == before
    remove(engine, "a", CREATED_MS, force=True)
    assert states(engine) == {}


def test_a_domain_has_so_many_keys(engine: MemoryEngine) -> None:
    """All are read for each message, so there is an end to them."""
    for number in range(MAX_KEYS):
        add(engine, f"s{number}")
    with pytest.raises(Refused, match="remove old ones"):
        add(engine, "more")


@pytest.mark.parametrize(
    "selector", ["", "-a", "a-", "a b", "a..b", ".", "ä", "A", "a_b", "a" * 64, "a." * 125 + "a"]
)
def test_selectors_that_are_none(selector: str) -> None:
    """What cannot be a part of a DNS name. Spec: RFC 6376 3.1"""
    with pytest.raises(Refused, match="no selector"):
        keys.make(DOMAIN, selector, a_key("rsa"), 0)
    assert keys.make(DOMAIN, "a-1.b.2025", a_key("rsa"), 0).selector == "a-1.b.2025"


def test_selectors_by_the_date(engine: MemoryEngine) -> None:
    """The month and the algorithm; a number when that is taken."""

    def free(algorithm: Algorithm) -> str:
        return engine.view(lambda snapshot: keys.free_selector(snapshot, DOMAIN, algorithm, CREATED_MS))

    assert (free("rsa"), free("ed25519")) == ("fe202511r", "fe202511e")
    add(engine, "fe202511r")
    add(engine, "fe202511r2")
    assert (free("rsa"), free("ed25519")) == ("fe202511r3", "fe202511e")


# -- Key files
# ------------------------------------------------------------------------------------------------------

RSA = rsa.generate_private_key(65_537, 1024)
ED25519 = ed25519.Ed25519PrivateKey.generate()
SEED = ED25519.private_bytes(Encoding.Raw, PrivateFormat.Raw, NONE)


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        (RSA.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NONE), "rsa"),
        (RSA.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NONE), "rsa"),
        (b"# a comment\r\n" + RSA.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NONE), "rsa"),
        (RSA.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NONE), "rsa"),
        (ED25519.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NONE), "ed25519"),
        (ED25519.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NONE), "ed25519"),
        (base64.b64encode(SEED) + b"\n", "ed25519"),
        (base64.b64encode(SEED + b"p" * 32), "ed25519"),
    ],
    # The keys are new in each process, and names of tests must not be.
    ids=[
        "rsa pkcs8",
        "rsa traditional",
        "rsa with a comment",
        "rsa der",
        "ed25519 pkcs8",
        "ed25519 der",
        "ed25519 seed",
        "ed25519 seed and public key",
    ],
)
def test_key_files(file: bytes, expected: Algorithm) -> None:
    """What openssl, opendkim, dkimpy and rspamd write."""
    key = from_file(file)
    assert key.algorithm == expected
    if expected == "ed25519":
        ED25519.public_key().verify(key.sign(b"d" * 32), b"d" * 32)
    else:
        assert key.bits == 1024
        public: Any = load_der_public_key(key.public())
        public.verify(key.sign(hashlib.sha256(b"text").digest()), b"text", padding.PKCS1v15(), SHA256())


@pytest.mark.parametrize(
    ("file", "problem"),
    [
        (b"", "not an unencrypted"),
        (b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "no usable"),
        (RSA.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x")), "encrypted"),
        (
            ec.generate_private_key(ec.SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NONE),
            "only",
        ),
        (b"A" * (MAX_FILE_OCTETS + 1), "at most"),
        (base64.b64encode(b"short"), "not an unencrypted"),
    ],
)
def test_files_that_are_no_key(file: bytes, problem: str) -> None:
    """Each with a reason."""
    with pytest.raises(BadKey, match=problem):
        from_file(file)


def test_keys_that_verifiers_refuse() -> None:
    """An RSA key that is too short or too long. Spec: RFC 8301 3.2"""
    # Such a key is no longer made by every OpenSSL: its length is all that matters here.
    long = rsa.generate_private_key(65_537, 4104).private_bytes(Encoding.DER, PrivateFormat.PKCS8, NONE)
    with pytest.raises(BadKey, match="4104 bits"):
        from_der(long)
    assert new_key("rsa", 2048).bits == 2048


@given(st.binary(max_size=200))
def test_garbage_is_only_ever_refused(octets: bytes) -> None:
    """No other error escapes."""
    with pytest.raises(BadKey):
        from_file(b"\x30" + octets)


def test_a_private_key_is_not_shown() -> None:
    """Neither the key nor its record has it in its repr."""
    record = keys.make(DOMAIN, "s", a_key("ed25519"), 0)
    for text in (repr(record), repr(a_key("ed25519"))):
        assert "private" not in text and "object at" not in text
