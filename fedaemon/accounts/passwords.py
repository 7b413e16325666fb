"""Passwords: making them, and what is stored instead of them.

Each password is stored as a scrypt hash with a salt of its own, and as the two keys that SCRAM-SHA-256
needs. Everything here computes and blocks (tens of milliseconds for a hash): call it in a thread.

A check costs one PBKDF2 and one scrypt whatever the account looks like: PBKDF2 with the account's SCRAM
salt finds the candidate among its passwords, and the candidate's scrypt hash decides. An account with five
passwords, one with none and a stand-in for an unknown user cost the same, so that time tells nothing about
which accounts exist.

Standards: RFC 7914 (scrypt), RFC 5802 3 and RFC 7677 (SCRAM keys), RFC 4013 and RFC 3454 (SASLprep), RFC
4616 2.
Invariants: digests are compared in constant time; a password is in no exception, log or repr.
Limits: 128 characters, checked before anything is computed.
Known gaps: SASLprep lets code points through that Unicode 3.2 did not know (as in a query), so that a
password may hold an emoji; RFC 4013 2.5 would refuse to store it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import secrets
import stringprep
from dataclasses import dataclass
from unicodedata import ucd_3_2_0

from fedaemon.accounts.records import SCOPES, Account, Password
from fedaemon.errors import Refused

MAX_CHARACTERS = 128
"""Longer ones are no safer, and each character of a hostile one costs work."""

MAX_RAW_CHARACTERS = 512
"""Looked at before space is stripped: the rest of a password that a program padded."""

GENERATED_CHARACTERS = 24
ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"
"""32 characters that are not taken for one another (no l, o, 0, 1): 24 of them are 120 bits."""

SALT_OCTETS = 16
DIGEST_OCTETS = 32


@dataclass(frozen=True, slots=True)
class Cost:
    """How much work a guess is.

    *scrypt_log2_n*: 14 with r=8 and p=1 is 16 MiB and about 50 ms. *iterations*: PBKDF2 rounds of the SCRAM
    keys; RFC 7677 asks for 4096 or more, Cyrus SASL's client refuses more than 65536, and 50,000 take about
    20 ms.
    """

    scrypt_log2_n: int = 14
    iterations: int = 50_000


COST = Cost()
SCRYPT_R = 8
SCRYPT_P = 1
SCRYPT_MAX_MEMORY = 64 * 1024 * 1024
"""Twice what log2 n = 15 needs: OpenSSL's own bound of 32 MiB leaves no room to raise the cost."""


@dataclass(frozen=True, slots=True)
class ScramKeys:
    """StoredKey and ServerKey of RFC 5802 3."""

    stored_key: bytes
    server_key: bytes


def generate_password() -> str:
    """Return a new random password of 24 characters."""
    return "".join(secrets.choice(ALPHABET) for _ in range(GENERATED_CHARACTERS))


def prepare(password: str) -> str:
    """Return *password* as it is hashed: without space around it, and normalised by SASLprep.

    Space around it comes from copying and pasting; RFC 4616 2 asks for SASLprep, so that the same password
    typed on different systems is the same octets.

    :raises Refused: it is empty, too long, or has characters that a password cannot have.
    """
    if len(password) > MAX_RAW_CHARACTERS:
        raise Refused(f"a password has at most {MAX_CHARACTERS} characters")
    password = password.strip()
    if not password:
        raise Refused("the password is empty")
    if len(password) > MAX_CHARACTERS:
        raise Refused(f"a password has at most {MAX_CHARACTERS} characters")
    prepared = password if password.isascii() and password.isprintable() else saslprep(password)
    if not prepared:
        raise Refused("the password is empty")
    return prepared


def saslprep(text: str) -> str:
    """Return *text* normalised; raises ``Refused`` for prohibited characters and mixed directions.

    Spec: RFC 4013 2
    """
    mapped = "".join(
        " " if stringprep.in_table_c12(character) else character
        for character in text
        if not stringprep.in_table_b1(character)
    )
    normal = ucd_3_2_0.normalize("NFKC", mapped)
    if any(_prohibited(character) for character in normal):
        raise Refused("the password has a control or other character that a password cannot have (RFC 4013)")
    if any(stringprep.in_table_d1(character) for character in normal):
        # RFC 3454 6: text that is written from right to left is so at both ends and has nothing of the
        # other kind.
        ends = stringprep.in_table_d1(normal[0]) and stringprep.in_table_d1(normal[-1])
        if not ends or any(stringprep.in_table_d2(character) for character in normal):
            raise Refused("the password mixes characters written from right to left with others (RFC 3454)")
    return normal


