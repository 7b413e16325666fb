"""``fedaemonctl mailbox``, on a real store."""

from __future__ import annotations

import argparse
import io
import json
import mailbox as stdlib_mailbox
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedaemon.ctl import mailbox
from fedaemon.ctl.command import DONE, REFUSED, Context
from fedaemon.ctl.mbox import write_mbox_message
from fedaemon.errors import MailError
from fedaemon.store.content import MemoryContent
from fedaemon.store.lmdb_engine import LmdbEngine
from tests.delivery.support import ALICE, BOB, World

PREFIX = b"Return-Path: <alice@example.test>\r\nDelivered-To: bob@example.test\r\n"
CONTENTS = [
    b"Subject: =?utf-8?q?gr=C3=BC=C3=9Fe?=\r\nFrom: Alice <alice@example.test>\r\n\r\n"
    b"From here on\r\n>From there\r\n",
    b"Subject: second\r\n\r\n" + b"x" * 100_000 + b"\r\nFrom \r\n",
    b"\r\nno header at all \xff\r\n",
]


class MailConsole:
    """A world on a real store, and the command line beside it."""

    def __init__(self, directory: Path) -> None:
        self.engine = LmdbEngine.open(directory)
        self.world = World(self.engine)
        self.world.manager.start()
        self.out = self.err = ""
        common = argparse.ArgumentParser(add_help=False)
        common.add_argument("--json", action="store_true")
        self.parser = argparse.ArgumentParser(prog="fedaemonctl")
        mailbox.register(self.parser.add_subparsers(required=True), common)

    def run(self, *arguments: str) -> int:
        """Run a command line; return its exit code."""
        parsed = self.parser.parse_args(("mailbox", *arguments))
        context = Context(Path("unused"), json=parsed.json, out=io.StringIO(), err=io.StringIO())
        context.__dict__["engine"] = self.engine
        try:
            code: int = parsed.run(context, parsed)
        except MailError as error:
            code = context.refuse(error.text)
        assert isinstance(context.out, io.StringIO)
        assert isinstance(context.err, io.StringIO)
        self.out, self.err = context.out.getvalue(), context.err.getvalue()
        return code

    def json(self, *arguments: str) -> Any:
        assert self.run(*arguments, "--json") == DONE
        return json.loads(self.out)


@pytest.fixture
def console(tmp_path: Path) -> Iterator[MailConsole]:
    console = MailConsole(tmp_path / "data")
    for octets in CONTENTS:
        console.world.submit(BOB, content=octets)
    yield console
    console.engine.close()


def test_list_shows_who_and_what(console: MailConsole) -> None:
    """UIDs, sizes, senders and decoded subjects."""
    listed = console.json("list", "Bob@example.test")
    assert listed["account"] == BOB
    (inbox,) = listed["mailboxes"]
    assert (inbox["name"], inbox["uidnext"]) == ("INBOX", 4)
    first = inbox["messages"][0]
    assert (first["uid"], first["subject"], first["from"]) == (1, "grüße", "Alice <alice@example.test>")
    assert [row["size"] for row in inbox["messages"]] == [len(PREFIX) + len(octets) for octets in CONTENTS]
    assert console.run("list", BOB) == DONE
    assert "INBOX: 3 messages" in console.out
    assert "grüße" in console.out


def test_an_account_without_mail_is_listed_and_exported_empty(console: MailConsole, tmp_path: Path) -> None:
    """It exists, so it is no error."""
    assert console.json("list", ALICE) == {"account": ALICE, "mailboxes": []}
    assert (
        console.json("export", ALICE, "--format", "eml", "--output", str(tmp_path / "out"))["messages"] == 0
    )
    assert list((tmp_path / "out").iterdir()) == []


def test_an_address_without_account_is_refused(console: MailConsole) -> None:
    """Exit code 1, and where to look."""
    assert console.run("list", "nobody@example.test") == REFUSED
    assert "account list" in console.err
    assert console.run("list", BOB, "--mailbox", "Nowhere") == REFUSED


def test_eml_files_are_byte_exact_and_in_order(console: MailConsole, tmp_path: Path) -> None:
    """One file for each message, as it was stored."""
    target = tmp_path / "deep" / "out"
    done = console.json("export", BOB, "--format", "eml", "--output", str(target))
    assert done == {"account": BOB, "mailbox": "INBOX", "format": "eml", "output": str(target), "messages": 3}
    assert [path.read_bytes() for path in sorted(target.rglob("*.eml"))] == [
        PREFIX + each for each in CONTENTS
    ]


def test_a_maildir_is_read_by_others(console: MailConsole, tmp_path: Path) -> None:
    """Python's own reader finds every message in it, byte for byte."""
    target = tmp_path / "maildir"
    assert console.run("export", BOB, "--format", "maildir", "--output", str(target)) == DONE
    found = stdlib_mailbox.Maildir(str(target), create=False)
    stored = sorted(PREFIX + each for each in CONTENTS)
    assert sorted(found.get_bytes(key) for key in found.keys()) == stored  # noqa: SIM118


def test_an_mbox_is_read_by_others(console: MailConsole, tmp_path: Path) -> None:
    """Python's own reader sees three messages; unquoted, they are what was stored."""
    target = tmp_path / "bob.mbox"
    assert console.run("export", BOB, "--format", "mbox", "--output", str(target)) == DONE
    assert target.read_bytes().startswith(b"From alice@example.test ")
    assert unquoted(target) == [PREFIX + each for each in CONTENTS]


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


def test_nothing_is_overwritten(console: MailConsole, tmp_path: Path) -> None:
    """A file or a directory with something in it is refused and left as it was."""
    taken = tmp_path / "taken"
    taken.write_text("mine")
    assert console.run("export", BOB, "--format", "mbox", "--output", str(taken)) == REFUSED
    assert console.run("export", BOB, "--format", "eml", "--output", str(taken)) == REFUSED
    assert taken.read_text() == "mine"
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    assert console.run("export", BOB, "--format", "maildir", "--output", str(tmp_path / "full")) == REFUSED
    assert "exists already" in console.err
