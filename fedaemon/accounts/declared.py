"""Makes the directory equal to a text (``declared_text.py``): what it names, and with *prune* all.

Passwords are not touched: a new account has none until one is made.

Invariants: applying what was written out changes nothing; applying twice changes nothing the second time;
all of it is applied or none.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from fedaemon.accounts.declared_text import Declared
from fedaemon.accounts.directory import (
    accounts,
    aliases,
    check_alias,
    domains,
    get_alias,
    get_domain,
    need_domain,
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
from fedaemon.accounts.sizes import show_size
from fedaemon.accounts.spans import show_span
from fedaemon.errors import Refused
from fedaemon.store.interface import Transaction

SHOWN = (
    "disabled",
    "daily_limit",
    "lifetime_s",
    "retention_s",
    "quota_octets",
    "quota_messages",
    "identities",
    "success_notices",
    "may",
    "targets",
)
"""The fields whose change is told, in this order."""


@dataclass(frozen=True, slots=True)
class Change:
    """One difference: *sign* is "+" (added), "~" (changed) or "-" (removed)."""

    sign: str
    kind: str
    name: str
    details: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.sign} {self.kind} {self.name}" + "".join(f"\n    {detail}" for detail in self.details)


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
        base,
        disabled=wanted.disabled,
        daily_limit=wanted.daily_limit,
        identities=wanted.identities,
        success_notices=wanted.success_notices,
        may=wanted.may,
        quota_octets=wanted.quota_octets,
        quota_messages=wanted.quota_messages,
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
        f"{_label(key)}: {_shown(key, getattr(known, key))} -> {_shown(key, getattr(wanted, key))}"
        for key in SHOWN
        if known is not None and hasattr(wanted, key) and getattr(known, key) != getattr(wanted, key)
    )
    return Change("+" if known is None else "~", kind, name, details)


def _label(key: str) -> str:
    return key.removesuffix("_s").removesuffix("_octets")


def _shown(key: str, value: object) -> str:
    match value:
        case tuple():
            return ", ".join(value) or "none"
        case frozenset():
            return ", ".join(sorted(value)) or "none"
        case bool():
            return "yes" if value else "no"
        case None:
            return "default"
        case int() if key.endswith("_s"):
            return show_span(value)
        case int() if key.endswith("_octets"):
            return show_size(value) if value else "none"
        case _:
            return str(value)
