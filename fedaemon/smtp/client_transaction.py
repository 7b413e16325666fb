"""One mail transaction as a client sees it: MAIL, RCPT and an answer for each recipient, the content.

With PIPELINING everything up to DATA goes out in one piece; without it, command by command. BDAT is used when
the content is binary, or large and CHUNKING is offered: then the content starts only once a recipient was
accepted.

Standards: RFC 5321 3.3 and 4.5.3.1.10 (too many recipients), RFC 2920 3.1 (what may be grouped, and DATA
answered 354 although no recipient was accepted), RFC 3030 (BDAT).
Invariants: every recipient gets at most one answer; the end of data is sent only after the whole content,
except for the lone dot when the server has accepted nobody; nothing is sent after a refusal of content.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from fedaemon.errors import BadSyntax
from fedaemon.smtp.client_capabilities import Capabilities
from fedaemon.smtp.client_content import Chunker, DotStuffer
from fedaemon.smtp.client_envelope import Envelope, mail_command, rcpt_command
from fedaemon.smtp.client_pipeline import PHASES, Answered, Pipeline, Wait
from fedaemon.smtp.client_reply import RemoteReply

CHUNKING_FROM_OCTETS = 1024 * 1024
"""From this size on CHUNKING is used where offered; DATA needs no more round trips below a few chunks."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a recipient got: *code* is 0 and *text* a description when no reply was had."""

    phase: str
    code: int
    status: str
    text: str

    @property
    def delivered(self) -> bool:
        """True when the message was accepted for the recipient."""
        return 200 <= self.code < 300 and self.phase == "content"

    @property
    def permanent(self) -> bool:
        """True when trying again cannot help.

        552 for "too many recipients" is an old name of 452.

        Spec: RFC 5321 4.2.1, 4.5.3.1.10
        """
        return self.code >= 500 and not (self.phase == "rcpt" and self.code == 552 and self.status == "5.5.3")


def answer_of(wait: Wait, reply: RemoteReply) -> Answer:
    """Return *reply*, which came to *wait*, as a recipient's answer."""
    return Answer(PHASES[wait], reply.code, reply.status, reply.text)


