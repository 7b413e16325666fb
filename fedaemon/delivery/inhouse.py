"""Delivery to the mailboxes of this server, many messages in one transaction.

Nobody dials here, so nothing is claimed: what is due is delivered and recorded in one go, exactly once. It
goes on while remote delivery is paused. What a mailbox keeps of a message beside its content, the shape, is made
before the transaction, once for all of a message's recipients in it.

Invariants: a message whose delivery fails by a defect of ours holds up no other: it is tried by itself and
deferred.
Limits: SLICE recipients in a transaction, fewer when their shapes take longer than SHAPING_S, so that a large
message holds up nothing that is before it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from fedaemon.delivery import local
from fedaemon.delivery.complaints import note_complaint
from fedaemon.delivery.outcomes import Recorded, Terms, record_outcomes
from fedaemon.delivery.queue import belongs, look_local
from fedaemon.delivery.records import MessageRecord, RecipientRecord, load_message, load_recipient
from fedaemon.delivery.transport import Outcome, Result
from fedaemon.errors import MailError
from fedaemon.logs import Logger
from fedaemon.mailbox.shaping import Shaped, Shaper, is_quick
from fedaemon.message.address import parse_address
from fedaemon.store.interface import Key, Store, Transaction
from fedaemon.store.turns import TurnLoop

if TYPE_CHECKING:
    from fedaemon.store.blobs import Blobs

SLICE: Final = 100
"""Recipients delivered in one transaction: some milliseconds of the writer's time."""
SHAPING_S: Final = 0.005
"""Half of what a turn of the reactor may take."""

Shapes = dict[str, Shaped | None]
"""Of messages, by queue id."""

_log = Logger()


class LocalLane:
    """Delivers local recipients as they come due. *terms* may be replaced while it runs.

    :param shaper: makes the shapes of messages.
    :param recorded: told what each recording led to.
    """

    def __init__(
        self,
        store: Store,
        blobs: Blobs,
        clock: Any,
        now_ms: Callable[[], int],
        *,
        terms: Terms,
        shaper: Shaper,
        recorded: Callable[[Recorded], None],
    ) -> None:
        self.terms = terms
        self._clock = clock
        self._shaper = shaper
        self._store = store
        self._blobs = blobs
        self._now_ms = now_ms
        self._recorded = recorded
        self._loop = TurnLoop(clock, now_ms, self._turn, "local delivery")
        self.wake = self._loop.wake
        """There may be something due."""

    def start(self) -> None:
        """Begin to deliver."""
        self._loop.start()

    async def stop(self) -> None:
        """Finish the transaction under way."""
        await self._loop.stop()

    async def _turn(self) -> None:
        now_ms = self._now_ms()
        due, next_ms = await self._store.read(lambda snapshot: look_local(snapshot, now_ms, SLICE))
        if not due:
            self._loop.alarm.set(next_ms)
            return
        shapes = await self._make_shapes(due)
        await self._deliver([key for key in due if key[4] in shapes], shapes)
        self._loop.wanted = True

    async def _make_shapes(self, due: list[Key]) -> Shapes:
        """Return the shapes of the first messages of *due*: of one, and of those that take no longer."""
        shapes: Shapes = {}
        end_s = self._clock.seconds() + SHAPING_S
        for key in due:
            queue_id = key[4]
            assert isinstance(queue_id, str)
            if queue_id in shapes:
                continue
            content = await local.content_of(self._store, self._blobs, queue_id)
            slow = content is not None and not is_quick(content)
            if shapes and (slow or self._clock.seconds() > end_s):
                break
            shapes[queue_id] = await self._shaper.shape(content) if content is not None else None
        return shapes

    async def _deliver(self, due: list[Key], shapes: Shapes) -> None:
        """Deliver what the index entries *due* name; on a defect, each message by itself."""
        now_ms = self._now_ms()
        try:
            deliver = partial(deliver_due, self._blobs, self.terms, due, now_ms, shapes)
            self._say(await self._store.write(deliver))
        except MailError:
            raise
        except Exception:
            messages = {key[4] for key in due}
            _log.failure("a local delivery failed", event="defect", count=len(messages))
            if len(messages) == 1:
                await self._defer(due)
                return
            for queue_id in messages:
                await self._deliver([key for key in due if key[4] == queue_id], shapes)

    async def _defer(self, due: list[Key]) -> None:
        """Put off one message; when even that fails, leave its records to ``fedaemonctl verify``."""
        now_ms = self._now_ms()
        try:
            self._say(await self._store.write(partial(deliver_due, None, self.terms, due, now_ms, {})))
        except MailError:
            raise
        except Exception:
            _log.failure(
                "left out of the queue, see fedaemonctl verify", event="message-set-aside", id=due[0][4]
            )
            await self._store.write(partial(_leave_out, due))

    def _say(self, results: list[Recorded]) -> None:
        for each in results:
            self._recorded(each)


def deliver_due(
    blobs: Blobs | None, terms: Terms, due: list[Key], now_ms: int, shapes: Shapes, transaction: Transaction
) -> list[Recorded]:
    """Deliver the recipients whose index entries *due* are still true; without *blobs* put them off.

    :param shapes: of their messages.
    """
    outcomes: dict[str, list[Outcome]] = {}
    messages: dict[str, MessageRecord | None] = {}
    for key in due:
        queue_id, number = key[4], key[5]
        assert isinstance(queue_id, str)
        assert isinstance(number, int)
        recipient = load_recipient(transaction, queue_id, number)
        if queue_id not in messages:
            messages[queue_id] = load_message(transaction, queue_id)
        message = messages[queue_id]
        if message is None or recipient is None or not belongs(key, recipient):
            transaction.delete(key)
            continue
        if blobs is None:
            outcome = Outcome(
                number, Result.TEMPORARY, "an internal error of this server", 451, "4.3.0", "local"
            )
        else:
            effect = partial(_append, terms, blobs, message, recipient, now_ms, shapes[queue_id])
            outcome = local.local_outcome(number, recipient, effect)
        outcomes.setdefault(queue_id, []).append(outcome)
    return [
        record_outcomes(transaction, terms, queue_id, group, now_ms) for queue_id, group in outcomes.items()
    ]


def _append(
    terms: Terms,
    blobs: Blobs,
    message: MessageRecord,
    recipient: RecipientRecord,
    now_ms: int,
    shaped: Shaped | None,
    transaction: Transaction,
) -> None:
    """Put the message into its mailbox; what comes to the address for complaints is read, too."""
    local.deliver(transaction, blobs, message, recipient, now_ms, shaped, quota_octets=terms.quota_octets)
    if terms.complaints and terms.complaints in (recipient.address, _key(recipient.original)):
        note_complaint(transaction, blobs, terms.hostname, message, now_ms, terms.suppression_ms)


def _key(address: str) -> str:
    return parse_address(address).key if address else ""


def _leave_out(due: list[Key], transaction: Transaction) -> None:
    for key in due:
        transaction.delete(key)
