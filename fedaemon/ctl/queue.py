"""``fedaemonctl queue``: what is in the queue, why it waits, and what an administrator can do about it.

JSON of ``list`` is an array of messages: ``id``, ``status`` (pending, queued, deferred, sent, partially_sent,
bounced, rejected), ``sender`` ("" for a report), ``account`` (login or null), ``size`` (octets),
``accepted_ms``, ``finished_ms``, ``next_attempt_ms`` (milliseconds since the epoch or null), ``recipients``
(array of ``address`` and ``state``: queued, deferred, held, delivered, bounced, expired, suppressed).

JSON of ``show`` is one such message with, besides, ``via`` (how it came), ``body``, ``smtputf8``,
``require_tls``, ``ret``, ``envid``, ``expires_ms``, ``redacted_ms``; each of ``recipients`` also has
``number``, ``original`` (address before aliases), ``local``, ``destination``, ``attempts``, ``under_way``,
``next_attempt_ms``, ``given_up_ms``, ``finished_ms``, ``notify``, ``orcpt``, ``last`` (latest reply:
``at_ms``, ``code``, ``status``, ``text``, ``phase``, ``host``), ``why`` it is where it is and what comes
``next``; ``timeline`` is an array of what happened: ``at_ms``, ``event`` and details
(``delivery/timeline.py`` lists them).

JSON of the others is ``{"messages": […], "recipients": n}``: the ids that were changed and how many
recipients that concerned.

Invariants: a listing is printed as it is read; changes to many messages are made in slices, so that a running
daemon never waits long.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Final

from fedaemon.ctl.command import DONE, Context
from fedaemon.delivery import actions
from fedaemon.delivery.listing import Filter, messages, show
from fedaemon.delivery.schedule import Schedule
from fedaemon.message.address import parse_address
from fedaemon.message.domain import parse_domain
from fedaemon.store.interface import Snapshot, Transaction

SLICE: Final = 200
"""Messages changed in one transaction, or read in one view."""

STATES: Final = ("pending", "queued", "deferred", "sent", "partially_sent", "bounced", "rejected")

Action = Callable[[Transaction, str], int]


def register(groups: Any, common: argparse.ArgumentParser) -> None:
    """Add the command group."""
    group = groups.add_parser("queue", help="look at the queue: list, show, retry, hold, release, delete")
    commands = group.add_subparsers(title="commands", metavar="COMMAND", required=True)

    listing = commands.add_parser(
        "list", parents=[common], help="list messages in the order of their acceptance"
    )
    listing.add_argument("--state", choices=STATES, default="", help="only messages of this status")
    listing.add_argument(
        "--account", default="", metavar="ADDRESS", help="only messages that this account sent"
    )
    listing.add_argument("--domain", default="", help="only messages with a recipient in this domain")
    listing.add_argument("--limit", type=_positive, metavar="N", help="at most N messages")
    listing.set_defaults(run=run_list)

    one = commands.add_parser(
        "show", parents=[common], help="all about one message: its timeline and why it waits"
    )
    one.add_argument("id", metavar="ID")
    one.set_defaults(run=run_show)

    for name, run, text in (
        ("retry", run_retry, "try again at once what waits"),
        ("hold", run_hold, "do not try what waits until it is released"),
        ("release", run_release, "let go what is held"),
        ("delete", run_delete, "remove messages with everything about them; nobody is told"),
    ):
        command = commands.add_parser(name, parents=[common], help=text)
        which = command.add_mutually_exclusive_group(required=True)
        # With a default the group takes ID… as given only when there is one.
        which.add_argument("ids", nargs="*", metavar="ID", default=[])
        which.add_argument(
            "--all", action="store_true", help="every message in the queue that is not finished"
        )
        command.set_defaults(run=run)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number


def run_list(context: Context, arguments: argparse.Namespace) -> int:
    """Print the messages that fit, as they are read."""
    wanted = Filter(
        state=arguments.state,
        account=parse_address(arguments.account).key if arguments.account else "",
        domain=parse_domain(arguments.domain) if arguments.domain else "",
    )
    rows = _stream(context, wanted, arguments.limit)
    if context.json:
        _print_array(context, rows)
        return DONE
    count = 0
    for row in rows:
        if count == 0:
            print(
                f"{'ID':16}  {'STATUS':14}  {'ACCEPTED':19}  {'NEXT':19}  SENDER -> RECIPIENTS",
                file=context.out,
            )
        count += 1
        print(_line(row), file=context.out)
    if not count:
        context.say("no messages" if wanted == Filter() else "no such messages")
    return DONE


def _stream(context: Context, wanted: Filter, limit: int | None) -> Iterator[dict[str, Any]]:
    """Yield messages; each slice is read in a view of its own, so that printing holds up no writer."""
    after = ""
    while limit is None or limit > 0:
        size = SLICE if limit is None else min(SLICE, limit)
        rows = context.view(partial(_slice, wanted, after, size))
        yield from rows
        if len(rows) < size:
            return
        after = rows[-1]["id"]
        if limit is not None:
            limit -= len(rows)


def _slice(wanted: Filter, after: str, size: int, snapshot: Snapshot) -> list[dict[str, Any]]:
    return list(messages(snapshot, wanted, after, size))


def _print_array(context: Context, rows: Iterator[dict[str, Any]]) -> None:
    """Print a JSON array without having all of it in memory."""
    first = True
    for row in rows:
        context.out.write("[\n" if first else ",\n")
        first = False
        json.dump(row, context.out, ensure_ascii=False)
    context.out.write("[]\n" if first else "\n]\n")


def _line(row: dict[str, Any]) -> str:
    addresses = [recipient["address"] for recipient in row["recipients"]]
    more = f" and {len(addresses) - 3} more" if len(addresses) > 3 else ""
    times = f"{_when(row['accepted_ms']):19}  {_when(row['next_attempt_ms']):19}"
    way = f"{row['sender'] or '<>'} -> {', '.join(addresses[:3])}{more}"
    return f"{row['id']:16}  {row['status']:14}  {times}  {way}"


def _when(at_ms: int | None) -> str:
    if not at_ms:
        return "-"
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at_ms / 1000))


def run_show(context: Context, arguments: argparse.Namespace) -> int:
    """Print all about one message."""
    settings = context.settings.delivery
    schedule = Schedule(int(settings.lifetime_s * 1000), int(settings.delay_notice_s * 1000))
    queue_id = arguments.id.upper()
    shown = context.view(lambda snapshot: show(snapshot, queue_id, schedule, paused=settings.paused))
    if shown is None:
        return context.refuse(f"there is no message {queue_id}; fedaemonctl queue list shows what there is")
    if context.json:
        context.show(shown)
        return DONE
    for line in describe(shown):
        context.say(line)
    return DONE


def describe(shown: dict[str, Any]) -> Iterator[str]:
    """Yield the lines in which people read what ``show`` found."""
    yield f"{shown['id']}  {shown['status']}  {shown['size']} octets"
    yield f"from {shown['sender'] or '<> (a report)'}" + (
        f", account {shown['account']}" if shown["account"] else ""
    )
    for recipient in shown["recipients"]:
        was = f" (sent to {recipient['original']})" if recipient["original"] else ""
        yield f"  to {recipient['address']}{was}: {recipient['state']}, {recipient['attempts']} attempts"
        yield f"     why:  {recipient['why']}"
        due = f", at {_when(recipient['next_attempt_ms'])}" if recipient["next_attempt_ms"] else ""
        yield f"     next: {recipient['next']}{due}"
        if recipient["given_up_ms"]:
            yield f"     given up at {_when(recipient['given_up_ms'])}"
    yield "timeline:"
    for entry in shown["timeline"]:
        yield f"  {_when(entry['at_ms'])}  {_event(entry)}"


def _event(entry: dict[str, Any]) -> str:
    """Return one entry of the timeline as a line."""
    details = []
    for name, value in entry.items():
        if name in ("at_ms", "event") or value in ("", None):
            continue
        shown = _when(value) if name == "next_attempt_ms" else value
        details.append(f"{name.removesuffix('_ms')}={shown}")
    return f"{entry['event']}: {', '.join(details)}" if details else entry["event"]


def run_retry(context: Context, arguments: argparse.Namespace) -> int:
    """Have messages tried at once."""
    return _act(
        context, arguments, "tried again", lambda each, queue_id: actions.retry(each, queue_id, _now_ms())
    )


def run_hold(context: Context, arguments: argparse.Namespace) -> int:
    """Hold messages."""
    return _act(context, arguments, "held", lambda each, queue_id: actions.hold(each, queue_id, _now_ms()))


def run_release(context: Context, arguments: argparse.Namespace) -> int:
    """Release messages."""
    return _act(
        context, arguments, "released", lambda each, queue_id: actions.release(each, queue_id, _now_ms())
    )


def run_delete(context: Context, arguments: argparse.Namespace) -> int:
    """Delete messages."""
    blobs = context.engine.blobs
    return _act(context, arguments, "deleted", lambda each, queue_id: actions.delete(each, blobs, queue_id))


def _now_ms() -> int:
    return int(time.time() * 1000)


def _act(context: Context, arguments: argparse.Namespace, done: str, action: Action) -> int:
    """Apply *action* to the messages asked for, slice by slice."""
    if arguments.all:
        rows = _stream(context, Filter(), None)
        wanted: Iterator[str] = (row["id"] for row in rows if row["finished_ms"] is None)
    else:
        wanted = iter(queue_id.upper() for queue_id in arguments.ids)
    changed: list[str] = []
    recipients = looked_at = 0
    while ids := list(itertools.islice(wanted, SLICE)):
        counts = context.transact(partial(_apply, ids, action))
        named = not arguments.all or done == "deleted"
        changed.extend(queue_id for queue_id, count in zip(ids, counts, strict=True) if count or named)
        recipients += sum(counts)
        looked_at += len(ids)
        if looked_at > SLICE and sys.stderr.isatty():
            print(f"\r{looked_at} messages", end="", file=context.err, flush=True)
    if looked_at > SLICE and sys.stderr.isatty():
        print(file=context.err)
    context.show({"messages": changed, "recipients": recipients})
    context.say(f"{len(changed)} messages, {recipients} recipients {done}")
    return DONE


def _apply(ids: Sequence[str], action: Action, transaction: Transaction) -> list[int]:
    return [action(transaction, queue_id) for queue_id in ids]
