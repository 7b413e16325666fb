"""Runs the client engine against a script: what a server says, and what must be sent upon it."""

from __future__ import annotations

from fedaemon.delivery.transport import Recipient
from fedaemon.smtp.client_engine import ClientEngine
from fedaemon.smtp.client_envelope import Envelope
from fedaemon.smtp.client_events import Ended, Event, Failed
from fedaemon.smtp.client_transaction import Answer

LOCKSTEP = b"250-mx.example.net\r\n250 8BITMIME\r\n"
PIPELINED = b"250-mx.example.net\r\n250 PIPELINING\r\n"
GREETING = b"220 mx.example.net ESMTP\r\n"


class Talk:
    """An engine, what it sent, and what it said."""

    def __init__(self) -> None:
        self.engine = ClientEngine("mail.example.org")
        self.events: list[Event] = []

    def says(self, data: bytes) -> bytes:
        """The server says *data*: return what is sent upon it."""
        self.engine.receive(data)
        return self.sent()

    def sent(self) -> bytes:
        while (event := self.engine.next_event()) is not None:
            self.events.append(event)
        return self.engine.take_output()

    def hello(self, reply: bytes = PIPELINED) -> None:
        assert self.says(GREETING) == b"EHLO mail.example.org\r\n"
        assert self.says(reply) == b""

    def begin(self, *addresses: str, size: int = 10, body: str = "7BIT") -> bytes:
        recipients = tuple(Recipient(number, address) for number, address in enumerate(addresses or ("b@x",)))
        self.engine.begin(Envelope("a@x", recipients, size, body=body))
        return self.sent()

    def content(self, *blocks: bytes) -> bytes:
        for block in blocks:
            assert self.engine.content_wanted
            self.engine.send_content(block)
        assert self.engine.content_wanted
        self.engine.end_content()
        return self.sent()

    @property
    def awaiting(self) -> str:
        """What the engine waits for."""
        return self.engine.awaiting.value

    @property
    def answers(self) -> tuple[Answer | None, ...]:
        event = self.events[-1]
        assert isinstance(event, Ended | Failed)
        return event.answers

    @property
    def codes(self) -> list[tuple[str, int] | None]:
        """Phase and code of each recipient's answer."""
        return [None if answer is None else (answer.phase, answer.code) for answer in self.answers]

    @property
    def failure(self) -> Answer:
        event = self.events[-1]
        assert isinstance(event, Failed)
        return event.reason
