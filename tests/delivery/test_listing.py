"""Looking at the queue: which messages a filter finds."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedaemon.delivery import actions, selection
from fedaemon.delivery.queue import NewRecipient
from fedaemon.delivery.selection import STATES, Filter, select
from fedaemon.delivery.site_listing import known_sites
from fedaemon.store import ids as id_source
from tests.delivery import support
from tests.delivery.support import ACCEPTED, ALICE, BOB, GREYLISTED, HOUR, UNKNOWN, World


@pytest.fixture
def world() -> World:
    world = World()
    world.manager.start()
    world.transport.answer = lambda address: {"slow": GREYLISTED, "gone": UNKNOWN}.get(
        address.rpartition("@")[2].removesuffix(".test"), ACCEPTED
    )
    return world


def ids(world: World, **wanted: Any) -> list[str]:
    return [found.queue_id for found in select(world.view, Filter(**wanted))]


def fits_all(world: World, wanted: Filter) -> list[str]:
    """The same by looking at everything."""
    return [found.queue_id for found in select(world.view, Filter()) if wanted.takes(found)]


# -- Filters


def test_a_filter_looks_at_the_state_of_messages_and_recipients(world: World) -> None:
    """A status, "waiting", or a state that only a recipient can be in."""
    slow, gone, sent = world.submit("c@slow.test"), world.submit("c@gone.test"), world.submit("c@fast.test")
    mixed = world.submit("c@slow.test", "c@fast.test")
    held = world.submit("c@slow.test")
    world.transact(partial(actions.hold, queue_id=held, now_ms=world.now_ms()))
    bounce = ids(world, sender="")
    assert ids(world, state="deferred") == [slow, mixed] == ids(world, state="waiting")
    assert ids(world, state="bounced") == [gone]
    assert [each for each in ids(world, state="sent") if each not in bounce] == [sent]
    assert ids(world, state="held") == [held] == ids(world, state="pending")
    assert set(ids(world, state="delivered")) - set(bounce) == {sent, mixed}
    assert ids(world, unfinished=True) == [slow, mixed, held]


def test_a_filter_compares_addresses_as_mailboxes(world: World) -> None:
    """Case does not matter, aliases count on both sides, and the empty sender can be asked for."""
    one = world.submit(NewRecipient("Carol@slow.test", False, original="sales@example.test"))
    two = world.submit("dave@slow.test", sender="", account=None)
    accented = world.submit("J\u00dcRGEN@slow.test", sender="\u00c4@example.test")
    assert ids(world, recipient="carol@slow.test") == [one] == ids(world, recipient="sales@example.test")
    assert ids(world, sender="") == [two]
    assert ids(world, sender="\u00e4@example.test") == [accented]
    assert ids(world, recipient="j\u00fcrgen@slow.test") == [accented]
    assert ids(world, account=ALICE) == [one, accented]
    assert ids(world, recipient="nobody@slow.test") == []


def test_a_filter_of_age_reads_only_that_range(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Older and younger meet without overlap; what is outside is not even looked at."""
    # Contents are named by the true time, and ids of one process never go back.
    monkeypatch.setattr(support, "START_MS", int(time.time() * 1000) - 5 * HOUR * 1000)
    monkeypatch.setattr(id_source, "_last", 0)
    old = world.enqueue("c@slow.test")
    world.clock.advance(5 * HOUR)
    young = world.enqueue("c@slow.test")
    seen: list[int] = []
    now_ms = world.now_ms()
    assert ids(world, before_ms=now_ms) == [old]
    found = select(world.view, Filter(since_ms=now_ms), seen.append)
    assert [each.queue_id for each in found] == [young]
    assert seen == [1]
    assert ids(world, since_ms=now_ms + 1) == []


@given(st.integers(1, 2**47), st.integers(-1000, 1000))
def test_ids_and_times_compare_alike(at_ms: int, difference_ms: int) -> None:
    """The bound made of a time sorts before every id made then or later, and behind those made before."""
    other_ms = max(1, at_ms + difference_ms)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(id_source, "_last", 0)
        made = id_source.new_id(other_ms)
    assert (selection._id_at(at_ms) <= made) == (other_ms >= at_ms)


