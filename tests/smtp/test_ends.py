"""How sessions end, and what happens to content and open questions then."""

from __future__ import annotations

import pytest

from fedaemon.smtp import events
from fedaemon.smtp.engine import EngineMisuseError, ServerEngine
from fedaemon.smtp.events import Content, ContentAborted, ContentEnd
from fedaemon.smtp.reply import Reply
from tests.smtp.driving import ENVELOPE, MX, Caller, codes, greeted, receiving

STOPPING = Reply(421, "4.3.2", "Stopping")


def test_greeting() -> None:
    """220 with our name."""
    engine = ServerEngine(MX)
    engine.greeting()
    assert engine.take_output() == b"220 mx.example.org ESMTP fedaemon\r\n"


def test_refused_connection() -> None:
    """A refusal instead of the greeting; nothing is read."""
    engine = ServerEngine(MX)
    engine.refuse_connection(Reply(421, "4.7.0", "Too many connections"))
    engine.receive(b"EHLO x\r\n")
    assert engine.next_event() is None
    assert engine.take_output() == b"421 4.7.0 Too many connections\r\n"
    assert engine.closed


@pytest.mark.parametrize("lost", [True, False], ids=["connection lost", "closed by us"])
def test_content_that_did_not_end_is_aborted(lost: bool) -> None:
    """EOF or a time-out in DATA: the content is thrown away."""
    caller = receiving()
    caller.say(b"one\r\n")
    assert caller.engine.in_content
    if lost:
        caller.engine.connection_lost()
    else:
        caller.engine.close(STOPPING)
    caller.take_events()
    assert isinstance(caller.events[-1], ContentAborted)
    assert not caller.engine.in_content
    assert caller.messages == []
    assert codes(caller.engine.take_output()) == ([] if lost else [421])


def test_content_whose_end_was_not_handed_up_is_aborted() -> None:
    """A caller that was slow to take events does not accept a message nobody waits for."""
    engine = receiving().engine
    engine.receive(b"one\r\n.\r\n")
    assert engine.next_event() == Content(b"one\r\n")
    engine.connection_lost()
    assert isinstance(engine.next_event(), ContentAborted)
    assert engine.next_event() is None


@pytest.mark.parametrize("lost", [True, False], ids=["connection lost", "closed by us"])
def test_the_verdict_on_content_may_come_after_the_end(lost: bool) -> None:
    """Content handed up whole is the caller's; its late answer goes nowhere and harms nothing."""
    engine = receiving().engine
    engine.receive(b"one\r\n.\r\n")
    assert engine.next_event() == Content(b"one\r\n")
    assert engine.next_event() == ContentEnd(5, False)
    if lost:
        engine.connection_lost()
    else:
        engine.close(STOPPING)
    assert engine.next_event() is None
    engine.accept(Reply(250, "2.0.0", "Ok"))
    engine.refuse(Reply(550, "5.7.1", "No"))
    assert codes(engine.take_output()) == ([] if lost else [421])


def test_closing_twice_says_it_once() -> None:
    """What is over is over."""
    engine = greeted().engine
    engine.close(STOPPING)
    engine.close(STOPPING)
    engine.connection_lost()
    assert codes(engine.take_output()) == [421]


@pytest.mark.parametrize("question", [b"MAIL FROM:<>\r\n", ENVELOPE, ENVELOPE + b"DATA\r\n"])
def test_a_421_from_the_caller_ends_the_session(question: bytes) -> None:
    """Nothing after it is read."""
    caller = greeted()
    kind = (events.MailFrom, events.RcptTo, events.DataStart)[question.count(b"\r\n") - 1]
    caller.refusals = {kind: STOPPING}
    assert codes(caller.say(question + b"NOOP\r\n"))[-1] == 421
    assert caller.engine.closed


def test_answers_need_questions() -> None:
    """An answer where nothing was asked is a bug of the caller, and changes nothing."""
    engine = greeted().engine
    with pytest.raises(EngineMisuseError):
        engine.accept()
    with pytest.raises(EngineMisuseError):
        engine.refuse(STOPPING)
    engine.receive(b"NOOP\r\n")
    assert engine.next_event() is None
    assert codes(engine.take_output()) == [250]


def test_nothing_is_read_while_a_question_is_open() -> None:
    """Pipelined commands wait; their replies keep the order."""
    engine = greeted().engine
    engine.receive(ENVELOPE + b"NOOP\r\nQUIT\r\n")
    assert isinstance(engine.next_event(), events.MailFrom)
    assert (engine.next_event(), engine.waiting, engine.take_output()) == (None, True, b"")
    engine.refuse(Reply(451, "4.3.0", "Later"))
    assert engine.next_event() == events.Quit()
    assert codes(engine.take_output()) == [451, 503, 250, 221]


def test_a_refused_message_ends_its_transaction() -> None:
    """After the verdict a new MAIL is in order, and RCPT is not."""
    caller = receiving()
    caller.refusals = {ContentEnd: Reply(451, "4.3.0", "Later")}
    assert codes(caller.say(b"one\r\n.\r\nRCPT TO:<b@example.test>\r\n" + ENVELOPE)) == [451, 503, 250, 250]


def test_a_refused_data_ends_its_transaction() -> None:
    """What the client pipelined after it are just commands."""
    caller = greeted()
    caller.refusals = {events.DataStart: Reply(451, "4.3.0", "Later")}
    assert codes(caller.say(ENVELOPE + b"DATA\r\nNOOP\r\nRCPT TO:<b@example.test>\r\n")) == [
        250,
        250,
        451,
        250,
        503,
    ]


def test_an_empty_message() -> None:
    """A dot at once after DATA is a message without octets."""
    caller = receiving()
    assert codes(caller.say(b".\r\n")) == [250]
    assert caller.events[-1] == ContentEnd(0, False)


def test_what_the_end_of_content_tells() -> None:
    """Size and whether it is 8-bit."""
    caller = receiving()
    caller.say("grüße\r\n..\r\n.\r\n".encode())
    assert caller.events[-1] == ContentEnd(12, True)


def test_quit_stops_reading() -> None:
    """What follows QUIT is dropped."""
    caller = Caller()
    assert codes(caller.say(b"QUIT\r\nNOOP\r\n")) == [221]
    assert caller.say(b"NOOP\r\n") == b""
    assert caller.events == [events.Quit()]
