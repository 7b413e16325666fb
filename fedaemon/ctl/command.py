"""What every command of fedaemonctl works with: the settings, the store, and how results are shown.

A command group is a module with ``register(groups)`` that adds its parsers; each leaf parser sets
``run=function`` where ``function(context, arguments) -> int`` gives the exit code: 0 done, 1 refused or not
found, 2 usage or settings. Commands work on the store directly, whether or not the daemon runs: LMDB
serialises writers of several processes, and the daemon notices foreign commits within a second.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, TypeVar

from fedaemon.ctl.privileges import INSTEAD, SERVICE_USER, Privileges, is_hidden, owner

if TYPE_CHECKING:
    from fedaemon.config import Settings
    from fedaemon.store.interface import Snapshot, Transaction
    from fedaemon.store.lmdb_engine import LmdbEngine

T = TypeVar("T")

DONE, REFUSED, USAGE = 0, 1, 2
"""Exit codes."""


def sentence(text: str) -> str:
    """Return what a command does, as --help lists it, as the sentence that begins its own --help."""
    return f"{text[0].upper()}{text[1:]}."


@dataclass
class Context:
    """One run of fedaemonctl."""

    config_path: Path
    json: bool = False
    out: TextIO = field(default_factory=lambda: sys.stdout)
    err: TextIO = field(default_factory=lambda: sys.stderr)
    privileges: Privileges = field(default_factory=Privileges)

    @cached_property
    def settings(self) -> Settings:
        """The settings file, read when first needed; raises ``config.BadSettings``."""
        from fedaemon.config import BadSettings, read_settings

        if is_hidden(self.config_path):
            raise BadSettings(f"{self.config_path}: Permission denied; {INSTEAD.format(SERVICE_USER)}")
        return read_settings(self.config_path)

    @cached_property
    def engine(self) -> LmdbEngine:
        """The store, opened when first needed; raises ``store.StoreError`` with what to do."""
        from fedaemon.store.lmdb_engine import LmdbEngine

        return LmdbEngine.open(self.work_as_owner())

    def work_as_owner(self) -> Path:
        """Take on the rights of the store's owner, when root runs this, and return the data directory.

        :raises StoreError: the caller has no access to it.
        """
        data_dir = self.settings.server.data_dir
        user = owner(data_dir, self.config_path)
        if user is not None:
            self.privileges.become(user)
        return data_dir

    def as_caller(self) -> AbstractContextManager[None]:
        """Inside, have the caller's rights: around files that the caller named."""
        return self.privileges.as_caller()

    def view(self, function: Callable[[Snapshot], T]) -> T:
        """Run *function* on a consistent view of the store."""
        return self.engine.view(function)

    def transact(self, function: Callable[[Transaction], T]) -> T:
        """Run *function* atomically; it is durable when this returns."""
        return self.engine.transact(function)

    def say(self, text: str) -> None:
        """Print a line for people; nothing with --json."""
        if not self.json:
            print(text, file=self.out)

    def show(self, value: Any) -> None:
        """Print *value* as JSON (with --json); callers print their own lines for people."""
        if self.json:
            json.dump(value, self.out, ensure_ascii=False, indent=2)
            self.out.write("\n")

    def refuse(self, text: str) -> int:
        """Say why not, on standard error, and give the exit code for it."""
        print(f"fedaemonctl: {text}", file=self.err)
        return REFUSED

    def table(self, titles: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """Print *rows* in aligned columns under *titles*; nothing with --json."""
        if self.json:
            return
        cells = [[str(cell) for cell in row] for row in rows]
        widths = [max([len(title), *(len(row[i]) for row in cells)]) for i, title in enumerate(titles)]
        for row in [list(titles), *cells]:
            line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            print(line.rstrip(), file=self.out)

    def close(self) -> None:
        """Close the store if it was opened, and end as whoever began."""
        if "engine" in self.__dict__:
            self.engine.close()
        self.privileges.leave()
