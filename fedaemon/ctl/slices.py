"""Changes much in small transactions, so that a running daemon never waits long for its own.

Invariants: between two transactions others get a turn; Ctrl-C lets the one under way finish, so that what is
reported as done is exactly what was done.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, TypeVar

from fedaemon.ctl.command import Context
from fedaemon.ctl.terminal import Interruption, Progress
from fedaemon.errors import MailError
from fedaemon.store.interface import Transaction

T = TypeVar("T")

PAUSE_S: Final = 0.002
"""Between two transactions: LMDB's lock is not fair, and whoever waits for it must get a turn."""


def change(
    context: Context,
    doing: str,
    items: Sequence[T],
    size: int,
    function: Callable[[Sequence[T], Transaction], int],
) -> tuple[int, str]:
    """Change *items*, at most *size* in a transaction; return how many were, and what stopped it ("": nothing).

    :param doing: for the line that shows the progress.
    :param function: changes a slice; returns how many it changed.
    """
    changed = 0
    with Interruption() as interruption, Progress(context, doing, total=len(items)) as progress:
        for first in range(0, len(items), size):
            if interruption.asked:
                return changed, "interrupted"
            if first:
                time.sleep(PAUSE_S)
            try:
                changed += context.transact(partial(function, items[first : first + size]))
            except MailError as error:
                return changed, error.text
            progress.at(first + size)
    return changed, ""
