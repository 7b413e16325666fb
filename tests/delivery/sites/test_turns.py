"""Deficit round robin between lanes."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from fedaemon.delivery.claiming import Claim
from fedaemon.delivery.records import MessageRecord, RecipientRecord
from fedaemon.delivery.sites.turns import OCTETS_OF_A_TURN, Turns, cost


def made(lane: str, name: str = "", recipients: int = 1, size: int = 5000) -> Claim:
    message = MessageRecord("a@example.test", 0, size, "blob", recipients)
    found = tuple((n, RecipientRecord("u@remote.test", "remote.test")) for n in range(recipients))
    return Claim(name or lane, "remote.test", lane, message, found)


def drained(turns: Turns) -> list[Claim]:
    found = []
    while (claim := turns.next()) is not None:
        found.append(claim)
    return found


def test_lanes_alternate_and_keep_their_order() -> None:
    """A hundred messages of one lane leave another's two where they would be if there were three."""
    turns = Turns()
    for number in range(100):
        turns.add(made("1a", f"a{number}"))
    turns.add(made("1b", "b0"))
    turns.add(made("1b", "b1"))
    assert len(turns) == 102
    names = [claim.queue_id for claim in drained(turns)]
    assert names[:5] == ["a0", "b0", "a1", "b1", "a2"]
    assert [name for name in names if name[0] == "a"] == [f"a{number}" for number in range(100)]


def test_work_counts_and_not_messages() -> None:
    """A message to fifty recipients waits until fifty others had their turn; a large one likewise."""
    turns = Turns()
    for number in range(3):
        turns.add(made("1bulk", f"bulk{number}", recipients=50))
    for number in range(200):
        turns.add(made("1one", f"one{number}"))
    names = [claim.queue_id for claim in drained(turns)]
    first, second = names.index("bulk0"), names.index("bulk1")
    assert 40 <= second - first <= 60
    assert cost(made("1a", size=4 * OCTETS_OF_A_TURN)) == 5


def test_classes_are_strict() -> None:
    """Urgent, normal, non-urgent."""
    turns = Turns()
    for lane in ("2a", "1a", "0a", "2b", "1b", "0b"):
        turns.add(made(lane))
    assert [claim.lane for claim in drained(turns)] == ["0a", "0b", "1a", "1b", "2a", "2b"]


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.integers(1, 100)), max_size=60))
def test_everything_comes_out_once(added: list[tuple[str, int]]) -> None:
    """Whatever the costs: nothing is lost, doubled, or out of its lane's order, and the end is reached."""
    turns = Turns()
    for number, (lane, recipients) in enumerate(added):
        turns.add(made(f"1{lane}", f"{lane}{number}", recipients))
    names = [claim.queue_id for claim in drained(turns)]
    assert Counter(names) == Counter(f"{lane}{number}" for number, (lane, _) in enumerate(added))
    for lane in "abcd":
        numbers = [int(name[1:]) for name in names if name[0] == lane]
        assert numbers == sorted(numbers)


def test_all_can_be_taken_back() -> None:
    """A stop puts back what was ready."""
    turns = Turns()
    for lane in ("1a", "1b", "1a"):
        turns.add(made(lane))
    assert sorted(claim.lane for claim in turns.take_all()) == ["1a", "1a", "1b"]
    assert (len(turns), turns.next()) == (0, None)
