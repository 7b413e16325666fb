"""Finding MTA-STS policies: announced, fetched, kept, renewed, and what holds when something fails."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import pytest
from twisted.internet.defer import Deferred, fail
from twisted.python.failure import Failure

from fedaemon.delivery.tls_policy import sts
from fedaemon.delivery.tls_policy.sts import NO_POLICY, StsAnswer, StsPolicies
from fedaemon.errors import Unavailable
from fedaemon.net.dns_query import DnsTemporary
from fedaemon.net.https import BadPeer, FetchFailed, Response
from fedaemon.store.errors import StoreError
from fedaemon.store.interface import Snapshot, Transaction
from fedaemon.store.spaces import STS_POLICY
from tests.delivery.tls_policy.world import (
    DAY_MS,
    DOMAIN,
    START_MS,
    FakeDns,
    FakeHttps,
    Time,
    fired,
    policy_text,
)
from tests.fakes import MemoryStore

T = TypeVar("T")

RECORD = f"_mta-sts.{DOMAIN}"


class World:
    """A finder of policies with everything around it."""

    def __init__(self) -> None:
        self.dns = FakeDns()
        self.https = FakeHttps()
        self.store = MemoryStore()
        self.time = Time()
        self.announce("1")
        self.restart()

    def restart(self) -> None:
        """Forget what is in memory."""
        self.policies = StsPolicies(self.dns, self.https, self.store, self.time)

    def announce(self, policy_id: str) -> None:
        self.dns.texts[RECORD] = [f"v=STSv1; id={policy_id};".encode()]

    def find(self) -> StsAnswer:
        answer = fired(self.policies.find(DOMAIN))
        assert isinstance(answer, StsAnswer)
        return answer

    def mode(self) -> str:
        """Return the mode that holds, "" without a policy."""
        policy = self.find().policy
        return policy.mode if policy else ""


@pytest.fixture
def world() -> World:
    return World()


def test_an_announced_policy_is_fetched_from_its_own_host(world: World) -> None:
    """RFC 8461 3.2: a well-known place below mta-sts.DOMAIN, 64 kB and a minute at most."""
    world.https.answers = [policy_text()]
    policy = world.find().policy
    assert policy is not None
    assert (policy.id, policy.mode, policy.fetched_ms) == ("1", "enforce", START_MS)
    assert world.https.fetched == [f"https://mta-sts.{DOMAIN}/.well-known/mta-sts.txt"]
    assert world.https.limits == (65_536, 60.0)


def test_without_a_record_nothing_is_fetched(world: World) -> None:
    """Most domains have no policy, and their hosts are left in peace."""
    del world.dns.texts[RECORD]
    assert world.find() == NO_POLICY
    assert world.https.fetched == []


def test_a_policy_is_kept_over_restarts_and_not_fetched_again(world: World) -> None:
    """Within its time, while DNS announces the same id."""
    world.https.answers = [policy_text()]
    world.find()
    world.restart()
    world.time.ms += DAY_MS // 2
    assert world.mode() == "enforce"
    assert len(world.https.fetched) == 1


def test_a_new_id_brings_the_new_policy_at_once(world: World) -> None:
    """RFC 8461 3.1: the id is there for this."""
    world.https.answers = [policy_text(), policy_text(mode="none")]
    assert world.mode() == "enforce"
    world.announce("2")
    assert world.mode() == "none"
    world.restart()
    assert world.mode() == "none"


@pytest.mark.parametrize("gone", [DnsTemporary("no answer"), [], [b"v=STSv1; id=1", b"v=STSv1; id=2"]])
def test_who_can_take_the_record_away_cannot_end_a_policy(
    world: World, gone: Exception | list[bytes]
) -> None:
    """RFC 8461 3.1 and 10: what is kept holds until its max_age is over, and then no longer."""
    world.https.answers = [policy_text(max_age=DAY_MS // 1000)]
    world.find()
    world.dns.texts[RECORD] = gone
    world.time.ms += DAY_MS - 1
    assert world.mode() == "enforce"
    world.time.ms += 1
    assert world.find() == NO_POLICY


@pytest.mark.parametrize(
    "broken",
    [FetchFailed("no answer"), Response(404, "text/plain", b""), Response(200, "text/plain", b"<html>")],
)
def test_who_can_break_the_fetch_cannot_end_a_policy(world: World, broken: Exception | Response) -> None:
    """RFC 8461 3.3: with a new id announced and no policy to be had, the old one holds."""
    world.https.answers = [policy_text(), broken]
    world.find()
    world.announce("2")
    world.time.ms += DAY_MS // 10
    answer = world.find()
    assert answer.policy is not None
    assert (answer.policy.id, answer.failure) == ("1", "")
    assert len(world.https.fetched) == 2


@pytest.mark.parametrize(
    ("answer", "failure", "says"),
    [
        (FetchFailed("no whole answer"), "sts-policy-fetch-error", "no whole answer"),
        (Response(404, "text/plain", b""), "sts-policy-fetch-error", "404"),
        (Response(301, "text/plain", b""), "sts-policy-fetch-error", "301"),
        (Response(204, "text/plain", b""), "sts-policy-fetch-error", "204"),
        (BadPeer("the certificate has expired"), "sts-webpki-invalid", "expired"),
        (Response(200, "text/html", policy_text().body), "sts-policy-invalid", "text/html"),
        (Response(200, "", policy_text().body), "sts-policy-invalid", "text/plain"),
        (Response(200, "text/plain", b"nonsense"), "sts-policy-invalid", "no field"),
    ],
)
def test_a_policy_that_cannot_be_had_is_none_and_says_why(
    world: World, answer: Response | Exception, failure: str, says: str
) -> None:
    """RFC 8461 3.3: delivery goes on as without one; RFC 8460 4.3 has a name for each failure."""
    world.https.answers = [answer]
    found = world.find()
    assert (found.policy, found.failure) == (None, failure)
    assert says in found.why


def test_a_failure_is_remembered_for_five_minutes(world: World) -> None:
    """RFC 8461 3.3: a host that is down is not asked for each message; a new id is tried at once."""
    world.https.answers = [FetchFailed("down"), FetchFailed("down"), FetchFailed("down"), policy_text()]
    world.find()
    world.time.ms += 299_999
    assert world.find().failure == "sts-policy-fetch-error"
    assert len(world.https.fetched) == 1
    world.time.ms += 1
    world.find()
    assert len(world.https.fetched) == 2
    world.announce("2")
    world.find()
    assert len(world.https.fetched) == 3
    world.time.ms += 300_000
    assert world.mode() == "enforce"


def test_a_policy_is_renewed_before_it_ends_and_nobody_waits(world: World) -> None:
    """After half of a short max_age, or a day: the kept policy is the answer, the new one comes behind."""
    world.https.answers = [policy_text(max_age=10_000), None]
    world.find()
    world.time.ms += 4_999_999
    world.find()
    assert len(world.https.fetched) == 1
    world.time.ms += 1
    assert world.mode() == "enforce"
    assert len(world.https.fetched) == 2
    assert world.mode() == "enforce"
    assert len(world.https.fetched) == 2
    world.https.waiting[0].callback(policy_text(mode="testing", max_age=604_800))
    assert world.mode() == "testing"
    world.https.answers = [policy_text(mode="enforce")]
    world.time.ms += DAY_MS - 1
    assert world.mode() == "testing"
    assert world.https.answers
    world.time.ms += 1
    assert world.mode() == "testing"
    assert world.mode() == "enforce"


def test_one_fetch_serves_all_who_wait(world: World) -> None:
    """A hundred deliveries to one domain are one request to its policy host."""
    world.https.answers = [None]
    waiting = [world.policies.find(DOMAIN) for _ in range(100)]
    assert len(world.https.fetched) == 1
    world.https.waiting[0].callback(policy_text())
    assert {fired(each).policy.mode for each in waiting} == {"enforce"}


def test_a_policy_without_life_holds_for_the_delivery_that_fetched_it(world: World) -> None:
    """max_age 0 is not kept, and yet the policy host is not asked for each message."""
    world.https.answers = [policy_text(max_age=0), policy_text(max_age=0)]
    assert [world.mode() for _ in range(3)] == ["enforce"] * 3
    assert len(world.https.fetched) == 1
    world.time.ms += 60_000
    world.find()
    assert len(world.https.fetched) == 2


class FailingStore(MemoryStore):
    """Reads or writes fail."""

    def __init__(self, *, reads: bool) -> None:
        super().__init__()
        self.reads = reads

    def read(self, function: Callable[[Snapshot], T]) -> Deferred[T]:
        return fail(StoreError("input/output error")) if self.reads else super().read(function)

    def write(self, function: Callable[[Transaction], T]) -> Deferred[T]:
        return fail(Unavailable("disk full"))


def test_a_store_that_cannot_write_costs_only_the_keeping(world: World) -> None:
    """The policy holds all the same."""
    world.store = FailingStore(reads=False)
    world.restart()
    world.https.answers = [policy_text()]
    assert world.mode() == "enforce"
    assert world.mode() == "enforce"
    assert len(world.https.fetched) == 1


def test_a_store_that_cannot_read_is_a_failure(world: World) -> None:
    """Whether a policy is kept is then unknown, which is not the same as none."""
    world.store = FailingStore(reads=True)
    world.restart()
    failure = fired(world.policies.find(DOMAIN))
    assert isinstance(failure, Failure)
    assert failure.check(StoreError)


def test_expired_policies_of_other_domains_go(world: World) -> None:
    """Saving one removes neighbours whose time is over, and leaves the others."""
    for name, age in (("f.example.org", 10), ("g.example.org", 10_000)):
        world.dns.texts[f"_mta-sts.{name}"] = [b"v=STSv1; id=1"]
        world.https.answers = [policy_text(max_age=age)]
        fired(world.policies.find(name))
    world.time.ms += 60_000
    world.https.answers = [policy_text()]
    world.find()
    assert set(world.store.engine.entries) == {(STS_POLICY, DOMAIN), (STS_POLICY, "g.example.org")}


def test_what_is_remembered_of_fetches_is_bounded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest goes first."""
    monkeypatch.setattr(sts, "MAX_RECENT", 2)
    for name in ("a", "b", "c", "a"):
        world.dns.texts[f"_mta-sts.{name}.test"] = [b"v=STSv1; id=1"]
        world.https.answers = [FetchFailed("down")]
        fired(world.policies.find(f"{name}.test"))
    assert [url[len("https://mta-sts.")] for url in world.https.fetched] == ["a", "b", "c", "a"]
