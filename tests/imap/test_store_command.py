"""STORE and UID STORE: RFC 9051 6.4.6, RFC 7162 3.1.3, RFC 2180 4.2, RFC 9586 3.4."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from fedaemon.imap.commands import store
from fedaemon.mailbox import state as states
from fedaemon.mailbox.changing import expunge
from fedaemon.store.interface import Transaction
from fedaemon.store.spaces import MAIL_ROW
from tests.imap.kept import flags_of, seal, state_of
from tests.imap.lab import Client, Lab, modern

FLAGS = rb"* FLAGS (\Seen \Answered \Flagged \Deleted \Draft%b)"
PERMANENT = rb"* OK [PERMANENTFLAGS (\Seen \Answered \Flagged \Deleted \Draft%b \*)] Flags that are kept"
GONE = b"Some of the messages are gone; NOOP tells which"


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    lab = Lab(tmp_path)
    lab.deliver(*[b"Subject: %d\r\n\r\n" % number for number in range(1, 5)])
    yield lab
    lab.close()


@pytest.fixture
def client(lab: Lab) -> Client:
    """A client without \\Recent in its answers."""
    return modern(lab)


def test_each_message_gets_its_answer_also_when_it_had_the_flag(lab: Lab, client: Client) -> None:
    """The client need not compute anything."""
    assert client.tagged(rb"STORE 2 +FLAGS.SILENT \Seen") == b"OK Stored"
    assert client.send(rb"STORE 1:2 +FLAGS (\Seen)") == [
        rb"* 1 FETCH (UID 1 FLAGS (\Seen))",
        rb"* 2 FETCH (UID 2 FLAGS (\Seen))",
        b"OK Stored",
    ]
    assert flags_of(lab) == {1: {"\\Seen"}, 2: {"\\Seen"}, 3: set(), 4: set()}


def test_flags_are_added_removed_and_replaced(lab: Lab, client: Client) -> None:
    """-FLAGS of what is not there, and of a keyword that the mailbox never had, changes nothing."""
    client.send(rb"STORE 1 FLAGS (\Seen \Draft)")
    assert client.send(rb"STORE 1 -FLAGS (\Seen \Flagged never)")[0] == rb"* 1 FETCH (UID 1 FLAGS (\Draft))"
    modseq = state_of(lab).modseq
    assert client.send(b"STORE 1 -FLAGS (never)") == [rb"* 1 FETCH (UID 1 FLAGS (\Draft))", b"OK Stored"]
    assert state_of(lab).modseq == modseq
    assert client.send(b"STORE 1 FLAGS ()")[0] == b"* 1 FETCH (UID 1 FLAGS ())"


def test_a_new_keyword_is_told_before_it_is_used(client: Client) -> None:
    """In the case in which it was first written."""
    assert client.send(b"STORE 4 +FLAGS ($Junk Work)") == [
        FLAGS % b" $Junk Work",
        PERMANENT % b" $Junk Work",
        b"* 4 FETCH (UID 4 FLAGS ($Junk Work))",
        b"OK Stored",
    ]
    assert client.send(b"UID STORE 4 -FLAGS (WORK)") == [b"* 4 FETCH (UID 4 FLAGS ($Junk))", b"OK Stored"]


def test_a_mailbox_has_so_many_keywords(lab: Lab, client: Client) -> None:
    """More are refused, and nothing is changed."""
    for start in (0, 64):
        names = b" ".join(b"k%d" % number for number in range(start, start + 64))
        assert client.tagged(b"STORE 1 +FLAGS.SILENT (" + names + b")") == b"OK Stored"
    before = flags_of(lab)
    refusal = client.tagged(rb"STORE 1 +FLAGS (\Seen more)")
    assert refusal.startswith(b"NO ")
    assert refusal.endswith(b"a mailbox has at most 128 keywords; use one that is there")
    assert flags_of(lab) == before


def test_a_mailbox_that_is_open_for_reading_is_not_changed(lab: Lab) -> None:
    """EXAMINE."""
    client = lab.client()
    client.send(b"EXAMINE INBOX")
    refusal = b"NO [READ-ONLY] The mailbox was opened for reading only"
    assert client.send(rb"STORE 1 FLAGS (\Seen)") == [refusal]
    assert flags_of(lab)[1] == set()


def test_numbers_that_are_not_there(client: Client) -> None:
    """A UID that is not there is passed over, a number is not."""
    assert client.send(rb"UID STORE 7,9 FLAGS (\Seen)") == [b"OK Stored"]
    assert client.tagged(rb"STORE 5 FLAGS (\Seen)").startswith(b"BAD ")
    assert client.send(rb"UID STORE 3,9 FLAGS (\Seen)")[0] == rb"* 3 FETCH (UID 3 FLAGS (\Seen))"


def test_what_others_changed_is_told_with_it(lab: Lab, client: Client) -> None:
    """Also new messages; each change once."""
    other = modern(lab)
    other.send(rb"STORE 1:2 +FLAGS.SILENT (\Flagged)")
    lab.deliver(b"new")
    assert client.send(rb"STORE 2 +FLAGS (\Seen)") == [
        rb"* 1 FETCH (UID 1 FLAGS (\Flagged))",
        b"* 5 EXISTS",
        rb"* 2 FETCH (UID 2 FLAGS (\Seen \Flagged))",
        b"OK Stored",
    ]
    assert client.send(b"NOOP") == [b"OK Nothing done"]


@pytest.mark.parametrize(
    ("theirs", "ours", "told"),
    [
        (rb"+FLAGS.SILENT (\Flagged)", rb"+FLAGS.SILENT (\Seen)", [rb"* 2 FETCH (UID 2 FLAGS (\Seen \Flagged))"]),
        (rb"+FLAGS.SILENT (\Seen)", rb"+FLAGS.SILENT (\Seen)", []),
        (rb"+FLAGS.SILENT (\Seen)", rb"-FLAGS.SILENT (\Seen)", []),
        (rb"+FLAGS.SILENT (\Flagged)", rb"-FLAGS.SILENT (\Seen)", [rb"* 2 FETCH (UID 2 FLAGS (\Flagged))"]),
        (rb"+FLAGS.SILENT (\Flagged)", rb"FLAGS.SILENT (\Seen)", []),
    ],
)  # fmt: skip
def test_silent_is_silent_where_the_client_knows_the_outcome(
    lab: Lab, client: Client, theirs: bytes, ours: bytes, told: list[bytes]
) -> None:
    """Of a message that another session had its hand in, the flags are told if they are not the expected ones."""
    modern(lab).send(b"STORE 2 " + theirs)
    assert client.send(b"STORE 2:3 " + ours) == [*told, b"OK Stored"]
    assert client.send(b"NOOP") == [b"OK Nothing done"]


def test_silent_keywords_of_several_planes(lab: Lab, client: Client) -> None:
    """What the client must think is computed for keywords too; another session's keyword is told."""
    names = b" ".join(b"k%d" % number for number in range(20))
    client.send(b"STORE 1 FLAGS.SILENT (" + names + b")")
    assert client.send(b"STORE 1:2 +FLAGS.SILENT (k19)") == [b"OK Stored"]
    modern(lab).send(b"STORE 2 +FLAGS.SILENT (k9)")
    assert client.send(b"STORE 1:2 -FLAGS.SILENT (k19)") == [b"* 2 FETCH (UID 2 FLAGS (k9))", b"OK Stored"]


