"""Nobody sends as somebody else: envelope sender, From and Sender must be identities of who logged in.

All three are checked together, because each of them alone is what some program shows or trusts: a free
envelope sender aims reports at strangers, a free From deceives readers, a free Sender deceives filters.

Standards: RFC 6409 6.1 (enforced submission rights), RFC 5322 3.6.2 (From, Sender).
Invariants: a message has exactly one From field with exactly one address, and at most one Sender field.
"""

from __future__ import annotations

from fedaemon.accounts.directory import is_hosted, may_send_as
from fedaemon.errors import BadSyntax, Refused
from fedaemon.message.address import Address
from fedaemon.message.header import Header
from fedaemon.message.mailboxes import parse_mailboxes
from fedaemon.store.interface import Snapshot
from fedaemon.submission.envelope import Peer


def check_identity(snapshot: Snapshot, peer: Peer, address: Address, where: str) -> None:
    """Raise ``Refused`` unless *peer* may send as *address*.

    :param where: what the address was given as, for the text: "envelope sender", "From", "Sender".
    """
    if peer.account is None:
        if not is_hosted(snapshot, address.domain):
            raise Refused(
                f"{where} <{address}> is not in a domain of this server; programs that need no login may send "
                "only as addresses of its domains"
            )
        return
    login = peer.account.address
    if not may_send_as(snapshot, peer.account, address):
        raise Refused(
            f"{where} <{address}> is not an address of login {login}; send as your own address, or have it "
            f"added: fedaemonctl account identity add {login} {address}"
        )


def check_header_identities(snapshot: Snapshot, peer: Peer, header: Header) -> None:
    """Raise ``Refused`` or ``BadSyntax`` unless From and Sender are single and belong to *peer*."""
    senders = header.get_all(b"from")
    if len(senders) != 1:
        found = f"{len(senders)} From fields" if senders else "no From field"
        raise Refused(f"the message has {found}; it must have exactly one", status="5.6.0")
    check_identity(snapshot, peer, single_address(senders[0].value, "From"), "From")
    agents = header.get_all(b"sender")
    if len(agents) > 1:
        raise Refused("the message has several Sender fields; it may have one", status="5.6.0")
    if agents:
        check_identity(snapshot, peer, single_address(agents[0].value, "Sender"), "Sender")


def single_address(value: bytes, name: str) -> Address:
    """Return the one address that the field *name* holds; BadSyntax or Refused with what is wrong."""
    try:
        mailboxes = parse_mailboxes(value)
    except BadSyntax as error:
        raise BadSyntax(f"the {name} field cannot be read: {error}", code=550, status="5.6.0") from error
    if len(mailboxes) != 1:
        raise Refused(
            f"the {name} field has {len(mailboxes)} addresses; it must have exactly one", status="5.6.0"
        )
    return mailboxes[0].address
