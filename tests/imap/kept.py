"""What a store keeps, as the tests of commands compare it."""

from __future__ import annotations

from typing import NamedTuple

from fedaemon.mailbox import keeping, reading, words
from fedaemon.mailbox import state as states
from fedaemon.store.interface import Snapshot
from tests.imap.lab import Lab


class Kept(NamedTuple):
    """A message in a mailbox."""

    flags: frozenset[str]
    content: bytes
    internal_s: int
    email: int


def kept(lab: Lab, name: str = "INBOX") -> dict[int, Kept]:
    """Return the live messages of a mailbox by UID."""
    mailbox_id = lab.mailbox_id(name)

    def read(snapshot: Snapshot) -> dict[int, Kept]:
        names, found = words.keywords(snapshot, mailbox_id), {}
        for row in reading.rows(snapshot, mailbox_id):
            mail = reading.mail(snapshot, mailbox_id, row.uid)
            assert mail is not None
            content = b"".join(reading.content(snapshot, lab.store.blobs, mail).chunks())
            flags = frozenset(words.flag_names(row.flags, names))
            found[row.uid] = Kept(flags, content, row.internal_s, row.email)
        return found

    return lab.store.view(read)


def flags_of(lab: Lab, name: str = "INBOX") -> dict[int, set[str]]:
    """Return the flags of the live messages of a mailbox by UID."""
    return {uid: set(each.flags) for uid, each in kept(lab, name).items()}


def state_of(lab: Lab, name: str = "INBOX") -> states.State:
    """Return the counters of a mailbox."""
    return lab.store.view(lambda snapshot: states.load(snapshot, lab.mailbox_id(name)))


def seal(lab: Lab, name: str = "INBOX", rows: int = keeping.CHUNK_ROWS) -> None:
    """Bring so many rows of the tail into a chunk, as the upkeep does."""
    mailbox_id = lab.mailbox_id(name)
    uids = lab.store.view(lambda snapshot: keeping.to_seal(snapshot, mailbox_id, rows))
    texts = lab.store.view(lambda snapshot: keeping.gather_texts(snapshot, mailbox_id, uids))
    assert lab.write(lambda transaction: keeping.seal(transaction, mailbox_id, uids, texts))
