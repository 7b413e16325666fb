"""The life of an event between its note and its end."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from fedaemon.delivery.hooks import backlog, webhook
from fedaemon.delivery.hooks.backlog import GONE, TOLERATED, expire, forget, note_event, ready, settle
from fedaemon.delivery.schedule import FIRST_DELAY_MS
from fedaemon.store.interface import Key
from tests.delivery.hooks.support import ALICE, DAY_MS, MINUTE_MS, SCHEDULE, START_MS, Shelf


def add(shelf: Shelf, count: int, now_ms: int = START_MS) -> None:
    for number in range(count):
        event = {"event": "delivered", "recipient": str(number)}
        noted = partial(note_event, account=ALICE, event=event, now_ms=now_ms)
        assert shelf.engine.transact(noted) == 1


def end(shelf: Shelf, key: Key, code: int, now_ms: int = START_MS) -> str:
    return shelf.engine.transact(lambda each: settle(each, "crm", key, code, "why", SCHEDULE, now_ms))


def look(shelf: Shelf, now_ms: int, room: int = 9, busy: Any = ()) -> tuple[list[str], int | None]:
    found, next_ms = shelf.engine.view(lambda each: ready(each, "crm", now_ms, room, busy))
    return [each.event["recipient"] for each in found], next_ms


@pytest.fixture
def shelf() -> Shelf:
    """A store with one webhook."""
    shelf = Shelf()
    shelf.hook()
    return shelf


def test_a_success_is_the_end(shelf: Shelf) -> None:
    """The event is gone, and the failures before are forgotten."""
    add(shelf, 2)
    first, second = shelf.waiting()
    assert end(shelf, first.key, 500) == "failed"
    assert end(shelf, second.key, 204) == "done"
    state = shelf.backlog()
    assert (state.waiting, state.posted, state.failures) == (1, 1, 0)
    assert (state.last_error, state.last_error_ms) == ("why", START_MS)


def test_a_failed_post_comes_again_as_mail_does(shelf: Shelf) -> None:
    """5, 10, 20 minutes…, then hours; the event keeps its id and its age."""
    add(shelf, 1)
    [first] = shelf.waiting()
    now_ms, gaps = START_MS, []
    for attempts in range(1, 7):
        [each] = shelf.waiting()
        end(shelf, each.key, 503, now_ms)
        [again] = shelf.waiting()
        assert (again.attempts, again.noted_ms, again.event) == (attempts, START_MS, first.event)
        due_ms = again.key[2]
        assert isinstance(due_ms, int)
        gaps.append((due_ms - now_ms) // MINUTE_MS)
        now_ms = due_ms
    assert gaps == [5, 10, 20, 40, 80, 180]


def test_an_event_is_given_up_after_its_lifetime(shelf: Shelf) -> None:
    """When no further post would come in time, and not before."""
    add(shelf, 2)
    first, second = shelf.waiting()
    over_ms = START_MS + SCHEDULE.lifetime_ms - FIRST_DELAY_MS
    assert end(shelf, first.key, 500, over_ms) == "failed"
    assert end(shelf, second.key, 500, over_ms + 1) == "expired"
    assert shelf.backlog().expired == 1


def test_a_dead_webhook_rests(shelf: Shelf) -> None:
    """After TOLERATED failures in a row; those that fail together count once, and a success ends it."""
    add(shelf, 10)
    keys = [each.key for each in shelf.waiting()]
    for key in keys[:TOLERATED]:
        assert shelf.backlog().retry_ms == 0
        end(shelf, key, 0)
    state = shelf.backlog()
    assert state.failing
    assert state.retry_ms == START_MS + 5 * MINUTE_MS
    end(shelf, keys[4], 0)
    assert shelf.backlog().retry_ms == START_MS + 5 * MINUTE_MS
    end(shelf, keys[5], 0, START_MS + 5 * MINUTE_MS)
    assert shelf.backlog().retry_ms == START_MS + 15 * MINUTE_MS
    end(shelf, keys[6], 200, START_MS + 15 * MINUTE_MS)
    assert (shelf.backlog().failures, shelf.backlog().retry_ms) == (0, 0)


def test_410_disables_the_webhook_and_keeps_what_waits(shelf: Shelf) -> None:
    """The administrator sees why, and can enable it again."""
    add(shelf, 2)
    first, second = shelf.waiting()
    assert end(shelf, first.key, 410) == "gone"
    assert end(shelf, second.key, 410) == "gone"
    [hook] = shelf.engine.view(webhook.webhooks)
    assert hook.disabled == GONE
    assert [each.attempts for each in shelf.waiting()] == [0, 0]
    assert shelf.backlog().waiting == 2
    assert shelf.engine.transact(lambda each: note_event(each, ALICE, {"event": "delivered"}, START_MS)) == 0


def test_a_full_backlog_drops_what_is_due_longest(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    """It never grows beyond its limit, and says how much was dropped."""
    monkeypatch.setattr(backlog, "MAX_WAITING", 3)
    for number in range(5):
        add(shelf, 1, START_MS + number)
    state = shelf.backlog()
    assert (state.waiting, state.dropped) == (3, 2)
    assert [each.noted_ms - START_MS for each in shelf.waiting()] == [2, 3, 4]


def test_what_is_ready(shelf: Shelf) -> None:
    """What is due and not under way, in order, as many as there is room for; else when to look again."""
    add(shelf, 3)
    keys = [each.key for each in shelf.waiting()]
    assert look(shelf, START_MS - 1) == ([], START_MS)
    assert look(shelf, START_MS) == (["0", "1", "2"], None)
    assert look(shelf, START_MS, room=2) == (["0", "1"], None)
    assert look(shelf, START_MS, busy={keys[0]}) == (["1", "2"], None)
    end(shelf, keys[1], 500)
    assert look(shelf, START_MS) == (["0", "2"], START_MS + 5 * MINUTE_MS)


def test_old_events_of_a_dead_webhook_are_given_up(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    """Slice by slice, and only those whose time is over."""
    monkeypatch.setattr(backlog, "EXPIRED_SLICE", 2)
    add(shelf, 3)
    add(shelf, 1, START_MS + DAY_MS)
    now_ms = START_MS + SCHEDULE.lifetime_ms
    counts = [shelf.engine.transact(lambda each: expire(each, "crm", SCHEDULE, now_ms)) for _ in range(3)]
    assert counts == [2, 1, 0]
    assert (shelf.backlog().waiting, shelf.backlog().expired) == (1, 3)


def test_a_post_that_ends_after_its_webhook_was_removed(shelf: Shelf) -> None:
    """Nothing of it comes back."""
    add(shelf, 2)
    [first, _] = shelf.waiting()
    shelf.engine.transact(lambda each: webhook.remove(each, "crm"))
    assert end(shelf, first.key, 500) == "removed"
    assert shelf.engine.transact(lambda each: forget(each, "crm", 100)) == 2
    assert [key for key in shelf.engine.entries if key[0] == "hookdue"] == []


def test_a_post_that_ends_after_its_event_was_dropped(shelf: Shelf) -> None:
    """The count of those that wait stays true."""
    add(shelf, 2)
    [first, _] = shelf.waiting()
    shelf.engine.transact(lambda each: each.delete(first.key))
    state = shelf.engine.view(lambda each: backlog.load_backlog(each, "crm"))
    state.waiting -= 1
    shelf.engine.transact(lambda each: backlog._save(each, "crm", state))
    assert end(shelf, first.key, 200) == "removed"
    assert end(shelf, first.key, 500) == "removed"
    assert shelf.backlog().waiting == 1
