"""``fedaemonctl message show``, on a real store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fedaemon.delivery.records import MessageRecord, save_message
from fedaemon.mailbox.adding import thread_id
from fedaemon.store.content import MemoryContent
from fedaemon.store.interface import Transaction
from tests.ctl.mail_console import ALICE, NOW_MS, MailConsole

PREFIX = b"Return-Path: <bob@example.test>\r\n"
MESSAGE = (
    b"Date: Sun, 9 Sep 2001 03:46:40 +0200\r\nMessage-ID: <1@x>\r\nSubject: \x1b]0;a\ttitle\r\n"
    b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
    b"--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nhello\r\n--b\r\n"
    b"Content-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\nAAAA\r\n--b--\r\n"
)
QUEUE_ID = "01K2X4W7QBTN5R8M"


@pytest.fixture
def console(tmp_path: Path) -> Iterator[MailConsole]:
    console = MailConsole(tmp_path / "data")
    console.add("Work/2026", [MESSAGE], ("\\Seen", "$Junk"), internal_s=77, prefix=PREFIX)
    blobs = console.engine.blobs

    def submit(transaction: Transaction) -> None:
        blob = blobs.add(transaction, blobs.stage(MemoryContent(MESSAGE)))
        record = MessageRecord("bob@example.test", NOW_MS, len(MESSAGE), blob, 0, account="bob@example.test")
        save_message(transaction, QUEUE_ID, record)

    console.engine.transact(submit)
    yield console
    console.engine.close()


def test_a_message_in_a_mailbox(console: MailConsole) -> None:
    """Flags, dates, ids, size, structure and header; its prefix belongs to the header."""
    shown = console.json("message", "show", ALICE, "Work/2026", "1")
    facts = {
        "account": ALICE,
        "mailbox": "Work/2026",
        "uid": 1,
        "live": True,
        "flags": ["\\Seen", "$Junk"],
        "internal_s": 77,
        "saved_s": NOW_MS // 1000,
        "sent_s": 1_000_000_000,
        "zone_min": 120,
        "thread_id": f"T{thread_id(ALICE, '1@x'):x}",
        "modseq": 2,
        "size": len(PREFIX + MESSAGE),
        "prefix_octets": len(PREFIX),
        "indexed": True,
    }
    assert {name: shown[name] for name in facts} == facts
    assert shown["email_id"] == f"M{console.rows('Work/2026')[0].email:x}"
    assert [(part["section"], part["type"], part["octets"]) for part in shown["structure"]] == [
        ("", "multipart/mixed", len(MESSAGE) - MESSAGE.index(b"--b")),
        ("1", "text/plain", 5),
        ("2", "image/png", 4),
    ]
    assert shown["structure"][1]["charset"] == "utf-8"
    assert shown["structure"][2]["encoding"] == "base64"
    assert shown["header"].encode() == PREFIX + MESSAGE[: MESSAGE.index(b"--b")]


def test_an_expunged_message_that_is_kept(console: MailConsole) -> None:
    """It is shown, and not called live; what is purged, or never was, is not found."""
    console.text("mailbox", "expunge", ALICE, "Work/2026", "--all")
    shown = console.json("message", "show", ALICE, "Work/2026", "1")
    assert (shown["live"], shown["flags"]) == (False, ["\\Seen", "$Junk"])
    assert "live:          no" in console.text("message", "show", ALICE, "Work/2026", "1")
    assert "no UID 2" in console.refused("message", "show", ALICE, "Work/2026", "2")
    assert "no mailbox Play" in console.refused("message", "show", ALICE, "Play", "1")
    assert "a mailbox has a name" in console.refused("message", "show", ALICE, "", "1")


def test_a_message_in_the_queue(console: MailConsole) -> None:
    """By its id in any case."""
    shown = console.json("message", "show", QUEUE_ID.lower())
    assert (shown["queue_id"], shown["sender"], shown["redacted_ms"]) == (QUEUE_ID, "bob@example.test", None)
    assert (shown["size"], len(shown["structure"])) == (len(MESSAGE), 3)
    assert "no message 01X" in console.refused("message", "show", "01x")
    assert console.run("message", "show", ALICE, "INBOX") == 2
    assert console.run("message", "show", ALICE, "INBOX", "x") == 2


def test_raw_octets_and_nothing_else(console: MailConsole) -> None:
    """As they are stored."""
    console.text("message", "show", ALICE, "Work/2026", "1", "--raw")
    assert console.raw == PREFIX + MESSAGE
    console.text("message", "show", QUEUE_ID, "--raw")
    assert console.raw == MESSAGE


def test_people_see_text_only(console: MailConsole) -> None:
    """No control character of a sender reaches the terminal; parts can be had alone."""
    everything = console.text("message", "show", ALICE, "Work/2026", "1")
    assert "flags:         \\Seen $Junk" in everything
    assert "Subject: ?]0;a title\n" in everything
    assert "\x1b" not in everything
    header = console.text("message", "show", ALICE, "Work/2026", "1", "--headers")
    assert header.splitlines()[0] == "Return-Path: <bob@example.test>"
    assert "image/png" not in header
    structure = console.text("message", "show", QUEUE_ID, "--structure")
    assert structure.splitlines()[1].split()[:2] == ["whole", "multipart/mixed"]
    assert "Subject" not in structure
    assert everything.endswith(header)
    assert len(everything) > len(header) + len(structure)
