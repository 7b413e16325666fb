"""Whether there is room for a message: what an account, and its domain as a whole, keep and may keep.

The limits are the directory's, the counters the mailboxes', and neither package knows the other: here they meet,
below everything that takes messages in (SMTP, local delivery, IMAP, fedaemonctl).

Standards: RFC 9208 3.2 (quota roots), 4.3.1 and RFC 5530 3 (OVERQUOTA), RFC 5321 4.2.2 (452, 552), RFC 3463 3.3
(X.2.2, X.2.3).
Invariants: every live message counts, in Trash like elsewhere; what is kept already stays, whatever the limit: it
keeps new messages out only. Who sends mail is not told how much somebody keeps.
Limits: of a check inside the transaction that adds, exact; of one before it, true until others add.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from fedaemon.accounts.directory import get_domain, stored_account
from fedaemon.accounts.sizes import rounded_size
from fedaemon.errors import Refused
from fedaemon.mailbox.state import Usage, usage
from fedaemon.store.interface import Snapshot

ORDINARY_OCTETS: Final = 100 * 1024
"""Mail without attachments: who has no room for that is over quota in an administrator's eyes."""

Kind = Literal["account", "domain"]


class OverQuota(Refused):
    """There is no room: 452 for now, 552 for a message that is larger than all the room there could be."""

    code = 452
    status = "4.2.2"
    imap_code = b"OVERQUOTA"
    category = "capacity"
    """What the classification calls it."""


@dataclass(frozen=True, slots=True)
class Quota:
    """What an account, or all accounts of a domain together, keep and may keep: a quota root.

    :param name: the account's address, or the domain's name.
    :param used: by live messages.
    :param octets: the limit, None for none; *messages* likewise.

    Spec: RFC 9208 3.2
    """

    kind: Kind
    name: str
    used: Usage
    octets: int | None
    messages: int | None

    def has_room(self, octets: int, messages: int = 1) -> bool:
        """Tell whether so much more can be kept now."""
        return (self.octets is None or self.used.octets + octets <= self.octets) and (
            self.messages is None or self.used.messages + messages <= self.messages
        )

    def could_hold(self, octets: int) -> bool:
        """Tell whether a message of that size had room if there were no other."""
        return self.octets is None or octets <= self.octets

    @property
    def is_over(self) -> bool:
        """Whether ordinary mail has no room."""
        return not self.has_room(ORDINARY_OCTETS)


def of_account(snapshot: Snapshot, address: str, quota_octets: int | None = None) -> tuple[Quota, Quota]:
    """Return the quota of an account and that of its domain; a message needs room in both.

    :param address: of the account, in canonical form.
    :param quota_octets: the settings' default for accounts without a limit of their own, None for none.
    """
    account = stored_account(snapshot, address)
    octets = quota_octets if account is None or account.quota_octets is None else account.quota_octets
    messages = account.quota_messages if account is not None else None
    # 0 in a record says that there is no limit, where the settings have one.
    own = Quota("account", address, usage(snapshot, "account", address), octets or None, messages or None)
    return own, of_domain(snapshot, address.rpartition("@")[2])


def of_domain(snapshot: Snapshot, name: str) -> Quota:
    """Return the quota of a domain; *name* in canonical form."""
    domain = get_domain(snapshot, name)
    octets, messages = (domain.quota_octets, domain.quota_messages) if domain is not None else (None, None)
    return Quota("domain", name, usage(snapshot, "domain", name), octets or None, messages or None)


def check(
    snapshot: Snapshot, address: str, octets: int, messages: int = 1, *, quota_octets: int | None = None
) -> None:
    """Raise unless so much more can be kept; the text is for the account's owner.

    :param octets: of all messages to be added together, with what is put in front of them.
    :param quota_octets: as in ``of_account``.
    :raises OverQuota: with what is used of what, and who can change it.

    Spec: RFC 9208 4.3.1
    """
    for quota in of_account(snapshot, address, quota_octets):
        if not quota.has_room(octets, messages):
            text = (
                f"{quota.name} keeps {describe(quota)}, and {rounded_size(octets)} more have no room; delete "
                "something and empty Trash, or ask the administrator for: "
                f"fedaemonctl {quota.kind} quota {quota.name}"
            )
            if messages == 1 and not quota.could_hold(octets):
                raise OverQuota(text, code=552, status="5.2.3")
            raise OverQuota(text)


def check_room(
    snapshot: Snapshot, address: str, octets: int, named: str, *, quota_octets: int | None = None
) -> None:
    """Raise unless a message has room in the mailbox of *address*; the text is for its sender.

    It is always a temporary refusal: whatever came this far waits, and the limit may have been a mistake.

    :param named: the address that the sender gave, which need not be the account's.
    :param quota_octets: as in ``of_account``.
    :raises OverQuota: 452 4.2.2.

    Spec: RFC 5321 4.2.2
    """
    if not all(quota.has_room(octets) for quota in of_account(snapshot, address, quota_octets)):
        raise OverQuota(f"<{named}>: the mailbox is full; try again later, or tell the recipient another way")


def describe(quota: Quota) -> str:
    """Return what is used of what: "1.2 GiB of 5 GiB, 3,021 messages"."""
    octets = rounded_size(quota.used.octets)
    if quota.octets is not None:
        octets += f" of {rounded_size(quota.octets)}"
    messages = f"{quota.used.messages:,}"
    if quota.messages is not None:
        messages += f" of {quota.messages:,}"
    return f"{octets}, {messages} messages"
