"""fedaemonctl on a given store: runs a command line, and holds what it printed."""

from __future__ import annotations

import argparse
import io
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from fedaemon.ctl import account, alias, directory, domain, password, suppression
from fedaemon.ctl.command import REFUSED, Context
from fedaemon.errors import MailError
from fedaemon.store.lmdb_engine import LmdbEngine
from tests.fakes import MemoryEngine


class Console:
    """The commands of the directory, and those of the suppression list."""

    def __init__(self, engine: MemoryEngine | LmdbEngine | None = None) -> None:
        self.engine = MemoryEngine() if engine is None else engine
        self.out = ""
        self.err = ""
        self.quota = 0
        """The settings' default for accounts, in octets; 0 is none."""
        common = argparse.ArgumentParser(add_help=False)
        common.add_argument("--json", action="store_true")
        self.parser = argparse.ArgumentParser(prog="fedaemonctl")
        groups = self.parser.add_subparsers(required=True)
        for group in (domain, account, password, alias, directory, suppression):
            group.register(groups, common)

    def run(self, *arguments: str) -> int:
        """Run a command line; return its exit code."""
        parsed = self.parser.parse_args(arguments)
        context = Context(Path("unused"), json=parsed.json, out=io.StringIO(), err=io.StringIO())
        context.__dict__["engine"] = self.engine
        context.__dict__["settings"] = SimpleNamespace(mailboxes=SimpleNamespace(quota=self.quota))
        try:
            code: int = parsed.run(context, parsed)
        except MailError as error:
            code = context.refuse(error.text)
        assert isinstance(context.out, io.StringIO) and isinstance(context.err, io.StringIO)
        self.out, self.err = context.out.getvalue(), context.err.getvalue()
        assert code != REFUSED or self.err
        return code

    def text(self, *arguments: str) -> str:
        """Run a command that must succeed; return what it printed."""
        assert self.run(*arguments) == 0, self.err
        return self.out

    def json(self, *arguments: str) -> Any:
        """Run a command that must succeed with --json; return what it printed."""
        return json.loads(self.text(*arguments, "--json"))

    def refused(self, *arguments: str) -> str:
        """Run a command that must be refused; return what it said."""
        assert self.run(*arguments) == 1
        return self.err
