"""The layout without chunks, for comparison: a JSON record a message, which every command reads."""

from __future__ import annotations

from bench.layout.design import MAILBOX
from bench.layout.messages import SEEN, Message
from fedaemon.store.interface import Snapshot, Transaction
from fedaemon.store.records import decode, encode

MAIL = "mail"
STATE = "mailbox"


def append(transaction: Transaction, messages: list[Message]) -> None:
    """Add messages."""
    value = transaction.get((STATE, MAILBOX))
    uid = 1 if value is None else decode(value)["uidnext"]
    for uid, message in enumerate(messages, uid):  # noqa: B020 - the last one is needed below
        flags = ["\\Seen"] if message.flags & SEEN else []
        record = {
            "blob": f"{message.email:026d}",
            "size": message.size,
            "internal_ms": message.internal_s * 1000,
            "flags": flags,
            "modseq": uid,
            "shape": message.shape.decode(),
            "texts": [text.decode() for text in message.texts],
        }
        transaction.put((MAIL, MAILBOX, uid), encode(record))
    transaction.put((STATE, MAILBOX), encode({"id": MAILBOX, "uidvalidity": 1, "uidnext": uid + 1}))


def unseen(snapshot: Snapshot) -> list[int]:
    """SEARCH UNSEEN; SELECT reads the same."""
    return [
        int(key[2]) for key, value in snapshot.scan((MAIL, MAILBOX)) if "\\Seen" not in decode(value)["flags"]
    ]


def subject(snapshot: Snapshot, needle: str) -> list[int]:
    """SEARCH SUBJECT."""
    return [
        int(key[2]) for key, value in snapshot.scan((MAIL, MAILBOX)) if needle in decode(value)["texts"][0]
    ]


def shapes(snapshot: Snapshot, uids: range) -> int:
    """FETCH (ENVELOPE BODYSTRUCTURE), as the number of octets."""
    found = snapshot.scan((MAIL, MAILBOX, uids.start), (MAIL, MAILBOX, uids.stop))
    return sum(len(decode(value)["shape"].encode()) for _, value in found)


def add_flag(transaction: Transaction, flag: str, uids: range) -> None:
    """STORE +FLAGS on a range of UIDs."""
    for key, value in list(transaction.scan((MAIL, MAILBOX, uids.start), (MAIL, MAILBOX, uids.stop))):
        record = decode(value)
        if flag not in record["flags"]:
            record["flags"].append(flag)
            transaction.put(key, encode(record))
