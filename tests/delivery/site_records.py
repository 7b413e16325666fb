"""What the daemon would write of a site."""

from __future__ import annotations

from typing import Any

from fedaemon.store.records import encode
from fedaemon.store.spaces import SITE
from tests.delivery.support import World


def put_site(world: World, name: str, **record: Any) -> None:
    """Write what the daemon would write of a site."""
    whole = {"destinations": ["slow.test"], "active": 2, "limit": 5, "rate_per_minute": 0, "failures": 0}
    whole |= {
        "down_until_ms": 0,
        "closed": {},
        "slowed_until_ms": 0,
        "last_error": {},
        "at_ms": world.now_ms(),
    }
    world.transact(lambda transaction: transaction.put((SITE, name), encode(whole | record)))
