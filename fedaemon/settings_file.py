"""Reads a TOML file into frozen dataclasses, and says where and what is wrong with it in one line per
problem.

``config.py`` declares the settings with ``setting(key, kind, default)``; this module knows nothing of mail.
tomllib gives values without their places, so a small scanner finds the line of each table and key; it runs on
text that tomllib has accepted, and so need not judge it.

Standards: TOML 1.0.
Invariants: every problem of a file is reported at once; a value that is wrong is never used.
"""

from __future__ import annotations

import dataclasses
import difflib
import json
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import MISSING
from pathlib import Path
from typing import Any

Where = tuple[str | int, ...]
"""A place in the file, such as ("listener", 1, "port")."""

MASK = "********"


class BadSettings(Exception):
    """The settings cannot be used; the text has one line "FILE:LINE: what; fix" for each problem."""

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclasses.dataclass(frozen=True, slots=True)
class Kind:
    """What a value must be: *read* turns what TOML has into ours or raises ValueError; *show* turns it back.

    *table* is the dataclass of a nested table instead, *many* when it is an array of them.
    """

    read: Callable[[Any, Path], Any] = lambda value, base: value
    show: Callable[[Any], Any] = lambda value: value
    table: type | None = None
    many: bool = False


def setting(key: str, kind: Kind, default: Any = MISSING, *, secret: bool = False, example: str = "") -> Any:
    """Declare a field of a settings dataclass; *example* is shown when a required one is missing."""
    metadata = {"key": key, "kind": kind, "secret": secret, "example": example}
    return dataclasses.field(default=default, metadata=metadata, repr=not secret)


class Reader:
    """One reading of one file; ``problems`` grows."""

    def __init__(self, values: Mapping[str, Any], source: Path, lines: Mapping[Where, int]) -> None:
        self.values = values
        self.source = source
        self._lines = lines
        self._found: list[tuple[int, str]] = []

    def problem(self, where: Where, text: str) -> None:
        """Note what is wrong at *where*, or at the nearest place around it that the file has."""
        while where and where not in self._lines:
            where = where[:-1]
        self._found.append((self._lines.get(where, 1), text))

    def raise_problems(self) -> None:
        """Raise BadSettings when there is anything wrong."""
        if self._found:
            ordered = sorted(self._found, key=lambda found: found[0])
            raise BadSettings(*(f"{self.source}:{line}: {text}" for line, text in ordered))

    def table(self, cls: type, values: Any, where: Where = ()) -> Any:
        """Read one table into *cls*; None when it cannot be made, which has then been noted."""
        if not isinstance(values, Mapping):
            self.problem(where, f"{where[-1]} must be a table: write [{where[-1]}]")
            return None
        declared = {field.metadata["key"]: field for field in dataclasses.fields(cls) if field.metadata}
        misspelt: set[str] = set()
        for key in values:
            if key not in declared:
                near = difflib.get_close_matches(key, declared, n=1)
                misspelt.update(near)
                fix = f"did you mean '{near[0]}'?" if near else "known are " + ", ".join(declared)
                self.problem((*where, key), f"unknown key '{key}' in {_title(where)}; {fix}")
        arguments: dict[str, Any] = {}
        whole = True
        for key, field in declared.items():
            kind: Kind = field.metadata["kind"]
            if key in values:
                good, value = self._value(kind, values[key], (*where, key))
                if good:
                    arguments[field.name] = value
                else:
                    whole = False
            elif field.default is MISSING:
                whole = False
                if key not in misspelt:
                    self.problem(where, f"{_title(where)} lacks '{key}'; add {field.metadata['example']}")
        return cls(**arguments) if whole else None

    def _value(self, kind: Kind, value: Any, where: Where) -> tuple[bool, Any]:
        """Return whether *value* is good, and what it means."""
        if kind.table is None:
            try:
                return True, kind.read(value, self.source.parent)
            except ValueError as error:
                self.problem(where, f"{where[-1]} in {_title(where[:-1])}: {error}")
                return False, None
        if not kind.many:
            read = self.table(kind.table, value, where)
            return read is not None, read
        if not isinstance(value, list):
            self.problem(where, f"{where[-1]} must be a list of tables: write [[{where[-1]}]]")
            return False, None
        tables = [self.table(kind.table, each, (*where, i)) for i, each in enumerate(value)]
        return None not in tables, tuple(tables)


