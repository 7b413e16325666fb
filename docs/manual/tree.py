"""The commands of an argparse parser as plain values."""

from __future__ import annotations

import argparse
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Argument:
    """An option or a positional argument.

    *names* are the option's, none for a positional. *value* is what stands behind it, "" for a flag; *optional*
    and *many* are about that value.
    """

    names: tuple[str, ...]
    value: str
    help: str
    choices: tuple[str, ...] = ()
    optional: bool = False
    many: bool = False


@dataclass(frozen=True, slots=True)
class Group:
    """Options that belong together."""

    title: str
    description: str
    options: tuple[Argument, ...]


@dataclass(frozen=True, slots=True)
class Command:
    """A command, or a group of them; *runs* tells whether it does something by itself."""

    path: tuple[str, ...]
    help: str
    description: str
    epilog: str
    positionals: tuple[Argument, ...]
    groups: tuple[Group, ...]
    commands: tuple[Command, ...]
    runs: bool

    @property
    def options(self) -> tuple[Argument, ...]:
        """Options of all groups."""
        return tuple(option for group in self.groups for option in group.options)

    def everything(self) -> tuple[Command, ...]:
        """This command and all below it, in their order."""
        return (self, *(each for command in self.commands for each in command.everything()))


def command_tree(parser: argparse.ArgumentParser, path: tuple[str, ...] = (), text: str = "") -> Command:
    """Return the command that *parser* reads, with those below it; *text* is how its group lists it."""
    below = next((each for each in parser._actions if isinstance(each, argparse._SubParsersAction)), None)
    commands: list[Command] = []
    if below is not None:
        texts = {choice.dest: choice.help or "" for choice in below._choices_actions}
        for name, each in below.choices.items():
            commands.append(command_tree(each, (*path, name), texts.get(name, "")))
    return Command(
        path,
        text,
        parser.description or "",
        parser.epilog or "",
        tuple(_argument(parser, each) for each in parser._get_positional_actions() if each is not below),
        tuple(_groups(parser)),
        tuple(commands),
        below is None or not below.required,
    )


def _groups(parser: argparse.ArgumentParser) -> list[Group]:
    groups = []
    for group in parser._action_groups:
        options = tuple(_argument(parser, each) for each in group._group_actions if each.option_strings)
        if options:
            title = "" if group is parser._optionals else group.title or ""
            groups.append(Group(title, group.description or "", options))
    return groups


def _argument(parser: argparse.ArgumentParser, action: argparse.Action) -> Argument:
    text = parser._get_formatter()._expand_help(action) if action.help else ""
    choices = tuple(str(choice) for choice in action.choices or ())
    value = action.metavar or ("{" + ",".join(choices) + "}" if choices else action.dest.upper())
    optional = action.nargs in ("?", "*")
    return Argument(
        tuple(action.option_strings),
        "" if action.nargs == 0 else str(value),
        text,
        choices,
        optional,
        action.nargs in ("+", "*"),
    )
