"""``fedaemonctl mailbox export``, on a real store: read by others, and by our own import."""

from __future__ import annotations

import mailbox as stdlib_mailbox
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fedaemon.ctl import exporting, mailbox_export
from fedaemon.ctl.mailbox_reading import rows
from fedaemon.ctl.mbox import write_mbox_message
from fedaemon.mailbox import mailboxes
from fedaemon.store.content import MemoryContent
from fedaemon.store.spaces import MAIL
from tests.ctl.mail_console import ALICE, BOB, MailConsole, Pressed

PREFIX = b"Return-Path: <alice@example.test>\r\nDelivered-To: bob@example.test\r\n"
CONTENTS = [
    b"Subject: =?utf-8?q?gr=C3=BC=C3=9Fe?=\r\nFrom: Alice <alice@example.test>\r\n\r\n"
    b"From here on\r\n>From there\r\n",
    b"Subject: second\r\n\r\n" + b"x" * 200_000 + b"\r\nFrom \r\n",
    b"\r\nno header at all \xff\r\n",
]
STORED = [PREFIX + each for each in CONTENTS]
DATE_S = 1_000_000_000


@pytest.fixture
def console(tmp_path: Path) -> Iterator[MailConsole]:
    console = MailConsole(tmp_path / "data")
    console.add("INBOX", CONTENTS, ("\\Seen",), internal_s=DATE_S, prefix=PREFIX)
    yield console
    console.engine.close()


def export(console: MailConsole, target: Path, *more: str, code: int = 0) -> Any:
    return console.json("mailbox", "export", ALICE, str(target), *more, code=code)


def test_eml_files_are_byte_exact_and_in_order(console: MailConsole, tmp_path: Path) -> None:
    """One file for each message, as it was stored, in a directory of its mailbox."""
    target = tmp_path / "deep" / "out"
    console.add("Work/2026", CONTENTS[:1])
    done = export(console, target, "--eml", "--mailbox", "inbox")
    assert done == {
        "account": ALICE,
        "directory": str(target),
        "messages": 3,
        "left": 0,
        "mailboxes": ["INBOX"],
        "without_keywords": 0,
        "skipped": [],
        "stopped": None,
    }
    assert [path.read_bytes() for path in sorted(target.rglob("*.eml"))] == STORED
    assert target.stat().st_mode & 0o777 == 0o700
    assert export(console, target, "--eml")["messages"] == 1
    path = target / "Work" / "2026" / "00000001.eml"
    assert path.read_bytes() == CONTENTS[0]


def test_a_maildir_is_read_by_others(console: MailConsole, tmp_path: Path) -> None:
    """Python's own reader finds every message, its flags and date, and the folders."""
    target = tmp_path / "maildir"
    console.add("Entwürfe & mehr/x", CONTENTS[:1], ("\\Flagged", "\\Answered"))
    export(console, target, "--maildir")
    found = stdlib_mailbox.Maildir(str(target), create=False)
    assert sorted(found.get_bytes(key) for key in found.keys()) == sorted(STORED)  # noqa: SIM118
    assert {each.get_flags() for each in found} == {"S"}
    assert {each.get_date() for each in found} == {DATE_S}
    assert "Entw&APw-rfe &- mehr.x" in found.list_folders()
    (inner,) = found.get_folder("Entw&APw-rfe &- mehr.x")
    assert inner.get_flags() == "FR"


def test_an_mbox_is_read_by_others(console: MailConsole, tmp_path: Path) -> None:
    """Python's own reader sees three messages; unquoted, they are what was stored."""
    export(console, tmp_path, "--mbox", "--mailbox", "INBOX")
    path = tmp_path / "INBOX.mbox"
    assert path.read_bytes().startswith(b"From alice@example.test Sun Sep  9 01:46:40 2001\n")
    assert unquoted(path) == STORED


