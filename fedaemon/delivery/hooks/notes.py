"""Notes outcomes for the webhooks that hear of them, in the transaction that records the outcomes.

Events are about messages that accounts sent: mail from outside and reports have none.

Invariants: without webhooks this costs one look into the store; a message's header is read only for a webhook
that hears of the event.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from fedaemon.delivery.hooks.backlog import note_event
from fedaemon.delivery.hooks.events import Ended, header_fields, outcome_event
from fedaemon.delivery.hooks.webhook import webhooks
from fedaemon.delivery.records import MessageRecord
from fedaemon.store.interface import Transaction

if TYPE_CHECKING:
    from fedaemon.store.blobs import Blobs


def note(
    transaction: Transaction,
    blobs: Blobs,
    queue_id: str,
    message: MessageRecord,
    ended: Iterable[Ended],
    now_ms: int,
) -> int:
    """Note what became of recipients; return how many events there are to be posted.

    :param ended: what the attempt changed, one for each recipient, as it has been recorded.
    """
    account = message.account
    if account is None:
        return 0
    hearing = webhooks(transaction)
    if not hearing:
        return 0
    noted = 0
    fields: dict[str, str] | None = None
    for each in ended:
        event = "bounced" if each.event == "expired" else each.event
        if not any(webhook.hears(event, account) for webhook in hearing):
            continue
        if fields is None:
            fields = header_fields(transaction, blobs, message.blob)
        noted += note_event(
            transaction, account, outcome_event(queue_id, message, each, fields, now_ms), now_ms
        )
    return noted
