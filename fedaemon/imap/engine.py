"""The IMAP server's side of a session, without I/O.

Rules for the caller: give what was received to ``receive``; take ``next_request`` until it is None, and ``answer``
or ``fail`` each, now or later; send what ``take_output`` returns; close when ``closed`` is true. When
``session.wake`` is called, take ``next_request`` again, in another turn.

Theory of operation: a command is a coroutine that is stepped until it waits for an ``Operation``. Most operations
become requests; those that wait for the client the engine answers itself, from what the reader gives it. Behind
each command the session is told what has changed in its mailbox. Commands whose row says so may overlap: while one
waits for its commit the next is read, so that a client that does not wait for answers has its messages committed
together; what they say is kept until it is their turn.

Standards: RFC 9051 2.2, 3, 5.5, 6.2.1, 7.1.
Invariants: one tagged answer to each command, in order; nothing a client sends raises; nothing after STARTTLS is
read before TLS; a command whose content is refused is answered when its end has been passed over; what cannot be
said to its end ends the session.
Limits: ``limits``, ``EngineSettings``, OVERLAPPING, COMMANDS_A_TURN.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Coroutine
from typing import Any, Final

from fedaemon.errors import BadSyntax, MailError
from fedaemon.imap import writer
from fedaemon.imap.capabilities import capabilities
from fedaemon.imap.events import (
    Abuse,
    Command,
    CommandEnd,
    Continuation,
    Event,
    Line,
    LiteralBlock,
    LiteralEnd,
    MessageLiteral,
    Refusal,
    Skipped,
)
from fedaemon.imap.fetch.streaming import Broken
from fedaemon.imap.limits import AFTER_LOGIN, BEFORE_LOGIN
from fedaemon.imap.operations import (
    Block,
    Collected,
    Compress,
    LineOrNotice,
    NextLine,
    Receive,
    StartTls,
    Turn,
)
from fedaemon.imap.parse import parse
from fedaemon.imap.reader import Reader
from fedaemon.imap.reply import refusal_of
from fedaemon.imap.running import Request, Running
from fedaemon.imap.session import Done, EngineSettings, Session, State
from fedaemon.imap.spontaneous import tell_by_itself
from fedaemon.imap.table import TABLE
from fedaemon.imap.updates import tell
from fedaemon.mailbox.state import MailboxGone

__all__ = ["EngineMisuseError", "EngineSettings", "Request", "ServerEngine"]

OVERLAPPING: Final = 32
"""Commands that may be under way in one session: as many as a commit is worth waiting for."""
COMMANDS_A_TURN: Final = 64
"""What needs nothing of others is done at once, 20 to 40 µs each: then others have their turn."""


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
        self._running: deque[Running] = deque()
        self._part: Request | None = None
        self._pause: Request | None = None
        self._begun = 0
        self._held: Event | None = None
        self._waiting = False
        self._owed: tuple[Running | None, bytes] | None = None
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

    @property
    def busy(self) -> bool:
        """True while a command is under way, other than one that waits for a line or for news."""
        if not self._running:
            return False
        request = self._running[-1].request
        return request is None or not isinstance(request.operation, LineOrNotice | NextLine)

    @property
    def awaits_client(self) -> bool:
        """True while the command that is under way waits for what the client sends."""
        return bool(self._running) and self._running[-1].asks_client

    @property
    def expecting(self) -> bool:
        """True while the client has begun something that it has not sent to its end."""
        return bool(self._reader.held()) or bool(self._running and self._running[-1].unread)

    @property
    def listening(self) -> bool:
        """True while the client may be told of news."""
        if self._running:
            return self._running[-1].idles
        return self.session.notifications is not None

    def receive(self, data: bytes) -> None:
        """Take *data* from the connection."""
        if self.closed:
            return
        request = self._running[-1].request if self._running else None
        if request is not None and isinstance(request.operation, StartTls):
            # They came in the clear where the handshake belongs: injected.
            self.drop()
            return
        self._reader.receive(data)

    def take_pending(self) -> bytes:
        """Give back what was received and not read: behind COMPRESS it is to be inflated."""
        return self._reader.take_pending()

    def take_output(self) -> bytes:
        """Return everything queued since the last call."""
        return self.session.take_output()

    def next_request(self) -> Request | None:
        """Read on; return what is to be done first, or None when input or an answer is needed."""
        while not self.closed and self._part is None and self._pause is None:
            if self._begun >= COMMANDS_A_TURN:
                self._begun = 0
                self._pause = Request(Turn())
                return self._pause
            for running in self._running:
                request = running.request
                if request is not None and not running.told and not running.asks_client:
                    running.told = True
                    return request
            newest = self._running[-1] if self._running else None
            if self.session.noticed and self.listening:
                self._tell_news(newest)
                continue
            event = self._next_event(newest)
            if event is None:
                return None
            self._take(event, newest)
            if self._part is not None:
                return self._part
        return None

    def _next_event(self, newest: Running | None) -> Event | None:
        """Return what to look at next, None when that has to wait."""
        if newest is None or newest.asks_client or self._owed is not None:
            held, self._held = self._held, None
            return held or self._reader.next_event()
        if self._held is not None or len(self._running) >= OVERLAPPING:
            return None
        if not all(running.only_commits for running in self._running):
            return None
        self._held = self._reader.next_event()
        if self._held is None or not _overlaps(self._held):
            return None
        event, self._held = self._held, None
        return event

    def answer(self, request: Request, value: object) -> None:
        """*request* is done; *value* came of it. Ignored after the end of the session."""
        if request is self._pause:
            self._pause = None
            return
        running = self._claim(request)
        if running is None:
            return
        if isinstance(request.operation, StartTls):
            self.tls_started()
        if not isinstance(request.operation, Block):
            self._step(running, value)

    def fail(self, request: Request, error: Exception) -> None:
        """*request* came to *error*."""
        running = self._claim(request)
        if running is not None:
            self._step(running, None, error)

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
        self._part = self._held = None
        while self._running:
            running = self._running.popleft()
            self.session.pass_on(running.said)
            running.close()
        self.session.log_out()

    def _claim(self, request: Request) -> Running | None:
        if self.closed:
            return None
        if request is self._part:
            self._part = None
            return self._running[-1]
        for running in self._running:
            if request is running.request:
                return running
        raise EngineMisuseError("an answer to what was not asked")

    # -- what the client sends

    def _take(self, event: Event, newest: Running | None) -> None:
        match event:
            case Command():
                self._begin(event, event)
            case Continuation():
                self.session.say(writer.CONTINUE)
            case LiteralBlock():
                self._part = Request(Block(event.data))
            case LiteralEnd():
                self._part = Request(Collected())
            case MessageLiteral() if newest is None or not newest.unread:
                self._waiting = event.waiting
                self._begin(event.command, event)
            case Skipped():
                self._pay()
            case Abuse():
                self.close(event.reason)
            case Refusal() if newest is None:
                self._fault(event.tag, BadSyntax(event.reason))
            case _:
                assert newest is not None
                self._go_on(newest, event)

    def _pay(self) -> None:
        """Answer the command whose content was refused, now that it is passed over."""
        assert self._owed is not None
        (running, answer), self._owed = self._owed, None
        if running is None:
            self.session.say(answer)
        else:
            running.said.append(answer)
            running.unread = False
            running.ended = True
            self._speak()

    def _go_on(self, running: Running, event: Event) -> None:
        """Give a command what it waits for."""
        match event:
            case Line():
                self._step(running, event.data)
            case MessageLiteral():
                self._waiting = event.waiting
                self._step(running, event)
            case CommandEnd():
                running.unread = False
                self._step(running, event.command)
            case Refusal():
                running.unread = False
                self._step(running, None, BadSyntax(event.reason))

    def _begin(self, command: Command, first: Command | MessageLiteral) -> None:
        """Start a command; *first* is it, or its first content."""
        self._begun += 1
        row = TABLE.get(command.name)
        session = self.session
        unread = isinstance(first, MessageLiteral)
        if row is None:
            self._fault(command.tag, BadSyntax("Unknown command"), unread=unread)
        elif session.state not in row.states:
            early = session.state is State.NOT_AUTHENTICATED
            self._fault(
                command.tag, BadSyntax("Log in first" if early else "Not in this state"), unread=unread
            )
        else:
            try:
                arguments = first if row.streams else parse(command, utf8=session.utf8)
            except BadSyntax as error:
                self._fault(command.tag, error)
                return
            may_expunge = row.expunges or command.uid
            coroutine = self._carried_out(row.run(session, arguments, command), may_expunge=may_expunge)
            self._start(Running(command.tag, coroutine, overlaps=row.overlaps, unread=unread))

    def _start(self, running: Running) -> None:
        self._running.append(running)
        self._step(running, None)

    def _tell_news(self, newest: Running | None) -> None:
        """Tell of what has changed though no command asks for it."""
        if newest is not None:
            self._step(newest, None)
        else:
            self._start(Running(None, tell_by_itself(self.session)))

    async def _carried_out(self, command: Coroutine[Any, Any, Done], *, may_expunge: bool) -> Done:
        """Run a command, and tell what has changed meanwhile."""
        try:
            done = await command
        except MailError:
            await self._tell(may_expunge=may_expunge)
            raise
        await self._tell(may_expunge=may_expunge)
        return done

    async def _tell(self, *, may_expunge: bool) -> None:
        try:
            await tell(self.session, may_expunge=may_expunge)
        except MailboxGone as error:
            self.session.deselect()
            self.session.leaving = True
            self.session.say(writer.status(None, b"BYE", error.text))

    # -- the commands that run

    def _step(self, running: Running, value: object, error: Exception | None = None) -> None:
        """Run a command on to what it waits for next, or to its end."""
        if running is self._running[0]:
            self._do_step(running, value, error)
        else:
            with self.session.speaking(running.said):
                self._do_step(running, value, error)
        self._speak()

    def _do_step(self, running: Running, value: object, error: Exception | None) -> None:
        outcome = running.step(value, error)
        if outcome is None:
            self._wait(running)
        elif isinstance(outcome, Done):
            self._end(running, outcome)
        else:
            self._fail(running, outcome)

    def _speak(self) -> None:
        """Say what the commands have to say, in their order, as far as those before are answered."""
        while self._running:
            oldest = self._running[0]
            self.session.pass_on(oldest.said)
            if not oldest.ended:
                return
            self._running.popleft()
            if self.session.leaving:
                self.drop()

    def _wait(self, running: Running) -> None:
        assert running.request is not None
        operation = running.request.operation
        if isinstance(operation, NextLine | LineOrNotice):
            self._reader.expect_line()
        elif isinstance(operation, Receive):
            self._reader.accept()
            if self._waiting:
                self.session.say(writer.CONTINUE)
        elif isinstance(operation, StartTls) and self._reader.pending():
            self.close("Octets after STARTTLS, before the handshake")
        elif isinstance(operation, StartTls | Compress):
            # The answer still goes in the old form.
            words = "Begin TLS now" if isinstance(operation, StartTls) else "Deflating from here on"
            running.answered = True
            self.session.say(writer.status(running.tag, b"OK", words))

    def _end(self, running: Running, done: Done) -> None:
        assert not running.unread, "a command ended before its contents"
        running.ended = True
        self._errors = 0
        if running.tag is not None and not running.answered:
            self.session.say(writer.status(running.tag, b"OK", done.text, done.code))
        early = self.session.state is State.NOT_AUTHENTICATED
        self._reader.limits = BEFORE_LOGIN if early else AFTER_LOGIN

    def _fail(self, running: Running, error: Exception) -> None:
        if isinstance(error, Broken):
            # Whatever came now would be taken for the rest of a message.
            self.drop()
            return
        running.ended = not running.unread
        if not isinstance(error, MailError):
            self.bugs.append(error)
        self._fault(running.tag, error, unread=running.unread, running=running)

    def _fault(
        self, tag: bytes | None, error: Exception, *, unread: bool = False, running: Running | None = None
    ) -> None:
        """Answer what came to *error*, behind all of it that is still to come (*unread*)."""
        answer = refusal_of(tag, error)
        if unread:
            self._owed = (running, answer)
            self._reader.refuse()
        else:
            self.session.say(answer)
        # Who has logged in may be refused as often as there are reasons; what is no command is another thing.
        if self.session.state is State.NOT_AUTHENTICATED or isinstance(error, BadSyntax):
            self._errors += 1
            if self._errors > self.session.settings.errors_per_session:
                self.close("Too many errors")


def _overlaps(event: Event) -> bool:
    """Tell whether what the client sends may be looked at while commands before it wait for their commits.

    Sequence numbers may not: what they mean depends on what those say. Spec: RFC 9051 5.5
    """
    if isinstance(event, MessageLiteral):
        event = event.command
    if not isinstance(event, Command):
        return False
    row = TABLE.get(event.name)
    return row is not None and row.overlaps and (event.uid or row.streams)
