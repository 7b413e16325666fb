"""The engine's conversations with servers that keep to the rules."""

from __future__ import annotations

from base64 import b64decode
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedaemon.smtp.client_content import CHUNK_OCTETS
from fedaemon.smtp.client_events import Authenticated, Ended, Goodbye, Ready, TlsGranted
from fedaemon.smtp.client_transaction import CHUNKING_FROM_OCTETS
from tests.smtp_client.talk import GREETING, LOCKSTEP, PIPELINED, Talk

CHUNKING = b"250-mx.example.net\r\n250-PIPELINING\r\n250-BINARYMIME\r\n250 CHUNKING\r\n"


def test_nothing_is_sent_before_the_greeting() -> None:
    talk = Talk()
    assert talk.sent() == b""
    assert talk.awaiting == "greeting"
    assert talk.says(b"220-mx.example.net\r\n") == b""
    assert talk.says(b"220 ready\r\n") == b"EHLO mail.example.org\r\n"


def test_helo_follows_when_ehlo_is_not_known() -> None:
    talk = Talk()
    talk.says(GREETING)
    assert talk.says(b"502 5.5.1 what\r\n") == b"HELO mail.example.org\r\n"
    talk.says(b"250 mx\r\n")
    assert talk.events == [Ready()]
    assert "PIPELINING" not in talk.engine.capabilities


def test_with_pipelining_commands_up_to_data_leave_in_one_piece() -> None:
    talk = Talk()
    talk.hello()
    assert talk.begin("b@x", "c@x") == b"MAIL FROM:<a@x>\r\nRCPT TO:<b@x>\r\nRCPT TO:<c@x>\r\nDATA\r\n"
    assert talk.says(b"250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n") == b""
    assert talk.awaiting == "block"
    assert talk.content(b"Hi\r\n", b".\r\n") == b"Hi\r\n..\r\n.\r\n"
    assert talk.awaiting == "final"
    assert talk.says(b"250 2.0.0 queued\r\n") == b""
    assert talk.codes == [("content", 250)] * 2
    assert all(answer is not None and answer.delivered and answer.text == "queued" for answer in talk.answers)
    assert talk.engine.usable


def test_without_pipelining_each_reply_is_awaited() -> None:
    talk = Talk()
    talk.hello(LOCKSTEP)
    assert talk.begin("b@x", "c@x") == b"MAIL FROM:<a@x>\r\n"
    assert talk.says(b"250 ok\r\n") == b"RCPT TO:<b@x>\r\n"
    assert talk.says(b"550 no\r\n") == b"RCPT TO:<c@x>\r\n"
    assert talk.says(b"250 ok\r\n") == b"DATA\r\n"
    assert talk.says(b"354 go\r\n") == b""
    assert talk.content(b"Hi") == b"Hi\r\n.\r\n"
    talk.says(b"250 ok\r\n")
    assert talk.codes == [("rcpt", 550), ("content", 250)]


def test_without_pipelining_a_refused_sender_ends_the_transaction() -> None:
    talk = Talk()
    talk.hello(LOCKSTEP)
    talk.begin("b@x", "c@x")
    assert talk.says(b"451 4.3.0 later\r\n") == b""
    assert talk.codes == [("mail", 451)] * 2
    assert talk.begin() == b"RSET\r\n"
    assert talk.says(b"250 ok\r\n") == b"MAIL FROM:<a@x>\r\n"


def test_without_pipelining_nobody_accepted_means_no_data() -> None:
    talk = Talk()
    talk.hello(LOCKSTEP)
    talk.begin()
    talk.says(b"250 ok\r\n")
    assert talk.says(b"550 5.1.1 no\r\n") == b""
    assert talk.codes == [("rcpt", 550)]


def test_with_pipelining_nobody_accepted_and_data_refused() -> None:
    talk = Talk()
    talk.hello()
    talk.begin("b@x", "c@x")
    assert talk.says(b"250 ok\r\n550 no\r\n450 later\r\n554 no valid recipients\r\n") == b""
    assert talk.codes == [("rcpt", 550), ("rcpt", 450)]
    assert talk.begin().startswith(b"RSET\r\nMAIL FROM:<a@x>\r\n")


