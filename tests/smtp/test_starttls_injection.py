"""What comes before the TLS handshake is never a command after it.

The threat: CVE-2011-0411 (Postfix), CVE-2021-33515 (Dovecot), CVE-2024-34083 (aiosmtpd). RFC 3207 4.2.
"""

from __future__ import annotations

import pytest

from fedaemon.smtp import events
from fedaemon.smtp.verbs.verb import Phase
from tests.smtp.driving import ENVELOPE, HELLO, SUBMISSION, codes, greeted


@pytest.mark.parametrize(
    "injected", [b"RSET\r\n", b"R", b"\r\n", b"\x16\x03\x01", b"EHLO evil\r\nAUTH PLAIN AAA=\r\n"]
)
def test_octets_behind_starttls_end_the_session(injected: bytes) -> None:
    """Whatever follows in the same read, complete or not, is refused with STARTTLS itself."""
    caller = greeted()
    said = caller.say(b"STARTTLS\r\n" + injected)
    assert said.startswith(b"554 5.5.1 ")
    assert codes(said) == [554]
    assert caller.of(events.StartTls) == []
    assert caller.of(events.Abuse) == [events.Abuse("octets after STARTTLS, before the handshake")]
    assert caller.engine.closed


def test_octets_in_the_clear_after_the_220_end_the_session() -> None:
    """A caller that reads on in the clear before TLS gets no command through."""
    caller = greeted()
    assert codes(caller.say(b"STARTTLS\r\n")) == [220]
    assert caller.say(b"RSET\r\n") == b""
    assert isinstance(caller.events[-1], events.Abuse)
    assert caller.engine.closed


def test_octets_that_waited_behind_a_question_end_the_session() -> None:
    """Input that came early, in another read, is found as well."""
    caller = greeted()
    caller.engine.receive(b"NOOP\r\nSTARTTLS\r\n")
    caller.engine.receive(b"NOOP\r\n")
    caller.take_events()
    assert codes(caller.engine.take_output()) == [250, 554]


def test_everything_said_before_is_forgotten() -> None:
    """Name, extensions and log-in do not survive the handshake."""
    caller = greeted(SUBMISSION)
    caller.engine.authenticated = True
    caller.say(b"STARTTLS\r\n")
    caller.engine.tls_started()
    engine = caller.engine
    assert (engine.phase, engine.hello, engine.extended, engine.authenticated) == (
        Phase.START,
        "",
        False,
        False,
    )
    assert engine.tls_active
    assert codes(caller.say(ENVELOPE)) == [503, 503]
    assert codes(caller.say(HELLO + ENVELOPE)) == [250, 530, 503]


def test_the_offers_change_with_tls() -> None:
    """STARTTLS is offered before, AUTH and REQUIRETLS only after; STARTTLS is not taken twice."""
    caller = greeted(SUBMISSION)
    before = caller.output
    caller.say(b"STARTTLS\r\n")
    caller.engine.tls_started()
    after = caller.say(HELLO)
    assert b"250-STARTTLS\r\n" in before
    assert b"AUTH" not in before
    assert b"REQUIRETLS" not in before
    assert b"STARTTLS" not in after
    assert b"250-AUTH PLAIN LOGIN\r\n" in after
    assert b"250-REQUIRETLS\r\n" in after
    assert codes(caller.say(b"STARTTLS\r\n")) == [503]