def unquoted(path: Path) -> list[bytes]:
    """Return the messages of an mbox without the quoting of mboxrd."""
    found = stdlib_mailbox.mbox(str(path), create=False)
    # From_ line and the empty line behind each message belong to the format.
    raw = [found.get_bytes(key, from_=False) for key in found.keys()]  # noqa: SIM118
    return [re.sub(rb"(?m)^>(>*From )", rb"\1", octets) for octets in raw]


LINES = st.lists(
    st.sampled_from([b"From x", b">From ", b">>From x", b"From", b" From x", b"", b"a", b">"]), max_size=12
)


@settings(max_examples=100, deadline=None)
@given(LINES, st.integers(1, 20))
def test_mbox_quoting_can_be_undone(tmp_path_factory: Any, lines: list[bytes], piece: int) -> None:
    """Whatever the lines, and wherever the pieces of the content end."""
    octets = b"Subject: x\r\n\r\n" + b"".join(line + b"\r\n" for line in lines)

    class Pieces(MemoryContent):
        def chunks(self, size: int = 65536, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
            return super().chunks(piece)

    path = tmp_path_factory.mktemp("mbox") / "x"
    with path.open("wb") as output:
        write_mbox_message(output, Pieces(octets), b"", 0)
        write_mbox_message(output, Pieces(b"Subject: y\r\n\r\n"), b"Return-Path: <>\r\n", 0)
    assert unquoted(path) == [octets, b"Subject: y\r\n\r\n"]
    assert path.read_bytes().startswith(b"From MAILER-DAEMON Thu Jan  1 00:00:00 1970\n")


NAMES = st.lists(
    st.text(st.sampled_from("aB&.~ü-+日"), min_size=1, max_size=4)
    | st.sampled_from(["cur", "new", "tmp", ".."]),
    min_size=1,
    max_size=3,
).map("/".join)
MESSAGES = st.tuples(
    NAMES | st.just("INBOX") | st.just("INBOX/a"),
    LINES.map(lambda lines: b"Subject: x\r\n\r\n" + b"".join(line + b"\r\n" for line in lines)),
    st.sets(
        st.sampled_from(
            ["\\Seen", "\\Deleted", "\\Flagged", "\\Draft", "\\Answered", "$Forwarded", "$Junk", "b"]
        )
    ).map(lambda flags: tuple(sorted(flags))),
    st.integers(0, 2**32),
)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(MESSAGES, max_size=8))
def test_an_import_of_an_export_is_the_same(tmp_path_factory: Any, messages: list[Any]) -> None:
    """Folders, octets, flags, keywords and dates by Maildir; what has no name there is told and skipped."""
    directory = tmp_path_factory.mktemp("trip")
    console = MailConsole(directory / "data")
    try:
        for name, octets, flags, internal_s in messages:
            console.add(name, [octets], flags, internal_s=internal_s)
        skipped = set()
        if console.run("mailbox", "export", ALICE, str(directory / "out"), "--maildir", "--json"):
            skipped = {
                each["what"] for each in export(console, directory / "again", "--maildir", code=1)["skipped"]
            }
        console.text("mailbox", "import", BOB, "--maildir", str(directory / "out"))
        kept = [each for each in console.kept() if each[0] not in skipped]
        assert console.kept(BOB) == kept
        for name in skipped:
            parts = name.split("/")
            assert "." in name
            assert parts[0].startswith(".") or {"cur", "new", "tmp", ".."} & set(parts) or "." in parts
        assert sorted(path.name for path in directory.iterdir() if path.name != "again") == ["data", "out"]
        assert console.is_sound()
    finally:
        console.engine.close()


@settings(max_examples=20, deadline=None)
@given(st.lists(LINES, max_size=6), st.integers(86_400, 2**31))
def test_messages_and_dates_survive_an_mbox(
    tmp_path_factory: Any, bodies: list[Any], internal_s: int
) -> None:
    """Octet for octet."""
    directory = tmp_path_factory.mktemp("trip")
    console = MailConsole(directory / "data")
    try:
        contents = [b"Subject: x\r\n\r\n" + b"".join(line + b"\r\n" for line in lines) for lines in bodies]
        console.add("INBOX", contents, internal_s=internal_s)
        export(console, directory / "out", "--mbox", "--mailbox", "INBOX")
        console.text("mailbox", "import", BOB, "--mbox", str(directory / "out" / "INBOX.mbox"))
        assert console.kept(BOB) == console.kept()
        assert [row.internal_s for row in console.rows("INBOX", BOB)] == [internal_s] * len(contents)
    finally:
        console.engine.close()


