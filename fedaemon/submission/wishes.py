"""When a message is to go: what a submitting client may ask for with MAIL, and what it is granted.

Standards: RFC 4865 3, 4.2, 5.2.2 (HOLDFOR, HOLDUNTIL), RFC 2852 4 (BY), RFC 6710 4.1, 5 (MT-PRIORITY).
Invariants: nobody's priority is raised without the right to it; nothing is released before it was asked
for, and never later than it must be delivered.
Limits: ``Rules.max_hold_s``.
Known gaps: held messages have no quota of their own (RFC 4865 6), only the daily number of all messages; the
Received field has no PRIORITY clause (RFC 6710 4.1).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from fedaemon.errors import BadSyntax, Refused


@dataclass(frozen=True, slots=True)
class Wishes:
    """The parameters as they were given; None where one is absent.

    *hold_for_s*: seconds to be held; *hold_until_ms*: the moment of release, since the epoch; *deliver_by*:
    seconds from now (negative: in the past) and what then, "R" or "N", with "T" behind it for a trace.
    """

    hold_for_s: int | None = None
    hold_until_ms: int | None = None
    deliver_by: tuple[int, str] | None = None
    priority: int = 0


@dataclass(frozen=True, slots=True)
class Terms:
    """What was granted, as ``delivery.records.NewMessage`` has it."""

    release_ms: int = 0
    deliver_by_ms: int = 0
    deliver_by_mode: str = ""
    priority: int = 0


NO_TERMS = Terms()


@dataclass(frozen=True, slots=True)
class Offer:
    """What EHLO lists for a client. *max_hold_s* is 0 where nothing is held for it; *latest* is the last moment
    of release as RFC 3339 has it. Priorities are offered to all: everybody may lower them."""

    max_hold_s: int
    latest: str
    deliver_by: bool


def offer(rights: frozenset[str], max_hold_s: int, now_s: float) -> Offer:
    """Return what a client with these *rights* is offered now.

    Spec: RFC 4865 3, RFC 2852 2, RFC 6710 3
    """
    hold_s = max_hold_s if "future_release" in rights else 0
    latest = datetime.fromtimestamp(int(now_s) + hold_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return Offer(hold_s, latest, "deliver_by" in rights)


def settle(wishes: Wishes, rights: frozenset[str], login: str, max_hold_s: int, now_ms: int) -> Terms:
    """Return what is granted of *wishes*.

    :param rights: those of ``accounts.records.RIGHTS`` that the client has; *login* is for the text.
    :raises Refused: 550 5.7.1 (555 5.7.1 for BY) without the right.
    :raises BadSyntax: 501 5.5.4 for times that cannot be.

    Spec: RFC 4865 4.2, 5.2.2, RFC 2852 4, RFC 6710 4.1
    """
    release_ms = deliver_by_ms = 0
    mode = ""
    if wishes.hold_for_s is not None or wishes.hold_until_ms is not None:
        if "future_release" not in rights:
            raise _not_allowed("hold a message until later", "future_release", login, 550)
        release_ms = _release(wishes, max_hold_s, now_ms)
    if wishes.deliver_by is not None:
        if "deliver_by" not in rights:
            raise _not_allowed("ask for delivery by a time", "deliver_by", login, 555)
        span_s, mode = wishes.deliver_by
        deliver_by_ms = now_ms + span_s * 1000
        if release_ms > deliver_by_ms:
            raise BadSyntax("The message would be released only after it must be delivered", status="5.5.4")
    priority = wishes.priority
    if priority > 0 and "priority" not in rights:
        priority = 0
    return Terms(release_ms, deliver_by_ms, mode, priority)


def _release(wishes: Wishes, max_hold_s: int, now_ms: int) -> int:
    """Return the moment of release; exactly one of the two parameters must be there."""
    until_ms = wishes.hold_until_ms
    if wishes.hold_for_s is not None:
        if until_ms is not None:
            raise BadSyntax("HOLDFOR and HOLDUNTIL exclude each other", status="5.5.4")
        until_ms = now_ms + wishes.hold_for_s * 1000
    assert until_ms is not None
    if until_ms <= now_ms:
        raise BadSyntax("HOLDUNTIL names a moment that has passed", status="5.5.4")
    if until_ms > now_ms + max_hold_s * 1000:
        raise BadSyntax(f"A message is held for at most {max_hold_s} seconds", status="5.5.4")
    return until_ms


def _not_allowed(what: str, right: str, login: str, code: int) -> Refused:
    if not login:
        return Refused(f"This client is not allowed to {what}", code=code)
    return Refused(
        f"{login} is not allowed to {what}; to allow it: fedaemonctl account set {login} --allow {right}",
        code=code,
    )
