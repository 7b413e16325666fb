"""FETCH while others change the mailbox: \\Seen, expunged and purged messages, mod-sequences, what vanished."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fedaemon.imap.fetch.cuts import Decoded, Octets
from fedaemon.imap.fetch.streaming import Broken, stream
from fedaemon.imap.operations import Read, Write
from fedaemon.imap.session import BLOCK, Session
from fedaemon.mailbox import changing, compaction, reading
from fedaemon.mailbox import columns as c
from fedaemon.mailbox.adding import NewMail, append
from fedaemon.mailbox.changing import Mode
from fedaemon.message.mime.shape import read_shape
from fedaemon.store.content import MemoryContent
from fedaemon.store.errors import StoreError, StoreFull
from fedaemon.store.interface import Transaction
from fedaemon.store.spaces import MAIL
from tests.fakes import MemoryTransaction
from tests.imap.lab import NOW_S, Client, Lab
from tests.imap.test_fetch import PLAIN, TREE, fetched, literal, one, rows, seal


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    """A store with four small messages."""
    lab = Lab(tmp_path)
    lab.deliver(*[PLAIN] * 4)
    yield lab
    lab.close()


def flag(lab: Lab, uid: int, flags: int = c.FLAGGED) -> None:
    """Another session's STORE."""
    lab.write(lambda t: changing.change_flags(t, lab.mailbox_id(), ((uid, uid),), Mode.ADD, flags))


def expunge(lab: Lab, uid: int, *, purge: bool = False) -> None:
    """Another session's EXPUNGE; *purge* takes the content away as well."""
    box = lab.mailbox_id()
    lab.write(lambda t: changing.expunge(t, box, ((uid, uid),), NOW_S * 1000, only_deleted=False))
    if purge:
        lab.write(lambda t: _purge(t, lab, uid))


def _purge(transaction: Transaction, lab: Lab, uid: int) -> None:
    mail = reading.mail(transaction, lab.mailbox_id(), uid)
    assert mail is not None
    transaction.delete((MAIL, lab.mailbox_id(), uid))
    lab.store.blobs.release(transaction, mail.blob)


def client_of(lab: Lab, *enabled: bytes, command: bytes = b"SELECT INBOX") -> Client:
    """Return a client that is told of no \\Recent."""
    client = lab.client()
    client.engine.session.enabled.update((b"IMAP4REV2", *enabled))
    client.tagged(command)
    return client


# -- \Seen


@pytest.mark.parametrize(
    ("item", "label"),
    [(b"BODY[TEXT]<0.1>", b"BODY[TEXT]<0>")]
    + [(name, name) for name in (b"BODY[]", b"BODY[HEADER]", b"RFC822", b"RFC822.TEXT", b"BINARY[1]")],
)
def test_reading_sets_seen(lab: Lab, item: bytes, label: bytes) -> None:
    """And the same answer tells the flags, once (RFC 9051 6.4.5, 7.5.2)."""
    client = client_of(lab)
    assert one(client, item).startswith(b"FLAGS (\\Seen) " + label + b" ")
    assert one(client, item).startswith(label + b" ")
    assert [row.flags for row in rows(lab)] == [c.SEEN, 0, 0, 0]
    assert client.send(b"NOOP")[:-1] == []


def test_reading_where_the_flags_are_asked_for(lab: Lab) -> None:
    """They are the new ones."""
    client = client_of(lab)
    assert one(client, b"(BODY[TEXT] FLAGS)") == b"FLAGS (\\Seen) BODY[TEXT] {6}\r\nbody\r\n"


def test_reading_tells_the_modseq_where_it_is_told(lab: Lab) -> None:
    """RFC 7162 3.1.4; not twice."""
    client = client_of(lab, b"CONDSTORE")
    assert one(client, b"BODY[TEXT]") == b"FLAGS (\\Seen) MODSEQ (3) BODY[TEXT] {6}\r\nbody\r\n"
    (answer,) = fetched(client, b"FETCH 2 (MODSEQ FLAGS BODY[TEXT])")
    assert answer == b"* 2 FETCH (MODSEQ (4) FLAGS (\\Seen) BODY[TEXT] {6}\r\nbody\r\n)"
    assert client.send(b"NOOP")[:-1] == []


def test_examine_sets_nothing(lab: Lab) -> None:
    """RFC 9051 6.3.3."""
    client = client_of(lab, command=b"EXAMINE INBOX")
    assert one(client, b"RFC822.TEXT") == b"RFC822.TEXT {6}\r\nbody\r\n"
    assert [row.flags for row in rows(lab)] == [0, 0, 0, 0]


