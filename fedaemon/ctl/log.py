"""``fedaemonctl log``: everything that is known of one message, in the order in which it happened.

The queue's own records are always there, for ``delivery.history``: acceptance, attempts, what administrators
did. Where the systemd journal can be read, the lines of the log about the message and of the session that brought
it stand among them.

JSON is an array of records as the log has them (docs/events.md). Events that only the queue knows: held, released,
retried, interrupted, report, complaint, redacted.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, Final

from fedaemon.ctl.command import DONE, Context
from fedaemon.ctl.journal import PID, JournalUnread, read_journal
from fedaemon.ctl.terminal import printable
from fedaemon.delivery import timeline
from fedaemon.delivery.event_log import OUTCOMES, rfc3339
from fedaemon.delivery.records import MessageRecord, load_message, recipients_of
from fedaemon.logs.line import PATHS, line_of
from fedaemon.logs.record import RESERVED, utc
from fedaemon.store.interface import Snapshot

Record = dict[str, Any]

PLACED: Final = frozenset(
    {"event", "at_ms", "recipients", "attempt", "next_attempt_ms", "why", "duration_ms", "peer"}
)
"""Details of the timeline that have another name in the log, or no place there."""

ORDER: Final = (
    *("time", "level", "event", "text"),
    *("id", "from", "to", "recipients", "size", "service", "session", "account", "host", "address", "source"),
    *("helo", "login", "mechanism", "tls", "certificate", "policy", "phase", "code", "status"),
    *("category", "rule", "delay_s", "attempts", "next", "message_id", "reply", "reason"),
)
"""Fields as people read them; others follow. The journal keeps no order."""


def register(groups: Any, common: argparse.ArgumentParser) -> None:
    """Add the command."""
    parser = groups.add_parser(
        "log",
        parents=[common],
        help="everything that happened to one message, as lines of the log",
        description=(
            "Show everything that happened to one message, as lines of the log: from the queue's own records, and"
            " from the systemd journal where it can be read."
        ),
        epilog='"fedaemonctl queue show ID" says why a message waits and what comes next.',
    )
    parser.add_argument("id", metavar="ID", help="its queue id, which stands in the reply to its sender")
    parser.set_defaults(run=run_log)


def run_log(context: Context, arguments: argparse.Namespace) -> int:
    """Print what is known."""
    queue_id = arguments.id.upper()
    records = context.view(partial(known, queue_id=queue_id))
    problem = ""
    try:
        with context.as_caller():
            records = merged(records, about(queue_id))
    except JournalUnread as error:
        problem = f"the journal was not read: {error}"
    records = [ordered(record) for record in records]
    if not records:
        hint = f" ({problem})" if problem else ""
        return context.refuse(
            f"nothing is known of a message {queue_id}{hint}; fedaemonctl queue list shows what there is"
        )
    context.show(records)
    for record in records:
        context.say(as_line(record))
    if problem and not context.json:
        print(f"fedaemonctl: {problem}", file=context.err)
    return DONE


def as_line(record: Mapping[str, Any]) -> str:
    """Return the line of a record, as the log has it."""
    fields = {name: value for name, value in record.items() if name not in RESERVED}
    shown = printable(line_of(record["event"], record.get("text"), fields))
    traceback = "".join(f"\n\t{printable(each)}" for each in record.get("traceback", "").splitlines())
    return f"{record['time']} {record['level']} {shown}{traceback}"


# -- the queue's records


def known(snapshot: Snapshot, queue_id: str) -> list[Record]:
    """Return what the queue knows of a message; nothing for one that it does not know."""
    message = load_message(snapshot, queue_id)
    if message is None:
        return []
    recipients = {number: each.address for number, each in recipients_of(snapshot, queue_id)}
    return [
        record
        for entry in timeline.entries(snapshot, queue_id, message)
        for record in _records(queue_id, message, recipients, entry)
    ]


def _records(
    queue_id: str, message: MessageRecord, recipients: Mapping[int, str], entry: Mapping[str, Any]
) -> Iterator[Record]:
    """Yield the records of one entry: an outcome has one for each recipient, as in the log."""
    at_ms = entry["at_ms"]
    record = {"time": utc(at_ms / 1000), "level": "info", "event": entry["event"], "id": queue_id}
    record |= {"from": message.sender, "account": message.account or ""}
    details = _details(entry)
    if entry["event"] == "accepted":
        yield {**record, "recipients": len(recipients), **details}
        return
    if entry["event"] in OUTCOMES:
        details["delay_s"] = (at_ms - message.accepted_ms) / 1000
    concerned = entry.get("recipients")
    if not concerned:
        yield {**record, **details}
    for number in concerned or ():
        yield {**record, "to": recipients.get(number, ""), **details}


def _details(entry: Mapping[str, Any]) -> Record:
    """Return the details of an entry under the names that they have in the log."""
    renamed = {
        "address": entry.get("address") or entry.get("peer"),
        "attempts": entry.get("attempt"),
        "next": rfc3339(entry["next_attempt_ms"]) if entry.get("next_attempt_ms") else None,
        "reason": entry.get("why"),
    }
    details = {name: value for name, value in entry.items() if name not in PLACED}
    details.update({name: value for name, value in renamed.items() if value})
    return {name: value for name, value in details.items() if value not in ("", None, False)}


# -- the journal


def about(queue_id: str) -> list[Record]:
    """Return what the journal has of a message and of the session that brought it.

    :raises JournalUnread: it cannot be read.
    """
    found = read_journal(f"FEDAEMON_ID={queue_id}")
    records = [record for record, _ in found]
    for record, pid in found:
        if record["event"] == "accepted" and "session" in record:
            session = read_journal(f"FEDAEMON_SESSION={record['session']}", f"{PID}={pid}")
            records += [other for other, _ in session if "id" not in other]
    return records


def merged(records: list[Record], logged: list[Record]) -> list[Record]:
    """Return both in the order of time; what the queue itself has recorded is not repeated."""
    if records:
        for record in logged:
            if record["event"] == "accepted":
                # The queue's first record; the log adds the session and the Message-ID.
                records[0].update({name: value for name, value in record.items() if name not in records[0]})
        logged = [record for record in logged if record["event"] not in ("accepted", *OUTCOMES)]
    return sorted([*records, *logged], key=lambda record: str(record["time"]))


def ordered(record: Record) -> Record:
    """Return *record* with its fields in an order that is always the same, without empty ones."""
    first = {name: record[name] for name in ORDER if name in record}
    return {name: value for name, value in (first | record).items() if value != "" or name in PATHS}
