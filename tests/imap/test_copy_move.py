"""COPY and MOVE: RFC 9051 6.4.7, 6.4.8, RFC 4315 3, RFC 6851 3.3, 4.3, 4.4, RFC 2180 4.4.1, RFC 9208 4.3.1."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fedaemon.imap.commands import copy, move
from fedaemon.mailbox import state as states
from fedaemon.mailbox.mailboxes import delete
from fedaemon.store.errors import StoreFull
from fedaemon.store.interface import Transaction
from tests.imap.kept import flags_of, kept, state_of
from tests.imap.lab import ACCOUNT, NOW_S, Client, Lab, modern

GONE = b"NO [EXPUNGEISSUED] Some of the messages are gone; NOOP tells which"
TARGET = NOW_S + 3
"""UIDVALIDITY of Archive."""


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    lab = Lab(tmp_path)
    lab.deliver(*[b"Subject: %d\r\n\r\n" % number for number in range(1, 6)])
    yield lab
    lab.close()


@pytest.fixture
def client(lab: Lab) -> Client:
    return modern(lab)


def expunge_3(lab: Lab) -> None:
    """Another session expunges message 3."""
    other = modern(lab)
    other.send(rb"STORE 3 FLAGS.SILENT (\Deleted)")
    other.send(b"EXPUNGE")


def test_a_copy_has_all_that_the_message_has(lab: Lab, client: Client) -> None:
    """Flags with keywords, internal date, EMAILID and content."""
    lab.deliver(b"x", name="Archive", flags=("other",))
    client.send(rb"STORE 2,4 FLAGS.SILENT (\Seen word)")
    lab.now_s += 100
    assert client.send(b"COPY 2,4:5 Archive") == [b"OK [COPYUID %d 2,4:5 2:4] Copied" % TARGET]
    source, target = kept(lab), kept(lab, "Archive")
    assert [target[2], target[3], target[4]] == [source[2], source[4], source[5]]
    assert target[2].flags == {"\\Seen", "word"}
    assert target[2].internal_s == NOW_S


@pytest.mark.parametrize("verb", [b"COPY", b"MOVE"])
def test_without_a_target_nothing_happens(lab: Lab, client: Client, verb: bytes) -> None:
    """TRYCREATE; the same with nothing to do."""
    refusal = b"NO [TRYCREATE] there is no mailbox nowhere"
    assert client.send(verb + b" 1:5 nowhere") == [refusal]
    assert client.send(b"UID " + verb + b" 77 nowhere") == [refusal]
    assert set(flags_of(lab)) == {1, 2, 3, 4, 5}


@pytest.mark.parametrize(("verb", "text"), [(b"COPY", b"copy"), (b"MOVE", b"move")])
def test_uids_that_are_not_there(client: Client, verb: bytes, text: bytes) -> None:
    """OK without COPYUID; a number that is not there is another thing."""
    assert client.send(b"UID " + verb + b" 77 Archive") == [b"OK There is nothing to " + text]
    assert client.tagged(verb + b" 77 Archive").startswith(b"BAD ")


def test_a_copy_into_the_same_mailbox(lab: Lab, client: Client) -> None:
    """EXISTS comes before the tagged answer."""
    assert client.send(b"COPY 1:2 INBOX") == [b"* 7 EXISTS", b"OK [COPYUID %d 1:2 6:7] Copied" % NOW_S]
    assert kept(lab)[6] == kept(lab)[1]


def test_a_move_within_the_same_mailbox(lab: Lab, client: Client) -> None:
    """The messages are the last ones then."""
    assert client.send(b"MOVE 1:2 INBOX") == [
        b"* OK [COPYUID %d 1:2 6:7] Moved" % NOW_S,
        b"* 2 EXPUNGE",
        b"* 1 EXPUNGE",
        b"* 5 EXISTS",
        b"OK Moved",
    ]
    assert set(flags_of(lab)) == {3, 4, 5, 6, 7}


def test_a_copy_of_messages_that_are_gone(lab: Lab, client: Client) -> None:
    """By number nothing is copied and NO is said, by UID the others are (RFC 9051 6.4.9)."""
    expunge_3(lab)
    before = state_of(lab, "Archive")
    assert client.send(b"COPY 2:4 Archive")[-1] == GONE
    assert state_of(lab, "Archive") == before
    expected = b"OK [COPYUID %d 2,4 1:2] Copied" % TARGET
    assert client.send(b"UID COPY 2:4 Archive")[-1] == expected


@pytest.mark.parametrize("numbers", [b"MOVE 2:4", b"UID MOVE 2:4"])
def test_a_move_takes_what_is_there(lab: Lab, client: Client, numbers: bytes) -> None:
    """COPYUID tells which; it comes before the first EXPUNGE."""
    expunge_3(lab)
    assert client.send(numbers + b" Archive") == [
        b"* OK [COPYUID %d 2,4 1:2] Moved" % TARGET,
        b"* 4 EXPUNGE",
        b"* 3 EXPUNGE",
        b"* 2 EXPUNGE",
        b"OK Moved",
    ]
    assert set(flags_of(lab)) == {1, 5}
    assert set(flags_of(lab, "Archive")) == {1, 2}


def test_a_move_with_qresync(lab: Lab) -> None:
    """VANISHED, and the mod-sequence that is told by then."""
    client = modern(lab, b"IMAP4rev2 QRESYNC")
    assert client.send(b"MOVE 2:3 Archive") == [
        b"* OK [COPYUID %d 2:3 1:2] Moved" % TARGET,
        b"* VANISHED 2:3",
        b"OK [HIGHESTMODSEQ 3] Moved",
    ]
    assert state_of(lab).modseq == 3
    assert client.send(b"UID MOVE 2 Archive") == [b"OK There is nothing to move"]


def test_a_mailbox_that_is_open_for_reading(lab: Lab, client: Client) -> None:
    """It can be copied from, not moved from."""
    client.send(b"EXAMINE INBOX")
    assert client.send(b"MOVE 1 Archive") == [b"NO [READ-ONLY] The mailbox was opened for reading only"]
    assert client.send(b"COPY 1 Archive") == [b"OK [COPYUID %d 1 1] Copied" % TARGET]


def test_the_quota_counts_for_copies_only(lab: Lab) -> None:
    """A move makes nothing more."""
    octets = state_of(lab).octets
    client = modern(lab, quota_octets=octets + 20)
    refusal = client.tagged(b"COPY 1:2 Archive")
    assert refusal.startswith(b"NO [OVERQUOTA] ")
    assert client.send(b"MOVE 1:4 Archive")[-1] == b"OK Moved"
    assert client.tagged(b"COPY 1 Archive") == b"OK [COPYUID %d 5 5] Copied" % TARGET
    usage = lab.store.view(lambda snapshot: states.usage(snapshot, "account", ACCOUNT))
    assert usage.octets == octets + 14


def slices_of_two(lab: Lab, monkeypatch: pytest.MonkeyPatch, fail: Callable[[], object]) -> None:
    """Let COPY and MOVE go in slices of two, and *fail* run before their second write."""
    monkeypatch.setattr(copy, "SLICE", 2)
    monkeypatch.setattr(move, "SLICE", 2)
    write, writes = lab.write, list[int]()

    def counting(function: Callable[[Transaction], Any]) -> Any:
        writes.append(len(writes))
        if len(writes) == 2:
            fail()
        return write(function)

    monkeypatch.setattr(lab, "write", counting)


def full() -> None:
    raise StoreFull("cannot commit: no space left on device")


def test_many_go_in_slices(lab: Lab, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """They have one answer."""
    slices_of_two(lab, monkeypatch, lambda: None)
    assert client.send(b"COPY 1:5 Archive") == [b"OK [COPYUID %d 1:5 1:5] Copied" % TARGET]
    assert client.send(b"MOVE 1:5 Archive")[0] == b"* OK [COPYUID %d 1:5 6:10] Moved" % TARGET


def test_a_copy_that_fails_leaves_nothing(lab: Lab, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was copied by then is expunged again, and counts for nobody."""
    slices_of_two(lab, monkeypatch, full)
    usage = lab.store.view(lambda snapshot: states.usage(snapshot, "account", ACCOUNT))
    assert client.tagged(b"COPY 1:5 Archive").startswith(b"NO [UNAVAILABLE] ")
    assert kept(lab, "Archive") == {}
    assert lab.store.view(lambda snapshot: states.usage(snapshot, "account", ACCOUNT)) == usage
    assert len(kept(lab)) == 5


