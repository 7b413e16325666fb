"""The texts of messages that a mailbox keeps for SEARCH: when they are made, when they go."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fedaemon.imap.search import contents
from fedaemon.mailbox import reading, text_index
from fedaemon.mailbox.rows import NO_SHAPE
from fedaemon.mailbox.text_index import LONG, TextBlock, TextKind, one_line
from fedaemon.message.mime.search_text import read_search_text
from fedaemon.store.errors import StoreError
from fedaemon.store.interface import Transaction
from fedaemon.store.spaces import BLOB_BYTES, MAIL
from tests.imap.lab import Client, Lab
from tests.imap.mail import expunge, message, seal

COUNT = 40


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    """INBOX has 40 messages, all in the tail."""
    lab = Lab(tmp_path / "store")
    lab.deliver(*[message(f"Number {number}", body=f"word{number}.") for number in range(1, COUNT + 1)])
    yield lab
    lab.close()


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Has the number of parts of each message that was read."""
    found: list[int] = []

    def counted(read: object, parts: object, prefix_octets: int = 0) -> object:
        found.append(len(parts))  # type: ignore[arg-type]
        return read_search_text(read, parts, prefix_octets)  # type: ignore[arg-type]

    monkeypatch.setattr(text_index, "read_search_text", counted)
    return found


def blocks(lab: Lab, kind: TextKind, first: int = 1, last: int = 2**32 - 1) -> list[list[int]]:
    """Return the UIDs of the blocks that INBOX has."""
    mailbox_id = lab.mailbox_id()
    found = lab.store.view(lambda snapshot: text_index.blocks(snapshot, mailbox_id, kind, first, last))
    return [list(block.uids) for block in found]


def found(client: Client, key: bytes) -> bytes:
    return client.send(b"SEARCH " + key)[0].removeprefix(b"* SEARCH")


def test_a_message_is_read_once(lab: Lab, reads: list[int]) -> None:
    client = lab.client(select="INBOX")
    for _ in range(2):
        assert found(client, b"BODY word7.") == b" 7"
        assert len(reads) == COUNT
    assert found(client, b"TEXT word7.") == b" 7"
    assert len(reads) == 2 * COUNT
    assert found(client, b"BODY word 1:3") == b" 1 2 3"
    # Only headers were read for TEXT.
    assert set(reads[COUNT:]) == {1}
    assert blocks(lab, TextKind.BODIES) == blocks(lab, TextKind.HEADERS) == [list(range(1, COUNT + 1))]


def test_what_cheaper_keys_have_decided_is_not_read(lab: Lab, reads: list[int]) -> None:
    client = lab.client(select="INBOX")
    assert found(client, b"BODY word 1:3") == b" 1 2 3"
    assert found(client, b"BODY word SUBJECT 17") == b" 17"
    assert found(client, b"OR BODY word17. SUBJECT number 37:40") == b" 37 38 39 40"
    assert len(reads) == 3 + 1
    assert found(client, b"BODY word SEEN") == b""
    assert len(reads) == 3 + 1
    assert blocks(lab, TextKind.BODIES) == []


