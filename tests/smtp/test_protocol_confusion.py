"""Other protocols cannot be used to send mail, and commands in a message are text.

The threat: cross-protocol attacks from a browser (the NNTP/SMTP "form protocol attack"), ALPACA, and command
injection through message content.
"""

from __future__ import annotations

import pytest

from fedaemon.smtp import events
from tests.smtp.driving import ENVELOPE, HELLO, SUBMISSION, Caller, codes, greeted, receiving

REQUESTS = {
    "GET": b"GET / HTTP/1.1\r\n",
    "POST": b"POST / HTTP/1.0\r\n",
    "CONNECT": b"CONNECT mx.example.org:25 HTTP/1.1\r\n",
    "PUT": b"PUT /x HTTP/1.1\r\n",
    "lower case": b"get /\r\n",
    "unknown method": b"BREW /pot HTTP/1.1\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n",
    "with LF only": b"GET / HTTP/1.1\nHost: x\r\n",
    "very long": b"GET /" + b"a" * 20000 + b" HTTP/1.1\r\n",
    "SSH": b"SSH-2.0-OpenSSH_9.2p1\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "TLS with a line end in it": b"\x16\x03\x01\x02\x00\x01\r\n",
    "TLS with LF in it": b"\x16\x03\x01\x0a\x00\x01",
}
FORM = b"Host: mx\r\nContent-Type: text/plain\r\n\r\n" + HELLO + ENVELOPE + b"DATA\r\nspam\r\n.\r\n"


@pytest.mark.parametrize("request_line", REQUESTS.values(), ids=REQUESTS)
@pytest.mark.parametrize("bytewise", [False, True], ids=["whole", "byte by byte"])
def test_the_first_foreign_line_ends_the_session(request_line: bytes, bytewise: bool) -> None:
    """One reply, an event for the log, and nothing of what follows is run."""
    caller = Caller()
    data = request_line + FORM
    caller.say_in_pieces(data[i : i + 1] for i in range(len(data))) if bytewise else caller.say(data)
    assert codes(caller.output) == [421]
    (event,) = caller.events
    assert isinstance(event, events.Abuse)
    assert caller.engine.closed


def test_a_foreign_line_between_commands_ends_the_session() -> None:
    """The same holds in the middle of a session."""
    caller = greeted()
    assert codes(caller.say(ENVELOPE + b"POST / HTTP/1.1\r\nDATA\r\n")) == [250, 250, 421]


def test_a_tls_hello_instead_of_a_sasl_response_ends_the_session() -> None:
    """Nor can it be a response to a challenge."""
    caller = greeted(SUBMISSION, tls=True)
    caller.say(b"AUTH PLAIN\r\n")
    assert codes(caller.say(b"\x16\x03\x01")) == [421]


@pytest.mark.parametrize(
    "line",
    [
        b"QUIT",
        b"RSET",
        b"DATA",
        b"MAIL FROM:<eve@example.org>",
        b"STARTTLS",
        b"BDAT 5 LAST",
        b"GET / HTTP/1.1",
    ],
)
def test_commands_in_data_are_content(line: bytes) -> None:
    """A line of content is never a command."""
    caller = receiving()
    assert codes(caller.say(b"one\r\n" + line + b"\r\ntwo\r\n.\r\n")) == [250]
    assert caller.messages == [b"one\r\n" + line + b"\r\ntwo\r\n"]
    assert not caller.engine.closed


def test_commands_in_a_chunk_are_content() -> None:
    """Octets of a chunk are never a command, of a refused chunk neither."""
    caller = greeted()
    chunk = b"RSET\r\nMAIL FROM:<eve@example.org>\r\n"
    command = b"BDAT %d LAST\r\n" % len(chunk)
    assert codes(caller.say(command + chunk)) == [503]
    assert codes(caller.say(ENVELOPE + command + chunk)) == [250, 250, 250]
    assert caller.messages == [chunk]
    assert len(caller.of(events.MailFrom)) == 1


def test_content_sent_though_data_was_refused_is_taken_for_commands_and_runs_nothing() -> None:
    """After a refused DATA lines are commands; a client that sends content nevertheless is soon sent away."""
    caller = greeted()
    said = caller.say(b"DATA\r\n" + b"Hello there\r\n" * 30)
    assert codes(said) == [503] + [500] * 19 + [421]
    assert caller.of(events.DataStart) == []


def test_a_long_line_does_not_turn_into_commands() -> None:
    """The rest of a line that is too long is passed over up to its CR LF."""
    caller = greeted()
    line = b"NOOP " + b"a" * 2043 + b"MAIL FROM:<eve@example.org>\r\n"
    assert codes(caller.say(line)) == [500]
    assert caller.of(events.MailFrom) == []
