"""What a check says: how bad it is, of what it speaks, why it matters, and what to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Level = Literal["problem", "warning", "note", "ok"]

LEVELS: Final[tuple[Level, ...]] = ("problem", "warning", "note", "ok")
"""Worst first. A problem loses or delays mail, or shuts people out; a warning will, or does for some; a note is
something to know; ok is as it should be."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    *check* is a name that stays the same between versions, for monitoring. *about* is the file, listener, address
    or domain that it speaks of, "" for the server as a whole. *why* and *todo* are "" only where it is ok, *todo*
    also where a note needs nothing done.
    """

    level: Level
    area: str
    check: str
    about: str
    what: str
    why: str = ""
    todo: str = ""

    def as_json(self) -> dict[str, str]:
        """Return the finding as --json has it."""
        return {
            "level": self.level,
            "area": self.area,
            "check": self.check,
            "about": self.about,
            "what": self.what,
            "why": self.why,
            "todo": self.todo,
        }


def counted(number: int, noun: str) -> str:
    """Return how many there are of something: "1 domain", "2 domains"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


@dataclass(frozen=True, slots=True)
class Area:
    """Makes the findings of one area."""

    name: str

    def ok(self, check: str, about: str, what: str) -> Finding:
        """It is as it should be."""
        return Finding("ok", self.name, check, about, what)

    def note(self, check: str, about: str, what: str, why: str, todo: str = "") -> Finding:
        """Something to know."""
        return Finding("note", self.name, check, about, what, why, todo)

    def warning(self, check: str, about: str, what: str, why: str, todo: str) -> Finding:
        """Trouble to come, or trouble for some."""
        return Finding("warning", self.name, check, about, what, why, todo)

    def problem(self, check: str, about: str, what: str, why: str, todo: str) -> Finding:
        """Mail is lost or late, or people are shut out."""
        return Finding("problem", self.name, check, about, what, why, todo)