def test_with_pipelining_nobody_accepted_but_354_gets_a_lone_dot() -> None:
    """RFC 2920 3.1: the server takes an empty message for nobody."""
    talk = Talk()
    talk.hello()
    talk.begin()
    assert talk.says(b"250 ok\r\n550 no\r\n354 go\r\n") == b".\r\n"
    assert not talk.engine.content_wanted
    assert talk.says(b"554 no recipients\r\n") == b""
    assert talk.codes == [("rcpt", 550)]
    assert talk.engine.usable


def test_an_empty_message_is_never_delivered_after_a_refused_sender() -> None:
    """A server that refuses MAIL, takes RCPT and says 354 would deliver what the lone dot ends."""
    talk = Talk()
    talk.hello()
    talk.begin("b@x", "c@x")
    assert talk.says(b"550 5.7.1 no\r\n250 ok\r\n503 order\r\n354 go\r\n") == b""
    assert talk.codes == [("mail", 550)] * 2
    assert not talk.engine.usable


def test_data_refused_is_the_answer_of_those_accepted() -> None:
    talk = Talk()
    talk.hello()
    talk.begin("b@x", "c@x")
    talk.says(b"250 ok\r\n250 ok\r\n550 no\r\n451 4.7.1 wait\r\n")
    assert talk.codes == [("data", 451), ("rcpt", 550)]


def test_the_content_can_be_refused() -> None:
    talk = Talk()
    talk.hello()
    talk.begin()
    talk.says(b"250 ok\r\n250 ok\r\n354 go\r\n")
    talk.content(b"Hi\r\n")
    talk.says(b"550 5.7.1 spam\r\n")
    assert talk.codes == [("content", 550)]
    assert talk.answers[0] is not None
    assert talk.answers[0].permanent


@pytest.mark.parametrize(
    "reply", [b"452 4.5.3 too many", b"452 too many", b"552 5.5.3 too many", b"552 too many"]
)
def test_too_many_recipients_leaves_the_rest_for_another_transaction(reply: bytes) -> None:
    talk = Talk()
    talk.hello()
    talk.begin("b@x", "c@x", "d@x")
    talk.says(b"250 ok\r\n250 ok\r\n" + reply + b"\r\n" + reply + b"\r\n354 go\r\n")
    talk.content(b"Hi\r\n")
    talk.says(b"250 ok\r\n")
    assert talk.codes == [("content", 250), None, None]
    assert talk.begin().startswith(b"MAIL")  # nothing to reset after a message that was taken


@pytest.mark.parametrize(
    ("reply", "permanent"),
    [
        (b"452 4.2.2 mailbox full", False),
        (b"552 5.2.2 mailbox full", True),
        (b"452 4.3.1 disk full", False),
    ],
)
def test_a_full_mailbox_is_not_too_many_recipients(reply: bytes, permanent: bool) -> None:
    talk = Talk()
    talk.hello()
    talk.begin("b@x", "c@x")
    talk.says(b"250 ok\r\n250 ok\r\n" + reply + b"\r\n354 go\r\n")
    talk.content(b"Hi\r\n")
    talk.says(b"250 ok\r\n")
    answer = talk.answers[1]
    assert answer is not None
    assert (answer.phase, answer.permanent) == ("rcpt", permanent)


def test_552_too_many_for_the_first_recipient_is_temporary() -> None:
    talk = Talk()
    talk.hello()
    talk.begin()
    talk.says(b"250 ok\r\n552 5.5.3 too many\r\n554 no\r\n")
    assert talk.answers[0] is not None
    assert not talk.answers[0].permanent


