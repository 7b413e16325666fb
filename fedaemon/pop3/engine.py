"""The POP3 server's side of a session, without I/O.

It exists so that everything that is protocol is decided in one place that needs no sockets, no clock and no
store, and can be tried whole, byte by byte and with every input in every state.

Rules for the caller:

- Give what was received to ``receive``; take events with ``next_event`` until it returns None; send what
  ``take_output`` returns whenever ``queued`` is large and at the end, and close the connection when
  ``closed`` is true.
- Answer an event that is a question (see ``events``), now or later; until then ``next_event`` returns None.
- To slow a client down, take no events: each call queues at most one reply or one block of a message.
- After ``StartTls`` send the output, start TLS, and call ``tls_started``.

Theory of operation: a line is a command or, in ``Mode.SASL``, an answer to a challenge. A command is looked
up in ``verbs.VERBS``, which also says in which states it is in order; its function queues a reply, asks a
question, or begins a transmission. While a question is open or a transmission under way nothing is read, so
replies keep the order of the commands while clients pipeline.

Standards: RFC 1939, RFC 2449 4, 6.6 (pipelining), RFC 2595 4, RFC 5034, RFC 6856.
Invariants: exactly one reply to each command, in order; nothing a client sends raises; nothing after STLS is
read before TLS; messages are removed only by an ``Update`` that was accepted.
Limits: ``COMMAND_LINE``, ``SASL_LINE``, ``lines.MAX_SKIPPED``, ``EngineSettings``.
"""

from __future__ import annotations

from binascii import b2a_base64
from collections.abc import Iterable
from typing import Final

from fedaemon.errors import MailError
from fedaemon.pop3.events import (
    PROGRESS,
    Abuse,
    AuthResponse,
    AuthStart,
    Event,
    Login,
    Question,
    Retrieve,
    Update,
)
from fedaemon.pop3.lines import Fault
from fedaemon.pop3.maildrop import Maildrop
from fedaemon.pop3.reply import LOG_IN_REFUSED, refusal_of
from fedaemon.pop3.session import EngineSettings, Mode, Session, State
from fedaemon.pop3.transmission import transmit
from fedaemon.pop3.verbs import VERBS
from fedaemon.pop3.verbs import auth as auth_verb

__all__ = ["EngineMisuseError", "EngineSettings", "ServerEngine"]

COMMAND_LINE: Final = 255
"""Octets of a command line with CR LF (RFC 2449 4)."""
SASL_LINE: Final = 12288
"""Octets of the answer to a challenge, with CR LF (RFC 4954 4; RFC 5034 names none)."""

CLOSE_CODE: Final = 421
"""The code of an error after which the connection is closed."""

UNKNOWN = b"-ERR Command not recognised\r\n"
WRONG_STATE = {
    State.AUTHORIZATION: b"-ERR Log in first\r\n",
    State.TRANSACTION: b"-ERR Not after the log-in\r\n",
}
NO_ARGUMENT = b"-ERR This command takes no argument\r\n"
NEEDS_ARGUMENT = b"-ERR This command needs an argument\r\n"
LINE_REFUSALS = {
    Fault.TOO_LONG: b"-ERR Line too long\r\n",
    Fault.BARE_LF: b"-ERR Lines end with CR LF; this one has a line feed alone\r\n",
    Fault.CONTROL: b"-ERR A line must not have a bare CR or NUL\r\n",
    Fault.ENDLESS: b"-ERR Line without end, closing the connection\r\n",
    Fault.TLS: b"-ERR TLS does not begin here: say STLS first, or use the port for implicit TLS\r\n",
}
GONE = b"-ERR This message was removed by another session\r\n"


class EngineMisuseError(RuntimeError):
    """The caller answered where nothing of that kind was asked: a bug of ours."""