_PROHIBITED = (
    stringprep.in_table_c12,
    stringprep.in_table_c21_c22,
    stringprep.in_table_c3,
    stringprep.in_table_c4,
    stringprep.in_table_c5,
    stringprep.in_table_c6,
    stringprep.in_table_c7,
    stringprep.in_table_c8,
    stringprep.in_table_c9,
)


def _prohibited(character: str) -> bool:
    return any(table(character) for table in _PROHIBITED)


def scram_keys(prepared: str, salt: bytes, iterations: int) -> ScramKeys:
    """Return the SCRAM-SHA-256 keys of a prepared password. Spec: RFC 5802 3, RFC 7677 3."""
    salted = hashlib.pbkdf2_hmac("sha256", prepared.encode(), salt, iterations)
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    return ScramKeys(hashlib.sha256(client_key).digest(), hmac.digest(salted, b"Server Key", "sha256"))


def hash_password(prepared: str, salt: bytes, cost: Cost = COST) -> str:
    """Return the scrypt hash with its parameters: "$scrypt$ln=14,r=8,p=1$SALT$DIGEST" in base64."""
    digest = _scrypt(prepared, salt, cost.scrypt_log2_n, SCRYPT_R, SCRYPT_P)
    return f"$scrypt$ln={cost.scrypt_log2_n},r={SCRYPT_R},p={SCRYPT_P}${_text(salt)}${_text(digest)}"


def matches(prepared: str, hashed: str) -> bool:
    """True when *hashed*, made by ``hash_password``, is of this prepared password."""
    _, _, parameters, salt, digest = hashed.split("$")
    numbers = dict(part.split("=") for part in parameters.split(","))
    found = _scrypt(
        prepared, base64.b64decode(salt), int(numbers["ln"]), int(numbers["r"]), int(numbers["p"])
    )
    return hmac.compare_digest(found, base64.b64decode(digest))


def _scrypt(prepared: str, salt: bytes, log2_n: int, r: int, p: int) -> bytes:
    return hashlib.scrypt(
        prepared.encode(), salt=salt, n=1 << log2_n, r=r, p=p, maxmem=SCRYPT_MAX_MEMORY, dklen=DIGEST_OCTETS
    )


def new_account(address: str, *, cost: Cost = COST) -> Account:
    """Return an account without a password: nobody can log in to it yet.

    :param address: canonical address.
    """
    return Account(address, scram_salt=os.urandom(SALT_OCTETS), scram_iterations=cost.iterations)


def new_password(
    account: Account,
    name: str,
    password: str,
    *,
    scopes: frozenset[str] = SCOPES,
    now_ms: int,
    cost: Cost = COST,
) -> Password:
    """Return what is stored for *password* of *account*.

    :param name: ``MAIN`` or the app password's name.
    :raises Refused: from ``prepare``, or when a client that does not strip space could not log in with it.
    """
    if password != password.strip():
        raise Refused("a password cannot begin or end with a space or a line end")
    prepared = prepare(password)
    keys = scram_keys(prepared, account.scram_salt, account.scram_iterations)
    hashed = hash_password(prepared, os.urandom(SALT_OCTETS), cost)
    return Password(name, scopes, hashed, keys.stored_key, keys.server_key, now_ms)


def find_password(prepared: str, account: Account, stand_in: str) -> str | None:
    """Return the hash of the password of *account* that is *prepared*, or None.

    :param stand_in: a hash that is checked in place of the account's when none can match.
    """
    keys = scram_keys(prepared, account.scram_salt, account.scram_iterations)
    candidate = None
    for password in account.passwords:
        if hmac.compare_digest(password.stored_key, keys.stored_key):
            candidate = password.hash
    good = matches(prepared, stand_in if candidate is None else candidate)
    return candidate if good else None


def _text(octets: bytes) -> str:
    return base64.b64encode(octets).decode("ascii")
