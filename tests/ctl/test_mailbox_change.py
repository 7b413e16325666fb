"""``fedaemonctl mailbox list, create, rename, delete, stats, expunge``, on a real store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fedaemon.ctl import mailbox_expunge, mailbox_reading, slices
from fedaemon.ctl.mailbox_reading import rows
from fedaemon.mailbox import changing, keeping, mailboxes
from fedaemon.mailbox import columns as c
from fedaemon.mailbox import state as states
from fedaemon.mailbox.rows import Row
from fedaemon.store.interface import Transaction
from fedaemon.store.spaces import MAIL
from tests.ctl.mail_console import ALICE, BOB, NOW_MS, UNDELETE_S, MailConsole, Pressed

HELLO = (
    b"Subject: =?utf-8?q?gr=C3=BC=C3=9Fe=1B?=\r\nFrom: Bob <bob@example.test>\r\n\r\nhello\r\n",
    b"Subject: second\r\n\r\n" + b"x" * 200_000 + b"\r\n",
    b"\r\nno header at all \xff\r\n",
)


@pytest.fixture
def console(tmp_path: Path) -> Iterator[MailConsole]:
    console = MailConsole(tmp_path / "data")
    yield console
    assert console.is_sound()
    console.engine.close()


def at(monkeypatch: pytest.MonkeyPatch, now_ms: int) -> None:
    """Let the commands believe that it is *now_ms*."""
    monkeypatch.setattr(mailbox_expunge, "now_ms", lambda: now_ms)


def names(console: MailConsole, account: str = ALICE) -> list[str]:
    return [each["name"] for each in console.json("mailbox", "list", account)["mailboxes"]]


def uids(console: MailConsole, name: str = "INBOX") -> list[int]:
    return [row.uid for row in console.rows(name)]


def test_mailboxes_are_listed(console: MailConsole) -> None:
    """Counters, UIDVALIDITY and special use of each; an address with a tag is that account's."""
    console.add("INBOX", HELLO[:2])
    console.add("INBOX", HELLO[2:], ("\\Seen",))
    listed = console.json("mailbox", "list", "Alice+tag@example.test")
    assert listed["account"] == ALICE
    found = {each["name"]: each for each in listed["mailboxes"]}
    assert set(found) == set(mailboxes.STANDARD)
    inbox = found["INBOX"]
    assert (inbox["messages"], inbox["unseen"], inbox["size"]) == (3, 2, sum(map(len, HELLO)))
    assert (inbox["uidnext"], inbox["special_use"], inbox["subscribed"]) == (4, None, True)
    assert found["Sent"]["special_use"] == "\\Sent"
    assert found["Sent"]["uidvalidity"] != inbox["uidvalidity"]
    assert f"INBOX    3         2       {sum(map(len, HELLO))}" in console.text("mailbox", "list", ALICE)


