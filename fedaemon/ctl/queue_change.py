"""``fedaemonctl queue retry``, ``hold``, ``release``, ``bounce`` and ``delete``: acting on one message, on many,
on what a filter finds, or on all.

JSON of each is ``{"messages": [ids that were changed], "recipients": n, "under_way": n, "spared": n,
"stopped": null or why}``: how many recipients that concerned, how many were left alone because an attempt for
them is under way, how many messages ``delete`` left alone because they wait for recipients that do not fit
too, and what kept the command from going on to the end.

Invariants: changes are made in slices with a pause between them, so that a running daemon never waits long;
each message is looked at again in the transaction that changes it, so that what happened since it was found
counts; a command that stops early says exactly what it did.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from fedaemon.ctl import slices, terminal
from fedaemon.ctl.command import DONE, Context
from fedaemon.ctl.queue_filter import add_filters, is_filtered, read_filter
from fedaemon.ctl.terminal import Interruption, Progress, confirm
from fedaemon.delivery import actions
from fedaemon.delivery.actions import Changed, Meant
from fedaemon.delivery.outcomes import Terms
from fedaemon.delivery.records import load_message
from fedaemon.delivery.selection import OVER, Filter, select
from fedaemon.delivery.site_listing import known_sites
from fedaemon.delivery_setup import schedule
from fedaemon.errors import MailError
from fedaemon.store.interface import Snapshot, Transaction

SLICE: Final = 100
"""Messages changed in one transaction."""

MAX_REASON: Final = 400

Change = Callable[[str, Meant], Changed]
"""Changes one message: its id, and which of its recipients are meant."""

Begin = Callable[[Transaction], Change]
"""Returns what changes messages in one transaction."""


@dataclass(frozen=True, slots=True)
class Deed:
    """One of the commands. *prepare* is called once, before anything is changed.

    *asks*: it cannot be undone, so it asks before it is done to more than was named. *whole*: it concerns
    whole messages, and finished ones too.
    """

    name: str
    done: str
    about: str
    prepare: Callable[[Context, argparse.Namespace], Begin]
    asks: bool = False
    whole: bool = False


@dataclass(slots=True)
class Tally:
    """What has been done so far."""

    messages: list[str] = field(default_factory=list)
    looked_at: int = 0
    recipients: int = 0
    under_way: int = 0
    spared: int = 0
    stopped: str = ""


def register(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the commands."""
    for deed in DEEDS:
        parser = commands.add_parser(
            deed.name,
            parents=[common],
            help=deed.about,
            description=f"{deed.about[0].upper()}{deed.about[1:]}. Give ids, a filter, or --all.",
        )
        parser.add_argument("ids", nargs="*", metavar="ID", help="queue ids")
        group = add_filters(parser)
        group.add_argument("--all", action="store_true", help="every message that is not finished")
        if deed.asks:
            parser.add_argument("--yes", action="store_true", help="do not ask")
        if deed.name == "bounce":
            parser.add_argument(
                "--reason",
                type=read_reason,
                default=actions.GIVEN_UP,
                metavar="TEXT",
                help='what the sender reads (default: "%(default)s")',
            )
        parser.set_defaults(run=run_change, deed=deed, misuse=parser.error)


def read_reason(text: str) -> str:
    """Return a reason as one line, for argparse."""
    reason = " ".join(text.split())
    if not reason or len(reason) > MAX_REASON or not reason.isprintable():
        raise argparse.ArgumentTypeError(f"must be text of 1 to {MAX_REASON} characters")
    return reason


def run_change(context: Context, arguments: argparse.Namespace) -> int:
    """Do what the command says to what it is about."""
    deed: Deed = arguments.deed
    named = list(dict.fromkeys(queue_id.upper() for queue_id in arguments.ids))
    if (bool(named), arguments.all, is_filtered(arguments)).count(True) != 1:
        arguments.misuse("give either ids, or options that say which messages, or --all")
    if named:
        unknown = context.view(partial(_unknown, named))
        if unknown:
            listed = ", ".join(unknown[:5]) + (" and others" if len(unknown) > 5 else "")
            return context.refuse(
                f"there is no message {listed}; nothing was {deed.done}; fedaemonctl queue list shows what"
                " there is"
            )
        return _report(context, deed, _work(context, arguments, named, None))
    wanted = _wanted(context, arguments)
    try:
        ids = _collect(context, wanted)
        question = f"{deed.name} {len(ids)} messages?"
        if deed.asks and ids and not confirm(context, question, yes=arguments.yes):
            return context.refuse(f"nothing was {deed.done}")
    except KeyboardInterrupt:
        return context.refuse(f"interrupted; nothing was {deed.done}")
    return _report(context, deed, _work(context, arguments, ids, wanted))


def _unknown(ids: Sequence[str], snapshot: Snapshot) -> list[str]:
    return [queue_id for queue_id in ids if load_message(snapshot, queue_id) is None]


def _wanted(context: Context, arguments: argparse.Namespace) -> Filter:
    """Return the filter; finished mail is meant only by what concerns it, and only when it is asked for."""
    wanted = read_filter(context, arguments)
    over = arguments.deed.whole and wanted.state in OVER
    return wanted if over else wanted.narrowed()


