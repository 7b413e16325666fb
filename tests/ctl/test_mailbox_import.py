"""``fedaemonctl mailbox import``, on a real store."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fedaemon.ctl import importing, mailbox_import
from fedaemon.ctl.import_marks import Marks
from fedaemon.ctl.maildir import Found, Skipped, read_maildir
from fedaemon.mailbox import keeping, mailboxes, words
from fedaemon.mailbox import state as states
from fedaemon.mailbox.shaping import Shaped, read_shaped
from fedaemon.store.content import whole
from fedaemon.store.errors import StoreFull
from fedaemon.store.interface import Content, Snapshot, Transaction
from fedaemon.store.spaces import BLOB, IMPORTED
from tests.ctl.mail_console import ALICE, BOB, MailConsole, Pressed

DATE_S = 1_000_000_000


@pytest.fixture
def console(tmp_path: Path) -> Iterator[MailConsole]:
    console = MailConsole(tmp_path / "data")
    yield console
    assert console.is_sound()
    console.engine.close()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A Maildir with five messages in INBOX and two in Work/2026."""
    top = tmp_path / "Maildir"
    for number in range(1, 6):
        put(top, f"{number}.host:2,{'S' * (number % 2)}a", message(number))
    (top / "dovecot-keywords").write_text("0 $Junk\n")
    for number in (6, 7):
        put(top / ".Work.2026", f"{number}.host:2,F", message(number))
    return top


def message(number: int) -> bytes:
    return b"Message-ID: <%d@x>\nDate: Sun, 9 Sep 2001 01:46:%02d +0000\n\nbody\n" % (number, number)


def put(folder: Path, name: str, data: bytes) -> None:
    (folder / "cur").mkdir(parents=True, exist_ok=True)
    path = folder / "cur" / name
    path.write_bytes(data)
    os.utime(path, (DATE_S, DATE_S))


def run(console: MailConsole, source: Path, *more: str, code: int = 0) -> Any:
    how = "--maildir" if source.is_dir() else "--mbox"
    return console.json("mailbox", "import", ALICE, how, str(source), *more, code=code)


def marks(console: MailConsole) -> int:
    return console.engine.view(lambda snapshot: len(list(snapshot.scan((IMPORTED,)))))


def counts(console: MailConsole) -> dict[str, int]:
    found = console.json("mailbox", "list", ALICE)["mailboxes"]
    return {each["name"]: each["messages"] for each in found if each["messages"]}


def test_folders_flags_keywords_and_dates_are_kept(console: MailConsole, source: Path) -> None:
    """Mailboxes that are missing are made and subscribed to; shapes are there, so sent times are."""
    done = run(console, source)
    octets = len(message(1)) + message(1).count(b"\n")
    assert done == {
        "account": ALICE,
        "source": str(source),
        "dry_run": False,
        "messages": 7,
        "octets": 7 * octets,
        "already": 0,
        "mailboxes": [
            {"name": "INBOX", "messages": 5, "octets": 5 * octets},
            {"name": "Work/2026", "messages": 2, "octets": 2 * octets},
        ],
        "skipped": [],
        "stopped": None,
    }
    kept = console.kept()
    assert kept[0] == ("INBOX", message(1).replace(b"\n", b"\r\n"), ("$Junk", "\\Seen"), DATE_S)
    assert kept[-1] == ("Work/2026", message(7).replace(b"\n", b"\r\n"), ("\\Flagged",), DATE_S)
    assert [row.sent_s for row in console.rows("Work/2026")] == [DATE_S - 34, DATE_S - 33]
    assert "Work/2026" in console.engine.view(lambda s: mailboxes.subscriptions(s, ALICE))
    assert marks(console) == 0
    assert console.kept(BOB) == []


def test_into_a_folder(console: MailConsole, source: Path) -> None:
    """INBOX becomes that folder, the others are below it."""
    run(console, source, "--into", "Old")
    assert counts(console) == {"Old": 5, "Old/Work/2026": 2}


def test_an_mbox(console: MailConsole, tmp_path: Path) -> None:
    """It goes into INBOX, or where it is told."""
    path = tmp_path / "mbox"
    path.write_bytes(b"From a@b Sun Sep  9 01:46:40 2001\n" + message(1) + b"\n")
    run(console, path)
    run(console, path, "--into", "Old")
    assert counts(console) == {"INBOX": 1, "Old": 1}
    assert console.rows("Old")[0].internal_s == DATE_S


def test_a_dry_run_changes_nothing(console: MailConsole, source: Path) -> None:
    """It says what would be, and what would be skipped."""
    (source / "cur" / "link").symlink_to("5.host:2,S")
    before = console.engine.last_transaction_id()
    done = run(console, source, "--dry-run", code=1)
    assert (done["messages"], [each["why"] for each in done["skipped"]]) == (7, ["a symbolic link"])
    assert console.engine.last_transaction_id() == before


