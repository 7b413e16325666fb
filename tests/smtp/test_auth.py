"""AUTH as the engine carries it: RFC 4954."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fedaemon.smtp import events
from fedaemon.smtp.engine import EngineMisuseError, ServerEngine
from fedaemon.smtp.events import AuthCancel, AuthResponse, AuthStart
from fedaemon.smtp.reply import Reply
from tests.smtp.driving import ENVELOPE, HELLO, MX, SUBMISSION, Caller, codes, greeted


def asked(line: bytes) -> ServerEngine:
    """Return an engine that asks its caller about *line*."""
    engine = greeted(SUBMISSION, tls=True).engine
    engine.receive(line)
    assert isinstance(engine.next_event(), AuthStart)
    return engine


@pytest.mark.parametrize(
    ("line", "event"),
    [
        (b"AUTH PLAIN AGEAYg==", AuthStart("PLAIN", b"\0a\0b")),
        (b"auth plain AGEAYg==", AuthStart("PLAIN", b"\0a\0b")),
        (b"AUTH PLAIN", AuthStart("PLAIN", None)),
        (b"AUTH PLAIN =", AuthStart("PLAIN", b"")),
    ],
)
def test_start(line: bytes, event: AuthStart) -> None:
    """No initial response, an empty one and one with octets are three different things."""
    caller = greeted(SUBMISSION, tls=True)
    caller.say(line + b"\r\n")
    assert caller.events[1] == event


def test_an_exchange() -> None:
    """Challenges and responses travel in base64; success is 235 and opens MAIL."""
    engine = asked(b"AUTH LOGIN\r\n")
    engine.auth_challenge(b"Username:")
    assert engine.take_output() == b"334 VXNlcm5hbWU6\r\n"
    engine.receive(b"YW5u\r\n")
    assert engine.next_event() == AuthResponse(b"ann")
    engine.auth_challenge(b"")
    assert engine.take_output() == b"334 \r\n"
    engine.receive(b"\r\n")
    assert engine.next_event() == AuthResponse(b"")
    assert not engine.authenticated
    engine.auth_succeeded(Reply(235, "2.7.0", "Hello Ann"))
    assert engine.take_output() == b"235 2.7.0 Hello Ann\r\n"
    assert engine.authenticated
    engine.receive(b"MAIL FROM:<ann@example.org>\r\n")
    assert isinstance(engine.next_event(), events.MailFrom)


@pytest.mark.parametrize(
    "text", [b"AGEAYg", b"AGEAYg=", b"AGEAYg===", b"AGE AYg==", b"AGE!AYg==", b"AGEAYh==", b"\xff"]
)
def test_base64_is_strict(text: bytes) -> None:
    """What no encoder writes is refused, as an initial response and as an answer."""
    caller = greeted(SUBMISSION, tls=True)
    assert codes(caller.say(b"AUTH PLAIN " + text + b"\r\n")) == [501]
    assert codes(caller.say(b"AUTH PLAIN\r\n" + text + b"\r\nNOOP\r\n")) == [334, 501, 250]
    assert caller.events[-1] == AuthCancel()
    assert len(caller.of(AuthStart)) == 1


def test_cancel() -> None:
    """ "*" gives the log-in up: 501 5.7.0, and a new one may begin."""
    caller = greeted(SUBMISSION, tls=True)
    said = caller.say(b"AUTH PLAIN\r\n*\r\n")
    assert said.endswith(b"501 5.7.0 Log-in cancelled\r\n")
    assert caller.events[-1] == AuthCancel()
    assert codes(caller.say(b"AUTH PLAIN AGEAYg==\r\n")) == [235]


@pytest.mark.parametrize("line", [b"AG\nEA\r\n", b"AG\rEA\r\n", b"AG\0EA\r\n"])
def test_a_broken_line_ends_the_exchange(line: bytes) -> None:
    """The reader is as strict for responses as for commands."""
    caller = greeted(SUBMISSION, tls=True)
    assert codes(caller.say(b"AUTH PLAIN\r\n" + line + b"NOOP\r\n")) == [334, 500, 250]
    assert caller.events[-1] == AuthCancel()


def test_refusal() -> None:
    """A failed log-in leaves the session as it was."""
    caller = greeted(SUBMISSION, tls=True)
    caller.refusals = {AuthStart: Reply(535, "5.7.8", "Wrong")}
    assert codes(caller.say(b"AUTH PLAIN AGEAYg==\r\n" + ENVELOPE)) == [535, 530, 503]
    assert not caller.engine.authenticated


def test_a_temporary_failure_is_no_error_of_the_client() -> None:
    """454 does not count."""
    caller = greeted(replace(SUBMISSION, errors_per_session=0), tls=True)
    caller.refusals = {AuthStart: Reply(454, "4.7.0", "Later")}
    assert codes(caller.say(b"AUTH PLAIN AGEAYg==\r\n" * 3)) == [454] * 3


def test_guessing_ends_the_session() -> None:
    """Wrong passwords count as errors."""
    caller = greeted(replace(SUBMISSION, errors_per_session=2), tls=True)
    caller.refusals = {AuthStart: Reply(535, "5.7.8", "Wrong")}
    assert codes(caller.say(b"AUTH PLAIN AGEAYg==\r\n" * 3)) == [535, 535, 421]


def test_nothing_is_taken_before_tls() -> None:
    """538, and the credentials never reach the caller."""
    caller = greeted(SUBMISSION)
    said = caller.say(b"AUTH PLAIN AGEAYg==\r\n")
    assert said.startswith(b"538 5.7.11 ")
    assert caller.of(AuthStart) == []


def test_where_there_is_no_auth() -> None:
    """A service without mechanisms has no AUTH."""
    assert codes(greeted(MX, tls=True).say(b"AUTH PLAIN AGEAYg==\r\n")) == [502]


def test_only_the_offered_mechanisms() -> None:
    """504 for any other, whatever octets its name has."""
    caller = greeted(SUBMISSION, tls=True)
    assert codes(caller.say(b"AUTH NTLM\r\nAUTH \xff\xfe\r\nAUTH PLAIN,LOGIN\r\n")) == [504, 504, 504]


def test_mail_needs_tls_and_a_login_where_the_settings_say_so() -> None:
    """530 for each, first the TLS."""
    caller = Caller(SUBMISSION)
    assert b"STARTTLS" in caller.say(HELLO + b"MAIL FROM:<>\r\n").splitlines()[-1]
    caller = greeted(replace(SUBMISSION, tls_available=False))
    assert caller.say(b"MAIL FROM:<>\r\n").startswith(b"530 5.7.0 Only trusted hosts")
    caller = greeted(SUBMISSION, tls=True)
    assert b"AUTH" in caller.say(b"MAIL FROM:<>\r\n")
    assert codes(caller.output)[-1] == 530


def test_trusted_clients_need_neither() -> None:
    """What a printer that knows no TLS sends is taken when the caller says so, before and after STARTTLS."""
    caller = greeted(SUBMISSION)
    caller.engine.authentication_not_required()
    assert codes(caller.say(b"MAIL FROM:<>\r\nRSET\r\nSTARTTLS\r\n")) == [250, 250, 220]
    caller.engine.tls_started()
    assert codes(caller.say(HELLO + b"MAIL FROM:<>\r\n")) == [250, 250]


def test_auth_answers_belong_to_auth_questions() -> None:
    """A challenge or success where no log-in is going on is a bug of the caller."""
    engine = greeted().engine
    engine.receive(b"MAIL FROM:<>\r\n")
    engine.next_event()
    with pytest.raises(EngineMisuseError):
        engine.auth_challenge(b"")
    with pytest.raises(EngineMisuseError):
        engine.auth_succeeded()
    engine.accept()
    assert codes(engine.take_output()) == [250]