def test_a_copy_of_which_a_later_part_is_gone_leaves_nothing(
    lab: Lab, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another session comes between two slices."""
    other = modern(lab)
    other.send(rb"STORE 3 FLAGS.SILENT (\Deleted)")
    slices_of_two(lab, monkeypatch, lambda: _expunge(other))
    assert client.send(b"COPY 1:5 Archive")[-1] == GONE
    assert kept(lab, "Archive") == {}


def _expunge(other: Client) -> None:
    assert other.tagged(b"EXPUNGE") == b"OK Expunged"


def test_a_move_that_fails_half_way_says_what_was_moved(
    lab: Lab, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each message is in one of the two mailboxes."""
    slices_of_two(lab, monkeypatch, full)
    answers = client.send(b"MOVE 1:5 Archive")
    assert answers[:-1] == [b"* OK [COPYUID %d 1:2 1:2] Moved" % TARGET, b"* 2 EXPUNGE", b"* 1 EXPUNGE"]
    assert answers[-1].startswith(b"NO [UNAVAILABLE] ")
    assert set(kept(lab)) == {3, 4, 5}
    assert set(kept(lab, "Archive")) == {1, 2}


def test_a_target_that_is_deleted_meanwhile(
    lab: Lab, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was copied went with it."""
    write = lab.write
    slices_of_two(lab, monkeypatch, lambda: write(lambda t: delete(t, ACCOUNT, "Archive", NOW_S * 1000)))
    assert client.tagged(b"COPY 1:5 Archive") == b"NO [NONEXISTENT] the mailbox was deleted"
