"""The Received field."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedaemon.message.received import MAX_HELO_OCTETS, format_received, protocol_keyword

FIELDS: dict[str, Any] = {
    "helo": "laptop.example.org",
    "protocol": "ESMTPSA",
    "by": "mail.example.org",
    "queue_id": "01ABCDEF",
    "when_s": 1_751_371_200.5,
    "client": "[192.0.2.1]",
    "tls": "TLSv1.3 TLS_AES_256_GCM_SHA384",
    "recipient": "bob@example.net",
}


def test_a_field_tells_all_it_was_given() -> None:
    """RFC 5321 4.4: from, by, with, id, for, date, and TLS as a comment."""
    assert format_received(**FIELDS) == (
        "from laptop.example.org ([192.0.2.1]) by mail.example.org with ESMTPSA"
        " (TLSv1.3 TLS_AES_256_GCM_SHA384) id 01ABCDEF for <bob@example.net>; Tue, 01 Jul 2025 12:00:00 +0000"
    )


def test_what_is_not_known_is_left_out() -> None:
    """A hidden client, no TLS, several recipients."""
    fields = FIELDS | {"client": None, "tls": "", "recipient": None, "protocol": "ESMTPA", "helo": ""}
    assert format_received(**fields) == (
        "from unknown by mail.example.org with ESMTPA id 01ABCDEF; Tue, 01 Jul 2025 12:00:00 +0000"
    )


def test_a_recipient_beyond_ascii_needs_a_utf8_message() -> None:
    """RFC 6531 3.7.3: only a UTF8SMTP field may name it."""
    fields = FIELDS | {"recipient": "жанна@example.org"}
    assert " for " not in format_received(**fields)
    assert " for <жанна@example.org>;" in format_received(**(fields | {"protocol": "UTF8SMTPSA"}))


@given(st.text(max_size=300), st.text(max_size=60))
def test_the_peer_cannot_write_clauses_of_its_own(helo: str, tls: str) -> None:
    """Whatever it says in EHLO, it stays one word: no comment, no second clause, no end of the field."""
    value = format_received(**(FIELDS | {"helo": helo, "tls": tls}))
    assert value.isascii()
    assert value.isprintable()
    assert value.count(";") == 1
    word, rest = value.removeprefix("from ").split(" ", 1)
    assert 1 <= len(word) <= MAX_HELO_OCTETS
    assert rest.startswith("([192.0.2.1]) by mail.example.org with ESMTPSA ")
    assert rest.count("(") == rest.count(")") == (2 if tls else 1)


@pytest.mark.parametrize(
    ("extended", "utf8", "tls", "authenticated", "keyword"),
    [
        (False, False, False, False, "SMTP"),
        (True, False, False, False, "ESMTP"),
        (True, False, True, False, "ESMTPS"),
        (True, False, False, True, "ESMTPA"),
        (True, False, True, True, "ESMTPSA"),
        (True, True, False, False, "UTF8SMTP"),
        (True, True, True, False, "UTF8SMTPS"),
        (True, True, False, True, "UTF8SMTPA"),
        (True, True, True, True, "UTF8SMTPSA"),
    ],
)
def test_protocol_keywords(extended: bool, utf8: bool, tls: bool, authenticated: bool, keyword: str) -> None:
    """The registered keywords of RFC 3848 and RFC 6531 4.3."""
    assert protocol_keyword(extended=extended, utf8=utf8, tls=tls, authenticated=authenticated) == keyword
