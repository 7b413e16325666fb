"""What holds for any input: no exception, no dependence on the split, one reply to each command."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from fedaemon.smtp import events
from fedaemon.smtp.engine import EngineSettings
from fedaemon.submission.wishes import Offer
from tests.smtp.driving import ENVELOPE, HELLO, SUBMISSION, Caller, codes, pieces

ENGINE = EngineSettings(
    "mx.example.org", max_message_size=40, max_recipients=3, auth_mechanisms=("PLAIN",), errors_per_session=8
)
COMMANDS = [
    HELLO,
    b"HELO x\r\n",
    ENVELOPE,
    b"MAIL FROM:<a@example.org> SIZE=5 BODY=BINARYMIME\r\n",
    b"MAIL FROM:<a@example.org> HOLDFOR=5 BY=60;RT MT-PRIORITY=-4\r\n",
    b"MAIL FROM:<a@example.org> HOLDUNTIL=2026-13-01T00:00:00Z\r\n",
    b"RCPT TO:<b@example.test> NOTIFY=NEVER\r\n",
    b"RCPT TO:<>\r\n",
    b"DATA\r\n",
    b"BDAT 5\r\na\r\nb\r",
    b"BDAT 3 LAST\r\nb\r\n",
    b"BDAT 0 LAST\r\n",
    b"RSET\r\n",
    b"NOOP\r\n",
    b"VRFY x\r\n",
    b"HELP\r\n",
    b"AUTH PLAIN\r\n",
    b"AUTH PLAIN AGEAYg==\r\n",
    b"*\r\n",
    b"QUIT\r\n",
]
NOISE = [
    b"\r\n",
    b"\r",
    b"\n",
    b"\0",
    b".",
    b".\r\n",
    b"\r\n.\r\n",
    b"a" * 30,
    b"BDAT ",
    b"GET / HTTP/1.1\r\n",
    b"\xff",
]
INPUT = st.lists(
    st.one_of(
        st.sampled_from(COMMANDS), st.sampled_from(COMMANDS), st.sampled_from(NOISE), st.binary(max_size=5)
    ),
    max_size=25,
).map(b"".join)
CUTS = st.lists(st.integers(0, 2000), max_size=10)


def session(parts: list[bytes]) -> Caller:
    """Return the caller after a session that begins with EHLO and goes on with *parts*."""
    caller = Caller(ENGINE, tls=True)
    caller.engine.make_offer(Offer(3600, "2030-01-01T00:00:00Z", True))
    caller.say(HELLO)
    caller.say_in_pieces(parts)
    caller.engine.connection_lost()
    caller.take_events()
    return caller


@given(INPUT, CUTS)
@settings(max_examples=400, deadline=None)
def test_events_and_replies_do_not_depend_on_the_split(data: bytes, cuts: list[int]) -> None:
    """Whole, in pieces and byte by byte a session is the same."""
    whole = session([data])
    for parts in (pieces(data, cuts), [data[i : i + 1] for i in range(len(data))]):
        split = session(parts)
        assert split.output == whole.output
        assert split.merged == whole.merged


@given(INPUT)
@settings(max_examples=200, deadline=None)
def test_any_content_that_began_ends_once(data: bytes) -> None:
    """After a DataStart comes one ContentEnd or ContentAborted; Content comes only in between."""
    began = False
    for event in session([data]).events:
        if isinstance(event, events.DataStart):
            assert not began
            began = True
        elif isinstance(event, events.Content):
            assert began
            assert event.data
        elif isinstance(event, events.ContentEnd | events.ContentAborted):
            assert began
            began = False
    assert not began


@given(st.binary(max_size=400), CUTS)
@settings(max_examples=200, deadline=None)
def test_garbage_never_raises_and_is_answered_in_replies(data: bytes, cuts: list[int]) -> None:
    """Whatever octets come, what goes out are well-formed replies."""
    caller = Caller()
    caller.say_in_pieces(pieces(data, cuts))
    codes(caller.output)
    assert caller.of(events.MailFrom) == []


LINES = st.lists(
    st.one_of(
        st.sampled_from(
            [command for command in COMMANDS if command.count(b"\r\n") == 1 and b"DATA" not in command]
        ),
        st.sampled_from(
            [b"DATA\r\n", b"MAIL FROM:<a@example.org>\r\n", b"RCPT TO:<b@example.test>\r\n", b"WHAT\r\n"]
        ),
        st.integers(0, 9).map(lambda size: b"BDAT %d\r\n" % size + b"QUIT\r\nxyz"[:size]),
    ),
    max_size=30,
)


@given(LINES)
@settings(max_examples=300, deadline=None)
def test_one_reply_to_each_command(commands: list[bytes]) -> None:
    """As many replies as commands, at each point of a session; content after 354 counts as one more."""
    caller = Caller(ENGINE, tls=True)
    assert codes(caller.say(HELLO)) == [250]
    for command in commands:
        if caller.engine.closed:
            assert caller.say(command) == b""
            continue
        said = codes(caller.say(command))
        assert len(said) == 1
        if said == [334]:
            assert codes(caller.say(b"*\r\n")) in ([501], [421])
        if said == [354] and command == b"DATA\r\n":
            assert len(codes(caller.say(b"one\r\n.\r\n"))) == 1


@given(
    st.lists(st.sampled_from([b"NOOP\r\n", b"RSET\r\n", b"VRFY x\r\n", b"WHAT\r\n", ENVELOPE]), max_size=20)
)
@settings(deadline=None)
def test_as_many_replies_when_all_come_at_once(commands: list[bytes]) -> None:
    """A pipelining client can count on the number and order of replies."""
    caller = Caller(SUBMISSION, tls=True)
    caller.engine.authentication_not_required()
    one_by_one = Caller(SUBMISSION, tls=True)
    one_by_one.engine.authentication_not_required()
    data = HELLO + b"".join(commands)
    assert caller.say(data) == b"".join(one_by_one.say(line) for line in data.splitlines(keepends=True))
