"""A group of functions that share one transaction and one commit.

One commit costs the same for one function and for fifty, so the functions that wait together commit together.
The price is that a function may fail after it has written something: then the transaction is thrown away and
the others run again, each in a nested transaction of its own, so that a further failure undoes only itself.
That second way is slower (a nested transaction copies what it changes), which is why it is not the first.

Invariants: what a failing function wrote is never committed; the failure of one function is seen by its
caller alone; a function runs at most twice in a group, and one that failed is not run again.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any

import lmdb

from fedaemon.store.errors import StoreError
from fedaemon.store.interface import Transaction
from fedaemon.store.lmdb_transaction import LmdbTransaction, store_error


class Call:
    """One function, and what came of it: *value*, or *error*."""

    __slots__ = ("error", "function", "value")

    def __init__(self, function: Callable[[Transaction], Any]) -> None:
        self.function = function
        self.value: Any = None
        self.error: BaseException | None = None

    def run(self, transaction: LmdbTransaction) -> bool:
        """Run the function; True when the transaction holds only what may be committed."""
        changes, after, announced = transaction.changes, len(transaction.after), len(transaction.announced)
        try:
            self.value = self.function(transaction)
        except Exception as error:  # noqa: BLE001, RUF100 - whatever it is, it is this caller's alone
            self.error = error
            del transaction.after[after:]
            del transaction.announced[announced:]
        if transaction.broken is not None:
            self.error = self.error or transaction.broken
            return False
        return self.error is None or transaction.changes == changes


class Group:
    """The calls of one transaction, in the order in which they were made, and what it *announced*.

    *commit_s* is how long its commit took, 0.0 when there was nothing to commit; *error* why there was none.
    """

    __slots__ = ("announced", "calls", "commit_s", "error")

    def __init__(self) -> None:
        self.announced: Sequence[Hashable] = ()
        self.commit_s = 0.0
        self.error: StoreError | None = None
        self.calls: list[Call] = []

    def run(self, transaction: LmdbTransaction, calls: Iterable[Call]) -> bool:
        """Run *calls* one after the other; False as soon as the transaction must be thrown away.

        The calls are all in the group then, run or not.
        """
        usable = True
        for call in calls:
            self.calls.append(call)
            usable = usable and call.run(transaction)
        return usable

    def run_again(self, transaction: LmdbTransaction, begin_nested: Callable[[LmdbTransaction], Any]) -> None:
        """Run the calls that have not failed in a new transaction, each in a nested one.

        :param begin_nested: gives the LMDB transaction inside the one of its argument.
        """
        for call in self.calls:
            if call.error is not None:
                continue
            try:
                nested = LmdbTransaction(begin_nested(transaction))
                call.run(nested)
                if call.error is not None:
                    nested.txn.abort()
                    continue
                nested.txn.commit()
                transaction.changes += nested.changes
                transaction.after += nested.after
                transaction.announced += nested.announced
            except lmdb.Error as error:
                call.error = store_error(error, "cannot write")

    def fail(self, error: StoreError) -> None:
        """Nothing of the group became durable: every call without an error of its own gets *error*."""
        self.error = error
        for call in self.calls:
            if call.error is None:
                # Each caller its own exception: tracebacks and notes of one do not belong to the others.
                call.error = copy.copy(error)
                call.error.__cause__ = error.__cause__
