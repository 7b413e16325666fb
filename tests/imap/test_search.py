"""SEARCH as clients see it: RFC 9051 6.4.4 and what extends it."""

from __future__ import annotations

from dataclasses import replace
from itertools import count

import pytest

from fedaemon.imap.engine import Request
from fedaemon.imap.operations import Turn
from fedaemon.imap.search import pace, results
from fedaemon.mailbox import compaction
from fedaemon.store.spaces import MAIL, MAIL_CHUNK
from tests.imap.lab import NOW_S, Client, Lab
from tests.imap.mail import expunge, five_messages, message


@pytest.fixture
def five(lab: Lab) -> Client:
    return five_messages(lab)


def test_the_answer_of_rev1(five: Client) -> None:
    """RFC 3501 7.2.5"""
    assert five.send(b"SEARCH 2:4 UNSEEN") == [b"* SEARCH 2 3 4", b"OK Searched"]
    assert five.send(b"SEARCH SEEN") == [b"* SEARCH", b"OK Searched"]


def test_uid_search_answers_with_uids(five: Client) -> None:
    expunge(five.lab, [1])
    five.send(b"NOOP")
    assert five.send(b"SEARCH UID 3:4") == [b"* SEARCH 2 3", b"OK Searched"]
    assert five.send(b"UID SEARCH 3:4") == [b"* SEARCH 4 5", b"OK Searched"]


def test_the_results_that_are_asked_for(five: Client) -> None:
    """RFC 4731 3.1"""
    assert five.send(b"SEARCH RETURN (MIN MAX COUNT ALL) NOT 3") == [
        b'* ESEARCH (TAG "a3") MIN 1 MAX 5 COUNT 4 ALL 1:2,4:5',
        b"OK Searched",
    ]
    assert five.send(b"UID SEARCH RETURN () 2") == [b'* ESEARCH (TAG "a4") UID ALL 2', b"OK Searched"]
    assert five.send(b"SEARCH RETURN (MIN COUNT) SEEN") == [b'* ESEARCH (TAG "a5") COUNT 0', b"OK Searched"]


def test_rev2_answers_with_esearch(five: Client) -> None:
    """RFC 9051 6.4.4: * SEARCH is of IMAP4rev1."""
    five.send(b"ENABLE IMAP4rev2")
    assert five.send(b"SEARCH 2:3") == [b'* ESEARCH (TAG "a4") ALL 2:3', b"OK Searched"]


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (b"1:2", b"1:2 1:2"),
        (b"2:4", b"2:4 2,4:5"),
        (b"4:9", b"4:9 5"),
        (b"5:9", b"5:9 NIL"),
        (b"-1:-2", b"-1:-2 4:5"),
        (b"-3:-9", b"-3:-9 1:2"),
        (b"-1:-6", b"-1:-6 1:2,4:5"),
        (b"-5:-9", b"-5:-9 NIL"),
        (b"-6:-9", b"-6:-9 NIL"),
    ],
    ids=lambda value: value.decode() if value.startswith(b"-") or b" " not in value else "",
)
def test_a_part_of_the_results(five: Client, asked: bytes, told: bytes) -> None:
    """RFC 9394 3.1"""
    answer = five.send(b"SEARCH RETURN (PARTIAL %b) NOT 3" % asked)
    assert answer == [b'* ESEARCH (TAG "a3") PARTIAL (%b)' % told, b"OK Searched"]


@pytest.mark.parametrize(
    ("options", "kept"),
    [
        (b"SAVE", b"1 2 4 5"),
        (b"SAVE MIN", b"1"),
        (b"SAVE MAX", b"5"),
        (b"SAVE MIN MAX", b"1 5"),
        (b"SAVE MIN COUNT", b"1 2 4 5"),
        (b"SAVE ALL", b"1 2 4 5"),
        (b"SAVE PARTIAL 2:3", b"2 4"),
        (b"SAVE MIN PARTIAL 2:3", b"1 2 4"),
        (b"SAVE COUNT PARTIAL 2:3", b"1 2 4 5"),
    ],
    ids=lambda value: value.decode().replace(" ", "-"),
)
def test_what_is_saved(five: Client, options: bytes, kept: bytes) -> None:
    """RFC 5182 2.4, RFC 9394 3.2"""
    five.send(b"SEARCH RETURN (%b) NOT 3" % options)
    assert five.send(b"SEARCH $")[0] == b"* SEARCH " + kept


