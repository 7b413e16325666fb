"""Reads the queue for people and programs: which messages there are, and all about one of them.

The dictionaries made here are what ``fedaemonctl queue … --json`` prints and a web interface will show; their
names are described in ``ctl/queue.py`` and do not change.

Invariants: listing goes message by message, whatever the size of the queue.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fedaemon.delivery import timeline
from fedaemon.delivery.pauses import read as read_pauses
from fedaemon.delivery.records import (
    FINAL,
    LOCAL,
    WAITING,
    MessageRecord,
    RecipientRecord,
    load_message,
    recipients_of,
)
from fedaemon.delivery.schedule import Schedule
from fedaemon.delivery.selection import Filter, Found, select
from fedaemon.delivery.site_listing import is_in_line, known_sites
from fedaemon.delivery.waiting import Surroundings, explain, marks_of
from fedaemon.store.interface import Snapshot

__all__ = ["Filter", "messages", "show", "summary"]


def messages(snapshot: Snapshot, wanted: Filter) -> Iterator[dict[str, Any]]:
    """Yield the messages that fit in one view, in the order of acceptance."""
    for found in select(lambda function: function(snapshot), wanted):
        yield summary(found)


def summary(found: Found) -> dict[str, Any]:
    """Return one line of a listing."""
    message = found.message
    recipients = [recipient for _, recipient in found.recipients]
    due = [recipient.next_attempt_ms for recipient in recipients if recipient.state in WAITING]
    return {
        "id": found.queue_id,
        "status": found.status,
        "sender": message.sender,
        "account": message.account,
        "size": message.size,
        "accepted_ms": message.accepted_ms,
        "finished_ms": message.finished_ms or None,
        "next_attempt_ms": min(due) if due else None,
        "recipients": [
            {
                "address": recipient.address,
                "state": recipient.state,
                "category": (recipient.last or {}).get("category") or None,
                "site": (recipient.last or {}).get("site") or None,
            }
            for recipient in recipients
        ],
    }


def show(
    snapshot: Snapshot, queue_id: str, schedule: Schedule, now_ms: int, *, paused: bool = False
) -> dict[str, Any] | None:
    """Return all there is to know about one message, None when there is no such message.

    :param paused: remote delivery is paused by the settings.
    """
    message = load_message(snapshot, queue_id)
    if message is None:
        return None
    found = Found(queue_id, message, tuple(recipients_of(snapshot, queue_id)))
    around = Surroundings(now_ms, schedule, read_pauses(snapshot), known_sites(snapshot), paused)
    recipients = [_recipient(snapshot, around, message, *each) for each in found.recipients]
    return {
        **summary(found),
        "via": message.via,
        "body": message.body,
        "smtputf8": message.smtputf8,
        "require_tls": message.require_tls,
        "tls_optional": message.tls_optional,
        "priority": message.priority,
        "ret": message.ret,
        "envid": message.envid,
        "release_ms": message.release_ms or None,
        "deliver_by_ms": message.deliver_by_ms or None,
        "deliver_by_mode": message.deliver_by_mode or None,
        "expires_ms": max(
            (marks_of(around, message, each)[0].expires_ms for _, each in found.recipients), default=None
        ),
        "redacted_ms": message.redacted_ms or None,
        "recipients": recipients,
        "timeline": list(timeline.entries(snapshot, queue_id, message)),
    }


def _recipient(
    snapshot: Snapshot, around: Surroundings, message: MessageRecord, number: int, recipient: RecipientRecord
) -> dict[str, Any]:
    local = recipient.destination == LOCAL
    site = "" if local else around.sites.of(recipient)
    due = recipient.state in WAITING and recipient.next_attempt_ms <= around.now_ms
    in_line = due and not local and is_in_line(snapshot, site, recipient)
    explanation = explain(around, message, recipient, in_line=in_line)
    marks, notice_ms = marks_of(around, message, recipient)
    waits, over = recipient.state in WAITING, recipient.state in FINAL
    return {
        "number": number,
        "address": recipient.address,
        "original": recipient.original or None,
        "state": recipient.state,
        "local": local,
        "destination": None if local else recipient.destination,
        "site": site or None,
        "attempts": recipient.attempts,
        "under_way": bool(recipient.claim),
        "next_attempt_ms": recipient.next_attempt_ms if waits else None,
        "expected_ms": explanation.expected_ms,
        "notice_ms": notice_ms if waits else None,
        "given_up_ms": None if over else marks.expires_ms,
        "finished_ms": recipient.finished_ms or None,
        "notify": recipient.notify or None,
        "orcpt": recipient.orcpt or None,
        "last": recipient.last,
        "why": explanation.why,
        "obstacles": [
            {"kind": each.kind, "text": each.text, "until_ms": each.until_ms or None}
            for each in explanation.obstacles
        ],
        "next": explanation.following,
    }
