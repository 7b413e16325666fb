"""The signer: which key signs, once for many destinations, in a thread when it takes long; never in the way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred, execute, succeed
from twisted.logger import globalLogPublisher
from twisted.python.failure import Failure

from fedaemon.accounts.directory import add_domain, remove_domain
from fedaemon.accounts.records import Domain
from fedaemon.errors import Unavailable
from fedaemon.mailauth import keys, signer
from fedaemon.mailauth.keys import SIGNATURE_LIFETIME_S, DkimKey
from fedaemon.mailauth.signer import Signer
from fedaemon.store.content import MemoryContent, PrefixedContent
from fedaemon.store.errors import StoreError
from fedaemon.store.interface import Content
from fedaemon.store.spaces import DKIM_KEY
from tests.fakes import MemoryEngine, MemoryStore
from tests.mailauth.messages import DOMAIN, MESSAGE, Zone, a_key, stored, verdicts

NOW_S = 1_764_000_000.0


class Threads:
    """Stands for threads: runs at once, or when told to, and counts."""

    def __init__(self) -> None:
        self.count = 0
        self.held: list[Callable[[], None]] | None = None

    def __call__(self, function: Callable[[], Any]) -> Deferred[Any]:
        self.count += 1
        if self.held is None:
            return execute(function)
        deferred: Deferred[Any] = Deferred()

        def work() -> None:
            execute(function).chainDeferred(deferred)

        self.held.append(work)
        return deferred

    def go(self) -> None:
        """Run what waits, and what comes of it."""
        while self.held:
            self.held.pop(0)()


class World:
    """A signer on a store."""

    def __init__(self) -> None:
        self.engine = MemoryEngine()
        self.threads = Threads()
        self.now_s = NOW_S
        self.signer = Signer(MemoryStore(self.engine), self.threads, lambda: self.now_s)

    def sign(self, message: bytes | Content = MESSAGE, cache_key: str = "Q1") -> bytes:
        content = MemoryContent(message) if isinstance(message, bytes) else message
        return result_of(self.signer.sign(content, cache_key=cache_key))

    def activate(self, selector: str) -> None:
        at_ms = int(self.now_s * 1000)
        self.engine.transact(lambda transaction: keys.activate(transaction, DOMAIN, selector, at_ms))


def result_of(deferred: Deferred[bytes]) -> bytes:
    results: list[Any] = []
    deferred.addBoth(results.append)
    assert results, "it has not fired"
    if isinstance(results[0], Failure):
        results[0].raiseException()
    assert isinstance(results[0], bytes)
    return results[0]


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def logged() -> Iterator[list[dict[str, Any]]]:
    events: list[dict[str, Any]] = []
    observer: Any = events.append
    globalLogPublisher.addObserver(observer)
    yield events
    globalLogPublisher.removeObserver(observer)


@pytest.fixture(autouse=True)
def at_the_verifier(monkeypatch: pytest.MonkeyPatch) -> None:
    """The verifier's clock shows the tests' time."""
    monkeypatch.setattr("dkim.time.time", lambda: NOW_S)


def test_both_keys_sign(world: World) -> None:
    """RSA first, for those who look at one signature only."""
    zone = Zone(stored(world.engine, "e", "ed25519"), stored(world.engine, "r", "rsa"))
    block = world.sign()
    assert block.index(b"a=rsa-sha256") < block.index(b"a=ed25519-sha256")
    assert verdicts(block + MESSAGE, zone) == [True, True]


def test_a_message_in_front_of_which_stands_something(world: World) -> None:
    """The content signed may itself be put together."""
    zone = Zone(stored(world.engine, "r", "rsa"))
    content = PrefixedContent(b"X-Trace: a\r\n", MemoryContent(MESSAGE))
    assert verdicts(world.sign(content) + b"X-Trace: a\r\n" + MESSAGE, zone) == [True]


def test_a_parent_domain_signs_for_its_children(world: World) -> None:
    """mailer-daemon@mail.example.org has example.org's signature, until it has a key itself. Spec: RFC 7489
    3.1.1"""
    parent = stored(world.engine, "r", "rsa")
    message = MESSAGE.replace(b"ann@example.org", b"mailer-daemon@mail.example.org")
    block = world.sign(message)
    assert b" d=example.org;" in block
    assert verdicts(block + message, Zone(parent)) == [True]
    own = stored(world.engine, "m", "rsa", domain="mail.example.org")
    block = world.sign(message)
    assert b" d=mail.example.org;" in block
    assert verdicts(block + message, Zone(own)) == [True]


@pytest.mark.parametrize(
    "author", [b"ann@example.com", b"ann@notexample.org", b"ann@org", b"ann@[192.0.2.1]"]
)
def test_others_are_not_signed_for(world: World, author: bytes) -> None:
    """No key of ours speaks for a domain that is not here, however alike."""
    stored(world.engine, "r", "rsa")
    assert world.sign(MESSAGE.replace(b"ann@example.org", author)) == b""


def test_a_domain_that_was_removed_signs_nothing(world: World) -> None:
    """Its keys are left, but its mail is not ours to answer for."""
    stored(world.engine, "r", "rsa")
    assert world.sign() != b""
    world.engine.transact(lambda transaction: remove_domain(transaction, DOMAIN))
    assert world.sign() == b""


def test_no_keys_and_pending_keys_sign_nothing(world: World) -> None:
    """A key signs from its activation on."""
    world.engine.transact(lambda transaction: add_domain(transaction, Domain(DOMAIN)))
    assert world.sign() == b""
    pending = keys.make(DOMAIN, "p", a_key("rsa"), 0)
    world.engine.transact(lambda transaction: keys.add(transaction, pending))
    assert world.sign() == b""
    world.activate("p")
    assert verdicts(world.sign() + MESSAGE, Zone(pending)) == [True]


def test_rotation_overlaps(world: World) -> None:
    """The new key signs at once, cached or not; the old signature verifies while the old record stays."""
    old = stored(world.engine, "old", "rsa")
    before = world.sign() + MESSAGE
    new = stored(world.engine, "new", "rsa", number=1)
    after = world.sign() + MESSAGE
    assert b" s=old;" in before and b" s=new;" in after
    assert verdicts(before, Zone(old, new)) == verdicts(after, Zone(old, new)) == [True]
    assert verdicts(before, Zone(new)) == [False]
    retired = world.engine.view(lambda snapshot: keys.need_key(snapshot, DOMAIN, "old"))
    assert retired.state == "retired"
    # When its record may go, whatever it signed has run out.
    assert retired.until_ms - retired.retired_ms >= SIGNATURE_LIFETIME_S * 1000


def test_signed_once_for_many_destinations(world: World) -> None:
    """The same octets, until the key changes, or the attempt is so late that the life time matters."""
    stored(world.engine, "r", "rsa")
    first = world.sign()
    world.now_s += 10
    assert world.sign() == first
    assert world.sign(cache_key="Q2") != first
    world.now_s += signer.CACHED_S
    assert b" t=%d;" % world.now_s in world.sign()


def test_the_cache_is_bounded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message that was asked for longest ago is forgotten."""
    monkeypatch.setattr(signer, "CACHED_BLOCKS", 2)
    stored(world.engine, "r", "rsa")
    first = [world.sign(cache_key=name) for name in ("Q1", "Q2")]
    world.now_s += 5
    assert world.sign(cache_key="Q1") == first[0]
    world.sign(cache_key="Q3")
    assert world.sign(cache_key="Q1") == first[0]
    assert world.sign(cache_key="Q2") != first[1]


