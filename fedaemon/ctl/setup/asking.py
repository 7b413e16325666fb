"""Questions to the person at the terminal, each with one line that explains it and an answer to begin with.

Invariants: what was answered is used only when it could be read; otherwise the question comes again, with the
reason. Passwords are never echoed, and never have an answer to begin with.
"""

from __future__ import annotations

import argparse
import getpass
import sys
from collections.abc import Callable
from typing import Final, TypeVar

from fedaemon.accounts import passwords
from fedaemon.ctl.command import Context
from fedaemon.ctl.password import read_password, remark
from fedaemon.errors import MailError, Refused

T = TypeVar("T")

STOPPED: Final = "stopped; what was answered is done, and fedaemonctl setup goes on from there"


def is_somebody_there(context: Context) -> bool:
    """Tell whether there is a person to ask."""
    return sys.stdin.isatty() and not context.json


class Asking:
    """Asks on standard error, so that standard output holds results alone.

    :param somebody: there is somebody to ask; otherwise every answer is the one to begin with.
    """

    def __init__(self, context: Context, *, somebody: bool) -> None:
        self.context = context
        self.somebody = somebody
        self._err = context.err

    def line(self, question: str, why: str, default: str, read: Callable[[str], T]) -> T:
        """Ask until *read*, which raises MailError with the reason, takes the answer.

        :param default: the answer when only Return is pressed, "" when there is none.
        :raises Refused: nobody is there any more.
        """
        if not self.somebody:
            return read(default)
        self._tell(f"\n{why}")
        while True:
            shown = f" [{default}]" if default else ""
            answer = self._answer(f"{question}{shown}: ") or default
            try:
                return read(answer)
            except MailError as error:
                self._tell(f"  {error.text}")

    def yes(self, question: str, why: str, *, default: bool) -> bool:
        """Ask for yes or no."""
        if not self.somebody:
            return default
        self._tell(f"\n{why}")
        while True:
            answer = self._answer(f"{question} [{'Y/n' if default else 'y/N'}]: ").lower()
            if answer in ("y", "yes", "n", "no", ""):
                return answer.startswith("y") if answer else default
            self._tell("  please answer y or n")

    def password(self, address: str) -> str | None:
        """Ask for a new password, twice; None: one is to be made."""
        if not self.somebody:
            return None
        self._tell(f"\nThe password of {address}; press Return, and a good one is made and shown.")
        while True:
            chosen = self._unseen("Password: ")
            if not chosen:
                return None
            try:
                passwords.prepare(chosen)
            except MailError as error:
                self._tell(f"  {error.text}")
                continue
            if self._unseen("The same again: ") == chosen:
                return chosen
            self._tell("  they are not the same")

    def _tell(self, text: str) -> None:
        print(text, file=self._err)

    def _answer(self, prompt: str) -> str:
        print(prompt, end="", file=self._err, flush=True)
        line = sys.stdin.readline()
        if not line:
            raise Refused(STOPPED)
        return line.strip()

    def _unseen(self, prompt: str) -> str:
        try:
            return getpass.getpass(prompt, stream=self._err)
        except EOFError:
            raise Refused(STOPPED) from None


def choose_password(asking: Asking, arguments: argparse.Namespace, address: str) -> str | None:
    """Return the password for a new account; None: one is to be made."""
    chosen = read_password(arguments) if arguments.password_stdin else asking.password(address)
    if chosen is not None:
        remark(asking.context, chosen)
    return chosen