class Transaction:
    """Runs one transaction over a pipeline; ``on_end`` is called once, when no more answers will come."""

    __slots__ = (
        "_accepted",
        "_capabilities",
        "_chunked",
        "_chunker",
        "_content_open",
        "_end_sent",
        "_envelope",
        "_mail_refused",
        "_on_end",
        "_pipeline",
        "_pipelining",
        "_rcpt_left",
        "_refusal",
        "_steps",
        "_strangely_accepted",
        "_stuffer",
        "answers",
        "needs_reset",
        "usable",
    )

    def __init__(
        self, pipeline: Pipeline, envelope: Envelope, capabilities: Capabilities, on_end: Callable[[], None]
    ) -> None:
        self._pipeline = pipeline
        self._envelope = envelope
        self._capabilities = capabilities
        self._on_end = on_end
        self._pipelining = "PIPELINING" in capabilities
        self._chunked = "CHUNKING" in capabilities and (
            envelope.body == "BINARYMIME" or envelope.size >= CHUNKING_FROM_OCTETS
        )
        self._chunker = Chunker()
        self._stuffer = DotStuffer()
        self._steps: deque[tuple[bytes, Wait, Answered, int]] = deque()
        self._accepted: list[int] = []
        self._rcpt_left = len(envelope.recipients)
        self._mail_refused = False
        self._strangely_accepted = False
        self._content_open = False
        self._end_sent = False
        self._refusal: Answer | None = None
        self.answers: list[Answer | None] = [None] * self._rcpt_left
        """An answer for each recipient; None: undecided, to be offered in another transaction."""
        self.needs_reset = True
        """The server may still hold a transaction: RSET before the next."""
        self.usable = True
        """Commands can follow on the connection."""

    def begin(self, *, reset: bool) -> None:
        """Send the first commands, after RSET when *reset*; ValueError when one cannot be written."""
        steps = self._steps
        if reset:
            steps.append((b"RSET\r\n", Wait.RESET, self._reset_answered, 0))
        steps.append((mail_command(self._envelope, self._capabilities), Wait.MAIL, self._mail_answered, 0))
        for number, recipient in enumerate(self._envelope.recipients):
            command = rcpt_command(recipient, self._capabilities)
            steps.append((command, Wait.RCPT, self._rcpt_answered, number))
        if not self._chunked:
            steps.append((b"DATA\r\n", Wait.DATA, self._data_answered, 0))
        self._step()

    @property
    def content_wanted(self) -> bool:
        """True when the next block of content can be sent."""
        return self._content_open and (self._pipelining or not self._pipeline)

    @property
    def content_open(self) -> bool:
        """True from the start of the content until its end was sent or it was refused."""
        return self._content_open

    @property
    def in_doubt(self) -> bool:
        """True when the end was sent and not answered: the server may have taken the message."""
        return self._end_sent and self._refusal is None and bool(self._accepted)

    @property
    def untouched(self) -> bool:
        """True while no recipient was accepted, so that no content can have been sent either."""
        return not self._accepted

    def send_content(self, block: bytes) -> None:
        """Send the next *block* of the content."""
        if not self._chunked:
            self._pipeline.write(self._stuffer.feed(block))
        elif (chunk := self._chunker.feed(block)) is not None:
            self._send_chunk(chunk, b"", Wait.BLOCK)

    def end_content(self) -> None:
        """The content is complete."""
        self._content_open = False
        self._end_sent = True
        if self._chunked:
            self._send_chunk(self._chunker.finish(), b" LAST", Wait.FINAL)
        else:
            self._pipeline.write(self._stuffer.finish())
            self._pipeline.expect(Wait.FINAL, self._end_answered)

    def answer_accepted(self, answer: Answer) -> None:
        """Give *answer* to every recipient that the server had accepted."""
        for number in self._accepted:
            self.answers[number] = answer

    def refused_early(self, reply: RemoteReply) -> None:
        """Take a refusal that came before the end of data: the connection is out of step after it.

        Raises ``BadSyntax`` when it is no refusal.
        """
        if reply.code < 400:
            raise BadSyntax("the host answered the content before it had all of it")
        self._content_open = False
        self.usable = False
        self.answer_accepted(answer_of(Wait.FINAL, reply))
        self._on_end()

    def _step(self) -> None:
        """Send what can be sent now: all commands, or the next one."""
        steps = self._steps
        pipeline = self._pipeline
        while steps and (self._pipelining or not pipeline):
            command, wait, answered, number = steps.popleft()
            pipeline.write(command)
            pipeline.expect(wait, answered, number)

    def _reset_answered(self, reply: RemoteReply, _number: int) -> None:
        if reply.code >= 300:
            raise BadSyntax(f"the host refused RSET: {reply.code} {reply.text}")
        self._step()

    def _mail_answered(self, reply: RemoteReply, _number: int) -> None:
        if reply.code < 300:
            self._step()
            return
        if reply.code < 400:
            raise BadSyntax(f"the host answered MAIL with {reply.code}")
        self._mail_refused = True
        self.answers = [answer_of(Wait.MAIL, reply)] * len(self.answers)
        if not self._pipelining:
            self._end()

    def _rcpt_answered(self, reply: RemoteReply, number: int) -> None:
        self._rcpt_left -= 1
        if reply.code < 300:
            if self._mail_refused:
                self._strangely_accepted = True
            else:
                self._accepted.append(number)
        elif reply.code < 400:
            raise BadSyntax(f"the host answered RCPT with {reply.code}")
        elif not self._mail_refused and not (self._accepted and _says_too_many(reply)):
            self.answers[number] = answer_of(Wait.RCPT, reply)
        if self._rcpt_left:
            self._step()
        elif self._pipelining and not self._chunked:
            return  # DATA is on its way
        elif not self._accepted:
            self._end()
        elif self._chunked:
            self._content_open = True
        else:
            self._step()

    def _data_answered(self, reply: RemoteReply, _number: int) -> None:
        if reply.code < 300:
            raise BadSyntax(f"the host answered DATA with {reply.code}")
        if reply.code >= 400:
            self.answer_accepted(answer_of(Wait.DATA, reply))
            self._end()
        elif self._accepted:
            self._content_open = True
        elif self._strangely_accepted:
            # Having refused the sender it took recipients, and would deliver an empty message to them.
            self.usable = False
            self._end()
        else:
            self._pipeline.write(b".\r\n")
            self._pipeline.expect(Wait.FINAL, self._nothing_answered)

    def _nothing_answered(self, _reply: RemoteReply, _number: int) -> None:
        """The lone dot was answered: no recipient was accepted, so whatever it says concerns nobody."""
        self._end()

    def _send_chunk(self, chunk: bytes, last: bytes, wait: Wait) -> None:
        self._pipeline.write(b"BDAT %d%b\r\n" % (len(chunk), last))
        self._pipeline.write(chunk)
        self._pipeline.expect(wait, self._chunk_answered, 1 if last else 0)

    def _chunk_answered(self, reply: RemoteReply, last: int) -> None:
        """Take the reply to a chunk; after a refusal the replies to chunks under way are only counted."""
        if last and self._refusal is None:
            self._end_answered(reply, 0)
            return
        if self._refusal is None:
            if reply.code < 300:
                return
            if reply.code < 400:
                raise BadSyntax(f"the host answered BDAT with {reply.code}")
            self._content_open = False
            self._refusal = answer_of(Wait.FINAL, reply)
            self.answer_accepted(self._refusal)
            self.usable = reply.code != 421
        if not self._pipeline or not self.usable:
            self._end()

    def _end_answered(self, reply: RemoteReply, _number: int) -> None:
        if 300 <= reply.code < 400:
            raise BadSyntax(f"the host answered the end of the message with {reply.code}")
        self.answer_accepted(answer_of(Wait.FINAL, reply))
        self.needs_reset = reply.code >= 400
        self.usable = reply.code != 421
        self._end()

    def _end(self) -> None:
        self._steps.clear()
        self._on_end()


def _says_too_many(reply: RemoteReply) -> bool:
    """True when a refusal of RCPT means that the transaction is full, not that the recipient is refused.

    Spec: RFC 5321 4.5.3.1.10, RFC 3463 3.6
    """
    return reply.code in (452, 552) and (reply.status[1:] in ("", ".5.3"))
