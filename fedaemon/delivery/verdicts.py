"""What an attempt's answers mean: for each recipient (the classification), and for the site.

Invariants: a site is judged by how it deals with us, never by what it says of a message or a recipient; a
blocklist verdict is about our address, so it closes the site for that address and is no fault of the message.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

from fedaemon.delivery.classification import Classifier
from fedaemon.delivery.sites.site import Site
from fedaemon.delivery.transport import Outcome, Result, Source

CONNECTION_PHASES: Final = frozenset({"connect", "greeting", "ehlo"})
"""Where trouble is the site's and not the message's."""

ELSEWHERE_MS: Final = 2000
"""With another source address the message goes again after this time."""


def classified(classifier: Classifier, outcome: Outcome) -> Outcome:
    """Return *outcome* with what its text means; what was delivered stays as it is."""
    if outcome.result is Result.DELIVERED:
        return outcome
    verdict = classifier.classify(
        code=outcome.code,
        status=outcome.status,
        text=outcome.text,
        phase=outcome.phase,
        host=outcome.host,
        permanent=outcome.result is Result.PERMANENT,
    )
    return replace(
        outcome,
        result=Result.PERMANENT if verdict.action == "reject" else Result.TEMPORARY,
        category=verdict.category,
        rule=verdict.rule,
        explanation=verdict.explanation,
        slow_down=verdict.action == "slow_down",
    )


def judge_site(
    site: Site, outcomes: Iterable[Outcome], now_ms: int, began_ms: int, sources: Sequence[Source]
) -> tuple[list[Outcome], bool]:
    """Let *site* learn from the outcomes of one attempt.

    Returns the outcomes, with another time for the next attempt where the site says so, and whether the site
    came back from being down.
    """
    judged = [replace(each, site=site.name) for each in outcomes]
    # Who is turned away at the door comes with fewer connections first, and only then with fewer messages.
    crowd = site.limit > 1
    troubles = [each for each in judged if _is_trouble(each)]
    recovered = False
    if troubles and len(troubles) == len(judged):
        site.troubled(now_ms, began_ms)
        if not site.down_until_ms:
            # Others get through: with fewer at a time this one will, too.
            judged = [replace(each, again_ms=now_ms + site.moment_ms()) for each in judged]
    elif judged:
        recovered = site.succeeded(now_ms)
    for position, outcome in enumerate(judged):
        if outcome.result is Result.DELIVERED:
            continue
        site.note_error(outcome, now_ms)
        if outcome.category == "blocklist" and outcome.result is Result.TEMPORARY and outcome.code:
            judged[position] = _blocked(site, outcome, now_ms, sources)
    if any(each.slow_down and not (crowd and each.phase in CONNECTION_PHASES) for each in judged):
        site.slow_down(now_ms, began_ms)
    if any(each.result is Result.DELIVERED for each in judged):
        site.delivered += 1
    else:
        site.failed += 1
    site.changed = True
    return judged, recovered


def _is_trouble(outcome: Outcome) -> bool:
    """Return True when the site did not deal with us: no connection, a broken one, or 421."""
    if outcome.result is Result.DELIVERED or outcome.category == "blocklist":
        return False
    if outcome.phase == "tls":
        # A policy is its domain's; only a handshake without one says something of the site.
        return outcome.policy in ("", "opportunistic")
    return outcome.phase in CONNECTION_PHASES or outcome.code == 421


def _blocked(site: Site, outcome: Outcome, now_ms: int, sources: Sequence[Source]) -> Outcome:
    """Close the site for the source address; the message goes on from another, or waits."""
    ours = {source.address for source in sources}
    # An address that the system chose is all there is; then no other can take over.
    blocked = [outcome.source] if outcome.source in ours else [*ours, ""]
    until_ms = max(site.block(name, now_ms) for name in blocked)
    if site.sources(now_ms, sources):
        return replace(outcome, again_ms=now_ms + ELSEWHERE_MS)
    return replace(outcome, again_ms=until_ms)
