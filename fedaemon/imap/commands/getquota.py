"""GETQUOTA, and what GETQUOTAROOT says of each quota root.

Standards: RFC 9208 3.2 (quota roots), 4.1.1, 4.2.1, 5 (STORAGE, MESSAGE).
Invariants: a quota root is named after the account or the domain; one without limits is none.
"""

from __future__ import annotations

from functools import partial

from fedaemon.delivery import quota as quotas
from fedaemon.delivery.quota import Quota
from fedaemon.errors import Refused
from fedaemon.imap import writer
from fedaemon.imap.events import Command
from fedaemon.imap.operations import Read
from fedaemon.imap.parse.metadata import GetQuota
from fedaemon.imap.session import Done, Session
from fedaemon.store.interface import Snapshot


class NoSuchRoot(Refused):
    """There is no quota root of that name."""

    imap_code = b"NONEXISTENT"


async def run(session: Session, arguments: GetQuota, command: Command) -> Done:
    """Tell the limits of a quota root, and what of them is used. Spec: RFC 9208 4.1.1"""
    for root in await Read(partial(roots_of, account=session.account, default=session.settings.quota_octets)):
        if root.name.encode() == arguments.root:
            session.say(quota_line(session, root))
            return Done("That is all")
    raise NoSuchRoot("There is no quota root of that name, or it has no limit")


def roots_of(snapshot: Snapshot, account: str, default: int | None) -> list[Quota]:
    """Return the quota roots of an account: its own and its domain's, as far as they have limits.

    One without limits is not named: Thunderbird takes an empty list of resources for a syntax error.

    :param default: octets, for accounts without a limit of their own.

    Spec: RFC 9208 3.2
    """
    both = quotas.of_account(snapshot, account, default)
    return [root for root in both if root.octets is not None or root.messages is not None]


def quota_line(session: Session, root: Quota) -> bytes:
    """Return the answer for a quota root; octets are told in units of 1,024, parts of one as a whole.

    Spec: RFC 9208 4.2.1, 5.1, 5.2
    """
    resources = []
    if root.octets is not None:
        resources.append(b"STORAGE %d %d" % (-(-root.used.octets // 1024), -(-root.octets // 1024)))
    if root.messages is not None:
        resources.append(b"MESSAGE %d %d" % (root.used.messages, root.messages))
    name = writer.astring(root.name.encode(), utf8=session.utf8)
    return writer.untagged(b"QUOTA", name, b"(" + b" ".join(resources) + b")")
