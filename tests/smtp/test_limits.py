"""Nothing that a client sends grows without bound: lines, content, recipients, errors, waiting input.

The threat: memory and CPU taken by a peer that sends too much, too small pieces, or never an end.
RFC 5321 4.5.3.1, RFC 1870, RFC 4954 4.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from fedaemon.smtp import events
from fedaemon.smtp.content import MAX_CONTENT_LINE
from fedaemon.smtp.engine import AUTH_LINE, COMMAND_LINE
from fedaemon.smtp.lines import MAX_SKIPPED
from fedaemon.smtp.reception import OVERFLOW
from fedaemon.smtp.reply import Reply
from tests.smtp.driving import ENVELOPE, MX, SUBMISSION, codes, greeted, receiving

SMALL = replace(MX, max_message_size=1000)


@pytest.mark.parametrize(("octets", "code"), [(COMMAND_LINE, 250), (COMMAND_LINE + 1, 500), (60000, 500)])
def test_command_line(octets: int, code: int) -> None:
    """A command line may have so many octets with its CR LF; one that has more is one refused command."""
    caller = greeted()
    assert codes(caller.say(b"NOOP " + b"a" * (octets - 7) + b"\r\nNOOP\r\n")) == [code, 250]


def test_command_line_where_auth_may_be_longer() -> None:
    """Only AUTH may use the longer line."""
    caller = greeted(SUBMISSION, tls=True)
    assert codes(caller.say(b"NOOP " + b"a" * (COMMAND_LINE - 7) + b"\r\n")) == [250]
    assert codes(caller.say(b"NOOP " + b"a" * (COMMAND_LINE - 6) + b"\r\n")) == [500]
    assert codes(caller.say(b"AUTH PLAIN " + b"A" * (AUTH_LINE - 16) + b"\r\n")) == [235]


@pytest.mark.parametrize(("octets", "code"), [(AUTH_LINE - 2, 235), (AUTH_LINE + 2, 500)])
def test_sasl_response_line(octets: int, code: int) -> None:
    """A response may have 12,288 octets with its CR LF; a longer one ends the exchange and no more."""
    caller = greeted(SUBMISSION, tls=True)
    caller.say(b"AUTH PLAIN\r\n")
    assert codes(caller.say(b"A" * (octets - 2) + b"\r\n" + b"NOOP\r\n")) == [code, 250]
    assert len(caller.of(events.AuthCancel)) == (code == 500)


def test_a_line_without_end_ends_the_session() -> None:
    """A refused line is passed over, but not for ever; nothing of it is kept."""
    caller = greeted()
    block = b"a" * 65536
    for _ in range(MAX_SKIPPED // len(block) + 1):
        caller.say(block)
        assert caller.engine.buffered == 0
    assert codes(caller.output) == [250, 500, 421]
    assert isinstance(caller.events[-1], events.Abuse)


def test_content_of_exactly_the_maximum_size_is_taken() -> None:
    """The limit is on octets of content: not on dots that transparency added."""
    caller = receiving(SMALL)
    content = b".2345678\r\n" * 100
    assert codes(caller.say(content.replace(b".", b"..") + b".\r\n")) == [250]
    assert caller.messages == [content]


def test_content_above_the_maximum_size_is_refused_at_its_end() -> None:
    """552 at the end; nothing above the limit is handed up; the session goes on."""
    caller = receiving(SMALL)
    for _ in range(101):
        assert caller.say(b"12345678\r\n") == b""
    said = caller.say(b".\r\n" + ENVELOPE)
    assert codes(said) == [552, 250, 250]
    assert said.startswith(b"552 5.3.4 ")
    handed_up = [event.data for event in caller.events if isinstance(event, events.Content)]
    assert sum(map(len, handed_up)) <= 1000
    assert len(caller.of(events.ContentAborted)) == 1


def test_content_far_above_the_maximum_size_ends_the_session() -> None:
    """A client that goes on and on is not read to its end."""
    caller = receiving(SMALL)
    block = b"12345678\r\n" * 6553
    for _ in range((2000 + OVERFLOW) // len(block)):
        caller.say(block)
        assert not caller.engine.closed
    caller.say(block)
    assert codes(caller.output)[-1] == 421
    assert [type(event) for event in caller.events[-2:]] == [events.ContentAborted, events.Abuse]


def test_chunks_above_the_maximum_size_are_refused() -> None:
    """The sum of the chunks counts, and the chunk that goes above it is answered 552."""
    caller = greeted(SMALL)
    chunk = b"a" * 598 + b"\r\n"
    said = caller.say(ENVELOPE + b"BDAT 600\r\n" + chunk + b"BDAT 600\r\n" + chunk + b"BDAT 0 LAST\r\n")
    assert codes(said) == [250, 250, 250, 552, 503]
    assert len(caller.of(events.ContentAborted)) == 1
    assert caller.messages == []


@pytest.mark.parametrize("envelope", [b"", ENVELOPE], ids=["out of order", "in order"])
def test_a_chunk_of_absurd_size_ends_the_session_at_once(envelope: bytes) -> None:
    """Nobody waits for the end of such a chunk, whether it would be taken or passed over."""
    caller = greeted(SMALL)
    assert codes(caller.say(envelope + b"BDAT 18446744073709551615 LAST\r\n"))[-1] == 421
    assert caller.engine.closed


def test_passed_over_chunks_are_not_kept() -> None:
    """The octets of a refused chunk are dropped as they come."""
    caller = greeted()
    caller.say(b"BDAT 1000000\r\n")
    for _ in range(10):
        caller.say(b"a" * 99999)
        assert caller.engine.buffered == 0
    assert codes(caller.say(b"a" * 10)) == [503]


@pytest.mark.parametrize(("octets", "code"), [(MAX_CONTENT_LINE, 250), (MAX_CONTENT_LINE + 1, 500)])
@pytest.mark.parametrize("block", [4096, 10_000_000])
def test_content_line(octets: int, code: int, block: int) -> None:
    """Lines far above 998 octets are kept, up to a limit; then the whole message is refused at its end."""
    caller = receiving()
    data = b"short\r\n" + b"a" * octets + b"\r\nshort\r\n.\r\n"
    said = caller.say_in_pieces(data[i : i + block] for i in range(0, len(data), block))
    assert codes(said) == [code]
    if code == 500:
        assert b"line 2 " in said


def test_recipients() -> None:
    """Recipients above the limit get 452 and the caller is not asked; refused ones do not count."""
    caller = greeted(replace(MX, max_recipients=3))
    caller.say(b"MAIL FROM:<ann@example.org>\r\n")
    rcpt = b"RCPT TO:<bob@example.test>\r\n"
    assert codes(caller.say(rcpt * 5 + b"DATA\r\n")) == [250, 250, 250, 452, 452, 354]
    assert len(caller.of(events.RcptTo)) == 3


def test_errors() -> None:
    """The error after the last one allowed is answered 421, and nothing more is read."""
    caller = greeted(replace(MX, errors_per_session=5))
    assert codes(caller.say(b"HALLO\r\n" * 5)) == [500] * 5
    assert not caller.engine.closed
    assert codes(caller.say(b"HALLO\r\nNOOP\r\n")) == [421]
    assert caller.events[-1] == events.TooManyErrors()
    assert caller.say(b"NOOP\r\n") == b""


def test_refused_recipients_are_errors_and_temporary_refusals_are_not() -> None:
    """A client that guesses addresses is sent away; one that is told to wait is not."""
    for reply, code in ((Reply(550, "5.1.1", "No"), 421), (Reply(450, "4.2.0", "Later"), 450)):
        caller = greeted(replace(MX, errors_per_session=5))
        caller.say(b"MAIL FROM:<ann@example.org>\r\n")
        caller.refusals = {events.RcptTo: reply}
        assert codes(caller.say(b"RCPT TO:<bob@example.test>\r\n" * 6)) == [reply.code] * 5 + [code]
        assert caller.engine.closed is (code == 421)


@pytest.mark.parametrize("how", ["login", "trusted"])
def test_refused_recipients_of_a_user_are_no_errors(how: str) -> None:
    """A list with many dead addresses does not end the session of who logged in or is trusted; 421 still does."""
    caller = greeted(
        replace(SUBMISSION, errors_per_session=5),
        tls=True,
    )
    if how == "login":
        caller.say(b"AUTH PLAIN AGEAYg==\r\n")
    else:
        caller.engine.authentication_not_required()
    caller.refusals = {events.RcptTo: Reply(550, "5.1.1", "is suppressed")}
    caller.say(b"MAIL FROM:<ann@example.org>\r\n")
    assert codes(caller.say(b"RCPT TO:<bob@example.test>\r\n" * 50)) == [550] * 50
    caller.refusals = {}
    assert codes(caller.say(b"RCPT TO:<bob@example.test>\r\nDATA\r\n.\r\n")) == [250, 354, 250]
    caller.refusals = {events.RcptTo: Reply(421, "4.3.2", "stopping")}
    assert codes(caller.say(ENVELOPE)) == [250, 421] and caller.engine.closed


def test_an_accepted_message_forgives_errors() -> None:
    """A long session of a good client with a wrong address now and then is not ended."""
    caller = greeted(replace(MX, errors_per_session=2))
    for _ in range(3):
        assert codes(caller.say(b"HALLO\r\nHALLO\r\n" + ENVELOPE + b"DATA\r\n")) == [500, 500, 250, 250, 354]
        assert codes(caller.say(b"one\r\n.\r\n")) == [250]


def test_too_many_errors_between_chunks_abort_the_content() -> None:
    """The content that was coming is told to be thrown away before the end."""
    caller = greeted(replace(MX, errors_per_session=0))
    caller.say(ENVELOPE + b"BDAT 3\r\na\r\nHALLO\r\n")
    assert [type(event) for event in caller.events[-2:]] == [events.ContentAborted, events.TooManyErrors]


def test_waiting_input_is_counted() -> None:
    """A caller can see how much waits behind an open question, whatever pieces it came in."""
    caller = greeted()
    engine = caller.engine
    engine.receive(b"MAIL FROM:<ann@example.org>\r\nNO")
    assert engine.next_event() is not None
    assert engine.waiting
    for _ in range(1000):
        engine.receive(b"x")
    assert engine.buffered == 1002
    assert engine.next_event() is None
    engine.accept()
    assert engine.next_event() is None
    assert engine.buffered == 1002
    assert codes(caller.say(b"\r\n")) == [250, 500]
    assert engine.buffered == 0


def test_the_limit_on_far_too_big_content_does_not_depend_on_the_split() -> None:
    """Content that comes with its end in one piece is judged as if it came in small ones."""
    data = b"12345678\r\n" * ((2000 + OVERFLOW) // 10 + 1) + b".\r\n"
    whole, split = receiving(SMALL), receiving(SMALL)
    whole.say(data)
    split.say_in_pieces(data[i : i + 4096] for i in range(0, len(data), 4096))
    assert codes(whole.output) == codes(split.output) == [250, 250, 250, 354, 421]
