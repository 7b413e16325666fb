"""CATENATE: RFC 4469, and the URLs of RFC 5092 in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedaemon.errors import Refused
from fedaemon.imap.appending.contents import Cut, Joined
from fedaemon.imap.appending.urls import BadUrl, read_url
from fedaemon.imap.parse.fetch import Section
from fedaemon.mailbox import reading
from fedaemon.mailbox.rows import NO_SHAPE
from fedaemon.store.content import MemoryContent
from fedaemon.store.interface import Content, Transaction
from fedaemon.store.spaces import MAIL
from tests.imap.kept import kept
from tests.imap.lab import NOW_S, Client, Lab

HEADER = b'Subject: one\r\nContent-Type: multipart/mixed; boundary="b"\r\nTo: b@example.org\r\n\r\n'
BODY = b"--b\r\n\r\nfirst\r\n--b\r\nContent-Type: text/html\r\n\r\n<p>second\r\n--b--\r\n"
PREFIX = b"Return-Path: <>\r\n"
WHOLE = PREFIX + HEADER + BODY


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    lab = Lab(tmp_path)
    lab.deliver(HEADER + BODY, prefix=PREFIX)
    yield lab
    lab.close()


@pytest.fixture
def client(lab: Lab) -> Client:
    return lab.client()


def text(content: bytes) -> bytes:
    return b"TEXT {%d+}\r\n%b" % (len(content), content)


@pytest.mark.parametrize(
    ("url", "octets"),
    [
        (b"/INBOX/;UID=1", WHOLE),
        (b"/inbox;UIDVALIDITY=%d/;uid=1" % NOW_S, WHOLE),
        (b"/INBOX/;UID=1/;SECTION=HEADER", PREFIX + HEADER),
        (b"/INBOX/;UID=1/;SECTION=TEXT", BODY),
        (b"/INBOX/;UID=1/;section=1", b"first"),
        (b"/INBOX/;UID=1/;SECTION=2.MIME", b"Content-Type: text/html\r\n\r\n"),
        (b"/INBOX/;UID=1/;SECTION=2/;PARTIAL=3", b"second"),
        (b"/INBOX/;UID=1/;SECTION=2/;PARTIAL=3.2", b"se"),
        (b"/INBOX/;UID=1/;PARTIAL=0.10", WHOLE[:10]),
        (b"/INBOX/;UID=1/;SECTION=HEADER.FIELDS%20(TO%20RETURN-PATH)", PREFIX + b"To: b@example.org\r\n\r\n"),
        (b"/INBOX/;UID=1/;SECTION=HEADER.FIELDS.NOT%20(Content-Type)/;PARTIAL=17.12", b"Subject: one"),
        (b"imap://a%40example.org@mx.example/INBOX/;UID=1/;SECTION=1", b"first"),
        (b"imap://a%40example.org;AUTH=*@MX.example:993/INBOX/;UID=1/;SECTION=1", b"first"),
    ],
)
def test_what_a_url_names_is_put_in(lab: Lab, client: Client, url: bytes, octets: bytes) -> None:
    """Between literals, in their order."""
    command = b"APPEND Drafts CATENATE (" + text(b"<") + b' URL "' + url + b'" ' + text(b">") + b")"
    assert client.send(command) == [b"OK [APPENDUID %d 1] Added" % (NOW_S + 1)]
    assert kept(lab, "Drafts")[1].content == b"<" + octets + b">"


def test_the_mailbox_that_is_selected(lab: Lab, client: Client) -> None:
    """RFC 4469 3: a URL without a mailbox; without a selected one there is none."""
    command = b"APPEND Drafts CATENATE (URL ;UID=1/;SECTION=1 URL /;UID=1/;SECTION=TEXT)"
    assert client.send(command) == [b"NO [BADURL ;UID=1/;SECTION=1] There is no such message"]
    client.send(b"SELECT INBOX")
    assert client.tagged(command).startswith(b"OK ")
    assert kept(lab, "Drafts")[1].content == b"first" + BODY


def test_several_messages_some_of_them_put_together(lab: Lab, client: Client) -> None:
    """RFC 3502 and RFC 4469 together; the first piece of a command may be a URL, and all of it."""
    command = b"APPEND Drafts CATENATE (URL /INBOX/;UID=1/;SECTION=1) (\\Seen) {3+}\r\ntwo"
    assert client.send(command + b" CATENATE (" + text(b"three") + b")") == [
        b"OK [APPENDUID %d 1:3] Added" % (NOW_S + 1)
    ]
    assert [each.content for each in kept(lab, "Drafts").values()] == [b"first", b"two", b"three"]
    assert client.tagged(b"APPEND Drafts CATENATE (URL /INBOX/;UID=1)").startswith(b"OK ")


def test_a_message_of_which_no_shape_was_made(lab: Lab, client: Client) -> None:
    """It is made then and there."""
    mailbox_id = lab.mailbox_id()

    def forget(transaction: Transaction) -> None:
        mail = reading.mail(transaction, mailbox_id, 1)
        assert mail is not None
        transaction.put((MAIL, mailbox_id, 1), mail._replace(shape=NO_SHAPE).to_record())

    lab.write(forget)
    assert client.tagged(b"APPEND Drafts CATENATE (URL /INBOX/;UID=1/;SECTION=1)").startswith(b"OK ")
    assert kept(lab, "Drafts")[1].content == b"first"


@pytest.mark.parametrize(
    ("url", "code"),
    [
        (b"/INBOX/;UID=2", b"/INBOX/;UID=2"),
        (b"/nowhere/;UID=1", b"/nowhere/;UID=1"),
        (b"/INBOX;UIDVALIDITY=5/;UID=1", b"/INBOX;UIDVALIDITY=5/;UID=1"),
        (b"/INBOX/;UID=1/;SECTION=7", b"/INBOX/;UID=1/;SECTION=7"),
        (b"imap://b@mx.example/INBOX/;UID=1", b"imap://b@mx.example/INBOX/;UID=1"),
        (b"imap://a%40example.org@mx.example/;UID=1", b"imap://a%40example.org@mx.example/;UID=1"),
        (b"http://example.org/", b"http://example.org/"),
        (b"/a]b", b"/a%5Db"),
    ],
)
def test_a_url_that_leads_nowhere(lab: Lab, client: Client, url: bytes, code: bytes) -> None:
    """The answer says which; nothing is added, and what follows is passed over."""
    command = b"APPEND Drafts {1+}\r\nx CATENATE (" + text(b"<") + b' URL "' + url + b'" ' + text(b">") + b")"
    assert client.tagged(command).startswith(b"NO [BADURL " + code + b"] ")
    assert kept(lab, "Drafts") == {}
    assert client.tagged(b"NOOP") == b"OK Nothing done"


def test_expunged_messages_are_not_found(lab: Lab, client: Client) -> None:
    """Though their contents are kept for a while."""
    client.send(b"SELECT INBOX")
    client.send(rb"STORE 1 FLAGS (\Deleted)")
    client.send(b"EXPUNGE")
    assert client.tagged(b"APPEND Drafts CATENATE (URL /INBOX/;UID=1)").startswith(b"NO [BADURL ")


def test_parts_that_are_too_much_together(lab: Lab) -> None:
    """RFC 4469 4.2, before the literal is sent."""
    client = lab.client(max_message_octets=len(WHOLE) + 5)
    command = b"APPEND Drafts CATENATE (URL /INBOX/;UID=1 TEXT {6}"
    assert client.tagged(command).startswith(b"NO [TOOBIG] ")


def test_parts_of_nothing(client: Client) -> None:
    """A message without any octets is none."""
    command = b"APPEND Drafts CATENATE (URL /INBOX/;UID=1/;PARTIAL=9999)"
    assert client.tagged(command).startswith(b"NO A message without any octets")


@given(st.lists(st.binary(max_size=9), max_size=4), st.integers(0, 40), st.integers(0, 40), st.integers(1, 7))
def test_joined_and_cut_contents_read_like_octets(
    pieces: list[bytes], start: int, stop: int, size: int
) -> None:
    """Any range in pieces of any size."""
    octets = b"".join(pieces)
    contents: list[Content] = [MemoryContent(piece) for piece in pieces]
    joined = Joined(contents)
    assert joined.size == len(octets)
    chunks = list(joined.chunks(size, start, stop))
    assert b"".join(chunks) == octets[start:stop]
    assert all(0 < len(chunk) <= size for chunk in chunks)
    first, last = min(start, len(octets)), min(stop, len(octets))
    cut = Cut(joined, first, last)
    assert cut.size == len(octets[first:last])
    assert b"".join(cut.chunks(size, 2)) == octets[first:last][2:]
    assert b"".join(cut.chunks(size, 1, 5)) == octets[first:last][1:5]


def test_a_url_with_a_name_that_is_encoded() -> None:
    """UTF-8 behind percent signs; a slash is a slash."""
    found = read_url(b"/Arch%C3%ADvo/2026;UIDVALIDITY=3/;UID=20/;SECTION=1.2", "a@x", "h")
    assert (found.mailbox, found.uidvalidity, found.uid) == ("Archívo/2026", 3, 20)
    assert found.section == Section((1, 2))


URL_PIECES = b"/|;|UID=|1|INBOX|SECTION=|PARTIAL=|imap://|a|@|%00|%FF|]".split(b"|")


@given(st.lists(st.sampled_from(URL_PIECES), max_size=12))
def test_no_url_does_harm(pieces: list[bytes]) -> None:
    """Read or refused, with a code that fits into an answer."""
    url = b"".join(pieces)
    try:
        found = read_url(url, "a", "a")
    except Refused as error:
        assert isinstance(error, BadUrl)
        assert b"]" not in error.imap_code
    else:
        assert set(str(found.uid)) == {"1"}
