"""Apple's profiles, read with plistlib as a device reads them."""

from __future__ import annotations

import plistlib
from typing import Any

import pytest

from fedaemon.web.apple import PATH
from tests.web.conftest import HOST, Visitor


def profile(visitor: Visitor, **query: str) -> dict[str, Any]:
    answer = visitor.ask(PATH, query=query)
    assert answer.status == 200
    assert answer.media_type == "application/x-apple-aspen-config"
    found: dict[str, Any] = plistlib.loads(answer.body)
    return found


@pytest.mark.parametrize(
    ("query", "kind", "port"),
    [
        ({}, "EmailTypeIMAP", 993),
        ({"protocol": "imap"}, "EmailTypeIMAP", 993),
        ({"protocol": "pop3"}, "EmailTypePOP", 995),
    ],
)
def test_a_profile_sets_up_an_account(visitor: Visitor, query: dict[str, str], kind: str, port: int) -> None:
    """Host, port and TLS of reading and sending, the whole address as user name, and no password."""
    found = profile(visitor, email="alice@example.org", **query)
    assert (found["PayloadType"], found["PayloadVersion"]) == ("Configuration", 1)
    [account] = found["PayloadContent"]
    assert account["PayloadType"] == "com.apple.mail.managed"
    assert (account["EmailAccountType"], account["EmailAddress"]) == (kind, "alice@example.org")
    for direction, number in (("Incoming", port), ("Outgoing", 465)):
        assert account[f"{direction}MailServerHostName"] == HOST
        assert account[f"{direction}MailServerPortNumber"] == number
        assert account[f"{direction}MailServerUseSSL"] is True
        assert account[f"{direction}MailServerUsername"] == "alice@example.org"
    assert not [key for key in account if key.endswith("Password") and isinstance(account[key], str)]


def test_identifiers_are_stable_and_differ(visitor: Visitor) -> None:
    """A profile that is installed again replaces the first; another account's stands beside it."""
    first = profile(visitor, email="alice@example.org")
    again = profile(visitor, email="Alice@example.org")
    other = profile(visitor, email="bob@example.org")
    assert first["PayloadUUID"] == again["PayloadUUID"] != other["PayloadUUID"]
    assert first["PayloadUUID"] != first["PayloadContent"][0]["PayloadUUID"]


def test_names_need_not_be_ascii(visitor: Visitor) -> None:
    """An address of an internationalised domain is kept in its wire form."""
    [account] = profile(visitor, email="почта@пример.рф")["PayloadContent"]
    assert account["EmailAddress"] == "почта@xn--e1afmkfd.xn--p1ai"


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({}, 400),
        ({"email": "alice"}, 400),
        ({"email": "alice@example.org", "protocol": "exchange"}, 400),
        ({"email": "alice@example.net"}, 404),
    ],
)
def test_what_cannot_be_given_is_refused(visitor: Visitor, query: dict[str, str], status: int) -> None:
    """No address, no such protocol, or not our domain."""
    assert visitor.ask(PATH, query=query).status == status
