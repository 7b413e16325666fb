"""Every way to claim somebody else's address that we know of, by name; the real process is tried in tests/e2e.

Standards: RFC 6409 6.1, RFC 5322 3.6.2.
"""

from __future__ import annotations

import pytest

from fedaemon.accounts.directory import add_account, add_domain, add_identity, get_account
from fedaemon.accounts.records import Account, Domain
from fedaemon.errors import MailError
from fedaemon.message.address import parse_address
from fedaemon.message.header import Header
from fedaemon.submission.envelope import Peer
from fedaemon.submission.identity import check_header_identities, check_identity
from tests.fakes import MemoryTransaction

ALICE = "alice@example.test"


@pytest.fixture
def store() -> MemoryTransaction:
    """A store with alice, who may also send as sales@ and as anybody of shop.test."""
    transaction = MemoryTransaction({})
    for domain in ("example.test", "shop.test"):
        add_domain(transaction, Domain(domain))
    add_account(transaction, Account(ALICE))
    add_account(transaction, Account("bob@example.test"))
    add_identity(transaction, ALICE, "sales@example.test")
    add_identity(transaction, ALICE, "@shop.test")
    return transaction


def alice(store: MemoryTransaction) -> Peer:
    """Return alice, logged in."""
    return Peer("192.0.2.1", account=get_account(store, ALICE))


def check(store: MemoryTransaction, header: bytes) -> None:
    """Check a message of alice's."""
    check_header_identities(store, alice(store), Header.parse(header, max_octets=10_000, max_fields=100))


@pytest.mark.parametrize(
    "header",
    [
        b"From: alice@example.test\r\n",
        b"FROM: Alice <ALICE@Example.TEST>\r\n",
        b"From: alice+news@example.test\r\n",
        b"From: Sales <sales@example.test>\r\nSender: alice@example.test\r\n",
        b"From: whoever@shop.test\r\n",
        b"From: =?utf-8?q?bob=40example=2Etest?= <alice@example.test>\r\n",
    ],
)
def test_own_addresses_pass(store: MemoryTransaction, header: bytes) -> None:
    """Own address in any case and with a tag, an identity, a whole domain; names may be anything."""
    check(store, header)


@pytest.mark.parametrize(
    "header",
    [
        pytest.param(b"Subject: x\r\n", id="no From"),
        pytest.param(b"From: bob@example.test\r\n", id="somebody else"),
        pytest.param(b"From: bob@example.test\r\nSender: alice@example.test\r\n", id="own Sender only"),
        pytest.param(b"From: alice@example.test\r\nSender: bob@example.test\r\n", id="foreign Sender"),
        pytest.param(b"From: alice@example.test\r\nfrom: bob@example.test\r\n", id="second From"),
        pytest.param(b"From: alice@example.test\r\nFrom : bob@example.test\r\n", id="From with space"),
        pytest.param(b"From: alice@example.test, bob@example.test\r\n", id="two addresses"),
        pytest.param(b"From: alice@example.test,\r\n bob@example.test\r\n", id="folded second address"),
        pytest.param(b'From: "alice@example.test" <bob@example.test>\r\n', id="own address as name"),
        pytest.param(b"From: bob@example.test (alice@example.test)\r\n", id="own address as comment"),
        pytest.param(b"From: team: alice@example.test, bob@example.test;\r\n", id="group"),
        pytest.param(b"From: team:;\r\n", id="empty group"),
        pytest.param(b"From: \r\n", id="empty"),
        pytest.param(b"From: <>\r\n", id="empty path"),
        pytest.param(b'From: "alice@example.test"@shop.test.evil.test\r\n', id="quoted local part"),
        pytest.param(b"From: alice@example.test.evil.test\r\n", id="longer domain"),
        pytest.param(b"From: bob+alice@example.test\r\n", id="tag of somebody else"),
        pytest.param(b"From: x@sub.shop.test\r\n", id="subdomain of an identity"),
        pytest.param(b"From: =?utf-8?q?alice=40example=2Etest?=\r\n", id="encoded address"),
        pytest.param(b"From: alice@example.test\0<bob@example.test>\r\n", id="NUL"),
        pytest.param(
            b"Sender: alice@example.test\r\nSender: alice@example.test\r\nFrom: alice@example.test\r\n",
            id="two Senders",
        ),
    ],
)
def test_a_spoofed_header_is_refused(store: MemoryTransaction, header: bytes) -> None:
    """Each is a permanent refusal."""
    with pytest.raises(MailError) as refused:
        check(store, header)
    assert refused.value.permanent


def test_the_refusal_says_which_address_which_login_and_what_to_do(store: MemoryTransaction) -> None:
    """The text can be acted on."""
    with pytest.raises(MailError) as refused:
        check_identity(store, alice(store), parse_address("bob@example.test"), "envelope sender")
    text = refused.value.text
    assert "envelope sender <bob@example.test>" in text
    assert f"login {ALICE}" in text
    assert f"fedaemonctl account identity add {ALICE} bob@example.test" in text


def test_a_trusted_host_sends_as_our_domains_only(store: MemoryTransaction) -> None:
    """Without a login any address of a hosted domain will do, and no other."""
    printer = Peer("192.0.2.2", trusted=True)
    check_identity(store, printer, parse_address("printer@example.test"), "From")
    with pytest.raises(MailError):
        check_identity(store, printer, parse_address("boss@elsewhere.test"), "From")
