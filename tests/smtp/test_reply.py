"""Replies on the wire: RFC 5321 4.2, RFC 2034."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedaemon.errors import BadSyntax, Refused, Unavailable
from fedaemon.smtp.reply import MAX_LINE, Reply, reply_to
from tests.smtp.driving import codes


@pytest.mark.parametrize(
    ("reply", "wire"),
    [
        (Reply(250, "2.0.0", "Ok"), b"250 2.0.0 Ok\r\n"),
        (Reply(354, "", "Go on"), b"354 Go on\r\n"),
        (Reply(250, "", ("mx", "SIZE 5", "HELP")), b"250-mx\r\n250-SIZE 5\r\n250 HELP\r\n"),
        (Reply(550, "5.7.1", ("No", "Never")), b"550-5.7.1 No\r\n550 5.7.1 Never\r\n"),
        (Reply(550, "5.7.1", ""), b"550 5.7.1 \r\n"),
        (Reply(550, "5.7.1", ()), b"550 5.7.1 \r\n"),
        (Reply(550, "5.7.1", "a\r\n250 b\0\x1b[2J"), b"550 5.7.1 a  250 b  [2J\r\n"),
        (Reply(550, "5.7.1", "gr\xfc\xdfe"), b"550 5.7.1 gr??e\r\n"),
    ],
)
def test_wire_form(reply: Reply, wire: bytes) -> None:
    """Status on every line, one line per text, no control characters."""
    assert reply.to_bytes() == wire


def test_utf8_where_allowed() -> None:
    """Other characters are written for a client that can read them."""
    assert Reply(550, "5.7.1", "grüße").to_bytes(utf8=True) == "550 5.7.1 grüße\r\n".encode()


@given(st.text(), st.sampled_from(["", "5.7.1"]), st.booleans())
@settings(deadline=None)
def test_any_text_is_one_reply(text: str, status: str, utf8: bool) -> None:
    """No text breaks out of its reply or its lines."""
    wire = Reply(550, status, text * 40).to_bytes(utf8=utf8)
    assert codes(wire) == [550]
    wire.decode("utf-8" if utf8 else "ascii")
    for line in wire.split(b"\r\n"):
        assert len(line) <= MAX_LINE - 2


def test_long_texts_are_cut_at_spaces() -> None:
    """A long text goes over several lines and loses no word."""
    text = " ".join(f"word{number}" for number in range(300))
    lines = Reply(451, "4.3.0", text).to_bytes().decode().splitlines()
    assert len(lines) > 4
    assert " ".join(line[len("451-4.3.0 ") :] for line in lines) == text


@pytest.mark.parametrize(
    ("error", "reply"),
    [
        (BadSyntax("what"), Reply(501, "5.5.2", "what")),
        (Refused("no", code=552, status="5.3.4"), Reply(552, "5.3.4", "no")),
        (Unavailable("later"), Reply(451, "4.3.0", "later")),
    ],
)
def test_errors_know_their_reply(error: Exception, reply: Reply) -> None:
    """Code, status and text of the error."""
    assert reply_to(error) == reply


def test_a_bug_is_a_temporary_failure_that_tells_nothing() -> None:
    """Promise 2: our faults are never permanent; and their words are not for the client."""
    reply = reply_to(KeyError("secret"))
    assert (reply.code, reply.status) == (451, "4.3.0")
    assert "secret" not in str(reply.text)