def test_bdat_is_used_for_large_content_and_acknowledged_chunk_by_chunk() -> None:
    talk = Talk()
    talk.hello(CHUNKING)
    content = b"x\r\n.\r\n" * (CHUNKING_FROM_OCTETS // 6 + 1)
    assert talk.begin(size=len(content)) == b"MAIL FROM:<a@x>\r\nRCPT TO:<b@x>\r\n"
    assert talk.says(b"250 ok\r\n250 ok\r\n") == b""
    blocks = [content[start : start + 65536] for start in range(0, len(content), 65536)]
    sent = talk.content(*blocks)
    assert sent.startswith(b"BDAT %d\r\nx\r\n.\r\nx" % CHUNK_OCTETS)
    received, count = b"", 0
    while sent:
        command, _, rest = sent.partition(b"\r\n")
        size = int(command.split()[1])
        received, sent, count = received + rest[:size], rest[size:], count + 1
    assert command.endswith(b" LAST")
    assert received == content
    assert talk.awaiting == "block"
    talk.says(b"250 got it\r\n" * (count - 1))
    assert talk.awaiting == "final"
    talk.says(b"250 2.0.0 queued\r\n")
    assert talk.codes == [("content", 250)]


def test_bdat_without_pipelining_waits_for_each_chunk() -> None:
    talk = Talk()
    talk.hello(b"250-mx\r\n250-CHUNKING\r\n250 BINARYMIME\r\n")
    talk.begin(size=300_000, body="BINARYMIME")
    talk.says(b"250 ok\r\n")
    talk.says(b"250 ok\r\n")
    talk.engine.send_content(b"x" * CHUNK_OCTETS)
    assert talk.engine.content_wanted
    talk.engine.send_content(b"y" * 10)
    assert not talk.engine.content_wanted
    assert talk.sent() == b"BDAT %d\r\n" % CHUNK_OCTETS + b"x" * CHUNK_OCTETS
    talk.says(b"250 ok\r\n")
    assert talk.content() == b"BDAT 10 LAST\r\n" + b"y" * 10
    talk.says(b"250 ok\r\n")
    assert talk.codes == [("content", 250)]


def test_bdat_needs_an_accepted_recipient() -> None:
    talk = Talk()
    talk.hello(CHUNKING)
    talk.begin(body="BINARYMIME")
    assert talk.says(b"250 ok\r\n550 no\r\n") == b""
    assert talk.codes == [("rcpt", 550)]


def test_a_refused_chunk_ends_the_content_and_its_followers_are_only_counted() -> None:
    talk = Talk()
    talk.hello(CHUNKING)
    talk.begin(body="BINARYMIME")
    talk.says(b"250 ok\r\n250 ok\r\n")
    for _ in range(3):
        talk.engine.send_content(b"x" * CHUNK_OCTETS)
    assert talk.sent().count(b"BDAT") == 2
    talk.says(b"552 5.3.4 too big\r\n")
    assert not talk.engine.content_wanted
    assert talk.events == [Ready()]
    talk.says(b"503 5.5.1 no\r\n")
    assert talk.codes == [("content", 552)]
    assert talk.engine.usable
    assert talk.begin().startswith(b"RSET\r\n")


def test_starttls_begins_anew() -> None:
    talk = Talk()
    talk.hello(b"250-mx.example.net\r\n250-PIPELINING\r\n250 STARTTLS\r\n")
    talk.engine.start_tls()
    assert talk.sent() == b"STARTTLS\r\n"
    assert talk.says(b"220 go\r\n") == b""
    assert talk.events == [Ready(), TlsGranted()]
    assert talk.awaiting == "handshake"
    talk.engine.tls_started()
    assert talk.sent() == b"EHLO mail.example.org\r\n"
    assert "PIPELINING" not in talk.engine.capabilities
    talk.says(b"250 mx\r\n")
    assert talk.events[-1] == Ready()


def test_auth_plain() -> None:
    talk = Talk()
    talk.hello(b"250-mx.example.net\r\n250 AUTH LOGIN PLAIN\r\n")
    talk.engine.authenticate("dörte", "pass word")
    verb, mechanism, initial = talk.sent().split()
    assert (verb, mechanism, b64decode(initial)) == (b"AUTH", b"PLAIN", "\0dörte\0pass word".encode())
    talk.says(b"235 2.7.0 welcome\r\n")
    assert talk.events[-1] == Authenticated()


def test_auth_login() -> None:
    talk = Talk()
    talk.hello(b"250-mx.example.net\r\n250 AUTH LOGIN\r\n")
    talk.engine.authenticate("alice", "secret")
    assert talk.sent() == b"AUTH LOGIN\r\n"
    assert talk.says(b"334 VXNlcm5hbWU6\r\n") == b"YWxpY2U=\r\n"
    assert talk.says(b"334 UGFzc3dvcmQ6\r\n") == b"c2VjcmV0\r\n"
    talk.says(b"235 ok\r\n")
    assert talk.events[-1] == Authenticated()


def test_auth_refused_and_auth_not_offered() -> None:
    talk = Talk()
    talk.hello(b"250-mx.example.net\r\n250 AUTH PLAIN\r\n")
    talk.engine.authenticate("alice", "secret")
    talk.sent()
    assert talk.says(b"535 5.7.8 wrong\r\n") == b"QUIT\r\n"
    assert (talk.failure.phase, talk.failure.code, talk.failure.status) == ("auth", 535, "5.7.8")
    other = Talk()
    other.hello(b"250-mx.example.net\r\n250 AUTH CRAM-MD5\r\n")
    other.engine.authenticate("alice", "secret")
    assert other.sent() == b""
    assert (other.failure.phase, other.failure.code) == ("auth", 0)


@pytest.mark.parametrize(
    ("before", "reply", "phase"),
    [
        ([], b"554 5.7.1 no service\r\n", "greeting"),
        ([], b"421 4.3.2 later\r\n", "greeting"),
        ([GREETING], b"451 4.3.0 later\r\n", "ehlo"),
        ([GREETING, b"500 what\r\n"], b"500 what\r\n", "ehlo"),
    ],
)
def test_a_refusal_before_the_first_transaction_ends_the_connection(
    before: list[bytes], reply: bytes, phase: str
) -> None:
    talk = Talk()
    for data in before:
        talk.says(data)
    talk.says(reply)
    assert (talk.failure.phase, talk.failure.code) == (phase, int(reply[:3]))
    assert talk.engine.closed


def test_starttls_refused() -> None:
    talk = Talk()
    talk.hello(b"250-mx.example.net\r\n250 STARTTLS\r\n")
    talk.engine.start_tls()
    talk.sent()
    assert talk.says(b"454 4.7.0 not now\r\n") == b"QUIT\r\n"
    assert (talk.failure.phase, talk.failure.code) == ("tls", 454)


def test_mailmax_of_rfc_9422_ends_the_use_of_a_connection() -> None:
    talk = Talk()
    talk.hello(b"250-mx.example.net\r\n250 LIMITS MAILMAX=1\r\n")
    assert talk.engine.usable
    talk.begin()
    for reply in (b"250 ok\r\n", b"550 no\r\n"):
        talk.says(reply)
    assert not talk.engine.usable
    assert not talk.engine.closed


def test_quit() -> None:
    talk = Talk()
    talk.hello()
    talk.engine.quit()
    assert talk.sent() == b"QUIT\r\n"
    assert talk.awaiting == "quit"
    talk.says(b"221 bye\r\n")
    assert talk.events[-1] == Goodbye()


def test_an_envelope_that_cannot_be_written_sends_nothing() -> None:
    talk = Talk()
    talk.hello()
    with pytest.raises(ValueError, match="control character"):
        talk.begin("b@x", "c\r\n@x")
    assert talk.sent() == b""
    assert talk.begin() != b""


@given(st.sampled_from([PIPELINED, LOCKSTEP, CHUNKING]), st.data())
def test_any_split_of_what_a_server_says_gives_the_same_conversation(
    ehlo: bytes, data: st.DataObject
) -> None:
    replies = [
        GREETING,
        ehlo,
        b"250 ok\r\n",
        b"250-2.1.5 ok\r\n250 2.1.5 ok\r\n",
        b"550-5.1.1 no\r\n550 5.1.1 no\n",
        *([] if ehlo is CHUNKING else [b"354 go\r\n"]),
        b"250-2.0.0 queued\r\n250 2.0.0 as X\r\n",
    ]

    def converse(cut: bool) -> tuple[bytes, list[object]]:
        talk = Talk()
        sent = b""
        for number, reply in enumerate(replies):
            places = data.draw(st.sets(st.integers(1, len(reply) - 1), max_size=4)) if cut else set()
            edges = [0, *sorted(places), len(reply)]
            for start, stop in pairwise(edges):
                sent += talk.says(reply[start:stop])
            if number == 1:
                sent += talk.begin("b@x", "c@x", body="BINARYMIME" if ehlo is CHUNKING else "7BIT")
            if talk.engine.content_wanted:
                sent += talk.content(b"Hi\r\n.\r\n")
        return sent, list(talk.events)

    whole = converse(cut=False)
    assert converse(cut=True) == whole
    assert isinstance(whole[1][-1], Ended)
