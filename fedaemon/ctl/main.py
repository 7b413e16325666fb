"""The entry point of fedaemonctl: finds the command, runs it, and turns what went wrong into one clear line.

Exit codes: 0 done, 1 refused or not found, 2 usage or settings.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from fedaemon import __version__
from fedaemon.config import BadSettings
from fedaemon.ctl import (
    account,
    alias,
    classify,
    config,
    directory,
    dkim,
    doctor,
    domain,
    local,
    log,
    mailbox,
    message,
    password,
    probe,
    queue,
    setup,
    status,
    store,
    suppression,
    tls,
    webhook,
)
from fedaemon.ctl.command import REFUSED, USAGE, Context
from fedaemon.errors import MailError

DEFAULT_CONFIG = Path("/etc/fedaemon/fedaemon.toml")

GROUPS = (
    local,
    setup,
    status,
    config,
    domain,
    dkim,
    account,
    password,
    alias,
    directory,
    probe,
    queue,
    log,
    classify,
    suppression,
    webhook,
    tls,
    mailbox,
    message,
    store,
    doctor,
)
"""Command groups in the order in which --help lists them; each has ``register(groups, common)``."""


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    parser = argparse.ArgumentParser(
        prog="fedaemonctl",
        description="Administer fedaemon. Works beside a running daemon and without one.",
        epilog="Exit codes: 0 done, 1 refused or not found, 2 usage or settings.",
    )
    parser.add_argument("--version", action="version", version=f"fedaemon {__version__}")
    parser.add_argument(
        "-c",
        "--config",
        type=Path,
        default=Path(os.environ.get("FEDAEMON_CONFIG", DEFAULT_CONFIG)),
        metavar="FILE",
        help="settings file (default: $FEDAEMON_CONFIG or %(default)s)",
    )
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--json", action="store_true", help="print the result as JSON")
    groups = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for group in GROUPS:
        group.register(groups, common)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    parsed = build_parser().parse_args(arguments)
    context = Context(config_path=parsed.config, json=getattr(parsed, "json", False))
    try:
        code: int = parsed.run(context, parsed)
    except BadSettings as error:
        print(error, file=sys.stderr)
        return USAGE
    except MailError as error:
        print(f"fedaemonctl: {error}", file=sys.stderr)
        return REFUSED
    except BrokenPipeError:
        # The reader (head, less) went away: not an error, but nothing more can be written.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return REFUSED
    except KeyboardInterrupt:
        return REFUSED
    finally:
        context.close()
    return code


if __name__ == "__main__":
    sys.exit(main())
