"""Says why a recipient waits, what comes next and when, in words.

It exists for promise 7: every wait can be explained. The record of the recipient says what happened to it; why
nothing happens now is a matter of its surroundings: pauses, its site, the settings, the release and the time
limit that its sender asked for.

Standards: RFC 4865 (held for release), RFC 2852 (DELIVERBY), RFC 3461 4.1 (who wants to hear of a delay).
Invariants: what is said follows from the store alone; what the daemon has in memory only (room at a site,
attempts that are about to start) is said as far as the store shows it.
Limits: of a site that blocks some of this server's addresses it is not known here whether others are left.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal

from fedaemon.delivery.pauses import Pauses
from fedaemon.delivery.records import FINAL, LOCAL, MessageRecord, RecipientRecord
from fedaemon.delivery.schedule import Marks, Schedule
from fedaemon.delivery.site_listing import KnownSites, Record

Kind = Literal["settings", "pause", "release", "down", "blocked", "slowed", "busy"]

OVERDUE_MS: Final = 60_000
"""A recipient with nothing in its way is tried within this time when the daemon runs."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What holds besides the record. *paused*: remote delivery is paused by the settings."""

    now_ms: int
    schedule: Schedule
    pauses: Pauses
    sites: KnownSites
    paused: bool = False


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Something that keeps a recipient from being tried, until a time (0: until somebody acts, or unknown)."""

    kind: Kind
    text: str
    until_ms: int = 0


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a recipient is where it is, what is in its way, what comes next, and when that is to be expected."""

    why: str
    following: str
    obstacles: tuple[Obstacle, ...] = ()
    expected_ms: int | None = None


def explain(
    around: Surroundings, message: MessageRecord, recipient: RecipientRecord, *, in_line: bool
) -> Explanation:
    """Explain one recipient.

    :param in_line: what is due for its destination waits for room at the site (``site_listing.is_in_line``).
    """
    if recipient.state in FINAL:
        return Explanation(_ending(recipient), "nothing: this is final")
    if recipient.state == "held":
        return Explanation(
            "held by the administrator", "nothing until it is released (fedaemonctl queue release)"
        )
    if recipient.claim:
        return Explanation(
            "an attempt is under way",
            "its result; without one (a crash) it is tried again soon after a start",
        )
    obstacles = tuple(_obstacles(around, message, recipient, in_line))
    why = _last(recipient) if recipient.last is not None else "it has not been tried yet"
    return Explanation(
        why,
        _following(around.now_ms, recipient, obstacles),
        obstacles,
        _expected_ms(recipient, obstacles),
    )


def _obstacles(
    around: Surroundings, message: MessageRecord, recipient: RecipientRecord, in_line: bool
) -> Iterator[Obstacle]:
    """Yield what is in the way, the weightiest first."""
    if not recipient.attempts and around.now_ms < message.release_ms <= recipient.next_attempt_ms:
        yield Obstacle("release", "held for release later, as the sender asked", message.release_ms)
    if recipient.destination == LOCAL:
        return
    site = around.sites.of(recipient)
    if around.paused:
        yield Obstacle("settings", "remote delivery is paused by the settings (delivery.paused)")
    pause = around.pauses.blocks(recipient.destination, site, message.account or "")
    if pause is not None:
        yield Obstacle("pause", str(pause))
    yield from _site_obstacles(around.now_ms, site, around.sites.records.get(site, {}), in_line and not pause)


