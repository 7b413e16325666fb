"""The SMTP client without I/O: bytes from a server in, bytes for it and events out.

It drives one connection: greeting, EHLO (HELO when that is not known), STARTTLS, AUTH, any number of
transactions, QUIT. What to do next is the caller's decision; each step ends in one event.

    engine = ClientEngine("mail.example.org")
    engine.receive(b"220 …")            -> sends EHLO; …; event Ready
    engine.start_tls()                  -> event TlsGranted; the caller does the handshake
    engine.tls_started()                -> sends EHLO again; event Ready
    engine.authenticate(name, password) -> event Authenticated
    engine.begin(envelope)              -> send_content(), end_content() while content_wanted; event Ended
    engine.quit()                       -> event Goodbye

Any step may end in the event Failed instead; the engine is of no use after it. After each call the caller
sends what ``take_output()`` gives.

Standards: RFC 5321 3 and 4, RFC 2920, RFC 3207, RFC 4954, RFC 4616 (PLAIN), the LOGIN mechanism.
Invariants: bytes that arrive between the reply to STARTTLS and the handshake end the connection (STARTTLS
injection); what was offered before TLS is forgotten with it; a server can raise nothing: whatever it sends is
an event.
Limits: those of client_reply and client_content; one step at a time.
Known gaps: no SASL mechanisms but PLAIN and LOGIN, no implicit TLS (port 465).
"""

from __future__ import annotations

from base64 import b64encode
from collections import deque

from fedaemon.errors import BadSyntax
from fedaemon.smtp.client_capabilities import Capabilities
from fedaemon.smtp.client_envelope import Envelope
from fedaemon.smtp.client_events import Authenticated, Ended, Event, Failed, Goodbye, Ready, TlsGranted
from fedaemon.smtp.client_pipeline import PHASES, Answered, Pipeline, Wait
from fedaemon.smtp.client_reply import RemoteReply, ReplyReader
from fedaemon.smtp.client_transaction import Answer, Transaction

CONNECTION_TROUBLE = "4.4.2"
PROTOCOL_TROUBLE = "4.5.0"


