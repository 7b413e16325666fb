"""Reading the reply to EHLO."""

from __future__ import annotations

import pytest

from fedaemon.smtp.client_capabilities import Capabilities


def capabilities(*lines: bytes) -> Capabilities:
    return Capabilities((b"mx.example.net greets you", *lines))


def test_keywords_are_found_in_any_case_and_the_greeting_is_none() -> None:
    offered = capabilities(b"pipelining", b"Size 1000")
    assert "PIPELINING" in offered
    assert "SIZE" in offered
    assert "MX.EXAMPLE.NET" not in offered
    assert "DSN" not in offered


@pytest.mark.parametrize(
    ("line", "limit"),
    [
        (b"SIZE", 0),
        (b"SIZE 35882577", 35882577),
        (b"SIZE 0", 0),
        (b"SIZE -5", 0),
        (b"SIZE " + b"9" * 2000, 0),
    ],
)
def test_size_limit(line: bytes, limit: int) -> None:
    assert capabilities(line).size_limit == limit


def test_limits_of_rfc_9422() -> None:
    offered = capabilities(b"LIMITS RCPTMAX=20 MAILMAX=5 RCPTDOMAINMAX=1")
    assert (offered.max_recipients, offered.max_transactions) == (20, 5)
    assert (capabilities(b"LIMITS RCPTMAX=many").max_recipients, capabilities().max_transactions) == (0, 0)


def test_auth_is_read_in_both_forms() -> None:
    assert capabilities(b"AUTH PLAIN LOGIN").auth_mechanisms == {"PLAIN", "LOGIN"}
    assert capabilities(b"AUTH=LOGIN", b"AUTH PLAIN").auth_mechanisms == {"PLAIN", "LOGIN"}
    assert capabilities().auth_mechanisms == frozenset()
