"""Answers that need the records of messages, as many in one read as fit into a block.

What is larger than a block is not read here: it is handed back with the places of what is asked for, and streamed.

Standards: RFC 9051 7.5.2, RFC 8970 3.1, 3.2 (PREVIEW, LAZY), RFC 2180 4.1 (messages expunged meanwhile).
Invariants: a message whose record is damaged, or cannot be decoded, hides no other.
Limits: a read ends with the answer that makes a block, or with what was read for it READ_OCTETS; of contents it
takes CUT_MESSAGES.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from fedaemon.errors import MailError
from fedaemon.imap import writer
from fedaemon.imap.fetch.cuts import Cut, Opened
from fedaemon.imap.fetch.plan import Plan
from fedaemon.imap.parse.fetch import Item, Preview
from fedaemon.imap.session import BLOCK
from fedaemon.mailbox import reading
from fedaemon.mailbox.rows import Mail
from fedaemon.message.mime.stored_shape import StoredShape, is_made
from fedaemon.store.errors import StoreError
from fedaemon.store.interface import Content, Snapshot

if TYPE_CHECKING:
    from fedaemon.store.blobs import Blobs

READ_OCTETS: Final = 4 * BLOCK
CUT_MESSAGES: Final = 150
"""With the parts of a message its answer takes some 20 µs, without them 10."""

MANY_PARTS: Final = 16
"""What an octet of a large shape counts: that of a message with a thousand parts takes 2 ms to understand."""

Pieces = list["Cut | bytes"]
"""An answer: octets, and what is still to be read; blanks are to be put between the items of its bodies."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where messages are read; *needs_shape* is that of the plan, *utf8* says what the session can read."""

    plan: Plan
    mailbox_id: str
    blobs: Blobs
    needs_shape: bool
    utf8: bool


class Message(NamedTuple):
    """A message that is to be answered; *head* is the beginning of it, *shape* given where one was made for it."""

    uid: int
    head: bytes
    shape: bytes = b""


@dataclass(slots=True)
class Gathered:
    """What came of a read.

    :ivar answers: complete ones.
    :ivar done: how many messages are dealt with.
    :ivar missing: how many of them are purged.
    :ivar error: why some of them are left out.
    :ivar large: the next message, begun with its head, whose bodies are to be streamed.
    :ivar unshaped: the content of the next message, whose shape is to be made first.
    """

    answers: list[bytes] = field(default_factory=list)
    done: int = 0
    missing: int = 0
    error: MailError | None = None
    large: Pieces | None = None
    unshaped: Content | None = None


class NeedsShape(Exception):
    """The message has no shape yet."""

    def __init__(self, content: Content) -> None:
        super().__init__()
        self.content = content


def gather(source: Source, messages: list[Message], snapshot: Snapshot) -> Gathered:
    """Return the answers for the first of *messages*, up to a block, or up to one that cannot be had at once."""
    gathered = Gathered()
    said = read = 0
    for message in messages[:CUT_MESSAGES] if source.plan.bodies else messages:
        try:
            mail = reading.mail(snapshot, source.mailbox_id, message.uid)
            if mail is None:
                gathered.missing += 1
            else:
                pieces = _pieces(source, message, mail, snapshot)
                octets = _octets(pieces)
                if octets > BLOCK:
                    gathered.large = pieces
                    return gathered
                answer = _joined(pieces)
                gathered.answers.append(answer)
                said += len(answer)
                read += octets + MANY_PARTS * max(0, len(mail.shape) - BLOCK // 4)
        except NeedsShape as needed:
            gathered.unshaped = needed.content
            return gathered
        except MailError as error:
            gathered.error = error
        except ValueError:
            gathered.error = StoreError("a message is damaged; the operator should run fedaemonctl verify")
        gathered.done += 1
        if said >= BLOCK or read >= READ_OCTETS:
            break
    return gathered


def _pieces(source: Source, message: Message, mail: Mail, snapshot: Snapshot) -> Pieces:
    """Return the parts of an answer."""
    shape = message.shape or mail.shape
    if source.needs_shape and not is_made(shape):
        raise NeedsShape(reading.content(snapshot, source.blobs, mail))
    start = message.head + b" ".join(_ready(source, shape))
    pieces: Pieces = [start]
    if source.plan.bodies:
        pieces += _bodies(source, mail, shape, snapshot)
        if source.plan.ready:
            pieces[0] = start + b" "
    return pieces


def _ready(source: Source, shape: bytes) -> list[bytes]:
    """Return what stands in the shape as it is answered."""
    if not source.plan.ready:
        return []
    stored = StoredShape(shape) if is_made(shape) else None
    values = []
    for item in source.plan.ready:
        match item:
            case Preview():
                values.append(b"PREVIEW " + _preview(stored, utf8=source.utf8))
            case Item.ENVELOPE if stored is not None:
                values.append(b"ENVELOPE " + stored.envelope)
            case Item.BODY if stored is not None:
                values.append(b"BODY " + stored.body)
            case Item.BODYSTRUCTURE if stored is not None:
                values.append(b"BODYSTRUCTURE " + stored.bodystructure)
    return values


def _preview(stored: StoredShape | None, *, utf8: bool) -> bytes:
    """Return the first words; NIL where they are not at hand and need not be. Spec: RFC 8970 3.2"""
    return writer.nstring(stored.preview.encode() if stored is not None else None, utf8=utf8)


def _bodies(source: Source, mail: Mail, shape: bytes, snapshot: Snapshot) -> Pieces:
    opened = Opened(mail, shape, reading.content(snapshot, source.blobs, mail))
    return [opened.cut(body) for body in source.plan.bodies]


def _octets(pieces: Pieces) -> int:
    """Return how much is still to be read."""
    return sum([piece.octets for piece in pieces if not isinstance(piece, bytes)])


def _joined(pieces: Pieces) -> bytes:
    """Return an answer in full; raises StoreError."""
    start, *bodies = [piece if isinstance(piece, bytes) else piece.whole() for piece in pieces]
    assert isinstance(start, bytes)
    return start + b" ".join(bodies) + b")\r\n"
