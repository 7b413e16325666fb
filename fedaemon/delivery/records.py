"""The records of the queue: a message, each of its recipients, and what the submission side hands over.

State is kept per recipient; a message's status is derived from its recipients and never stored. Values are
written lean (fields that have their default are left out) because every accepted message writes them while
its client waits.

Standards: RFC 3461 4 (NOTIFY, ORCPT, RET and ENVID are kept as given).
Invariants: addresses are kept as they go on the wire (``str(Address)``), because the case of a remote local
part is not ours to change; a recipient in a ``WAITING`` state has its entry in the index of its destination,
any other has none.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, Final, Literal

from fedaemon.store.interface import Snapshot, Transaction
from fedaemon.store.records import decode, encode
from fedaemon.store.spaces import MESSAGE, RECIPIENT

State = Literal["queued", "deferred", "held", "delivered", "bounced", "expired", "suppressed"]
Status = Literal["pending", "queued", "deferred", "sent", "partially_sent", "bounced", "rejected"]

WAITING: Final = frozenset({"queued", "deferred"})
FINAL: Final = frozenset({"delivered", "bounced", "expired", "suppressed"})

LOCAL: Final = "@local"
"""The destination of every local recipient; no domain contains an "@"."""


CLASSES: Final = ("0", "1", "2")
"""First characters of lanes: urgent, normal and non-urgent mail (MT-PRIORITY above 0, -3 to 0, and below)."""


MAX_LANE: Final = 80
"""Octets of an account's name in a lane, which is part of keys; longer ones are shortened by a digest."""


def lane_of(account: str | None, priority: int = 0) -> str:
    """Return whose turn a message shares: its priority's class, and the account that sent it ("" for none).

    Lanes take turns; within one, messages go in the order in which they are due. The classes are the levels
    of MIXER: 4, 0 and -4, other priorities belonging to the next higher one. Spec: RFC 6710 5
    """
    level = CLASSES[0] if priority > 0 else CLASSES[1] if priority > -4 else CLASSES[2]
    return f"{level}{lane_name(account)}"


def lane_name(account: str | None) -> str:
    """Return a lane without its class."""
    if not account:
        return ""
    if len(account) <= MAX_LANE and account.isascii():
        return account
    octets = account.encode()
    if len(octets) <= MAX_LANE:
        return account
    return f"{octets[:60].decode(errors='ignore')}~{hashlib.sha256(octets).hexdigest()[:16]}"


@dataclass(frozen=True, slots=True)
class NewRecipient:
    """One recipient of a message that is being accepted, after aliases were followed.

    *address* is the forward-path without brackets, *original* the address that was given at RCPT when an
    alias led from there to here, else "". *notify* and *orcpt* are the DSN parameters as given, "" when
    absent.
    """

    address: str
    local: bool
    original: str = ""
    notify: str = ""
    orcpt: str = ""


@dataclass(frozen=True, slots=True)
class NewMessage:
    """A message that is being accepted.

    *sender* is the reverse-path without brackets, "" for a report. *via* says how it came (service, protocol,
    tls, peer, helo), *account* who logged in. *lifetime_ms* overrides the setting for this message.
    *release_ms*: nothing is tried before that time (FUTURERELEASE, RFC 4865). *deliver_by_ms* is when DELIVERBY
    (RFC 2852) runs out, 0 without one; *deliver_by_mode* is "R" (return) or "N" (notify), with "T" behind it
    for a trace. *priority* is -9 to 9 (RFC 6710). *tls_optional*: the header says ``TLS-Required: No``.
    """

    queue_id: str
    sender: str
    recipients: tuple[NewRecipient, ...]
    account: str | None
    accepted_ms: int
    size: int
    via: dict[str, str] = field(default_factory=dict)
    body: str = "7BIT"
    smtputf8: bool = False
    require_tls: bool = False
    ret: str = ""
    envid: str = ""
    lifetime_ms: int | None = None
    release_ms: int = 0
    deliver_by_ms: int = 0
    deliver_by_mode: str = ""
    priority: int = 0
    tls_optional: bool = False