def _site_obstacles(now_ms: int, site: str, record: Record, busy: bool) -> Iterator[Obstacle]:
    down_until_ms = record.get("down_until_ms", 0)
    if down_until_ms > now_ms:
        error = last_error(record.get("last_error") or {})
        text = f"the site {site} is down, {record['failures']} times in a row" + (
            f": {error}" if error else ""
        )
        yield Obstacle("down", text, down_until_ms)
    for source, until_ms in record.get("closed", {}).items():
        if until_ms > now_ms:
            text = f"the site {site} blocks mail from {source or 'this server'}"
            yield Obstacle("blocked", text, until_ms)
    if record.get("slowed_until_ms", 0) > now_ms:
        text = f"the site {site} asked for less; it gets {record.get('rate_per_minute', 0)} messages a minute"
        yield Obstacle("slowed", text, record["slowed_until_ms"])
    if busy:
        text = f"it stands in line at the site {site or '(not known yet)'}"
        if record.get("limit"):
            text += f", where {record.get('active', 0)} of {record['limit']} connections are in use"
        yield Obstacle("busy", text)


def _following(now_ms: int, recipient: RecipientRecord, obstacles: tuple[Obstacle, ...]) -> str:
    kinds = {obstacle.kind for obstacle in obstacles}
    attempt = "another attempt" if recipient.attempts else "the first attempt"
    if "settings" in kinds:
        return "remote mail waits until delivery.paused is false (then: systemctl reload fedaemon)"
    if "pause" in kinds:
        return "nothing until it is resumed (fedaemonctl queue pauses, fedaemonctl queue resume)"
    if "down" in kinds:
        return f"one attempt probes the site, {attempt} for this when that succeeds"
    if recipient.next_attempt_ms > now_ms:
        return attempt
    if "busy" in kinds:
        return f"{attempt} as soon as the site has room"
    if not obstacles and recipient.next_attempt_ms + OVERDUE_MS < now_ms:
        return f"{attempt}, which is overdue: is the daemon running (systemctl status fedaemon)?"
    return f"{attempt}, at once"


def _expected_ms(recipient: RecipientRecord, obstacles: tuple[Obstacle, ...]) -> int | None:
    """Return when the next attempt may be expected, None when only a person decides that."""
    if any(obstacle.kind in ("settings", "pause") for obstacle in obstacles):
        return None
    waits = [obstacle.until_ms for obstacle in obstacles if obstacle.kind in ("release", "down")]
    return max(recipient.next_attempt_ms, *waits) if waits else recipient.next_attempt_ms


def marks_of(
    around: Surroundings, message: MessageRecord, recipient: RecipientRecord
) -> tuple[Marks, int | None]:
    """Return the marks of a recipient that is not final, and when its sender hears of the delay, if ever.

    Spec: RFC 3461 4.1
    """
    marks = around.schedule.marks(message, recipient.destination)
    wishes = {wish.strip().upper() for wish in recipient.notify.split(",") if wish.strip()}
    wanted = message.sender and (not wishes or "DELAY" in wishes) and not recipient.told
    return marks, marks.notice_ms if wanted and 0 < marks.notice_ms < marks.expires_ms else None


def _last(recipient: RecipientRecord) -> str:
    last = recipient.last or {}
    who = last.get("host") or (
        "this server" if last.get("phase") in ("local", "dns") else recipient.destination
    )
    return f"the last attempt failed ({last.get('phase') or 'connect'}, {who}): {_reply(last)}"


def last_error(error: dict[str, Any]) -> str:
    """Return the last error of a site (or the last reply to a recipient) with where it came from."""
    where = ", ".join(str(part) for part in (error.get("phase"), error.get("host")) if part)
    reply = _reply(error)
    return f"{reply} ({where})" if where and reply else reply


def _reply(last: dict[str, Any]) -> str:
    """Return a reply, and what it means in the words of the classification."""
    reply = " ".join(str(part) for part in (last.get("code"), last.get("status"), last.get("text")) if part)
    meaning = ": ".join(str(part) for part in (last.get("category"), last.get("explanation")) if part)
    return f"{reply} [{meaning}]" if meaning else reply


def _ending(recipient: RecipientRecord) -> str:
    reply = _reply(recipient.last or {})
    return {
        "delivered": f"delivered: {reply}",
        "bounced": f"refused for good: {reply}",
        "expired": f"given up after its lifetime; the last answer was: {reply}",
        "suppressed": "not tried: the address is suppressed",
    }[recipient.state]
