"""Going through all mailboxes, some at a time."""

from __future__ import annotations

from collections.abc import Callable

from fedaemon.errors import MailError
from fedaemon.mailbox.state import State
from fedaemon.store.interface import Snapshot
from fedaemon.store.spaces import MAILBOX_STATE


def survey(
    snapshot: Snapshot, first_id: str, limit: int, wanted: Callable[[str, State | None], bool]
) -> tuple[list[str], str | None]:
    """Return those of the next *limit* mailboxes that are *wanted*, and where to go on, None at the end.

    :param first_id: "" at first, then what was returned before.
    :param wanted: is given the id of a mailbox and its counters, None where they are damaged.
    """
    found = []
    looked = 0
    # No text that begins with MAILBOX_STATE and a NUL names a space.
    start, stop = (MAILBOX_STATE, first_id), (MAILBOX_STATE + "\0",)
    for key, value in snapshot.scan(start, stop, limit=limit):
        looked += 1
        mailbox_id = str(key[1])
        first_id = mailbox_id + "\0"
        if wanted(mailbox_id, _state(value)):
            found.append(mailbox_id)
    return found, first_id if looked == limit else None


def _state(value: bytes) -> State | None:
    try:
        return State.from_record(value)
    except MailError:
        return None
