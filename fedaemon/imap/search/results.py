"""What SEARCH and SORT answer of the numbers that were found.

Standards: RFC 9051 6.4.4, 7.3.4, RFC 4731 3.1, RFC 5182 2.1, 2.4 (SAVE), RFC 5267 3 (of a sorted result),
RFC 7162 3.1.5, 3.1.10, RFC 9394 3.1, 3.2.
Limits: numbers are written a block at a time; an ESEARCH of many ranges in one go, 0.2 µs each.
"""

from __future__ import annotations

from array import array
from typing import Final, TypeGuard

from fedaemon.imap import writer
from fedaemon.imap.events import Command
from fedaemon.imap.operations import Room
from fedaemon.imap.parse.search import Result, Return
from fedaemon.imap.sequence_set import Ranges
from fedaemon.imap.session import BLOCK, Session

NUMBERS: Final = 5_000
"""Written in a step, at 0.1 µs each."""


async def say_numbers(session: Session, name: bytes, numbers: array[int], modseq: int | None) -> None:
    """Queue the answer of IMAP4rev1: * SEARCH 1 2 3 (MODSEQ 4).

    :param modseq: the highest of the messages; None without any, or when it was not asked for.

    Spec: RFC 3501 7.2.5, RFC 7162 3.1.5
    """
    session.say(b"* " + name)
    for start in range(0, len(numbers), NUMBERS):
        some = tuple(numbers[start : start + NUMBERS])
        # One format for all takes little more than half the time of one for each.
        session.say(b" %d" * len(some) % some)
        if session.queued >= BLOCK:
            await Room()
    session.say(b"\r\n" if modseq is None else b" (MODSEQ %d)\r\n" % modseq)


def esearch(command: Command, returns: Return, numbers: array[int], modseqs: array[int] | None) -> bytes:
    """Return the ESEARCH response.

    :param numbers: in their order: MIN is the first and MAX the last, as RFC 5267 has it for SORT.
    :param modseqs: of the messages, when MODSEQ is to be told.

    Spec: RFC 9051 7.3.4, RFC 5267 3, RFC 7162 3.1.10
    """
    results = returns.results
    partial = returns.partial
    return writer.esearch(
        command.tag,
        uid=command.uid,
        lowest=numbers[0] if numbers and Result.MIN in results else None,
        highest=numbers[-1] if numbers and Result.MAX in results else None,
        # Of sorted numbers the ranges stand in their order, too.
        everything=Ranges.of(numbers) if Result.ALL in results else None,
        count=len(numbers) if Result.COUNT in results else None,
        partial=None if partial is None else (partial, Ranges.of(numbers[part(partial, len(numbers))])),
        modseq=_modseq(returns, modseqs) if modseqs else None,
    )


def part(partial: tuple[int, int], count: int) -> slice:
    """Return which of *count* results PARTIAL means; -1 is the last. Spec: RFC 9394 3.1"""
    first, last = partial
    if first > 0:
        return slice(first - 1, last)
    return slice(max(count + last, 0), max(count + first + 1, 0))


def saves(returns: Return | None) -> TypeGuard[Return]:
    """Tell whether SAVE is asked for. Spec: RFC 5182 2.1"""
    return returns is not None and Result.SAVE in returns.results


def keep(session: Session, returns: Return, uids: array[int]) -> bool:
    """Keep what SAVE asks for in ``$``; True when nothing else was asked for, so that nothing is to be said.

    :param uids: of the messages that were found, in the order of the answer.

    Spec: RFC 5182 2.1, 2.4, RFC 9394 3.2
    """
    others = returns.results - {Result.SAVE}
    found: set[int] = set()
    if others & {Result.ALL, Result.COUNT} or not (others or returns.partial):
        found.update(uids)
    if returns.partial is not None:
        found.update(uids[part(returns.partial, len(uids))])
    if Result.MIN in others:
        found.update(uids[:1])
    if Result.MAX in others:
        found.update(uids[-1:])
    session.need_selected.saved = Ranges.of(sorted(found))
    return not (others or returns.partial)


def _modseq(returns: Return, modseqs: array[int]) -> int:
    """Return the highest mod-sequence of what is returned. Spec: RFC 7162 3.1.10, RFC 4731 3.2"""
    if returns.partial is None and not returns.results & {Result.ALL, Result.COUNT}:
        ends = ((0, Result.MIN), (-1, Result.MAX))
        return max([modseqs[place] for place, result in ends if result in returns.results])
    return max(modseqs)
