"""The client engine talks to the server engine: what one says, the other understands."""

from __future__ import annotations

from typing import Any
from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st

from fedaemon.delivery.transport import Recipient
from fedaemon.smtp import client_content, client_transaction, events
from fedaemon.smtp.client_engine import ClientEngine
from fedaemon.smtp.client_envelope import Envelope
from fedaemon.smtp.client_events import Ended, Event
from fedaemon.smtp.engine import ServerEngine
from fedaemon.smtp.engine_settings import EngineSettings
from fedaemon.smtp.reply import Reply

lines = st.sampled_from([b"", b".", b"..", b".x", b"text", b"caf\xc3\xa9", b"x" * 300]).map(
    lambda line: line + b"\r\n"
)


class Server:
    """A server engine that takes everything but nobody@."""

    def __init__(self) -> None:
        self.engine = ServerEngine(EngineSettings("mx.example.net"))
        self.engine.greeting()
        self.content = b""
        self.events: list[Any] = []

    def answer(self) -> bytes:
        """Decide what is asked and return what is to be sent."""
        while (event := self.engine.next_event()) is not None:
            self.events.append(event)
            if isinstance(event, events.Content):
                self.content += event.data
            elif isinstance(event, events.RcptTo) and event.recipient.local == "nobody":
                self.engine.refuse(Reply(550, "5.1.1", "no such user"))
            elif isinstance(event, events.MailFrom | events.RcptTo | events.DataStart):
                self.engine.accept()
            elif isinstance(event, events.ContentEnd):
                self.engine.accept(Reply(250, "2.0.0", "Ok: queued as ID"))
        return self.engine.take_output()

    def asked(self, kind: type) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


def converse(envelope: Envelope, blocks: list[bytes], piece: int) -> tuple[Server, list[Event]]:
    """Carry bytes between the two in pieces of *piece* octets until the transaction is over."""
    server, client = Server(), ClientEngine("mail.example.org")
    happened: list[Event] = []
    left = list(blocks)
    begun = False
    while not (happened and isinstance(happened[-1], Ended)):
        said = server.answer()
        for start in range(0, len(said), piece):
            client.receive(said[start : start + piece])
        while (event := client.next_event()) is not None:
            happened.append(event)
        if happened and not begun:
            begun = True
            client.begin(envelope)
        while client.content_wanted:
            if left:
                client.send_content(left.pop(0))
            else:
                client.end_content()
        sent = client.take_output()
        assert said or sent, "both wait"
        for start in range(0, len(sent), piece):
            server.engine.receive(sent[start : start + piece])
    return server, happened


@settings(max_examples=60, deadline=None)
@given(
    st.lists(lines, max_size=12).map(b"".join),
    st.integers(1, 60),
    st.integers(1, 80),
    st.booleans(),
)
def test_content_arrives_octet_for_octet_by_data_and_by_bdat(
    content: bytes, block: int, piece: int, chunked: bool
) -> None:
    blocks = [content[start : start + block] for start in range(0, len(content), block)]
    recipients = (Recipient(0, "b@example.net"), Recipient(1, "nobody@example.net"))
    envelope = Envelope("a@example.org", recipients, len(content))
    with (
        patch.object(client_content, "CHUNK_OCTETS", 50),
        patch.object(client_transaction, "CHUNKING_FROM_OCTETS", 0 if chunked else 10**9),
    ):
        server, happened = converse(envelope, blocks, piece)
    ended = happened[-1]
    assert isinstance(ended, Ended)
    assert [answer and answer.code for answer in ended.answers] == [250, 550]
    assert server.content == content


def test_every_parameter_is_understood() -> None:
    recipient = Recipient(0, "dörte@example.net", notify="SUCCESS,FAILURE", orcpt="rfc822;b+2Bx@example.net")
    envelope = Envelope("", (recipient,), 4, body="BINARYMIME", smtputf8=True, ret="HDRS", envid="QQ+2B1")
    server, happened = converse(envelope, [b"Hi\r\n"], 1000)
    ended = happened[-1]
    assert isinstance(ended, Ended)
    assert ended.answers[0] is not None
    assert ended.answers[0].delivered
    assert ended.answers[0].text == "Ok: queued as ID"
    [mail] = server.asked(events.MailFrom)
    assert mail.sender is None
    assert mail.params == events.MailParams(4, "BINARYMIME", True, "HDRS", "QQ+2B1")
    [rcpt] = server.asked(events.RcptTo)
    assert rcpt.params == events.RcptParams("SUCCESS,FAILURE", "rfc822;b+2Bx@example.net")
    assert server.content == b"Hi\r\n"
