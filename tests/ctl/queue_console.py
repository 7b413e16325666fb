"""``fedaemonctl queue`` beside a daemon: a world on a real store, and the command line on the same store."""

from __future__ import annotations

import argparse
import io
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from fedaemon.config import Delivery, Server, Settings
from fedaemon.ctl import log, queue
from fedaemon.ctl.command import DONE, Context
from fedaemon.errors import MailError
from fedaemon.store.lmdb_engine import LmdbEngine
from tests.delivery.support import World


class Terminal(io.StringIO):
    """Standard error as a terminal."""

    def isatty(self) -> bool:
        return True


class QueueConsole:
    """A world on a real store, and the command line beside it.

    *terminal*: standard error is one. *input*: what is typed there. *group*: the command group that is run.
    """

    def __init__(self, directory: Path) -> None:
        self.engine = LmdbEngine.open(directory)
        self.world = World(self.engine)
        self.world.manager.start()
        self.world.settle()
        self.out = self.err = ""
        self.paused = self.terminal = False
        self.group = "queue"
        common = argparse.ArgumentParser(add_help=False)
        common.add_argument("--json", action="store_true")
        self.parser = argparse.ArgumentParser(prog="fedaemonctl")
        groups = self.parser.add_subparsers(required=True)
        for group in (queue, log):
            group.register(groups, common)

    def run(self, *arguments: str) -> int:
        """Run a command line; return its exit code."""
        try:
            parsed = self.parser.parse_args((self.group, *arguments))
            context = Context(
                Path("unused"),
                json=parsed.json,
                out=io.StringIO(),
                err=Terminal() if self.terminal else io.StringIO(),
            )
            context.__dict__["engine"] = self.engine
            context.__dict__["settings"] = Settings(
                server=Server(hostname="mail.example.test"), delivery=Delivery(paused=self.paused)
            )
            code: int = parsed.run(context, parsed)
        except SystemExit as exit_:
            return int(str(exit_.code))
        except MailError as error:
            code = context.refuse(error.text)
        assert isinstance(context.out, io.StringIO)
        assert isinstance(context.err, io.StringIO)
        self.out, self.err = context.out.getvalue(), context.err.getvalue()
        return code

    def json(self, *arguments: str) -> Any:
        """Run a command that must succeed with --json; return what it printed."""
        assert self.run(*arguments, "--json") == DONE, self.err
        return json.loads(self.out)

    def text(self, *arguments: str) -> str:
        """Run a command that must succeed; return what it printed."""
        assert self.run(*arguments) == DONE, self.err
        return self.out

    def follow(self) -> None:
        """Let the daemon notice what the command did."""
        self.world.manager.foreign_commit()
        self.world.settle()


def typed(text: str) -> Any:
    """Return a standard input at a terminal where *text* is typed."""
    return SimpleNamespace(isatty=lambda: True, readline=lambda: text)
