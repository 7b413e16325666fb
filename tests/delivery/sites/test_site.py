"""One site: concurrency, being down, rates and blocked addresses."""

from __future__ import annotations

from fedaemon.delivery.schedule import HOUR_MS, MINUTE_MS
from fedaemon.delivery.sites.shaping import SiteLimits
from fedaemon.delivery.sites.site import BLOCKED_MS, DOWN_MS, MAX_DOWN_MS, SLOW_MS, SLOWEST, Site
from fedaemon.delivery.transport import Source

NOW = 1_750_000_000_000
ONE, TWO = Source("192.0.2.1", "a.example.test"), Source("192.0.2.2", "b.example.test")


def site(connections: int = 20, initial: int = 5, rate: int = 0) -> Site:
    return Site("mx.remote.test", SiteLimits(connections, initial, rate), NOW, lambda: 0.5)


def busy(one: Site, count: int, now_ms: int = NOW) -> None:
    """Begin *count* attempts."""
    for _ in range(count):
        one.started(now_ms)


def test_a_site_begins_small_and_earns_connections() -> None:
    """A full set of successes while all connections are in use earns one more, up to the most."""
    one = site(connections=7)
    busy(one, 5)
    for _ in range(4):
        one.succeeded(NOW)
        assert one.limit == 5
    one.succeeded(NOW)
    assert one.limit == 6
    busy(one, 2)
    for _ in range(100):
        one.succeeded(NOW)
    assert one.limit == 7


def test_what_is_not_used_is_not_earned() -> None:
    """Successes one after the other say nothing about many at a time."""
    one = site()
    for _ in range(100):
        busy(one, 1)
        one.succeeded(NOW)
        one.ended()
    assert one.limit == 5


def test_trouble_halves_the_limit_once_for_what_was_under_way() -> None:
    """Hysteresis: ten failures of one moment are one piece of news."""
    one = site(initial=16)
    busy(one, 16)
    for later in range(3):
        one.troubled(NOW + later, NOW - 1000)
    assert one.limit == 8
    one.troubled(NOW + 2000, NOW + 1000)
    assert one.limit == 4


def test_a_site_is_down_when_nothing_comes_through() -> None:
    """After a set of failures in a row; a success between them forgets the earlier ones."""
    one = site()
    busy(one, 5)
    for _ in range(4):
        one.troubled(NOW, NOW)
    one.succeeded(NOW)
    for _ in range(4):
        one.troubled(NOW, NOW)
    assert one.until_ms(NOW, ()) == 0
    one.troubled(NOW, NOW)
    assert one.until_ms(NOW, ()) == NOW + DOWN_MS


def test_one_failure_is_enough_where_nothing_else_is_under_way() -> None:
    """A single message to a dead host tells as much as five."""
    one = site()
    busy(one, 1)
    one.troubled(NOW, NOW)
    assert one.until_ms(NOW, ()) == NOW + DOWN_MS


def test_a_site_that_was_down_is_probed_by_one_attempt() -> None:
    """When its time has come there is room for one; success opens it, failure closes it for twice as long."""
    one = site()
    busy(one, 1)
    one.troubled(NOW, NOW)
    one.ended()
    assert not one.may_start(NOW)
    later = NOW + DOWN_MS
    assert (one.room(later), one.may_start(later), one.until_ms(later, ())) == (1, True, 0)
    busy(one, 1, later)
    assert (one.room(later), one.may_start(later)) == (0, False)
    one.troubled(later, later)
    one.ended()
    assert one.until_ms(later, ()) == later + 2 * DOWN_MS
    again = later + 2 * DOWN_MS
    busy(one, 1, again)
    assert one.succeeded(again)
    one.ended()
    assert (one.until_ms(again, ()), one.may_start(again), one.failures) == (0, True, 0)
    assert one.room(again) > 1


def test_the_time_between_probes_has_an_end() -> None:
    """However long a site is down, its recovery is noticed within half an hour and some."""
    one, now = site(), NOW
    for _ in range(20):
        busy(one, 1, now)
        one.troubled(now, now)
        one.ended()
        now = one.down_until_ms
    busy(one, 1, now)
    one.troubled(now, now)
    assert one.down_until_ms - now == MAX_DOWN_MS


def test_a_rate_is_kept() -> None:
    """Sixty a minute: in ten minutes six hundred, and two seconds' worth at once at most."""
    one, begun = site(rate=60), []
    for second in range(600):
        now = NOW + second * 1000
        while one.may_start(now):
            busy(one, 1, now)
            one.ended()
            begun.append(second)
    assert 590 <= len(begun) <= 602
    assert max(begun.count(second) for second in set(begun)) <= 2
    assert NOW + 600_000 < one.next_start_ms(NOW + 599_001) <= NOW + 601_000


def test_a_slow_down_halves_what_was_seen_for_a_while() -> None:
    """And again when the site still complains; with peace the rate doubles until it is no limit any more."""
    one = site()
    for _ in range(120):
        busy(one, 1)
        one.ended()
    one.slow_down(NOW + 1000, NOW)
    assert one.rate_per_minute == 60
    one.slow_down(NOW + 2000, NOW)
    assert one.rate_per_minute == 60, "for attempts already under way it is one complaint"
    later = NOW + SLOW_MS + 3000
    one.slow_down(later, later - 1000)
    assert one.rate_per_minute == SLOWEST
    now = later
    while one.rate_per_minute:
        assert now < later + 20 * SLOW_MS
        now += SLOW_MS
        busy(one, 1, now)
        one.succeeded(now)
        one.ended()
    assert one.is_well(now)


def test_a_configured_rate_holds_beside_a_lowered_one() -> None:
    """The smaller one counts."""
    one = site(rate=30)
    one.slowed_rate = 100
    assert one.rate_per_minute == 30
    one.slowed_rate = 10
    assert one.rate_per_minute == 10


def test_a_blocked_address_is_not_used_for_an_hour() -> None:
    """Another source goes on; without another the site is closed, and opens by itself."""
    one = site()
    until_ms = one.block(ONE.address, NOW)
    assert until_ms == NOW + BLOCKED_MS
    assert one.sources(NOW, (ONE, TWO)) == (TWO,)
    assert one.until_ms(NOW, (ONE, TWO)) == 0
    one.block(TWO.address, NOW + MINUTE_MS)
    assert one.until_ms(NOW + MINUTE_MS, (ONE, TWO)) == until_ms
    assert one.until_ms(NOW + HOUR_MS, (ONE, TWO)) == 0
    assert one.sources(NOW + HOUR_MS, (ONE, TWO)) == (ONE,)


def test_without_sources_the_site_itself_is_closed() -> None:
    """The system's address is the only one there is."""
    one = site()
    until_ms = one.block("", NOW)
    assert one.until_ms(NOW, ()) == until_ms
    one.nudge(NOW)
    assert one.until_ms(NOW, ()) == 0
