"""The directory as a text that can be versioned: written out, and read in.

The text is TOML with [[domain]], [[account]] and [[alias]] tables; ``declared.apply`` makes it true. Passwords
are not in it. What has its default is not written.

Invariants: reading what was written gives the same domains, accounts (but for passwords) and aliases; only
BadSyntax is raised, and says where.
"""

from __future__ import annotations

import json
import math
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from fedaemon.accounts.directory import accounts, aliases, domains, parse_name
from fedaemon.accounts.records import (
    DEFAULT_RIGHTS,
    MAX_LIFETIME_S,
    MAX_QUOTA_MESSAGES,
    MAX_QUOTA_OCTETS,
    MAX_RETENTION_S,
    MIN_LIFETIME_S,
    MIN_QUOTA_OCTETS,
    RIGHTS,
    Account,
    Alias,
    Domain,
)
from fedaemon.accounts.sizes import parse_size, show_size
from fedaemon.accounts.spans import parse_span, show_span
from fedaemon.errors import BadSyntax, MailError
from fedaemon.message.address import parse_address, parse_domain
from fedaemon.store.interface import Snapshot

COMMON = {"disabled", "daily_limit", "quota", "quota_messages"}
ALLOWED = {
    "domain": {"name", *COMMON, "lifetime", "retention"},
    "account": {"address", *COMMON, "identities", "success_notices", "may"},
    "alias": {"address", "targets"},
}
"""The tables and their keys."""

NO_LIMIT = "none"
"""Stands for no quota, where the settings have a default."""

HEAD = "# The domains, accounts and aliases of a fedaemon; made true by: fedaemonctl directory apply FILE\n"


@dataclass(frozen=True, slots=True)
class Declared:
    """What a text asks for, by name; accounts are without passwords, alias targets as they were written."""

    domains: dict[str, Domain] = field(default_factory=dict)
    accounts: dict[str, Account] = field(default_factory=dict)
    aliases: dict[str, Alias] = field(default_factory=dict)


def write(snapshot: Snapshot) -> str:
    """Return the directory as TOML."""
    parts = [HEAD]
    parts.extend(_table("domain", _domain_entries(domain)) for domain in domains(snapshot))
    parts.extend(_table("account", _account_entries(account)) for account in accounts(snapshot))
    parts.extend(
        _table("alias", {"address": alias.address, "targets": list(alias.targets)})
        for alias in aliases(snapshot)
    )
    return "\n".join(parts)


def _domain_entries(domain: Domain) -> dict[str, Any]:
    entries = {"name": domain.name, **_common(domain)}
    if domain.lifetime_s is not None:
        entries["lifetime"] = show_span(domain.lifetime_s)
    if domain.retention_s is not None:
        entries["retention"] = show_span(domain.retention_s)
    return entries


def _account_entries(account: Account) -> dict[str, Any]:
    entries = {"address": account.address, **_common(account)}
    if account.identities:
        entries["identities"] = list(account.identities)
    if account.success_notices:
        entries["success_notices"] = True
    if account.may != DEFAULT_RIGHTS:
        entries["may"] = sorted(account.may)
    return entries


def _common(entry: Domain | Account) -> dict[str, Any]:
    found: dict[str, Any] = {"disabled": True} if entry.disabled else {}
    if entry.daily_limit is not None:
        found["daily_limit"] = entry.daily_limit
    if entry.quota_octets is not None:
        found["quota"] = show_size(entry.quota_octets) if entry.quota_octets else NO_LIMIT
    if entry.quota_messages is not None:
        found["quota_messages"] = entry.quota_messages
    return found


def _table(kind: str, entries: dict[str, Any]) -> str:
    # What JSON writes for a string without DEL (which no address has), a number, a boolean or a list is
    # TOML, too.
    lines = [f"{key} = {json.dumps(value, ensure_ascii=False)}\n" for key, value in entries.items()]
    return f"[[{kind}]]\n" + "".join(lines)


def read(text: str) -> Declared:
    """Return what *text* asks for.

    :raises BadSyntax: it is not TOML, or has a table, key or value that it cannot have; the text says where.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadSyntax(str(error)) from error
    for kind, tables in document.items():
        if kind not in ALLOWED:
            raise BadSyntax(
                f"unknown table [[{kind}]]; known: {', '.join(f'[[{name}]]' for name in ALLOWED)}"
            )
        if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
            raise BadSyntax(f"{kind} must be written as [[{kind}]]")
    declared = Declared()
    for where, table in _tables(document, "domain"):
        name = _name(table, "name", where, parse_domain)
        _add(declared.domains, name, _domain(name, table, where), where)
    for where, table in _tables(document, "account"):
        name = _name(table, "address", where, lambda text: parse_address(text).key)
        _add(declared.accounts, name, _account(name, table, where), where)
    for where, table in _tables(document, "alias"):
        name = _name(table, "address", where, parse_name)
        if name in declared.accounts:
            raise BadSyntax(f"{where}: {name} is an account, too; an address is one or the other")
        targets = tuple(_each(table, "targets", where, lambda text: str(parse_address(text))))
        if not targets:
            raise BadSyntax(f"{where}: targets is missing or empty")
        _add(declared.aliases, name, Alias(name, targets), where)
    return declared


def _tables(document: dict[str, Any], kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the tables of a kind, each with a description of where it is."""
    for number, table in enumerate(document.get(kind, []), start=1):
        where = f"[[{kind}]] number {number}"
        for key in table:
            if key not in ALLOWED[kind]:
                raise BadSyntax(f'{where}: unknown key "{key}"; known: {", ".join(sorted(ALLOWED[kind]))}')
        yield where, table