def test_messages_are_listed(console: MailConsole, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every message once, slice by slice, sealed or not; what cannot be read hides no other."""
    monkeypatch.setattr(mailbox_reading, "SLICE", 2)
    console.add("INBOX", HELLO)
    console.add("INBOX", HELLO[:2], ("\\Seen", "$Junk"), internal_s=5)

    def change(transaction: Transaction) -> None:
        inbox = mailboxes.need(transaction, ALICE, "INBOX")
        uids = keeping.to_seal(transaction, inbox.id, 3)
        keeping.seal(transaction, inbox.id, uids, keeping.gather_texts(transaction, inbox.id, uids))

    console.engine.transact(change)
    listed = console.json("mailbox", "list", ALICE, "--mailbox", "inbox")
    assert listed["mailbox"] == "INBOX"
    assert [each["uid"] for each in listed["messages"]] == [1, 2, 3, 4, 5]
    first, *_, last = listed["messages"]
    assert (first["from"], first["subject"], first["flags"]) == ("Bob <bob@example.test>", "grüße\ufffd", [])
    assert (last["flags"], last["internal_s"], last["size"]) == (["\\Seen", "$Junk"], 5, len(HELLO[1]))
    assert "grüße" in console.text("mailbox", "list", ALICE, "--mailbox", "INBOX")

    inbox = console.engine.view(lambda s: mailboxes.need(s, ALICE, "INBOX"))
    mail = console.engine.view(lambda s: s.get((MAIL, inbox.id, 2)))
    assert mail is not None
    console.engine.transact(lambda t: t.delete((MAIL, inbox.id, 2)))
    listed = console.json("mailbox", "list", ALICE, "--mailbox", "INBOX")
    assert [each["subject"] for each in listed["messages"]][1:3] == ["(UID 2 is gone)", ""]
    console.engine.transact(lambda t: t.put((MAIL, inbox.id, 2), mail))


def test_who_is_not_there_is_refused(console: MailConsole) -> None:
    """Exit code 1, and where to look."""
    assert "account list" in console.refused("mailbox", "list", "nobody@example.test")
    assert "no mailbox Nowhere" in console.refused("mailbox", "list", ALICE, "--mailbox", "Nowhere")
    assert "no mailbox Nowhere" in console.refused("mailbox", "expunge", ALICE, "Nowhere", "--all")
    with pytest.raises(SystemExit) as ended:
        console.run("mailbox", "create", ALICE, "bad\nname")
    assert ended.value.code == 2


def test_mailboxes_are_made_renamed_and_deleted(console: MailConsole) -> None:
    """With what is above and below them; subscriptions follow; all names of a command or none."""
    assert console.json("mailbox", "create", ALICE, "Work/2026", "Play") == {
        "account": ALICE,
        "mailboxes": ["Work/2026", "Play"],
    }
    assert {"Work", "Work/2026", "Play"} < set(names(console))
    assert "already" in console.refused("mailbox", "create", ALICE, "New", "Play")
    assert "New" not in names(console)
    console.text("mailbox", "rename", ALICE, "Work", "Old/Work")
    assert {"Old", "Old/Work", "Old/Work/2026"} < set(names(console))
    assert "Work" not in names(console)
    subscribed = console.engine.view(lambda s: mailboxes.subscriptions(s, ALICE))
    assert {"Old/Work/2026", "Play"} < subscribed
    assert "Work/2026" not in subscribed
    assert "INBOX" in console.refused("mailbox", "delete", ALICE, "Play", "INBOX")
    assert "Play" in names(console)
    assert "--mailbox-deleted Play" in console.text("mailbox", "delete", ALICE, "Play")
    assert "Play" not in names(console)
    assert "Play" not in console.engine.view(lambda s: mailboxes.subscriptions(s, ALICE))
    assert names(console, BOB) == sorted(mailboxes.STANDARD)


@pytest.mark.parametrize(
    ("how", "left"),
    [
        (("--deleted",), [1, 2, 5]),
        (("--uid", "2,4:*"), [1, 3]),
        (("--uid", "*"), [1, 2, 3, 4]),
        (("--older-than", "1d"), [3, 4, 5]),
        (("--all",), []),
    ],
    ids=["deleted", "uids", "last", "older", "all"],
)
def test_what_is_chosen_is_expunged(
    console: MailConsole, monkeypatch: pytest.MonkeyPatch, how: tuple[str, ...], left: list[int]
) -> None:
    """That and no other, slice by slice; it says until when it can be restored."""
    monkeypatch.setattr(mailbox_expunge, "SLICE", 2)
    at(monkeypatch, NOW_MS)
    console.add("INBOX", [HELLO[0]] * 2, internal_s=NOW_MS // 1000 - 86_401)
    console.add("INBOX", [HELLO[0]] * 2, ("\\Deleted",), internal_s=NOW_MS // 1000 - 86_400)
    console.add("INBOX", [HELLO[0]])
    done = console.json("mailbox", "expunge", ALICE, "INBOX", *how)
    assert done == {
        "account": ALICE,
        "mailbox": "INBOX",
        "expunged": 5 - len(left),
        "restorable_until_ms": NOW_MS + 1000 * UNDELETE_S,
        "stopped": None,
    }
    assert uids(console) == left


def test_what_is_not_deleted_any_more_stays(console: MailConsole, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody has taken the flag off since the command looked."""
    console.add("INBOX", HELLO, ("\\Deleted",))

    def later(context: Any, mailbox_id: str, table: bytes) -> list[Row]:
        found = list(rows(context, mailbox_id, table))
        console.engine.transact(
            lambda t: changing.change_flags(t, mailbox_id, ((2, 2),), changing.Mode.REMOVE, c.DELETED)
        )
        return found

    monkeypatch.setattr(mailbox_expunge, "rows", later)
    assert console.json("mailbox", "expunge", ALICE, "INBOX", "--deleted")["expunged"] == 2
    assert uids(console) == [2]


def test_expunging_asks_on_a_terminal(console: MailConsole, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who says no keeps all; --yes is not asked."""
    console.add("INBOX", HELLO)

    class Terminal:
        def isatty(self) -> bool:
            return True

        def readline(self) -> str:
            return "n\n"

    monkeypatch.setattr("sys.stdin", Terminal())
    assert "nothing was expunged" in console.refused("mailbox", "expunge", ALICE, "INBOX", "--all")
    assert "expunge 3 messages of alice@example.test INBOX?" in console.err
    assert uids(console) == [1, 2, 3]
    assert "restore alice@example.test INBOX --list" in console.text(
        "mailbox", "expunge", ALICE, "INBOX", "--all", "--yes"
    )
    assert uids(console) == []


def test_what_a_store_refuses_ends_an_expunge(console: MailConsole, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was done before stays done, and is told."""
    monkeypatch.setattr(mailbox_expunge, "SLICE", 2)
    console.add("INBOX", [HELLO[0]] * 3)
    expunge = changing.expunge
    calls = []

    def once(*arguments: Any, **named: Any) -> Any:
        calls.append(arguments)
        if len(calls) > 1:
            raise states.MailboxGone
        return expunge(*arguments, **named)

    monkeypatch.setattr(changing, "expunge", once)
    done = console.json("mailbox", "expunge", ALICE, "INBOX", "--all", code=1)
    assert (done["expunged"], done["stopped"]) == (2, "the mailbox was deleted")
    assert "run it again" in console.err
    assert uids(console) == [3]


def test_ctrl_c_ends_an_expunge(console: MailConsole, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between two transactions; what was done is told."""
    monkeypatch.setattr(mailbox_expunge, "SLICE", 2)
    monkeypatch.setattr(slices, "Interruption", Pressed)
    monkeypatch.setattr(Pressed, "looks", 2)
    console.add("INBOX", [HELLO[0]] * 5)
    done = console.json("mailbox", "expunge", ALICE, "INBOX", "--all", code=1)
    assert (done["expunged"], done["stopped"]) == (4, "interrupted")
    assert uids(console) == [5]


def test_statistics_count_mailboxes_and_all(console: MailConsole) -> None:
    """By mailbox, the deleted ones too, and in total; for one account, or all."""
    console.add("INBOX", HELLO, ("\\Deleted",))
    console.add("Gone", HELLO[:1])
    console.add("INBOX", HELLO[:1], account=BOB)
    console.text("mailbox", "expunge", ALICE, "INBOX", "--uid", "1")
    console.text("mailbox", "delete", ALICE, "Gone")

    def change(transaction: Transaction) -> None:
        inbox = mailboxes.need(transaction, ALICE, "INBOX")
        uids = keeping.to_seal(transaction, inbox.id, 2)
        keeping.seal(transaction, inbox.id, uids, keeping.gather_texts(transaction, inbox.id, uids))

    console.engine.transact(change)
    shown = console.json("mailbox", "stats", ALICE)
    found = {each["name"]: each for each in shown["mailboxes"]}
    inbox = found["INBOX"]
    counters = ("messages", "unseen", "deleted", "expunged", "expunged_size", "chunks", "tail")
    assert [inbox[name] for name in counters] == [2, 2, 2, 1, len(HELLO[0]), 1, 1]
    assert inbox["size"] == len(HELLO[1]) + len(HELLO[2])
    assert (inbox["deleted_s"], found["Gone"]["messages"]) == (None, 1)
    assert found["Gone"]["deleted_s"] > 0
    assert shown["total"]["messages"] == 3
    assert console.json("mailbox", "stats")["total"]["messages"] == 4
    printed = console.text("mailbox", "stats")
    assert "(Gone)" in printed
    assert printed.splitlines()[-1].split()[:2] == ["total", "4"]
