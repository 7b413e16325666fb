"""Reads the queue for people and programs: which messages there are, and all about one of them.

The dictionaries made here are what ``fedaemonctl queue … --json`` prints and a web interface will show; their
names are described in ``ctl/queue.py`` and do not change.

Invariants: listing goes message by message, whatever the size of the queue.
Known gaps: a filtered listing still looks at every message.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from fedaemon.delivery import timeline
from fedaemon.delivery.records import (
    FINAL,
    LOCAL,
    WAITING,
    MessageRecord,
    RecipientRecord,
    load_message,
    recipients_of,
    status,
)
from fedaemon.delivery.schedule import Schedule
from fedaemon.store.interface import Snapshot
from fedaemon.store.records import decode
from fedaemon.store.spaces import MESSAGE


@dataclass(frozen=True, slots=True)
class Filter:
    """Which messages: by status, account (its address), or domain of a recipient; "" for any."""

    state: str = ""
    account: str = ""
    domain: str = ""

    def takes(self, message: MessageRecord, recipients: list[RecipientRecord]) -> bool:
        """Return True when the message is one of those."""
        if self.domain and not any(_domain(recipient) == self.domain for recipient in recipients):
            return False
        return not self.state or status(recipient.state for recipient in recipients) == self.state


def _domain(recipient: RecipientRecord) -> str:
    return (recipient.original or recipient.address).rpartition("@")[2]


def messages(
    snapshot: Snapshot, wanted: Filter, after: str = "", limit: int | None = None
) -> Iterator[dict[str, Any]]:
    """Yield messages in the order of acceptance, at most *limit*, beginning behind the queue id *after*."""
    found = 0
    for key, value in snapshot.scan((MESSAGE, after), (MESSAGE, "\U0010ffff")):
        queue_id = key[1]
        assert isinstance(queue_id, str)
        message = MessageRecord(**decode(value))
        if queue_id == after or (wanted.account and message.account != wanted.account):
            continue
        recipients = [recipient for _, recipient in recipients_of(snapshot, queue_id)]
        if not wanted.takes(message, recipients):
            continue
        if limit is not None and found >= limit:
            return
        found += 1
        yield summary(queue_id, message, recipients)


def summary(queue_id: str, message: MessageRecord, recipients: list[RecipientRecord]) -> dict[str, Any]:
    """Return one line of a listing."""
    due = [recipient.next_attempt_ms for recipient in recipients if recipient.state in WAITING]
    return {
        "id": queue_id,
        "status": status(recipient.state for recipient in recipients),
        "sender": message.sender,
        "account": message.account,
        "size": message.size,
        "accepted_ms": message.accepted_ms,
        "finished_ms": message.finished_ms or None,
        "next_attempt_ms": min(due) if due else None,
        "recipients": [{"address": recipient.address, "state": recipient.state} for recipient in recipients],
    }


def show(
    snapshot: Snapshot, queue_id: str, schedule: Schedule, *, paused: bool = False
) -> dict[str, Any] | None:
    """Return all there is to know about one message, None when there is no such message.

    :param paused: remote delivery is paused by the settings.
    """
    message = load_message(snapshot, queue_id)
    if message is None:
        return None
    recipients = list(recipients_of(snapshot, queue_id))
    expires_ms = schedule.expires_ms(message.accepted_ms, message.lifetime_ms)
    return {
        **summary(queue_id, message, [recipient for _, recipient in recipients]),
        "via": message.via,
        "body": message.body,
        "smtputf8": message.smtputf8,
        "require_tls": message.require_tls,
        "ret": message.ret,
        "envid": message.envid,
        "expires_ms": expires_ms,
        "redacted_ms": message.redacted_ms or None,
        "recipients": [_recipient(number, recipient, expires_ms, paused) for number, recipient in recipients],
        "timeline": list(timeline.entries(snapshot, queue_id, message)),
    }


def _recipient(number: int, recipient: RecipientRecord, expires_ms: int, paused: bool) -> dict[str, Any]:
    local = recipient.destination == LOCAL
    why, following = explain(recipient, paused=paused)
    waits = recipient.state in WAITING
    return {
        "number": number,
        "address": recipient.address,
        "original": recipient.original or None,
        "state": recipient.state,
        "local": local,
        "destination": None if local else recipient.destination,
        "attempts": recipient.attempts,
        "under_way": bool(recipient.claim),
        "next_attempt_ms": recipient.next_attempt_ms if waits else None,
        "given_up_ms": None if recipient.state in FINAL else expires_ms,
        "finished_ms": recipient.finished_ms or None,
        "notify": recipient.notify or None,
        "orcpt": recipient.orcpt or None,
        "last": recipient.last,
        "why": why,
        "next": following,
    }


def explain(recipient: RecipientRecord, *, paused: bool) -> tuple[str, str]:
    """Return why a recipient is where it is, and what comes next, in words."""
    if recipient.state in FINAL:
        return _ending(recipient), "nothing: this is final"
    if recipient.state == "held":
        return "held by the administrator", "nothing until it is released (fedaemonctl queue release)"
    if recipient.claim:
        return "an attempt is under way", "its result; without one (a crash) it is tried again"
    remote_paused = paused and recipient.destination != LOCAL
    following = "remote mail waits until delivery.paused is false" if remote_paused else "another attempt"
    if recipient.last is not None:
        return _last(recipient), following
    return "it has not been tried yet", "the first attempt" if not remote_paused else following


def _last(recipient: RecipientRecord) -> str:
    last = recipient.last or {}
    who = last.get("host") or (
        "this server" if last.get("phase") in ("local", "dns") else recipient.destination
    )
    reply = " ".join(str(part) for part in (last.get("code"), last.get("status"), last.get("text")) if part)
    return f"the last attempt failed ({last.get('phase') or 'connect'}, {who}): {reply}"


def _ending(recipient: RecipientRecord) -> str:
    last = recipient.last or {}
    reply = " ".join(str(part) for part in (last.get("code"), last.get("status"), last.get("text")) if part)
    return {
        "delivered": f"delivered: {reply}",
        "bounced": f"refused for good: {reply}",
        "expired": f"given up after its lifetime; the last answer was: {reply}",
        "suppressed": "not tried: the address is suppressed",
    }[recipient.state]
