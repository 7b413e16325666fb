"""The keys of SEARCH, one by one: RFC 9051 6.4.4."""

from __future__ import annotations

import pytest

from fedaemon.mailbox import reading
from fedaemon.store.spaces import MAIL_ROW
from tests.imap.lab import NOW_S, Client, Lab
from tests.imap.mail import five_messages, message


@pytest.fixture
def five(lab: Lab) -> Client:
    return five_messages(lab)


def test_keywords_and_recent(five: Client, lab: Lab) -> None:
    """RFC 3501 6.4.4 (NEW, OLD, RECENT)"""
    lab.deliver(message("new"), flags=("$Junk", *[f"k{number}" for number in range(9)]))
    lab.deliver(message("seen"), flags=("\\Seen", "k0"))
    five.send(b"NOOP")
    assert five.send(b"SEARCH KEYWORD $junk")[0] == b"* SEARCH 6"
    assert five.send(b"SEARCH KEYWORD k8")[0] == b"* SEARCH 6"
    assert five.send(b"SEARCH UNKEYWORD K8 5:*")[0] == b"* SEARCH 5 7"
    assert five.send(b"SEARCH KEYWORD nobody")[0] == b"* SEARCH"
    assert five.send(b"SEARCH NEW 6:*")[0] == b"* SEARCH 6"
    assert five.send(b"SEARCH RECENT 6:*")[0] == b"* SEARCH 6 7"
    assert lab.client(select="INBOX").send(b"SEARCH OLD 6:*")[0] == b"* SEARCH 6 7"


def test_object_ids(five: Client, lab: Lab) -> None:
    """RFC 8474 6: those that FETCH gives, and nothing for what is none."""
    rows = list(lab.store.view(lambda snapshot: list(reading.rows(snapshot, lab.mailbox_id()))))
    for number in (2, 5):
        row = rows[number - 1]
        assert five.send(b"SEARCH EMAILID M%x" % row.email)[0] == b"* SEARCH %d" % number
        assert five.send(b"SEARCH THREADID T%x" % row.thread)[0] == b"* SEARCH %d" % number
    # As a message of before there were threads.
    place = (MAIL_ROW, lab.mailbox_id(), 5)
    lab.write(lambda transaction: transaction.put(place, rows[4]._replace(thread=0).to_record()))
    for key in (b"EMAILID M0", b"EMAILID T1", b"THREADID T0", b"EMAILID Mffffffffffffffffff", b"EMAILID x"):
        assert five.send(b"SEARCH " + key)[0] == b"* SEARCH"


def test_sizes(five: Client, lab: Lab) -> None:
    """Larger and smaller are neither of them equal."""
    size = len(message("Number 1", body="word1 in the body\r\nof it"))
    assert five.send(b"SEARCH LARGER %d" % size)[0] == b"* SEARCH"
    assert five.send(b"SEARCH SMALLER %d" % size)[0] == b"* SEARCH"
    assert five.send(b"SEARCH LARGER %d SMALLER %d" % (size - 1, size + 1))[0] == b"* SEARCH 1 2 3 4 5"


def test_charsets(five: Client) -> None:
    """RFC 9051 6.4.4: UTF-8 and US-ASCII, and BADCHARSET for others."""
    assert five.send(b"SEARCH CHARSET utf-8 SUBJECT 3")[0] == b"* SEARCH 3"
    assert five.tagged(b"SEARCH CHARSET KOI8-R SUBJECT 3").startswith(b"NO [BADCHARSET (")


