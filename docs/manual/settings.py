"""fedaemon.toml(5): every setting, with the words of the annotated sample and the bounds that the code has."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator
from dataclasses import MISSING, dataclass, field
from pathlib import Path
from typing import Any

from docs.manual.markdown import definition, plain
from fedaemon.config import Settings
from fedaemon.settings_file import Kind

MARK = "<!-- settings -->\n"
"""Where the settings go."""

_HEADER = re.compile(r"#?(\[\[?[a-z_.]+\]\]?)")
_KEY = re.compile(r"#?([a-z_]+) = ")
_MUST_BE = re.compile(r"must be (.*), not .*")
_BEYOND_BOUNDS: tuple[Any, ...] = ("999999999d", "999999999999GB", "no such value", -1, {})
"""Values that are wrong for any setting, from what tells most to what tells least."""


@dataclass
class Table:
    """A table of the sample: its comment, and those of its keys."""

    header: str
    comment: list[str] = field(default_factory=list)
    keys: dict[str, list[str]] = field(default_factory=dict)


def settings_page(sample: str, head: str) -> str:
    """Return the page; *sample* is the annotated settings file, *head* what is written by hand."""
    fields = dict(_fields(Settings))
    tables = read_sample(sample)
    parts = []
    for table in tables.values():
        parts.append(f"## {table.header}\n\n" + "".join(f"{plain(text)}\n\n" for text in table.comment))
        for key, comment in table.keys.items():
            parts.append(_key(key, comment, fields.pop((table.header, key))) + "\n")
    if fields:
        raise ValueError(f"etc/fedaemon.toml lacks {', '.join(f'{header} {key}' for header, key in fields)}")
    return head.replace(MARK, "".join(parts))


def read_sample(text: str) -> dict[str, Table]:
    """Return the tables of the annotated sample; what it says of one several times is put together."""
    tables: dict[str, Table] = {}
    table = Table("")
    comment: list[str] = []
    for line in text.splitlines():
        if header := _HEADER.fullmatch(line):
            table = tables.setdefault(header[1], Table(header[1]))
            table.comment += [" ".join(comment)] if comment else []
            comment = []
        elif key := _KEY.match(line):
            told = table.keys.setdefault(key[1], [])
            told += [" ".join(comment)] if comment else []
            comment = []
        elif line.startswith("# "):
            comment.append(line[2:])
        else:
            comment = []
    return tables


def _fields(cls: type, header: str = "", name: str = "") -> Iterator[tuple[tuple[str, str], Any]]:
    """Give the declaration of each setting, by the header of its table and its key."""
    for each in dataclasses.fields(cls):
        if not each.metadata:
            continue
        kind: Kind = each.metadata["kind"]
        key: str = each.metadata["key"]
        if kind.table is None:
            yield (header, key), each
        else:
            path = f"{name}.{key}" if name else key
            yield from _fields(kind.table, f"[[{path}]]" if kind.many else f"[{path}]", path)


def _key(key: str, comment: list[str], declared: Any) -> str:
    kind: Kind = declared.metadata["kind"]
    facts = plain(_allowed(kind))
    if declared.default is MISSING:
        facts += "; it must be given."
    elif declared.default in (None, "", ()):
        facts += "; there is no default."
    else:
        facts += f"; default: `{json.dumps(kind.show(declared.default))}`."
    return definition(f"`{key}`", *(plain(text) for text in comment), facts)


def _allowed(kind: Kind) -> str:
    """Return what a setting may be, in the words in which a wrong value is refused."""
    for wrong in _BEYOND_BOUNDS:
        try:
            kind.read(wrong, Path("/"))
        except ValueError as error:
            if found := _MUST_BE.fullmatch(str(error)):
                text = found[1]
                return f"{text[0].upper()}{text[1:]}"
    return "A file that exists" if kind.show is str else "A list of files"