class ServerEngine(Session):
    """One session as its caller sees it."""

    __slots__ = ()

    # -- input, events, output

    def greeting(self) -> None:
        """Queue the greeting, which has no timestamp: APOP is not offered. Spec: RFC 1939 4, 7"""
        self.say(f"+OK {self.settings.hostname} POP3 ready\r\n".encode("ascii"))

    def receive(self, data: bytes) -> None:
        """Take *data* from the connection; what comes after the end of the session is ignored."""
        if self.closed:
            return
        if self._mode is Mode.TLS:
            # The caller starts TLS before it reads on, so octets that still come in the clear were injected.
            self.drop()
            self.tell(Abuse("octets after STLS, before the handshake"))
            return
        self._input.receive(data)

    def next_event(self) -> Event | None:
        """Do one thing and return what happened; None when more input or an answer is needed first.

        :raises StoreError: what is being sent cannot be read on: the connection must be cut, because the
            client would take an end for the message's.
        """
        if self._events:
            return self._events.popleft()
        if self._question is not None or self.closed:
            return None
        if self._sending is not None:
            block = next(self._sending, None)
            if block is None:
                self._sending = None
            else:
                self.say(block)
            return PROGRESS
        line = self._input.line(SASL_LINE if self._mode is Mode.SASL else COMMAND_LINE)
        if line is None:
            return None
        self._read(line)
        return self._events.popleft() if self._events else PROGRESS

    def take_output(self) -> bytes:
        """Return everything queued for the client since the last call."""
        data = b"".join(self._output)
        self._output.clear()
        self.queued = 0
        return data

    @property
    def sending(self) -> bool:
        """True while a reply of many lines is under way."""
        return self._sending is not None

    # -- answers

    def logged_in(self, maildrop: Maildrop) -> None:
        """Answer ``Login``, ``AuthStart`` or ``AuthResponse`` with success."""
        if self._answer((Login, AuthStart, AuthResponse)) is not None:
            self.state = State.TRANSACTION
            self.maildrop = maildrop
            self.say(b"+OK %d messages (%d octets)\r\n" % (maildrop.count(), maildrop.octets()))

    def auth_challenge(self, data: bytes) -> None:
        """Answer ``AuthStart`` or ``AuthResponse`` with a challenge. Spec: RFC 5034 4"""
        if self._answer((AuthStart, AuthResponse)) is not None:
            self.say(b"+ " + b2a_base64(data, newline=False) + b"\r\n")
            self._mode = Mode.SASL

    def found(self, chunks: Iterable[bytes]) -> None:
        """Answer ``Retrieve`` with the message's octets.

        :raises StoreError: they cannot be read; the question is still open then.
        """
        question = self._question
        if isinstance(question, Retrieve):
            blocks = transmit(chunks, question.body_lines)
            # Read before the +OK, so that what is missing is an -ERR.
            first = next(blocks)
            self.say(b"+OK the message follows\r\n")
            self.say(first)
            self.transmit(blocks)
        self._answer((Retrieve,))

    def gone(self) -> None:
        """Answer ``Retrieve``: the message is no more. No error of the client's."""
        if self._answer((Retrieve,)) is not None:
            self.say(GONE)

    def accept(self, removed: int) -> None:
        """Answer ``Update``: *removed* messages are no more; that is the end of the session."""
        if self._answer((Update,)) is not None:
            self.say(b"+OK Bye, %d messages removed\r\n" % removed)
            self.drop()

    def refuse(self, error: BaseException) -> None:
        """Answer the open question with what *error* means. Spec: RFC 3206 4, 5"""
        question = self._answer((Login, AuthStart, AuthResponse, Retrieve, Update))
        if question is None:
            return
        refusal = refusal_of(error, self.utf8, self.state is State.TRANSACTION)
        code = error.code if isinstance(error, MailError) else 0
        # At RETR bad credentials mean that the password was removed since the log-in.
        revoked = isinstance(question, Retrieve) and code == LOG_IN_REFUSED
        if revoked or isinstance(question, Update) or code == CLOSE_CODE:
            self.close(refusal)
        elif isinstance(error, MailError) and error.permanent:
            self.fault(refusal)
        else:
            self.say(refusal)

    def _answer(self, kinds: tuple[type, ...]) -> Question | None:
        """Close the open question; None when the session ended while it was open."""
        question = self._question
        if self.closed:
            return None
        if question is None or not isinstance(question, kinds):
            raise EngineMisuseError("an answer where nothing of that kind was asked")
        self._question = None
        return question

    # -- what happens beside the protocol

    def tls_started(self) -> None:
        """The connection is under TLS: forget everything the client said before. Spec: RFC 2595 4"""
        self.tls_active = True
        self.user = ""
        self.utf8 = False
        self._mode = Mode.COMMANDS

    def close(self, reply: bytes) -> None:
        """End the session from our side with *reply*, which may be empty; marks are forgotten."""
        if not self.closed:
            self.say(reply)
            self.drop()

    # -- lines

    def _read(self, line: bytes | Fault) -> None:
        if self._mode is Mode.SASL:
            self._mode = Mode.COMMANDS
            if isinstance(line, bytes):
                auth_verb.response(self, line)
            else:
                auth_verb.cancel(self, LINE_REFUSALS[line])
        elif isinstance(line, bytes):
            self._run(line)
        elif line in (Fault.ENDLESS, Fault.TLS):
            self.shut(LINE_REFUSALS[line], line.value)
        else:
            self.fault(LINE_REFUSALS[line])

    def _run(self, line: bytes) -> None:
        """Run one command."""
        word, _, argument = line.partition(b" ")
        verb = VERBS.get(word.upper())
        if verb is None:
            self.fault(UNKNOWN)
        elif self.state not in verb.states:
            self.fault(WRONG_STATE[self.state])
        elif verb.argument is not None and verb.argument is not bool(argument):
            self.fault(NEEDS_ARGUMENT if verb.argument else NO_ARGUMENT)
        else:
            verb.run(self, argument)