def test_header_fields_beyond_the_usual(five: Client, lab: Lab) -> None:
    """RFC 9051 6.4.4 (HEADER): of the field of that name only; an empty text asks whether there is one."""
    lab.deliver(
        message("x", "List-Id: The =?utf-8?q?M=C3=A4nner?= <m.example>\r\nX-Other: yes"),
        prefix=b"X-Top: a\r\n",
    )
    five.send(b"NOOP")
    for key, found in (
        ("HEADER List-Id {7+}\r\nmänner".encode(), b" 6"),
        (b"HEADER LIST-ID <M.EXAMPLE>", b" 6"),
        (b"HEADER LIST-ID yes", b""),
        (b"HEADER LIST-ID list", b""),
        (b"HEADER ID m.ex", b""),
        (b'HEADER LIST-ID ""', b" 6"),
        (b'HEADER LIST ""', b""),
        (b"HEADER X-Top a", b" 6"),
        (b'HEADER BCC ""', b""),
        (b'HEADER SUBJECT ""', b" 1 2 3 4 5 6"),
        (b"HEADER SUBJECT NUMBER", b" 1 2 3 4 5"),
        (b'BCC ""', b""),
        (b'SUBJECT ""', b" 1 2 3 4 5 6"),
        (b'BODY ""', b" 1 2 3 4 5 6"),
        (b'TEXT "subject: NUMBER"', b" 1 2 3 4 5"),
        (b'TEXT "x-other:  y"', b" 6"),
        (b'TEXT "other: z"', b""),
        (b'TEXT "list-id: the m"', b" 6"),
        (b"HEADER LIST-ID {7+}\r\nx\r\ny: z", b""),
    ):
        answer = five.raw(b"t SEARCH " + key + b"\r\n")
        assert answer.endswith(b"* SEARCH" + found + b"\r\nt OK Searched\r\n"), key


@pytest.mark.parametrize("written", ["Ä\u00a0b", "A\u0308 b"])
@pytest.mark.parametrize("wanted", ["ä b", "a\u0308\u00a0B"])
def test_letters_that_are_the_same(lab: Lab, written: str, wanted: str) -> None:
    """RFC 5051 2: an accent may be a sign of its own, a space one that does not break."""
    lab.deliver(message(written, f"From: {written} <a@x.test>\r\nX-Word: {written}", written))
    client = lab.client(select="INBOX")
    for key in ("SUBJECT", "FROM", "BODY", "TEXT", "HEADER X-Word"):
        literal = b"{%d+}\r\n%b" % (len(wanted.encode()), wanted.encode())
        assert client.send(b"SEARCH " + key.encode() + b" " + literal)[0] == b"* SEARCH 1", key


def test_text_across_lines(five: Client) -> None:
    answer = five.raw(b"t SEARCH BODY {10+}\r\nbody\r\nof i\r\n")
    assert answer == b"* SEARCH 1 2 3 4 5\r\nt OK Searched\r\n"
    # A text that would reach from one message into the next.
    answer = five.raw(b"t SEARCH SUBJECT {10+}\r\n1\nnumber 2\r\n")
    assert answer == b"* SEARCH\r\nt OK Searched\r\n"


def test_dates_of_storing_and_of_saving(five: Client, lab: Lab) -> None:
    """RFC 5032 3, RFC 8514 4: seconds before now, days of UTC."""
    lab.now_s = NOW_S + 5 * 86_400
    assert five.send(b"SEARCH YOUNGER 86400")[0] == b"* SEARCH 4 5"
    assert five.send(b"SEARCH OLDER 86400")[0] == b"* SEARCH 1 2 3 4"
    assert five.send(b"SEARCH SINCE 18-Nov-2023")[0] == b"* SEARCH 4 5"
    assert five.send(b"SEARCH SAVEDON 18-Nov-2023")[0] == b"* SEARCH 4"
    assert five.send(b"SEARCH SAVEDBEFORE 17-Nov-2023 SAVEDATESUPPORTED")[0] == b"* SEARCH 1 2"


def test_a_message_without_date_was_sent_on_no_day(five: Client, lab: Lab) -> None:
    lab.deliver(b"Subject: undated\r\n\r\n")
    five.send(b"NOOP")
    for key in (b"SENTBEFORE 1-Jan-2030", b"SENTSINCE 1-Jan-1990"):
        assert five.send(b"SEARCH %b 6" % key)[0] == b"* SEARCH"
    assert five.send(b"SEARCH NOT SENTSINCE 1-Jan-1990")[0] == b"* SEARCH 6"
