"""Servers that break the rules, hang up at the worst moment, or attack."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedaemon.smtp.client_events import Ended, Failed, Ready, TlsGranted
from tests.smtp_client.talk import GREETING, LOCKSTEP, PIPELINED, Talk

STARTTLS = b"250-mx.example.net\r\n250 STARTTLS\r\n"
CHUNKING = b"250-mx.example.net\r\n250-PIPELINING\r\n250-BINARYMIME\r\n250 CHUNKING\r\n"


def tls_asked() -> Talk:
    talk = Talk()
    talk.hello(STARTTLS)
    talk.engine.start_tls()
    talk.sent()
    return talk


def in_content(ehlo: bytes = PIPELINED) -> Talk:
    talk = Talk()
    talk.hello(ehlo)
    talk.begin("b@x", "c@x", body="BINARYMIME" if ehlo is CHUNKING else "7BIT")
    replies = [b"250 ok\r\n", b"250 ok\r\n", b"550 no\r\n"] + ([] if ehlo is CHUNKING else [b"354 go\r\n"])
    for reply in replies:
        talk.says(reply)
    assert talk.engine.content_wanted
    return talk


@pytest.mark.parametrize("injected", [b"250 injected\r\n", b"2", b"\x16\x03\x01"])
def test_starttls_injection_in_the_same_segment(injected: bytes) -> None:
    """CVE-2011-0411 from the other side: plain bytes behind the 220 must not count as said under TLS."""
    talk = tls_asked()
    assert talk.says(b"220 go\r\n" + injected) == b""
    assert talk.failure.phase == "tls"
    assert TlsGranted() not in talk.events
    assert talk.engine.closed


@pytest.mark.parametrize("injected", [b"250 injected\r\n", b"2"])
def test_starttls_injection_before_the_handshake_is_done(injected: bytes) -> None:
    talk = tls_asked()
    talk.says(b"220 go\r\n")
    assert talk.engine.receive(injected)
    talk.sent()
    assert talk.failure.phase == "tls"


def test_starttls_injection_replies_sent_ahead_are_not_taken_for_later_commands() -> None:
    talk = Talk()
    talk.says(GREETING)
    talk.says(STARTTLS + b"220 already\r\n")
    assert isinstance(talk.events[-1], Failed)
    assert talk.failure.status == "4.5.0"


@pytest.mark.parametrize("data", [b"HTTP/1.1 200 OK\r\n", b"x" * 5000, b"250-\r\n" * 200, b"\x00\xff\r\n"])
def test_what_is_not_smtp_ends_the_connection(data: bytes) -> None:
    talk = Talk()
    assert talk.says(data) == b""
    assert (talk.failure.phase, talk.failure.code, talk.failure.status) == ("greeting", 0, "4.5.0")
    assert talk.says(b"220 hello after all\r\n") == b""


def test_421_instead_of_any_reply_up_to_the_content_leaves_recipients_undecided() -> None:
    replies = [b"250 ok\r\n", b"250 ok\r\n", b"550 no\r\n", b"354 go\r\n"]
    for good in range(len(replies)):
        talk = Talk()
        talk.hello()
        talk.begin("b@x", "c@x")
        for reply in replies[:good]:
            talk.says(reply)
        talk.says(b"421 4.3.2 going down\r\n")
        assert (talk.failure.code, talk.failure.status) == (421, "4.3.2")
        assert talk.codes == ([None, None] if good < 3 else [None, ("rcpt", 550)])


def test_421_to_the_end_of_the_message_is_its_answer() -> None:
    talk = in_content()
    talk.content(b"Hi\r\n")
    talk.says(b"421 4.3.2 going down\r\n")
    assert talk.codes == [("content", 421), ("rcpt", 550)]
    assert talk.engine.closed


def test_421_while_nothing_is_asked() -> None:
    talk = Talk()
    talk.hello()
    talk.says(b"421 4.4.2 idle too long\r\n")
    assert talk.failure.code == 421


@pytest.mark.parametrize("reply", [b"552 5.3.4 too big", b"451 4.3.0 disk", b"421 4.3.2 going down"])
def test_a_refusal_in_the_middle_of_data_is_the_answer_and_ends_the_connection(reply: bytes) -> None:
    """The rest of the content must not be read as commands by a server that is back in command mode."""
    talk = in_content()
    talk.engine.send_content(b"half\r\n")
    talk.sent()
    assert talk.says(reply + b"\r\n") == b""
    assert talk.codes == [("content", int(reply[:3])), ("rcpt", 550)]
    assert talk.engine.closed
    assert not talk.engine.content_wanted


def test_a_250_in_the_middle_of_data_is_not_believed() -> None:
    talk = in_content()
    talk.engine.send_content(b"half\r\n")
    talk.says(b"250 queued\r\n")
    assert talk.failure.status == "4.5.0"
    assert talk.codes == [None, ("rcpt", 550)]


def test_421_in_the_middle_of_bdat() -> None:
    talk = in_content(CHUNKING)
    talk.engine.send_content(b"x" * 262144)
    talk.engine.send_content(b"x")
    talk.sent()
    talk.says(b"421 going down\r\n")
    assert talk.codes == [("content", 421), ("rcpt", 550)]
    assert talk.engine.closed


def test_a_connection_lost_before_the_end_was_sent_decides_nothing() -> None:
    talk = in_content()
    talk.engine.send_content(b"half\r\n")
    talk.engine.fail("gone")
    talk.sent()
    assert (talk.failure.phase, talk.failure.text) == ("content", "gone")
    assert talk.codes == [None, ("rcpt", 550)]


def test_a_lost_reply_to_the_end_is_in_doubt_and_says_so() -> None:
    talk = in_content()
    talk.content(b"Hi\r\n")
    talk.engine.fail("gone")
    talk.sent()
    answer = talk.answers[0]
    assert answer is not None
    assert (answer.phase, answer.code, answer.permanent, answer.delivered) == ("content", 0, False, False)
    assert "the reply to the message was lost (gone)" in answer.text
    assert talk.answers[1] is not None
    assert talk.answers[1].code == 550


def test_garbage_instead_of_the_reply_to_the_end_is_in_doubt_too() -> None:
    talk = in_content()
    talk.content(b"Hi\r\n")
    talk.says(b"huh?\r\n")
    assert talk.answers[0] is not None
    assert "may have been accepted" in talk.answers[0].text


def test_a_chunk_unanswered_after_the_last_was_sent_is_in_doubt() -> None:
    talk = in_content(CHUNKING)
    talk.engine.send_content(b"x" * 262144)
    talk.content(b"y")
    assert talk.awaiting == "block"
    talk.engine.fail("gone")
    talk.sent()
    assert talk.answers[0] is not None
    assert "may have been accepted" in talk.answers[0].text


def test_content_that_cannot_be_completed_gets_no_end() -> None:
    talk = in_content()
    talk.engine.send_content(b"half\r\n")
    assert talk.sent() == b"half\r\n"
    talk.engine.abandon_content("unreadable")
    assert talk.sent() == b""
    assert talk.codes == [("content", 0), ("rcpt", 550)]
    assert talk.failure.status == "4.3.0"


@pytest.mark.parametrize("position", range(5))
@pytest.mark.parametrize("ehlo", [PIPELINED, LOCKSTEP])
def test_an_unexpected_intermediate_reply_is_a_protocol_error(ehlo: bytes, position: int) -> None:
    """3yz where there is none to be, and 2yz where 354 must come."""
    talk = Talk()
    talk.hello(ehlo)
    talk.begin()
    for reply in (b"250 ok\r\n", b"250 ok\r\n", b"354 go\r\n")[: min(position, 3)]:
        talk.says(reply)
    if position >= 3:
        talk.content(b"Hi\r\n")
    if position == 4:
        talk.says(b"250 ok\r\n")
    talk.says(b"250 what\r\n" if position == 2 else b"334 what\r\n")
    phases = ["mail", "rcpt", "data", "content", "mail"]
    assert (talk.failure.status, talk.failure.phase) == ("4.5.0", phases[position])


def test_a_refused_reset_ends_the_connection() -> None:
    talk = Talk()
    talk.hello()
    talk.begin()
    talk.says(b"250 ok\r\n550 no\r\n554 no\r\n")
    talk.begin()
    talk.says(b"500 what\r\n")
    assert talk.failure.phase == "mail"


def test_endless_login_prompts_get_no_more_than_two_answers() -> None:
    talk = Talk()
    talk.hello(b"250-mx.example.net\r\n250 AUTH LOGIN\r\n")
    talk.engine.authenticate("alice", "secret")
    talk.sent()
    talk.says(b"334 a\r\n")
    talk.says(b"334 b\r\n")
    assert talk.says(b"334 c\r\n") == b""
    assert talk.failure.phase == "auth"


@settings(max_examples=150)
@given(
    st.lists(
        st.one_of(
            st.sampled_from([PIPELINED, LOCKSTEP, CHUNKING, STARTTLS, GREETING]),
            st.integers(200, 599).map(lambda code: b"%d x\r\n" % code),
            st.sampled_from([b"250 ok\r\n", b"354 go\r\n", b"421 no\r\n", b"250 ok\r\n250 ok\r\n354 go\r\n"]),
            st.binary(max_size=30),
        ),
        max_size=12,
    ),
    st.booleans(),
)
def test_no_server_can_raise_anything_or_gain_a_delivery_without_a_250_to_the_end(
    said: list[bytes], large: bool
) -> None:
    talk = Talk()
    ended = False
    for data in [GREETING, *said]:
        talk.says(data)
        events, talk.events = talk.events, []
        for event in events:
            if isinstance(event, Ready) and talk.engine.usable:
                talk.begin("b@x", "c@x", size=2_000_000 if large else 10)
            if isinstance(event, Ended | Failed):
                delivered = [answer for answer in event.answers if answer is not None and answer.delivered]
                assert ended or not delivered
                ended = False
        if talk.engine.content_wanted:
            sent = talk.content(b"Hi\r\n")
            assert sent.endswith((b".\r\n", b"LAST\r\nHi\r\n"))
            ended = True
