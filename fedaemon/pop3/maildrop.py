"""The maildrop of a session: the mail that was in the INBOX at login, by number.

Standards: RFC 1939 5 (message numbers, marks), 7 (UIDL), 11 (sizes).
Invariants: a number means the same message, with the same size, as long as the session lasts; marks are
only in the session until its end.
Limits: 8 octets of memory a message; a number has at most ten digits.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

MAX_DIGITS: Final = 10


class Maildrop:
    """What one session sees.

    :param mailbox_id: the mailbox; "" where there is none yet.
    :param uidvalidity: of that mailbox.
    """

    __slots__ = ("_deleted", "_octets", "_sizes", "_uids", "_uidvalidity", "mailbox_id")

    def __init__(self, mailbox_id: str = "", uidvalidity: int = 0) -> None:
        self.mailbox_id = mailbox_id
        self._uidvalidity = uidvalidity
        self._uids = array("I")
        self._sizes = array("I")
        self._deleted: set[int] = set()
        self._octets = 0

    def extend(self, uids: Iterable[int], sizes: Sequence[int]) -> None:
        """Add messages, by UID, behind the others, while the maildrop is being read."""
        self._uids.extend(uids)
        self._sizes.extend(sizes)
        self._octets += sum(sizes)

    def __contains__(self, number: int) -> bool:
        """True for the number of a message that is not marked as deleted."""
        return 1 <= number <= len(self._uids) and number not in self._deleted

    def count(self) -> int:
        """Return how many messages are not marked."""
        return len(self._uids) - len(self._deleted)

    def octets(self) -> int:
        """Return the size of all messages that are not marked."""
        return self._octets

    def numbers(self) -> Iterator[int]:
        """Yield the numbers of the messages that are not marked."""
        deleted = self._deleted
        return (number for number in range(1, len(self._uids) + 1) if number not in deleted)

    def size(self, number: int) -> int:
        """Return the size of a message in octets."""
        return self._sizes[number - 1]

    def uid(self, number: int) -> int:
        """Return the UID of a message."""
        return self._uids[number - 1]

    def unique_id(self, number: int) -> bytes:
        """Return the unique id of a message: 16 characters that no other message of the account ever has.

        Spec: RFC 1939 7
        """
        return b"%08x%08x" % (self._uidvalidity, self._uids[number - 1])

    def mark(self, number: int) -> None:
        """Mark a message, which is not marked yet, as deleted."""
        self._deleted.add(number)
        self._octets -= self._sizes[number - 1]

    def unmark_all(self) -> None:
        """Take all marks away."""
        self._octets += sum(self._sizes[number - 1] for number in self._deleted)
        self._deleted.clear()

    def marked_uids(self) -> tuple[int, ...]:
        """Return the UIDs of the messages marked as deleted."""
        return tuple(self._uids[number - 1] for number in sorted(self._deleted))


def read_number(text: bytes) -> int | None:
    """Return the number that *text* is; None where it is none."""
    return int(text) if text.isdigit() and len(text) <= MAX_DIGITS else None
