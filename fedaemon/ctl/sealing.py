"""Makes chunks of what a command has added, as no daemon need be running that would.

Limits: one chunk a transaction, as in the daemon.
"""

from __future__ import annotations

import time
from functools import partial

from fedaemon.ctl.command import Context
from fedaemon.ctl.slices import PAUSE_S
from fedaemon.mailbox import keeping
from fedaemon.mailbox import state as states
from fedaemon.store.interface import Snapshot

_Chunk = tuple[list[int], list[tuple[bytes, ...]]]
"""UIDs of the rows that become a chunk, and their texts."""


def seal_tail(context: Context, mailbox_id: str) -> None:
    """Make chunks of the tail of a mailbox while it is long enough; what has no shape yet is left to the daemon.

    :raises StoreError: the store cannot write; nothing is lost, the tail is only longer.
    """
    while True:
        uids, texts = context.view(partial(_next_chunk, mailbox_id))
        seal = partial(keeping.seal, mailbox_id=mailbox_id, uids=uids, texts=texts)
        if not uids or not context.transact(seal):
            return
        time.sleep(PAUSE_S)


def _next_chunk(mailbox_id: str, snapshot: Snapshot) -> _Chunk:
    if states.load(snapshot, mailbox_id).tail < keeping.CHUNK_ROWS:
        return [], []
    uids = keeping.to_seal(snapshot, mailbox_id)
    if not uids or keeping.unshaped(snapshot, mailbox_id, uids[0], len(uids))[0]:
        return [], []
    return uids, keeping.gather_texts(snapshot, mailbox_id, uids)
