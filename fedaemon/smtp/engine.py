"""The SMTP server's side of a session, without I/O.

It exists so that everything that is protocol (order of commands, syntax, extensions, what a content may hold)
is decided in one place that needs no sockets, no clock and no store, and can be tried whole, byte by byte and
with every input in every state.

Rules for the caller:

- Give what was received to ``receive``; take events with ``next_event`` until it returns None; then send what
  ``take_output`` returns in one write, and close the connection when ``closed`` is true.
- Answer an event that is a question (see ``events``) with ``accept`` or ``refuse``, now or later; until then
  ``waiting`` is true and ``next_event`` returns None. A question of AUTH may also get ``auth_challenge``.
- To slow a client down, take no events; stop reading while ``buffered`` is large.
- After ``StartTls`` send the output, start TLS, and call ``tls_started``.

Theory of operation: input is read in one of a few modes (``session.Mode``): lines that are commands, an
answer to a challenge, content, a chunk to pass over, or nothing while TLS starts. A command is looked up in
``verbs.VERBS``; whether it is in order says the verb's row for the session's ``Phase``; its function queues a
reply or returns an event. Replies keep the order of the commands, because nothing further is read while a
question is open.

Standards: RFC 5321 4.1, 4.2, 4.3, 4.5, RFC 1870, RFC 2034, RFC 2920, RFC 3030, RFC 3207, RFC 3461, RFC 4954,
RFC 6152, RFC 6531, RFC 8689, RFC 9422; where an offer was made RFC 2852, RFC 4865, RFC 6710.
Invariants: exactly one reply to each command, in order; nothing a client sends raises; nothing after STARTTLS
is read before TLS; a content that was refused or broken off is followed by ``ContentAborted``, never
``ContentEnd``.
Limits: ``COMMAND_LINE``, ``AUTH_LINE``, ``lines.MAX_SKIPPED``, ``content.MAX_CONTENT_LINE``,
``EngineSettings``.
"""

from __future__ import annotations

from binascii import b2a_base64

from fedaemon.errors import MailError
from fedaemon.smtp.engine_settings import EngineSettings
from fedaemon.smtp.events import Abuse, ContentEnd, Event
from fedaemon.smtp.foreign import foreign_protocol
from fedaemon.smtp.lines import Fault, LineFault
from fedaemon.smtp.reply import Reply, reply_to
from fedaemon.smtp.session import Mode, Session
from fedaemon.smtp.verbs import VERBS
from fedaemon.smtp.verbs import auth as auth_verb
from fedaemon.smtp.verbs.verb import Answers, Phase
from fedaemon.submission.wishes import Offer

__all__ = ["EngineMisuseError", "EngineSettings", "ServerEngine"]

COMMAND_LINE = 2048
"""Octets of a command line with CR LF: 512 (RFC 5321 4.5.3.1.4) and what the extensions' parameters add."""
AUTH_LINE = 12288
"""Octets of an AUTH command or of the answer to a challenge, with CR LF (RFC 4954 4)."""

NOT_SMTP = b"421 4.7.0 This is a mail server and speaks only SMTP, closing the connection\r\n"
UNKNOWN = b"500 5.5.2 Command not recognised\r\n"
NO_ARGUMENT = b"501 5.5.4 This command takes no argument\r\n"
NEEDS_ARGUMENT = b"501 5.5.4 This command needs an argument\r\n"
SASL_LINE_TOO_LONG = b"500 5.5.6 Line too long for a log-in\r\n"
LINE_REFUSALS = {
    Fault.TOO_LONG: b"500 5.5.2 Line too long\r\n",
    Fault.BARE_LF: b"500 5.5.2 Lines end with CR LF; this one has a line feed alone\r\n",
    Fault.CONTROL: b"500 5.5.2 A line must not have a bare CR or NUL\r\n",
}


class EngineMisuseError(RuntimeError):
    """The caller answered where nothing was asked: a bug of ours."""


