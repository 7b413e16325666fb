"""What SEARCH TEXT, BODY and HEADER look into."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedaemon.message.mime import search_text
from fedaemon.message.mime.search_text import SearchText, read_search_text
from fedaemon.message.mime.shape import read_shape
from tests.message.mime.mails import broken
from tests.message.strategies import mail_like_octets

MIXED = b"Content-Type: multipart/mixed; boundary=a\r\n\r\n"


def searched(message: bytes, prefix: bytes = b"") -> SearchText:
    content = prefix + message
    parts = read_shape([message]).parts
    return read_search_text(lambda start, stop: content[start:stop], parts, len(prefix))


def test_fields_are_lines_decoded_and_folded() -> None:
    """Prefix first; folds, white space before colons, encoded words and case do not matter."""
    found = searched(
        b"Subject : =?utf-8?q?GR=C3=9CN?=\r\n =?utf-8?q?E?=\r\nX:\r\n\r\nBody", b"Return-Path: <A>\r\n"
    )
    assert found == SearchText("return-path:<a>\nsubject:grüne\nx:\n".encode(), b"body")


def test_an_encoded_word_makes_no_second_field() -> None:
    """Threat: a line end within an encoded word, or a bare CR or NUL, would forge a field for HEADER."""
    found = searched(b"Subject: =?utf-8?q?a=0D=0AFrom:_x?=\rFrom: y\0\r\n\r\n")
    assert found.header.count(b"\n") == 1 and b"\nfrom:" not in found.header


@pytest.mark.parametrize(
    ("message", "body", "headers"),
    [
        (b"Content-Transfer-Encoding: base64\r\n\r\nSEVMTE8=", "hello", ""),
        (b"Content-Type: text/plain; charset=iso-8859-1\r\n\r\nGR\xdcN", "grün", ""),
        (b"Content-Transfer-Encoding: x-odd\r\n\r\nAs It Is", "as it is", ""),
        (b"Content-Type: image/png\r\n\r\nABC", "", ""),
        (MIXED + b"--a\r\nX: Y\r\n\r\nOne\r\n--a\r\n\r\nTwo\r\n--a--\r\n", "one\ntwo", "x:y\n"),
        (
            b"Content-Type: message/rfc822\r\n\r\nSubject: =?utf-8?q?=C3=84?=\r\n\r\nIn",
            "in",
            "subject:ä\n",
        ),
    ],
)
def test_bodies(message: bytes, body: str, headers: str) -> None:
    """Texts, and headers of parts and enclosed messages, each header once; nothing else."""
    found = searched(message)
    assert (found.body.decode(), found.part_headers.decode()) == (body, headers)


def test_so_much_is_read_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits hold for a header and for all that is searched of the body."""
    monkeypatch.setattr(search_text, "MAX_HEADER_OCTETS", 8)
    monkeypatch.setattr(search_text, "MAX_SEARCHED_OCTETS", 5)
    assert searched(b"A: 12345678\r\n\r\nabcdefgh") == SearchText(b"a:12345\n", b"abcde")


@given(st.one_of(broken, mail_like_octets))
def test_any_octets_can_be_searched(message: bytes) -> None:
    """UTF-8 comes out, folded already, and the header of ASCII mail has no more lines than it had."""
    found = searched(message)
    for text in (found.header.decode(), found.body.decode(), found.part_headers.decode()):
        assert text.casefold() == text
    assert found.header.count(b"\n") <= message.count(b"\n") + 1
