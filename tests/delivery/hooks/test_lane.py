"""Posting: what goes when, and that nobody holds up anybody."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from fedaemon import counters
from fedaemon.delivery.hooks import backlog
from fedaemon.delivery.hooks.backlog import GONE, TOLERATED, note_event
from fedaemon.delivery.hooks.lane import DRAIN_S, PER_WEBHOOK, POSTS, HookLane
from fedaemon.delivery.hooks.post import Post, signature
from fedaemon.delivery.hooks.webhook import disable, webhooks
from fedaemon.store.errors import StoreFull
from fedaemon.store.lmdb_engine import LmdbEngine
from fedaemon.store.turns import RETRY_S
from tests.delivery.hooks.support import (
    ALICE,
    DAY_MS,
    HOUR_MS,
    MINUTE_MS,
    SCHEDULE,
    FailingStore,
    Receiver,
    Shelf,
    Time,
)
from tests.fakes import MemoryEngine


class World(Shelf):
    """A store, webhooks and the lane that posts for them."""

    def __init__(self, *names: str, engine: MemoryEngine | None = None) -> None:
        super().__init__(engine or MemoryEngine())
        self.clock = Time()
        self.receiver = Receiver()
        self.store = FailingStore(self.engine)
        self.lane = self.new_lane()
        for name in names or ("crm",):
            self.hook(name)

    def new_lane(self) -> HookLane:
        return HookLane(self.store, self.clock, self.clock.now_ms, schedule=SCHEDULE, send=self.receiver.send)

    def note(self, count: int = 1) -> None:
        """Note events that every webhook hears of, and say so."""
        for number in range(count):
            event = {"event": "delivered", "recipient": str(number)}
            self.engine.transact(partial(note_event, account=ALICE, event=event, now_ms=self.clock.now_ms()))
        self.lane.wake()

    def stop(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self.lane.stop())

    def posted(self, name: str = "crm") -> list[Post]:
        return [post for post in self.receiver.posts if f"//{name}.test/" in post.url]


@pytest.fixture
def world() -> World:
    """One webhook and a lane that runs."""
    world = World()
    world.lane.start()
    return world


def body(post: Post) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(post.body)
    return found


def test_events_are_posted_in_order_and_signed(world: World) -> None:
    """Each once, with what a receiver needs to check it."""
    world.note(3)
    assert [body(post)["recipient"] for post in world.posted()] == ["0", "1", "2"]
    post = world.posted()[0]
    assert post.headers["X-Webhook-Signature"] == signature("s" * 16, post.body)
    assert body(post)["attempt"] == 1
    assert body(post)["posted"] == "2025-06-15T15:06:40Z"
    assert post.headers["X-Webhook-Id"] == body(post)["id"]
    assert world.backlog().posted == 3
    world.clock.pass_ms(DAY_MS, HOUR_MS)
    assert len(world.posted()) == 3


def test_what_waited_before_the_start_is_posted() -> None:
    """A restart forgets nothing, and paused means paused."""
    world = World()
    world.note(2)
    assert world.posted() == []
    world.lane.start()
    assert len(world.posted()) == 2


def test_a_failed_post_is_made_again_with_the_same_id(world: World) -> None:
    """Five minutes later; the body says that it is the second."""
    world.receiver.codes["crm.test"] = 500
    world.note()
    world.receiver.codes["crm.test"] = 200
    world.clock.pass_ms(4 * MINUTE_MS)
    assert len(world.posted()) == 1
    world.clock.pass_ms(2 * MINUTE_MS)
    first, second = (body(post) for post in world.posted())
    assert first["id"] == second["id"]
    assert (first["attempt"], second["attempt"]) == (1, 2)
    assert world.backlog().waiting == 0


@pytest.mark.parametrize("code", [0, 302, 400, 404, 429, 500])
def test_only_2xx_is_success(world: World, code: int) -> None:
    """A redirect is a failure as well: nobody there has taken the event."""
    world.receiver.codes["crm.test"] = code
    world.note()
    assert (world.backlog().waiting, world.backlog().failures) == (1, 1)


def test_an_event_that_cannot_be_digested_holds_up_no_other(world: World) -> None:
    """It alone fails, however often; the others go out at once."""
    world.receiver.answer = lambda post: 400 if body(post)["recipient"] == "0" else 200
    world.note(5)
    world.clock.pass_ms(HOUR_MS)
    world.note(5)
    done = [body(post)["recipient"] for post in world.posted() if body(post)["recipient"] != "0"]
    assert done == ["1", "2", "3", "4"] * 2
    assert world.backlog().waiting == 2


def test_a_dead_webhook_is_probed_and_then_gets_everything(world: World) -> None:
    """Hundreds of events cost a handful of posts while it is dead; when it is back, all of them arrive."""
    world.receiver.codes["crm.test"] = 0
    world.note(300)
    world.clock.pass_ms(DAY_MS)
    assert len(world.posted()) < 30
    world.receiver.codes["crm.test"] = 200
    world.clock.pass_ms(5 * HOUR_MS)
    assert world.backlog().waiting == 0
    assert world.backlog().posted == 300


def test_a_dead_webhook_has_one_post_under_way(world: World) -> None:
    """Whatever waits: a host in trouble is not hammered."""
    world.receiver.codes["crm.test"] = 500
    world.note(TOLERATED)
    world.receiver.codes["crm.test"] = None
    world.note(20)
    world.clock.pass_ms(10 * MINUTE_MS)
    assert world.lane.posts_under_way == 1


def test_a_webhook_that_hangs_holds_up_no_other() -> None:
    """Few posts of one webhook are under way at a time; the others go on."""
    world = World("aaa", "crm")
    world.lane.start()
    world.receiver.codes["aaa.test"] = None
    world.note(50)
    assert len(world.posted("aaa")) == PER_WEBHOOK
    assert len(world.posted("crm")) == 50
    world.receiver.codes["aaa.test"] = 200
    world.receiver.finish()
    assert world.backlog("aaa").waiting == 0


def test_posts_under_way_are_bounded() -> None:
    """Also with many webhooks that hang; as soon as they answer everything goes on."""
    world = World(*(f"h{number:02}" for number in range(30)))
    world.lane.start()
    world.receiver.answer = lambda post: None
    world.note(10)
    assert world.lane.posts_under_way == POSTS
    world.receiver.answer = lambda post: 200
    world.receiver.finish()
    assert sum(world.backlog(f"h{number:02}").waiting for number in range(30)) == 0


def test_dead_webhooks_leave_room_for_the_others() -> None:
    """They never use more than half of the posts there may be."""
    dead = [f"h{number:02}" for number in range(50)]
    world = World(*dead)
    world.lane.start()
    world.receiver.answer = lambda post: 500
    world.note(TOLERATED)
    world.receiver.answer = lambda post: None
    world.clock.pass_ms(10 * MINUTE_MS)
    assert world.lane.posts_under_way == POSTS // 2
    world.hook("crm")
    world.receiver.answer = lambda post: 200 if "crm" in post.url else None
    world.note()
    assert len(world.posted("crm")) == 1


def test_410_ends_a_webhook(world: World) -> None:
    """Nothing more is posted; enabling it sends what waits."""
    world.receiver.codes["crm.test"] = 410
    world.note(3)
    [hook] = world.engine.view(webhooks)
    assert hook.disabled == GONE
    posts = len(world.posted())
    world.clock.pass_ms(DAY_MS, HOUR_MS)
    assert len(world.posted()) == posts
    world.receiver.codes["crm.test"] = 200
    world.engine.transact(lambda each: disable(each, "crm", ""))
    world.lane.wake()
    assert world.backlog().waiting == 0


def test_events_of_a_disabled_webhook_are_kept_for_their_time(world: World) -> None:
    """Then they are given up, and nothing was posted."""
    world.receiver.codes["crm.test"] = None
    world.engine.transact(lambda each: disable(each, "crm", ""))
    world.receiver.codes["crm.test"] = 500
    world.note(2)
    world.engine.transact(lambda each: disable(each, "crm", "by hand"))
    world.clock.pass_ms(SCHEDULE.lifetime_ms, HOUR_MS)
    world.lane.wake()
    assert (world.backlog().waiting, world.backlog().expired) == (0, 2)
    assert len(world.posted()) == 2


def test_dropped_events_are_counted_and_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once each."""
    monkeypatch.setattr(backlog, "MAX_WAITING", 5)
    before = counters.value("webhook_dropped_total")
    world.receiver.codes["crm.test"] = None
    world.note(20)
    world.lane.wake()
    assert counters.value("webhook_dropped_total") - before == 15
    assert counters.value("webhook_backlog") == 5


