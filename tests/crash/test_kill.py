"""Promise 1 under kill -9: what was answered 250 is delivered, bounced or still queued; nothing is lost.

A daemon accepts and delivers under load and dies again and again: killed at random moments, or by its own hand
at each fault point in turn. The clients note which messages were answered 250, the MX host notes which copies
it took and whether it said so. After each death the store must hold together as it is, without any repair; at
the end the books must balance.

A message may arrive twice only where its timeline says that the reply to the final dot was lost, or that the
daemon died while an attempt was under way.
"""

from __future__ import annotations

import os
import random
import subprocess
from collections import Counter
from typing import Final

from fedaemon.store.faults import POINTS, VARIABLE
from tests.crash.books import Wreck, check_books, inspect
from tests.crash.load import REMOTE, Load
from tests.crash.sink import Sink
from tests.daemon import Daemon, wait_until
from tests.e2e.peers import World

ROUNDS: Final = int(os.environ.get("CRASH_ROUNDS", "50"))
DEATH_S: Final = 5.0
"""How long a fault point has to be met before the round is ended from outside."""

OFTEN: Final = frozenset({"commit", "committed"})
"""Points that are met all the time: there a death is made a matter of chance."""


def deaths() -> list[str]:
    """Return how each round ends: each third at a fault point, in turns, else "" for a kill at any moment."""
    points = sorted(POINTS)
    return [points[number // 3 % len(points)] if number % 3 == 2 else "" for number in range(ROUNDS)]


def test_nothing_answered_250_is_lost(world: World, sink: Sink, chance: random.Random) -> None:
    """Fifty deaths under load: every message is accounted for, and no copy is unexplained."""
    sink.start()
    load = Load(world)
    met = set()
    wrecks: list[Wreck] = []
    for death in deaths():
        if die(world.daemon, load, death, chance):
            met.add(death)
        wrecks.append(inspect(world))
        assert wrecks[-1].findings == [], f"after a death at {death or 'any moment'}"
    world.daemon.environment.pop(VARIABLE, None)
    assert len(load.accepted) > ROUNDS * 5, "the load was too small to show anything"
    world.daemon.start()
    drain(world)
    check_books(world, load, sink)
    assert world.daemon.ctl_json("verify")["findings"] == []
    assert world.daemon.stop() == 0
    assert met == set(deaths()) - {""}, "these were not met"
    check_variety(sink, wrecks)


def die(daemon: Daemon, load: Load, point: str, chance: random.Random) -> bool:
    """Let the daemon work under load and die; return True when it died at *point* by itself."""
    daemon.environment.pop(VARIABLE, None)
    if point:
        daemon.environment[VARIABLE] = f"{point}:kill:{0.02 if point in OFTEN else 1}"
    try:
        daemon.start()
    except AssertionError:
        # It met the point before it was ready, which is as good a moment as any.
        assert point and daemon.process is not None and daemon.process.poll() == -9, daemon.log.read_text()
        return True
    assert daemon.process is not None
    load.start()
    try:
        return daemon.process.wait(DEATH_S if point else chance.uniform(0.02, 0.8)) == -9 and bool(point)
    except subprocess.TimeoutExpired:
        return False
    finally:
        daemon.kill()
        load.stop()


def drain(world: World) -> None:
    """Have everything that waits tried at once until nothing waits."""

    def waiting() -> int:
        world.daemon.ctl("queue", "retry", "--all")
        states = ("queued", "deferred")
        return sum(
            len(world.daemon.ctl_json("queue", "list", "--state", state, "--limit", "1")) for state in states
        )

    wait_until(lambda: waiting() == 0, "the queue to drain", 180)


def check_variety(sink: Sink, wrecks: list[Wreck]) -> None:
    """The load has been what the test is about: connections reused and broken, recipients in one copy."""
    carried = Counter(copy.session for copy in sink.copies)
    assert max(carried.values()) > 5, "connections were not reused"
    together = sum(copy.recipients == REMOTE[:2] for copy in sink.copies)
    assert together > len(sink.copies) / 4, "recipients of one domain did not share a transaction"
    assert sink.said_421, "no connection was ended with 421"
    assert any(not copy.answered for copy in sink.copies), "no reply to a final dot was kept back"
    assert any(wreck.claims for wreck in wrecks), "no attempt was under way at any death"
    assert any(wreck.lines for wreck in wrecks), "nothing stood in the line of a site at any death"
