"""``fedaemonctl dkim``: the keys that sign outgoing mail, and the DNS records that publish them.

JSON of a key is ``domain``, ``selector``, ``algorithm``, ``bits``, ``state`` (pending, active, retired),
``created``, ``activated``, ``retired``, ``keep_until`` (UTC or null; until then the DNS record of a retired
key must stay) and ``record``: ``name``, ``type``, ``value`` (one text) and ``zone`` (as a zone file has it).
``create``, ``rotate`` and ``list`` give an array of keys; ``show``, ``import`` and ``remove`` one key;
``activate`` ``{"active": key, "retired": [key]}``; ``check`` an array of ``{"domain", "selector", "state",
"found", "good", "text"}``, where found is published, missing, several, unreadable, revoked, different,
restricted, or unknown when DNS did not answer.

Standards: RFC 6376 3.6 (keys in DNS), RFC 8301 3.2 (sizes), RFC 8463 4.
Invariants: a private key is never printed.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from fedaemon.accounts.directory import need_domain
from fedaemon.ctl.command import DONE, Context, sentence
from fedaemon.ctl.dkim_records import (
    as_json,
    now_ms,
    published,
    query,
    run_check,
    run_list,
    run_show,
    tell_records,
)
from fedaemon.ctl.password import show_time
from fedaemon.errors import Refused
from fedaemon.mailauth import dns_record, keys, private_key
from fedaemon.mailauth.keys import DkimKey
from fedaemon.mailauth.private_key import ALGORITHMS, GOOD_RSA_BITS, MAX_FILE_OCTETS, MAX_RSA_BITS, Algorithm
from fedaemon.message.domain import parse_domain
from fedaemon.store.interface import Transaction


def register(groups: argparse._SubParsersAction[Any], common: argparse.ArgumentParser) -> None:
    """Add the parsers of this command group."""
    text = "the keys that sign outgoing mail (DKIM)"
    group = groups.add_parser("dkim", help=text, description=sentence(text))
    commands = group.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def add(name: str, run: Any, text: str, selector: str | None = None, domain: str = "DOMAIN") -> Any:
        parser = commands.add_parser(name, parents=[common], help=text, description=sentence(text))
        parser.set_defaults(run=run)
        one, all_keys = "such as example.org", "only this one (default: all)"
        optional = domain == "[DOMAIN]"
        parser.add_argument(
            "domain", metavar="DOMAIN", nargs="?" if optional else None, help=all_keys if optional else one
        )
        if selector is not None:
            optional = selector == "[SELECTOR]"
            shown = all_keys if optional else "the key's name in DNS, as shown by 'dkim list'"
            parser.add_argument("selector", metavar="SELECTOR", nargs="?" if optional else None, help=shown)
        return parser

    _add_create(add("create", run_create, "make keys and print the DNS records to publish"))
    parser = add("import", run_import, "take over a private key that another program made", "SELECTOR")
    parser.add_argument("file", metavar="FILE", help='PEM, DER, or base64 for Ed25519; "-": standard input')
    add("list", run_list, "list the keys", domain="[DOMAIN]")
    add("show", run_show, "show a key and its DNS record again", "SELECTOR")
    add("check", run_check, "ask DNS whether the keys are published", "[SELECTOR]")
    parser = add("activate", run_activate, "sign with a key from now on, instead of an older one", "SELECTOR")
    parser.add_argument("--force", action="store_true", help="do not ask DNS first whether it is published")
    add("rotate", run_rotate, "make a new key for each active one, to be published and activated")
    parser = add("remove", run_remove, "remove a key that is not needed any more", "SELECTOR")
    parser.add_argument("--force", action="store_true", help="also one that is still needed")


def _add_create(parser: argparse.ArgumentParser) -> None:
    """Add the options of "create"."""
    choices = (*ALGORITHMS, "both")
    parser.add_argument("--algorithm", choices=choices, default="both", help="default: both")
    parser.add_argument(
        "--selector", metavar="NAME", help="default: by the date; with both algorithms NAMEr and NAMEe"
    )
    parser.add_argument(
        "--bits",
        type=parse_bits,
        default=GOOD_RSA_BITS,
        metavar="N",
        help="of an RSA key (default: %(default)s)",
    )
    parser.add_argument(
        "--activate",
        action="store_true",
        help="sign at once, before the record is published; for a first key",
    )


def parse_bits(text: str) -> int:
    """Return the length of a new RSA key as given on the command line."""
    if text.isascii() and text.isdigit() and GOOD_RSA_BITS <= int(text) <= MAX_RSA_BITS:
        return int(text)
    raise argparse.ArgumentTypeError(
        f'"{text}" is not a number of bits from {GOOD_RSA_BITS} to {MAX_RSA_BITS}'
    )


# -- Making keys
# ----------------------------------------------------------------------------------------------------


def run_create(context: Context, arguments: argparse.Namespace) -> int:
    """Make keys."""
    wanted = ALGORITHMS if arguments.algorithm == "both" else (arguments.algorithm,)
    kept = make_keys(
        context,
        parse_domain(arguments.domain),
        wanted,
        selector=arguments.selector,
        bits=arguments.bits,
        activate=arguments.activate,
    )
    tell_records(context, kept)
    context.show([as_json(key) for key in kept])
    return DONE


def make_keys(
    context: Context,
    domain: str,
    algorithms: Sequence[Algorithm] = ALGORITHMS,
    *,
    selector: str | None = None,
    bits: int = GOOD_RSA_BITS,
    activate: bool,
) -> list[DkimKey]:
    """Make a key of each algorithm, all or none, and return them.

    :param selector: with several algorithms each gets a letter more; by the date without it.
    :param activate: sign with them at once.
    :raises Refused: there is no such domain, or an active key whose place one would take.
    """
    at_ms = now_ms()
    context.view(partial(need_domain, name=domain))
    made = []
    for algorithm in algorithms:
        name = selector
        if name is None:
            name = context.view(partial(keys.free_selector, domain=domain, algorithm=algorithm, now_ms=at_ms))
        elif len(algorithms) > 1:
            name += algorithm[0]
        private = private_key.new_key(algorithm, bits)
        made.append(keys.make(domain, name.lower(), private, at_ms))
    return _store(context, made, activate=activate)


def run_rotate(context: Context, arguments: argparse.Namespace) -> int:
    """Make a new key for each active one."""
    domain, at_ms = parse_domain(arguments.domain), now_ms()
    known = context.view(lambda snapshot: list(keys.keys(snapshot, domain)))
    active = [key for key in known if key.state == "active"]
    if not active:
        raise Refused(f"{domain} has no active DKIM key; make one: fedaemonctl dkim create {domain}")
    made = []
    for old in active:
        waiting = [key.selector for key in known if (key.state, key.algorithm) == ("pending", old.algorithm)]
        if waiting:
            raise Refused(
                f"{domain} has a new {old.algorithm} key already; activate or remove it: {', '.join(waiting)}"
            )
        name = context.view(partial(keys.free_selector, domain=domain, algorithm=old.algorithm, now_ms=at_ms))
        private = private_key.new_key(old.algorithm, max(old.bits, GOOD_RSA_BITS))
        made.append(keys.make(domain, name, private, at_ms))
    kept = _store(context, made, activate=False)
    tell_records(context, kept)
    context.show([as_json(key) for key in kept])
    return DONE


def run_import(context: Context, arguments: argparse.Namespace) -> int:
    """Take over a key."""
    domain = parse_domain(arguments.domain)
    private = private_key.from_file(_read(arguments.file))
    kept = _store(context, [keys.make(domain, arguments.selector.lower(), private, now_ms())], activate=False)
    tell_records(context, kept)
    context.show(as_json(kept[0]))
    return DONE


def _read(name: str) -> bytes:
    """Return a key file, as far as a key file can be long."""
    try:
        if name == "-":
            return sys.stdin.buffer.read(MAX_FILE_OCTETS + 1)
        with Path(name).open("rb") as file:
            return file.read(MAX_FILE_OCTETS + 1)
    except OSError as error:
        raise Refused(f"{name}: {error.strerror or error}") from error


def _store(context: Context, made: Sequence[DkimKey], *, activate: bool) -> list[DkimKey]:
    """Record new keys, all or none; return them as they are then."""

    def change(transaction: Transaction) -> list[DkimKey]:
        kept = []
        for key in made:
            keys.add(transaction, key)
            signing = [old.selector for old in keys.active_keys(transaction, key.domain) if _alike(old, key)]
            if activate and signing:
                raise Refused(
                    f"{key.domain} signs with the {key.algorithm} key {signing[0]}; a new one takes its place "
                    "when it is published: create it without --activate"
                )
            if activate:
                key, _ = keys.activate(transaction, key.domain, key.selector, key.created_ms)
            kept.append(key)
        return kept

    return context.transact(change)


def _alike(one: DkimKey, other: DkimKey) -> bool:
    return one.algorithm == other.algorithm


def run_activate(context: Context, arguments: argparse.Namespace) -> int:
    """Sign with a key from now on."""
    domain, selector = parse_domain(arguments.domain), arguments.selector.lower()
    key = context.view(partial(keys.need_key, domain=domain, selector=selector))
    if not arguments.force:
        _, good, text = published(query(context), key)
        if not good:
            raise Refused(
                f"{text}; publish it first (fedaemonctl dkim show {domain} {selector}), or use --force"
            )
    at_ms = now_ms()
    active, retired = context.transact(partial(keys.activate, domain=domain, selector=selector, now_ms=at_ms))
    context.say(f"Mail from {domain} is signed with {selector} ({active.algorithm}) from now on.")
    for old in retired:
        until = show_time(old.until_ms)
        context.say(
            f"{old.selector} signs no more. Mail signed with it is on its way: leave its DNS record until {until}."
        )
        context.say(f"Then: fedaemonctl dkim remove {domain} {old.selector}")
    context.show({"active": as_json(active), "retired": [as_json(old) for old in retired]})
    return DONE


def run_remove(context: Context, arguments: argparse.Namespace) -> int:
    """Remove a key."""
    domain, selector = parse_domain(arguments.domain), arguments.selector.lower()
    gone = context.transact(
        partial(keys.remove, domain=domain, selector=selector, now_ms=now_ms(), force=arguments.force)
    )
    context.say(
        f"The key is removed. Now take this record out of DNS, if it is there: {dns_record.name(gone)} TXT"
    )
    context.show(as_json(gone))
    return DONE