class Interrupted(Exception):
    """Stands for kill -9."""


@pytest.mark.parametrize("form", ["maildir", "mbox", "eml"])
def test_what_was_interrupted_goes_on(
    console: MailConsole, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    """What is whole is left, what is not is written; after all runs it is as after one."""
    target = tmp_path / "out"
    real = MemoryContent.chunks
    left = [2]

    def dying(self: MemoryContent, *arguments: Any) -> Iterator[bytes]:
        left[0] -= 1
        yield next(real(self, 5))
        if not left[0]:
            raise Interrupted
        yield from real(self, 65536, 5)

    monkeypatch.setattr(MemoryContent, "chunks", dying)
    with pytest.raises(Interrupted):
        export(console, target, f"--{form}")
    left[0] = -1
    done = export(console, target, f"--{form}")
    assert (done["messages"], done["left"]) == ((3, 0) if form == "mbox" else (1, 2))
    again = export(console, target, f"--{form}")
    assert (again["messages"], again["left"]) == (0, 3)
    export(console, tmp_path / "once", f"--{form}")

    def files(top: Path) -> dict[str, bytes]:
        return {str(path.relative_to(top)): path.read_bytes() for path in top.rglob("*") if path.is_file()}

    assert files(target) == files(tmp_path / "once")


@pytest.mark.parametrize("form", ["maildir", "mbox"])
def test_ctrl_c_ends_it_between_two_messages(
    console: MailConsole, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    """Nothing that is not whole has a name."""
    monkeypatch.setattr(mailbox_export, "Interruption", Pressed)
    monkeypatch.setattr(Pressed, "looks", 2)
    done = export(console, tmp_path, f"--{form}", code=1)
    assert (done["messages"], done["stopped"]) == (0 if form == "mbox" else 2, "interrupted")
    assert "run it again" in console.err
    assert list(tmp_path.glob("*INBOX.mbox*")) == []


@pytest.mark.parametrize("form", ["maildir", "mbox", "eml"])
@pytest.mark.parametrize("name", ["..", "../x", "a/../../../x", "./x", "a/."], ids=str)
def test_no_name_leads_elsewhere(console: MailConsole, tmp_path: Path, name: str, form: str) -> None:
    """What a user calls a mailbox must not let an operator write outside the directory."""
    console.add(name, CONTENTS[:1])
    target = tmp_path / "one" / "two" / "three"
    done = export(console, target, f"--{form}", "--mailbox", name, code=1)
    assert [each["what"] for each in done["skipped"]] == [name]
    assert [path for path in (tmp_path / "one").rglob("*") if path.name not in ("two", "three")] == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "one"]


def test_a_name_with_a_dot_in_front_is_no_folder_of_a_maildir(console: MailConsole, tmp_path: Path) -> None:
    """As a directory it would be read as ``a/b``."""
    console.add(".a.b", CONTENTS[:1])
    assert export(console, tmp_path, "--maildir", "--mailbox", ".a.b", code=1)["skipped"][0]["what"] == ".a.b"
    assert export(console, tmp_path, "--eml", "--mailbox", ".a.b")["messages"] == 1


def test_a_file_that_a_crash_has_cut_off_is_written_anew(console: MailConsole, tmp_path: Path) -> None:
    """Whole ones are left, also when another program has changed their flags."""
    export(console, tmp_path, "--maildir")
    first, second, third = sorted((tmp_path / "cur").iterdir())
    first.write_bytes(b"cut")
    second.rename(tmp_path / "new" / second.name.partition(":")[0])
    done = export(console, tmp_path, "--maildir")
    assert (done["messages"], done["left"]) == (1, 2)
    assert first.read_bytes() in STORED
    assert len([*(tmp_path / "cur").iterdir(), *(tmp_path / "new").iterdir()]) == 3
    assert third.exists()


def test_keywords_of_another_server_keep_their_letters(console: MailConsole, tmp_path: Path) -> None:
    """Two sets of letters in one folder would give messages the wrong keywords."""
    (tmp_path / "dovecot-keywords").write_text("0 $NotJunk\n")
    console.add("INBOX", CONTENTS[:1], ("$Junk",))
    done = export(console, tmp_path, "--maildir", code=1)
    assert done["skipped"][0]["what"] == "INBOX"
    assert "another server" in done["skipped"][0]["why"]
    assert list((tmp_path / "cur").iterdir()) == []


def test_keywords_without_a_letter_are_told(console: MailConsole, tmp_path: Path) -> None:
    """A Maildir has 26 of them."""
    console.add("INBOX", CONTENTS[:1], tuple(f"word{number:02}" for number in range(exporting.KEYWORDS)))
    console.add("INBOX", CONTENTS[:1], ("one-more", "$forwarded"))
    assert export(console, tmp_path / "a", "--maildir")["without_keywords"] == 1
    names = [path.name.partition(":2,")[2] for path in (tmp_path / "a" / "cur").iterdir()]
    assert sorted(names) == ["P", "S", "S", "S", "abcdefghijklmnopqrstuvwxyz"]
    assert "1 have more keywords" in console.text(
        "mailbox", "export", ALICE, str(tmp_path / "b"), "--maildir"
    )


def test_a_lost_content_keeps_out_no_other(console: MailConsole, tmp_path: Path) -> None:
    """It is told, with exit code 1."""
    inbox = console.engine.view(lambda snapshot: mailboxes.need(snapshot, ALICE, "INBOX"))
    console.engine.transact(lambda transaction: transaction.delete((MAIL, inbox.id, 2)))
    done = export(console, tmp_path, "--mbox", "--mailbox", "INBOX", code=1)
    assert done["skipped"] == [{"what": "INBOX: UID 2", "why": "UID 2 is gone"}]
    assert unquoted(tmp_path / "INBOX.mbox") == [STORED[0], STORED[2]]
    assert "1 were skipped" in console.refused("mailbox", "export", ALICE, str(tmp_path / "x"), "--mbox")


def test_a_content_cut_off_leaves_nothing_in_an_mbox(console: MailConsole, tmp_path: Path) -> None:
    """Half a message would be read as a whole one."""
    (blob,) = [path for path in console.engine.layout.blobs.rglob("*") if path.is_file()]
    blob.write_bytes(blob.read_bytes()[:100_000])
    assert len(export(console, tmp_path, "--mbox", "--mailbox", "INBOX", code=1)["skipped"]) == 1
    assert unquoted(tmp_path / "INBOX.mbox") == [STORED[0], STORED[2]]


def test_a_directory_that_cannot_be_written_is_refused(console: MailConsole, tmp_path: Path) -> None:
    """With what the system says."""
    (tmp_path / "taken").write_text("mine")
    assert "File exists" in console.refused("mailbox", "export", ALICE, str(tmp_path / "taken"), "--eml")
    assert (tmp_path / "taken").read_text() == "mine"
    assert "no mailbox Nowhere" in console.refused(
        "mailbox", "export", ALICE, str(tmp_path / "x"), "--eml", "--mailbox", "Nowhere"
    )


def test_a_keyword_that_comes_meanwhile_has_no_name_yet(
    console: MailConsole, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is left out; the message is written."""

    def later(context: Any, mailbox_id: str) -> Iterator[Any]:
        console.add("INBOX", CONTENTS[:1], ("$Late", "\\Seen"))
        return rows(context, mailbox_id)

    monkeypatch.setattr(mailbox_export, "rows", later)
    assert export(console, tmp_path, "--maildir", "--mailbox", "INBOX")["messages"] == 4
    assert {path.name.partition(":2,")[2] for path in (tmp_path / "cur").iterdir()} == {"S"}
