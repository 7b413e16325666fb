"""fedaemonctl on a store with two accounts and their mailboxes."""

from __future__ import annotations

import argparse
import io
import json
from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

from fedaemon.accounts import directory
from fedaemon.accounts.records import Domain
from fedaemon.config import Mailboxes
from fedaemon.ctl import mailbox, message
from fedaemon.ctl.command import Context
from fedaemon.ctl.store import CHECKERS
from fedaemon.ctl.terminal import Interruption
from fedaemon.errors import MailError
from fedaemon.mailbox import mailboxes, reading, words
from fedaemon.mailbox.adding import append
from fedaemon.mailbox.rows import Row
from fedaemon.mailbox.shaping import new_mail, read_shaped
from fedaemon.store.content import MemoryContent
from fedaemon.store.interface import Snapshot, Transaction
from fedaemon.store.lmdb_engine import LmdbEngine
from fedaemon.store.verify import verify
from tests.accounts.world import make_account

ALICE, BOB = "alice@example.test", "bob@example.test"
NOW_MS = 1_750_000_000_000
UNDELETE_S = 7 * 86400

Kept = tuple[str, bytes, tuple[str, ...], int]
"""What must survive: mailbox, octets, sorted flags, internal date."""


class Pressed(Interruption):
    """Ctrl-C was pressed when *asked* has been looked at so many times."""

    looks: ClassVar[int] = 0

    @property
    def asked(self) -> bool:
        type(self).looks -= 1
        return self.looks < 0

    @asked.setter
    def asked(self, value: bool) -> None:
        """Nobody presses it really."""


class MailConsole:
    """A store, and the command line beside it."""

    def __init__(self, data: Path) -> None:
        self.engine = LmdbEngine.open(data)
        self.settings = SimpleNamespace(mailboxes=Mailboxes())
        self.out = self.err = ""
        self.raw = b""
        common = argparse.ArgumentParser(add_help=False)
        common.add_argument("--json", action="store_true")
        self.parser = argparse.ArgumentParser(prog="fedaemonctl")
        groups = self.parser.add_subparsers(required=True)
        for group in (mailbox, message):
            group.register(groups, common)
        self.engine.transact(self._populate)

    @staticmethod
    def _populate(transaction: Transaction) -> None:
        directory.add_domain(transaction, Domain("example.test"))
        for address in (ALICE, BOB):
            directory.add_account(transaction, make_account(address, main=None))
            mailboxes.provide(transaction, address, NOW_MS)

    def run(self, *arguments: str) -> int:
        """Run a command line; return its exit code."""
        parsed = self.parser.parse_args(arguments)
        raw = io.BytesIO()
        out, err = io.TextIOWrapper(raw, "utf-8", newline="\n", write_through=True), io.StringIO()
        context = Context(Path("unused"), json=parsed.json, out=out, err=err)
        context.__dict__.update(engine=self.engine, settings=self.settings)
        try:
            code: int = parsed.run(context, parsed)
        except MailError as error:
            code = context.refuse(error.text)
        self.raw, self.err = raw.getvalue(), err.getvalue()
        self.out = self.raw.decode("utf-8", "replace")
        assert code == 0 or self.err
        return code

    def text(self, *arguments: str) -> str:
        """Run a command that must succeed; return what it printed."""
        assert self.run(*arguments) == 0, self.err
        return self.out

    def json(self, *arguments: str, code: int = 0) -> Any:
        """Run a command with --json that must end with *code*; return what it printed."""
        assert self.run(*arguments, "--json") == code, (self.out, self.err)
        return json.loads(self.out)

    def refused(self, *arguments: str) -> str:
        """Run a command that must be refused; return what it said."""
        assert self.run(*arguments) == 1, self.out
        return self.err

    def add(
        self,
        name: str,
        contents: Iterable[bytes],
        flags: tuple[str, ...] = (),
        internal_s: int = NOW_MS // 1000,
        saved_s: int = NOW_MS // 1000,
        prefix: bytes = b"",
        account: str = ALICE,
    ) -> int:
        """Add messages to a mailbox, made when it is missing; return the UID of the first."""
        blobs = self.engine.blobs

        def write(transaction: Transaction) -> int:
            found = mailboxes.find(transaction, account, name)
            found = found or mailboxes.create(transaction, account, name, NOW_MS)
            mails = []
            for octets in contents:
                content = MemoryContent(octets)
                blob = blobs.add(transaction, blobs.stage(content))
                shaped = read_shaped(content)
                mails.append(new_mail(account, blob, len(octets), prefix, internal_s, shaped, flags))
            return append(transaction, found.id, mails, saved_s)[0]

        return self.engine.transact(write)

    def rows(self, name: str, account: str = ALICE) -> list[Row]:
        """Return the live rows of a mailbox."""

        def look(snapshot: Snapshot) -> list[Row]:
            return list(reading.rows(snapshot, mailboxes.need(snapshot, account, name).id))

        return self.engine.view(look)

    def kept(self, account: str = ALICE) -> list[Kept]:
        """Return all live messages of an account."""

        def look(snapshot: Snapshot) -> list[Kept]:
            found = []
            for each in mailboxes.mailboxes(snapshot, account):
                names = words.keywords(snapshot, each.id)
                for row in reading.rows(snapshot, each.id):
                    mail = reading.mail(snapshot, each.id, row.uid)
                    assert mail is not None
                    octets = b"".join(reading.content(snapshot, self.engine.blobs, mail).chunks())
                    assert len(octets) == row.size
                    flags = tuple(sorted(words.flag_names(row.flags, names)))
                    found.append((each.name, octets, flags, row.internal_s))
            return sorted(found)

        return self.engine.view(look)

    def is_sound(self) -> bool:
        """Tell whether ``fedaemonctl verify`` finds nothing."""
        return not verify(self.engine, [make() for make in CHECKERS], repair=False, progress=lambda _: None)
