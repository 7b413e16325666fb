"""GETQUOTA, GETQUOTAROOT and SETQUOTA: RFC 9208 4."""

from __future__ import annotations

from fedaemon.accounts.directory import put_account, put_domain
from fedaemon.accounts.records import Account, Domain
from tests.imap.lab import ACCOUNT, Lab

DONE = b"OK That is all"
MAIL = b"Subject: x\r\n\r\n" + b"x" * 1500


def limit(lab: Lab, *, octets: int | None = None, messages: int | None = None) -> None:
    """Give the account limits of its own."""
    lab.write(lambda t: put_account(t, Account(ACCOUNT, quota_octets=octets, quota_messages=messages)))


def test_without_limits(lab: Lab) -> None:
    """RFC 9208 4.2.2: a mailbox need not have a quota root."""
    client = lab.client()
    assert client.send(b"GETQUOTAROOT Sent") == [b"* QUOTAROOT Sent", DONE]
    assert client.tagged(b"GETQUOTA " + ACCOUNT.encode()).startswith(b"NO [NONEXISTENT] ")


def test_limits_of_the_account(lab: Lab) -> None:
    """RFC 9208 4.1.2, 5.1: units of 1,024 octets, parts of one as a whole; also for a mailbox to be made."""
    limit(lab, octets=10 * 1024, messages=50)
    lab.deliver(MAIL)
    lab.deliver(MAIL, name="Sent")
    client = lab.client()
    line = b"* QUOTA a@example.org (STORAGE 3 10 MESSAGE 2 50)"
    assert client.send(b'GETQUOTAROOT "not yet"') == [b'* QUOTAROOT "not yet" a@example.org', line, DONE]
    assert client.send(b'GETQUOTA "a@example.org"') == [line, DONE]


def test_the_default_of_the_settings(lab: Lab) -> None:
    """An account without a limit of its own has that of the settings; messages are not limited then."""
    client = lab.client(quota_octets=1025)
    assert client.send(b"GETQUOTA a@example.org")[0] == b"* QUOTA a@example.org (STORAGE 0 2)"


def test_limits_of_the_domain(lab: Lab) -> None:
    """RFC 9208 3.2: a mailbox can have two quota roots."""
    lab.write(lambda t: put_domain(t, Domain("example.org", quota_messages=7)))
    limit(lab, octets=1024)
    client = lab.client()
    assert client.send(b"GETQUOTAROOT INBOX") == [
        b"* QUOTAROOT INBOX a@example.org example.org",
        b"* QUOTA a@example.org (STORAGE 0 1)",
        b"* QUOTA example.org (MESSAGE 0 7)",
        DONE,
    ]
    assert client.send(b"GETQUOTA example.org")[0] == b"* QUOTA example.org (MESSAGE 0 7)"
    assert client.tagged(b"GETQUOTA b@example.org").startswith(b"NO [NONEXISTENT] ")


def test_limits_are_the_administrators(lab: Lab) -> None:
    """RFC 9208 4.1.3: SETQUOTA is refused, and nothing changes."""
    limit(lab, octets=1024)
    client = lab.client()
    assert client.tagged(b"SETQUOTA a@example.org (STORAGE 512)").startswith(b"NO [NOPERM] ")
    assert client.send(b"GETQUOTA a@example.org")[0] == b"* QUOTA a@example.org (STORAGE 0 1)"
