"""What is granted of what clients ask for with MAIL.

Standards: RFC 4865 4.2, 5.2.2, RFC 2852 4, RFC 6710 4.1.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedaemon.accounts.records import DEFAULT_RIGHTS, RIGHTS
from fedaemon.errors import BadSyntax, MailError, Refused
from fedaemon.submission.wishes import NO_TERMS, Offer, Terms, Wishes, offer, settle

ALICE = "alice@example.test"
NOW_MS = 1_700_000_000_000
DAY_S = 86_400


def settled(wishes: Wishes, rights: frozenset[str] = RIGHTS, max_hold_s: int = DAY_S) -> Terms:
    """Settle for alice, now."""
    return settle(wishes, rights, ALICE, max_hold_s, NOW_MS)


@pytest.mark.parametrize(
    ("wishes", "terms"),
    [
        (Wishes(), NO_TERMS),
        (Wishes(hold_for_s=60), Terms(release_ms=NOW_MS + 60_000)),
        (Wishes(hold_for_s=DAY_S), Terms(release_ms=NOW_MS + DAY_S * 1000)),
        (Wishes(hold_until_ms=NOW_MS + 1), Terms(release_ms=NOW_MS + 1)),
        (Wishes(deliver_by=(60, "R")), Terms(0, NOW_MS + 60_000, "R")),
        (Wishes(deliver_by=(-60, "NT")), Terms(0, NOW_MS - 60_000, "NT")),
        (Wishes(60, None, (60, "N"), 9), Terms(NOW_MS + 60_000, NOW_MS + 60_000, "N", 9)),
        (Wishes(priority=-9), Terms(priority=-9)),
    ],
)
def test_what_may_be_asked_for(wishes: Wishes, terms: Terms) -> None:
    """Intervals become moments, counted from the MAIL command."""
    assert settled(wishes) == terms


@pytest.mark.parametrize(
    "wishes",
    [
        pytest.param(Wishes(hold_for_s=1, hold_until_ms=NOW_MS + 1000), id="both"),
        pytest.param(Wishes(hold_for_s=DAY_S + 1), id="too long"),
        pytest.param(Wishes(hold_until_ms=NOW_MS + DAY_S * 1000 + 1), id="too late"),
        pytest.param(Wishes(hold_until_ms=NOW_MS), id="not in the future"),
        pytest.param(Wishes(hold_for_s=61, deliver_by=(60, "R")), id="released after its time"),
        pytest.param(Wishes(hold_for_s=1, deliver_by=(0, "N")), id="released after a time that is over"),
    ],
)
def test_times_that_cannot_be(wishes: Wishes) -> None:
    """RFC 4865 4.2 and 5.2.2 want 501 5.5.4 for each."""
    with pytest.raises(BadSyntax) as refused:
        settled(wishes)
    assert (refused.value.code, refused.value.status) == (501, "5.5.4")


@pytest.mark.parametrize(
    ("wishes", "right", "code"),
    [(Wishes(hold_for_s=1), "future_release", 550), (Wishes(deliver_by=(60, "N")), "deliver_by", 555)],
)
def test_without_the_right(wishes: Wishes, right: str, code: int) -> None:
    """The refusal names the right and the command that gives it."""
    with pytest.raises(Refused) as refused:
        settled(wishes, RIGHTS - {right})
    assert (refused.value.code, refused.value.status) == (code, "5.7.1")
    assert f"fedaemonctl account set {ALICE} --allow {right}" in refused.value.text


def test_a_service_that_holds_nothing() -> None:
    """With a longest time of 0 every time is too long."""
    with pytest.raises(BadSyntax):
        settled(Wishes(hold_for_s=1), max_hold_s=0)


def test_a_priority_is_raised_only_with_the_right() -> None:
    """RFC 6710 4.1: else it becomes 0; lowering is everybody's own affair."""
    assert settled(Wishes(priority=5), DEFAULT_RIGHTS).priority == 0
    assert settled(Wishes(priority=-5), frozenset()).priority == -5


@pytest.mark.parametrize(
    ("rights", "max_hold_s", "offered"),
    [
        (RIGHTS, DAY_S, Offer(DAY_S, "2023-11-15T22:13:20Z", True)),
        (frozenset({"deliver_by"}), DAY_S, Offer(0, "2023-11-14T22:13:20Z", True)),
        (frozenset({"future_release"}), 0, Offer(0, "2023-11-14T22:13:20Z", False)),
    ],
)
def test_what_is_offered(rights: frozenset[str], max_hold_s: int, offered: Offer) -> None:
    """What the rights allow, and until when messages are held at the latest."""
    assert offer(rights, max_hold_s, NOW_MS / 1000 + 0.9) == offered


wishes_ = st.builds(
    Wishes,
    hold_for_s=st.none() | st.integers(1, 2 * DAY_S),
    hold_until_ms=st.none() | st.integers(NOW_MS - 10, NOW_MS + 2 * DAY_S * 1000),
    deliver_by=st.none() | st.tuples(st.integers(-5, 2 * DAY_S), st.sampled_from(["N", "NT", "R", "RT"])),
    priority=st.integers(-9, 9),
)


@given(wishes_, st.frozensets(st.sampled_from(sorted(RIGHTS))))
def test_nothing_is_granted_that_may_not_be(wishes: Wishes, rights: frozenset[str]) -> None:
    """The invariants of the module, for any wishes and rights."""
    try:
        terms = settled(wishes, rights)
    except MailError as error:
        assert error.permanent
        return
    assert terms.priority <= 0 or "priority" in rights
    assert not terms.release_ms or "future_release" in rights
    assert not terms.deliver_by_mode or "deliver_by" in rights
    assert not terms.release_ms or NOW_MS < terms.release_ms <= NOW_MS + DAY_S * 1000
    assert not terms.deliver_by_mode or terms.release_ms <= terms.deliver_by_ms
