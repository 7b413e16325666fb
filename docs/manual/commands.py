"""fedaemonctl(1): what is written by hand, and each command with its options as the program knows them."""

from __future__ import annotations

import re

from docs.manual.markdown import definition, indented, plain
from docs.manual.tree import Argument, Command

MARK = "<!-- commands -->\n"
"""Where the commands go."""
COMMON = ("-h", "--help", "--json")
"""Told once, at the head of the page."""

_EXAMPLES = re.compile(r"^(?:examples?:|  fedaemonctl )", re.M)


def page(tree: Command, head: str) -> str:
    """Return the page; *head* is its part that is written by hand."""
    commands = "\n".join(_command(each) for each in tree.everything() if each.path)
    return head.replace(MARK, commands)


def _command(command: Command) -> str:
    name = " ".join(command.path)
    parts = [f"## {name}\n"]
    if command.runs:
        parts.append(indented(f"fedaemonctl {name}{_synopsis(command)}"))
    parts.append(plain(command.description) + "\n")
    if command.commands:
        parts.append("Commands: " + ", ".join(f"`{each.path[-1]}`" for each in command.commands) + ".\n")
    parts += [definition(_term(each), plain(each.help)) for each in command.positionals]
    for group in command.groups:
        options = [each for each in group.options if not set(each.names) <= set(COMMON)]
        if group.title and options:
            described = f" ({plain(group.description)})" if group.description else ""
            parts.append(f"**{group.title[0].upper()}{group.title[1:]}**{described}:\n")
        parts += [definition(_term(each), plain(each.help)) for each in options]
    parts += [_epilog(part) for part in command.epilog.split("\n\n") if part]
    return "\n".join(parts)


def _synopsis(command: Command) -> str:
    options = [each for each in command.options if not set(each.names) <= {"-h", "--help"}]
    words = " [OPTION]..." if options else ""
    for each in command.positionals:
        value = f"({each.value})" if "|" in each.value else each.value + "..." * each.many
        words += f" [{value}]" if each.optional else f" {value}"
    return words


def _term(argument: Argument) -> str:
    if not argument.names:
        return f"*{plain(argument.value)}*"
    behind = f" \\[*{plain(argument.value)}*\\]" if argument.optional else f" *{plain(argument.value)}*"
    return ", ".join(f"`{name}`{behind if argument.value else ''}" for name in argument.names)


def _epilog(text: str) -> str:
    """Return a paragraph behind a command's options; examples keep their lines."""
    if _EXAMPLES.search(text) is None:
        return plain(" ".join(text.split())) + "\n"
    lines = [line for line in text.splitlines() if line.strip() not in ("example:", "examples:")]
    examples = "\n".join(line.removeprefix("  ").removeprefix("example: ") for line in lines)
    return ("Examples:\n" if len(lines) > 1 else "Example:\n") + "\n" + indented(examples)
