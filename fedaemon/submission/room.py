"""Whether whom mail is for has room for it: asked at RCPT, before the content.

An early answer spares both sides the content, and leaves it to the sending server to try again; the count that
decides is taken at delivery (``delivery/local.py``).

Standards: RFC 1870 6.4 (a size that was declared), RFC 5321 4.2.2 (452, 552), RFC 3463 3.3 (X.2.2, X.2.3).
Invariants: nobody is refused because another recipient is full: an alias is followed only as long as it leads to
one place.
Limits: ``MAX_DEPTH`` aliases in a row.
"""

from __future__ import annotations

from fedaemon.accounts.directory import MAX_DEPTH, is_hosted, resolve
from fedaemon.accounts.records import Account, Alias
from fedaemon.delivery import quota
from fedaemon.message.address import Address, parse_address
from fedaemon.store.interface import Snapshot


def check_recipient_room(
    snapshot: Snapshot,
    found: Account | Alias,
    recipient: Address,
    size: int | None,
    quota_octets: int | None,
) -> None:
    """Raise unless who gets the mail for *recipient* has room for it.

    :param found: what takes mail for the address.
    :param size: octets as declared with MAIL, None when nothing was.
    :param quota_octets: the default of accounts without a limit of their own, None for none.
    :raises OverQuota: 452 4.2.2; 552 5.2.3 for a size that no deleting makes room for.

    Spec: RFC 1870 6.4
    """
    account = _only_reader(snapshot, found)
    if account is None:
        return
    if size and not all(
        root.could_hold(size) for root in quota.of_account(snapshot, account.address, quota_octets)
    ):
        raise quota.OverQuota(
            f"<{recipient}>: {size} octets are more than the mailbox can hold; send less, or another way",
            code=552,
            status="5.2.3",
        )
    # Without a size there must be room for something.
    quota.check_room(snapshot, account.address, size or 1, str(recipient), quota_octets=quota_octets)


def _only_reader(snapshot: Snapshot, found: Account | Alias | None) -> Account | None:
    """Return the account that alone gets what *found* takes; None for several, for others' or for nobody."""
    for _ in range(MAX_DEPTH):
        if found is None or isinstance(found, Account):
            return found
        if len(found.targets) != 1:
            return None
        target = parse_address(found.targets[0])
        found = resolve(snapshot, target) if is_hosted(snapshot, target.domain) else None
    return None
