"""Drives a POP3 engine in tests: feeds it, answers its questions, and collects what it says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from fedaemon.accounts.login import BadCredentials
from fedaemon.errors import MailError
from fedaemon.pop3 import events
from fedaemon.pop3.engine import EngineSettings, ServerEngine
from fedaemon.pop3.events import Event
from fedaemon.pop3.maildrop import Maildrop
from tests.dialogues.runner import Script, log_in_variables

HOSTNAME = "mail.example.test"
USER = "alice@example.test"
PASSWORD = "correct horse"
MESSAGES = (
    b"Subject: one\r\n\r\nfirst\r\n.\r\n..two\r\nlast\r\n",
    b"Subject: two\r\n\r\nbody\r\n",
    b"Subject: three\r\n\r\nwithout an end of line",
)
UIDS = (3, 5, 9)
UIDVALIDITY = 0x5F5E100
LOG_IN = f"USER {USER}\r\nPASS {PASSWORD}\r\n".encode()


def settings(**changes: int) -> EngineSettings:
    """Return what the engines of tests are told."""
    return EngineSettings(HOSTNAME, tls_available=True, auth_mechanisms=("PLAIN", "LOGIN"), **changes)


class Caller:
    """An engine and a caller with one account of three messages; 9 was removed by another session.

    *refusals* are errors to answer an event of that kind with.
    """

    def __init__(
        self,
        engine_settings: EngineSettings | None = None,
        *,
        tls: bool = True,
        refusals: Mapping[type, MailError] | None = None,
    ) -> None:
        self.engine = ServerEngine(engine_settings or settings())
        self.refusals = refusals or {}
        self.events: list[Event] = []
        self.messages = dict(zip(UIDS, MESSAGES, strict=True))
        self.removed: tuple[int, ...] = ()
        self.mechanism = ""
        self.said_in_exchange: list[bytes] = []
        if tls:
            self.engine.tls_started()
        self.engine.greeting()
        self.greeting = self.engine.take_output()

    def say(self, data: bytes) -> bytes:
        """Feed *data*, answer what is asked, and return what the engine says to it."""
        self.engine.receive(data)
        said = []
        while (event := self.engine.next_event()) is not None:
            if event is not events.PROGRESS:
                self.events.append(event)
                self.answer(event)
            said.append(self.engine.take_output())
        return b"".join(said) + self.engine.take_output()

    def say_in_pieces(self, pieces: Iterable[bytes]) -> bytes:
        """Feed the *pieces* one after the other."""
        return b"".join([self.say(piece) for piece in pieces])

    def events_of(self, kind: type) -> list[Event]:
        """Return the events of one kind."""
        return [event for event in self.events if isinstance(event, kind)]

    def answer(self, event: Event) -> None:
        """Answer a question."""
        refusal = self.refusals.get(type(event))
        if refusal is not None:
            self.engine.refuse(refusal)
        elif isinstance(event, events.Login):
            self._log_in(event.login, event.password)
        elif isinstance(event, events.AuthStart):
            self.mechanism, self.said_in_exchange = event.mechanism, []
            self._exchange(event.initial)
        elif isinstance(event, events.AuthResponse):
            self._exchange(event.data)
        elif isinstance(event, events.Retrieve):
            content = self.messages.get(event.uid)
            if content is None:
                self.engine.gone()
            else:
                self.engine.found([content])
        elif isinstance(event, events.Update):
            self.removed = event.uids
            self.engine.accept(len(event.uids))

    def _exchange(self, data: bytes | None) -> None:
        """PLAIN is one message; LOGIN is asked for name and password."""
        if data is not None:
            self.said_in_exchange.append(data)
        challenges = (b"",) if self.mechanism == "PLAIN" else (b"Username:", b"Password:")
        if len(self.said_in_exchange) < len(challenges):
            self.engine.auth_challenge(challenges[len(self.said_in_exchange)])
        else:
            login, _, password = b"\0".join(self.said_in_exchange).lstrip(b"\0").partition(b"\0")
            self._log_in(login.decode("utf-8", "replace"), password.decode("utf-8", "replace"))

    def _log_in(self, login: str, password: str) -> None:
        if (login, password) == (USER, PASSWORD):
            maildrop = Maildrop("box", UIDVALIDITY)
            maildrop.extend(UIDS, [len(message) for message in MESSAGES])
            self.engine.logged_in(maildrop)
        else:
            self.engine.refuse(BadCredentials("Wrong user name or password"))


class EngineDriver:
    """The connection of a dialogue to an engine."""

    def __init__(self, script: Script) -> None:
        self.variables: Mapping[str, str] = log_in_variables(HOSTNAME, USER, PASSWORD)
        numbers = {key: int(value) for key, value in script.settings.items()}
        gone = numbers.pop("gone", None)
        self.caller = Caller(settings(**numbers), tls=script.listener == "pop3s")
        if gone is not None:
            del self.caller.messages[gone]
        self.output = self.caller.greeting

    def send(self, data: bytes) -> None:
        """Give *data* to the engine and answer its questions."""
        self.output += self.caller.say(data)

    def receive(self) -> bytes:
        """Return the engine's output."""
        output, self.output = self.output, b""
        assert output or self.caller.engine.closed, "the server says nothing"
        return output

    def start_tls(self) -> None:
        """There is no handshake to make here."""
        self.caller.engine.tls_started()
