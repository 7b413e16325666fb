"""``fedaemonctl mailbox restore``, on a real store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fedaemon.ctl import mailbox_expunge, mailbox_restore
from fedaemon.mailbox import mailboxes, reading
from tests.ctl.mail_console import ALICE, BOB, NOW_MS, UNDELETE_S, MailConsole

CONTENTS = [
    b"Subject: number %d\r\nFrom: bob@example.test\r\n\r\nbody\r\n" % number for number in range(1, 6)
]
NOW_S = NOW_MS // 1000


@pytest.fixture
def console(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MailConsole]:
    """An INBOX of five, of which two were expunged a minute later, and one more after an hour."""
    console = MailConsole(tmp_path / "data")
    console.add("INBOX", CONTENTS, ("\\Seen", "\\Deleted", "$Junk"), internal_s=77)
    for now_s, uids in ((60, "2,3"), (3600, "5")):
        monkeypatch.setattr(mailbox_expunge, "now_ms", lambda now_s=now_s: NOW_MS + 1000 * now_s)
        console.text("mailbox", "expunge", ALICE, "INBOX", "--uid", uids)
    monkeypatch.setattr(mailbox_restore, "now_ms", lambda: NOW_MS + 7_200_000)
    yield console
    assert console.is_sound()
    console.engine.close()


def subjects(console: MailConsole, name: str = "INBOX") -> list[str]:
    return [each["subject"] for each in console.json("mailbox", "list", ALICE, "--mailbox", name)["messages"]]


def test_what_can_be_restored_is_listed(console: MailConsole) -> None:
    """When it went and why, until when it can come back, and what it is; deleted mailboxes too."""
    console.add("Work", CONTENTS[:2])
    console.text("mailbox", "delete", ALICE, "Work")
    listed = console.json("mailbox", "restore", ALICE, "--list")
    assert [(each["mailbox"], each["uid"], each["subject"]) for each in listed["messages"]] == [
        ("INBOX", 2, "number 2"),
        ("INBOX", 3, "number 3"),
        ("INBOX", 5, "number 5"),
    ]
    first = listed["messages"][0]
    assert (first["expunged_ms"], first["why"], first["restored"]) == (NOW_MS + 60_000, "expunged", False)
    assert first["until_ms"] == NOW_MS + 60_000 + 1000 * UNDELETE_S
    assert (first["size"], first["internal_s"], first["from"]) == (len(CONTENTS[1]), 77, "bob@example.test")
    (work,) = listed["mailboxes"]
    assert (work["name"], work["messages"], work["size"]) == ("Work", 2, 2 * len(CONTENTS[0]))
    assert work["until_ms"] == work["deleted_ms"] + 1000 * UNDELETE_S
    printed = console.text("mailbox", "restore", ALICE, "--list")
    assert "DELETED MAILBOX" in printed
    assert "number 5" in printed
    assert console.json("mailbox", "restore", ALICE, "INBOX", "--list")["mailboxes"] == []
    assert console.json("mailbox", "restore", BOB, "--list")["messages"] == []


def test_messages_come_back_by_uid(console: MailConsole) -> None:
    """With their flags but \\Deleted, dates and octets, under new UIDs."""
    done = console.json("mailbox", "restore", ALICE, "INBOX", "--uid", "3:4")
    assert done == {"account": ALICE, "mailbox": "INBOX", "restored": 1, "stopped": None}
    assert subjects(console) == ["number 1", "number 4", "number 3"]
    row = console.rows("INBOX")[-1]
    assert (row.uid, row.internal_s, row.saved_s) == (6, 77, NOW_S + 7200)
    kept = ("INBOX", CONTENTS[2], ("$Junk", "\\Seen"), 77)
    assert kept in console.kept()
    listed = console.json("mailbox", "restore", ALICE, "--list")["messages"]
    assert [(each["uid"], each["restored"]) for each in listed] == [(2, False), (3, True), (5, False)]
    assert "--list" in console.refused("mailbox", "restore", ALICE, "INBOX", "--uid", "1,4")


def test_a_mailbox_comes_back_as_of_a_time(console: MailConsole, monkeypatch: pytest.MonkeyPatch) -> None:
    """What went since, once, slice by slice."""
    monkeypatch.setattr(mailbox_restore, "SLICE", 1)
    half_an_hour_later = "2025-06-15T15:36:40Z"
    arguments = ("mailbox", "restore", ALICE, "INBOX", "--as-of")
    assert console.json(*arguments, half_an_hour_later)["restored"] == 1
    assert subjects(console) == ["number 1", "number 4", "number 5"]
    assert console.json(*arguments, "2025-06-15 15:06:40+00:00")["restored"] == 2
    assert console.json(*arguments, "2025-06-15 15:06:40+00:00")["restored"] == 0
    assert sorted(subjects(console)) == [f"number {number}" for number in range(1, 6)]
    assert console.json(*arguments, "1m")["restored"] == 0


def test_a_deleted_mailbox_comes_back(console: MailConsole) -> None:
    """The one deleted last, under its name or another one, with all that was in it."""
    console.add("Work", CONTENTS[:2])
    console.text("mailbox", "delete", ALICE, "Work")
    assert "no deleted mailbox Play" in console.refused(
        "mailbox", "restore", ALICE, "--mailbox-deleted", "Play"
    )
    done = console.json("mailbox", "restore", ALICE, "--mailbox-deleted", "Work", "--into", "Back/Work")
    assert done == {"account": ALICE, "mailbox": "Back/Work", "restored": 2, "stopped": None}
    assert subjects(console, "Back/Work") == ["number 1", "number 2"]
    assert "no deleted mailbox Work" in console.refused(
        "mailbox", "restore", ALICE, "--mailbox-deleted", "Work"
    )


def test_a_restored_tail_is_sealed(console: MailConsole) -> None:
    """Who restores much leaves chunks, and not a tail that the daemon has to work off."""
    console.add("INBOX", CONTENTS[:1] * 600)
    assert console.json("mailbox", "stats", ALICE)["total"]["chunks"] == 0
    console.text("mailbox", "restore", ALICE, "INBOX", "--as-of", "2025-06-15T15:06:40Z")
    total = console.json("mailbox", "stats", ALICE)["total"]
    assert (total["chunks"], total["tail"]) == (1, 608 - 500)
    inbox = console.engine.view(lambda s: mailboxes.need(s, ALICE, "INBOX"))
    chunk = console.engine.view(lambda s: reading.group(s, inbox.id, 64, 1))
    assert chunk[64].startswith(b"number 1\nnumber 2\n")


@pytest.mark.parametrize(
    "arguments",
    [
        ("--uid", "1"),
        ("--as-of", "1h"),
        ("INBOX", "--mailbox-deleted", "Work"),
        ("INBOX", "--uid", "1", "--into", "X"),
        ("INBOX", "--uid", "1;2"),
        ("INBOX", "--uid", "$"),
        ("INBOX", "--uid", "4294967296"),
        ("INBOX", "--as-of", "yesterday"),
        ("INBOX", "--mailbox-deleted", ""),
        ("INBOX",),
    ],
    ids=str,
)
def test_misuse_is_told(console: MailConsole, arguments: tuple[str, ...]) -> None:
    """Exit code 2, and nothing is done."""
    with pytest.raises(SystemExit) as ended:
        console.run("mailbox", "restore", ALICE, *arguments)
    assert ended.value.code == 2
    assert len(console.rows("INBOX")) == 2
