"""The IMAP server's side of a session, without I/O.

Rules for the caller: give what was received to ``receive``; take ``next_request`` until it is None, and ``answer``
or ``fail`` each, now or later; send what ``take_output`` returns; close when ``closed`` is true.

Theory of operation: a command is a coroutine that is stepped until it waits for an ``Operation``; nothing is read
meanwhile but the line it asked for.

Standards: RFC 9051 2.2, 3, 6.2.1, 7.1.
Invariants: one tagged answer to each command, in order; nothing a client sends raises; nothing after STARTTLS is
read before TLS.
Limits: ``limits``, ``EngineSettings``.
Known gaps: commands run one after the other; contents of messages are refused.
"""

from __future__ import annotations

from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any

from fedaemon.errors import BadSyntax, MailError
from fedaemon.imap import writer
from fedaemon.imap.capabilities import capabilities
from fedaemon.imap.events import Abuse, Command, Continuation, Event, Line, MessageLiteral, Refusal, Skipped
from fedaemon.imap.limits import AFTER_LOGIN, BEFORE_LOGIN
from fedaemon.imap.operations import NextLine, Operation, StartTls
from fedaemon.imap.parse import parse
from fedaemon.imap.reader import Reader
from fedaemon.imap.reply import refusal_of
from fedaemon.imap.session import Done, EngineSettings, Session, State
from fedaemon.imap.table import TABLE


@dataclass(frozen=True, slots=True, eq=False)
class Request:
    """What a command waits for."""

    operation: Operation[Any]


class EngineMisuseError(RuntimeError):
    """The caller answered what was not asked: a bug of ours."""


class ServerEngine:
    """One session as its caller sees it; *closed* says that nothing more will be said.

    *bugs* are errors that are no ``MailError``, for the caller to log and to remove.
    """

    def __init__(self, settings: EngineSettings) -> None:
        self.session = Session(settings)
        self.closed = False
        self.bugs: list[Exception] = []
        self._reader = Reader(BEFORE_LOGIN)
        self._tag = b""
        self._running: Coroutine[Any, Any, Done] | None = None
        self._request: Request | None = None
        self._told = False
        self._answered = False
        self._errors = 0

    def greeting(self) -> None:
        """Queue the greeting. Spec: RFC 9051 7.1.5"""
        words = f"{self.session.settings.hostname} IMAP ready"
        self.session.say(writer.status(None, b"OK", words, capabilities(self.session)))

    @property
    def queued(self) -> int:
        """Octets that wait to be taken."""
        return self.session.queued

    @property
    def buffered(self) -> int:
        """Octets received and not read yet."""
        return self._reader.pending()

    def receive(self, data: bytes) -> None:
        """Take *data* from the connection."""
        if self.closed:
            return
        if self._request is not None and isinstance(self._request.operation, StartTls):
            # They came in the clear where the handshake belongs: injected.
            self.drop()
            return
        self._reader.receive(data)

    def take_output(self) -> bytes:
        """Return everything queued since the last call."""
        return self.session.take_output()

    def next_request(self) -> Request | None:
        """Read on; return what is to be done first, or None when input or an answer is needed."""
        while not self.closed:
            if self._request is not None and not isinstance(self._request.operation, NextLine):
                if self._told:
                    return None
                self._told = True
                return self._request
            event = self._reader.next_event()
            if event is None:
                return None
            self._take(event)
        return None

    def answer(self, request: Request, value: object) -> None:
        """*request* is done; *value* came of it. Ignored after the end of the session."""
        if self._claim(request):
            if isinstance(request.operation, StartTls):
                self.tls_started()
            self._step(value)

    def fail(self, request: Request, error: Exception) -> None:
        """*request* came to *error*."""
        if self._claim(request):
            self._step(None, error)

    def tls_started(self) -> None:
        """The connection is under TLS. Spec: RFC 9051 6.2.1"""
        self.session.tls_active = True
        self._reader = Reader(BEFORE_LOGIN)

    def close(self, words: str, code: bytes = b"") -> None:
        """End the session from our side."""
        if not self.closed:
            self.session.say(writer.status(None, b"BYE", words, code))
            self.drop()

    def drop(self) -> None:
        """Read and run nothing any more."""
        self.closed = True
        self._request = None
        if self._running is not None:
            self._running.close()
            self._running = None

    def _claim(self, request: Request) -> bool:
        if self.closed:
            return False
        if request is not self._request:
            raise EngineMisuseError("an answer to what was not asked")
        self._request = None
        return True

    def _take(self, event: Event) -> None:
        match event:
            case Command():
                self._begin(event)
            case Continuation():
                self.session.say(writer.CONTINUE)
            case Line():
                self._step(event.data)
            case Refusal() if self._running is not None:
                self._step(None, BadSyntax(event.reason))
            case Refusal():
                self._fault(event.tag, BadSyntax(event.reason))
            case MessageLiteral():
                self._reader.refuse()
            case Skipped():
                self._fault(event.tag, BadSyntax("Unknown command"))
            case Abuse():
                self.close(event.reason)

    def _begin(self, command: Command) -> None:
        row = TABLE.get(command.name)
        self._tag = command.tag
        self._answered = False
        if row is None:
            self._fault(command.tag, BadSyntax("Unknown command"))
            return
        if self.session.state not in row.states:
            early = self.session.state is State.NOT_AUTHENTICATED
            self._fault(command.tag, BadSyntax("Log in first" if early else "Not in this state"))
            return
        try:
            arguments = parse(command, utf8=self.session.utf8)
        except BadSyntax as error:
            self._fault(command.tag, error)
            return
        self._running = row.run(self.session, arguments, command)
        self._step(None)

    def _step(self, value: object, error: Exception | None = None) -> None:
        """Run the command on to what it waits for next, or to its end."""
        assert self._running is not None
        self._request = None
        try:
            operation = self._running.throw(error) if error is not None else self._running.send(value)
        except StopIteration as stop:
            self._end(stop.value)
        except Exception as raised:
            self._running = None
            if not isinstance(raised, MailError):
                self.bugs.append(raised)
            self._fault(self._tag, raised)
        else:
            self._wait(operation)

    def _wait(self, operation: Operation[Any]) -> None:
        self._request = Request(operation)
        self._told = False
        if isinstance(operation, NextLine):
            self._reader.expect_line()
        elif isinstance(operation, StartTls):
            if self._reader.pending():
                self.close("Octets after STARTTLS, before the handshake")
                return
            self._answered = True
            self.session.say(writer.status(self._tag, b"OK", "Begin TLS now"))

    def _end(self, done: Done) -> None:
        self._running = None
        if not self._answered:
            self.session.say(writer.status(self._tag, b"OK", done.text, done.code))
        if self.session.leaving:
            self.drop()
        elif self.session.state is not State.NOT_AUTHENTICATED:
            self._reader.limits = AFTER_LOGIN

    def _fault(self, tag: bytes | None, error: Exception) -> None:
        self.session.say(refusal_of(tag, error))
        self._errors += 1
        if self._errors > self.session.settings.errors_per_session:
            self.close("Too many errors")
