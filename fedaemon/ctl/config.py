"""`fedaemonctl config check|show`: is the settings file good, and what does it amount to."""

from __future__ import annotations

import argparse
from typing import Any

from fedaemon.config import BadSettings
from fedaemon.ctl.command import DONE, USAGE, Context, sentence
from fedaemon.net.tls import BadCertificate
from fedaemon.settings_file import as_table, to_toml
from fedaemon.tls_setup import server_tls


def register(
    groups: argparse._SubParsersAction[argparse.ArgumentParser], common: argparse.ArgumentParser
) -> None:
    """Add the commands."""
    text = "check or show the settings"
    group = groups.add_parser("config", help=text, description=sentence(text))
    commands = group.add_subparsers(title="commands", metavar="COMMAND", required=True)
    parser = commands.add_parser(
        "check",
        parents=[common],
        help="check the settings file and the certificates it names",
        description="Check the settings file and the certificates it names. One line for each problem; "
        "exit code 2 when there is any.",
    )
    parser.set_defaults(run=check)
    parser = commands.add_parser(
        "show",
        parents=[common],
        help="show the settings in effect, defaults included",
        description="Show every setting in effect, defaults included, as TOML. Passwords are masked.",
    )
    parser.set_defaults(run=show)


def check(context: Context, _: argparse.Namespace) -> int:
    """Say "FILE: ok", or what is wrong."""
    problems: list[str] = []
    try:
        settings = context.settings
        if settings.tls is not None:
            server_tls(settings)
    except BadSettings as error:
        problems.extend(error.problems)
    except BadCertificate as error:
        problems.append(f"{context.config_path}: {error}")
    result: dict[str, Any] = {"file": str(context.config_path), "ok": not problems, "problems": problems}
    context.show(result)
    if not context.json:
        for problem in problems:
            print(problem, file=context.err)
    if problems:
        return USAGE
    context.say(f"{context.config_path}: ok")
    return DONE


def show(context: Context, _: argparse.Namespace) -> int:
    """Print the settings in effect."""
    table = as_table(context.settings)
    context.show(table)
    context.say(f"# {context.config_path}, with all defaults\n{to_toml(table)}".rstrip())
    return DONE