def test_many_who_ask_at_once_wait_for_one(world: World) -> None:
    """A large message is read and hashed once for all of its destinations; who gives up harms nobody."""
    zone = Zone(stored(world.engine, "r", "rsa"))
    message = MESSAGE + b"line\r\n" * (signer.INLINE_OCTETS // 4)
    world.threads.held = []
    callers = [world.signer.sign(MemoryContent(message), cache_key="Q1") for _ in range(50)]
    callers[0].addErrback(lambda failure: failure.trap(CancelledError) and None)
    callers[0].cancel()
    world.threads.go()
    blocks = {result_of(caller) for caller in callers[1:]}
    assert len(blocks) == 1
    assert verdicts(blocks.pop() + message, zone) == [True]
    assert world.threads.count == 3  # header, private key, body


def test_small_messages_need_no_thread(world: World) -> None:
    """Only the first use of a private key, which is checked then."""
    stored(world.engine, "r", "rsa")
    world.sign()
    assert world.threads.count == 1
    world.sign(cache_key="Q2")
    assert world.threads.count == 1


def test_a_broken_message_goes_unsigned(world: World, logged: list[dict[str, Any]]) -> None:
    """It is not held up, and one log line says why."""
    stored(world.engine, "r", "rsa")
    for _ in range(3):
        assert world.sign(b"From: a@example.org\r\nFrom: b@example.org\r\n\r\nx\r\n") == b""
    said = [event for event in logged if event.get("log_namespace") == "fedaemon.mailauth.signer"]
    assert [(event["id"], event["reason"]) for event in said] == [("Q1", "it has 2 From fields")]


def test_a_damaged_key_does_not_stop_the_mail(world: World, logged: list[dict[str, Any]]) -> None:
    """The other key signs, and one log line names the one that cannot."""
    damaged = stored(world.engine, "r", "rsa")
    zone = Zone(stored(world.engine, "e", "ed25519"))
    spoilt = DkimKey(DOMAIN, "r", "rsa", 2048, b"not a key", damaged.public, 0, "active")
    world.engine.transact(lambda transaction: transaction.put((DKIM_KEY, DOMAIN, "r"), keys.encode(spoilt)))
    for name in ("Q1", "Q2"):
        assert verdicts(world.sign(cache_key=name) + MESSAGE, zone) == [True]
    said = [event for event in logged if event.get("selector") == "r"]
    assert len(said) == 1
    assert "not a key" not in str(said)


class Unreadable:
    """Content on a disk that fails."""

    size = 10

    def __init__(self, error: Exception) -> None:
        self.error = error

    def chunks(self, size: int = 65536, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        raise self.error
        yield b""


def test_our_own_faults_are_temporary(world: World) -> None:
    """What cannot be read now is not sent unsigned, and is tried again."""
    stored(world.engine, "r", "rsa")
    for _ in range(2):
        with pytest.raises(Unavailable, match="disk"):
            world.sign(Unreadable(StoreError("the disk fails")))
    assert world.sign() != b""


def test_a_defect_of_ours_does_not_stop_the_mail(world: World, logged: list[dict[str, Any]]) -> None:
    """The message goes unsigned, and the traceback is in the log."""
    stored(world.engine, "r", "rsa")
    assert world.sign(Unreadable(ZeroDivisionError("defect"))) == b""
    assert [event["log_failure"].type for event in logged if "log_failure" in event] == [ZeroDivisionError]


def test_a_stopped_thread_pool_is_temporary() -> None:
    """At the end of the process the attempt is put off, not made without signature."""
    engine = MemoryEngine()
    stored(engine, "r", "rsa")

    def stopped(function: Callable[[], Any]) -> Deferred[Any]:
        return succeed(None).addCallback(lambda _: Failure(Unavailable("signing has been stopped")))

    with pytest.raises(Unavailable, match="stopped"):
        result_of(
            Signer(MemoryStore(engine), stopped, lambda: NOW_S).sign(MemoryContent(MESSAGE), cache_key="Q")
        )