def test_new_messages_are_read_until_there_are_enough(
    lab: Lab, reads: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    client = lab.client(select="INBOX")
    found(client, b"BODY word1.")
    lab.deliver(message("x", body="word1. again"))
    client.send(b"NOOP")
    for _ in range(2):
        reads.clear()
        assert found(client, b"BODY word1.") == b" 1 41"
        assert len(reads) == 1
        assert blocks(lab, TextKind.BODIES, 41) == []
    lab.deliver(message("y", body="word1. too"))
    client.send(b"NOOP")
    monkeypatch.setattr(contents, "MIN_BLOCK", 2)
    assert found(client, b"BODY word1.") == b" 1 41 42"
    assert blocks(lab, TextKind.BODIES) == [list(range(1, 41)), [41, 42]]


def test_sealing_leaves_the_index_as_it_is(lab: Lab, reads: list[int]) -> None:
    client = lab.client(select="INBOX")
    found(client, b"BODY word1.")
    seal(lab, 15)
    client.send(b"NOOP")
    reads.clear()
    assert found(client, b"BODY word1.") == b" 1"
    assert found(client, b"BODY word20.") == b" 20"
    assert reads == []


def test_blocks_are_of_limited_size(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_index, "BLOCK_OCTETS", 20)
    client = lab.client(select="INBOX")
    assert found(client, b"BODY word1.") == b" 1"
    made = blocks(lab, TextKind.BODIES)
    assert len(made) > 5
    assert [uid for uids in made for uid in uids] == list(range(1, COUNT + 1))
    for key in (b"word1.", b"word40.", b"word20."):
        assert found(client, b"BODY " + key) == b" " + key[4:-1]
    # Those that begin before, within and behind the range.
    assert blocks(lab, TextKind.BODIES, made[1][1], made[3][0]) == made[1:4]
    assert blocks(lab, TextKind.BODIES, made[1][0], made[2][0]) == made[1:3]
    mailbox_id = lab.mailbox_id()
    lab.write(lambda transaction: text_index.forget(transaction, mailbox_id, [made[0][0], made[2][1]]))
    assert blocks(lab, TextKind.BODIES) == [made[1], *made[3:]]


def test_long_texts_are_read_each_time(lab: Lab, reads: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_index, "LONG_OCTETS", 100)
    lab.deliver(message("long", body="z" * 100 + "word1."), message("other", body="y" * 101))
    client = lab.client(select="INBOX")
    assert found(client, b"BODY word1.") == b" 1 41"
    reads.clear()
    assert found(client, b"BODY word1.") == b" 1 41"
    assert len(reads) == 2
    assert found(client, b"BODY word1. NOT 41:42") == b" 1"
    assert len(reads) == 2


def test_texts_of_purged_messages_are_forgotten(lab: Lab) -> None:
    client = lab.client(select="INBOX")
    found(client, b"TEXT word1.")
    mailbox_id = lab.mailbox_id()
    lab.write(lambda transaction: text_index.forget(transaction, mailbox_id, [41, 50]))
    lab.write(lambda transaction: text_index.forget(transaction, mailbox_id, []))
    assert blocks(lab, TextKind.BODIES) != []
    lab.write(lambda transaction: text_index.forget(transaction, mailbox_id, [40, 41]))
    assert blocks(lab, TextKind.BODIES) == blocks(lab, TextKind.HEADERS) == []
    assert found(client, b"TEXT word1.") == b" 1"


def test_no_block_is_kept_of_a_message_that_was_purged_meanwhile(lab: Lab) -> None:
    mailbox_id = lab.mailbox_id()
    block = TextBlock.of([1, 2], [b"one", b"two"])
    lab.write(lambda transaction: transaction.delete((MAIL, mailbox_id, 2)))
    lab.write(lambda transaction: text_index.put(transaction, mailbox_id, TextKind.BODIES, block))
    assert blocks(lab, TextKind.BODIES) == []


def test_messages_that_the_session_does_not_count_are_not_read(lab: Lab, reads: list[int]) -> None:
    expunge(lab, [3])
    client = lab.client(select="INBOX")
    assert found(client, b"BODY word4.") == b" 3"
    assert len(reads) == COUNT - 1


def test_purged_and_lost_messages_are_found_by_nothing(lab: Lab) -> None:
    """A message that the session still counts, and one whose content is lost."""
    client = lab.client(select="INBOX")
    mailbox_id = lab.mailbox_id()
    expunge(lab, [3])
    lab.write(lambda transaction: transaction.delete((MAIL, mailbox_id, 3)))
    key = lab.store.view(lambda snapshot: next(snapshot.scan((BLOB_BYTES,)))[0])
    lab.write(lambda transaction: transaction.delete(key))
    assert found(client, b"BODY word 1:5") == b" 2 4 5"
    assert found(client, b"BODY word 1:40").startswith(b" 2 4 5 6 ")
    assert found(client, b"SUBJECT number 1:5") == b" 1 2 4 5"
    # What was in no block is in none: it was never read.
    assert blocks(lab, TextKind.BODIES) == [[2, *range(4, COUNT + 1)]]


def test_a_message_without_shape_gets_one_to_be_searched(lab: Lab) -> None:
    mailbox_id = lab.mailbox_id()

    def unshape(transaction: Transaction) -> None:
        for uid in (2, 3):
            mail = reading.mail(transaction, mailbox_id, uid)
            assert mail is not None
            transaction.put((MAIL, mailbox_id, uid), mail._replace(shape=NO_SHAPE).to_record())

    lab.write(unshape)
    client = lab.client(select="INBOX")
    assert found(client, b"SUBJECT number 1:4") == b" 1 2 3 4"
    assert found(client, b"BODY word2. 1:4") == b" 2"
    assert client.send(b"SORT (SUBJECT) UTF-8 1:4")[0] == b"* SORT 1 2 3 4"


def test_rows_have_no_line_ends() -> None:
    assert one_line(b"a\r\nb\nc\0d\re") == b"a\vb\vc\vd\re"
    block = TextBlock.from_record(TextBlock.of([3, 9], [b"one", LONG]).to_record())
    assert (list(block.uids), block.text()) == ([3, 9], b"one\n\0")


def test_a_damaged_block_is_made_anew(lab: Lab) -> None:
    client = lab.client(select="INBOX")
    found(client, b"BODY word1.")
    mailbox_id = lab.mailbox_id()
    damaged = TextBlock(TextBlock.of(range(1, COUNT + 1), []).uids, b"damaged")
    with pytest.raises(StoreError):
        damaged.text()
    lab.write(lambda transaction: text_index.put(transaction, mailbox_id, TextKind.BODIES, damaged))
    assert found(client, b"BODY word1.") == b" 1"
    block = lab.store.view(lambda s: text_index.blocks(s, mailbox_id, TextKind.BODIES, 1, 1))[0]
    assert block.text().startswith(b"\xffword1.\n\xffword2.\n")


def test_headers_of_parts_are_text_and_not_body(lab: Lab) -> None:
    """RFC 9051 6.4.4: BODY does not match any header fields, TEXT those of parts as well; from blocks or read."""
    part = "--a\r\nContent-Type: text/plain; name=word40.\r\n\r\nfound\r\n--a--\r\n"
    lab.deliver(message("x", "Content-Type: multipart/mixed; boundary=a", part))
    client = lab.client(select="INBOX")
    for set_ in (b"40:*", b"1:*", b"40:*"):
        assert found(client, set_ + b" BODY word40.") == b" 40"
        assert found(client, set_ + b" TEXT word40.") == b" 40 41"
        assert found(client, set_ + b" BODY found") == b" 41"
        assert found(client, set_ + b" HEADER Content-Type word40") == b""
