"""The engine: any split of the input, the order of replies, limits, misuse."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedaemon.errors import MailError, Refused, Unavailable
from fedaemon.pop3 import events
from fedaemon.pop3.engine import COMMAND_LINE, EngineMisuseError, ServerEngine
from fedaemon.pop3.lines import MAX_SKIPPED
from fedaemon.pop3.verbs import VERBS
from fedaemon.store.errors import StoreFull
from tests.pop3.driving import LOG_IN, MESSAGES, UIDS, Caller, settings

COMMANDS = st.one_of(
    st.sampled_from(
        [b"LIST", b"UIDL", b"STAT", b"RETR 1", b"RETR 3", b"TOP 1 2", b"DELE 2", b"RSET", b"NOOP", b"CAPA"]
    ),
    st.sampled_from(
        [b"AUTH PLAIN", b"*", b"USER x", b"x" * 300, b"NOOP\rNOOP", b"NOOP\nNOOP", b"QUIT", b"."]
    ),
    st.binary(max_size=20),
)
SESSIONS = st.lists(COMMANDS, max_size=12).map(lambda lines: b"".join(line + b"\r\n" for line in lines))


@given(st.booleans(), SESSIONS, st.lists(st.integers(1, 60), max_size=12))
def test_any_split_of_the_input_gives_the_same_answers(log_in: bool, data: bytes, sizes: list[int]) -> None:
    """Whole, byte by byte, and in pieces; and nothing a client sends raises."""
    data = (LOG_IN if log_in else b"") + data
    pieces, start = [], 0
    for size in sizes:
        pieces.append(data[start : start + size])
        start += size
    pieces.append(data[start:])
    whole = Caller()
    said = whole.say(data)
    split = Caller()
    assert split.say_in_pieces(pieces) == said
    single = Caller()
    assert single.say_in_pieces(data[at : at + 1] for at in range(len(data))) == said
    assert whole.removed == split.removed == single.removed
    assert whole.engine.closed == split.engine.closed == single.engine.closed


@pytest.mark.parametrize("verb", sorted(VERBS))
@pytest.mark.parametrize("log_in", [False, True])
@pytest.mark.parametrize("argument", [b"", b" ", b" 1", b" 1 1", b" x", b" \xff", b" " + b"9" * 200])
def test_every_command_in_every_state_gets_an_answer(verb: bytes, log_in: bool, argument: bytes) -> None:
    """One reply, or a challenge; or TLS begins; never silence, never an exception."""
    caller = Caller(tls=log_in)
    if log_in:
        caller.say(LOG_IN)
        assert caller.engine.state
    caller.engine.take_output()
    said = caller.say(verb + argument + b"\r\n")
    assert said.startswith((b"+OK", b"-ERR", b"+ "))
    assert said.endswith(b"\r\n")


def test_nothing_is_removed_without_quit() -> None:
    """RFC 1939 6: an end of the session by any other way leaves everything."""
    caller = Caller()
    caller.say(LOG_IN + b"DELE 1\r\nDELE 2\r\n")
    caller.engine.close(b"-ERR stop\r\n")
    caller.say(b"QUIT\r\n")
    assert caller.removed == ()
    assert not caller.events_of(events.Update)


def test_quit_removes_what_is_marked_then() -> None:
    """Marks that RSET took away do not count."""
    caller = Caller()
    caller.say(LOG_IN + b"DELE 1\r\nRSET\r\nDELE 3\r\nQUIT\r\n")
    assert caller.removed == (UIDS[2],)


@pytest.mark.parametrize("error", [Unavailable("the store is ill"), StoreFull("no room")])
def test_a_store_that_refuses_the_removal_is_told_of(error: MailError) -> None:
    """-ERR [SYS/TEMP], and the session is over (RFC 1939 6, RFC 3206 4)."""
    caller = Caller(refusals={events.Update: error})
    caller.say(LOG_IN)
    assert caller.say(b"DELE 1\r\nQUIT\r\n").endswith(f"-ERR [SYS/TEMP] {error.text}\r\n".encode())
    assert caller.engine.closed


@pytest.mark.parametrize(
    ("error", "reply", "closed"),
    [
        (Refused("locked out", code=454, status="4.7.0"), b"-ERR [SYS/TEMP] locked out\r\n", False),
        (Refused("too many", code=421, status="4.7.0"), b"-ERR [SYS/TEMP] too many\r\n", True),
        (Refused("not for pop3", code=535, status="5.7.8"), b"-ERR [AUTH] not for pop3\r\n", False),
        (Refused("a\r\nb\x1b\u00fc"), b"-ERR a  b ?\r\n", False),
    ],
)
def test_refused_log_ins(error: MailError, reply: bytes, closed: bool) -> None:
    """RFC 3206: [AUTH] only where the credentials are at fault, and one line whatever the text."""
    caller = Caller(refusals={events.Login: error})
    assert caller.say(LOG_IN).endswith(b"\r\n" + reply)
    assert caller.engine.closed is closed


def test_utf8_is_for_those_who_asked() -> None:
    """RFC 6856 2.1: replies have UTF-8 only after UTF8, and are never cut within a character."""
    refusal = Refused("\u00fc" * 400)
    plain, asked = (Caller(refusals={events.Login: refusal}) for _ in range(2))
    assert b"?" * 400 in plain.say(LOG_IN)
    reply = asked.say(b"UTF8\r\n" + LOG_IN).splitlines()[-1]
    assert 508 < len(reply) <= 510
    assert reply.decode().startswith("-ERR \u00fc\u00fc")


def test_replies_wait_for_decisions() -> None:
    """While a question is open nothing else is read (RFC 2449 6.6)."""
    engine = ServerEngine(settings())
    engine.tls_started()
    engine.receive(LOG_IN + b"STAT\r\n")
    while not isinstance(event := engine.next_event(), events.Login):
        assert event is not None
    assert engine.next_event() is None
    engine.take_output()
    engine.refuse(Refused("no"))
    assert engine.next_event() is events.PROGRESS
    assert engine.take_output() == b"-ERR no\r\n-ERR Log in first\r\n"


def test_a_large_maildrop_is_listed_in_blocks() -> None:
    """Each step queues a bounded number of octets."""
    caller = Caller()
    caller.say(LOG_IN)
    caller.engine.maildrop.extend(range(100, 5100), [1] * 5000)
    caller.engine.receive(b"LIST\r\n")
    sizes, said = [], b""
    while caller.engine.next_event() is not None:
        sizes.append(caller.engine.queued)
        said += caller.engine.take_output()
    assert max(sizes) < 20_000
    assert said.count(b"\r\n") == 1 + 5003 + 1


def test_what_waits_for_a_line_is_bounded() -> None:
    """A line without end is neither kept nor passed over for ever."""
    caller = Caller()
    for _ in range(MAX_SKIPPED):
        caller.say(b"x")
        assert caller.engine.buffered <= COMMAND_LINE
    assert not caller.engine.closed
    caller.say(b"x")
    assert caller.engine.closed


def test_octets_before_the_handshake_end_the_session() -> None:
    """Injected in the clear after the reply to STLS (CVE-2011-0411)."""
    caller = Caller(tls=False)
    caller.say(b"STLS\r\n")
    caller.say(LOG_IN)
    assert caller.engine.closed
    assert isinstance(caller.events[-1], events.Abuse)
    caller.engine.tls_started()
    assert caller.say(b"CAPA\r\n") == b""


def test_a_name_from_before_tls_is_forgotten() -> None:
    """RFC 2595 4: nothing said in the clear counts."""
    caller = Caller(tls=False)
    caller.say(b"UTF8\r\nSTLS\r\n")
    caller.engine.tls_started()
    assert not caller.engine.utf8
    assert caller.say(b"PASS x\r\n") == b"-ERR Say USER first\r\n"


def test_answers_where_nothing_was_asked_are_bugs() -> None:
    """The caller is told at once."""
    engine = ServerEngine(settings())
    answers: tuple[Callable[[], None], ...] = (
        lambda: engine.accept(1),
        engine.gone,
        lambda: engine.auth_challenge(b""),
        lambda: engine.found([b"x"]),
        lambda: engine.refuse(Refused("x")),
    )
    for answer in answers:
        with pytest.raises(EngineMisuseError):
            answer()


def test_answers_after_the_end_are_dropped() -> None:
    """The connection went while the store was asked."""
    caller = Caller()
    caller.say(LOG_IN)
    caller.engine.receive(b"RETR 1\r\n")
    assert isinstance(caller.engine.next_event(), events.Retrieve)
    caller.engine.drop()
    caller.engine.found([MESSAGES[0]])
    assert caller.engine.take_output() == b""
    assert not caller.engine.sending
