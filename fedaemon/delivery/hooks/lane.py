"""Posts the events that webhooks hear of, beside the delivery of mail and never in its way.

Theory of operation. A turn looks at every webhook: one that is well may have PER_WEBHOOK posts under way, one
that is dead has a single one after each rest (``backlog.py``). Each post is settled in a transaction of its
own, and its end brings the next turn; between turns an alarm sleeps until the first event is due.

Invariants: in memory is only what is being posted; dead webhooks never use more than half of the posts that may
be under way. A post whose end could not be written down, or that was cut off by a stop, is made again, with the
same id.
Limits: POSTS under way in all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from twisted.internet.defer import CancelledError, Deferred, DeferredList

from fedaemon import counters
from fedaemon.delivery.hooks.backlog import Backlog, Settled, Waiting, expire, load_backlog, ready, settle
from fedaemon.delivery.hooks.post import Answer, Post, make_post
from fedaemon.delivery.hooks.webhook import Webhook, webhooks
from fedaemon.delivery.schedule import Schedule
from fedaemon.errors import MailError
from fedaemon.logs import Logger
from fedaemon.store.interface import Key, Snapshot, Store
from fedaemon.store.turns import RETRY_S, TurnLoop, in_background

PER_WEBHOOK: Final = 4
POSTS: Final = 40
DRAIN_S: Final = 3.0
"""How long a stop waits for posts under way."""

_log = Logger()

Send = Callable[[Post], Deferred[Answer]]


@dataclass(slots=True)
class _Plan:
    """What a turn found: posts to begin, webhooks with events to give up, and when to look again."""

    posts: list[tuple[Webhook, Waiting]] = field(default_factory=list)
    stale: list[str] = field(default_factory=list)
    next_ms: int | None = None
    waiting: int = 0

    def look_at(self, at_ms: int | None) -> None:
        """Look again at *at_ms* at the latest."""
        if at_ms is not None and (self.next_ms is None or at_ms < self.next_ms):
            self.next_ms = at_ms


class HookLane:
    """Posts events as they come due.

    :param clock: the reactor, or a test's clock.
    :param now_ms: returns the time in milliseconds since the epoch.
    :param schedule: when failed posts are made again, and for how long; may be replaced while it runs.
    :param send: sends a post (``HookClient.send``); never fails but when it is cancelled.
    """

    def __init__(
        self, store: Store, clock: Any, now_ms: Callable[[], int], *, schedule: Schedule, send: Send
    ) -> None:
        self.schedule = schedule
        self._store = store
        self._clock = clock
        self._now_ms = now_ms
        self._send = send
        self._loop = TurnLoop(clock, now_ms, self._turn, "posting to webhooks", self._may_post)
        self.wake = self._loop.wake
        """There may be something to post."""
        self._rests_until_ms = 0
        self._turn_number = 0
        self._under_way: dict[Key, Deferred[Answer]] = {}
        self._posting: dict[str, int] = {}
        self._ends: set[Deferred[None]] = set()
        self._dropped: dict[str, int] = {}

    @property
    def posts_under_way(self) -> int:
        """How many posts are being made."""
        return len(self._under_way)

    def start(self) -> None:
        """Begin to post."""
        self._loop.start()

    async def stop(self) -> None:
        """Let posts end for DRAIN_S, then cut them off: they are made again at the next start."""
        await self._loop.stop()
        if self._ends:
            cut = self._clock.callLater(DRAIN_S, self._cut_off)
            await DeferredList(list(self._ends))
            if cut.active():
                cut.cancel()

    def _cut_off(self) -> None:
        for sending in list(self._under_way.values()):
            sending.cancel()

    # -- Turns -----------------------------------------------------------------------------------------------

    def _may_post(self) -> bool:
        return self._now_ms() >= self._rests_until_ms

    def _rest(self) -> None:
        self._rests_until_ms = self._now_ms() + int(RETRY_S * 1000)
        # An alarm that is set for earlier would ring in vain, and be gone.
        self._loop.alarm.cancel()
        self._loop.alarm.set(self._rests_until_ms)

    async def _turn(self) -> None:
        try:
            await self._look()
        except BaseException:
            self._rest()
            raise

    async def _look(self) -> None:
        """Begin the posts that are due."""
        now_ms = self._now_ms()
        plan = await self._store.read(partial(self._plan, now_ms))
        counters.gauge("webhook_backlog", plan.waiting)
        for name in plan.stale:
            count = await self._store.write(partial(expire, name=name, schedule=self.schedule, now_ms=now_ms))
            _log.info("events were given up", event="webhook-expired", webhook=name, count=count)
            counters.count("webhook_posts_total", count, result="expired")
            self._loop.wanted = True
        for webhook, event in plan.posts:
            self._begin(webhook, event)
        self._loop.alarm.set(plan.next_ms)

    def _plan(self, now_ms: int, snapshot: Snapshot) -> _Plan:
        """Choose what to post, each turn beginning with another webhook."""
        plan = _Plan()
        known = webhooks(snapshot)
        self._turn_number += 1
        first = self._turn_number % len(known) if known else 0
        for webhook in known[first:] + known[:first]:
            backlog = load_backlog(snapshot, webhook.name)
            plan.waiting += backlog.waiting
            self._tell_dropped(webhook.name, backlog)
            if not backlog.waiting:
                continue
            if (webhook.disabled or backlog.failing) and self._is_stale(snapshot, webhook.name, now_ms):
                plan.stale.append(webhook.name)
            elif not webhook.disabled:
                self._choose(plan, snapshot, webhook, backlog, now_ms)
        for gone in self._dropped.keys() - {webhook.name for webhook in known}:
            del self._dropped[gone]
        return plan

    def _choose(
        self, plan: _Plan, snapshot: Snapshot, webhook: Webhook, backlog: Backlog, now_ms: int
    ) -> None:
        """Add what *webhook* may have posted now."""
        if backlog.retry_ms > now_ms:
            plan.look_at(backlog.retry_ms)
            return
        limit, posts = (1, POSTS // 2) if backlog.failing else (PER_WEBHOOK, POSTS)
        begun = len(self._under_way) + len(plan.posts)
        room = min(limit - self._posting.get(webhook.name, 0), posts - begun)
        if room <= 0:
            # The end of a post brings the next turn.
            return
        found, next_ms = ready(snapshot, webhook.name, now_ms, room, self._under_way)
        plan.posts += [(webhook, event) for event in found]
        plan.look_at(next_ms)

    def _is_stale(self, snapshot: Snapshot, name: str, now_ms: int) -> bool:
        found, _ = ready(snapshot, name, now_ms, 1, ())
        return any(each.noted_ms + self.schedule.lifetime_ms <= now_ms for each in found)

    def _tell_dropped(self, name: str, backlog: Backlog) -> None:
        """Say what was dropped since the last look; the transactions that dropped it cannot."""
        count = backlog.dropped - self._dropped.get(name, backlog.dropped)
        self._dropped[name] = backlog.dropped
        if count > 0:
            _log.warn(
                "events were dropped, the backlog is full", event="webhook-dropped", webhook=name, count=count
            )
            counters.count("webhook_dropped_total", count)

    # -- Posts -----------------------------------------------------------------------------------------------

    def _begin(self, webhook: Webhook, event: Waiting) -> None:
        self._posting[webhook.name] = self._posting.get(webhook.name, 0) + 1
        post = make_post(webhook, event.event, event.attempts + 1, self._now_ms())
        self._under_way[event.key] = sending = self._send(post)
        end = in_background(self._end(webhook.name, event.key, sending), "posting to a webhook")
        self._ends.add(end)
        end.addBoth(lambda result: self._ends.discard(end))

    async def _end(self, name: str, key: Key, sending: Deferred[Answer]) -> None:
        try:
            answer = await sending
            result = await self._store.write(
                partial(
                    settle,
                    name=name,
                    key=key,
                    code=answer.code,
                    text=answer.text,
                    schedule=self.schedule,
                    now_ms=self._now_ms(),
                )
            )
            _tell(name, key, answer, result)
        except CancelledError:
            return
        except MailError as error:
            _log.error(
                "what became of a post was not recorded",
                event="webhook-unrecorded",
                webhook=name,
                reason=error.text,
            )
            self._rest()
        except Exception:
            self._rest()
            raise
        finally:
            del self._under_way[key]
            self._posting[name] -= 1
            if not self._posting[name]:
                del self._posting[name]
            self.wake()


def _tell(name: str, key: Key, answer: Answer, result: Settled) -> None:
    """Count a post and log one that failed."""
    if result == "removed":
        return
    counters.count("webhook_posts_total", result=result)
    if result == "gone":
        _log.warn("a webhook was disabled", event="webhook-disabled", webhook=name, reason=answer.text)
    elif result != "done":
        _log.info(
            "a post failed",
            event="webhook-failed",
            webhook=name,
            post=key[3],
            result=result,
            reason=answer.text,
        )
