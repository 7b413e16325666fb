"""What becomes of an account's mailboxes when the account goes.

Invariants: an account of the same address begins with empty mailboxes, whose UIDVALIDITY is above that of all
before; what was in the old ones stays until the time for undeleting is over, as after ``mailboxes.delete``.
"""

from __future__ import annotations

from fedaemon.mailbox.mailboxes import lose, mailboxes
from fedaemon.store.interface import Transaction
from fedaemon.store.spaces import IMPORTED, MAILBOX_META, SUBSCRIPTION


def delete_all(transaction: Transaction, account: str, now_ms: int) -> int:
    """Delete all mailboxes of *account*, INBOX too, with its subscriptions and notes; return how many."""
    found = list(mailboxes(transaction, account))
    for mailbox in found:
        lose(transaction, mailbox, now_ms)
    # Beside the subscriptions: what is noted of the account itself, and of imports that did not end.
    for prefix in ((SUBSCRIPTION, account), (MAILBOX_META, account, ""), (IMPORTED, account)):
        for key, _ in list(transaction.scan(prefix)):
            transaction.delete(key)
    return len(found)
