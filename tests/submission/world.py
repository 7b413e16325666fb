"""A way in on a store in memory: what is submitted can be looked at in the queue."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar, cast

from twisted.internet.defer import Deferred, succeed
from twisted.python.failure import Failure

from fedaemon.accounts.directory import add_account, add_alias, add_domain, get_account
from fedaemon.accounts.records import Account, Domain
from fedaemon.delivery.records import MessageRecord, load_message
from fedaemon.message.address import Address, parse_address
from fedaemon.store.blobs import Blobs
from fedaemon.store.content import MemoryContent
from fedaemon.store.interface import Content, StagedContent, Transaction
from fedaemon.store.layout import Layout
from fedaemon.store.statistics import Statistics
from fedaemon.submission.envelope import Envelope, EnvelopeRecipient, Peer
from fedaemon.submission.intake import Intake
from fedaemon.submission.policy import MxPolicy, Policy, Rules, SubmissionPolicy
from fedaemon.submission.wishes import NO_TERMS, Terms, Wishes
from tests.fakes import MemoryEngine, MemoryStore

T = TypeVar("T")

ALICE, BOB = "alice@example.test", "bob@example.test"
NOW_S = 1_700_000_000.0
NOW_MS = 1_700_000_000_000
HEADER = (
    b"From: alice@example.test\r\nDate: Mon, 23 Nov 2026 10:00:00 +0000\r\nMessage-ID: <1@example.test>\r\n"
)


class MemorySpool:
    """Content in memory."""

    def __init__(self) -> None:
        self.data = b""

    def write(self, data: bytes) -> Deferred[None] | None:
        self.data += data
        return None

    def finish(self) -> Deferred[Content]:
        return succeed(cast(Content, MemoryContent(self.data)))

    def discard(self) -> None:
        self.data = b""


class StagingStore(MemoryStore):
    """A store in memory that stages for real blobs."""

    def __init__(self, engine: MemoryEngine, blobs: Blobs) -> None:
        super().__init__(engine)
        self.blobs = blobs

    def stage(self, content: Content) -> Deferred[StagedContent]:
        return succeed(self.blobs.stage(content))


class World:
    """The domain example.test with alice and bob, and the alias team@ to both and to an address elsewhere."""

    def __init__(self, *, mx: bool = False) -> None:
        self.engine = MemoryEngine()
        self.blobs = Blobs(Layout(Path("unused")), Statistics(), None)
        self.now_s = NOW_S
        rules = Rules("mail.example.test", max_hold_s=86_400)
        policy: Policy = MxPolicy(rules) if mx else SubmissionPolicy(rules)
        self.intake = Intake(
            StagingStore(self.engine, self.blobs),
            self.blobs,
            policy,
            new_spool=MemorySpool,
            check_space=lambda: None,
            clock=lambda: self.now_s,
            wake=lambda: None,
            refuses_mail=lambda domain: succeed(False),
        )
        self.peer = Peer("192.0.2.7", helo="client", extended=True, tls="TLSv1.3")
        self.engine.transact(self._people)
        if not mx:
            self.log_in(ALICE)

    def _people(self, transaction: Transaction) -> None:
        add_domain(transaction, Domain("example.test"))
        for address in (ALICE, BOB):
            add_account(transaction, Account(address))
        add_alias(transaction, "team@example.test", (ALICE, BOB, "gone@else.test"))

    def log_in(self, address: str) -> None:
        """Be an account as it is now."""
        self.peer.account = self.engine.view(lambda snapshot: get_account(snapshot, address))

    def terms(self, wishes: Wishes | None, sender: str = ALICE) -> Terms:
        """Ask about the sender; raise what is refused."""
        return result_of(self.intake.sender(self.peer, parse_address(sender), wishes))

    def recipient(self, envelope: Envelope, address: str) -> None:
        """Add a recipient; raise what is refused."""
        result_of(self.intake.recipient(self.peer, envelope, EnvelopeRecipient(parse_address(address))))

    def submit(
        self,
        *recipients: str,
        header: bytes = HEADER,
        sender: str = ALICE,
        smtputf8: bool = False,
        require_tls: bool = False,
        terms: Terms = NO_TERMS,
    ) -> MessageRecord:
        """Submit a message; return its record in the queue."""
        reverse_path: Address = parse_address(sender)
        envelope = Envelope(reverse_path, smtputf8=smtputf8, require_tls=require_tls, terms=terms)
        for address in recipients or (BOB,):
            self.recipient(envelope, address)
        message = self.intake.message(self.peer, envelope)
        message.write(header + b"\r\nB\xc3\xbccher\r\n")
        queue_id = result_of(message.finish())
        record = self.engine.view(lambda snapshot: load_message(snapshot, queue_id))
        assert record is not None
        return record


def result_of(deferred: Deferred[T]) -> T:
    """Return what *deferred* has fired with; raise what it failed with."""
    results: list[T | Failure] = []
    deferred.addBoth(results.append)
    (result,) = results
    if isinstance(result, Failure):
        result.raiseException()
    return result
