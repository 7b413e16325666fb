"""Thunderbird's autoconfig, read as a mail program reads it."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from fedaemon.web.autoconfig import PATHS
from tests.web.conftest import HOST, Visitor


@pytest.mark.parametrize("path", PATHS)
def test_settings_come_best_first(visitor: Visitor, path: str) -> None:
    """TLS from the first octet before STARTTLS, IMAP before POP3, and the whole address as user name."""
    answer = visitor.ask(path, query={"emailaddress": "alice@example.org"})
    assert answer.status == 200
    provider = ElementTree.fromstring(answer.body)[0]
    assert provider.get("id") == provider.findtext("domain") == "example.org"

    def servers(tag: str) -> list[tuple[str | None, str | None, str | None]]:
        return [
            (server.get("type"), server.findtext("port"), server.findtext("socketType"))
            for server in provider.findall(tag)
        ]

    assert servers("incomingServer") == [
        ("imap", "993", "SSL"),
        ("imap", "143", "STARTTLS"),
        ("pop3", "995", "SSL"),
        ("pop3", "110", "STARTTLS"),
    ]
    assert servers("outgoingServer") == [("smtp", "465", "SSL"), ("smtp", "587", "STARTTLS")]
    assert {element.text for element in provider.iter("hostname")} == {HOST}
    assert {element.text for element in provider.iter("username")} == {"%EMAILADDRESS%"}
    assert {element.text for element in provider.iter("authentication")} == {"password-cleartext"}


def test_the_domain_may_come_from_the_host_name(visitor: Visitor) -> None:
    """A program that tells no address asks autoconfig.DOMAIN, or the domain itself."""
    for host in ("autoconfig.example.org", "example.org"):
        answer = visitor.ask(PATHS[0], host=host)
        assert ElementTree.fromstring(answer.body).findtext(".//domain") == "example.org"


@pytest.mark.parametrize(
    ("email", "host"),
    [
        ("alice@example.net", "autoconfig.example.org"),
        ("nonsense", ""),
        ("", "autoconfig.example.net"),
        ("", ""),
    ],
)
def test_other_domains_are_not_known(visitor: Visitor, email: str, host: str) -> None:
    """404 for what is not ours, and for what is no domain."""
    query = {"emailaddress": email} if email else {}
    assert visitor.ask(PATHS[0], query=query, host=host).status == 404


def test_nobody_learns_who_has_an_account(visitor: Visitor) -> None:
    """The answer for one name of a domain is that for every other."""
    first, second = (
        visitor.ask(PATHS[0], query={"emailaddress": f"{name}@example.org"}) for name in ("alice", "nobody")
    )
    assert first == second
