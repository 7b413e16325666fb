"""Every verb in every phase of a session: RFC 5321 4.1.4 as a table."""

from __future__ import annotations

import pytest

from fedaemon.smtp import events
from fedaemon.smtp.verbs import VERBS
from fedaemon.smtp.verbs.verb import Phase
from tests.smtp.driving import ENVELOPE, HELLO, SUBMISSION, Caller, codes

COMMANDS = {
    "AUTH": b"AUTH PLAIN AGEAYg==\r\n",
    "BDAT": b"BDAT 3\r\na\r\n",
    "BDAT LAST": b"BDAT 3 LAST\r\na\r\n",
    "DATA": b"DATA\r\n",
    "EHLO": b"EHLO client.example.net\r\n",
    "ETRN": b"ETRN example.org\r\n",
    "EXPN": b"EXPN staff\r\n",
    "HELO": b"HELO client.example.net\r\n",
    "HELP": b"HELP\r\n",
    "MAIL": b"MAIL FROM:<ann@example.org>\r\n",
    "NOOP": b"NOOP\r\n",
    "QUIT": b"QUIT\r\n",
    "RCPT": b"RCPT TO:<bob@example.test>\r\n",
    "RSET": b"RSET\r\n",
    "STARTTLS": b"STARTTLS\r\n",
    "VRFY": b"VRFY bob\r\n",
    "unknown": b"HALLO\r\n",
    "empty": b"\r\n",
}

# fmt: off
ANSWERS: dict[str, tuple[int, int, int, int, int]] = {
    #            START IDLE MAIL RCPT CHUNKS
    "AUTH":      (503, 235, 503, 503, 503),
    "BDAT":      (503, 503, 503, 250, 250),
    "BDAT LAST": (503, 503, 503, 250, 250),
    "DATA":      (503, 503, 503, 354, 503),
    "EHLO":      (250, 250, 250, 250, 250),
    "ETRN":      (502, 502, 502, 502, 502),
    "EXPN":      (502, 502, 502, 502, 502),
    "HELO":      (250, 250, 250, 250, 250),
    "HELP":      (214, 214, 214, 214, 214),
    "MAIL":      (503, 250, 503, 503, 503),
    "NOOP":      (250, 250, 250, 250, 250),
    "QUIT":      (221, 221, 221, 221, 221),
    "RCPT":      (503, 503, 250, 250, 503),
    "RSET":      (250, 250, 250, 250, 250),
    "STARTTLS":  (503, 503, 503, 503, 503),  # under TLS already
    "VRFY":      (252, 252, 252, 252, 252),
    "unknown":   (500, 500, 500, 500, 500),
    "empty":     (500, 500, 500, 500, 500),
}
PHASE_AFTER: dict[str, tuple[Phase, ...]] = {
    "BDAT":      (Phase.START, Phase.IDLE, Phase.MAIL, Phase.CHUNKS, Phase.CHUNKS),
    "BDAT LAST": (Phase.START, Phase.IDLE, Phase.MAIL, Phase.IDLE, Phase.IDLE),
    "EHLO":      (Phase.IDLE,) * 5,
    "HELO":      (Phase.IDLE,) * 5,
    "MAIL":      (Phase.START, Phase.MAIL, Phase.MAIL, Phase.RCPT, Phase.CHUNKS),
    "RCPT":      (Phase.START, Phase.IDLE, Phase.RCPT, Phase.RCPT, Phase.CHUNKS),
    "RSET":      (Phase.START, Phase.IDLE, Phase.IDLE, Phase.IDLE, Phase.IDLE),
}
# fmt: on


def caller_in(phase: Phase) -> Caller:
    """Return a caller, logged in under TLS, whose session has come to *phase*."""
    caller = Caller(SUBMISSION, tls=True)
    caller.engine.authentication_not_required()
    mail, rcpt = ENVELOPE.splitlines(keepends=True)
    for command in (HELLO, mail, rcpt, b"BDAT 3\r\na\r\n")[: phase.value]:
        assert codes(caller.say(command)) == [250]
    assert caller.engine.phase is phase
    return caller


@pytest.mark.parametrize("phase", Phase, ids=lambda phase: phase.name)
@pytest.mark.parametrize("command", COMMANDS)
def test_every_verb_in_every_phase(command: str, phase: Phase) -> None:
    """One reply, the one of the table, and the phase that follows from it."""
    caller = caller_in(phase)
    assert codes(caller.say(COMMANDS[command])) == [ANSWERS[command][phase]]
    assert caller.engine.phase is PHASE_AFTER.get(command, tuple(Phase))[phase]
    assert caller.engine.closed is (command == "QUIT")


@pytest.mark.parametrize("phase", Phase, ids=lambda phase: phase.name)
@pytest.mark.parametrize("command", COMMANDS)
def test_lower_case_is_the_same(command: str, phase: Phase) -> None:
    """Case does not matter in verbs."""
    upper, lower = caller_in(phase), caller_in(phase)
    assert upper.say(COMMANDS[command]) == lower.say(COMMANDS[command].lower())


def test_the_table_has_every_verb() -> None:
    """No verb is left out of the tables above."""
    assert {verb.decode() for verb in VERBS} <= set(COMMANDS)
    assert set(COMMANDS) == set(ANSWERS)


@pytest.mark.parametrize("command", [b"RSET\r\n", HELLO, b"HELO x\r\n"])
def test_a_transaction_without_content_that_is_thrown_away_is_told(command: bytes) -> None:
    """``Reset`` comes before what follows."""
    caller = caller_in(Phase.RCPT)
    caller.say(command)
    assert caller.events.count(events.Reset()) == 1
    if command != b"RSET\r\n":
        assert [type(event) for event in caller.events[-2:]] == [events.Reset, events.Hello]


@pytest.mark.parametrize("command", [b"RSET\r\n", HELLO, b"HELO x\r\n", b"QUIT\r\n"])
def test_content_that_is_thrown_away_is_told(command: bytes) -> None:
    """``ContentAborted`` comes instead of ``Reset`` once there is content."""
    caller = caller_in(Phase.CHUNKS)
    caller.say(command)
    assert len(caller.of(events.ContentAborted)) == 1
    assert caller.of(events.Reset) == []
    assert caller.of(events.ContentEnd) == []


def test_nothing_is_told_when_there_was_nothing() -> None:
    """RSET without a transaction is no event."""
    caller = caller_in(Phase.IDLE)
    before = list(caller.events)
    caller.say(b"RSET\r\n")
    assert caller.events == before
