"""One message on its way in: its header is checked, its content streamed to the spool, and all of it queued in
one durable transaction.

As soon as the header is complete the policy checks and rewrites it, and the rest streams behind it; a refusal
is kept until the end of the content, because SMTP has no way to say it earlier. ``finish`` stages the content,
queues it with its recipients, and fires with the queue id when all of it is on stable storage.

Standards: RFC 5322 3.5 (a message may be a header alone), RFC 6531 3.6 (SMTPUTF8 only where a message needs it),
RFC 8689 4.1 (REQUIRETLS overrides TLS-Required).
Invariants: promise 1 (the id comes only after the commit), promise 2 (a failure of ours is ``Unavailable``),
promise 4 (memory per message: the header limit plus the spool's).
Known gaps: UTF-8 in the headers of parts of a message, whose own header and envelope are ASCII, does not make it
need SMTPUTF8.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from fedaemon import counters
from fedaemon.accounts.directory import expand, is_hosted
from fedaemon.delivery.queue import NewMessage, NewRecipient, enqueue
from fedaemon.errors import BadSyntax, MailError, Refused
from fedaemon.message.header import end_of_header
from fedaemon.store.ids import new_id
from fedaemon.store.interface import Content, Snapshot, StagedContent, Transaction
from fedaemon.submission import duplicate, headerwork
from fedaemon.submission.envelope import Envelope, Peer
from fedaemon.submission.policy import AcceptedHeader

if TYPE_CHECKING:
    from fedaemon.submission.intake import Intake, Spool


class IncomingMessage:
    """One message on its way in; written to as its content arrives, then finished or aborted once.

    *size* (octets with the fields that were added) is known once it is finished, *message_id* (as it stands
    there, "" for none) once the header is complete.
    """

    __slots__ = (
        "_accepted_s",
        "_digest",
        "_failure",
        "_head",
        "_in_header",
        "_intake",
        "_spool",
        "_tls_optional",
        "_utf8_header",
        "envelope",
        "message_id",
        "peer",
        "queue_id",
        "size",
    )

    def __init__(self, intake: Intake, peer: Peer, envelope: Envelope) -> None:
        self._intake = intake
        self.peer = peer
        self.envelope = envelope
        self._accepted_s = intake.clock()
        self.queue_id = new_id(int(self._accepted_s * 1000))
        self._spool: Spool | None = None
        self._head = b""
        self._in_header = True
        self.size = 0
        self.message_id = ""
        self._digest: bytes | None = None
        self._failure: Failure | None = None
        self._tls_optional = False
        self._utf8_header = False

    def write(self, data: bytes) -> Deferred[None] | None:
        """Take a piece of the content; a Deferred asks the caller to wait before it gives more."""
        if self._failure is not None:
            return None
        if not self._in_header:
            assert self._spool is not None
            return self._spool.write(data)
        return self._write_header(data)

    def _write_header(self, data: bytes) -> Deferred[None] | None:
        """Collect the header; once complete, take it and stream what follows."""
        head = self._head + data if self._head else data
        end = end_of_header(head, len(self._head))
        if end < 0:
            self._head = head
            if len(head) > self._intake.policy.rules.header_octets:
                self._fail(
                    Refused(
                        f"the header is larger than {self._intake.policy.rules.header_octets} octets",
                        code=552,
                        status="5.3.4",
                    )
                )
            return None
        empty_line = 2
        # A message may also begin with the empty line: then it has no header at all.
        return self._take_header(head[: end - empty_line], head[end - empty_line :])

    def _take_header(self, header: bytes, rest: bytes) -> Deferred[None] | None:
        self._in_header = False
        self._head = b""

        def take(snapshot: Snapshot) -> AcceptedHeader:
            return self._intake.policy.take_header(
                snapshot, self.peer, self.envelope, header, self.queue_id, self._accepted_s
            )

        def store(accepted: AcceptedHeader) -> Deferred[None] | None:
            self._digest = accepted.digest
            self.message_id = headerwork.find_message_id(accepted.octets)
            self._tls_optional = accepted.tls_optional
            self._utf8_header = self.envelope.smtputf8 and not accepted.octets.isascii()
            self._spool = self._intake.new_spool()
            return self._spool.write(accepted.octets + rest)

        taken: Deferred[None] = self._intake.store.read(take).addCallback(store)
        taken.addErrback(self._keep_failure)
        # A store in memory answers at once; then there is nothing to wait for.
        return None if taken.called and not taken.paused else taken

    def _fail(self, error: MailError) -> None:
        self._failure = Failure(error)
        self._head = b""

    def _keep_failure(self, failure: Failure) -> None:
        """Remember why the message will be refused at its end."""
        error = failure.value
        if isinstance(error, BadSyntax) and error.code == BadSyntax.code:
            # The command was fine, the message is not: 501 is no answer to the end of the content.
            failure = Failure(Refused(error.text, status="5.6.0"))
        self._failure = failure

    def finish(self) -> Deferred[str]:
        """The content is complete: fire with the queue id once it is durable, fail with what to answer."""
        if self._in_header and self._failure is None:
            # No empty line at all: the whole message is a header (RFC 5322 3.5).
            header = self._head
            self._take_header(header, b"\r\n" if not header else b"")
        if self._failure is not None:
            failure = self._failure
            self.abort()
            return _failed(failure)
        assert self._spool is not None
        return self._spool.finish().addCallback(self._store)

    def _store(self, content: Content) -> Deferred[str]:
        self.size = content.size
        return self._intake.store.stage(content).addCallback(self._queue)

    def _queue(self, staged: StagedContent) -> Deferred[str]:
        intake = self._intake
        now_ms = int(self._accepted_s * 1000)

        def accept(transaction: Transaction) -> str:
            if self._digest is not None:
                first = duplicate.find(transaction, self._digest, now_ms)
                if first is not None:
                    return first
                duplicate.remember(transaction, self._digest, self.queue_id, now_ms)
            intake.policy.spend(transaction, self.peer, self.envelope, now_ms)
            blob_id = intake.blobs.add(transaction, staged)
            enqueue(transaction, self._new_message(transaction), blob_id, now_ms)
            return self.queue_id

        def accepted(queue_id: str) -> str:
            if queue_id == self.queue_id:
                counters.count("messages_accepted_total", service=intake.policy.service)
                intake.wake()
            else:
                intake.store.discard(staged)
            return queue_id

        def refused(failure: Failure) -> Failure:
            intake.store.discard(staged)
            return failure

        return intake.store.write(accept).addCallbacks(accepted, refused)

    def _new_message(self, snapshot: Snapshot) -> NewMessage:
        envelope, peer, terms = self.envelope, self.peer, self.envelope.terms
        sender = str(envelope.sender) if envelope.sender is not None else ""
        recipients = expand_recipients(snapshot, envelope)
        return NewMessage(
            queue_id=self.queue_id,
            sender=sender,
            recipients=recipients,
            account=peer.login or None,
            accepted_ms=int(self._accepted_s * 1000),
            size=self.size,
            via={
                "service": self._intake.policy.service,
                "peer": peer.address,
                "helo": peer.helo,
                "tls": peer.tls,
            },
            body=envelope.body,
            smtputf8=envelope.smtputf8 and (self._utf8_header or _in_utf8(sender, recipients)),
            require_tls=envelope.require_tls,
            ret=envelope.ret,
            envid=envelope.envid,
            lifetime_ms=self._intake.policy.lifetime_ms(snapshot, peer),
            release_ms=terms.release_ms,
            deliver_by_ms=terms.deliver_by_ms,
            deliver_by_mode=terms.deliver_by_mode,
            priority=terms.priority,
            tls_optional=self._tls_optional and not envelope.require_tls,
        )

    def abort(self) -> None:
        """Throw the content away: the peer went, or took the message back."""
        self._head = b""
        if self._spool is not None:
            self._spool.discard()
            self._spool = None


def expand_recipients(snapshot: Snapshot, envelope: Envelope) -> tuple[NewRecipient, ...]:
    """Follow the aliases of our domains; every final address once, with the DSN wishes of the first way to
    it."""
    final: dict[str, NewRecipient] = {}
    for recipient in envelope.recipients.values():
        address = recipient.address
        if not is_hosted(snapshot, address.domain):
            found = NewRecipient(str(address), False, "", recipient.notify, recipient.orcpt)
            final.setdefault(address.key, found)
            continue
        for target in expand(snapshot, address):
            original = str(address) if target.address != address.key else ""
            found = NewRecipient(target.address, target.local, original, recipient.notify, recipient.orcpt)
            final.setdefault(target.address, found)
    return tuple(final.values())


def _in_utf8(sender: str, recipients: tuple[NewRecipient, ...]) -> bool:
    """Return whether an address of the envelope needs SMTPUTF8. Spec: RFC 6531 3.6"""
    return not sender.isascii() or any(not recipient.address.isascii() for recipient in recipients)


def _failed(failure: Failure) -> Deferred[str]:
    failed: Deferred[str] = Deferred()
    failed.errback(failure)
    return failed