def test_one_commit_for_many_messages(lab: Lab) -> None:
    """None where all are \\Seen already; each slice has one."""
    client = client_of(lab)
    before = lab.writes
    assert len(fetched(client, b"FETCH 1:* BODY[TEXT]")) == 4
    assert lab.writes == before + 1
    assert len(fetched(client, b"FETCH 1:* BODY[TEXT]")) == 4
    assert lab.writes == before + 1


def test_what_others_changed_is_told_with_it(lab: Lab) -> None:
    """Of the same message in its answer, of others by themselves, and new ones by EXISTS; nothing twice."""
    client = client_of(lab)
    flag(lab, 1)
    flag(lab, 3)
    lab.deliver(PLAIN)
    assert fetched(client, b"FETCH 1 BODY[TEXT]") == [
        b"* 3 FETCH (UID 3 FLAGS (\\Flagged))",
        b"* 5 EXISTS",
        b"* 1 FETCH (FLAGS (\\Seen \\Flagged) BODY[TEXT] {6}\r\nbody\r\n)",
    ]
    assert client.send(b"NOOP")[:-1] == []


def test_mail_can_be_read_when_nothing_can_be_written(lab: Lab) -> None:
    """A full disk must not hide the mail that is there."""
    client = client_of(lab)
    engine = client.engine
    engine.receive(b"a FETCH 1 BODY[TEXT]\r\n")
    writes = 0
    while (request := engine.next_request()) is not None:
        if isinstance(request.operation, Write):
            writes += 1
            engine.fail(request, StoreFull("no room"))
        elif isinstance(request.operation, Read):
            engine.answer(request, lab.store.view(request.operation.function))
        else:
            engine.answer(request, None)
    assert writes == 1
    assert engine.take_output() == b"* 1 FETCH (BODY[TEXT] {6}\r\nbody\r\n)\r\na OK Fetched\r\n"


# -- expunged by others


def test_an_expunged_message_is_read_until_it_is_told(lab: Lab) -> None:
    """Its number stands (RFC 9051 7.5.1) and its content is there (RFC 2180 4.1)."""
    client = client_of(lab)
    expunge(lab, 2)
    assert fetched(client, b"FETCH 2:3 (UID RFC822.SIZE BODY.PEEK[TEXT])") == [
        b"* %d FETCH (UID %d RFC822.SIZE 24 BODY[TEXT] {6}\r\nbody\r\n)" % (n, n) for n in (2, 3)
    ]
    assert client.send(b"NOOP")[:-1] == [b"* 2 EXPUNGE"]
    assert fetched(client, b"FETCH 2 (UID BODY.PEEK[TEXT])")[0].startswith(b"* 2 FETCH (UID 3 ")


@pytest.mark.parametrize("items", [b"BODY.PEEK[]", b"ENVELOPE"])
def test_a_purged_message_is_left_out(lab: Lab, items: bytes) -> None:
    """And the tagged answer says so (RFC 5530 3); what the columns know is still told."""
    client = client_of(lab)
    expunge(lab, 2, purge=True)
    *answers, end = client.send(b"FETCH 1:3 " + items)
    assert [answer[:5] for answer in answers] == [b"* 1 F", b"* 3 F"]
    assert end.startswith(b"OK [EXPUNGEISSUED] ")
    assert len(fetched(client, b"FETCH 1:3 (FLAGS UID RFC822.SIZE)")) == 3


@pytest.mark.parametrize("sealed", [False, True])
def test_rows_that_went_for_good(lab: Lab, sealed: bool) -> None:
    """Compaction has removed the row: the others are found by their UIDs, whatever chunk they are in now."""
    if sealed:
        seal(lab, 4)
    lab.deliver(TREE)
    client = client_of(lab)
    expunge(lab, 2, purge=True)
    box = lab.mailbox_id()
    first = rows(lab)[0].uid
    assert lab.write(lambda t: compaction.compact(t, box, first) + compaction.compact_tail(t, box, 100)) == 1
    *answers, end = client.send(b"FETCH 1:* (UID RFC822.SIZE)")
    sizes = {1: len(PLAIN), 3: len(PLAIN), 4: len(PLAIN), 5: len(TREE)}
    assert answers == [b"* %d FETCH (UID %d RFC822.SIZE %d)" % (n, n, size) for n, size in sizes.items()]
    assert end.startswith(b"OK [EXPUNGEISSUED] ")