def _collect(context: Context, wanted: Filter) -> list[str]:
    """Return the ids of all that fits, before anything is changed: changes move what an index shows."""
    with Progress(context, "looking for messages") as progress:
        return [found.queue_id for found in select(context.view, wanted, progress.at)]


def _work(
    context: Context, arguments: argparse.Namespace, ids: Sequence[str], wanted: Filter | None
) -> Tally:
    """Change the messages, slice by slice, until all is done or something stops it."""
    tally = Tally()
    deed: Deed = arguments.deed
    begin = deed.prepare(context, arguments)
    with (
        Interruption() as interruption,
        Progress(context, deed.name, total=len(ids)) as progress,
    ):
        for slice_ in _slices(ids):
            if interruption.asked:
                tally.stopped = "interrupted"
                break
            if tally.looked_at:
                time.sleep(slices.PAUSE_S)
            try:
                _count(tally, context.transact(partial(_apply, deed, begin, slice_, wanted)))
            except MailError as error:
                tally.stopped = error.text
                break
            tally.looked_at += len(slice_)
            progress.at(tally.looked_at)
    return tally


def _slices(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    for first in range(0, len(ids), SLICE):
        yield ids[first : first + SLICE]


def _apply(
    deed: Deed, begin: Begin, ids: Sequence[str], wanted: Filter | None, transaction: Transaction
) -> list[tuple[str, Changed | None]]:
    """Change messages; return what became of each, None for one that was spared."""
    change = begin(transaction)
    results: list[tuple[str, Changed | None]] = []
    for queue_id in ids:
        found = actions.find(transaction, queue_id)
        if found is None or (wanted is not None and not wanted.takes(found)):
            continue
        if wanted is not None and deed.whole and wanted.spares(found):
            results.append((queue_id, None))
            continue
        meant = actions.everyone if wanted is None else wanted.fits
        changed = change(queue_id, meant)
        if deed.whole or changed.recipients or changed.under_way:
            results.append((queue_id, changed))
    return results


def _count(tally: Tally, results: Sequence[tuple[str, Changed | None]]) -> None:
    for queue_id, changed in results:
        if changed is None:
            tally.spared += 1
            continue
        tally.recipients += changed.recipients
        tally.under_way += changed.under_way
        if changed.recipients or not changed.under_way:
            tally.messages.append(queue_id)


def _report(context: Context, deed: Deed, tally: Tally) -> int:
    """Say what was done; return the exit code."""
    context.show(
        {
            "messages": tally.messages,
            "recipients": tally.recipients,
            "under_way": tally.under_way,
            "spared": tally.spared,
            "stopped": tally.stopped or None,
        }
    )
    done = f"{len(tally.messages)} messages, {tally.recipients} recipients {deed.done}"
    context.say(done)
    if tally.under_way:
        context.say(f"{tally.under_way} recipients were left alone: an attempt for them is under way")
    if tally.spared:
        context.say(f"{tally.spared} messages were left alone: they also wait for recipients that do not fit")
    if tally.stopped:
        return context.refuse(f"{tally.stopped}; before that: {done}; run it again for the rest")
    return DONE


def _retry(context: Context, arguments: argparse.Namespace) -> Begin:
    def begin(transaction: Transaction) -> Change:
        sites, now_ms = known_sites(transaction), terminal.now_ms()
        return lambda queue_id, meant: actions.retry(transaction, queue_id, now_ms, sites=sites, meant=meant)

    return begin


def _hold(context: Context, arguments: argparse.Namespace) -> Begin:
    return lambda transaction: (
        lambda queue_id, meant: actions.hold(transaction, queue_id, terminal.now_ms(), meant=meant)
    )


def _release(context: Context, arguments: argparse.Namespace) -> Begin:
    return lambda transaction: (
        lambda queue_id, meant: actions.release(transaction, queue_id, terminal.now_ms(), meant=meant)
    )


def _bounce(context: Context, arguments: argparse.Namespace) -> Begin:
    settings = context.settings
    terms = Terms(settings.server.hostname, schedule(settings), context.engine.blobs)
    return lambda transaction: (
        lambda queue_id, meant: actions.bounce(
            transaction, terms, queue_id, terminal.now_ms(), reason=arguments.reason, meant=meant
        )
    )


def _delete(context: Context, arguments: argparse.Namespace) -> Begin:
    blobs = context.engine.blobs
    return lambda transaction: lambda queue_id, meant: actions.delete(transaction, blobs, queue_id)


DEEDS: Final = (
    Deed(
        "retry",
        "tried again",
        "try again now what waits, also where the site is closed for now",
        _retry,
    ),
    Deed("hold", "held", "do not try what waits until it is released", _hold),
    Deed("release", "released", "let go what is held", _release),
    Deed(
        "bounce",
        "bounced",
        "end what waits or is held; the senders get a report",
        _bounce,
        asks=True,
    ),
    Deed(
        "delete",
        "deleted",
        "remove messages with everything about them; nobody is told",
        _delete,
        asks=True,
        whole=True,
    ),
)
