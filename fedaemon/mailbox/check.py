"""What ``fedaemonctl verify`` looks at in the mailboxes."""

from __future__ import annotations

from collections.abc import Iterator

from fedaemon.mailbox.store import mailboxes
from fedaemon.store.interface import Snapshot, Transaction
from fedaemon.store.records import decode, encode
from fedaemon.store.spaces import MAIL, MAILBOX
from fedaemon.store.verify import Finding


class MailboxChecker:
    """Every mail belongs to a mailbox, and no UID is at or above its mailbox's UIDNEXT."""

    def references(self, snapshot: Snapshot) -> Iterator[str]:
        """Yield the blob of every mail, once for each reference."""
        for _, value in snapshot.scan((MAIL,)):
            yield decode(value)["blob"]

    def problems(self, snapshot: Snapshot) -> Iterator[Finding]:
        """Yield what is wrong."""
        known = set()
        for mailbox in mailboxes(snapshot):
            known.add(mailbox.id)
            highest = _highest_uid(snapshot, mailbox.id)
            if highest >= mailbox.uidnext:
                what = (
                    f"{mailbox.account} {mailbox.name}: UIDNEXT {mailbox.uidnext}, but there is UID {highest}"
                )
                yield Finding("mailbox.uidnext", what, repaired=False)
        for mailbox_id, count in _counts(snapshot).items():
            if mailbox_id not in known:
                yield Finding(
                    "mailbox.lost", f"{count} mails of mailbox {mailbox_id}, which is gone", repaired=False
                )

    def repair(self, transaction: Transaction) -> None:
        """Bring UIDNEXT up; mail without a mailbox is left for a person to look at."""
        for mailbox in list(mailboxes(transaction)):
            highest = _highest_uid(transaction, mailbox.id)
            if highest >= mailbox.uidnext:
                key = (MAILBOX, mailbox.account, mailbox.name)
                value = transaction.get(key)
                assert value is not None
                transaction.put(key, encode({**decode(value), "uidnext": highest + 1}))


def _highest_uid(snapshot: Snapshot, mailbox_id: str) -> int:
    for key, _ in snapshot.scan((MAIL, mailbox_id), reverse=True, limit=1):
        assert isinstance(key[2], int)
        return key[2]
    return 0


def _counts(snapshot: Snapshot) -> dict[str, int]:
    """Return how many mails each mailbox id has."""
    counts: dict[str, int] = {}
    for key, _ in snapshot.scan((MAIL,)):
        assert isinstance(key[1], str)
        counts[key[1]] = counts.get(key[1], 0) + 1
    return counts
