"""Drives a server engine in tests: feeds it, answers its questions, and collects what it says."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from itertools import pairwise

from fedaemon.smtp import events
from fedaemon.smtp.engine import EngineSettings, ServerEngine
from fedaemon.smtp.events import Event
from fedaemon.smtp.reply import Reply

HOSTNAME = "mx.example.org"
MX = EngineSettings(HOSTNAME, tls_available=True)
SUBMISSION = EngineSettings(
    HOSTNAME,
    tls_available=True,
    auth_mechanisms=("PLAIN", "LOGIN"),
    require_auth=True,
    require_tls=True,
)
HELLO = b"EHLO client.example.net\r\n"
ENVELOPE = b"MAIL FROM:<ann@example.org>\r\nRCPT TO:<bob@example.test>\r\n"

QUESTIONS = (
    events.MailFrom,
    events.RcptTo,
    events.DataStart,
    events.ContentEnd,
    events.AuthStart,
    events.AuthResponse,
)


class Caller:
    """An engine and a caller that says yes to everything but what *refusals* names.

    ``events`` and ``output`` hold everything the engine told and said since the greeting.
    """

    def __init__(
        self,
        settings: EngineSettings = MX,
        *,
        tls: bool = False,
        refusals: Mapping[type, Reply] | None = None,
    ) -> None:
        self.engine = ServerEngine(settings)
        self.refusals = refusals or {}
        self.events: list[Event] = []
        self.output = b""
        if tls:
            self.engine.tls_started()
        self.engine.greeting()
        self.engine.take_output()

    def say(self, data: bytes) -> bytes:
        """Feed *data*, answer what is asked, and return what the engine says to it."""
        self.engine.receive(data)
        self.take_events()
        said = self.engine.take_output()
        self.output += said
        return said

    def say_in_pieces(self, pieces: Iterable[bytes]) -> bytes:
        """Feed the *pieces* one after the other."""
        return b"".join([self.say(piece) for piece in pieces])

    def take_events(self) -> None:
        """Take all events and answer the questions among them."""
        while (event := self.engine.next_event()) is not None:
            self.events.append(event)
            if isinstance(event, QUESTIONS):
                self.answer(event)

    def answer(self, event: Event) -> None:
        """Answer a question."""
        refusal = self.refusals.get(type(event))
        if refusal is not None:
            self.engine.refuse(refusal)
        elif isinstance(event, events.AuthStart) and event.initial is None:
            self.engine.auth_challenge(b"")
        else:
            self.engine.accept()

    @property
    def merged(self) -> list[Event]:
        """The events with neighbouring content in one piece; content that was aborted is left out."""
        merged: list[Event] = []
        for event in self.events:
            if isinstance(event, events.Content) and merged and isinstance(merged[-1], events.Content):
                merged[-1] = events.Content(merged[-1].data + event.data)
            else:
                if isinstance(event, events.ContentAborted) and isinstance(merged[-1], events.Content):
                    merged.pop()
                merged.append(event)
        return merged

    @property
    def messages(self) -> list[bytes]:
        """The contents that were handed up whole."""
        merged = self.merged
        return [
            before.data if isinstance(before, events.Content) else b""
            for before, event in zip([None, *merged], merged, strict=False)
            if isinstance(event, events.ContentEnd)
        ]

    def of(self, kind: type) -> list[Event]:
        """The events of one kind."""
        return [event for event in self.events if isinstance(event, kind)]


def codes(output: bytes) -> list[int]:
    """Return the code of each reply in *output*, which must be well-formed replies and nothing else."""
    found = []
    for line in output.split(b"\r\n")[:-1]:
        match = re.fullmatch(rb"([2-5][0-9]{2})([ -])([^\x00-\x1f\x7f]*)", line)
        assert match is not None, line
        if match[2] == b" ":
            found.append(int(match[1]))
    assert output == b"" or output.endswith(b"\r\n")
    return found


def greeted(settings: EngineSettings = MX, **options: bool) -> Caller:
    """Return a caller whose engine has heard EHLO."""
    caller = Caller(settings, **options)  # type: ignore[arg-type]
    assert codes(caller.say(HELLO)) == [250]
    return caller


def receiving(settings: EngineSettings = MX) -> Caller:
    """Return a caller whose engine has said 354."""
    caller = greeted(settings)
    assert codes(caller.say(ENVELOPE + b"DATA\r\n")) == [250, 250, 354]
    return caller


def pieces(data: bytes, cuts: Iterable[int]) -> list[bytes]:
    """Return *data* cut at *cuts*."""
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[start:stop] for start, stop in pairwise(places)]
