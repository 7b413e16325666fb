"""``fedaemonctl queue list``: which messages there are.

Invariants: a listing is printed as it is read, in JSON too, whatever its length.
"""

from __future__ import annotations

import argparse
import itertools
import json
from collections.abc import Iterator
from typing import Any

from fedaemon.ctl.command import DONE, Context
from fedaemon.ctl.queue_filter import add_filters, is_filtered, read_filter
from fedaemon.ctl.terminal import printable, read_count, when
from fedaemon.delivery.listing import summary
from fedaemon.delivery.selection import select

SHOWN_RECIPIENTS = 3


def register(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "list",
        parents=[common],
        help="list messages",
        description="List messages in the order of their acceptance, finished ones too.",
        epilog="What waits for one domain (--state waiting --domain) is found through an index, at once.",
    )
    add_filters(parser)
    parser.add_argument("--limit", type=read_count, metavar="N", help="at most N messages")
    parser.set_defaults(run=run_list)


def run_list(context: Context, arguments: argparse.Namespace) -> int:
    """Print the messages that fit, as they are read."""
    wanted = read_filter(context, arguments)
    rows = itertools.islice(map(summary, select(context.view, wanted)), arguments.limit)
    if context.json:
        _print_array(context, rows)
        return DONE
    first = next(rows, None)
    if first is None:
        context.say("no such messages" if is_filtered(arguments) else "no messages")
        return DONE
    context.say(f"{'ID':16}  {'STATUS':14}  {'ACCEPTED':19}  {'NEXT':19}  SENDER -> RECIPIENTS")
    for row in itertools.chain((first,), rows):
        context.say(_line(row))
    return DONE


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
    more = len(addresses) - SHOWN_RECIPIENTS
    shown = ", ".join(addresses[:SHOWN_RECIPIENTS]) + (f" and {more} more" if more > 0 else "")
    times = f"{when(row['accepted_ms']):19}  {when(row['next_attempt_ms']):19}"
    way = printable(f"{row['sender'] or '<>'} -> {shown}")
    return f"{row['id']:16}  {row['status']:14}  {times}  {way}"