def _name(table: dict[str, Any], key: str, where: str, parse: Callable[[str], str]) -> str:
    value = table.get(key)
    if not isinstance(value, str):
        raise BadSyntax(f'{where}: {key} = "…" is missing')
    return _parsed(value, f"{where}, {key}", parse)


def _each(table: dict[str, Any], key: str, where: str, parse: Callable[[str], str]) -> list[str]:
    values = table.get(key, [])
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise BadSyntax(f'{where}: {key} must be a list of addresses: ["…", "…"]')
    return list(dict.fromkeys(_parsed(value, f"{where}, {key}", parse) for value in values))


def _parsed(value: str, where: str, parse: Callable[[str], str]) -> str:
    try:
        return parse(value)
    except MailError as error:
        raise BadSyntax(f'{where} "{value}": {error.text}') from error


def _domain(name: str, table: dict[str, Any], where: str) -> Domain:
    return Domain(
        name,
        **_settings(table, where),
        lifetime_s=_span(table, "lifetime", where, MIN_LIFETIME_S, MAX_LIFETIME_S),
        retention_s=_span(table, "retention", where, 0, MAX_RETENTION_S),
    )


def _account(name: str, table: dict[str, Any], where: str) -> Account:
    return Account(
        name,
        **_settings(table, where),
        identities=tuple(_each(table, "identities", where, parse_name)),
        success_notices=_flag(table, "success_notices", where),
        may=_rights(table, where),
    )


def _span(table: dict[str, Any], key: str, where: str, low_s: int, high_s: int) -> int | None:
    value = table.get(key)
    if value is None:
        return None
    if not isinstance(value, str):
        raise BadSyntax(f'{where}: {key} must be a time in quotes, such as "3d"')
    try:
        return parse_span(value, low_s=low_s, high_s=high_s)
    except BadSyntax as error:
        raise BadSyntax(f"{where}, {key}: {error.text}") from error


def _rights(table: dict[str, Any], where: str) -> frozenset[str]:
    values = table.get("may")
    if values is None:
        return DEFAULT_RIGHTS
    if not isinstance(values, list) or not all(
        isinstance(value, str) and value in RIGHTS for value in values
    ):
        raise BadSyntax(f"{where}: may must be a list of some of {', '.join(sorted(RIGHTS))}")
    return frozenset(values)


def _flag(table: dict[str, Any], key: str, where: str) -> bool:
    value = table.get(key, False)
    if not isinstance(value, bool):
        raise BadSyntax(f"{where}: {key} must be true or false")
    return value


def _settings(table: dict[str, Any], where: str) -> dict[str, Any]:
    """Return what domains and accounts both have."""
    return {
        "disabled": _flag(table, "disabled", where),
        "daily_limit": _messages(table, "daily_limit", where),
        "quota_octets": _size(table, "quota", where),
        "quota_messages": _messages(table, "quota_messages", where, MAX_QUOTA_MESSAGES),
    }


def _messages(table: dict[str, Any], key: str, where: str, high: float = math.inf) -> int | None:
    limit = table.get(key)
    if limit is None:
        return None
    if not isinstance(limit, int) or isinstance(limit, bool) or not 0 <= limit <= high:
        raise BadSyntax(f"{where}: {key} must be a number of messages, 0 for no limit")
    return limit


def _size(table: dict[str, Any], key: str, where: str) -> int | None:
    value = table.get(key)
    if value is None:
        return None
    if value == NO_LIMIT:
        return 0
    if not isinstance(value, str):
        raise BadSyntax(f'{where}: {key} must be a size in quotes, such as "5GB", or "{NO_LIMIT}"')
    try:
        return parse_size(value, low=MIN_QUOTA_OCTETS, high=MAX_QUOTA_OCTETS)
    except BadSyntax as error:
        raise BadSyntax(f"{where}, {key}: {error.text}") from error


def _add(entries: dict[str, Any], name: str, entry: Domain | Account | Alias, where: str) -> None:
    if name in entries:
        raise BadSyntax(f"{where}: {name} is there twice")
    entries[name] = entry