def test_what_is_saved_is_in_order(five: Client, lab: Lab) -> None:
    """1 and 8 lie in a set the other way round."""
    lab.deliver(*[message("more")] * 3)
    five.send(b"NOOP")
    five.send(b"SEARCH RETURN (SAVE MIN MAX) ALL")
    assert five.send(b"SEARCH $")[0] == b"* SEARCH 1 8"


def test_save_alone_tells_nothing(five: Client) -> None:
    """RFC 5182 2.1"""
    assert five.send(b"SEARCH RETURN (SAVE) 2:3") == [b"OK Saved"]
    assert five.send(b"UID SEARCH NOT $ 1:4")[0] == b"* SEARCH 1 4"


def test_a_failed_search_with_save_leaves_nothing_saved(
    five: Client, lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RFC 5182 2.1: after NO the variable is empty, after BAD it is as before."""
    five.send(b"SEARCH RETURN (SAVE) 2:3")
    assert five.tagged(b"SEARCH RETURN (SAVE) NONSENSE").startswith(b"BAD ")
    assert five.send(b"SEARCH $")[0] == b"* SEARCH 2 3"
    lab.write(lambda transaction: transaction.put((MAIL_CHUNK, lab.mailbox_id(), 1, 1), b"\x01damaged"))
    assert five.tagged(b"SEARCH LARGER 1").startswith(b"NO ")
    assert five.send(b"SEARCH $")[0] == b"* SEARCH 2 3"
    assert five.tagged(b"SEARCH RETURN (SAVE) LARGER 1").startswith(b"NO ")
    assert five.send(b"SEARCH $")[0] == b"* SEARCH"


def test_modseq_is_told_when_it_is_asked_for(five: Client) -> None:
    """RFC 7162 3.1.5, 3.1.10: of MIN or MAX alone that message's, otherwise the highest."""
    assert five.send(b"SEARCH MODSEQ 4 1:4") == [
        b"* OK [HIGHESTMODSEQ 6] Changes are numbered",
        b"* SEARCH 3 4 (MODSEQ 5)",
        b"OK Searched",
    ]
    assert five.send(b'SEARCH MODSEQ "/flags/\\\\seen" all 99')[0] == b"* SEARCH"
    for options, modseq in ((b"MIN", 4), (b"MAX", 6), (b"MIN MAX", 6), (b"MIN COUNT", 6)):
        assert five.send(b"SEARCH RETURN (%b) OR SEEN MODSEQ 4" % options)[0].endswith(b" MODSEQ %d" % modseq)


def test_numbers_that_nobody_has(five: Client, lab: Lab) -> None:
    assert five.send(b"SEARCH 4:99")[0] == b"* SEARCH 4 5"
    assert five.send(b"SEARCH 77")[0] == b"* SEARCH"
    assert five.send(b"SEARCH *")[0] == b"* SEARCH 5"
    assert five.send(b"SEARCH UID 99:*")[0] == b"* SEARCH 5"
    empty = lab.client(select="Sent")
    for key in (b"ALL", b"1:*", b"UID 1:*", b"*", b"BODY x", b"SUBJECT x"):
        assert empty.send(b"SEARCH " + key) == [b"* SEARCH", b"OK Searched"]
    assert empty.send(b"SEARCH RETURN (MIN MAX ALL COUNT) ALL")[0].endswith(b") COUNT 0")


def test_a_session_with_uids_only(five: Client) -> None:
    """RFC 9586 3.3"""
    five.send(b"ENABLE UIDONLY")
    assert five.tagged(b"SEARCH ALL").startswith(b"BAD ")
    assert five.tagged(b"UID SEARCH 1:3").startswith(b"BAD ")
    assert five.tagged(b"SORT (DATE) UTF-8 ALL").startswith(b"BAD ")
    assert five.tagged(b"THREAD REFERENCES UTF-8 ALL").startswith(b"BAD ")
    assert five.send(b"UID SEARCH UID 1:3")[0] == b"* SEARCH 1 2 3"


def test_a_chunk_that_was_compacted_behind_the_session(five: Client, lab: Lab) -> None:
    """Numbers mean what the session was told, wherever the rows are now."""
    mailbox_id = lab.mailbox_id()
    expunge(lab, [1])
    lab.write(lambda transaction: transaction.delete((MAIL, mailbox_id, 1)))
    assert lab.write(lambda transaction: compaction.compact(transaction, mailbox_id, 1)) == 1
    for key in (b"SINCE 17-Nov-2023", b"NOT SUBJECT 2 2:5", b"NOT BODY word2 2:5"):
        assert five.send(b"SEARCH " + key)[0] == b"* SEARCH 3 4 5"
    assert five.send(b"SORT (REVERSE SUBJECT) UTF-8 2:5")[0] == b"* SORT 5 4 3 2"
    assert five.send(b"SEARCH BEFORE 17-Nov-2023")[0] == b"* SEARCH 2"


def test_a_chunk_whose_texts_are_gone_behind_the_session(five: Client, lab: Lab) -> None:
    mailbox_id = lab.mailbox_id()
    expunge(lab, [1, 2, 3])
    assert lab.write(lambda transaction: compaction.drop_texts(transaction, mailbox_id, 1))
    assert five.send(b"SEARCH SUBJECT number")[0] == b"* SEARCH 4 5"
    assert five.send(b"SORT (SUBJECT) UTF-8 ALL")[0] == b"* SORT 1 2 3 4 5"


def test_how_far_it_is(five: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """RFC 9585 4: told every ten seconds of a search that takes so long."""
    monkeypatch.setattr(pace, "SLICE_S", 0.0)
    ticks = count(NOW_S, 3)
    session = five.engine.session
    session.settings = replace(session.settings, clock=lambda: float(next(ticks)))
    answers = five.send(b"SEARCH BODY word3")
    assert answers == [
        b'* OK [INPROGRESS ("a3" 0 5)] Still searching',
        b'* OK [INPROGRESS ("a3" 3 5)] Still searching',
        b"* SEARCH 3",
        b"OK Searched",
    ]
    assert five.raw(b"a]b SEARCH BODY word3\r\n").startswith(b"* OK [INPROGRESS (NIL 0 5)]")


def test_a_long_answer_is_sent_in_blocks(five: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "NUMBERS", 2)
    monkeypatch.setattr(results, "BLOCK", 4)
    five.largest_queue = 0
    assert five.send(b"SEARCH ALL")[0] == b"* SEARCH 1 2 3 4 5"
    # When the last block is queued, the ones before have been taken.
    assert 0 < five.largest_queue < len(b"* SEARCH 1 2 3 4")


def test_others_have_their_turn(five: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """One for each key of a piece, the piece, its numbers where there are some, and each message that is read."""
    monkeypatch.setattr(pace, "SLICE_S", -1.0)
    turns: list[Turn] = []
    real = Client._carry_out

    def counted(client: Client, request: Request) -> object:
        if isinstance(request.operation, Turn):
            turns.append(request.operation)
        return real(client, request)

    monkeypatch.setattr(Client, "_carry_out", counted)
    five.send(b"SEARCH ALL")
    assert len(turns) == 2 + 2 + 2
    turns.clear()
    five.send(b"SEARCH BODY word3")
    assert len(turns) == 2 + 2 + 1 + 5
    turns.clear()
    # The texts of the tail are read a slice at a time.
    five.send(b"SEARCH SUBJECT 3")
    assert len(turns) == 2 + 2 + 1 + 1
