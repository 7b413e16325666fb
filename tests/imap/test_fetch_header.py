"""Header and text of the whole message, which FETCH cuts without its parts, and damage to where they are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fedaemon.message.mime.sections import header_fields
from fedaemon.message.mime.shape import read_shape
from fedaemon.store.interface import Transaction
from fedaemon.store.spaces import MAIL
from tests.imap.lab import Lab
from tests.imap.test_fetch import CORPUS, PLAIN, PREFIX, literal, one


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    """An empty store."""
    lab = Lab(tmp_path)
    yield lab
    lab.close()


@pytest.mark.parametrize("prefix", [b"", PREFIX])
@pytest.mark.parametrize("name", CORPUS)
def test_header_and_text_are_those_of_the_shape(lab: Lab, name: str, prefix: bytes) -> None:
    """Of every odd message, with lines of the delivery in front and without."""
    message = CORPUS[name]
    lab.deliver(message, prefix=prefix)
    client = lab.client(select="INBOX")
    at = read_shape([message]).parts[0].body_at
    header, text = (each.replace(b"\0", b"\x80") for each in (prefix + message[:at], message[at:]))
    assert one(client, b"BODY.PEEK[HEADER]") == b"BODY[HEADER] " + literal(header)
    assert one(client, b"BODY.PEEK[TEXT]") == b"BODY[TEXT] " + literal(text)
    fields = header_fields(header, [b"Subject", b"return-path"], exclude=False)
    item = b"BODY[HEADER.FIELDS (Subject Return-Path)]"
    assert one(client, item.replace(b"[", b".PEEK[", 1)) == item + b" " + literal(fields)


def damage(lab: Lab, uid: int, change: Callable[[bytes], bytes]) -> None:
    """Change the parts in the shape of a message."""
    key = (MAIL, lab.mailbox_id(), uid)

    def write(transaction: Transaction) -> None:
        value = transaction.get(key)
        assert value is not None and change(value) != value
        transaction.put(key, change(value))

    lab.write(write)


def test_damaged_parts_hide_no_other_message_and_no_whole_one(lab: Lab) -> None:
    """What needs them is refused behind the other answers; BODY[] does not."""
    lab.deliver(PLAIN, PLAIN)
    damage(lab, 1, lambda record: record.replace(b"[[[],0,", b"[[[],x,"))
    client = lab.client(select="INBOX")
    for item in (b"BODY.PEEK[HEADER]", b"BODY.PEEK[TEXT]", b"BODY.PEEK[HEADER.FIELDS (A)]", b"BODY.PEEK[1]"):
        answer, end = client.send(b"FETCH 1:2 " + item)
        assert answer.startswith(b"* 2 FETCH (") and end.startswith(b"NO "), (answer, end)
    assert one(client, b"BODY.PEEK[]") == b"BODY[] " + literal(PLAIN)


def test_a_header_that_is_said_to_be_longer_than_the_message(lab: Lab) -> None:
    """A cut lies within the content, or the literal would be shorter than it says."""
    lab.deliver(PLAIN)
    damage(lab, 1, lambda record: record.replace(b"[[[],0,18,18,", b"[[[],0,98,98,"))
    client = lab.client(select="INBOX")
    assert one(client, b"BODY.PEEK[HEADER]") == b"BODY[HEADER] " + literal(PLAIN)
    assert one(client, b"BODY.PEEK[TEXT]") == b"BODY[TEXT] " + literal(b"")
