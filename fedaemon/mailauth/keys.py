"""The DKIM keys of the hosted domains: records, and the life of a key.

A key is *pending* from its making until it is activated, so that its DNS record can be published first;
*active* while it signs; *retired* from when another took its place. A signature outlives its making by the
time that mail may spend in other servers' queues, so the DNS record of a retired key must stay as long
(``until_ms``).

Functions over a snapshot or transaction: the daemon uses them through the store's queues, fedaemonctl
directly.

Standards: RFC 6376 3.1 (selectors), 3.6.2.1 (names in DNS); RFC 7489 3.1.1 (relaxed alignment: a parent
domain's key does for its subdomains).
Invariants: a domain has at most one active key of an algorithm; a key signs only for a domain that is hosted
here, and mail from its subdomains.
Limits: MAX_KEYS for a domain; decoded records are cached, CACHED_RECORDS of them.
Known gaps: removing a domain leaves its keys; they sign nothing, and serve again when it comes back.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final, Literal

from fedaemon.accounts.directory import is_hosted, need_domain
from fedaemon.errors import Refused
from fedaemon.mailauth.private_key import ALGORITHMS, Algorithm, PrivateKey
from fedaemon.store import records
from fedaemon.store.interface import Snapshot, Transaction
from fedaemon.store.spaces import DKIM_KEY

State = Literal["pending", "active", "retired"]

SIGNATURE_LIFETIME_S: Final = 7 * 86_400
"""x= minus t=. The next server may queue a message for five days (RFC 5321 4.5.4.1) before a verifier sees
it; two more cover a weekend's moderation and wrong clocks. Longer serves only those who replay signed
mail."""

MAX_KEYS: Final = 20
"""Of one domain: all are read for each message that is signed."""
CACHED_RECORDS: Final = 2048
MAX_NAME_OCTETS: Final = 253

_SELECTOR = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)(?:\.(?!-)[a-z0-9-]{1,63}(?<!-))*").fullmatch


@dataclass(frozen=True, slots=True)
class DkimKey:
    """A key as the store has it.

    *private* is PKCS #8 in DER, *public* what the p= tag has before base64. Times are 0 for what has not
    happened; *until_ms* says how long the DNS record of a retired key is needed.
    """

    domain: str
    selector: str
    algorithm: Algorithm
    bits: int
    private: bytes = field(repr=False)
    public: bytes = field(repr=False)
    created_ms: int
    state: State = "pending"
    activated_ms: int = 0
    retired_ms: int = 0
    until_ms: int = 0


def make(domain: str, selector: str, private: PrivateKey, now_ms: int) -> DkimKey:
    """Return a pending key; raises Refused for a *selector* that is none."""
    name = f"{selector}._domainkey.{domain}"
    if _SELECTOR(selector) is None or len(name) > MAX_NAME_OCTETS:
        raise Refused(
            f'"{selector[:80]}" is no selector: it has letters, digits and hyphens, 63 in a label, and '
            f"{MAX_NAME_OCTETS} in the whole DNS name"
        )
    return DkimKey(
        domain, selector, private.algorithm, private.bits, private.to_der(), private.public(), now_ms
    )


def encode(key: DkimKey) -> bytes:
    """Return the record of *key*."""
    return records.encode(
        {
            "domain": key.domain,
            "selector": key.selector,
            "algorithm": key.algorithm,
            "bits": key.bits,
            "private": base64.b64encode(key.private).decode(),
            "public": base64.b64encode(key.public).decode(),
            "created_ms": key.created_ms,
            "state": key.state,
            "activated_ms": key.activated_ms,
            "retired_ms": key.retired_ms,
            "until_ms": key.until_ms,
        }
    )


@lru_cache(CACHED_RECORDS)
def decode(value: bytes) -> DkimKey:
    """Return the key of a record; raises StoreError for one of an unknown version."""
    record = records.decode(value)
    for name in ("private", "public"):
        record[name] = base64.b64decode(record[name])
    return DkimKey(**record)


# -- Looking up
# ---------------------------------------------------------------------------------------------------


def keys(snapshot: Snapshot, domain: str | None = None) -> Iterator[DkimKey]:
    """Yield the keys of *domain*, or all, by domain and selector."""
    start = (DKIM_KEY,) if domain is None else (DKIM_KEY, domain)
    return (decode(value) for _, value in snapshot.scan(start))


def need_key(snapshot: Snapshot, domain: str, selector: str) -> DkimKey:
    """Return a key; raises Refused with what to do."""
    value = snapshot.get((DKIM_KEY, domain, selector))
    if value is None:
        raise Refused(f"{domain} has no DKIM key {selector}; see: fedaemonctl dkim list {domain}")
    return decode(value)


def active_keys(snapshot: Snapshot, domain: str) -> tuple[DkimKey, ...]:
    """Return the keys that sign for *domain*, in the order of ALGORITHMS."""
    found = [key for key in keys(snapshot, domain) if key.state == "active"]
    return tuple(sorted(found, key=lambda key: ALGORITHMS.index(key.algorithm)))


def has_keys(snapshot: Snapshot) -> bool:
    """Return True when there is any key at all: without one no message needs to be looked at."""
    return any(True for _ in snapshot.scan((DKIM_KEY,), limit=1))


def signing_keys(snapshot: Snapshot, domain: str) -> tuple[DkimKey, ...]:
    """Return the keys that sign mail from *domain*: its own, else those of its nearest parent here.

    Only hosted domains count, so that no key signs for a domain whose mail is not ours to answer for.

    Spec: RFC 7489 3.1.1
    """
    name = domain
    while name:
        found = active_keys(snapshot, name) if is_hosted(snapshot, name) else ()
        if found:
            return found
        name = name.partition(".")[2]
    return ()


def free_selector(snapshot: Snapshot, domain: str, algorithm: Algorithm, now_ms: int) -> str:
    """Return a selector that *domain* has no key of: "fe202611r" for the RSA key of a November, or with a
    number."""
    month = datetime.fromtimestamp(now_ms / 1000, UTC).strftime("%Y%m")
    base = f"fe{month}{algorithm[0]}"
    taken = {key.selector for key in keys(snapshot, domain)}
    candidates = [base, *(f"{base}{number}" for number in range(2, len(taken) + 3))]
    return next(name for name in candidates if name not in taken)


# -- Changing
# -----------------------------------------------------------------------------------------------------


def add(transaction: Transaction, key: DkimKey) -> None:
    """Record a new key; raises Refused: the domain is not here, the selector is taken, there are too many."""
    need_domain(transaction, key.domain)
    there = [other.selector for other in keys(transaction, key.domain)]
    if key.selector in there:
        raise Refused(f"{key.domain} has a DKIM key {key.selector} already; take another selector")
    if len(there) >= MAX_KEYS:
        raise Refused(
            f"{key.domain} has {len(there)} DKIM keys; remove old ones: fedaemonctl dkim list {key.domain}"
        )
    _put(transaction, key)


def activate(
    transaction: Transaction, domain: str, selector: str, now_ms: int
) -> tuple[DkimKey, list[DkimKey]]:
    """Let a key sign, and retire the one of its algorithm that did; return it, and what was retired.

    A retired key can be activated again, which undoes a rotation.

    :raises Refused: there is no such key, it signs already, or the domain is not here.
    """
    need_domain(transaction, domain)
    key = need_key(transaction, domain, selector)
    if key.state == "active":
        raise Refused(f"the DKIM key {selector} of {domain} is active already")
    until_ms = now_ms + SIGNATURE_LIFETIME_S * 1000
    retired = [
        replace(other, state="retired", retired_ms=now_ms, until_ms=until_ms)
        for other in active_keys(transaction, domain)
        if other.algorithm == key.algorithm
    ]
    key = replace(key, state="active", activated_ms=now_ms, retired_ms=0, until_ms=0)
    for changed in (*retired, key):
        _put(transaction, changed)
    return key, retired


def remove(transaction: Transaction, domain: str, selector: str, now_ms: int, *, force: bool) -> DkimKey:
    """Remove a key and return what it was.

    :param force: also one that is in use or may still be asked for.
    :raises Refused: there is no such key, or it is needed and *force* is False.
    """
    key = need_key(transaction, domain, selector)
    if key.state == "active" and not force:
        raise Refused(
            f"the DKIM key {selector} of {domain} signs its mail; activate another one first (fedaemonctl dkim "
            f"rotate {domain}), or use --force to send unsigned mail"
        )
    if key.until_ms > now_ms and not force:
        until = datetime.fromtimestamp(key.until_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")
        raise Refused(
            f"mail signed with the DKIM key {selector} may be on its way until {until}; remove the key and its "
            "DNS record then, or use --force"
        )
    transaction.delete((DKIM_KEY, domain, selector))
    return key


def _put(transaction: Transaction, key: DkimKey) -> None:
    transaction.put((DKIM_KEY, key.domain, key.selector), encode(key))