class ClientEngine:
    """One connection, seen from its protocol."""

    def __init__(self, hostname: str) -> None:
        """*hostname* is the name given in EHLO: a domain name or an address literal."""
        self.capabilities = Capabilities()
        self.carried = 0
        """How many transactions have ended on the connection."""
        self._hostname = hostname.encode("ascii")
        self._reader = ReplyReader()
        self._pipeline = Pipeline()
        self._events: deque[Event] = deque()
        self._transaction: Transaction | None = None
        self._needs_reset = False
        self._login_answers: list[bytes] = []
        self._handshaking = False
        self._dead = False
        self._pipeline.expect(Wait.GREETING, self._greeting_answered)

    # What the caller learns

    def next_event(self) -> Event | None:
        """Return the next event, once."""
        return self._events.popleft() if self._events else None

    def take_output(self) -> bytes:
        """Return what is to be sent now, once."""
        return self._pipeline.take_output()

    @property
    def awaiting(self) -> Wait:
        """What is being waited for."""
        if self._handshaking:
            return Wait.HANDSHAKE
        if self._transaction is not None and self._transaction.content_open:
            return Wait.BLOCK
        return self._pipeline.awaited

    @property
    def closed(self) -> bool:
        """True when no command can be sent any more."""
        return self._dead

    @property
    def in_transaction(self) -> bool:
        """True from ``begin`` until the transaction has ended."""
        return self._transaction is not None

    @property
    def usable(self) -> bool:
        """True when a transaction can begin."""
        most = self.capabilities.max_transactions
        return not self._dead and self._transaction is None and not (most and self.carried >= most)

    @property
    def content_wanted(self) -> bool:
        """True when ``send_content`` or ``end_content`` may be called."""
        return self._transaction is not None and self._transaction.content_wanted

    # What the caller decides

    def start_tls(self) -> None:
        """Ask for TLS."""
        self._pipeline.write(b"STARTTLS\r\n")
        self._pipeline.expect(Wait.STARTTLS, self._starttls_answered)

    def tls_started(self) -> None:
        """The handshake is done: begin anew on the protected connection.

        Spec: RFC 3207 4.2
        """
        self._handshaking = False
        self._hello(b"EHLO ", self._ehlo_answered)

    def authenticate(self, username: str, password: str) -> None:
        """Log in with PLAIN, or LOGIN where that is all there is."""
        mechanisms = self.capabilities.auth_mechanisms
        if "PLAIN" in mechanisms:
            self._command(b"AUTH PLAIN " + b64encode(f"\0{username}\0{password}".encode()))
            self._pipeline.expect(Wait.AUTH, self._auth_answered)
        elif "LOGIN" in mechanisms:
            self._command(b"AUTH LOGIN")
            self._pipeline.expect(Wait.AUTH, self._login_asked)
            self._login_answers = [b64encode(password.encode()), b64encode(username.encode())]
        else:
            self._fail(Answer("auth", 0, "4.7.0", "the host offers neither AUTH PLAIN nor AUTH LOGIN"))

    def begin(self, envelope: Envelope) -> None:
        """Begin a transaction; raises ValueError when the envelope cannot be written in commands."""
        transaction = Transaction(self._pipeline, envelope, self.capabilities, self._transaction_ended)
        transaction.begin(reset=self._needs_reset)
        self._transaction = transaction

    def send_content(self, block: bytes) -> None:
        """Send the next *block* of the content; only while ``content_wanted``."""
        self._running.send_content(block)

    def end_content(self) -> None:
        """The content is complete; only while ``content_wanted``."""
        self._running.end_content()

    def abandon_content(self, text: str) -> None:
        """The content cannot be completed, for a reason of ours: the server must not get an end of it."""
        self._running.answer_accepted(Answer("content", 0, "4.3.0", text))
        self.fail(text, status="4.3.0")

    def quit(self) -> None:
        """End the connection politely."""
        self._command(b"QUIT")
        self._pipeline.expect(Wait.QUIT, self._quit_answered)

    # What happens to the connection

    def receive(self, data: bytes) -> bool:
        """Take bytes from the server; True when they completed a reply (or ended the connection)."""
        if self._dead:
            return False
        if self._handshaking:
            self.fail("the host sent data between its reply to STARTTLS and the handshake", status="4.7.0")
            return True
        self._reader.receive(data)
        progress = False
        awaited = self.awaiting
        try:
            while not self._dead and (reply := self._reader.next_reply()) is not None:
                progress = True
                self._take(reply, awaited)
                awaited = self.awaiting
        except BadSyntax as error:
            # The command that was being answered, not what is awaited by now.
            self._fail_during(awaited, error.text, PROTOCOL_TROUBLE)
        return progress or self._dead

    def fail(self, text: str, *, status: str = CONNECTION_TROUBLE) -> None:
        """The connection is lost, or given up, for the reason *text*."""
        self._fail_during(self.awaiting, text, status)

    # Inside

    def _fail_during(self, awaited: Wait, text: str, status: str) -> None:
        phase = PHASES[awaited]
        if self._transaction is not None and self._transaction.in_doubt:
            text = f"the reply to the message was lost ({text}); it may have been accepted"
            self._transaction.answer_accepted(Answer(phase, 0, status, text))
        self._fail(Answer(phase, 0, status, text))

    @property
    def _running(self) -> Transaction:
        if self._transaction is None:
            raise RuntimeError("no transaction is running")
        return self._transaction

    def _command(self, command: bytes) -> None:
        self._pipeline.write(command + b"\r\n")

    def _take(self, reply: RemoteReply, awaited: Wait) -> None:
        """Give a reply to the command it answers."""
        transaction = self._transaction
        if transaction is not None and transaction.content_open and not self._pipeline:
            transaction.refused_early(reply)
        elif reply.code == 421 and awaited not in (Wait.FINAL, Wait.BLOCK, Wait.QUIT):
            self._fail_with(reply)
        elif not self._pipeline:
            raise BadSyntax(f"the host sent a reply to nothing: {reply.code} {reply.text}")
        else:
            self._pipeline.answer(reply)

    def _fail(self, reason: Answer) -> None:
        if self._dead:
            return
        self._dead = True
        transaction = self._transaction
        self._transaction = None
        self._handshaking = False
        self._pipeline.drop()
        if transaction is None:
            self._events.append(Failed(reason))
        else:
            self._events.append(Failed(reason, tuple(transaction.answers), transaction.untouched))

    def _fail_with(self, reply: RemoteReply) -> None:
        """Give the connection up because of *reply*."""
        self._fail(Answer(PHASES[self.awaiting], reply.code, reply.status, reply.text))

    def _refused(self, wait: Wait, reply: RemoteReply) -> None:
        """Give the connection up because of *reply* to *wait*, politely."""
        if reply.code < 400:
            raise BadSyntax(f"the host answered {wait.value} with {reply.code}")
        self._fail(Answer(PHASES[wait], reply.code, reply.status, reply.text))
        self._command(b"QUIT")

    def _greeting_answered(self, reply: RemoteReply, _number: int) -> None:
        if reply.code == 220:
            self._hello(b"EHLO ", self._ehlo_answered)
        else:
            self._refused(Wait.GREETING, reply)

    def _hello(self, verb: bytes, answered: Answered) -> None:
        self.capabilities = Capabilities()
        self._command(verb + self._hostname)
        self._pipeline.expect(Wait.EHLO, answered)

    def _ehlo_answered(self, reply: RemoteReply, _number: int) -> None:
        if reply.code == 250:
            self.capabilities = Capabilities(reply.lines)
            self._events.append(Ready())
        elif reply.code >= 500:
            self._hello(b"HELO ", self._helo_answered)
        else:
            self._refused(Wait.EHLO, reply)

    def _helo_answered(self, reply: RemoteReply, _number: int) -> None:
        if reply.code == 250:
            self._events.append(Ready())
        else:
            self._refused(Wait.EHLO, reply)

    def _starttls_answered(self, reply: RemoteReply, _number: int) -> None:
        if reply.code != 220:
            self._refused(Wait.STARTTLS, reply)
            return
        self._handshaking = True
        if self._reader.has_more:
            self.fail("the host sent data between its reply to STARTTLS and the handshake", status="4.7.0")
            return
        self._events.append(TlsGranted())

    def _auth_answered(self, reply: RemoteReply, _number: int) -> None:
        if reply.code == 235:
            self._events.append(Authenticated())
        else:
            self._refused(Wait.AUTH, reply)

    def _login_asked(self, reply: RemoteReply, _number: int) -> None:
        """Answer the prompts of LOGIN, whose texts differ: first the name, then the password."""
        if reply.code != 334:
            self._refused(Wait.AUTH, reply)
            return
        self._command(self._login_answers.pop())
        self._pipeline.expect(Wait.AUTH, self._login_asked if self._login_answers else self._auth_answered)

    def _transaction_ended(self) -> None:
        transaction = self._running
        self._transaction = None
        self.carried += 1
        self._needs_reset = transaction.needs_reset
        if not transaction.usable:
            self._dead = True
            self._pipeline.drop()
        self._events.append(Ended(tuple(transaction.answers)))

    def _quit_answered(self, _reply: RemoteReply, _number: int) -> None:
        self._dead = True
        self._events.append(Goodbye())
