"""The state of an SMTP session, and what the verbs may do with it.

``ServerEngine`` extends it with what its caller uses; the verbs see only this half.

Standards: RFC 5321 4.1.4, 4.3, RFC 3030, RFC 3207 4.2.
Invariants: whatever ends a content that is not complete says ``ContentAborted``, once.
Limits: ``errors_per_session``; see ``reception`` for content.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from enum import IntEnum

from fedaemon.smtp.engine_settings import EngineSettings
from fedaemon.smtp.events import (
    Abuse,
    Content,
    ContentAborted,
    ContentEnd,
    Event,
    MailParams,
    Reset,
    TooManyErrors,
)
from fedaemon.smtp.lines import Input
from fedaemon.smtp.reception import OVERFLOW, Reception
from fedaemon.smtp.reply import Reply
from fedaemon.smtp.verbs.verb import Answers, Phase
from fedaemon.submission.wishes import Offer

TOO_MANY_ERRORS = b"421 4.7.0 Too many errors, closing the connection\r\n"
OVERFLOWED = b"421 4.3.4 The message is far too big, closing the connection\r\n"

NO_PARAMS = MailParams()


class Mode(IntEnum):
    """What the next octets of the client are."""

    COMMANDS = 0
    SASL = 1  # the answer to a challenge
    CONTENT = 2
    SWALLOW = 3  # a refused chunk
    TLS = 4  # a handshake that the engine does not see


class Session:
    """One client's session.

    *hello* is the client's name from EHLO or HELO, *extended* says which. *params* are those of the open
    transaction, *recipients* counts its accepted recipients, *chunk* is the size of BDAT's current chunk and
    whether it is the last. *offer* is what the caller lets the client ask for with MAIL beyond the
    envelope; None: nothing.
    """

    __slots__ = (
        "_content_open",
        "_errors",
        "_events",
        "_input",
        "_mode",
        "_output",
        "_question",
        "_reception",
        "_swallow_size",
        "_swallowed",
        "authenticated",
        "chunk",
        "closed",
        "extended",
        "hello",
        "offer",
        "params",
        "phase",
        "recipients",
        "settings",
        "tls_active",
        "trusted",
    )

    def __init__(self, settings: EngineSettings) -> None:
        self.settings = settings
        self.closed = False
        self.phase = Phase.START
        self.hello = ""
        self.extended = False
        self.tls_active = False
        self.authenticated = False
        self.trusted = False
        self.offer: Offer | None = None
        self.params = NO_PARAMS
        self.recipients = 0
        self.chunk = (0, False)
        self._input = Input()
        self._output: list[bytes] = []
        self._events: deque[Event] = deque()
        self._question: Answers | None = None
        self._mode = Mode.COMMANDS
        self._errors = 0
        self._reception: Reception | None = None
        self._content_open = False
        self._swallow_size = 0
        self._swallowed: Callable[[], None] | None = None

    @property
    def buffered(self) -> int:
        """Octets received and not read yet."""
        return self._input.pending()

    # -- replies and events

    def say(self, reply: bytes) -> None:
        """Queue a reply that is no error."""
        self._output.append(reply)

    def answer(self, usual: bytes, reply: Reply | None) -> None:
        """Queue the caller's *reply*, or the *usual* one."""
        self._output.append(usual if reply is None else reply.to_bytes(self.params.smtputf8))

    def fault(self, refusal: bytes) -> None:
        """Queue a 5yz reply, or end the session instead if it is one too many."""
        self._errors += 1
        if self._errors > self.settings.errors_per_session:
            self.shut(TOO_MANY_ERRORS, TooManyErrors(), "too many errors")
        else:
            self._output.append(refusal)

    def reject(self, reply: Reply) -> None:
        """Queue a refusal of any kind; 421 ends the session."""
        data = reply.to_bytes(self.params.smtputf8)
        if reply.code >= 500:
            self.fault(data)
            return
        self._output.append(data)
        if reply.code == 421:
            self.drop("closed with 421")

    def ask(self, question: Event, answers: Answers) -> Event:
        """Open *question* and return it; nothing is read before it is answered."""
        self._question = answers
        return question

    def tell(self, event: Event) -> None:
        """Hand up *event* after those before it."""
        self._events.append(event)

    # -- transactions

    def abandon(self, reason: str) -> None:
        """Throw the open transaction away and tell the caller."""
        if self._content_open:
            self.tell(ContentAborted(reason))
        elif self.phase > Phase.IDLE:
            self.tell(Reset())
        self.end_transaction()

    def end_transaction(self) -> None:
        """Be ready for the next MAIL."""
        if self.phase > Phase.IDLE:
            self.phase = Phase.IDLE
        self.params = NO_PARAMS
        self._content_open = False
        self._reception = None

    # -- content

    def read_content(self, *, chunks: bool) -> None:
        """Begin the content of a message: after DATA, or with *chunks* before the first chunk."""
        self._reception = Reception(self.settings, chunks=chunks)
        self._content_open = True
        if not chunks:
            self._mode = Mode.CONTENT

    def read_chunk(self) -> Event | None:
        """Read ``chunk``; one without octets is complete at once."""
        assert self._reception is not None
        size, last = self.chunk
        self._reception.begin_chunk(size, last)
        self._mode = Mode.CONTENT
        return None if size else self._decode(self._input.buffer, self._input.position)

    def _decode(self, buffer: bytes, start: int) -> Event | None:
        """Read content; at the end of it ask for the verdict, at the end of a chunk answer."""
        reception = self._reception
        assert reception is not None
        content, self._input.position, ended = reception.decode(buffer, start)
        if reception.endurance < 0:
            self.shut_overflowed()
            return None
        if not ended:
            return Content(content) if content else None
        self._mode = Mode.COMMANDS
        if not reception.good:
            refusal = reception.refusal()
            self.abandon(str(refusal.text))
            self.fault(refusal.to_bytes())
            return None
        if not reception.last:
            self.say(b"250 2.0.0 %d octets received\r\n" % self.chunk[0])
            return Content(content) if content else None
        self._content_open = False
        end = self.ask(ContentEnd(reception.size, reception.eight_bit), CONTENT_ANSWERS)
        if not content:
            return end
        self.tell(end)
        return Content(content)

    @property
    def endurance(self) -> int:
        """How many octets of content are still read before the session is ended."""
        return self._reception.endurance if self._reception else 2 * self.settings.max_message_size + OVERFLOW

    def swallow(self, size: int, answer: Callable[[], None]) -> None:
        """Pass over *size* octets, then call *answer*."""
        self._swallow_size = size
        self._swallowed = answer
        self._mode = Mode.SWALLOW
        if not size:
            self._pass_over()

    def _pass_over(self) -> None:
        """Pass over what is there of a refused chunk, and answer its command at the end of it."""
        source = self._input
        step = min(self._swallow_size, len(source.buffer) - source.position)
        source.position += step
        self._swallow_size -= step
        if not self._swallow_size and self._swallowed is not None:
            self._mode = Mode.COMMANDS
            answer, self._swallowed = self._swallowed, None
            answer()

    def content_accepted(self, reply: Reply | None) -> None:
        """The message is ours now; a client that got one accepted is no stray, so its errors are forgiven."""
        self.answer(b"250 2.0.0 Ok\r\n", reply)
        self.end_transaction()
        self._errors = 0

    def content_refused(self, reply: Reply) -> None:
        """The message is not ours."""
        self.reject(reply)
        self.end_transaction()

    # -- ends

    def await_tls(self) -> None:
        """Read nothing before TLS has started."""
        self._mode = Mode.TLS

    def shut(self, reply: bytes, event: Event, reason: str) -> None:
        """End the session with *reply* and *event*; *reason* is for content that was coming."""
        self._output.append(reply)
        self.drop(reason)
        self.tell(event)

    def shut_overflowed(self) -> None:
        """End the session of a client that sends content without end."""
        reason = "content far beyond the maximum size"
        self.shut(OVERFLOWED, Abuse(reason), reason)

    def drop(self, reason: str) -> None:
        """Read nothing any more."""
        self.closed = True
        self._question = None
        self._input.clear()
        if self._content_open:
            self._content_open = False
            self.tell(ContentAborted(reason))


CONTENT_ANSWERS = Answers(Session.content_accepted, Session.content_refused)
