"""What was expunged since a mod-sequence (RFC 7162 3.2.10.2), against a model that remembers everything."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedaemon.mailbox import changing, keeping
from fedaemon.mailbox import columns as c
from fedaemon.mailbox import state as states
from fedaemon.mailbox.adding import NewMail, append
from fedaemon.mailbox.changing import Mode
from fedaemon.mailbox.history import intersection, vanished_since, without
from fedaemon.mailbox.mailboxes import create
from fedaemon.store.errors import StoreError
from tests.fakes import MemoryEngine

ALICE = "alice@example.test"
MESSAGES = 12
uid_sets = st.sets(st.integers(1, MESSAGES + 3))


class Box:
    """A mailbox of MESSAGES messages; *gone* remembers the mod-sequence at which each UID was expunged."""

    def __init__(self, *, sealed: int = 0) -> None:
        self.engine = MemoryEngine()
        self.id = self.engine.transact(lambda t: create(t, ALICE, "Work", 0)).id
        self.gone: dict[int, int] = {}
        mails = [NewMail("b", 1, 0) for _ in range(MESSAGES)]
        self.engine.transact(lambda t: append(t, self.id, mails, 0))
        if sealed:
            uids = list(range(1, sealed + 1))
            assert self.engine.transact(lambda t: keeping.seal(t, self.id, uids, [(b"",) * 12] * sealed))

    @property
    def modseq(self) -> int:
        return self.engine.view(lambda s: states.load(s, self.id)).modseq

    def expunge(self, uids: set[int]) -> None:
        ranges = changing.runs(sorted(uids))
        self.engine.transact(lambda t: changing.expunge(t, self.id, ranges, 0, only_deleted=False))
        for uid in uids - self.gone.keys():
            if uid <= MESSAGES:
                self.gone[uid] = self.modseq

    def forget(self, upto: int) -> None:
        """Let the history begin behind a mod-sequence."""

        def write(transaction: object) -> None:
            before = states.load(transaction, self.id)  # type: ignore[arg-type]
            states.save(transaction, self.id, before, before._replace(history_from=upto))  # type: ignore[arg-type]

        self.engine.transact(write)

    def vanished(self, modseq: int, known: set[int]) -> set[int]:
        ranges = changing.runs(sorted(known))
        found = self.engine.view(lambda s: vanished_since(s, self.id, modseq, ranges))
        assert list(found) == sorted(found)
        return numbers(found)


def numbers(ranges: c.UidRanges) -> set[int]:
    return {uid for first, last in ranges for uid in range(first, last + 1)}


@given(st.lists(uid_sets, max_size=5), uid_sets, st.integers(0, 8), st.sampled_from((0, 5)))
def test_what_was_expunged_since(expunges: list[set[int]], known: set[int], modseq: int, sealed: int) -> None:
    """Exactly that, of the known UIDs, while the history reaches."""
    box = Box(sealed=sealed)
    for uids in expunges:
        box.expunge(uids)
    since = max(modseq, 1)
    expected = {uid for uid, at in box.gone.items() if at > since}
    assert box.vanished(since, known) == expected & known


@given(st.lists(uid_sets, max_size=4), uid_sets, st.sampled_from((0, 5)))
def test_beyond_the_history_all_without_a_live_message_are_told(
    expunges: list[set[int]], known: set[int], sealed: int
) -> None:
    """Also those that the client was told of before; never one that lives or was never given."""
    box = Box(sealed=sealed)
    for uids in expunges:
        box.expunge(uids)
    box.forget(box.modseq)
    assert box.vanished(box.modseq - 1, known) == box.gone.keys() & known
    assert box.vanished(box.modseq, known) == set()


def test_other_changes_and_other_mailboxes_expunge_nothing() -> None:
    """A mod-sequence is used by changes of flags as well."""
    box = Box()
    since = box.modseq
    box.engine.transact(lambda t: changing.change_flags(t, box.id, ((1, 3),), Mode.ADD, c.SEEN))
    other = box.engine.transact(lambda t: create(t, ALICE, "Other", 0)).id
    box.engine.transact(lambda t: append(t, other, [NewMail("b", 1, 0)], 0))
    box.engine.transact(lambda t: changing.expunge(t, other, ((1, 1),), 0, only_deleted=False))
    assert box.vanished(since, set(range(1, 20))) == set()
    box.expunge({2})
    assert box.vanished(since, set(range(1, 20))) == {2}


def test_no_mailbox() -> None:
    """What is gone altogether has no history."""
    with pytest.raises(StoreError):
        MemoryEngine().view(lambda s: vanished_since(s, "none", 1, ((1, 1),)))


@given(uid_sets, uid_sets)
def test_sets_of_ranges(one: set[int], other: set[int]) -> None:
    """As sets of numbers have it."""
    first, second = changing.runs(sorted(one)), changing.runs(sorted(other))
    assert numbers(intersection(first, second)) == one & other
    assert numbers(without(first, second)) == one - other