def test_mod_sequences_are_told_with_condstore(lab: Lab) -> None:
    """Also with .SILENT: a client that asked for them needs them for its next condition."""
    client = modern(lab, b"IMAP4rev2 CONDSTORE")
    assert client.send(rb"STORE 1 FLAGS (\Seen)")[0] == rb"* 1 FETCH (UID 1 FLAGS (\Seen) MODSEQ (3))"
    assert client.send(rb"STORE 1:2 FLAGS.SILENT (\Seen)") == [
        b"* 1 FETCH (UID 1 MODSEQ (3))",
        b"* 2 FETCH (UID 2 MODSEQ (4))",
        b"OK Stored",
    ]
    modern(lab).send(rb"STORE 2 +FLAGS.SILENT (\Flagged)")
    assert client.send(rb"UID STORE 2 +FLAGS.SILENT (\Draft)") == [
        rb"* 2 FETCH (UID 2 FLAGS (\Seen \Flagged \Draft) MODSEQ (6))",
        b"OK Stored",
    ]


def test_a_condition_keeps_changed_messages_from_being_changed(lab: Lab, client: Client) -> None:
    """RFC 7162 3.1.3: numbers or UIDs, as the command had them; it is a CONDSTORE enabling command."""
    mailbox_id = lab.mailbox_id()
    lab.write(lambda transaction: expunge(transaction, mailbox_id, ((1, 1),), 0, only_deleted=False))
    client.send(b"NOOP")
    modern(lab).send(rb"STORE 1,3 +FLAGS.SILENT (\Flagged)")
    # Numbers 1:3 are UIDs 2:4; of 2 and 4 the mod-sequence is 4 now.
    assert client.send(rb"STORE 1:3 (UNCHANGEDSINCE 3) +FLAGS.SILENT (\Seen)") == [
        b"* OK [HIGHESTMODSEQ 2] Changes are numbered",
        rb"* 1 FETCH (UID 2 FLAGS (\Flagged) MODSEQ (4))",
        rb"* 3 FETCH (UID 4 FLAGS (\Flagged) MODSEQ (4))",
        b"* 2 FETCH (UID 3 MODSEQ (5))",
        b"OK [MODIFIED 1,3] Stored",
    ]
    assert client.send(rb"UID STORE 2:4 (UNCHANGEDSINCE 4) +FLAGS (\Draft)") == [
        rb"* 1 FETCH (UID 2 FLAGS (\Flagged \Draft) MODSEQ (6))",
        rb"* 3 FETCH (UID 4 FLAGS (\Flagged \Draft) MODSEQ (6))",
        b"OK [MODIFIED 3] Stored",
    ]
    assert client.send(rb"STORE 1 (UNCHANGEDSINCE 0) FLAGS ()") == [b"OK [MODIFIED 1] Stored"]
    assert flags_of(lab) == {2: {"\\Flagged", "\\Draft"}, 3: {"\\Seen"}, 4: {"\\Flagged", "\\Draft"}}


