"""The screen of ``fedaemonctl status``: a state becomes lines of text.

Invariants: a small server fits 80 columns and 24 lines; what peers said is shown without control characters.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from fedaemon.ctl.terminal import printable, span, when

WIDTH: Final = 11
"""Of the first column."""
PROBLEMS: Final = 4
"""The latest problems that are shown."""
DAY_MS: Final = 86_400_000
SOON_MS: Final = 14 * DAY_MS
"""A certificate that ends earlier is marked."""
MANY: Final = 4
"""Pauses that are shown."""

RATES: Final = ("accepted", "delivered", "deferred", "bounced", "expired")
SHORT: Final = {"implicit": " TLS", "starttls": "", "none": " no TLS"}

Status = Mapping[str, Any]


def screen(status: Status, now_ms: int, columns: int = 80) -> Iterator[str]:
    """Yield the lines.

    :param status: as ``ctl.status`` describes it.
    :param columns: where problems are cut off.
    """
    yield from _head(status)
    if status["running"]:
        yield from _lines("listeners", _listeners(status["listeners"]), columns)
        yield from _lines("sessions", _sessions(status["sessions"]), columns)
    yield _titled("queue", _queue(status["queue"], now_ms))
    if status["running"]:
        yield from _rates(status["rates"])
        lag = status["reactor_lag"]
        yield _titled("delay", f"{lag['latest_ms']} ms now, {lag['largest_ms']} ms at most in 5 minutes")
    yield _titled("store", _store(status["store"]))
    for each in status["certificates"]:
        yield _titled("certificate", _certificate(each, now_ms))
    yield from _paused(status["paused"])
    for problem in status.get("problems", ())[-PROBLEMS:]:
        line = f"{when(problem['at'])[5:]} {problem['level']} {printable(problem['text'])}"
        yield line if len(line) <= columns else line[: columns - 1] + "…"


def _titled(title: str, text: str) -> str:
    return f"{title:<{WIDTH}} {text}"


def _head(status: Status) -> Iterator[str]:
    if not status["running"]:
        yield f"fedaemon is not running on {status['data_dir']}."
        yield "Start it: systemctl start fedaemon; why it ended: journalctl -u fedaemon -n 50"
        return
    age = span((status["at_ms"] - status["started_ms"]) / 1000)
    well = "well" if status["healthy"] else "NOT WELL"
    memory = size(status["memory_octets"])
    yield (
        f"fedaemon {status['version']} on {status['hostname']}: {well}, running for {age}, process "
        f"{status['pid']}, {memory}"
    )
    for reason in status["reasons"]:
        yield _titled("  because", printable(reason))


def _lines(title: str, items: Iterator[str], columns: int) -> Iterator[str]:
    """Yield *items* side by side, in as many lines as they need."""
    text = ""
    for item in items:
        if text and WIDTH + 1 + len(text) + 2 + len(item) > columns:
            yield _titled(title, text + ",")
            title, text = "", ""
        text = f"{text}, {item}" if text else item
    yield _titled(title, text or "none")


def _listeners(listeners: list[Status]) -> Iterator[str]:
    for each in listeners:
        # All addresses is what one expects.
        where = "" if each["address"] in ("::", "0.0.0.0") else f" at {each['address']}"  # noqa: S104
        yield f"{each['service']} {each['port']}{SHORT[each['tls']]}{where}"


def _sessions(sessions: Mapping[str, Status]) -> Iterator[str]:
    for service, tally in sessions.items():
        inside = f" ({tally['logged_in']} logged in)" if tally["logged_in"] else ""
        yield f"{service} {tally['open']}{inside}"


def _queue(queue: Status, now_ms: int) -> str:
    if queue["counted_ms"] is None:
        return "not counted yet"
    parts = [f"{count} {state}" for state, count in sorted(queue["recipients"].items(), reverse=True)]
    parts.append(f"{queue['attempts']} under way")
    if queue["oldest_ms"] is not None:
        parts.append(f"the oldest waits for {span((now_ms - queue['oldest_ms']) / 1000)}")
    if now_ms - queue["counted_ms"] > 120_000:
        parts.append(f"as of {when(queue['counted_ms'])}")
    return ", ".join(parts)


def _rates(rates: Mapping[str, Status]) -> Iterator[str]:
    yield _titled("", "".join(f"{title:>11}" for title in RATES))
    known: set[int] = set()
    for period, row in rates.items():
        # A daemon that has run for five minutes knows as much of the hour as of the day.
        if row["seconds"] in known:
            continue
        known.add(row["seconds"])
        yield _titled(f"last {period}", "".join(f"{row[title]:>11}" for title in RATES))


def _store(store: Status) -> str:
    free = f"{size(store['octets'])}, {size(store['free_octets'])} free"
    if not store.get("commits"):
        return free
    return (
        f"{free}; commits {store['commit_ms']} ms ({store['commit_largest_ms']} at most), "
        f"{store['batch']} writes each"
    )


def _certificate(certificate: Status, now_ms: int) -> str:
    left_ms = certificate["expires_ms"] - now_ms
    date = when(certificate["expires_ms"])[:10]
    name = certificate["name"] or "(no name)"
    if left_ms <= 0:
        return f"{name} ended on {date}: NEW ONE NEEDED"
    return f"{name} until {date} ({left_ms // DAY_MS} days)" + (": SOON" if left_ms < SOON_MS else "")


def _paused(pauses: list[Status]) -> Iterator[str]:
    for each in pauses[:MANY]:
        what = "all remote mail" if each["kind"] == "all" else f"the {each['kind']} {each['name']}"
        since = f" since {when(each['since_ms'])}" if each["since_ms"] else ""
        yield _titled("paused", printable(f"{what}{since}" + (f": {each['why']}" if each["why"] else "")))
    if len(pauses) > MANY:
        yield _titled("", f"and {len(pauses) - MANY} more: fedaemonctl queue pauses")


def size(octets: int) -> str:
    """Return a number of octets in the unit that suits it."""
    number, unit = float(octets), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if number < 1024:
            break
        number, unit = number / 1024, larger
    return f"{number:.0f} {unit}" if unit == "B" or number >= 10 else f"{number:.1f} {unit}"
