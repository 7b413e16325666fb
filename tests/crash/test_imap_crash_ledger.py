"""The ledger contradicts each way in which a store could be wrong after a death, and allows what may be.

Standards: RFC 9051 2.3.1.1, RFC 3502 6.3.11, RFC 7162 3.1.
"""

from __future__ import annotations

import random

import pytest

from tests.crash.imap_ledger import DELETED, FLAGS, NOWHERE, Box, Found, Ledger, Place

CHANCE = random.Random(1)
FLAG = FLAGS[0]


def boxes(
    *inbox: Found | None,
    modseq: int = 9,
    uidnext: int = 0,
    archive: Found | None = None,
    uidvalidity: int = 7,
) -> dict[str, Box]:
    """Return what a look finds: INBOX with these from UID 1 on, and perhaps a message in Archive."""
    rows = {uid: found for uid, found in enumerate(inbox, 1) if found}
    other = {1: archive} if archive else {}
    return {
        "INBOX": Box(uidvalidity, uidnext or len(inbox) + 1, modseq, rows),
        "Archive": Box(8, 1 + len(other), modseq, other),
    }


def found(mark: int, *flags: str, modseq: int = 2) -> Found:
    """Return a message of a look."""
    return Found(mark, frozenset(flags), modseq)


@pytest.fixture
def ledger() -> Ledger:
    """Two messages were appended and found, the first with a flag."""
    made = Ledger()
    made.appended(made.begin_append([[FLAG], []]), 7, 1)
    made.settle(boxes(found(0, FLAG), found(1)))
    return made