def _title(where: Where) -> str:
    """Return the table's name as the file writes it."""
    names = ".".join(part for part in where if isinstance(part, str))
    if not names:
        return "the file"
    return f"[[{names}]]" if isinstance(where[-1], int) else f"[{names}]"


def read_toml(text: str, source: Path) -> Reader:
    """Parse *text*; raises BadSettings with the line when it is not TOML."""
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        said = str(error)
        place = re.search(r" \(at line (\d+), column \d+\)$", said)
        line = int(place[1]) if place else text.count("\n") + 1
        what = said[: place.start()] if place else said
        raise BadSettings(f"{source}:{line}: not valid TOML: {what}; strings need quotes") from None
    return Reader(values, source, find_lines(text))


_STATEMENT = re.compile(
    r"""[ \t]* (?: (?P<open>\[\[?) [ \t]* (?P<table>[^\]\n]*?) [ \t]* \]\]?
               | (?P<key>[^=\n\#]+?) [ \t]* = )""",
    re.VERBOSE,
)
_NAME = re.compile(
    r"""\s* (?: "((?:[^"\\]|\\.)*)" | '([^']*)' | ([A-Za-z0-9_-]+) ) \s* (?:\.|$)""", re.VERBOSE
)
_VALUE_PART = re.compile(
    r'"""(?:[^"\\]|\\.|"(?!""))*"{3,5}|'
    r"'''(?:[^']|'(?!''))*'{3,5}|"
    r'"(?:[^"\\\n]|\\.)*"|'
    r"'[^'\n]*'|\#[^\n]*|[\[\]{}\n]",
    re.DOTALL,
)


def find_lines(text: str) -> dict[Where, int]:
    """Return the line of each table and key of a valid TOML text."""
    lines: dict[Where, int] = {}
    counts: dict[Where, int] = {}
    table: Where = ()
    position, line = 0, 1
    while position < len(text):
        found = _STATEMENT.match(text, position)
        if found is not None:
            if found["open"]:
                table = _resolve(_names(found["table"]), counts, new=found["open"] == "[[")
                where = table
            else:
                where = table + _names(found["key"])
            for length in range(1, len(where) + 1):
                lines.setdefault(where[:length], line)
            position = found.end()
        end = _end_of_statement(text, position)
        line += text.count("\n", position, end)
        position = end
    return lines


def _names(text: str) -> tuple[str, ...]:
    return tuple(double or single or bare for double, single, bare in _NAME.findall(text))


def _resolve(names: tuple[str, ...], counts: dict[Where, int], *, new: bool) -> Where:
    """Return the place of a table, with the index of every array of tables on the way."""
    where: Where = ()
    for position, name in enumerate(names):
        where = (*where, name)
        last = position == len(names) - 1
        if last and new:
            counts[where] = counts.get(where, -1) + 1
        if where in counts:
            where = (*where, counts[where])
    return where


def _end_of_statement(text: str, position: int) -> int:
    """Return where the next line outside of strings and brackets begins."""
    depth = 0
    for part in _VALUE_PART.finditer(text, position):
        found = part[0]
        if found in ("[", "{"):
            depth += 1
        elif found in ("]", "}"):
            depth -= 1
        elif found == "\n" and depth <= 0:
            return part.end()
    return len(text)


def as_table(value: Any) -> dict[str, Any]:
    """Return a settings dataclass as TOML or JSON would hold it; secrets masked, what is not set left out."""
    table: dict[str, Any] = {}
    for field in dataclasses.fields(value):
        if not field.metadata:
            continue
        kind: Kind = field.metadata["kind"]
        own = getattr(value, field.name)
        if own is None:
            continue
        if kind.table is not None:
            table[field.metadata["key"]] = [as_table(each) for each in own] if kind.many else as_table(own)
        else:
            table[field.metadata["key"]] = MASK if field.metadata["secret"] else kind.show(own)
    return table


def to_toml(table: Mapping[str, Any], prefix: str = "") -> str:
    """Write a table of strings, numbers, truth values, lists and tables as TOML."""
    lines: list[str] = []
    nested: list[str] = []
    for key, value in table.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            nested.append(f"\n[{name}]\n{to_toml(value, name + '.')}")
        elif isinstance(value, list) and value and isinstance(value[0], Mapping):
            nested.extend(f"\n[[{name}]]\n{to_toml(each, name + '.')}" for each in value)
        else:
            # JSON writes these as TOML does.
            lines.append(f"{key} = {json.dumps(value, ensure_ascii=False)}\n")
    return "".join(lines + nested)
