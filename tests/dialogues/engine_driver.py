"""Plays dialogues on the bare engine, with a caller that knows two accounts of example.test."""

from __future__ import annotations

from collections.abc import Mapping
from time import time
from typing import Literal, cast

from fedaemon.accounts.records import DEFAULT_RIGHTS
from fedaemon.errors import MailError
from fedaemon.smtp import events
from fedaemon.smtp.engine import EngineSettings, ServerEngine
from fedaemon.smtp.reply import Reply, reply_to
from fedaemon.submission.wishes import Wishes, offer, settle
from tests.dialogues.runner import Script, log_in_variables

HOSTNAME = "mail.example.test"
USER = "alice@example.test"
PASSWORD = "correct horse"
MECHANISMS = ("PLAIN", "LOGIN")
MAX_HOLD_S = 30 * 86_400
BAD_LOG_IN = Reply(535, "5.7.8", "Wrong address or password")


class EngineDriver:
    """A connection to an engine."""

    def __init__(self, script: Script) -> None:
        self.variables: Mapping[str, str] = log_in_variables(HOSTNAME, USER, PASSWORD)
        self.submission = script.listener.startswith("submission")
        self.engine = ServerEngine(_settings(script, self.submission))
        self.login: list[bytes] = []
        self.mechanism = ""
        self.messages: list[bytes] = []
        self.content = b""
        if script.listener == "submissions":
            self.engine.tls_started()
        self.engine.greeting()

    def send(self, data: bytes) -> None:
        """Give *data* to the engine and answer its questions."""
        self.engine.receive(data)
        while (event := self.engine.next_event()) is not None:
            self._answer(event)

    def receive(self) -> bytes:
        """Return the engine's output."""
        output = self.engine.take_output()
        assert output or self.engine.closed, "the server says nothing"
        return output

    def start_tls(self) -> None:
        """There is no handshake to make here."""
        self.engine.tls_started()

    def _answer(self, event: events.Event) -> None:
        engine = self.engine
        if isinstance(event, events.RcptTo):
            self._judge_recipient(event)
        elif isinstance(event, events.AuthStart):
            self.mechanism, self.login = event.mechanism, []
            self._log_in(event.initial)
        elif isinstance(event, events.AuthResponse):
            self._log_in(event.data)
        elif isinstance(event, events.Content):
            self.content += event.data
        elif isinstance(event, events.ContentAborted):
            self.content = b""
        elif isinstance(event, events.ContentEnd):
            self.messages.append(self.content)
            self.content = b""
            engine.accept(Reply(250, "2.0.0", "Ok: queued as 01HZX0000000TEST"))
        elif isinstance(event, events.MailFrom):
            self._judge_wishes(event.params.wishes)
        elif isinstance(event, events.DataStart):
            engine.accept()

    def _judge_wishes(self, wishes: Wishes | None) -> None:
        if wishes is None:
            self.engine.accept()
            return
        try:
            terms = settle(wishes, DEFAULT_RIGHTS, USER, MAX_HOLD_S, int(time() * 1000))
        except MailError as error:
            self.engine.refuse(reply_to(error))
        else:
            lowered = Reply(250, "2.3.6", f"{terms.priority} is the priority")
            self.engine.accept(lowered if terms.priority != wishes.priority else None)

    def _judge_recipient(self, event: events.RcptTo) -> None:
        recipient = event.recipient
        if recipient.domain != "example.test" and not self.submission:
            self.engine.refuse(Reply(550, "5.7.1", "No relaying"))
        elif recipient.local == "nobody":
            self.engine.refuse(Reply(550, "5.1.1", "No such user"))
        else:
            self.engine.accept()

    def _log_in(self, data: bytes | None) -> None:
        """PLAIN is one message; LOGIN is asked for name and password."""
        if data is not None:
            self.login.append(data)
        challenges = (b"",) if self.mechanism == "PLAIN" else (b"Username:", b"Password:")
        if len(self.login) < len(challenges):
            self.engine.auth_challenge(challenges[len(self.login)])
        elif b"\0".join(self.login).lstrip(b"\0") == f"{USER}\0{PASSWORD}".encode():
            self.engine.make_offer(offer(DEFAULT_RIGHTS, MAX_HOLD_S, time()))
            self.engine.auth_succeeded()
        else:
            self.engine.refuse(BAD_LOG_IN)


def _settings(script: Script, submission: bool) -> EngineSettings:
    numbers = {key: int(value) for key, value in script.settings.items() if key != "bare_lf"}
    return EngineSettings(
        HOSTNAME,
        tls_available=True,
        auth_mechanisms=MECHANISMS if submission else (),
        require_auth=submission,
        require_tls=submission,
        bare_lf=cast(Literal["refuse", "normalise"], script.settings.get("bare_lf", "refuse")),
        max_message_size=numbers.get("max_message_size", 1_000_000),
        max_recipients=numbers.get("max_recipients", 100),
        errors_per_session=numbers.get("errors_per_session", 20),
    )