@dataclass(slots=True)
class MessageRecord:
    """A message in the queue. *recipients* is how many it has; *finished_ms* is 0 until the last one is
    final.

    *blob* names its content; *redacted_ms* is when that was replaced by a notice, 0 while it is what was
    sent.
    """

    sender: str
    accepted_ms: int
    size: int
    blob: str
    recipients: int
    account: str | None = None
    via: dict[str, str] = field(default_factory=dict)
    body: str = "7BIT"
    smtputf8: bool = False
    require_tls: bool = False
    ret: str = ""
    envid: str = ""
    lifetime_ms: int | None = None
    release_ms: int = 0
    deliver_by_ms: int = 0
    deliver_by_mode: str = ""
    priority: int = 0
    tls_optional: bool = False
    finished_ms: int = 0
    redacted_ms: int = 0


@dataclass(slots=True)
class RecipientRecord:
    """One recipient in the queue.

    *destination* is its domain (or address literal), or ``LOCAL``. *lane* says whose turn it shares
    (``lane_of``), "" for a local one. *attempts* counts the one under way too; *claim* names the run of the
    daemon that has it under way, "" when none has. *lost* counts claims in a row that died with their run.
    *last* is the latest reply (code, status, text, host, phase, at_ms, category, rule, site). *told* is set
    once the question of a delay notice has been settled, *told_by* the same for a DELIVERBY that ran out.
    """

    address: str
    destination: str
    state: State = "queued"
    attempts: int = 0
    next_attempt_ms: int = 0
    lane: str = ""
    original: str = ""
    notify: str = ""
    orcpt: str = ""
    claim: str = ""
    lost: int = 0
    told: bool = False
    told_by: bool = False
    finished_ms: int = 0
    last: dict[str, Any] | None = None


def _defaults(record: type[Any]) -> tuple[tuple[str, Any], ...]:
    """Return (name, default) of each field; fields without a default are given one that no value equals."""
    return tuple(
        (each.name, each.default_factory() if each.default_factory is not MISSING else each.default)
        for each in fields(record)
    )


_MESSAGE_DEFAULTS: Final = _defaults(MessageRecord)
_RECIPIENT_DEFAULTS: Final = _defaults(RecipientRecord)


def message_value(message: MessageRecord) -> bytes:
    """Return the stored form."""
    return encode(
        {name: value for name, default in _MESSAGE_DEFAULTS if (value := getattr(message, name)) != default}
    )


def recipient_value(recipient: RecipientRecord) -> bytes:
    """Return the stored form."""
    return encode(
        {
            name: value
            for name, default in _RECIPIENT_DEFAULTS
            if (value := getattr(recipient, name)) != default
        }
    )


def load_message(snapshot: Snapshot, queue_id: str) -> MessageRecord | None:
    """Return the message, or None when there is none (any more)."""
    value = snapshot.get((MESSAGE, queue_id))
    return MessageRecord(**decode(value)) if value is not None else None


def save_message(transaction: Transaction, queue_id: str, message: MessageRecord) -> None:
    """Store *message*."""
    transaction.put((MESSAGE, queue_id), message_value(message))


def load_recipient(snapshot: Snapshot, queue_id: str, number: int) -> RecipientRecord | None:
    """Return one recipient, or None when there is none (any more)."""
    value = snapshot.get((RECIPIENT, queue_id, number))
    return RecipientRecord(**decode(value)) if value is not None else None


def save_recipient(transaction: Transaction, queue_id: str, number: int, recipient: RecipientRecord) -> None:
    """Store *recipient*; its index entry is the caller's business (``queue.place``)."""
    transaction.put((RECIPIENT, queue_id, number), recipient_value(recipient))


def recipients_of(snapshot: Snapshot, queue_id: str) -> Iterator[tuple[int, RecipientRecord]]:
    """Yield (number, recipient) of a message in the order in which they were given."""
    for key, value in snapshot.scan((RECIPIENT, queue_id)):
        number = key[2]
        assert isinstance(number, int)
        yield number, RecipientRecord(**decode(value))


def status(states: Iterable[State]) -> Status:
    """Derive a message's status from the states of its recipients.

    While some are not final: deferred when one was tried without success, else queued, else pending (all of
    the rest are held). When all are final: sent, partially_sent, rejected (nothing was ever tried) or
    bounced.
    """
    found = set(states)
    if "deferred" in found:
        return "deferred"
    if "queued" in found:
        return "queued"
    if "held" in found:
        return "pending"
    if found == {"delivered"}:
        return "sent"
    if "delivered" in found:
        return "partially_sent"
    return "rejected" if found <= {"suppressed"} else "bounced"
