"""The version of the store's format, and how older ones are brought up to date.

Invariants: a store of a newer format is never opened; a migration is one transaction per step with the
version record in it, so that one cut short happened or did not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from fedaemon.store import migrate_1, migrate_2, records
from fedaemon.store.errors import NewerFormat, StoreError
from fedaemon.store.interface import Snapshot, Transaction
from fedaemon.store.spaces import FORMAT

CURRENT = 3

Migration = Callable[[Transaction], None]

MIGRATIONS: Mapping[int, Migration] = {1: migrate_1.migrate, 2: migrate_2.migrate}
"""From a version to the function that makes the next one of it."""


def version(snapshot: Snapshot) -> int | None:
    """Return the version of the store; None when it has none yet, which is right only for an empty one."""
    value = snapshot.get((FORMAT,))
    if value is None:
        return None
    found = records.decode(value).get("version")
    if type(found) is not int or found < 1:
        raise StoreError("the store's format record is damaged; restore a backup")
    return found


def set_version(transaction: Transaction, number: int) -> None:
    """Write the version record."""
    transaction.put((FORMAT,), records.encode({"version": number}))


def check(found: int, current: int = CURRENT) -> None:
    """Raise NewerFormat when this program is too old for a store of version *found*."""
    if found > current:
        raise NewerFormat(
            f"the store has format {found}, this fedaemon reads up to format {current}: run the newer"
            " fedaemon that wrote it, or restore a backup made before the upgrade"
        )


def upgrade(
    transaction: Transaction,
    *,
    current: int = CURRENT,
    migrations: Mapping[int, Migration] = MIGRATIONS,
) -> bool:
    """Bring the store one version nearer to *current*; True when it is not there yet.

    A new, empty store gets its version record. Raises NewerFormat, and StoreError when there is no way from
    the version found.
    """
    found = version(transaction)
    if found is None:
        if next(transaction.scan(()), None) is not None:
            raise StoreError("this LMDB database was not made by fedaemon; set another data_dir")
        set_version(transaction, current)
        return False
    check(found, current)
    if found == current:
        return False
    migration = migrations.get(found)
    if migration is None:
        raise StoreError(
            f"the store has format {found}, and this fedaemon cannot upgrade it; use an older one"
        )
    migration(transaction)
    set_version(transaction, found + 1)
    return found + 1 < current
