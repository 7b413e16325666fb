"""The IMAP engine: log-in, order, states, and what is injected before TLS."""

from __future__ import annotations

import pytest

from fedaemon.accounts.login import BadCredentials
from fedaemon.imap.engine import ServerEngine
from fedaemon.imap.operations import Respond, Start, StartTls, Verify
from fedaemon.imap.session import EngineSettings
from fedaemon.imap.table import AFTER, TABLE
from fedaemon.mailbox.live import LiveMailboxes


class Caller:
    """An engine and a caller that knows one password."""

    def __init__(self, *, tls: bool = True, errors: int = 20) -> None:
        self.engine = ServerEngine(
            EngineSettings(
                "mx.example",
                blobs=None,  # type: ignore[arg-type]
                live=LiveMailboxes(),
                clock=lambda: 0.0,
                tls_available=True,
                auth_mechanisms=("PLAIN",),
                errors_per_session=errors,
            )
        )
        if tls:
            self.engine.tls_started()

    def say(self, data: bytes) -> bytes:
        self.engine.receive(data)
        while (request := self.engine.next_request()) is not None:
            match request.operation:
                case Verify(password="secret") | Respond(data=b"\0a\0secret"):
                    self.engine.answer(request, "a@example.org")
                case Verify() | Respond():
                    self.engine.fail(request, BadCredentials("wrong"))
                case Start():
                    self.engine.answer(request, b"")
                case StartTls():
                    self.engine.answer(request, None)
                case _:
                    raise AssertionError(request)
        return self.engine.take_output()


SCRIPT = (
    b"1 CAPABILITY\r\n2 LOGIN a {6+}\r\nsecret\r\n"
    b"3 ENABLE UTF8=ACCEPT X\r\n4 NAMESPACE\r\n5 ID NIL\r\n6 LOGOUT\r\n"
)


def test_a_session_whole_and_byte_by_byte() -> None:
    """The answers come in order and do not depend on how the input is split."""
    whole, slow = Caller(), Caller()
    said = whole.say(SCRIPT)
    assert b"".join(slow.say(bytes([octet])) for octet in SCRIPT) == said
    tagged = [line.split()[:2] for line in said.splitlines() if line[:1].isdigit()]
    assert tagged == [[b"%d" % number, b"OK"] for number in range(1, 7)]
    assert b"* ENABLED UTF8=ACCEPT\r\n" in said
    assert whole.engine.closed


def test_authenticate() -> None:
    """RFC 9051 6.2.2: a challenge, its answer; "*" and what is no base64 end the exchange."""
    caller = Caller()
    assert caller.say(b"1 AUTHENTICATE PLAIN\r\n") == b"+ \r\n"
    assert caller.say(b"*\r\n").startswith(b"1 BAD ")
    assert caller.say(b"2 AUTHENTICATE PLAIN\r\n?\r\n").startswith(b"+ \r\n2 BAD ")
    assert caller.say(b"3 AUTHENTICATE PLAIN\r\nAGEAc2VjcmV0\r\n").startswith(b"+ \r\n3 OK [CAPABILITY ")


def test_a_wrong_password() -> None:
    """RFC 5530 3: the code tells the client that the credentials are at fault."""
    assert Caller().say(b"1 LOGIN a b\r\n") == b"1 NO [AUTHENTICATIONFAILED] wrong\r\n"


def test_starttls() -> None:
    """No credentials before TLS; they are taken after it."""
    caller = Caller(tls=False)
    assert caller.say(b"1 LOGIN a secret\r\n").startswith(b"1 NO [PRIVACYREQUIRED] ")
    assert caller.say(b"2 STARTTLS\r\n") == b"2 OK Begin TLS now\r\n"
    assert caller.say(b"3 LOGIN a secret\r\n").startswith(b"3 OK ")


def test_nothing_is_injected_before_tls() -> None:
    """What comes behind STARTTLS in the clear never becomes a command."""
    caller = Caller(tls=False)
    assert caller.say(b"1 STARTTLS\r\n2 NOOP\r\n").startswith(b"* BYE ")
    assert caller.engine.closed and not caller.engine.session.tls_active


@pytest.mark.parametrize("name", sorted(name for name, row in TABLE.items() if row.states == AFTER))
def test_commands_of_the_authenticated_state(name: bytes) -> None:
    """They are refused before the log-in."""
    assert Caller().say(b"1 " + name + b" UTF8=ACCEPT\r\n") == b"1 BAD Log in first\r\n"


def test_too_many_errors() -> None:
    """The session ends with BYE."""
    caller = Caller(errors=1)
    assert caller.say(b"1 X\r\n2 X\r\n3 NOOP\r\n").endswith(
        b"2 BAD Unknown command\r\n* BYE Too many errors\r\n"
    )
    assert caller.engine.closed


def test_a_message_is_passed_over() -> None:
    """The content of a command that is out of place never becomes a command."""
    caller = Caller()
    said = caller.say(b"1 LOGIN a secret\r\n2 REPLACE 1 INBOX {10+}\r\n3 LOGOUT\r\n\r\n4 NOOP\r\n")
    assert [line.split()[:2] for line in said.splitlines()] == [[b"1", b"OK"], [b"2", b"BAD"], [b"4", b"OK"]]


def test_a_bug() -> None:
    """It tells the client nothing of the inside, is kept for the log, and the session goes on."""
    caller = Caller()
    caller.engine.receive(b"1 LOGIN a b\r\n2 NOOP\r\n")
    request = caller.engine.next_request()
    assert request is not None
    error = KeyError("inside")
    caller.engine.fail(request, error)
    said = caller.say(b"")
    assert said.startswith(b"1 NO [SERVERBUG] ") and b"inside" not in said and said.count(b"\r\n") == 2
    assert caller.engine.bugs == [error]
