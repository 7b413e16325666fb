"""Whose is this address? Domains, accounts and aliases: looking them up, and changing them.

Functions over a snapshot or transaction, so that the daemon uses them through the store's queues and
fedaemonctl directly. Addresses are given as ``Address`` where they come from a peer, and as canonical keys
where they come from our own records.

An address resolves to, in this order: the account or alias of exactly that name; that of the name without
its +tag; the domain's catch-all alias "@domain".

Standards: RFC 5321 3.9 (aliases), RFC 5233 1 (+tag), RFC 2142 (postmaster@ and abuse@ are ordinary
addresses here: they exist only when an account, an alias or a catch-all does).
Invariants: an address is an account or an alias, never both; every refusal says what to do; a fault in the
directory itself (a circle of aliases) is a temporary failure, never a refusal of the mail.
Limits: expansion follows 10 aliases in a row and gives at most 1000 addresses.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from fedaemon.accounts.login import DISABLED, REVOKED, BadCredentials
from fedaemon.accounts.records import (
    Account,
    Alias,
    Domain,
    Password,
    decode_account,
    decode_alias,
    decode_domain,
    encode_account,
    encode_alias,
    encode_domain,
)
from fedaemon.errors import Refused, Unavailable
from fedaemon.message.address import Address, parse_address, parse_domain
from fedaemon.store.interface import Snapshot, Transaction
from fedaemon.store.spaces import ACCOUNT, ALIAS, DOMAIN

MAX_DEPTH = 10
MAX_EXPANDED = 1000
MAX_PASSWORDS = 100
"""Of one account: its record is read at every login."""


@dataclass(frozen=True, slots=True)
class Expanded:
    """Where mail ends up: an account's key when *local*, else an address of another server."""

    address: str
    local: bool


# -- Looking up
# ---------------------------------------------------------------------------------------------------


def get_domain(snapshot: Snapshot, name: str) -> Domain | None:
    """Return the domain *name* (A-labels, lower case), or None."""
    value = snapshot.get((DOMAIN, name))
    return None if value is None else decode_domain(value)


def domains(snapshot: Snapshot) -> Iterator[Domain]:
    """Yield all domains by name."""
    return (decode_domain(value) for _, value in snapshot.scan((DOMAIN,)))


def is_hosted(snapshot: Snapshot, domain: str) -> bool:
    """True when mail for *domain* is ours to take or refuse; also for a disabled domain."""
    return snapshot.get((DOMAIN, domain)) is not None


def stored_account(snapshot: Snapshot, address: str) -> Account | None:
    """Return the account *address* as it is recorded, or None; ``get_account`` also minds its domain."""
    value = snapshot.get((ACCOUNT, address))
    return None if value is None else decode_account(value)


def get_account(snapshot: Snapshot, address: str) -> Account | None:
    """Return the account *address*, or None; it counts as disabled, too, when its domain is."""
    account = stored_account(snapshot, address)
    if account is None or account.disabled:
        return account
    domain = get_domain(snapshot, account.domain)
    return replace(account, disabled=True) if domain is None or domain.disabled else account


def accounts(snapshot: Snapshot, domain: str | None = None) -> Iterator[Account]:
    """Yield the accounts of *domain*, or all, by address."""
    found = (decode_account(value) for _, value in snapshot.scan((ACCOUNT,)))
    return (account for account in found if domain is None or account.domain == domain)


def get_alias(snapshot: Snapshot, address: str) -> Alias | None:
    """Return the alias *address* ("@domain" for a catch-all), or None."""
    value = snapshot.get((ALIAS, address))
    return None if value is None else decode_alias(value)


def aliases(snapshot: Snapshot, domain: str | None = None) -> Iterator[Alias]:
    """Yield the aliases of *domain*, or all, by address."""
    found = (decode_alias(value) for _, value in snapshot.scan((ALIAS,)))
    return (alias for alias in found if domain is None or alias.domain == domain)


def aliases_to(snapshot: Snapshot, address: str) -> list[str]:
    """Return the aliases that name *address* (a key) as a target."""
    return [alias.address for alias in aliases(snapshot) if address in map(_key, alias.targets)]