WRONG: dict[str, tuple[str, dict[str, Box]]] = {
    "a message is lost": ("message 1:", boxes(found(0, FLAG), None)),
    "a message is there twice": ("message 1:", boxes(found(0, FLAG), found(1), found(1))),
    "a message is in both mailboxes": ("message 1:", boxes(found(0, FLAG), found(1), archive=found(1))),
    "a message is in the other mailbox": ("message 1:", boxes(found(0, FLAG), None, archive=found(1))),
    "UIDs changed places": ("is another", boxes(found(1), found(0, FLAG))),
    "a flag is lost": ("Flagged is False", boxes(found(0, modseq=3), found(1))),
    "a flag is too many": ("Flagged is True", boxes(found(0, FLAG), found(1, FLAG, modseq=3))),
    "a flag that nobody sets": ("Draft", boxes(found(0, FLAG), found(1, "\\Draft", modseq=3))),
    "a flag without a mod-sequence": ("MODSEQ did not", boxes(found(0), found(1))),
    "UIDNEXT fell": ("UIDNEXT of INBOX fell", boxes(found(0, FLAG), found(1), uidnext=2)),
    "UIDNEXT is too low": ("not below UIDNEXT", boxes(found(0, FLAG), found(1), found(2), uidnext=3)),
    "HIGHESTMODSEQ fell": ("HIGHESTMODSEQ of INBOX fell", boxes(found(0, FLAG), found(1), modseq=8)),
    "a mod-sequence fell": ("MODSEQ of UID 1", boxes(found(0, FLAG, modseq=1), found(1))),
    "a mod-sequence above the highest": ("UID 1 of INBOX", boxes(found(0, FLAG, modseq=10), found(1))),
    "a message that nobody sent": ("nobody sent", boxes(found(0, FLAG), found(1), found(2))),
    "another UIDVALIDITY": ("UIDVALIDITY", boxes(found(0, FLAG), found(1), uidvalidity=8)),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_wrong_is_contradicted(ledger: Ledger, wrong: str) -> None:
    """Each difference to what was told is seen, and the same look without it is not."""
    expected, look = WRONG[wrong]
    with pytest.raises(AssertionError, match=expected):
        ledger.settle(look)


def test_what_is_unchanged_is_right(ledger: Ledger) -> None:
    """The look that the wrong ones differ from."""
    ledger.settle(boxes(found(0, FLAG), found(1)))
    assert {message.place for message in ledger.messages.values()} == {Place("INBOX", 1), Place("INBOX", 2)}


@pytest.mark.parametrize("flags", [(FLAG,), ()])
def test_a_store_without_an_answer_may_be_done(ledger: Ledger, flags: tuple[str, ...]) -> None:
    """Both are right; once looked at, only what was found is."""
    some = ledger.begin_store("INBOX", ledger.known("INBOX")[:1], CHANCE, FLAG, False)
    assert [uid for _, uid, _ in some] == [1]
    modseq = 2 if flags else 3
    ledger.settle(boxes(found(0, *flags, modseq=modseq), found(1)))
    other = () if flags else (FLAG,)
    with pytest.raises(AssertionError):
        ledger.settle(boxes(found(0, *other, modseq=4), found(1)))


def test_a_store_with_an_answer_is_done(ledger: Ledger) -> None:
    """The value from before is wrong."""
    some = ledger.begin_store("INBOX", ledger.known("INBOX")[:1], CHANCE, FLAG, False)
    ledger.stored(some, FLAG, False)
    with pytest.raises(AssertionError, match="Flagged is True"):
        ledger.settle(boxes(found(0, FLAG), found(1)))


def test_a_store_of_what_is_taken_meanwhile_proves_nothing(ledger: Ledger) -> None:
    """The message may have been gone from under the STORE when this was carried out."""
    known = ledger.known("INBOX")[:1]
    some = ledger.begin_store("INBOX", known, CHANCE, FLAG, False)
    told = ledger.take("INBOX", known, CHANCE, 1, Place("Archive", 0))
    ledger.stored(some, FLAG, False)
    ledger.moved(told, "Archive", 8, {1: 1})
    ledger.settle(boxes(None, found(1), archive=found(0, FLAG)))


def test_a_moved_message_is_in_one_mailbox(ledger: Ledger) -> None:
    """Without an answer it is in either, and never in none."""
    ledger.take("INBOX", ledger.known("INBOX")[:1], CHANCE, 1, Place("Archive", 0))
    for wrong in (boxes(None, found(1)), boxes(found(0, FLAG), found(1), archive=found(0, FLAG))):
        with pytest.raises(AssertionError, match="message 0"):
            ledger.settle(wrong)
    ledger.settle(boxes(None, found(1), archive=found(0, FLAG)))


def test_an_expunged_message_does_not_come_back(ledger: Ledger) -> None:
    """Neither under its UID nor under another."""
    told = ledger.take("INBOX", ledger.known("INBOX")[:1], CHANCE, 1, NOWHERE)
    ledger.marked(told)
    ledger.expunged(message for message, _ in told)
    ledger.settle(boxes(None, found(1)))
    for wrong in (boxes(found(0, FLAG, modseq=4), found(1)), boxes(None, found(1), found(0, FLAG))):
        with pytest.raises(AssertionError, match=r"came back|used again"):
            ledger.settle(wrong)


def test_an_expunge_that_was_cut_short_leaves_its_mark(ledger: Ledger) -> None:
    """STORE was answered, EXPUNGE was not: it is gone, or has \\Deleted and goes with the next EXPUNGE."""
    told = ledger.take("INBOX", ledger.known("INBOX")[:1], CHANCE, 1, NOWHERE)
    ledger.marked(told)
    with pytest.raises(AssertionError, match="Deleted"):
        ledger.settle(boxes(found(0, FLAG), found(1)))
    ledger.settle(boxes(found(0, FLAG, DELETED, modseq=3), found(1)))
    doomed = ledger.doomed("INBOX")
    assert [message.mark for message in doomed] == [0]
    assert [message.mark for message in ledger.known("INBOX")] == [1]
    ledger.settle(boxes(None, found(1)))


def test_an_append_without_an_answer_is_done_as_a_whole(ledger: Ledger) -> None:
    """All messages of one APPEND are there, or none."""
    ledger.begin_append([[], []])
    with pytest.raises(AssertionError, match="a part of an APPEND"):
        ledger.settle(boxes(found(0, FLAG), found(1), found(2)))


def test_what_answers_say_of_the_mailbox_holds(ledger: Ledger) -> None:
    """APPENDUID and COPYUID name a UIDVALIDITY, and a UID that no other message was given."""
    messages = ledger.begin_append([[]])
    with pytest.raises(AssertionError, match="UIDVALIDITY of INBOX changed"):
        ledger.appended(messages, 8, 3)
    with pytest.raises(AssertionError, match="told twice"):
        ledger.appended(messages, 7, 2)
    told = ledger.take("INBOX", ledger.known("INBOX")[:1], CHANCE, 1, Place("Archive", 0))
    with pytest.raises(AssertionError, match="UIDVALIDITY of Archive changed"):
        ledger.moved(told, "Archive", 7, {1: 1})
    with pytest.raises(AssertionError, match="COPYUID of other messages"):
        ledger.moved(told, "Archive", 8, {2: 1})


@pytest.mark.parametrize("wholly", [True, False])
def test_an_append_without_an_answer_may_be_done(ledger: Ledger, wholly: bool) -> None:
    """Both are right."""
    ledger.begin_append([[], []])
    new = (found(2), found(3)) if wholly else ()
    ledger.settle(boxes(found(0, FLAG), found(1), *new))
    assert len(ledger.known("INBOX")) == 2 + len(new)


def test_a_uid_below_uidnext_is_not_given_again(ledger: Ledger) -> None:
    """What comes later has to be behind everything that was there."""
    ledger.settle(boxes(found(0, FLAG), found(1), uidnext=5))
    ledger.begin_append([[]])
    with pytest.raises(AssertionError, match="used again"):
        ledger.settle(boxes(found(0, FLAG), found(1), None, found(2)))


@pytest.mark.parametrize("place", [Place("INBOX", 0), Place("INBOX", 1)])
def test_what_was_told_of_mod_sequences_holds(ledger: Ledger, place: Place) -> None:
    """A client has seen a change that the store does not have."""
    ledger.heard(place, 10)
    with pytest.raises(AssertionError):
        ledger.settle(boxes(found(0, FLAG), found(1)))


def test_mail_may_come_later(ledger: Ledger) -> None:
    """What SMTP accepted is in the queue until it is found; then it has to stay."""
    (message,) = ledger.begin_append([()], queued=True)
    ledger.delivered(message)
    ledger.settle(boxes(found(0, FLAG), found(1)))
    assert ledger.accepted == {2}
    ledger.settle(boxes(found(0, FLAG), found(1), found(2)))
    assert ledger.accepted == set()
    with pytest.raises(AssertionError, match="message 2"):
        ledger.settle(boxes(found(0, FLAG), found(1), None))