class Interrupted(Exception):
    """Stands for kill -9."""


def test_what_was_interrupted_goes_on(
    console: MailConsole, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whenever the process dies, the next run adds the rest, and nothing twice."""
    monkeypatch.setattr(importing, "BATCH", 2)
    transact = console.engine.transact
    seen = [0]
    for allowed in range(1, 20):
        left = [allowed]

        def dying(function: Any, left: list[int] = left) -> Any:
            left[0] -= 1
            if left[0] < 0:
                raise Interrupted
            return transact(function)

        monkeypatch.setattr(console.engine, "transact", dying)
        try:
            run(console, source)
        except Interrupted:
            kept = console.kept()
            assert len(kept) == len(set(kept))
            seen.append(len(kept))
        else:
            break
    assert len(console.kept()) == len(set(console.kept())) == 7
    assert seen == sorted(seen)
    assert {0, 2, 5} <= set(seen)
    assert marks(console) == 0


def test_an_end_is_remembered_until_all_marks_are_gone(
    console: MailConsole, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who dies while the marks are removed has imported all; only the run after that begins anew."""
    monkeypatch.setattr("fedaemon.ctl.import_marks.SLICE", 3)

    real = Marks.forget
    removed: list[int] = []

    def once(self: Marks, transaction: Transaction) -> bool:
        if removed:
            raise Interrupted
        removed.append(1)
        return real(self, transaction)

    monkeypatch.setattr(Marks, "forget", once)
    with pytest.raises(Interrupted):
        run(console, source)
    assert marks(console) == 1 + 7 - 3
    monkeypatch.setattr(Marks, "forget", real)
    assert run(console, source, "--dry-run")["messages"] == 0
    assert run(console, source)["messages"] == 0
    assert marks(console) == 0
    assert len(console.kept()) == 7


def test_what_was_skipped_can_be_added_later(console: MailConsole, source: Path) -> None:
    """With exit code 1 and the reason; the others are not added again, unless that is asked for."""
    put(source / (".No" + "x" * 200), "1.host", message(8))
    done = run(console, source, code=1)
    assert (done["messages"], done["skipped"][0]["why"]) == (7, "a mailbox name has at most 200 octets")
    assert "1 were skipped" in console.err
    (source / (".No" + "x" * 200)).rename(source / ".Yes")
    done = run(console, source)
    assert (done["messages"], done["already"], counts(console)["Yes"]) == (1, 7, 1)
    put(source, "9.host", message(9))
    (source / "cur" / "link").symlink_to("nowhere")
    assert run(console, source, code=1)["messages"] == 9
    assert run(console, source, "--anew", code=1)["messages"] == 9
    assert len(console.kept()) == 8 + 9 + 9


def test_another_message_in_the_same_place_is_another(console: MailConsole, source: Path) -> None:
    """Marks are not for the name alone; and what has only got other flags is the same."""
    (source / "cur" / "link").symlink_to("nowhere")
    run(console, source, code=1)
    put(source / ".Work.2026", "6.host:2,F", message(6) + b"more\n")
    (source / "cur" / "1.host:2,Sa").rename(source / "cur" / "1.host:2,RSa")
    assert run(console, source, code=1)["messages"] == 1
    assert run(console, source, "--into", "Elsewhere", code=1)["messages"] == 7


def test_one_message_that_is_refused_keeps_out_no_other(console: MailConsole, source: Path) -> None:
    """A keyword too many for the mailbox is the fault of the messages that have it."""

    def fill(transaction: Transaction) -> None:
        inbox = mailboxes.need(transaction, ALICE, "INBOX")
        words.make_flag_bits(transaction, inbox.id, [f"word{number}" for number in range(words.MAX_KEYWORDS)])

    console.engine.transact(fill)
    put(source, "5.host:2,a", message(5) + b"x" * 200_000)
    (source / "cur" / "5.host:2,Sa").unlink()
    put(source, "8.host:2,S", message(8))
    done = run(console, source, code=1)
    assert list(console.engine.layout.blobs.rglob("*/*")) == []
    assert [each["what"] for each in done["skipped"]] == [f"INBOX: {number}.host" for number in range(1, 6)]
    assert "128 keywords" in done["skipped"][0]["why"]
    assert counts(console) == {"INBOX": 1, "Work/2026": 2}
    assert console.engine.view(lambda s: len(list(s.scan((BLOB,))))) == 3


def test_a_file_that_changes_meanwhile_is_skipped(
    console: MailConsole, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Large or small: nothing of it stays."""
    put(source, "8.host", message(8) + b"x" * (importing.MEMORY_OCTETS + 1))

    def reading(top: Path) -> Iterable[Found | Skipped]:
        found = list(read_maildir(top))
        put(top, "8.host", b"shorter")
        put(top, "3.host:2,Sa", b"shorter")
        return found

    monkeypatch.setattr(mailbox_import, "read_maildir", reading)
    done = run(console, source, code=1)
    assert (done["messages"], [each["what"] for each in done["skipped"]]) == (
        6,
        ["INBOX: 3.host", "INBOX: 8.host"],
    )
    assert "changed" in done["skipped"][0]["why"]
    assert list(console.engine.layout.blobs.rglob("*/*")) == []


def test_a_large_message_is_a_file(console: MailConsole, tmp_path: Path) -> None:
    """Octet for octet, spooled on its way."""
    octets = message(1).replace(b"\n", b"\r\n") + b"x" * (importing.MEMORY_OCTETS + 5) + b"\r\n"
    put(tmp_path / "Large", "1.host", octets)
    run(console, tmp_path / "Large")
    assert [each[1] for each in console.kept()] == [octets]
    assert len(list(console.engine.layout.blobs.rglob("*/*"))) == 1


def test_a_full_disk_stops_it(console: MailConsole, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is in stays in; the next run adds the rest."""
    monkeypatch.setattr(importing, "BATCH", 2)
    check = console.engine.check_space
    room = [3]

    def full(octets: int = 0) -> None:
        room[0] -= 1
        if not room[0]:
            raise StoreFull("there is no room")
        check(octets)

    monkeypatch.setattr(console.engine, "check_space", full)
    done = run(console, source, code=1)
    assert (done["messages"], done["stopped"]) == (4, "there is no room")
    assert "run it again" in console.err
    done = run(console, source)
    assert (done["messages"], done["already"]) == (3, 4)


def test_ctrl_c_ends_it_between_two_messages(
    console: MailConsole, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is in is told; the next run adds the rest."""
    monkeypatch.setattr(importing, "BATCH", 2)
    monkeypatch.setattr(importing, "Interruption", Pressed)
    monkeypatch.setattr(Pressed, "looks", 5)
    done = run(console, source, code=1)
    assert (done["messages"], done["stopped"], len(console.kept())) == (4, "interrupted", 4)
    monkeypatch.setattr(Pressed, "looks", 100)
    assert run(console, source)["messages"] == 3


def test_a_shape_that_cannot_be_made_keeps_no_message_out(
    console: MailConsole, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The upkeep makes it later, and only then the tail can become a chunk."""
    monkeypatch.setattr(keeping, "CHUNK_ROWS", 5)
    monkeypatch.setattr(keeping.to_seal, "__defaults__", (5,))

    def failing(content: Content) -> Shaped:
        if b"<3@x>" in whole(content):
            raise ZeroDivisionError
        return read_shaped(content)

    monkeypatch.setattr(importing, "read_shaped", failing)
    assert run(console, source)["messages"] == 7
    assert console.json("mailbox", "stats", ALICE)["total"]["chunks"] == 0
    monkeypatch.setattr(importing, "read_shaped", read_shaped)
    run(console, source, "--into", "Shaped")
    assert console.json("mailbox", "stats", ALICE)["total"]["chunks"] == 1


def test_a_place_without_mail_is_refused(console: MailConsole, tmp_path: Path) -> None:
    """No Maildir, no mbox, no account, or an account that is an alias of nobody."""
    assert "no Maildir" in console.refused("mailbox", "import", ALICE, "--maildir", str(tmp_path))
    assert "cannot be read" in console.refused("mailbox", "import", ALICE, "--mbox", str(tmp_path / "none"))
    assert "no account" in console.refused("mailbox", "import", "x@example.test", "--mbox", str(tmp_path))


def test_what_people_read(console: MailConsole, source: Path) -> None:
    """Mailboxes with their counts, what was skipped and why."""
    (source / "cur" / "li\x1bnk").symlink_to("nowhere")
    assert "1 were skipped" in console.refused("mailbox", "import", ALICE, "--maildir", str(source))
    assert "Work/2026  2 " in console.out
    assert "li?nk  a symbolic link" in console.out
    assert f"7 messages of {source} are added for {ALICE}" in console.out
    console.refused("mailbox", "import", ALICE, "--maildir", str(source))
    assert "7 were in it from an earlier run" in console.out


def test_long_tails_become_chunks(console: MailConsole, tmp_path: Path) -> None:
    """No daemon need be running for that; texts are in them."""
    path = tmp_path / "mbox"
    one = b"From a@b Sun Sep  9 01:46:40 2001\nSubject: find me\n\nbody\n\n"
    path.write_bytes(one * (2 * keeping.CHUNK_ROWS + 10))
    run(console, path)

    def look(snapshot: Snapshot) -> states.State:
        return states.load(snapshot, mailboxes.need(snapshot, ALICE, "INBOX").id)

    state = console.engine.view(look)
    assert (state.exists, state.tail, state.generation) == (1010, 10, 2)
