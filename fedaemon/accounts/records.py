"""What the store holds about domains, accounts, their passwords, and aliases.

Values only: looking them up and changing them is ``directory.py``, making and checking passwords
``passwords.py``.

Records written before a field existed are read with its default.

Standards: RFC 3461 4.1 (what *success_notices* asks for), RFC 4865, RFC 2852, RFC 6710 (``RIGHTS``).
Invariants: no record holds anything from which a password can be read back; every address is in canonical
form (``Address.key``), every domain in A-labels and lower case.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from fedaemon.store import records

SCOPES = frozenset({"smtp", "imap", "pop3"})
"""The services that a password can be for."""

MAIN = ""
"""The name of an account's main password; app passwords have names of their own."""

RIGHTS = frozenset({"future_release", "deliver_by", "priority"})
"""What a submitting client may ask for when its account is allowed: to be held until later, to be delivered
by a time, to go before other mail."""

DEFAULT_RIGHTS = frozenset({"future_release", "deliver_by"})
"""Going before other mail is at the others' cost: it is granted to an account, never by default."""

MIN_LIFETIME_S, MAX_LIFETIME_S = 60, 30 * 86_400
"""A minute is one attempt; the longest is what the setting for all domains can have."""
MAX_RETENTION_S = 3650 * 86_400
"""As the setting for all domains."""
MIN_QUOTA_OCTETS, MAX_QUOTA_OCTETS = 2**20, 2**50
"""Bounds, so that "5" for "5GB" does not go unnoticed."""
MAX_QUOTA_MESSAGES = 2**32 - 1
"""What a mailbox can hold."""

CACHED_RECORDS = 2048
"""Decoded records kept per kind: a session reads its account several times for each message."""


@dataclass(frozen=True, slots=True)
class Domain:
    """A domain whose mail this server takes.

    *daily_limit*: messages that its accounts together may send a day; 0 is no limit. *lifetime_s*: how long
    delivery of its accounts' mail is tried. *retention_s*: how long the content of their finished messages is
    kept. *quota_octets* and *quota_messages*: what the mailboxes of its accounts together may hold; 0 is no
    limit. None is the settings' default for each, no limit where they have none.
    """

    name: str
    disabled: bool = False
    daily_limit: int | None = None
    lifetime_s: int | None = None
    retention_s: int | None = None
    quota_octets: int | None = None
    quota_messages: int | None = None


@dataclass(frozen=True, slots=True)
class Password:
    """One password of an account.

    *hash* is the scrypt hash as ``passwords.hash_password`` writes it; *stored_key* and *server_key* are
    the keys of SCRAM-SHA-256 made with the account's salt and iteration count.
    """

    name: str
    scopes: frozenset[str]
    hash: str = field(repr=False)
    stored_key: bytes = field(repr=False)
    server_key: bytes = field(repr=False)
    created_ms: int = 0


@dataclass(frozen=True, slots=True)
class Account:
    """Somebody, or a program, that logs in with the full address and has a mailbox.

    *identities* are the further addresses it may send as, "@domain" for all of a domain. *daily_limit* is
    as in ``Domain``. All its passwords share *scram_salt* and *scram_iterations*, because SCRAM names them
    before it is known which password the client has. *success_notices*: it is told of each delivery, also
    where it did not ask (RFC 3461). *may* are those of ``RIGHTS`` that it has. *quota_octets* and
    *quota_messages*, as in ``Domain``, are for its own mailboxes. *logged_in_with* is not stored: a login sets it
    to the hash of the password used, so that a session ends its rights with its password
    (``directory.current``).
    """

    address: str
    disabled: bool = False
    daily_limit: int | None = None
    identities: tuple[str, ...] = ()
    scram_salt: bytes = b""
    scram_iterations: int = 0
    passwords: tuple[Password, ...] = ()
    success_notices: bool = False
    may: frozenset[str] = DEFAULT_RIGHTS
    quota_octets: int | None = None
    quota_messages: int | None = None
    logged_in_with: str = field(default="", repr=False, compare=False)

    @property
    def domain(self) -> str:
        """The domain of its address."""
        return self.address.rpartition("@")[2]