def resolve(snapshot: Snapshot, address: Address) -> Account | Alias | None:
    """Return what takes mail for *address*, or None when nothing here does; the account may be disabled."""
    key = address.key
    base = address.base.key
    for name in (key,) if base == key else (key, base):
        found = get_account(snapshot, name) or get_alias(snapshot, name)
        if found is not None:
            return found
    return get_alias(snapshot, f"@{address.domain}")


def check_recipient(snapshot: Snapshot, address: Address) -> Account | Alias:
    """Return what takes mail for *address* of a hosted domain.

    :raises Refused: 550 5.1.1 when nothing does, 550 5.2.1 when it is disabled.
    """
    domain = get_domain(snapshot, address.domain)
    if domain is not None and domain.disabled:
        raise Refused(f"<{address}>: the domain {domain.name} is disabled here", status="5.2.1")
    found = resolve(snapshot, address)
    if found is None:
        raise Refused(f"<{address}>: there is no such address here", status="5.1.1")
    if isinstance(found, Account) and found.disabled:
        raise Refused(f"<{address}>: this mailbox is disabled", status="5.2.1")
    return found


def expand(snapshot: Snapshot, address: Address) -> list[Expanded]:
    """Return every final address of mail to *address*, each once, in the order of the aliases' targets.

    Circles are cut. A target of a hosted domain that does not exist (any more) or is disabled stays in the
    list as local: its delivery fails and is reported, rather than mail being lost in silence.

    :raises Refused: when *address* is hosted and nothing takes its mail (``check_recipient``).
    :raises Unavailable: when the aliases give no address at all, or too many.
    """
    if is_hosted(snapshot, address.domain):
        check_recipient(snapshot, address)
    final: dict[str, Expanded] = {}
    seen: set[str] = set()
    # A stack of (address, aliases on the way to it), the next target on top.
    waiting = [(address, 0)]
    while waiting:
        current, depth = waiting.pop()
        hosted = is_hosted(snapshot, current.domain)
        found = resolve(snapshot, current) if hosted else None
        if isinstance(found, Alias):
            if found.address in seen:
                continue
            seen.add(found.address)
            if depth == MAX_DEPTH:
                raise _misconfigured(address, f"more than {MAX_DEPTH} aliases in a row")
            waiting.extend((parse_address(target), depth + 1) for target in reversed(found.targets))
            continue
        key = current.key if found is None else found.address
        final.setdefault(key, Expanded(key if hosted else str(current), hosted))
        if len(final) > MAX_EXPANDED:
            raise _misconfigured(address, f"more than {MAX_EXPANDED} addresses")
    if not final:
        raise _misconfigured(address, "only aliases that lead back to it")
    return list(final.values())


def _misconfigured(address: Address, what: str) -> Unavailable:
    return Unavailable(
        f"<{address}>: the alias leads to {what}; its administrator must change it", status="4.3.5"
    )


def may_send_as(snapshot: Snapshot, account: Account, address: Address) -> bool:
    """True when *account* may use *address* as its sender: its own, an identity, or any of an "@domain"
    identity.

    A +tag is ignored. Aliases that lead to the account give no right to send (they may name many people).
    """
    names = {address.key, address.base.key}
    return (
        account.address in names
        or not names.isdisjoint(account.identities)
        or (f"@{address.domain}" in account.identities)
    )


def current(snapshot: Snapshot, account: Account) -> Account:
    """Return the account as it is now, for a session that logged in earlier.

    :param account: what ``Authenticator.verify`` gave.
    :raises BadCredentials: the account was removed or disabled since, or the password used was removed or
        changed.
    """
    fresh = get_account(snapshot, account.address)
    if fresh is None:
        raise BadCredentials(REVOKED)
    if fresh.disabled:
        raise BadCredentials(DISABLED, status="5.7.13")
    used = account.logged_in_with
    if used and all(password.hash != used for password in fresh.passwords):
        raise BadCredentials(REVOKED)
    return replace(fresh, logged_in_with=used)


# -- Changing
# -----------------------------------------------------------------------------------------------------


def parse_name(text: str) -> str:
    """Return the key of an address or of "@domain"; raises ``BadSyntax``."""
    text = text.strip()
    return f"@{parse_domain(text[1:])}" if text.startswith("@") else parse_address(text).key


def parse_target(snapshot: Snapshot, text: str) -> str:
    """Return an alias's target: its key when it is ours, else as it is written on the wire; raises
    ``BadSyntax``.

    Whether the local part of an address elsewhere minds case is that server's business (RFC 5321 2.4).
    """
    address = parse_address(text.strip())
    return address.key if is_hosted(snapshot, address.domain) else str(address)