def test_messages_that_are_gone(lab: Lab, client: Client) -> None:
    """RFC 2180 4.2: the others are changed; who waits for answers hears NO, by UID they are passed over."""
    other = modern(lab)
    other.send(rb"STORE 2 FLAGS.SILENT (\Deleted)")
    other.send(b"EXPUNGE")
    assert client.send(rb"STORE 1:2 FLAGS (\Seen)") == [
        rb"* 1 FETCH (UID 1 FLAGS (\Seen))",
        b"NO [EXPUNGEISSUED] " + GONE,
    ]
    assert client.send(rb"STORE 1:3 +FLAGS.SILENT (\Draft)") == [b"OK Stored"]
    assert client.send(rb"STORE 1:3 (UNCHANGEDSINCE 5) FLAGS.SILENT ()")[-1] == b"NO [MODIFIED 1:3] " + GONE
    assert client.send(rb"UID STORE 2:3 FLAGS ()") == [
        b"* 3 FETCH (UID 3 FLAGS () MODSEQ (7))",
        b"* 2 EXPUNGE",
        b"OK Stored",
    ]


def test_behind_rows_that_compaction_took_away(lab: Lab, client: Client) -> None:
    """Nothing can be told before the expunge is; then all of it is."""
    other = modern(lab)
    other.send(rb"STORE 2 FLAGS.SILENT (\Deleted)")
    other.send(b"EXPUNGE")
    lab.write(partial(_remove_row, lab.mailbox_id()))
    assert client.send(rb"STORE 1 FLAGS (\Seen)") == [b"OK Stored"]
    assert client.send(b"NOOP") == [b"* 2 EXPUNGE", rb"* 1 FETCH (UID 1 FLAGS (\Seen))", b"OK Nothing done"]


def _remove_row(mailbox_id: str, transaction: Transaction) -> None:
    """Take the row of the expunged message 2 away, as compaction would."""
    transaction.delete((MAIL_ROW, mailbox_id, 2))
    before = states.need(transaction, mailbox_id)
    after = before._replace(gone=0, tail=before.tail - 1, generation=before.generation + 1)
    states.save(transaction, mailbox_id, before, after)


def test_quiet_and_loud_lines_of_one_span(lab: Lab) -> None:
    """With .SILENT and CONDSTORE, flags are told of just those that another session changed, in their places."""
    for enable, uid, answer, first in (
        (b"IMAP4rev2 CONDSTORE", b"", b"* %d FETCH (", b"UID %d "),
        (b"IMAP4rev2 CONDSTORE UIDONLY", b"UID ", b"* %d UIDFETCH (", b""),
    ):
        client, other = modern(lab, enable), modern(lab)
        other.send(rb"STORE 2,4 +FLAGS.SILENT (\Flagged)")
        answers = client.send(uid + rb"STORE 1:4 +FLAGS.SILENT (\Draft)")
        modseq = state_of(lab).modseq
        assert answers == [
            *(
                answer % n + (first % n if first else b"") + flags + b"MODSEQ (%d))" % modseq
                for n in range(1, 5)
                for flags in [rb"FLAGS (\Flagged \Draft) " if n in (2, 4) else b""]
            ),
            b"OK Stored",
        ]
        other.send(rb"STORE 1:4 FLAGS.SILENT ()")