def test_rows_that_were_sealed_meanwhile(lab: Lab) -> None:
    """The session has not looked since; the numbers stay."""
    client = client_of(lab)
    lab.deliver(TREE)
    seal(lab, 5)
    expected = [b"* %d FETCH (RFC822.SIZE 24)" % n for n in range(1, 5)]
    assert fetched(client, b"FETCH 1:4 RFC822.SIZE") == [*expected, b"* 5 EXISTS"]
    assert fetched(client, b"FETCH 1:* RFC822.SIZE")[4] == b"* 5 FETCH (RFC822.SIZE %d)" % len(TREE)


class Shrinking:
    """A content that cannot be read any more after *reads* blocks."""

    def __init__(self, data: bytes, reads: int) -> None:
        self.data, self.reads, self.size = data, reads, len(data)

    def chunks(self, size: int = BLOCK, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        self.reads -= 1
        if self.reads < 0:
            raise StoreError("the file is gone")
        yield from MemoryContent(self.data).chunks(size, start, stop)


@pytest.mark.parametrize(
    ("encoding", "reads"), [*(("", reads) for reads in range(4)), *(("base64", reads) for reads in range(8))]
)
def test_a_message_that_goes_while_it_is_sent(encoding: str, reads: int) -> None:
    """A literal that has begun cannot be ended: ``Broken``, whether its size was found out before or not."""
    content = Shrinking(b"QUJD" * BLOCK, reads)
    octets = Octets(b"BODY[]", content, 0, content.size, binary=False)
    decoded = Decoded(b"BINARY[1]", content, 0, content.size, encoding, None, only_size=False)
    running = stream(Session(None), [b"* 1 FETCH (", decoded if encoding else octets])  # type: ignore[arg-type]
    operation = running.send(None)
    no_snapshot = MemoryTransaction({})
    with pytest.raises(Broken):
        while True:
            try:
                value = operation.function(no_snapshot) if isinstance(operation, Read) else None
            except StoreError as error:
                operation = running.throw(error)
            else:
                operation = running.send(value)


def test_the_session_ends_with_a_literal_that_cannot(lab: Lab) -> None:
    """Purged by the upkeep while a client took its time: neither an answer nor the next command would be read."""
    lab.deliver(b"Subject: large\r\n\r\n" + b"x" * 500_000)
    engine = client_of(lab, command=b"EXAMINE INBOX").engine
    engine.receive(b"a FETCH 5 BODY[]\r\n")
    said = b""
    while (request := engine.next_request()) is not None:
        if len(said) > BLOCK and rows(lab)[4:]:
            expunge(lab, 5, purge=True)
        try:
            is_read = isinstance(request.operation, Read)
            value = lab.store.view(request.operation.function) if is_read else None  # type: ignore[attr-defined]
        except StoreError as error:
            engine.fail(request, error)
        else:
            engine.answer(request, value)
        said += engine.take_output()
    assert engine.closed
    assert said.startswith(b"* 5 FETCH (BODY[] {500018}\r\n") and b"\r\na " not in said


# -- damaged, and not complete yet


def test_a_damaged_message_hides_no_other(lab: Lab) -> None:
    """NO [UNAVAILABLE] behind the answers for those that can be read."""
    box = lab.mailbox_id()
    record = lab.store.view(lambda s: s.get((MAIL, box, 2)))
    assert record is not None
    lab.write(lambda t: t.put((MAIL, box, 2), record[:40]))
    client = client_of(lab)
    for items in (b"ENVELOPE", b"BODY.PEEK[1]"):
        *answers, end = client.send(b"FETCH 1:* " + items)
        assert [answer[:5] for answer in answers] == [b"* 1 F", b"* 3 F", b"* 4 F"]
        assert end.startswith(b"NO [UNAVAILABLE] ")


def unshaped(lab: Lab) -> None:
    """Add a message without its shape, as the migration does."""
    staged = lab.store.blobs.stage(MemoryContent(TREE))

    def write(transaction: Transaction) -> None:
        mail = NewMail(lab.store.blobs.add(transaction, staged), len(TREE), NOW_S)
        append(transaction, lab.mailbox_id(), [mail], NOW_S)

    lab.write(write)


def test_a_message_without_its_shape(lab: Lab) -> None:
    """It is made on the spot, but for the whole of it and for a lazy PREVIEW (RFC 8970 3.2)."""
    unshaped(lab)
    lab.deliver(PLAIN)
    client = client_of(lab)
    shape = read_shape([TREE])
    expected = b"* 5 FETCH (ENVELOPE " + shape.envelope + b" BODY[1] {3}\r\none)"
    answers = fetched(client, b"FETCH 4:6 (ENVELOPE BODY.PEEK[1])")
    assert answers[1] == expected and [answer[:5] for answer in answers] == [b"* 4 F", b"* 5 F", b"* 6 F"]
    assert fetched(client, b"FETCH 5 (PREVIEW (LAZY))") == [b"* 5 FETCH (PREVIEW NIL)"]
    assert fetched(client, b"FETCH 5 (PREVIEW)") == [b'* 5 FETCH (PREVIEW "one")']
    assert fetched(client, b"FETCH 5 BODY.PEEK[]") == [b"* 5 FETCH (BODY[] " + literal(TREE) + b")"]


def test_a_message_whose_shape_cannot_be_made(lab: Lab) -> None:
    """Is left out, and the tagged answer says so."""
    unshaped(lab)
    client = client_of(lab)
    engine = client.engine
    engine.receive(b"a FETCH 4:5 ENVELOPE\r\n")
    while (request := engine.next_request()) is not None:
        engine.answer(
            request,
            lab.store.view(request.operation.function) if isinstance(request.operation, Read) else None,
        )
    first, *_, end = engine.take_output().split(b"\r\n")[:-1]
    assert first.startswith(b"* 4 FETCH (ENVELOPE ") and end.startswith(b"a NO [UNAVAILABLE] ")


# -- mod-sequences


def test_modseq_enables_condstore(lab: Lab) -> None:
    """The first command that asks for it says up to where the client knows all (RFC 7162 3.1)."""
    client = client_of(lab)
    flag(lab, 2)
    expected = [b"* OK [HIGHESTMODSEQ 2] Changes are numbered", b"* 1 FETCH (MODSEQ (2))"]
    assert client.send(b"FETCH 1 MODSEQ")[:2] == expected
    assert one(client, b"MODSEQ") == b"MODSEQ (2)"
    assert b"CONDSTORE" in client.engine.session.enabled


@pytest.mark.parametrize("sealed", [0, 2])
def test_changed_since(lab: Lab, sealed: int) -> None:
    """Only those with a higher mod-sequence, which is told (RFC 7162 3.1.4.1); PARTIAL counts them only."""
    if sealed:
        seal(lab, sealed)
    flag(lab, 2)
    flag(lab, 4)
    client = client_of(lab, b"CONDSTORE")
    second = b"* 2 FETCH (UID 2 FLAGS (\\Flagged) MODSEQ (3))"
    fourth = b"* 4 FETCH (UID 4 FLAGS (\\Flagged) MODSEQ (4))"
    assert fetched(client, b"UID FETCH 1:* FLAGS (CHANGEDSINCE 2)") == [second, fourth]
    assert fetched(client, b"UID FETCH 1:* FLAGS (CHANGEDSINCE 3)") == [fourth]
    assert fetched(client, b"UID FETCH 1:* FLAGS (CHANGEDSINCE 4)") == []
    assert fetched(client, b"UID FETCH 1:* FLAGS (CHANGEDSINCE 2 PARTIAL 1:1)") == [second]
    assert fetched(client, b"FETCH 3:4 (FLAGS MODSEQ) (CHANGEDSINCE 2)") == [
        b"* 4 FETCH (FLAGS (\\Flagged) MODSEQ (4))"
    ]


def test_vanished(lab: Lab) -> None:
    """Of the UIDs asked about, those expunged since; ``*`` reaches to the last one given (RFC 7162 3.2.6)."""
    expunge(lab, 1)
    expunge(lab, 3)
    expunge(lab, 4)
    client = client_of(lab, b"CONDSTORE", b"QRESYNC")
    for uids, since, expected in (
        (b"1:*", 2, [b"* VANISHED (EARLIER) 1,3:4"]),
        (b"1:*", 3, [b"* VANISHED (EARLIER) 3:4"]),
        (b"1:3", 2, [b"* VANISHED (EARLIER) 1,3"]),
        (b"1:*", 5, []),
        (b"2", 2, []),
    ):
        assert fetched(client, b"UID FETCH %b FLAGS (CHANGEDSINCE %d VANISHED)" % (uids, since)) == expected


def test_vanished_of_what_still_has_a_number(lab: Lab) -> None:
    """Is told by VANISHED without EARLIER, which takes it off the count (RFC 7162 3.2.10)."""
    client = client_of(lab, b"CONDSTORE", b"QRESYNC")
    expunge(lab, 3)
    answers = fetched(client, b"UID FETCH 1:* FLAGS (CHANGEDSINCE 2 VANISHED)") + client.send(b"NOOP")[:-1]
    assert answers == [b"* VANISHED 3"]