def need_domain(snapshot: Snapshot, name: str) -> Domain:
    """Return the domain *name*; raises ``Refused`` with how to add it."""
    found = get_domain(snapshot, name)
    if found is None:
        raise Refused(f"{name} is not a domain here; add it first: fedaemonctl domain add {name}")
    return found


def need_account(snapshot: Snapshot, address: str) -> Account:
    """Return the account *address* as recorded; raises ``Refused`` with what to do."""
    found = stored_account(snapshot, address)
    if found is None:
        raise Refused(f"there is no account {address}; see: fedaemonctl account list")
    return found


def need_alias(snapshot: Snapshot, address: str) -> Alias:
    """Return the alias *address*; raises ``Refused`` with what to do."""
    found = get_alias(snapshot, address)
    if found is None:
        raise Refused(f"there is no alias {address}; see: fedaemonctl alias list")
    return found


def add_domain(transaction: Transaction, domain: Domain) -> None:
    """Add *domain*; raises ``Refused`` when it is here, or cannot take mail from elsewhere."""
    if domain.name.startswith("["):
        raise Refused(f"{domain.name} is an address literal, not a domain")
    if is_hosted(transaction, domain.name):
        raise Refused(f"{domain.name} is a domain here already")
    put_domain(transaction, domain)


def put_domain(transaction: Transaction, domain: Domain) -> None:
    """Record *domain* in place of what was there."""
    transaction.put((DOMAIN, domain.name), encode_domain(domain))


def remove_domain(transaction: Transaction, name: str) -> None:
    """Remove an empty domain; raises ``Refused`` while it has accounts or aliases."""
    need_domain(transaction, name)
    left = [account.address for account in accounts(transaction, name)]
    left += [alias.address for alias in aliases(transaction, name)]
    if left:
        shown = ", ".join(left[:3]) + (", …" if len(left) > 3 else "")
        raise Refused(
            f"{name} still has {len(left)} accounts and aliases ({shown}); remove them first, or stop its "
            f"mail with: fedaemonctl domain disable {name}"
        )
    transaction.delete((DOMAIN, name))


def add_account(transaction: Transaction, account: Account) -> None:
    """Add *account*; raises ``Refused`` when its domain is not here or the address is taken."""
    need_domain(transaction, account.domain)
    _need_free(transaction, account.address)
    put_account(transaction, account)


def put_account(transaction: Transaction, account: Account) -> None:
    """Record *account* in place of what was there."""
    transaction.put((ACCOUNT, account.address), encode_account(account))


def remove_account(transaction: Transaction, address: str) -> list[str]:
    """Remove the account *address*; return the aliases that still lead to it. Raises ``Refused``."""
    need_account(transaction, address)
    transaction.delete((ACCOUNT, address))
    return aliases_to(transaction, address)


def add_identity(transaction: Transaction, address: str, identity: str) -> None:
    """Let the account *address* send as *identity* (a key, or "@domain"); raises ``Refused``."""
    account = need_account(transaction, address)
    if identity == address or identity in account.identities:
        raise Refused(f"{address} may send as {identity} already")
    put_account(transaction, replace(account, identities=(*account.identities, identity)))


def remove_identity(transaction: Transaction, address: str, identity: str) -> None:
    """Take *identity* from the account *address*; raises ``Refused``."""
    account = need_account(transaction, address)
    if identity not in account.identities:
        raise Refused(f"{identity} is not an identity of {address}; see: fedaemonctl account show {address}")
    put_account(
        transaction,
        replace(account, identities=tuple(other for other in account.identities if other != identity)),
    )


def set_password(transaction: Transaction, account: Account, password: Password, *, replaces: bool) -> None:
    """Record *password* of *account*.

    :param account: the account that the password was made for (its SCRAM salt is in the password's keys).
    :param replaces: True to put it in the place of one of the same name, False to refuse that.
    :raises Refused: the account is not there, was made anew meanwhile, has the name already, or has too many.
    """
    address = account.address
    fresh = need_account(transaction, address)
    if (fresh.scram_salt, fresh.scram_iterations) != (account.scram_salt, account.scram_iterations):
        raise Refused(f"the account {address} was changed meanwhile; try again")
    others = tuple(other for other in fresh.passwords if other.name != password.name)
    if not replaces and len(others) < len(fresh.passwords):
        raise Refused(
            f'{address} has a password named "{password.name}" already; choose another name, or first: '
            f'fedaemonctl password remove {address} --name "{password.name}"'
        )
    if len(others) >= MAX_PASSWORDS:
        raise Refused(
            f"{address} has {MAX_PASSWORDS} passwords; remove some: fedaemonctl password list {address}"
        )
    put_account(transaction, replace(fresh, passwords=(*others, password)))


