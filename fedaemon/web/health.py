"""Whether the server does what it is for: the reasons why not, for /healthz and ``fedaemonctl status``.

Invariants: paused delivery is no fault, because somebody wanted it; what failed long ago and was not tried since
is none either, or a balancer that sends no more mail would never hear that all is well again.
Limits: named constants below.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from fedaemon.errors import MailError
from fedaemon.store.async_store import AsyncStore
from fedaemon.store.errors import StoreFull
from fedaemon.web.lag import LagMeter

FAILED_S: Final = 60.0
"""How long a commit that failed counts."""
STUCK_S: Final = 30.0
"""A commit that takes longer waits for a disk that does not answer, or for another process."""
LAG_S: Final = 2.0
LAG_WINDOW_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Health:
    """Looks when asked; cheap.

    :param closed: returns the listeners that should be open and are not, as text.
    """

    store: AsyncStore
    lag: LagMeter
    closed: Callable[[], list[str]]
    monotonic: Callable[[], float] = time.monotonic

    def reasons(self) -> list[str]:
        """Return what is wrong, in words; none when all is well."""
        return list(self._reasons())

    def _reasons(self) -> Iterator[str]:
        statistics = self.store.statistics
        if statistics.failure is not None and self.monotonic() - statistics.failed_s < FAILED_S:
            yield f"the store cannot commit: {statistics.failure.text}"
        if self.store.busy_s > STUCK_S:
            yield (
                f"a commit has taken {self.store.busy_s:.0f} s and goes on; look at the disk, and for a "
                "fedaemonctl that writes"
            )
        try:
            self.store.check_space()
        except StoreFull as error:
            yield f"new mail is refused: {error.text}"
        except MailError as error:
            yield f"the disk does not say how much is free: {error.text}"
        lag_s = self.lag.largest_s(LAG_WINDOW_S)
        if lag_s > LAG_S:
            yield f"the server was {lag_s:.1f} s late in the last {LAG_WINDOW_S:.0f} s; it has too much to do"
        for listener in self.closed():
            yield f"the listener {listener} is closed"
