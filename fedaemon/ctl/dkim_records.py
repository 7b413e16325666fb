"""The part of ``fedaemonctl dkim`` that shows: keys, their DNS records, and whether DNS has them.

Standards: RFC 6376 3.6 (keys in DNS).
Invariants: a private key is never printed.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable
from functools import partial
from typing import Any, Final

from fedaemon.ctl.command import DONE, Context
from fedaemon.ctl.password import show_time
from fedaemon.errors import Refused, Unavailable
from fedaemon.mailauth import dns_record, keys
from fedaemon.mailauth.keys import DkimKey
from fedaemon.message.domain import parse_domain
from fedaemon.net.dns_query import DnsQuery, Missing, system_servers

UNKNOWN: Final = "unknown"
"""What is found when DNS does not answer."""


def run_list(context: Context, arguments: argparse.Namespace) -> int:
    """List keys."""
    domain = parse_domain(arguments.domain) if arguments.domain else None
    found = context.view(lambda snapshot: list(keys.keys(snapshot, domain)))
    context.table(
        ("DOMAIN", "SELECTOR", "ALGORITHM", "BITS", "STATE", "CREATED", "KEEP UNTIL"),
        [
            (
                key.domain,
                key.selector,
                key.algorithm,
                key.bits,
                key.state,
                show_time(key.created_ms),
                _time(key.until_ms) or "",
            )
            for key in found
        ],
    )
    context.show([as_json(key) for key in found])
    return DONE


def run_show(context: Context, arguments: argparse.Namespace) -> int:
    """Show a key."""
    key = context.view(
        partial(keys.need_key, domain=parse_domain(arguments.domain), selector=arguments.selector.lower())
    )
    tell_record(context, key)
    context.show(as_json(key))
    return DONE


def as_json(key: DkimKey) -> dict[str, Any]:
    """Return what may be told of a key with --json."""
    return {
        "domain": key.domain,
        "selector": key.selector,
        "algorithm": key.algorithm,
        "bits": key.bits,
        "state": key.state,
        "created": show_time(key.created_ms),
        "activated": _time(key.activated_ms),
        "retired": _time(key.retired_ms),
        "keep_until": _time(key.until_ms),
        "record": {
            "name": dns_record.name(key),
            "type": "TXT",
            "value": dns_record.value(key),
            "zone": dns_record.zone(key),
        },
    }


def _time(time_ms: int) -> str | None:
    return show_time(time_ms) if time_ms else None


def now_ms() -> int:
    """Return the time in milliseconds since the epoch."""
    return int(time.time() * 1000)


def tell_records(context: Context, made: Iterable[DkimKey]) -> None:
    """Show new keys, and what is to be done with them."""
    for key in made:
        tell_record(context, key)
        context.say(f"Next: publish the record, then: fedaemonctl dkim check {key.domain} {key.selector}")
        if key.state == "pending":
            context.say(f"and when DNS has it:  fedaemonctl dkim activate {key.domain} {key.selector}")
        context.say("")


def tell_record(context: Context, key: DkimKey) -> None:
    """Show a key and its DNS record, for a zone file and for a form."""
    until = f", DNS record needed until {show_time(key.until_ms)}" if key.until_ms else ""
    context.say(f"{key.domain}: key {key.selector} ({key.algorithm}, {key.bits} bits), {key.state}{until}")
    context.say("DNS record for a zone file:\n")
    context.say(dns_record.zone(key))
    context.say("\nThe same for a web form:\n")
    context.say(f"name:  {dns_record.name(key)}\ntype:  TXT\nvalue: {dns_record.value(key)}\n")


def run_check(context: Context, arguments: argparse.Namespace) -> int:
    """Ask DNS."""
    domain = parse_domain(arguments.domain)
    if arguments.selector:
        selector = arguments.selector.lower()
        wanted = [context.view(partial(keys.need_key, domain=domain, selector=selector))]
    else:
        wanted = context.view(lambda snapshot: list(keys.keys(snapshot, domain)))
    if not wanted:
        raise Refused(f"{domain} has no DKIM key; make one: fedaemonctl dkim create {domain}")
    asked, shown, bad = query(context), [], 0
    for key in wanted:
        found, good, text = published(asked, key)
        if key.state == "retired" and key.until_ms <= now_ms():
            good, text = True, "not needed any more; remove it and its record"
        bad += not good
        context.say(f"{key.selector} ({key.state}): {'' if good else 'PROBLEM: '}{text}")
        shown.append(
            {
                "domain": domain,
                "selector": key.selector,
                "state": key.state,
                "found": found,
                "good": good,
                "text": text,
            }
        )
    context.show(shown)
    return context.refuse(f"{bad} of {len(wanted)} keys are not published as they must be") if bad else DONE


def query(context: Context) -> DnsQuery:
    """Return who asks the name servers that the daemon asks."""
    return DnsQuery(context.settings.dns.nameservers or system_servers())


def published(asked: DnsQuery, key: DkimKey) -> tuple[str, bool, str]:
    """Return what DNS says of *key*, whether that is good, and a sentence on it."""
    try:
        answer = asked.ask(dns_record.name(key), "TXT")
    except Unavailable as error:
        return UNKNOWN, False, error.text
    texts = [] if isinstance(answer, Missing) else [b"".join(record.strings) for record in answer.records]
    seen = dns_record.compare(key, texts)
    return seen.found, seen.good, seen.text
