"""The directory as a text that can be versioned: written out, read in, and made true.

The text is TOML with [[domain]], [[account]] and [[alias]] tables. Applying it makes what it names equal to
it, and with *prune* removes the rest. Passwords are neither in it nor touched by it: a new account has none
until one is made.

Invariants: applying what was written out changes nothing; applying twice changes nothing the second time;
all of it is applied or none.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from fedaemon.accounts.directory import (
    accounts,
    aliases,
    check_alias,
    domains,
    get_alias,
    get_domain,
    need_domain,
    parse_name,
    parse_target,
    put_account,
    put_alias,
    put_domain,
    remove_account,
    remove_alias,
    remove_domain,
    stored_account,
)
from fedaemon.accounts.passwords import COST, Cost, new_account
from fedaemon.accounts.records import Account, Alias, Domain
from fedaemon.errors import BadSyntax, MailError, Refused
from fedaemon.message.address import parse_address, parse_domain
from fedaemon.store.interface import Snapshot, Transaction

ALLOWED = {
    "domain": {"name", "disabled", "daily_limit"},
    "account": {"address", "disabled", "daily_limit", "identities"},
    "alias": {"address", "targets"},
}
"""The tables and their keys."""

HEAD = "# The domains, accounts and aliases of a fedaemon; made true by: fedaemonctl directory apply FILE\n"


@dataclass(frozen=True, slots=True)
class Change:
    """One difference: *sign* is "+" (added), "~" (changed) or "-" (removed)."""

    sign: str
    kind: str
    name: str
    details: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.sign} {self.kind} {self.name}" + "".join(f"\n    {detail}" for detail in self.details)


@dataclass(frozen=True, slots=True)
class Declared:
    """What a text asks for, by name; accounts are without passwords, alias targets as they were written."""

    domains: dict[str, Domain] = field(default_factory=dict)
    accounts: dict[str, Account] = field(default_factory=dict)
    aliases: dict[str, Alias] = field(default_factory=dict)


def write(snapshot: Snapshot) -> str:
    """Return the directory as TOML."""
    parts = [HEAD]
    parts.extend(_table("domain", {"name": domain.name, **_common(domain)}) for domain in domains(snapshot))
    for account in accounts(snapshot):
        identities = {"identities": list(account.identities)} if account.identities else {}
        parts.append(_table("account", {"address": account.address, **_common(account), **identities}))
    parts.extend(
        _table("alias", {"address": alias.address, "targets": list(alias.targets)})
        for alias in aliases(snapshot)
    )
    return "\n".join(parts)


def _common(entry: Domain | Account) -> dict[str, Any]:
    found: dict[str, Any] = {"disabled": True} if entry.disabled else {}
    if entry.daily_limit is not None:
        found["daily_limit"] = entry.daily_limit
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
        _add(declared.domains, name, Domain(name, **_settings(table, where)), where)
    for where, table in _tables(document, "account"):
        name = _name(table, "address", where, lambda text: parse_address(text).key)
        identities = tuple(_each(table, "identities", where, parse_name))
        _add(declared.accounts, name, Account(name, **_settings(table, where), identities=identities), where)
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


def _settings(table: dict[str, Any], where: str) -> dict[str, Any]:
    disabled = table.get("disabled", False)
    if not isinstance(disabled, bool):
        raise BadSyntax(f"{where}: disabled must be true or false")
    limit = table.get("daily_limit")
    if limit is not None and (not isinstance(limit, int) or isinstance(limit, bool) or limit < 0):
        raise BadSyntax(f"{where}: daily_limit must be a number of messages, 0 for no limit")
    return {"disabled": disabled, "daily_limit": limit}


def _add(entries: dict[str, Any], name: str, entry: Domain | Account | Alias, where: str) -> None:
    if name in entries:
        raise BadSyntax(f"{where}: {name} is there twice")
    entries[name] = entry


def apply(transaction: Transaction, declared: Declared, *, prune: bool, cost: Cost = COST) -> list[Change]:
    """Make the directory equal to *declared* and return what changed.

    :param prune: remove what is not declared.
    :raises Refused: the result would not hold together: a domain is missing, an alias leads to nobody.
    """
    changes: list[Change] = []
    for domain in declared.domains.values():
        known = get_domain(transaction, domain.name)
        if known != domain:
            put_domain(transaction, domain)
            changes.append(_change("domain", domain.name, known, domain))
    if prune:
        # Before anything is added: an address may become an alias where it was an account.
        changes.extend(_prune(transaction, declared))
    for wanted in declared.accounts.values():
        changes.extend(_apply_account(transaction, wanted, cost))
    changed = [change for alias in declared.aliases.values() for change in _apply_alias(transaction, alias)]
    if prune:
        changes.extend(_prune_domains(transaction, declared))
    for alias in aliases(transaction):
        if prune or alias.address in declared.aliases:
            check_alias(transaction, alias)
    return changes + changed


def _apply_account(transaction: Transaction, wanted: Account, cost: Cost) -> Iterator[Change]:
    need_domain(transaction, wanted.domain)
    known = stored_account(transaction, wanted.address)
    if known is None and get_alias(transaction, wanted.address) is not None:
        remove_alias(transaction, wanted.address)
        yield Change("-", "alias", wanted.address)
    base = known or new_account(wanted.address, cost=cost)
    account = replace(
        base, disabled=wanted.disabled, daily_limit=wanted.daily_limit, identities=wanted.identities
    )
    if account != known:
        put_account(transaction, account)
        yield _change("account", account.address, known, account)


def _apply_alias(transaction: Transaction, wanted: Alias) -> Iterator[Change]:
    need_domain(transaction, wanted.domain)
    if stored_account(transaction, wanted.address) is not None:
        # An account has a mailbox and passwords: it goes only when that is said.
        raise Refused(
            f"{wanted.address} is an account here; to make it an alias, first: "
            f"fedaemonctl account remove {wanted.address}"
        )
    alias = Alias(wanted.address, tuple(parse_target(transaction, target) for target in wanted.targets))
    known = get_alias(transaction, alias.address)
    if known != alias:
        put_alias(transaction, alias)
        yield _change("alias", alias.address, known, alias)


def _prune(transaction: Transaction, declared: Declared) -> Iterator[Change]:
    """Remove the aliases and accounts that are not declared."""
    for alias in [alias for alias in aliases(transaction) if alias.address not in declared.aliases]:
        remove_alias(transaction, alias.address)
        yield Change("-", "alias", alias.address)
    for account in [account for account in accounts(transaction) if account.address not in declared.accounts]:
        remove_account(transaction, account.address)
        yield Change("-", "account", account.address)


def _prune_domains(transaction: Transaction, declared: Declared) -> Iterator[Change]:
    for domain in [domain for domain in domains(transaction) if domain.name not in declared.domains]:
        remove_domain(transaction, domain.name)
        yield Change("-", "domain", domain.name)


def _change(
    kind: str, name: str, known: Domain | Account | Alias | None, wanted: Domain | Account | Alias
) -> Change:
    """Describe how *wanted* differs from *known*."""
    details = tuple(
        f"{key}: {_shown(getattr(known, key))} -> {_shown(getattr(wanted, key))}"
        for key in ("disabled", "daily_limit", "identities", "targets")
        if known is not None and hasattr(wanted, key) and getattr(known, key) != getattr(wanted, key)
    )
    return Change("+" if known is None else "~", kind, name, details)


def _shown(value: object) -> str:
    match value:
        case tuple():
            return ", ".join(value) or "none"
        case bool():
            return "yes" if value else "no"
        case None:
            return "default"
        case _:
            return str(value)
