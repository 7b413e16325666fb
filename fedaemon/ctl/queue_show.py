"""``fedaemonctl queue show``: all about one message, and why it waits.

Invariants: what remote servers said is shown without control characters.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from typing import Any, Final

from fedaemon.ctl import terminal
from fedaemon.ctl.command import DONE, Context
from fedaemon.ctl.terminal import printable, span, when
from fedaemon.delivery.listing import show
from fedaemon.delivery_setup import schedule

MAX_COLUMN: Final = 44
"""Columns of the timeline are aligned up to this width."""

PLACED: Final = frozenset(
    {
        "at_ms",
        "event",
        "recipients",
        "host",
        "address",
        "tls",
        "certificate",
        "policy",
        "code",
        "status",
        "reply",
        "category",
        "why",
    }
)
"""Details of an entry that have a place of their own; the others follow as "name value"."""


def register(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "show",
        parents=[common],
        help="all about one message: why it waits, what comes next and when, and its timeline",
        description="Show all about one message: why it waits, what comes next and when, and its timeline.",
    )
    parser.add_argument("id", metavar="ID", help="its queue id, which stands in the reply to its sender")
    parser.set_defaults(run=run_show)


def run_show(context: Context, arguments: argparse.Namespace) -> int:
    """Print all about one message."""
    settings = context.settings
    queue_id, now_ms = arguments.id.upper(), terminal.now_ms()
    shown = context.view(
        lambda snapshot: show(snapshot, queue_id, schedule(settings), now_ms, paused=settings.delivery.paused)
    )
    if shown is None:
        return context.refuse(f"there is no message {queue_id}; fedaemonctl queue list shows what there is")
    if context.json:
        context.show(shown)
        return DONE
    for line in describe(shown, now_ms):
        context.say(printable(line))
    return DONE


def describe(shown: Mapping[str, Any], now_ms: int) -> Iterator[str]:
    """Yield the lines in which people read what ``show`` found."""
    yield f"{shown['id']}  {shown['status']}  {shown['size']} octets"
    yield f"from {shown['sender'] or '<> (a report)'}" + (
        f", account {shown['account']}" if shown["account"] else ""
    )
    yield f"accepted {when(shown['accepted_ms'])}, {span((now_ms - shown['accepted_ms']) / 1000)} ago"
    yield from _wishes(shown)
    for recipient in shown["recipients"]:
        yield from _recipient(recipient)
    yield "timeline:"
    yield from _timeline(shown["timeline"])


def _wishes(shown: Mapping[str, Any]) -> Iterator[str]:
    """Yield what the sender asked for besides delivery."""
    if shown["release_ms"]:
        yield f"to be released at {when(shown['release_ms'])}, as the sender asked"
    if shown["deliver_by_ms"]:
        returned = shown["deliver_by_mode"].startswith("R")
        then = "is returned" if returned else "the sender is told, and delivery goes on"
        yield f"to be delivered by {when(shown['deliver_by_ms'])}; after that it {then}"
    if shown["priority"]:
        yield f"priority {shown['priority']}"
    if shown["require_tls"]:
        yield "only through verified TLS (REQUIRETLS)"
    if shown["tls_optional"]:
        yield "without TLS if need be (TLS-Required: No)"
    if shown["redacted_ms"]:
        yield f"its content was removed at {when(shown['redacted_ms'])}"


def _recipient(recipient: Mapping[str, Any]) -> Iterator[str]:
    was = f" (sent to {recipient['original']})" if recipient["original"] else ""
    tries = "1 attempt" if recipient["attempts"] == 1 else f"{recipient['attempts']} attempts"
    at = f", at the site {recipient['site']}" if recipient["site"] else ""
    yield f"  #{recipient['number']} to {recipient['address']}{was}: {recipient['state']}, {tries}{at}"
    yield f"     why:   {recipient['why']}"
    for obstacle in recipient["obstacles"]:
        until = f", until {when(obstacle['until_ms'])}" if obstacle["until_ms"] else ""
        yield f"     waits: {obstacle['text']}{until}"
    due = f", at {when(recipient['expected_ms'])}" if recipient["expected_ms"] else ""
    yield f"     next:  {recipient['next']}{due}"
    if recipient["notice_ms"]:
        yield f"     told:  the sender hears of the delay at {when(recipient['notice_ms'])}"
    if recipient["given_up_ms"]:
        yield f"     ends:  given up at {when(recipient['given_up_ms'])}"


def _timeline(entries: list[dict[str, Any]]) -> Iterator[str]:
    """Yield a line for each event, in aligned columns: when, what, for whom, where, how protected, and why."""
    rows = [(entry["event"], _who(entry), _where(entry), _protection(entry)) for entry in entries]
    widths = [min(MAX_COLUMN, max(map(len, column))) for column in zip(*rows, strict=True)]
    for entry, row in zip(entries, rows, strict=True):
        columns = [cell.ljust(width) for cell, width in zip(row, widths, strict=True) if width]
        line = "  ".join((when(entry["at_ms"]), *columns, _words(entry)))
        yield f"  {line.rstrip()}"


def _who(entry: Mapping[str, Any]) -> str:
    return ",".join(f"#{number}" for number in entry.get("recipients", ()))


def _where(entry: Mapping[str, Any]) -> str:
    host, address = entry.get("host", ""), entry.get("address", "")
    return f"{host}[{address}]" if address else str(host)


def _protection(entry: Mapping[str, Any]) -> str:
    """Return TLS version and cipher, what the certificate was, and the policy that held."""
    if not entry.get("host"):
        return ""
    parts = [str(entry.get("tls") or "no TLS")]
    parts += [str(entry[name]) for name in ("certificate", "policy") if entry.get(name)]
    return ", ".join(parts)


def _words(entry: Mapping[str, Any]) -> str:
    """Return the reply, what it means, and all other details."""
    parts = [" ".join(str(entry[name]) for name in ("code", "status", "reply") if entry.get(name))]
    parts.append(f"[{entry['category']}]" if entry.get("category") else "")
    parts.append(f"({entry['why']})" if entry.get("why") else "")
    text = " ".join(part for part in parts if part)
    details = [text] if text else []
    for name, value in entry.items():
        if name in PLACED or value in ("", None, False):
            continue
        if name.endswith("_ms"):
            value = f"{value} ms" if name == "duration_ms" else when(value)
        details.append(f"{name.removesuffix('_ms').replace('_', ' ')} {value}")
    if entry.get("tls") and not entry.get("host"):
        details.append(str(entry["tls"]))
    return ", ".join(details)
