"""BDAT: RFC 3030."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fedaemon.smtp import events
from fedaemon.smtp.reply import Reply
from tests.smtp.driving import ENVELOPE, MX, codes, greeted


def bdat(data: bytes, last: bool = False) -> bytes:
    return b"BDAT %d%s\r\n" % (len(data), b" LAST" if last else b"") + data


def test_chunks_are_one_content() -> None:
    """Chunks may end anywhere, between CR and LF too; each is answered, the last by the caller."""
    caller = greeted()
    content = b"From: a\r\n\r\n..dots\r\n.\r\nend\r\n"
    script = b"".join(
        [bdat(content[:8]), bdat(content[8:9]), bdat(content[9:22]), bdat(content[22:], last=True)]
    )
    said = caller.say(ENVELOPE + script)
    assert codes(said) == [250] * 6
    assert b"250 2.0.0 13 octets received\r\n" in said
    assert caller.messages == [content]


def test_an_empty_last_chunk() -> None:
    """BDAT 0 LAST ends the content, and what follows it in the same read is a command."""
    caller = greeted()
    assert codes(caller.say(ENVELOPE + bdat(b"one\r\n") + bdat(b"", last=True) + b"NOOP\r\n")) == [250] * 5
    assert caller.messages == [b"one\r\n"]


def test_an_empty_message() -> None:
    """A message may come without any octet; judging it is the caller's."""
    caller = greeted()
    assert codes(caller.say(ENVELOPE + bdat(b"", last=True))) == [250] * 3
    assert caller.events[-1] == events.ContentEnd(0, False)


def test_lower_case_last_and_spaces() -> None:
    """LAST in any case."""
    caller = greeted()
    assert codes(caller.say(ENVELOPE + b"bdat  3  last \r\na\r\n")) == [250] * 3
    assert caller.messages == [b"a\r\n"]


@pytest.mark.parametrize(
    "size", [b"", b"x", b"-1", b"1.5", b"0x10", b"1 FIRST", b"LAST", b"1 LAST x", b"1" * 21, b"\xb2"]
)
def test_a_size_that_cannot_be_read_ends_the_session(size: bytes) -> None:
    """What follows might be a chunk; it is not taken for commands."""
    caller = greeted()
    assert codes(caller.say(ENVELOPE + b"BDAT " + size + b"\r\nRSET\r\n")) == [250, 250, 501]
    assert caller.engine.closed
    assert isinstance(caller.events[-1], events.Abuse)


def test_the_caller_is_asked_once() -> None:
    """DataStart comes before the first chunk, with what is known of the size."""
    caller = greeted()
    caller.say(ENVELOPE + bdat(b"a\r\n") + bdat(b"b\r\n", last=True))
    assert caller.of(events.DataStart) == [events.DataStart(False, None)]
    caller.say(b"MAIL FROM:<> SIZE=99 BODY=BINARYMIME\r\nRCPT TO:<b@example.test>\r\n" + bdat(b"a\r\n"))
    assert caller.events[-2] == events.DataStart(True, 99)
    caller.say(b"RSET\r\n" + ENVELOPE + bdat(b"a\r\n", last=True))
    assert caller.of(events.DataStart)[-1] == events.DataStart(False, 3)


@pytest.mark.parametrize(
    ("reply", "code"), [(Reply(451, "4.3.0", "Later"), 451), (Reply(550, "5.7.1", "No"), 550)]
)
def test_a_refused_start_is_answered_after_the_chunk(reply: Reply, code: int) -> None:
    """The chunk is passed over, then answered; the transaction is over."""
    caller = greeted()
    caller.refusals = {events.DataStart: reply}
    assert codes(caller.say(ENVELOPE + b"BDAT 10\r\nRSET\r\n")) == [250, 250]
    assert codes(caller.say(b"ab\r\nNOOP\r\n")[:0] + caller.say(b"")) == []
    assert codes(caller.output)[-2:] == [code, 250]
    assert codes(caller.say(bdat(b"a\r\n", last=True))) == [503]
    assert caller.of(events.Content) == []


def test_a_refused_empty_chunk() -> None:
    """There is nothing to pass over."""
    caller = greeted()
    assert codes(caller.say(bdat(b"", last=True) + b"NOOP\r\n")) == [503, 250]


def test_a_fault_refuses_its_chunk_and_the_transaction() -> None:
    """The chunks after it, pipelined, are passed over and answered 503."""
    caller = greeted()
    said = caller.say(ENVELOPE + bdat(b"a\r\n") + bdat(b"b\n") + bdat(b"c\r\n") + bdat(b"d\r\n", last=True))
    assert codes(said) == [250, 250, 250, 550, 503, 503]
    assert len(caller.of(events.ContentAborted)) == 1
    assert codes(caller.say(ENVELOPE + bdat(b"a\r\n", last=True))) == [250] * 3


def test_a_bare_cr_at_the_very_end() -> None:
    """A CR that ends the content is bare; one that ends a chunk is not yet."""
    caller = greeted()
    assert codes(caller.say(ENVELOPE + bdat(b"a\r") + bdat(b"", last=True))) == [250, 250, 250, 550]


def test_bare_lf_may_be_normalised() -> None:
    """As for DATA; the LF that follows a CR of the chunk before is no bare one."""
    caller = greeted(replace(MX, bare_lf="normalise"))
    assert codes(caller.say(ENVELOPE + bdat(b"a\r") + bdat(b"\nb\n\n.\nc", last=True))) == [250] * 4
    assert caller.messages == [b"a\r\nb\r\n\r\n.\r\nc"]


def test_binarymime_is_not_for_data() -> None:
    """DATA is refused and the transaction stays open for BDAT."""
    caller = greeted()
    caller.say(b"MAIL FROM:<> BODY=BINARYMIME\r\nRCPT TO:<b@example.test>\r\n")
    said = caller.say(b"DATA\r\n")
    assert said.startswith(b"503 5.6.1 ")
    assert codes(caller.say(bdat(b"\xff\r\n", last=True))) == [250]
    assert caller.events[-1] == events.ContentEnd(3, True)
