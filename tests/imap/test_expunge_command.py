"""EXPUNGE and UID EXPUNGE: RFC 9051 6.4.3, 6.4.9, RFC 4315 2.1, RFC 7162 3.2.7, 3.2.9."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fedaemon.imap.commands import expunge
from fedaemon.mailbox import reading
from fedaemon.store.spaces import MAIL_PURGE
from tests.imap.kept import flags_of, state_of
from tests.imap.lab import NOW_S, Client, Lab
from tests.imap.lab import modern as lab_client


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    lab = Lab(tmp_path)
    lab.deliver(*[b"Subject: %d\r\n\r\n" % number for number in range(1, 6)])
    yield lab
    lab.close()


@pytest.fixture
def client(lab: Lab) -> Client:
    client = modern(lab)
    client.send(rb"STORE 2,3,5 FLAGS.SILENT (\Deleted)")
    return client


def modern(lab: Lab, enable: bytes = b"IMAP4rev2", undelete_s: int = 1_000) -> Client:
    return lab_client(lab, enable, undelete_s=undelete_s)


def test_what_is_marked_goes(lab: Lab, client: Client) -> None:
    """Other sessions are told too, and it can be restored for a while."""
    other = modern(lab)
    expected = [b"* 5 EXPUNGE", b"* 3 EXPUNGE", b"* 2 EXPUNGE"]
    assert client.send(b"EXPUNGE") == [*expected, b"OK Expunged"]
    assert other.send(b"NOOP") == [*expected, b"OK Nothing done"]
    assert set(flags_of(lab)) == {1, 4}
    mailbox_id = lab.mailbox_id()
    assert lab.store.view(lambda snapshot: reading.mail(snapshot, mailbox_id, 2)) is not None
    due = [key[1] for key, _ in lab.store.view(lambda snapshot: list(snapshot.scan((MAIL_PURGE,))))]
    assert due == [NOW_S + 1_000]


def test_only_those_of_the_uids(lab: Lab, client: Client) -> None:
    """UIDs without \\Deleted, and such as are not there, are passed over."""
    assert client.send(b"UID EXPUNGE 1:3,9") == [b"* 3 EXPUNGE", b"* 2 EXPUNGE", b"OK Expunged"]
    assert set(flags_of(lab)) == {1, 4, 5}
    assert client.send(b"UID EXPUNGE 4") == [b"OK Expunged"]
    assert client.send(b"UID EXPUNGE *") == [b"* 3 EXPUNGE", b"OK Expunged"]


def test_only_what_the_session_was_told_of(lab: Lab, client: Client) -> None:
    """A message that came meanwhile, marked already, stays: the client has never seen it."""
    lab.deliver(b"new", flags=("\\Deleted",))
    assert client.send(b"EXPUNGE") == [
        b"* 5 EXPUNGE",
        b"* 3 EXPUNGE",
        b"* 2 EXPUNGE",
        b"* 3 EXISTS",
        b"OK Expunged",
    ]
    assert set(flags_of(lab)) == {1, 4, 6}
    assert client.send(b"EXPUNGE") == [b"* 3 EXPUNGE", b"OK Expunged"]


def test_nothing_to_expunge_writes_nothing(lab: Lab) -> None:
    """Also in a mailbox without messages."""
    client = modern(lab)
    modseq = state_of(lab).modseq
    assert client.send(b"EXPUNGE") == [b"OK Expunged"]
    assert state_of(lab).modseq == modseq
    assert client.tagged(b"SELECT Trash").startswith(b"OK ")
    assert client.send(b"EXPUNGE") == [b"OK Expunged"]


def test_the_highest_mod_sequence_with_qresync(lab: Lab) -> None:
    """RFC 7162 3.2.7: only when something went; VANISHED stands for EXPUNGE."""
    client = modern(lab, b"IMAP4rev2 QRESYNC")
    assert client.send(b"EXPUNGE") == [b"OK Expunged"]
    client.send(rb"STORE 2:3 FLAGS.SILENT (\Deleted)")
    assert client.send(b"UID EXPUNGE 1:*") == [b"* VANISHED 2:3", b"OK [HIGHESTMODSEQ 4] Expunged"]
    assert state_of(lab).modseq == 4


def test_a_mailbox_that_is_open_for_reading_is_not_changed(lab: Lab, client: Client) -> None:
    """EXAMINE."""
    client.send(b"EXAMINE INBOX")
    refusal = b"NO [READ-ONLY] The mailbox was opened for reading only"
    assert client.send(b"EXPUNGE") == [refusal]
    assert client.send(b"UID EXPUNGE 2") == [refusal]
    assert set(flags_of(lab)) == {1, 2, 3, 4, 5}


def test_many_go_in_slices_up_to_the_last_that_is_marked(
    lab: Lab, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What comes behind the last is not looked at."""
    monkeypatch.setattr(expunge, "SLICE", 1)
    client.send(rb"STORE 5 FLAGS.SILENT ()")
    before = lab.writes
    assert client.send(b"EXPUNGE") == [b"* 3 EXPUNGE", b"* 2 EXPUNGE", b"OK Expunged"]
    assert lab.writes - before == 3