def remove_password(transaction: Transaction, address: str, name: str) -> None:
    """Remove the password *name* of the account *address*; raises ``Refused``."""
    account = need_account(transaction, address)
    others = tuple(other for other in account.passwords if other.name != name)
    if len(others) == len(account.passwords):
        raise Refused(f'{address} has no password named "{name}"; see: fedaemonctl password list {address}')
    put_account(transaction, replace(account, passwords=others))


def add_alias(transaction: Transaction, address: str, targets: tuple[str, ...]) -> Alias:
    """Let mail to *address* (a key, or "@domain") go to *targets*, too; return the alias as it is then.

    :raises Refused: the domain is not here, the address is an account, a target is nowhere here, or leads
        back.
    """
    need_domain(transaction, address.rpartition("@")[2])
    known = get_alias(transaction, address)
    if known is None:
        _need_free(transaction, address)
    before = known.targets if known is not None else ()
    alias = Alias(address, (*before, *(target for target in dict.fromkeys(targets) if target not in before)))
    put_alias(transaction, alias)
    check_alias(transaction, alias)
    return alias


def put_alias(transaction: Transaction, alias: Alias) -> None:
    """Record *alias* in place of what was there."""
    transaction.put((ALIAS, alias.address), encode_alias(alias))


def check_alias(snapshot: Snapshot, alias: Alias) -> None:
    """Raise ``Refused`` when *alias*, as recorded, leads to nobody, back to itself, or to too many."""
    if len(alias.targets) > MAX_EXPANDED:
        raise Refused(
            f"{alias.address} has {len(alias.targets)} targets; an alias has at most {MAX_EXPANDED}"
        )
    for target in alias.targets:
        address = parse_address(target)
        if not is_hosted(snapshot, address.domain):
            continue
        found = resolve(snapshot, address)
        if found is None:
            raise Refused(
                f"there is no account or alias {target} here; add it first: fedaemonctl account add {target}"
            )
        _check_circle(snapshot, alias, target, found)


def _check_circle(snapshot: Snapshot, alias: Alias, target: str, found: Account | Alias) -> None:
    """Raise when following *target*, which resolves to *found*, comes back to *alias*."""
    seen: set[str] = set()
    waiting = [found]
    while waiting:
        step = waiting.pop()
        if isinstance(step, Account) or step.address in seen:
            continue
        if step.address == alias.address:
            raise Refused(f"{target} leads back to {alias.address}: an alias cannot lead to itself")
        seen.add(step.address)
        further = (parse_address(name) for name in step.targets)
        waiting.extend(
            follow
            for address in further
            if is_hosted(snapshot, address.domain) and (follow := resolve(snapshot, address)) is not None
        )


def remove_alias(transaction: Transaction, address: str, targets: tuple[str, ...] = ()) -> Alias | None:
    """Take *targets*, or all, from the alias *address*; return what is left of it. Raises ``Refused``."""
    alias = need_alias(transaction, address)
    gone = set(map(_key, targets))
    missing = gone.difference(map(_key, alias.targets))
    if missing:
        raise Refused(f"{min(missing)} is not a target of {address}; see: fedaemonctl alias list")
    left = tuple(target for target in alias.targets if _key(target) not in gone) if gone else ()
    if not left:
        transaction.delete((ALIAS, address))
        return None
    put_alias(transaction, Alias(address, left))
    return Alias(address, left)


def _key(text: str) -> str:
    return parse_address(text).key


def _need_free(snapshot: Snapshot, address: str) -> None:
    """Raise ``Refused`` when *address* is an account or an alias."""
    if stored_account(snapshot, address) is not None:
        raise Refused(f"{address} is an account already; see: fedaemonctl account show {address}")
    if get_alias(snapshot, address) is not None:
        raise Refused(f"{address} is an alias already; first: fedaemonctl alias remove {address}")
