"""ENVELOPE, BODY and BODYSTRUCTURE are Dovecot's, token by token, but for what is explained.

Why: clients have been written against Dovecot for twenty years. Where the standards leave a choice, its answer is
the one that they understand; where ours is another, the reason stands here.

Standards: RFC 9051 7.5.2 (ENVELOPE, BODY, BODYSTRUCTURE).
Known gaps: bare CR and LF and NUL are left out: Dovecot sends mail with other octets than were appended.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedaemon.message.mime.shape import read_shape
from tests.corpus.odd_mail import FIELDS, HEADERS, STRUCTURES
from tests.lab.dovecot import Dovecot, dovecot
from tests.lab.imap_client import ImapClient
from tests.lab.imap_tokens import Token, parse
from tests.message.mime.mails import well_formed
from tests.message.mime.test_properties import octets_of

__all__ = ["dovecot"]

ITEMS: Final = ("ENVELOPE", "BODY", "BODYSTRUCTURE")
CORPUS: Final = STRUCTURES | FIELDS | HEADERS
EXPLAINED: Final[dict[str, str]] = {
    "no boundary parameter": "nothing can delimit parts, so it is the text/plain of RFC 2045 5.2 and is shown",
    "Content-Type: text": "no usable type is text/plain (RFC 2045 5.2); an empty subtype is not in the grammar",
    "Content-Type: /": "no usable type is text/plain (RFC 2045 5.2)",
    "Content-Type: text/": "no usable type is text/plain (RFC 2045 5.2)",
    "Content-Type: image/png;name=a;;x=1": "what is not understood is passed over; what follows still counts",
    "Content-Disposition: ; filename=a": "without a word it is none",
    "Content-Disposition: ": "without a word it is none",
    "Content-Language: en,,de": "what is not understood is passed over; what follows still counts",
    "no MIME-Version": "what the fields say counts: mail without MIME-Version is common",
    "From: ,a@x.test": "an empty element is no address (RFC 5322 4.4)",
    "From: a@x.test;b@x.test": "people type semicolons for commas; none of the addresses is hidden",
    "To: :;": "a group has a name (RFC 5322 3.4)",
    "folded with nothing": "each fold leaves one space, so that two leave two",
}
"""Where our answer is deliberately another."""


LINES: Final = (
    b"--a", b"--b", b"--ab", b"--a--", b"--b--", b"--ab--", b"--", b"", b"", b"", b"x", b"-x", b"Subject: s",
    b"Content-Type: multipart/mixed; boundary=a", b"Content-Type: multipart/digest; boundary=b",
    b"Content-Type: multipart/alternative; boundary=ab", b"Content-Type: message/rfc822",
    b"Content-Type: text/html; charset=utf-8", b"Content-Transfer-Encoding: base64", b"From: A <a@b>, c@d",
)  # fmt: skip
pieces = st.lists(st.sampled_from(LINES), max_size=40).map(b"\r\n".join)


def ours(message: bytes) -> list[Token]:
    """Return the three as we answer them."""
    shape = read_shape([message])
    return [token for octets in (shape.envelope, shape.body, shape.bodystructure) for token in parse(octets)]


def theirs(client: ImapClient, message: bytes) -> list[Token]:
    """Return the three as Dovecot answers them for *message*, appended to the selected INBOX."""
    answer = client.append(b"INBOX", message)
    (arrived,) = answer.named("EXISTS")
    fetched = client.ok(b"FETCH %d (ENVELOPE BODY BODYSTRUCTURE)" % (arrived.number or 0)).fetched()
    (items,) = fetched.values()
    return [items[name] for name in ITEMS]


@pytest.fixture(scope="module")
def inbox(dovecot: Dovecot) -> Iterator[ImapClient]:
    """A connection with an INBOX selected."""
    with dovecot.imap("shape") as client:
        client.ok(b"SELECT INBOX")
        yield client


@pytest.mark.parametrize("name", [name for name, message in CORPUS.items() if message])
def test_the_corpus_is_read_as_dovecot_reads_it(inbox: ImapClient, name: str) -> None:
    """A difference must be in the table, and what is there must be one."""
    here, there = ours(CORPUS[name]), theirs(inbox, CORPUS[name])
    if name in EXPLAINED:
        assert here != there
    else:
        assert here == there


def test_the_table_names_messages() -> None:
    """A difference that is gone leaves no row behind; Dovecot takes no empty message."""
    assert EXPLAINED.keys() <= {name for name, message in CORPUS.items() if message}


@given(st.one_of(pieces, well_formed.map(octets_of)))
@settings(max_examples=150, derandomize=True, deadline=None, database=None)
def test_made_up_structures_are_read_as_dovecot_reads_them(inbox: ImapClient, message: bytes) -> None:
    """Delimiters, headers and types in any order."""
    message = b"MIME-Version: 1.0\r\n" + message
    assert ours(message) == theirs(inbox, message)
