"""Contents in answers: every octet of them, whatever part is asked for, and a bound on what waits to be sent."""

from __future__ import annotations

import base64
import quopri
import random
from collections.abc import Iterator
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedaemon.imap.fetch import gathering
from fedaemon.imap.fetch.decoding import DECODERS, decoded_pieces
from fedaemon.imap.fetch.gathering import Gathered, Message, Source, gather
from fedaemon.imap.fetch.plan import Body, Plan
from fedaemon.imap.operations import Read
from fedaemon.imap.parse.fetch import BinarySize, BodySection, Section
from fedaemon.imap.session import BLOCK
from fedaemon.message.mime.sections import decoded
from fedaemon.store.blobs import INLINE_OCTETS
from tests.imap.lab import Client, Lab
from tests.imap.test_fetch import PREFIX, fetched, literal, one

RANDOM = random.Random(1)
LINES = b"".join(b"%07d %s\r\n" % (n, RANDOM.randbytes(20).hex().encode()) for n in range(3_000_000 // 49))
LARGE = b"Subject: large\r\n\r\n" + LINES
DATA = RANDOM.randbytes(400_000)
PRINTED = DATA[:100_000].translate(None, b"\r\n")
QUOTED = quopri.encodestring(PRINTED, quotetabs=True).replace(b"\n", b"\r\n")
MIXED = (
    b"Subject: mixed\r\nContent-Type: multipart/mixed; boundary=a\r\n\r\n"
    b"--a\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    + base64.encodebytes(DATA).replace(b"\n", b"\r\n")
    + b"--a\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
    + QUOTED
    + b"\r\n--a\r\nContent-Transfer-Encoding: x-uu\r\n\r\n"
    + b"z" * BLOCK
    + b"\r\n--a--\r\n"
)
SMALL = b"Subject: small\r\nX: " + b"x" * 50 + b"\r\n\r\n" + b"0123456789" * 5


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A store with a large message, one with encoded parts, and a small one."""
    lab = Lab(tmp_path_factory.mktemp("store"))
    lab.deliver(LARGE, prefix=PREFIX)
    lab.deliver(MIXED, prefix=PREFIX)
    lab.deliver(SMALL, prefix=PREFIX)
    yield lab
    lab.close()


@pytest.fixture(scope="module")
def client(lab: Lab) -> Client:
    """One that reads only."""
    client = lab.client()
    client.tagged(b"EXAMINE INBOX")
    return client


def body(client: Client, number: int, item: bytes) -> bytes:
    """Return the octets of *item*, which have their right length in front of them."""
    (answer,) = fetched(client, b"FETCH %d %b" % (number, item))
    head, _, rest = answer.partition(b"\r\n")
    size = int(head[head.rindex(b"{") + 1 : -1])
    assert rest[size:] == b")"
    return rest[:size]


def test_the_large_ones_are_files() -> None:
    """Or nothing here is streamed from one."""
    assert len(LARGE) > len(MIXED) > INLINE_OCTETS > BLOCK


def test_every_octet_of_a_large_message(client: Client) -> None:
    """And its parts, behind a prefix."""
    assert body(client, 1, b"BODY[]") == PREFIX + LARGE
    assert body(client, 1, b"RFC822") == PREFIX + LARGE
    assert body(client, 1, b"BODY[TEXT]") == body(client, 1, b"RFC822.TEXT") == LINES
    assert body(client, 1, b"BODY[1]") == LINES
    assert body(client, 1, b"BINARY[1]") == LINES
    assert body(client, 1, b"BODY[HEADER]") == PREFIX + b"Subject: large\r\n\r\n"


def test_what_waits_to_be_sent_has_a_bound(lab: Lab) -> None:
    """Two blocks, whatever is asked for: of large messages, of many items, of many small messages."""
    client = lab.client()
    client.tagged(b"EXAMINE INBOX")
    client.largest_queue = 0
    many = b" ".join(b"BODY.PEEK[]<%d.60000>" % n for n in range(50))
    for command in (b"FETCH 1:3 (BODY[] BODY[TEXT] BINARY[1] BINARY[2])", b"FETCH 1 (%b)" % many):
        fetched(client, command)
        assert BLOCK <= client.largest_queue < 2 * BLOCK


def test_several_streams_in_one_answer(client: Client) -> None:
    """Items follow each other as in a small answer."""
    answer = one(client, b"(UID BODY[]<10.100000> BODY[9] BODY[1]<0.80000> BODY[HEADER.FIELDS (SUBJECT)])")
    assert answer == (
        b"UID 1 BODY[]<10> %b BODY[9] {0}\r\n BODY[1]<0> %b BODY[HEADER.FIELDS (SUBJECT)] %b"
        % (literal((PREFIX + LARGE)[10:100_010]), literal(LINES[:80_000]), literal(b"Subject: large\r\n\r\n"))
    )


@settings(max_examples=60, deadline=None)
@given(st.integers(0, len(LARGE) + 100), st.integers(1, 300_000))
def test_partials_of_a_large_message(client: Client, first: int, count: int) -> None:
    """Are slices of the whole (RFC 9051 6.4.5)."""
    assert body(client, 1, b"BODY[]<%d.%d>" % (first, count)) == (PREFIX + LARGE)[first : first + count]
    assert body(client, 1, b"BODY[1]<%d.%d>" % (first, count)) == LINES[first : first + count]


@given(st.integers(0, len(PREFIX + SMALL) + 3), st.integers(1, 200))
def test_partials_of_a_small_message(client: Client, first: int, count: int) -> None:
    """Also of some fields of its header, and across the end of the prefix."""
    window = slice(first, first + count)
    assert body(client, 3, b"BODY[]<%d.%d>" % (first, count)) == (PREFIX + SMALL)[window]
    assert (
        body(client, 3, b"BODY[HEADER.FIELDS (X)]<%d.%d>" % (first, count))
        == (b"X: " + b"x" * 50 + b"\r\n\r\n")[window]
    )


def test_decoding_block_by_block(client: Client) -> None:
    """Parts larger than a block, without their transfer encoding (RFC 3516 4.2)."""
    assert body(client, 2, b"BINARY[1]") == DATA
    assert body(client, 2, b"BINARY[2]") == PRINTED
    assert fetched(client, b"FETCH 2 BINARY.SIZE[1]") == [b"* 2 FETCH (BINARY.SIZE[1] 400000)"]
    assert client.send(b"FETCH 2 BINARY[3]")[0].startswith(b"NO [UNKNOWN-CTE] ")


@settings(max_examples=40, deadline=None)
@given(st.integers(0, len(DATA) + 100), st.integers(1, 200_000))
def test_partials_of_what_is_decoded(client: Client, first: int, count: int) -> None:
    """Count decoded octets (RFC 3516 4.2)."""
    assert body(client, 2, b"BINARY[1]<%d.%d>" % (first, count)) == DATA[first : first + count]
    assert body(client, 2, b"BINARY[2]<%d.%d>" % (first, count)) == PRINTED[first : first + count]


def cut(data: bytes, sizes: list[int]) -> Iterator[bytes]:
    """Yield *data* in pieces of *sizes*, and the rest."""
    for size in sizes:
        yield data[:size]
        data = data[size:]
    yield data


BASE64 = st.text("ABab01+/=\r\n -", max_size=80).map(str.encode)
LINE = st.text("a=A4 \t.", max_size=12).map(str.encode)
QUOTED_LINES = st.lists(LINE, max_size=8).map(lambda lines: b"".join(line + b"\r\n" for line in lines))


@given(BASE64 | st.binary(max_size=80), st.lists(st.integers(0, 20), max_size=8))
def test_base64_in_blocks_is_base64(data: bytes, sizes: list[int]) -> None:
    """However it is cut, damaged or not."""
    assert b"".join(decoded_pieces(DECODERS["base64"](), cut(data, sizes))) == decoded(data, "base64")


@given(QUOTED_LINES, st.lists(st.integers(13, 40), max_size=8))
def test_quoted_printable_in_blocks_is_quoted_printable(data: bytes, sizes: list[int]) -> None:
    """However it is cut, as long as a line fits into a block."""
    pieces = decoded_pieces(DECODERS["quoted-printable"](), cut(data, sizes))
    assert b"".join(pieces) == decoded(data, "quoted-printable")


@given(st.lists(st.sampled_from((b"=41", b"ab", b"=3D")), max_size=30).map(b"".join), st.integers(2, 20))
def test_quoted_printable_without_lines(data: bytes, size: int) -> None:
    """Never is an octet cut in two, and nothing piles up."""
    decoder = DECODERS["quoted-printable"]()
    pieces = []
    for at in range(0, len(data), size):
        pieces.append(decoder.feed(data[at : at + size]))
        assert sum(map(len, pieces)) * 3 + 6 >= min(at + size, len(data)) // 3
    assert b"".join([*pieces, decoder.finish()]) == decoded(data, "quoted-printable")


def test_fields_of_a_header_that_is_too_long(lab: Lab) -> None:
    """Are found in its beginning only: nobody writes such headers to be read."""
    header = b"A: 1\r\n" + b"X: %s\r\n" % (b"x" * 1000) * 150 + b"B: 2\r\n\r\n"
    lab.deliver(header, name="Junk")
    client = lab.client(select="Junk")
    fields = b"BODY.PEEK[HEADER.FIELDS (A B)]"
    assert body(client, 1, fields) == b"A: 1\r\n\r\n"
    assert body(client, 1, b"BODY.PEEK[HEADER]") == header


def test_many_small_messages_in_several_reads(lab: Lab) -> None:
    """More than a read takes, and more than a block; each whole and in its place."""
    messages = [b"Subject: %d\r\n\r\n%b" % (n, b"x" * (n * 37 % 3000)) for n in range(300)]
    lab.deliver(*messages, name="Archive")
    client = lab.client(select="Archive")
    client.largest_queue = 0
    answers = fetched(client, b"FETCH 1:* (BODY.PEEK[] BODY.PEEK[HEADER.FIELDS (Subject)])")
    assert answers == [
        b"* %d FETCH (BODY[] %b BODY[HEADER.FIELDS (Subject)] %b)"
        % (number, literal(message), literal(message[: message.index(b"\r\n\r\n") + 4]))
        for number, message in enumerate(messages, 1)
    ]
    assert len(messages) > gathering.CUT_MESSAGES
    assert BLOCK <= client.largest_queue < 2 * BLOCK


def gathered(lab: Lab, name: str, plan: Plan) -> Gathered:
    """Return what one read of the messages of a mailbox gives."""
    box = lab.mailbox_id(name)
    messages = [Message(uid, b"* FETCH (") for uid in range(1, 51)]
    source = Source(plan, box, lab.store.blobs, plan.needs_shape, utf8=False)
    return lab.store.view(partial(gather, source, messages))


def plan_of(*items: BodySection | BinarySize) -> Plan:
    return Plan((), (), tuple(Body(b"X", item) for item in items), by_uid=False, sets_seen=False)


def test_a_read_has_a_bound(lab: Lab) -> None:
    """Of what it says, of what it reads to say it; what is larger than a block is not read."""
    encoded = b"Content-Transfer-Encoding: base64\r\n\r\n" + b"QUJD" * 15_000
    lab.deliver(*[encoded] * 20, name="Drafts")
    whole, size = plan_of(BodySection(Section())), plan_of(BinarySize((1,)))
    found = gathered(lab, "Drafts", whole)
    assert BLOCK <= sum(map(len, found.answers)) < 2 * BLOCK
    assert found.done == len(found.answers) == 2
    found = gathered(lab, "Drafts", size)
    assert found.answers == [b"* FETCH (X 45000)\r\n"] * found.done
    assert gathering.READ_OCTETS <= found.done * 60_000 < gathering.READ_OCTETS + 60_000
    found = gathered(lab, "INBOX", whole)
    assert found.done == 0 and found.answers == [] and found.large is not None


def test_of_a_part_no_more_is_decoded_than_is_asked_for(client: Client) -> None:
    """A client that pages through a large part reads its beginning quickly."""
    engine, reads = client.engine, 0
    engine.receive(b"b FETCH 2 BINARY.PEEK[1]<0.10>\r\n")
    while (request := engine.next_request()) is not None:
        if isinstance(request.operation, Read):
            reads += 1
            engine.answer(request, client.lab.store.view(request.operation.function))
        else:
            engine.answer(request, None)
    assert engine.take_output().startswith(b"* 2 FETCH (BINARY[1]<0> ~" + literal(DATA[:10]) + b")\r\n")
    assert reads == 3


def test_what_has_parts_is_not_decoded(lab: Lab) -> None:
    """An enclosed message must not be encoded (RFC 2046 5.2.1); it is sent as its BODYSTRUCTURE describes it."""
    inner = b"Subject: in\r\n\r\nQUJD"
    lab.deliver(
        b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\n" + inner, name="Sent"
    )
    client = lab.client(select="Sent")
    assert body(client, 1, b"BINARY.PEEK[1]") == inner
    assert fetched(client, b"FETCH 1 BINARY.SIZE[1]") == [b"* 1 FETCH (BINARY.SIZE[1] %d)" % len(inner)]


def test_an_error_is_not_forgotten_behind_many_messages(lab: Lab) -> None:
    """More of them than a read takes."""
    unknown = b"Content-Transfer-Encoding: x-uu\r\n\r\nx"
    lab.deliver(unknown, *[b"A: b\r\n\r\nx"] * (2 * gathering.CUT_MESSAGES), name="Trash")
    *answers, end = lab.client(select="Trash").send(b"FETCH 1:* BINARY.SIZE[1]")
    assert len(answers) == 2 * gathering.CUT_MESSAGES
    assert end.startswith(b"NO [UNKNOWN-CTE] ")
