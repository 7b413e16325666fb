"""Nothing but CR LF . CR LF ends a message, so none can hide a second one (SMTP smuggling).

The threat: CVE-2023-51764 (Postfix), CVE-2023-51765 (Sendmail), CVE-2023-51766 (Exim), CVE-2023-52354
(chasquid), CVE-2024-27305 (aiosmtpd). RFC 5321 2.3.8, 4.1.1.4.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from fedaemon.smtp import events
from tests.smtp.driving import MX, Caller, codes, receiving

FALSE_ENDS = {
    "LF.LF": b"\n.\n",
    "LF.CRLF": b"\n.\r\n",
    "CRLF.LF": b"\r\n.\n",
    "CR.CR": b"\r.\r",
    "CR.CRLF": b"\r.\r\n",
    "CRLF.CR": b"\r\n.\r",
    "LF.CR": b"\n.\r",
    "CR.LF": b"\r.\n",
    "CRLF.CRCRLF": b"\r\n.\r\r\n",
    "CRLF NUL.CRLF": b"\r\n\0.\r\n",
    "CRLF.NUL CRLF": b"\r\n.\0\r\n",
    "CR NUL LF.CRLF": b"\r\0\n.\r\n",
    "CRLF.CR NUL LF": b"\r\n.\r\0\n",
    "LFCR.LFCR": b"\n\r.\n\r",
    "LF LF.LF LF": b"\n\n.\n\n",
}
SMUGGLED = b"MAIL FROM:<eve@example.org>\r\nRCPT TO:<bob@example.test>\r\nDATA\r\nFrom: eve\r\n\r\nhello\r\n"


def normalising() -> Caller:
    return receiving(replace(MX, bare_lf="normalise"))


@pytest.mark.parametrize("end", FALSE_ENDS.values(), ids=FALSE_ENDS)
@pytest.mark.parametrize("bytewise", [False, True], ids=["whole", "byte by byte"])
def test_a_false_end_ends_nothing_and_the_message_is_refused(end: bytes, bytewise: bool) -> None:
    """Commands behind a false end are content of a message that is refused at its real end."""
    caller = receiving()
    data = b"From: ann\r\n\r\none" + end + SMUGGLED + b".\r\n"
    said = caller.say_in_pieces(data[i : i + 1] for i in range(len(data))) if bytewise else caller.say(data)
    assert codes(said) == [550]
    assert b" 5.6.0 " in said
    assert len(caller.of(events.MailFrom)) == 1
    assert caller.messages == []
    assert isinstance(caller.events[-1], events.ContentAborted)


@pytest.mark.parametrize("end", FALSE_ENDS.values(), ids=FALSE_ENDS)
def test_nothing_is_answered_before_the_real_end(end: bytes) -> None:
    """The refusal waits for the real end: an answer before it would belong to no command."""
    caller = receiving()
    assert caller.say(b"one" + end + SMUGGLED) == b""
    assert codes(caller.say(b".\r\nNOOP\r\n")) == [550, 250]


@pytest.mark.parametrize("name", ["LF.LF", "LF.CRLF", "CRLF.LF", "LF LF.LF LF"])
def test_normalised_line_feeds_end_nothing_either(name: str) -> None:
    """Where bare LF is normalised, a dot line made with it stays a line of the one message."""
    caller = normalising()
    assert codes(caller.say(b"one" + FALSE_ENDS[name] + SMUGGLED + b".\r\n")) == [250]
    (message,) = caller.messages
    assert b"\r\n.\r\n" in message
    assert b"MAIL FROM:<eve@example.org>" in message
    assert message.count(b"\n") == message.count(b"\r") == message.count(b"\r\n")
    assert len(caller.of(events.MailFrom)) == 1


@pytest.mark.parametrize(
    "end", [end for end in FALSE_ENDS.values() if end.replace(b"\r\n", b"").strip(b"\n.")]
)
def test_normalising_takes_bare_lf_only(end: bytes) -> None:
    """Bare CR and NUL are refused where bare LF is normalised, too."""
    caller = normalising()
    assert codes(caller.say(b"one" + end + SMUGGLED + b".\r\n")) == [550]
    assert caller.messages == []


@pytest.mark.parametrize("end", FALSE_ENDS.values(), ids=FALSE_ENDS)
def test_a_chunk_cannot_carry_a_false_end_to_the_next_server(end: bytes) -> None:
    """What BDAT brings is checked like DATA, as it may leave by DATA."""
    caller = receiving()
    caller.say(b".\r\n")
    content = b"one" + end + b"two\r\n"
    said = caller.say(
        b"MAIL FROM:<a@example.org> BODY=BINARYMIME\r\nRCPT TO:<b@example.test>\r\nBDAT %d LAST\r\n"
        % len(content)
        + content
    )
    assert codes(said) == [250, 250, 550]
    assert isinstance(caller.events[-1], events.ContentAborted)


def test_the_true_end_in_a_chunk_is_content() -> None:
    """CR LF . CR LF in a chunk is a line with a dot, whatever follows it."""
    caller = receiving()
    caller.say(b".\r\n")
    content = b"one\r\n.\r\nMAIL FROM:<eve@example.org>\r\n"
    said = caller.say(
        b"MAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.test>\r\nBDAT %d LAST\r\n" % len(content) + content
    )
    assert codes(said) == [250, 250, 250]
    assert caller.messages[-1] == content


@pytest.mark.parametrize("separator", [b"\n", b"\r", b"\n\r", b"\0"])
def test_no_command_hides_behind_a_false_line_end(separator: bytes) -> None:
    """A line with anything but CR LF at its end is one refused command, never two."""
    caller = receiving()
    caller.say(b".\r\n")
    before = len(caller.events)
    assert codes(caller.say(b"NOOP" + separator + b"MAIL FROM:<eve@example.org>\r\n")) == [500]
    assert caller.events[before:] == []


@pytest.mark.parametrize(
    ("fault", "words"),
    [(b"\n", b"bare LF"), (b"\r", b"bare CR"), (b"\0", b"NUL")],
)
def test_the_refusal_says_what_and_where(fault: bytes, words: bytes) -> None:
    """A sender's programmer can find the line."""
    caller = receiving()
    said = caller.say(b"one\r\ntwo\r\nthr" + fault + b"ee\r\n.\r\n")
    assert words in said
    assert b"line 3 " in said
