"""Changes single settings in the text of a settings file, and leaves everything else as somebody wrote it.

An administrator's file has comments, an order, and values commented out; a program that wrote it anew from what
it has read would lose them. So lines are changed: the one with the value, or the one where our sample has it
commented out, or else a new one under the header of its table.

Invariants: the text that comes back means what the old one meant, with the change asked for and no other; where
that cannot be had (inline tables, say), ``CannotEdit`` says what to write by hand. Files are read and written
elsewhere.
"""

from __future__ import annotations

import copy
import json
import re
import tomllib
from collections.abc import Mapping
from typing import Any

from fedaemon.errors import Refused
from fedaemon.settings_file import Where, find_lines

Value = str | int | bool


class CannotEdit(Refused):
    """The change has to be made by hand; the text says which."""


def set_value(text: str, table: str, key: str, value: Value) -> str:
    """Return *text* with *key* of [*table*] set to *value*; raises CannotEdit."""
    values = tomllib.loads(text)
    if not isinstance(values.get(table, {}), dict):
        raise CannotEdit(f"{table} is no table; write [{table}], and set {key} = {_show(value)} in it")
    present = values.get(table, {}).get(key)
    if type(present) is type(value) and present == value:
        return text
    wanted = copy.deepcopy(values)
    wanted.setdefault(table, {})[key] = value
    lines, known = text.split("\n"), find_lines(text)
    line = known.get((table, key))
    if line is not None:
        _replace(lines, line - 1, value)
    else:
        header = _header(lines, known, table)
        if header is None:
            header = _open(lines, known, table)
            known = find_lines("\n".join(lines))
        _insert(lines, header, _end(lines, known, header), f"{key} = {_show(value)}", key)
    return _checked(lines, wanted, f"set {key} = {_show(value)} in [{table}]")


def add_table(text: str, name: str, values: Mapping[str, Value]) -> str:
    """Return *text* with a further [[*name*]], behind the last one that there is; raises CannotEdit."""
    wanted = tomllib.loads(text)
    wanted.setdefault(name, []).append(dict(values))
    lines, known = text.split("\n"), find_lines(text)
    last = [where for where in known if len(where) == 2 and where[0] == name and isinstance(where[1], int)]
    at = (
        _last_line(lines, known, known[max(last)] - 1) + 1
        if last
        else len("\n".join(lines).rstrip("\n").split("\n"))
    )
    block = ["", f"[[{name}]]", *(f"{key} = {_show(value)}" for key, value in values.items())]
    lines[at:at] = block
    if lines[-1]:
        lines.append("")
    return _checked(lines, wanted, f"add [[{name}]] with {', '.join(block[2:])}")


def comment_out(text: str, where: Where) -> str:
    """Return *text* without the table *where*, such as ("tls",) or ("listener", 5), which stays as a comment."""
    wanted = tomllib.loads(text)
    inside: Any = wanted
    for part in where[:-1]:
        inside = inside[part]
    del inside[where[-1]]
    if inside == []:
        del wanted[str(where[0])]
    lines, known = text.split("\n"), find_lines(text)
    first = known[where] - 1
    for number in range(first, _last_line(lines, known, first) + 1):
        if lines[number].strip() and not lines[number].lstrip().startswith("#"):
            lines[number] = "#" + lines[number]
    name = ".".join(str(part) for part in where if isinstance(part, str))
    return _checked(lines, wanted, f"remove [{name}]")


def _show(value: Value) -> str:
    # JSON writes these as TOML does, which also wants DEL escaped.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _checked(lines: list[str], wanted: dict[str, Any], by_hand: str) -> str:
    text = "\n".join(lines)
    try:
        if tomllib.loads(text) == wanted:
            return text
    except tomllib.TOMLDecodeError:
        pass
    raise CannotEdit(
        f"the settings are written in a way that cannot be changed from here; {by_hand} yourself"
    )


def _parses(text: str) -> bool:
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return False
    return True


def _statement_end(lines: list[str], begin: int) -> int:
    """Return the index behind the statement that begins in line *begin*, which may have several lines."""
    end = begin + 1
    while end < len(lines) and not _parses("\n".join(lines[begin:end])):
        end += 1
    return end


def _replace(lines: list[str], begin: int, value: Value) -> None:
    """Give the statement in line *begin* another value, and keep a comment behind it."""
    end = _statement_end(lines, begin)
    statement = "\n".join(lines[begin:end])
    left = statement[: statement.index("=") + 1]
    places = (found.start() for found in re.finditer(r"[ \t]*#", statement))
    comment = next((statement[at:] for at in places if _parses(statement[:at])), "")
    lines[begin:end] = [f"{left} {_show(value)}{comment}"]


def _headers(lines: list[str], known: Mapping[Where, int]) -> list[int]:
    """Return the indexes of the lines that open a table."""
    return sorted({line - 1 for line in known.values() if lines[line - 1].lstrip().startswith("[")})


def _header(lines: list[str], known: Mapping[Where, int], table: str) -> int | None:
    """Return the index of the line [*table*]; None when there is none."""
    pattern = re.compile(rf"[ \t]*\[[ \t]*{re.escape(table)}[ \t]*\]")
    return next((at for at in _headers(lines, known) if pattern.match(lines[at])), None)


def _end(lines: list[str], known: Mapping[Where, int], header: int) -> int:
    """Return the index behind the table that *header* opens: the next header, one commented out included."""
    after = next((at for at in _headers(lines, known) if at > header), len(lines))
    return next((at for at in range(header + 1, after) if lines[at].startswith("#[")), after)


def _last_line(lines: list[str], known: Mapping[Where, int], header: int) -> int:
    """Return the index of the last line of the last statement of the table that *header* opens."""
    after = next((at for at in _headers(lines, known) if at > header), len(lines))
    begins = [line - 1 for line in known.values() if header <= line - 1 < after]
    return _statement_end(lines, max(begins)) - 1


def _open(lines: list[str], known: Mapping[Where, int], table: str) -> int:
    """Open [*table*] where it is commented out, else at the end; return the index of its header."""
    if f"#[{table}]" in lines:
        at = lines.index(f"#[{table}]")
        following = min((line for line in known.values() if line - 1 > at), default=None)
        # Statements that come next would become part of the table.
        if following is None or lines[following - 1].lstrip().startswith("["):
            lines[at] = f"[{table}]"
            return at
    while lines and not lines[-1]:
        lines.pop()
    lines.extend(["", f"[{table}]", ""])
    return len(lines) - 2


def _insert(lines: list[str], header: int, end: int, statement: str, key: str) -> None:
    """Write *statement* where the table has it commented out, else under the header."""
    pattern = re.compile(rf"#{re.escape(key)}[ \t]*=")
    for at in range(header + 1, end):
        if pattern.match(lines[at]):
            lines[at] = statement
            return
    lines.insert(header + 1, statement)
