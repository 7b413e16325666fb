"""THREAD as clients see it: RFC 5256 3, 4."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fedaemon.store.spaces import MAIL
from tests.imap.lab import Client, Lab
from tests.imap.mail import expunge, message, seal

MESSAGES = (
    ("Plans", "Message-ID: <1@x>"),
    ("Re: Plans", "Message-ID: <2@x>\r\nReferences: <1@x>"),
    ("Lunch", "Message-ID: <3@x>\r\nIn-Reply-To: <2@x>"),
    ("Other", "Message-ID: <4@x>"),
    ("Re: Plans", ""),
    ("Re: other", "Message-ID: <6@x>\r\nReferences: <0@x> <4@x>"),
)


@pytest.fixture(params=[0, 4], ids=["tail", "chunk-and-tail"])
def client(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Client]:
    """Has selected the six messages."""
    lab = Lab(tmp_path / "store")
    for number, (subject, header) in enumerate(MESSAGES):
        lab.deliver(message(subject, header, date=f"Mon, 13 Nov 2023 10:0{number}:00 +0000"))
    if request.param:
        assert seal(lab, request.param)
    yield lab.client(select="INBOX")
    lab.close()


def test_by_references(client: Client) -> None:
    assert client.send(b"THREAD REFERENCES UTF-8 ALL") == [
        b"* THREAD (1 (2 3)(5))(4 6)",
        b"OK Threaded",
    ]


def test_by_subject(client: Client) -> None:
    assert client.send(b"THREAD ORDEREDSUBJECT UTF-8 ALL")[0] == b"* THREAD (1 (2)(5))(3)(4 6)"


def test_what_is_not_found_is_in_no_thread(client: Client) -> None:
    expunge(client.lab, [1])
    client.send(b"NOOP")
    assert client.send(b"THREAD REFERENCES UTF-8 NOT SUBJECT other")[0] == b"* THREAD ((1 2)(4))"
    assert client.send(b"UID THREAD REFERENCES UTF-8 SUBJECT other")[0] == b"* THREAD (4 6)"
    assert client.send(b"THREAD REFERENCES UTF-8 SEEN") == [b"* THREAD", b"OK Threaded"]


def test_messages_without_date_come_when_they_arrived(tmp_path: Path) -> None:
    """RFC 5256 2.2"""
    lab = Lab(tmp_path / "store")
    for day in (2, 1):
        lab.now_s = day * 86_400.0
        lab.deliver(b"Subject: %d\r\n\r\n" % day)
    client = lab.client(select="INBOX")
    assert client.send(b"THREAD ORDEREDSUBJECT UTF-8 ALL")[0] == b"* THREAD (2)(1)"
    lab.close()


def test_what_is_no_identifier_joins_nothing(tmp_path: Path) -> None:
    """A message without one, one that refers to "-", and one whose content is gone."""
    lab = Lab(tmp_path / "store")
    lab.deliver(message("one"), message("two", "References: <->"), message("three"))
    client = lab.client(select="INBOX")
    mailbox_id = lab.mailbox_id()
    assert client.send(b"THREAD REFERENCES UTF-8 ALL")[0] == b"* THREAD (1)(2)(3)"
    lab.write(lambda transaction: transaction.delete((MAIL, mailbox_id, 3)))
    assert client.send(b"THREAD REFERENCES UTF-8 ALL")[0] == b"* THREAD (1)(2)(3)"
    lab.close()