@dataclass(frozen=True, slots=True)
class Alias:
    """An address whose mail goes to others; "@domain" is for all that nothing else in the domain takes."""

    address: str
    targets: tuple[str, ...]

    @property
    def domain(self) -> str:
        """The domain of its address."""
        return self.address.rpartition("@")[2]


def encode_domain(domain: Domain) -> bytes:
    """Return the record of *domain*."""
    return records.encode(
        {
            "name": domain.name,
            "disabled": domain.disabled,
            "daily_limit": domain.daily_limit,
            "lifetime_s": domain.lifetime_s,
            "retention_s": domain.retention_s,
            "quota_octets": domain.quota_octets,
            "quota_messages": domain.quota_messages,
        }
    )


@lru_cache(CACHED_RECORDS)
def decode_domain(value: bytes) -> Domain:
    """Return the domain of a record; raises ``StoreError`` for one of an unknown version."""
    record = records.decode(value)
    return Domain(
        record["name"],
        record["disabled"],
        record["daily_limit"],
        record.get("lifetime_s"),
        record.get("retention_s"),
        record.get("quota_octets"),
        record.get("quota_messages"),
    )


def encode_account(account: Account) -> bytes:
    """Return the record of *account*."""
    return records.encode(
        {
            "address": account.address,
            "disabled": account.disabled,
            "daily_limit": account.daily_limit,
            "identities": list(account.identities),
            "scram_salt": _text(account.scram_salt),
            "scram_iterations": account.scram_iterations,
            "success_notices": account.success_notices,
            "may": sorted(account.may),
            "quota_octets": account.quota_octets,
            "quota_messages": account.quota_messages,
            "passwords": [
                {
                    "name": password.name,
                    "scopes": sorted(password.scopes),
                    "hash": password.hash,
                    "stored_key": _text(password.stored_key),
                    "server_key": _text(password.server_key),
                    "created_ms": password.created_ms,
                }
                for password in account.passwords
            ],
        }
    )


@lru_cache(CACHED_RECORDS)
def decode_account(value: bytes) -> Account:
    """Return the account of a record; raises ``StoreError`` for one of an unknown version."""
    record = records.decode(value)
    return Account(
        address=record["address"],
        disabled=record["disabled"],
        daily_limit=record["daily_limit"],
        identities=tuple(record["identities"]),
        scram_salt=base64.b64decode(record["scram_salt"]),
        scram_iterations=record["scram_iterations"],
        passwords=tuple(_password(entry) for entry in record["passwords"]),
        success_notices=record.get("success_notices", False),
        may=frozenset(record["may"]) if "may" in record else DEFAULT_RIGHTS,
        quota_octets=record.get("quota_octets"),
        quota_messages=record.get("quota_messages"),
    )


def encode_alias(alias: Alias) -> bytes:
    """Return the record of *alias*."""
    return records.encode({"address": alias.address, "targets": list(alias.targets)})


@lru_cache(CACHED_RECORDS)
def decode_alias(value: bytes) -> Alias:
    """Return the alias of a record; raises ``StoreError`` for one of an unknown version."""
    record = records.decode(value)
    return Alias(record["address"], tuple(record["targets"]))


def _password(entry: Mapping[str, Any]) -> Password:
    return Password(
        name=entry["name"],
        scopes=frozenset(entry["scopes"]),
        hash=entry["hash"],
        stored_key=base64.b64decode(entry["stored_key"]),
        server_key=base64.b64decode(entry["server_key"]),
        created_ms=entry["created_ms"],
    )


def _text(octets: bytes) -> str:
    return base64.b64encode(octets).decode("ascii")
