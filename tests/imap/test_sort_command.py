"""SORT as clients see it: RFC 5256 3, RFC 5267 3, RFC 5957 3."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.imap.lab import NOW_S, Client, Lab
from tests.imap.mail import expunge, message, seal

MESSAGES = (
    (
        "b",
        "From: Zoe <ann@x.test>\r\nTo: c@x.test\r\nCc: Zed <y@x.test>",
        "Wed, 15 Nov 2023 10:00:00 +0000",
        500,
    ),
    ("Re: a", "From: bob@x.test\r\nTo: Ben <b@x.test>", "Wed, 15 Nov 2023 10:00:00 +0100", 300),
    ("A", "From: Amy <cid@x.test>\r\nTo: a@x.test\r\nCc: x@x.test", "", 100),
    ("c", "", "Mon, 13 Nov 2023 23:00:00 -0500", 900),
    ("Fwd: c", "From: dan@x.test", "Thu, 16 Nov 2023 00:00:00 +0000", 1),
)


@pytest.fixture(params=[0, 3], ids=["tail", "chunk-and-tail"])
def client(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Client]:
    """Has selected the five messages; the last arrived first."""
    lab = Lab(tmp_path / "store")
    for number, (subject, header, date, body) in enumerate(MESSAGES):
        lab.now_s = NOW_S - number * 3600.0
        octets = message(subject, header, "x" * body, date)
        lab.deliver(octets if date else octets.replace(b"Date: \r\n", b""))
    if request.param:
        assert seal(lab, request.param)
    yield lab.client(select="INBOX")
    lab.close()


@pytest.mark.parametrize(
    ("order", "numbers"),
    [
        (b"ARRIVAL", b"5 4 3 2 1"),
        (b"REVERSE ARRIVAL", b"1 2 3 4 5"),
        # The third has no date: it arrived on 14 November 2023 at 20:13.
        (b"DATE", b"4 3 2 1 5"),
        (b"SUBJECT", b"2 3 1 4 5"),
        (b"REVERSE SUBJECT", b"4 5 1 2 3"),
        (b"SUBJECT REVERSE DATE", b"2 3 1 5 4"),
        (b"FROM", b"4 1 2 3 5"),
        (b"DISPLAYFROM", b"4 3 2 5 1"),
        (b"TO", b"4 5 3 2 1"),
        (b"DISPLAYTO", b"4 5 3 2 1"),
        (b"CC", b"2 4 5 3 1"),
        (b"REVERSE SIZE", b"4 1 2 3 5"),
    ],
    ids=lambda value: value.decode() if value[:1].isalpha() else "",
)
def test_each_order(client: Client, order: bytes, numbers: bytes) -> None:
    assert client.send(b"SORT (%b) UTF-8 ALL" % order) == [b"* SORT " + numbers, b"OK Sorted"]


def test_only_what_is_searched_for_is_sorted(client: Client) -> None:
    expunge(client.lab, [1])
    client.send(b"NOOP")
    assert client.send(b"SORT (ARRIVAL) US-ASCII NOT SUBJECT c")[0] == b"* SORT 2 1"
    assert client.send(b"UID SORT (ARRIVAL) UTF-8 NOT SUBJECT c")[0] == b"* SORT 3 2"
    assert client.send(b"SORT (ARRIVAL) UTF-8 SEEN") == [b"* SORT", b"OK Sorted"]


def test_the_results_that_are_asked_for(client: Client) -> None:
    """RFC 5267 3: MIN and MAX are the first and the last in the order; ALL keeps it. RFC 9394 3.1"""
    assert client.send(b"SORT RETURN (MIN MAX COUNT ALL) (REVERSE SUBJECT) UTF-8 ALL") == [
        b'* ESEARCH (TAG "a3") MIN 4 MAX 3 COUNT 5 ALL 4:5,1:3',
        b"OK Sorted",
    ]
    assert client.send(b"UID SORT RETURN (PARTIAL -1:-2) (ARRIVAL) UTF-8 ALL")[0] == (
        b'* ESEARCH (TAG "a4") UID PARTIAL (-1:-2 2,1)'
    )


def test_save_keeps_what_the_order_says(client: Client) -> None:
    assert client.send(b"SORT RETURN (SAVE) (ARRIVAL) UTF-8 2:4") == [b"OK Saved"]
    assert client.send(b"SEARCH $")[0] == b"* SEARCH 2 3 4"
    client.send(b"SORT RETURN (SAVE MIN) (DATE) UTF-8 ALL")
    assert client.send(b"SEARCH $")[0] == b"* SEARCH 4"


def test_modseq_of_what_is_sorted(client: Client) -> None:
    """RFC 7162 3.1.5"""
    assert client.send(b"SORT (ARRIVAL) UTF-8 1:2 MODSEQ 1")[1] == b"* SORT 2 1 (MODSEQ 3)"
    answer = client.send(b"SORT RETURN (MAX) (ARRIVAL) UTF-8 1:2 MODSEQ 1")[0]
    assert answer.endswith(b" MAX 1 MODSEQ 2")
