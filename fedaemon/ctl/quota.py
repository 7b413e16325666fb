"""What ``fedaemonctl account`` and ``fedaemonctl domain`` share about quota: options, and how it is shown."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from fedaemon.accounts.records import (
    MAX_QUOTA_MESSAGES,
    MAX_QUOTA_OCTETS,
    MIN_QUOTA_OCTETS,
    Account,
    Domain,
)
from fedaemon.accounts.sizes import parse_size, show_size
from fedaemon.ctl.command import Context
from fedaemon.delivery.quota import Quota, describe
from fedaemon.errors import BadSyntax

SETTINGS: Final = ("quota_octets", "quota_messages")
"""What the options set; 0: no limit, None: the settings' default."""

_WORDS: Final = {"none": 0, "default": None}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add --storage and --messages, which are absent from the arguments when they are not given."""
    for option, name, read, metavar, text in (
        ("--storage", "quota_octets", _read_size, "SIZE", "octets that may be kept, such as 5GB"),
        ("--messages", "quota_messages", _read_messages, "N", "messages that may be kept"),
    ):
        parser.add_argument(
            option,
            type=partial(_read, read),
            default=argparse.SUPPRESS,
            dest=name,
            metavar=metavar,
            help=f'{text}; "none": no limit; "default": as in the settings',
        )


def _read(read: Callable[[str], int], text: str) -> int | None:
    return _WORDS[text] if text in _WORDS else read(text)


def _read_size(text: str) -> int:
    try:
        return parse_size(text, low=MIN_QUOTA_OCTETS, high=MAX_QUOTA_OCTETS)
    except BadSyntax as error:
        raise argparse.ArgumentTypeError(f'{error.text}, or "none" for no limit') from error


def _read_messages(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= MAX_QUOTA_MESSAGES:
        raise argparse.ArgumentTypeError(
            f'"{text}" is not a number of messages from 1 to {MAX_QUOTA_MESSAGES}; "none" is for no limit'
        )
    return int(text)


def show_limits(entry: Account | Domain) -> str:
    """Return in words what was set for an account or a domain."""
    octets, messages = entry.quota_octets, entry.quota_messages
    return (
        f"storage {show_size(octets) if octets else _word(octets)}, "
        f"messages {str(messages) if messages else _word(messages)}"
    )


def _word(limit: int | None) -> str:
    return "default" if limit is None else "none"


def show_state(*roots: Quota) -> str:
    """Return in words what is used by the first of *roots*, and whether any of them keeps new mail out."""
    over = [root for root in roots if root.is_over]
    which = " (over quota)" if roots[0] in over else f" ({over[0].name} is over quota)" if over else ""
    return describe(roots[0]) + which


def as_json(*roots: Quota) -> dict[str, Any]:
    """Return the same as it is shown with --json; null is no limit."""
    quota = roots[0]
    return {
        "octets": quota.used.octets,
        "octets_limit": quota.octets,
        "messages": quota.used.messages,
        "messages_limit": quota.messages,
        "over_quota": any(root.is_over for root in roots),
    }


def default_octets(context: Context) -> int | None:
    """Return what the settings say of accounts without a limit of their own, None for no limit."""
    return context.settings.mailboxes.quota or None