def test_a_filter_of_category_and_site_goes_by_the_latest_reply(world: World) -> None:
    """What was never tried belongs to the site of its destination, as far as that is known."""
    tried = world.submit("c@slow.test")
    world.pass_time(3, step=1)
    fresh = world.enqueue("d@slow.test")
    last = world.recipient(tried).last
    assert last is not None
    site = last["site"]
    assert ids(world, category=last["category"]) == [tried]
    assert ids(world, category="virus") == []
    destinations = world.view(known_sites).destinations(site)
    assert ids(world, site=site, destinations=destinations) == [tried, fresh]
    assert ids(world, site="mx.elsewhere.test") == []


def test_what_a_filter_says_of_recipients_must_hold_for_one_of_them(world: World) -> None:
    """A message that waits for one domain and reached another does not wait for that other one."""
    queue_id = world.submit("c@slow.test", "c@fast.test")
    assert ids(world, state="waiting", domain="slow.test") == [queue_id]
    assert ids(world, state="waiting", domain="fast.test") == []
    assert ids(world, state="delivered", domain="fast.test") == [queue_id]


def test_a_message_that_waits_for_others_is_spared(world: World) -> None:
    """What removes whole messages leaves those that somebody else's mail would go with."""
    both = world.submit("c@slow.test", "d@slow2.test", "e@fast.test")
    world.transact(partial(actions.hold, queue_id=both, now_ms=world.now_ms()))
    (found,) = select(world.view, Filter())
    assert Filter(domain="slow.test").spares(found) is False, "the others are delivered"
    partly = world.enqueue("c@slow.test", "d@slow2.test")
    found = next(each for each in select(world.view, Filter()) if each.queue_id == partly)
    assert Filter(domain="slow.test").spares(found)
    assert not Filter(state="deferred").spares(found)
    assert Filter(state="sent").spares(found)


ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(["c@slow.test", "c@fast.test", "c@gone.test", BOB]),
        st.sampled_from([ALICE, BOB, None]),
        st.sampled_from(["", "hold", "wait"]),
        st.integers(0, 2),
    ),
    max_size=8,
)


@settings(max_examples=25, deadline=None)
@given(
    ACTIONS, st.sampled_from(["", *STATES]), st.sampled_from(["slow.test", "fast.test", "example.test", ""])
)
def test_the_index_finds_what_looking_at_everything_finds(
    submitted: list[tuple[str, str | None, str, int]], state: str, domain: str
) -> None:
    """With and without the index: the same messages, once each, in the same order."""
    world = World()
    world.manager.start()
    world.transport.answer = lambda address: GREYLISTED if "slow" in address else ACCEPTED
    for address, account, then, more in submitted:
        enqueue = world.enqueue if then == "wait" else world.submit
        queue_id = enqueue(address, *(f"{n}@slow.test" for n in range(more)), account=account)
        if then == "hold":
            world.transact(partial(actions.hold, queue_id=queue_id, now_ms=world.now_ms()))
    wanted = Filter(state=state, domain=domain)
    assert [found.queue_id for found in select(world.view, wanted)] == fits_all(world, wanted)


@pytest.mark.parametrize("wanted", [Filter(), Filter(state="waiting", domain="slow.test")])
def test_views_are_short_and_nothing_is_missed_between_them(
    world: World, monkeypatch: pytest.MonkeyPatch, wanted: Filter
) -> None:
    """Each view looks at a limited number of entries, and the next goes on behind it."""
    monkeypatch.setattr(selection, "LOOK", 3)
    monkeypatch.setattr(selection, "LOOK_ENTRIES", 4)
    expected = [world.enqueue("c@slow.test", "d@slow.test") for _ in range(10)]
    views = 0

    def view(function: Callable[[Any], Any]) -> Any:
        nonlocal views
        views += 1
        return world.view(function)

    assert [found.queue_id for found in select(view, wanted)] == expected
    assert views >= 4
