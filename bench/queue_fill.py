"""A long queue in a store of its own, and how long claims from it take.

Why: a queue of a million grows when a large site is down for days; to submit one would take an hour. So the
messages are put into the store by the same function that accepts them, many in a transaction, all of them
sharing one content, whose references are counted as ever.
Invariants: the store is as sound as one that was filled by submission (fedaemonctl verify); claims made for
measuring are put back.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from fedaemon.delivery.claiming import Claim, Claimed, ClaimOrder, Standing, claim
from fedaemon.delivery.queue import NewMessage, NewRecipient, enqueue, look
from fedaemon.delivery.recovery import put_back, settle
from fedaemon.delivery.remote import CLAIM_SLICE
from fedaemon.delivery.schedule import Schedule
from fedaemon.delivery.sites.shaping import DEFAULT_SITE
from fedaemon.store.blobs import StagedBytes
from fedaemon.store.ids import new_id
from fedaemon.store.interface import Transaction
from fedaemon.store.lmdb_engine import LmdbEngine

BATCH: Final = 1000
"""Messages in one transaction."""
CONTENT: Final = b"From: <sender@bench.test>\r\nSubject: one of very many\r\n\r\nHello.\r\n"
RUN: Final = "bench"
SECOND_MS: Final = 1000


@dataclass(frozen=True, slots=True)
class Shape:
    """How many recipients, one for each message, go to how many *domains* from how many *accounts*."""

    recipients: int
    domains: int
    accounts: int

    def message(self, number: int, now_ms: int) -> NewMessage:
        """Return message *number*: neighbours differ in both, and every account writes to every domain."""
        account = f"user{(number + number // self.domains) % self.accounts}@bench.test"
        recipient = NewRecipient(f"someone{number}@d{number % self.domains}.test", local=False)
        via = {"service": "submission", "protocol": "ESMTP", "helo": "bench.test"}
        return NewMessage(new_id(now_ms), account, (recipient,), account, now_ms, len(CONTENT), via)


def fill(data_dir: Path, shape: Shape) -> float:
    """Queue all messages, due at once; return how many seconds it took."""
    engine = LmdbEngine.open(data_dir)
    began = time.monotonic()
    try:
        blob_id = ""
        for first in range(0, shape.recipients, BATCH):
            numbers = range(first, min(first + BATCH, shape.recipients))
            blob_id = engine.transact(partial(_add, engine, shape, numbers, blob_id))
        return time.monotonic() - began
    finally:
        engine.close()


def _add(engine: LmdbEngine, shape: Shape, numbers: range, blob_id: str, transaction: Transaction) -> str:
    now_ms = time.time_ns() // 1_000_000
    if blob_id:
        engine.blobs.retain(transaction, blob_id, len(numbers))
    else:
        blob_id = engine.blobs.add(transaction, StagedBytes(CONTENT), len(numbers))
    for number in numbers:
        enqueue(transaction, shape.message(number, now_ms), blob_id, now_ms)
    return blob_id


@dataclass(frozen=True, slots=True)
class ClaimTimes:
    """Milliseconds of each look at the queue, of each claim, and of each claim with its commit."""

    look_ms: list[float]
    claim_ms: list[float]
    committed_ms: list[float]
    recipients: int


def time_claims(data_dir: Path, count: int) -> ClaimTimes:
    """Claim as much as the daemon has room for, at most *count* times in a row, then put all of it back."""
    engine = LmdbEngine.open(data_dir, create=False)
    times = ClaimTimes([], [], [], 0)
    claims: list[Claim] = []
    try:
        last: dict[str, str] = {}
        for batch in range(1, count + 1):
            claimed = _claim(engine, batch, last, times)
            claims += claimed.claims
            last = claimed.last
            if not claimed.more:
                break
        for some in _pieces(claims):
            engine.transact(partial(put_back, claims=some, now_ms=_now_ms()))
        for batch in range(1, len(times.claim_ms) + 1):
            engine.transact(partial(settle, run=RUN, batch=batch))
    finally:
        engine.close()
    taken = sum(len(each.recipients) for each in claims)
    return ClaimTimes(times.look_ms, times.claim_ms, times.committed_ms, taken)


def _claim(engine: LmdbEngine, batch: int, last: dict[str, str], times: ClaimTimes) -> Claimed:
    now_ms = _now_ms()
    began = time.perf_counter()
    engine.view(lambda snapshot: look(snapshot, now_ms))
    times.look_ms.append((time.perf_counter() - began) * SECOND_MS)
    order = ClaimOrder(RUN, batch, CLAIM_SLICE, Schedule(), _unknown_site, last=last)

    def run(transaction: Transaction) -> Claimed:
        started = time.perf_counter()
        claimed = claim(transaction, now_ms, order)
        times.claim_ms.append((time.perf_counter() - started) * SECOND_MS)
        return claimed

    began = time.perf_counter()
    claimed = engine.transact(run)
    times.committed_ms.append((time.perf_counter() - began) * SECOND_MS)
    return claimed


def _unknown_site(destination: str) -> Standing:
    """Return how a destination stands whose hosts have not been looked up."""
    return Standing(f"@{destination}", 2 * DEFAULT_SITE.initial, known=False)


def _pieces(claims: list[Claim]) -> Iterator[list[Claim]]:
    for first in range(0, len(claims), BATCH):
        yield claims[first : first + BATCH]


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
