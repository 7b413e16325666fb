"""FETCH: every item octet for octet, of whichever messages are asked for."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedaemon.imap import object_ids, writer
from fedaemon.imap.addressing import Addressed
from fedaemon.imap.fetch.cuts import HEADER_OCTETS
from fedaemon.imap.fetch.dates import date_time
from fedaemon.imap.fetch.spans import partial_of
from fedaemon.mailbox import keeping, reading
from fedaemon.mailbox.changing import runs
from fedaemon.mailbox.rows import Row
from fedaemon.message.mime.shape import read_shape
from tests.corpus.odd_mail import FIELDS, HEADERS, STRUCTURES
from tests.imap.lab import Client, Lab

CORPUS = STRUCTURES | FIELDS | HEADERS
PREFIX = b"Return-Path: <>\r\n"
INNER = b"Subject: in\r\n\r\ninner"
HEADER = b"Subject: s\r\nFrom: a@x.test\r\nContent-Type: multipart/mixed; boundary=a\r\n\r\n"
TEXT = (
    b"--a\r\nX: y\r\n\r\none\r\n"
    b"--a\r\nContent-Type: message/rfc822\r\n\r\n" + INNER + b"\r\n"
    b"--a\r\nContent-Type: a/b\r\nContent-Transfer-Encoding: base64\r\n\r\nSGVs\r\nbG8A\r\n"
    b"--a\r\nContent-Type: a/b\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\na=3Db=\r\nc\r\n"
    b"--a\r\nContent-Type: a/b\r\nContent-Transfer-Encoding: x-uu\r\n\r\nzz\r\n"
    b"--a--\r\n"
)
TREE = HEADER + TEXT
PLAIN = b"Subject: plain\r\n\r\nbody\r\n"
DATE = b'"14-Nov-2023 22:13:20 +0000"'


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    """An empty store."""
    lab = Lab(tmp_path)
    yield lab
    lab.close()


def rows(lab: Lab) -> list[Row]:
    return list(lab.store.view(lambda snapshot: list(reading.rows(snapshot, lab.mailbox_id()))))


def seal(lab: Lab, count: int) -> None:
    """Make a chunk of the first *count* messages that are in none."""
    box = lab.mailbox_id()
    uids = lab.store.view(lambda snapshot: keeping.to_seal(snapshot, box, count))
    texts = lab.store.view(lambda snapshot: keeping.gather_texts(snapshot, box, uids))
    assert lab.write(lambda transaction: keeping.seal(transaction, box, uids, texts))


def fetched(client: Client, command: bytes) -> list[bytes]:
    """Return the answers to a FETCH that succeeds, without the tagged one."""
    *answers, end = client.send(command)
    assert end.startswith(b"OK "), end
    return answers


def one(client: Client, items: bytes) -> bytes:
    """Return what message 1 has for *items*."""
    (answer,) = fetched(client, b"FETCH 1 " + items)
    assert answer.startswith(b"* 1 FETCH (") and answer.endswith(b")")
    return answer[11:-1]


def literal(data: bytes) -> bytes:
    return b"{%d}\r\n%b" % (len(data), data)


# -- what columns know


def test_columns(lab: Lab) -> None:
    """Each item that the columns of the mailbox have, of a chunk and of the tail, with keywords."""
    lab.deliver(PLAIN, TREE, flags=("\\Seen", "$Junk"))
    lab.deliver(PLAIN, flags=("\\Deleted", "Work"), prefix=PREFIX)
    seal(lab, 2)
    client = lab.client(select="INBOX")
    found = rows(lab)
    sizes = (len(PLAIN), len(TREE), len(PREFIX + PLAIN))
    flags = (rb"\Seen $Junk", rb"\Seen $Junk", rb"\Deleted Work")
    assert fetched(client, b"FETCH 1:* (UID RFC822.SIZE FLAGS SAVEDATE INTERNALDATE EMAILID THREADID)") == [
        b"* %d FETCH (UID %d RFC822.SIZE %d FLAGS (\\Recent %b) SAVEDATE %b INTERNALDATE %b EMAILID (M%x)"
        b" THREADID (T%x))" % (n, n, size, names, DATE, DATE, row.email, row.thread)
        for n, size, names, row in zip((1, 2, 3), sizes, flags, found, strict=True)
    ]
    assert fetched(client, b"FETCH 1:* FLAGS")[2] == b"* 3 FETCH (FLAGS (\\Recent \\Deleted Work))"


def test_one_flag_list_for_each_combination(lab: Lab) -> None:
    """Keywords beyond the first eight, in a chunk, and messages without any flag."""
    names = tuple(f"k{n}" for n in range(20))
    lab.deliver(PLAIN, flags=names[9:])
    lab.deliver(PLAIN)
    seal(lab, 2)
    client = lab.client(select="INBOX")
    assert fetched(client, b"FETCH 1,2 FLAGS") == [
        b"* 1 FETCH (FLAGS (\\Recent " + b" ".join(name.encode() for name in names[9:]) + b"))",
        b"* 2 FETCH (FLAGS (\\Recent))",
    ]


@pytest.mark.parametrize("sealed", [0, 3, 7])
def test_which_messages(lab: Lab, sealed: int) -> None:
    """Sets of numbers and of UIDs over chunks and the tail; unknown UIDs are passed over (RFC 9051 6.4.9)."""
    lab.deliver(*[PLAIN] * 7)
    if sealed:
        seal(lab, sealed)
    client = lab.client(select="INBOX")
    for command, expected in (
        (b"FETCH 1:* UID", [1, 2, 3, 4, 5, 6, 7]),
        (b"FETCH 7,2:4,3 UID", [2, 3, 4, 7]),
        (b"FETCH * UID", [7]),
        (b"UID FETCH 3:4,90 UID", [3, 4]),
        (b"UID FETCH 90:* UID", [7]),
        (b"UID FETCH 90 UID", []),
    ):
        assert fetched(client, command) == [b"* %d FETCH (UID %d)" % (n, n) for n in expected]
    assert client.tagged(b"FETCH 7:8 UID").startswith(b"BAD ")


def test_uid_fetch_tells_the_uid_unasked(lab: Lab) -> None:
    """And once where it is asked for (RFC 9051 6.4.9)."""
    lab.deliver(PLAIN)
    client = lab.client(select="INBOX")
    assert fetched(client, b"UID FETCH 1 RFC822.SIZE") == [b"* 1 FETCH (UID 1 RFC822.SIZE 24)"]
    assert fetched(client, b"UID FETCH 1 (RFC822.SIZE UID)") == [b"* 1 FETCH (RFC822.SIZE 24 UID 1)"]


def test_uid_only(lab: Lab) -> None:
    """UIDFETCH has the UID in front, and again only where it is asked for (RFC 9586 3.3)."""
    lab.deliver(PLAIN, PLAIN)
    client = lab.client(select="INBOX")
    client.engine.session.enabled.add(b"UIDONLY")
    assert fetched(client, b"UID FETCH 2 RFC822.SIZE") == [b"* 2 UIDFETCH (RFC822.SIZE 24)"]
    assert fetched(client, b"UID FETCH 2 UID") == [b"* 2 UIDFETCH (UID 2)"]
    assert client.tagged(b"FETCH 2 UID").startswith(b"BAD ")


def test_macros(lab: Lab) -> None:
    """ALL, FAST and FULL are lists of items (RFC 9051 6.4.5)."""
    lab.deliver(PLAIN)
    client = lab.client(select="INBOX")
    shape = read_shape([PLAIN])
    fast = b"FLAGS (\\Recent) INTERNALDATE " + DATE + b" RFC822.SIZE 24"
    assert one(client, b"FAST") == fast
    assert one(client, b"ALL") == fast + b" ENVELOPE " + shape.envelope
    assert one(client, b"FULL") == fast + b" ENVELOPE " + shape.envelope + b" BODY " + shape.body


def test_partial(lab: Lab) -> None:
    """So many of the messages that are meant, from either end (RFC 9394 3.3)."""
    lab.deliver(*[PLAIN] * 6)
    client = lab.client(select="INBOX")
    for partial, expected in (
        (b"1:2", [2, 3]),
        (b"4:9", [5, 6]),
        (b"-1:-2", [5, 6]),
        (b"-4:-9", [2, 3]),
        (b"6:7", []),
        (b"-6:-7", []),
    ):
        answers = fetched(client, b"UID FETCH 2:6 UID (PARTIAL %b)" % partial)
        assert answers == [b"* %d FETCH (UID %d)" % (n, n) for n in expected]


@given(st.sets(st.integers(0, 12)), st.integers(1, 9), st.integers(0, 9), st.booleans())
def test_partial_is_a_slice(places: set[int], first: int, more: int, from_end: bool) -> None:
    """Of the messages in their order, whatever ranges they make."""
    ordered = sorted(places)
    parts = tuple((low, high + 1) for low, high in runs(ordered))
    messages = Addressed(array("I", range(1, 14)), parts)
    last = first + more
    if from_end:
        expected = ordered[::-1][first - 1 : last][::-1]
        first, last = -first, -last
    else:
        expected = ordered[first - 1 : last]
    assert list(partial_of(messages, first, last).places()) == expected


# -- what stands in the record


@pytest.mark.parametrize("name", list(CORPUS))
def test_odd_messages(lab: Lab, name: str) -> None:
    """ENVELOPE, BODY, BODYSTRUCTURE and PREVIEW as the shape has them, and every octet of the message."""
    message = CORPUS[name]
    lab.deliver(message, prefix=PREFIX)
    client = lab.client(select="INBOX")
    shape = read_shape([message])
    items = b"(BODY ENVELOPE BODYSTRUCTURE PREVIEW RFC822.SIZE BODY.PEEK[])"
    assert one(client, items) == (
        b"RFC822.SIZE %d BODY %b ENVELOPE %b BODYSTRUCTURE %b PREVIEW %b BODY[] %b"
        % (
            len(PREFIX + message),
            shape.body,
            shape.envelope,
            shape.bodystructure,
            writer.string(shape.preview.encode()),
            literal(PREFIX + message),
        )
    )


def test_preview_is_quoted_where_the_client_reads_utf8(lab: Lab) -> None:
    """A literal elsewhere (RFC 8970 3.1, RFC 6855 3)."""
    lab.deliver("Content-Type: text/plain; charset=utf-8\r\n\r\nGrüße".encode())
    client = lab.client(select="INBOX")
    assert one(client, b"PREVIEW") == b"PREVIEW " + literal("Grüße".encode())
    client.engine.session.enabled.add(b"UTF8=ACCEPT")
    assert one(client, b"(PREVIEW (LAZY))") == 'PREVIEW "Grüße"'.encode()


# -- what is cut out of the content


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        (b"BODY.PEEK[]", literal(PREFIX + TREE)),
        (b"BODY.PEEK[HEADER]", literal(PREFIX + HEADER)),
        (b"BODY.PEEK[TEXT]", literal(TEXT)),
        (b"BODY.PEEK[1]", literal(b"one")),
        (b"BODY.PEEK[1.MIME]", literal(b"X: y\r\n\r\n")),
        (b"BODY.PEEK[2]", literal(INNER)),
        (b"BODY.PEEK[2.HEADER]", literal(b"Subject: in\r\n\r\n")),
        (b"BODY.PEEK[2.HEADER.FIELDS (Subject X)]", literal(b"Subject: in\r\n\r\n")),
        (b"BODY.PEEK[2.TEXT]", literal(b"inner")),
        (b"BODY.PEEK[2.1]", literal(b"inner")),
        (b"BODY.PEEK[2.1.MIME]", literal(b"Subject: in\r\n\r\n")),
        (b"BODY.PEEK[HEADER.FIELDS (subject Return-Path)]", literal(PREFIX + b"Subject: s\r\n\r\n")),
        (b"BODY.PEEK[HEADER.FIELDS.NOT (Content-Type FROM)]", literal(PREFIX + b"Subject: s\r\n\r\n")),
        (b"BODY.PEEK[HEADER.FIELDS (X)]", literal(b"\r\n")),
        (b"BODY.PEEK[9]", literal(b"")),
        (b"BODY.PEEK[9.MIME]", literal(b"")),
        (b"BODY.PEEK[1.HEADER]", literal(b"")),
        (b"BODY.PEEK[9.HEADER.FIELDS (X)]", literal(b"")),
        (b"BODY.PEEK[1]<0.2>", literal(b"on")),
        (b"BODY.PEEK[1]<1.9>", literal(b"ne")),
        (b"BODY.PEEK[1]<3.1>", literal(b"")),
        (b"BODY.PEEK[1]<9223372036854775807.9223372036854775807>", literal(b"")),
        (b"BODY.PEEK[HEADER.FIELDS (Subject)]<2.5>", literal(b"bject")),
        (b"BODY.PEEK[9]<1.1>", literal(b"")),
        (b"RFC822.HEADER", literal(PREFIX + HEADER)),
        (b"BINARY.PEEK[1]", b"~" + literal(b"one")),
        (b"BINARY.PEEK[2]", b"~" + literal(INNER)),
        (b"BINARY.PEEK[3]", b"~" + literal(b"Hello\0")),
        (b"BINARY.PEEK[3]<2.2>", b"~" + literal(b"ll")),
        (b"BINARY.PEEK[3]<6.1>", b"~" + literal(b"")),
        (b"BINARY.PEEK[4]", b"~" + literal(b"a=bc")),
        (b"BINARY.PEEK[]<0.6>", b"~" + literal(b"Return")),
        (b"BINARY.PEEK[9]", literal(b"")),
        (b"BINARY.SIZE[1]", b"3"),
        (b"BINARY.SIZE[3]", b"6"),
        (b"BINARY.SIZE[4]", b"4"),
        (b"BINARY.SIZE[9]", b"0"),
        (b"BINARY.SIZE[]", b"%d" % len(PREFIX + TREE)),
    ],
)
def test_sections(lab: Lab, item: bytes, expected: bytes) -> None:
    """RFC 9051 6.4.5, RFC 3516 4.2; what does not exist is empty, as with Dovecot. None of these sets \\Seen."""
    lab.deliver(TREE, prefix=PREFIX)
    client = lab.client(select="INBOX")
    label, open_angle, partial = item.replace(b".PEEK", b"").partition(b"<")
    origin = open_angle + partial.partition(b".")[0] + b">" if partial else b""
    assert one(client, item) == label + origin + b" " + expected
    assert one(client, b"(UID %b FLAGS)" % item) == (
        b"UID 1 FLAGS (\\Recent) " + label + origin + b" " + expected
    )


def test_several_bodies_in_one_answer(lab: Lab) -> None:
    """In the order asked, behind what columns and record have, each as if it were alone."""
    lab.deliver(TREE)
    client = lab.client(select="INBOX")
    shape = read_shape([TREE])
    assert one(client, b"(BODY.PEEK[1] ENVELOPE BODY.PEEK[9] UID BINARY.SIZE[3] BODY.PEEK[1]<0.1>)") == (
        b"UID 1 ENVELOPE " + shape.envelope + b" BODY[1] {3}\r\none BODY[9] {0}\r\n"
        b" BINARY.SIZE[3] 6 BODY[1]<0> {1}\r\no"
    )


def test_an_unknown_transfer_encoding_hides_no_other_message(lab: Lab) -> None:
    """NO [UNKNOWN-CTE] behind the answers for those that can be decoded (RFC 3516 4.3)."""
    lab.deliver(TREE, PLAIN, TREE.replace(b"x-uu", b"8bit"))
    client = lab.client(select="INBOX")
    for item in (b"BINARY.PEEK[5]", b"BINARY.SIZE[5]"):
        *answers, end = client.send(b"FETCH 1:* " + item)
        assert [answer[:11] for answer in answers] == [b"* 2 FETCH (", b"* 3 FETCH ("]
        assert end.startswith(b"NO [UNKNOWN-CTE] ")


def test_no_literal_has_nul(lab: Lab) -> None:
    """Only literal8 can carry it (RFC 9051 9, CHAR8; RFC 3516 4.3)."""
    lab.deliver(b"A: 1\0\r\n\r\nx\0y")
    client = lab.client(select="INBOX")
    assert one(client, b"BODY.PEEK[TEXT]") == b"BODY[TEXT] " + literal(b"x\x80y")
    assert one(client, b"BODY.PEEK[HEADER.FIELDS (A)]") == b"BODY[HEADER.FIELDS (A)] " + literal(
        b"A: 1\x80\r\n\r\n"
    )
    assert one(client, b"BINARY.PEEK[1]") == b"BINARY[1] ~" + literal(b"x\0y")


def test_fields_are_looked_for_up_to_a_limit(lab: Lab) -> None:
    """The header goes on, and ends with an empty line, as what is answered does (RFC 9051 6.4.5.1)."""
    lab.deliver(b"A: 1\r\nX: " + b"x" * HEADER_OCTETS + b"\r\nB: 2\r\n\r\n")
    client = lab.client(select="INBOX")
    item = b"BODY[HEADER.FIELDS (A B)]"
    assert one(client, item.replace(b"BODY", b"BODY.PEEK")) == item + b" " + literal(b"A: 1\r\n\r\n")


# -- values


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0, b'"01-Jan-1970 00:00:00 +0000"'),
        (-1, b'"31-Dec-1969 23:59:59 +0000"'),
        (951_868_799, b'"29-Feb-2000 23:59:59 +0000"'),
        (253_402_300_799, b'"31-Dec-9999 23:59:59 +0000"'),
        (-62_135_596_801, b'"01-Jan-0001 23:59:59 +0000"'),
    ],
)
def test_moments(seconds: int, expected: bytes) -> None:
    """RFC 9051 9 (date-time); beyond the years that it can write, the last day that it can."""
    assert date_time(seconds) == expected


@given(st.integers(1, 2**64 - 1))
def test_object_ids_read_back(number: int) -> None:
    """And those of one kind are none of the other (RFC 8474 5, 7)."""
    email, thread = object_ids.email_id(number), object_ids.thread_id(number)
    assert thread is not None
    assert object_ids.read_email_id(email) == object_ids.read_thread_id(thread) == number
    assert object_ids.read_email_id(thread) is object_ids.read_thread_id(email) is None


def test_no_thread() -> None:
    """NIL (RFC 8474 5.2)."""
    assert object_ids.thread_id(0) is None
    assert object_ids.read_email_id(b"M") is object_ids.read_email_id(b"Mxyz") is None


def test_vanished_needs_qresync(lab: Lab) -> None:
    """RFC 7162 3.2.6."""
    client = lab.client(select="INBOX")
    assert client.tagged(b"UID FETCH 1 FLAGS (CHANGEDSINCE 1 VANISHED)").startswith(b"BAD ")