def test_of_messages_in_several_spans_some_are_gone_and_some_modified(lab: Lab) -> None:
    """Each that was changed is told once, under its own number; the rest by their numbers in MODIFIED."""
    lab.deliver(*[b"x"] * 1_200)
    seal(lab)
    client, other = modern(lab), modern(lab)
    modseq = state_of(lab).modseq
    other.send(rb"STORE 3,700 FLAGS.SILENT (\Deleted)")
    other.send(b"EXPUNGE")
    other.send(rb"UID STORE 4,600,1203 FLAGS.SILENT (\Flagged)")
    *answers, end = client.send(rb"STORE 2:5,400:1204 (UNCHANGEDSINCE %d) FLAGS (\Seen)" % modseq)
    assert end == b"NO [MODIFIED 3:4,600,700,1203] " + GONE
    places = [n for n in (2, 5, *range(400, 1205)) if n not in (600, 700, 1203)]
    modseq = state_of(lab).modseq
    assert [each for each in answers if rb"\Seen" in each] == [
        rb"* %d FETCH (UID %d FLAGS (\Seen) MODSEQ (%d))" % (n, n, modseq) for n in places
    ]


@pytest.mark.parametrize(
    ("enable", "line"),
    [
        (b"IMAP4rev2", rb"* %(n)d FETCH (UID %(n)d FLAGS (\Seen))"),
        (b"CONDSTORE IMAP4rev2", rb"* %(n)d FETCH (UID %(n)d FLAGS (\Seen) MODSEQ (%(m)d))"),
        (b"UIDONLY IMAP4rev2", rb"* %(n)d UIDFETCH (FLAGS (\Seen))"),
    ],
)
def test_another_session_is_told_of_many(lab: Lab, client: Client, enable: bytes, line: bytes) -> None:
    """Of each message once, in order."""
    lab.deliver(*[b"x"] * 1_100)
    seal(lab)
    other = modern(lab, enable)
    client.send(rb"NOOP")
    client.send(rb"STORE 1:* FLAGS.SILENT (\Seen)")
    modseq = state_of(lab).modseq
    assert other.send(b"NOOP")[:-1] == [line % {b"n": n, b"m": modseq} for n in range(1, 1_105)]


def test_without_sequence_numbers(lab: Lab) -> None:
    """RFC 9586: answers name UIDs, and the command has to."""
    client = modern(lab, b"IMAP4rev2 UIDONLY")
    refusal = client.tagged(rb"STORE 1 FLAGS (\Seen)")
    assert refusal.startswith(b"BAD ")
    assert refusal.endswith(b"This session has UIDs only: use the UID form of the command")
    assert client.send(rb"UID STORE 2 FLAGS (\Seen)") == [rb"* 2 UIDFETCH (FLAGS (\Seen))", b"OK Stored"]


def test_many_messages_are_changed_in_slices(
    lab: Lab, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each slice has its own commit, and all of it one answer; the queue stays small."""
    lab.deliver(*[b"x"] * 3_000)
    client.send(b"NOOP")
    monkeypatch.setattr(store, "LONG_TAIL_SLICE", 1_000)
    before = lab.writes
    answers = client.send(b"STORE 1:* +FLAGS (\\Seen keyword-of-some-length)")
    assert lab.writes - before == 4
    assert len(answers) == 3_004 + 3
    assert client.largest_queue < 2 * 64 * 1024
    assert state_of(lab).unseen == 0


def test_sealed_rows_and_those_of_the_tail(lab: Lab, client: Client) -> None:
    """Numbers and flags are right over both."""
    lab.deliver(*[b"x"] * 600)
    client.send(b"NOOP")
    seal(lab)
    answers = client.send(rb"STORE 499:502,604 +FLAGS (\Seen)")
    expected = [rb"* %d FETCH (UID %d FLAGS (\Seen))" % (n, n) for n in (499, 500, 501, 502, 604)]
    assert answers == [*expected, b"OK Stored"]
    assert {uid for uid, flags in flags_of(lab).items() if flags} == {499, 500, 501, 502, 604}