def test_a_full_disk_makes_no_post_twice_at_once(world: World) -> None:
    """What became of a post cannot be written down: it is made again, but not before the store had time."""
    world.receiver.codes["crm.test"] = None
    world.note()
    world.store.error = StoreFull("no space")
    world.receiver.finish()
    world.lane.wake()
    world.clock.pass_ms(RETRY_S * 1000 - 1, 500)
    assert len(world.posted()) == 1
    world.store.error = None
    world.receiver.codes["crm.test"] = 200
    world.clock.pass_ms(2000, 500)
    assert len(world.posted()) == 2
    assert world.backlog().waiting == 0


def test_a_stop_waits_for_posts(world: World) -> None:
    """What ends in time is settled."""
    world.receiver.codes["crm.test"] = None
    world.note()
    stopping = world.stop()
    assert not stopping.called
    world.receiver.finish()
    assert stopping.called
    assert world.backlog().waiting == 0
    assert world.clock.getDelayedCalls() == []


def test_a_stop_cuts_off_what_hangs(world: World) -> None:
    """Those events are posted by the next run, and count as not tried."""
    world.receiver.codes["crm.test"] = None
    world.note(2)
    stopping = world.stop()
    world.clock.advance(DRAIN_S)
    assert stopping.called
    assert [each.attempts for each in world.waiting()] == [0, 0]
    assert world.clock.getDelayedCalls() == []
    world.receiver.codes["crm.test"] = 200
    world.lane = world.new_lane()
    world.lane.start()
    assert world.backlog().posted == 2


def test_on_the_real_store(tmp_path: Path) -> None:
    """Success, failure, rest and the end of the lifetime, with LMDB's order of keys and rules for scans."""
    engine: Any = LmdbEngine.open(tmp_path)
    world = World(engine=engine)
    world.lane.start()
    world.receiver.codes["crm.test"] = 500
    world.note(20)
    world.clock.pass_ms(HOUR_MS)
    assert world.backlog().failing
    world.clock.pass_ms(SCHEDULE.lifetime_ms, HOUR_MS)
    assert (world.backlog().waiting, world.backlog().expired) == (0, 20)
    world.receiver.codes["crm.test"] = 200
    world.note(20)
    world.clock.pass_ms(5 * HOUR_MS)
    assert (world.backlog().waiting, world.backlog().posted) == (0, 20)
    engine.close()


def test_nothing_is_begun_after_a_stop(world: World) -> None:
    """Also when somebody still says that there is work."""
    world.stop()
    world.note()
    world.clock.pass_ms(HOUR_MS)
    assert world.posted() == []
