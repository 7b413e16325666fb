"""The options that say which messages are meant, the same for looking and for changing."""

from __future__ import annotations

import argparse
from typing import Any, Final

from fedaemon.ctl import terminal
from fedaemon.ctl.command import Context
from fedaemon.delivery.selection import STATES, Filter
from fedaemon.delivery.site_listing import known_sites
from fedaemon.message.address import parse_address
from fedaemon.message.domain import parse_address_literal, parse_domain

FILTERS: Final = ("state", "account", "domain", "sender", "recipient", "older", "newer", "site", "category")
"""The names of the options."""


def add_filters(parser: argparse.ArgumentParser) -> Any:
    """Add the options of a filter; return their group."""
    group = parser.add_argument_group("which messages", "several options must all hold")
    add = group.add_argument
    add(
        "--state",
        choices=STATES,
        metavar="STATE",
        help="status of a message (pending, queued, deferred, sent, partially_sent, bounced, rejected),"
        " waiting (queued or deferred), or what only a recipient is (held, delivered, expired, suppressed)",
    )
    add("--account", metavar="ADDRESS", help="that this account sent")
    add("--domain", metavar="DOMAIN", help="with a recipient whose mail goes to this domain")
    add("--sender", metavar="ADDRESS", help='with this sender ("<>" for reports)')
    add("--recipient", metavar="ADDRESS", help="with this recipient, before or after aliases")
    add("--older", type=terminal.read_span, metavar="TIME", help="accepted longer ago than this: 30m, 2h, 1d")
    add("--newer", type=terminal.read_span, metavar="TIME", help="accepted within this time")
    add("--site", metavar="SITE", help="with a recipient at this site (see queue sites)")
    add("--category", metavar="NAME", help="whose latest reply was of this category, such as greylist")
    return group


def is_filtered(arguments: argparse.Namespace) -> bool:
    """Return True when some option of a filter was given."""
    return any(getattr(arguments, name) is not None for name in FILTERS)


def read_filter(context: Context, arguments: argparse.Namespace) -> Filter:
    """Return the filter that the options make; raises BadSyntax for what is no address or domain."""
    now_ms = terminal.now_ms()
    site = arguments.site or ""
    return Filter(
        state=arguments.state or "",
        account=parse_address(arguments.account).key if arguments.account is not None else "",
        domain=read_domain(arguments.domain) if arguments.domain is not None else "",
        sender=_read_sender(arguments.sender),
        recipient=parse_address(arguments.recipient).key if arguments.recipient is not None else "",
        before_ms=max(1, now_ms - arguments.older * 1000) if arguments.older is not None else 0,
        since_ms=max(0, now_ms - arguments.newer * 1000) if arguments.newer is not None else 0,
        site=site,
        destinations=context.view(known_sites).destinations(site) if site else frozenset(),
        category=arguments.category or "",
    )


def read_domain(text: str) -> str:
    """Return a domain or address literal as the queue has it."""
    return parse_address_literal(text) if text.startswith("[") else parse_domain(text)


def _read_sender(text: str | None) -> str | None:
    if text is None:
        return None
    return "" if text in ("", "<>") else parse_address(text).key