class ServerEngine(Session):
    """One session as its caller sees it."""

    __slots__ = ("_line_limit",)

    def __init__(self, settings: EngineSettings) -> None:
        super().__init__(settings)
        self._line_limit = AUTH_LINE if settings.auth_mechanisms else COMMAND_LINE

    # -- input, events, output

    def greeting(self) -> None:
        """Queue the greeting."""
        self.say(Reply(220, "", f"{self.settings.hostname} {self.settings.greeting}").to_bytes())

    def refuse_connection(self, reply: Reply) -> None:
        """Queue *reply* (421 or 554) instead of the greeting, and end the session."""
        self.close(reply)

    def receive(self, data: bytes) -> None:
        """Take *data* from the connection; what comes after the end of the session is ignored."""
        if self.closed or not data:
            return
        if self._mode is Mode.TLS:
            # The caller starts TLS before it reads on, so octets that still come in the clear were injected.
            reason = "octets after STARTTLS, before the handshake"
            self.drop(reason)
            self.tell(Abuse(reason))
            return
        self._input.receive(data)

    def next_event(self) -> Event | None:
        """Return what happened next; None when more input or an answer is needed first."""
        events = self._events
        source = self._input
        while True:
            if events:
                return events.popleft()
            if self._question is not None or self.closed or not source.ready():
                return None
            mode = self._mode
            event = None
            if mode is Mode.COMMANDS:
                event = self._read_command()
            elif mode is Mode.CONTENT:
                event = self._decode(source.buffer, source.position)
            elif mode is Mode.SASL:
                event = self._read_sasl()
            else:
                self._pass_over()
            if event is not None:
                return event

    def take_output(self) -> bytes:
        """Return everything queued for the client since the last call."""
        output = self._output
        if not output:
            return b""
        data = output[0] if len(output) == 1 else b"".join(output)
        output.clear()
        return data

    @property
    def waiting(self) -> bool:
        """True while a question is open."""
        return self._question is not None

    @property
    def in_content(self) -> bool:
        """True while the client is sending content, which has other timeouts than commands."""
        return self._content_open

    # -- answers

    def accept(self, reply: Reply | None = None) -> None:
        """Answer the open question with yes.

        :param reply: what the client is told instead of the usual; not used for the first BDAT, whose chunk
            is answered at its end.
        :raises EngineMisuseError: when nothing was asked.
        """
        answers = self._take_question()
        if answers is not None:
            answers.accepted(self, reply)

    def refuse(self, reply: Reply) -> None:
        """Answer the open question with no; after a 421 the session is over.

        :raises EngineMisuseError: when nothing was asked.
        """
        answers = self._take_question()
        if answers is not None:
            answers.refused(self, reply)

    def auth_challenge(self, data: bytes) -> None:
        """Answer a question of AUTH with a challenge; ``AuthResponse`` or ``AuthCancel`` follows.

        :raises EngineMisuseError: when nothing of AUTH was asked.
        """
        self._expect_auth()
        if self._take_question() is not None:
            self.say(b"334 " + b2a_base64(data, newline=False) + b"\r\n")
            self._mode = Mode.SASL

    def auth_succeeded(self, reply: Reply | None = None) -> None:
        """Answer a question of AUTH with success.

        :raises EngineMisuseError: when nothing of AUTH was asked.
        """
        self._expect_auth()
        self.accept(reply)

    def _expect_auth(self) -> None:
        if self._question is not auth_verb.ANSWERS and not self.closed:
            raise EngineMisuseError("no log-in is going on")

    def _take_question(self) -> Answers | None:
        """Close the open question; None when the session ended while it was open."""
        answers, self._question = self._question, None
        if answers is None and not self.closed:
            raise EngineMisuseError("an answer where nothing was asked")
        return answers

    # -- what happens beside the protocol

    def authentication_not_required(self) -> None:
        """Take mail from this client without log-in and without TLS, whatever the settings say."""
        self.trusted = True

    def make_offer(self, offer: Offer | None) -> None:
        """Let a client that logged in or is trusted say when its messages are to go. Spec: RFC 4865 4.2, 6"""
        self.offer = offer

    def tls_started(self) -> None:
        """The connection is under TLS: forget everything the client said before.

        Spec: RFC 3207 4.2
        """
        self.end_transaction()
        self.tls_active = True
        self.phase = Phase.START
        self.hello = ""
        self.extended = False
        self.authenticated = False
        self._mode = Mode.COMMANDS

    def close(self, reply: Reply) -> None:
        """End the session from our side (time-out, shutdown) with *reply*; content on its way is aborted."""
        if not self.closed:
            self.say(reply.to_bytes())
            self._break_off("closed by this server")

    def connection_lost(self) -> None:
        """The client is gone: content not handed up whole is aborted, answers still to come are dropped."""
        if not self.closed:
            self._break_off("connection lost")

    def _break_off(self, reason: str) -> None:
        if any(isinstance(event, ContentEnd) for event in self._events):
            self._content_open = True
        self._events.clear()
        self.drop(reason)

    # -- reading lines

    def _read_command(self) -> Event | None:
        """Read a command line and run the command."""
        line = self._input.line(self._line_limit)
        if line is None:
            return None
        if isinstance(line, LineFault):
            self._refuse_line(line)
            return None
        word, _, argument = line.partition(b" ")
        verb = VERBS.get(word.upper())
        if verb is None:
            self._refuse_unknown(line)
            return None
        if len(line) > COMMAND_LINE - 2 and verb is not auth_verb.VERB:
            self.fault(LINE_REFUSALS[Fault.TOO_LONG])
            return None
        argument = argument.strip()
        refusal = verb.order[self.phase]
        if refusal is not None:
            self.fault(refusal)
        elif verb.argument is not None and verb.argument is not bool(argument):
            self.fault(NEEDS_ARGUMENT if verb.argument else NO_ARGUMENT)
        else:
            try:
                return verb.run(self, argument)
            except MailError as error:
                self.reject(reply_to(error))
        return None

    def _refuse_unknown(self, line: bytes) -> None:
        protocol = foreign_protocol(line)
        if protocol:
            self._shut_foreign(protocol)
        else:
            self.fault(UNKNOWN)

    def _refuse_line(self, line: LineFault) -> None:
        """Refuse what is no line."""
        protocol = foreign_protocol(line.start)
        if line.fault is Fault.ENDLESS:
            self.shut(NOT_SMTP, Abuse(line.fault.value), line.fault.value)
        elif protocol:
            self._shut_foreign(protocol)
        else:
            self.fault(LINE_REFUSALS[line.fault])

    def _shut_foreign(self, protocol: str) -> None:
        reason = f"{protocol} on an SMTP port"
        self.shut(NOT_SMTP, Abuse(reason), reason)

    def _read_sasl(self) -> Event | None:
        """Read the client's answer to a challenge."""
        line = self._input.line(AUTH_LINE)
        if line is None:
            return None
        self._mode = Mode.COMMANDS
        if isinstance(line, bytes):
            return auth_verb.response(self, line)
        if line.fault is Fault.TLS:
            self._shut_foreign("TLS")
        else:
            too_long = line.fault is Fault.TOO_LONG
            auth_verb.cancel(self, SASL_LINE_TOO_LONG if too_long else LINE_REFUSALS[line.fault])
        return None
