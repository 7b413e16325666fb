"""What a FETCH answers, sorted by where it is read.

Theory of operation: an answer has first what the columns of the mailbox know, then what stands ready in the record
of the message, then what is cut out of its content; each in the order in which the client asked. So the first are
written for hundreds of messages at once, by one template, and nothing is read that is not asked for.

Standards: RFC 9051 6.4.5, 7.5.2, RFC 3501 6.4.5 (RFC822 and its kin), RFC 7162 3.1.4.1 (MODSEQ with CHANGEDSINCE),
RFC 9586 3.3 (UIDFETCH).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from fedaemon.imap.parse.fetch import BinarySection, BinarySize, BodySection, Fetch, Item, Preview, Section
from fedaemon.imap.session import Session
from fedaemon.mailbox import columns as c

FORMATS: Final[dict[Item, bytes]] = {
    Item.UID: b"UID %d",
    Item.FLAGS: b"FLAGS %b",
    Item.MODSEQ: b"MODSEQ (%d)",
    Item.RFC822_SIZE: b"RFC822.SIZE %d",
    Item.INTERNALDATE: b"INTERNALDATE %b",
    Item.SAVEDATE: b"SAVEDATE %b",
    Item.EMAILID: b"EMAILID (%b)",
    Item.THREADID: b"THREADID %b",
}
"""Items that columns know."""
FACTS: Final[dict[Item, int]] = {
    Item.RFC822_SIZE: c.SIZE,
    Item.INTERNALDATE: c.INTERNAL,
    Item.SAVEDATE: c.SAVED,
    Item.EMAILID: c.EMAIL,
    Item.THREADID: c.THREAD,
}
"""Those of them whose column is not in memory."""
READY: Final = (Item.ENVELOPE, Item.BODY, Item.BODYSTRUCTURE)
_SECTIONS: Final = {
    Item.RFC822: BodySection(Section()),
    Item.RFC822_HEADER: BodySection(Section((), b"HEADER"), peek=True),
    Item.RFC822_TEXT: BodySection(Section((), b"TEXT")),
}


@dataclass(frozen=True, slots=True)
class Body:
    """Something to be cut out of the content; *name* is that of the item in the answer."""

    name: bytes
    item: BodySection | BinarySection | BinarySize

    @property
    def is_whole(self) -> bool:
        """Whether it is the whole message, so that its parts do not matter."""
        if isinstance(self.item, BodySection):
            return not self.item.section.part and not self.item.section.text
        return not self.item.part


@dataclass(frozen=True, slots=True)
class Plan:
    """What is answered for each message.

    :ivar columns: from the columns of the mailbox.
    :ivar ready: from the record of the message.
    :ivar bodies: from its content.
    :ivar by_uid: answers are UIDFETCH, with the UID where the number would be.
    :ivar sets_seen: whether it is to be \\Seen then.
    """

    columns: tuple[Item, ...]
    ready: tuple[Item | Preview, ...]
    bodies: tuple[Body, ...]
    by_uid: bool
    sets_seen: bool

    @property
    def needs_shape(self) -> bool:
        """Whether a message without its shape must get it first."""
        lazy = Preview(lazy=True)
        return any(item != lazy for item in self.ready) or not all(body.is_whole for body in self.bodies)

    @property
    def template(self) -> bytes:
        """What makes the beginning of an answer of its number and the values of *columns*."""
        start = b"* %d UIDFETCH (" if self.by_uid else b"* %d FETCH ("
        formats = [FORMATS[item] for item in self.columns]
        if self.ready or self.bodies:
            return start + b"".join([each + b" " for each in formats])
        return start + b" ".join(formats) + b")\r\n"


def make_plan(session: Session, arguments: Fetch, *, uid: bool) -> Plan:
    """Return what *arguments* ask for.

    UID FETCH tells the UID unasked, but where UIDFETCH says it anyway.

    Spec: RFC 9051 6.4.9, RFC 9586 3.3, RFC 7162 3.1.4.1
    """
    items = list(arguments.items)
    if uid and not session.uid_only and Item.UID not in items:
        items.insert(0, Item.UID)
    if arguments.changed_since is not None and Item.MODSEQ not in items:
        items.append(Item.MODSEQ)
    columns: list[Item] = []
    ready: list[Item | Preview] = []
    bodies: list[Body] = []
    for item in items:
        if isinstance(item, Preview):
            ready.append(item)
        elif not isinstance(item, Item):
            bodies.append(Body(item.label(), item))
        elif item in READY:
            ready.append(item)
        elif item in FORMATS:
            columns.append(item)
        else:
            bodies.append(Body(item.value, _SECTIONS[item]))
    seen = not session.need_selected.read_only and any(map(_sets_seen, bodies))
    return Plan(tuple(columns), tuple(ready), tuple(bodies), session.uid_only, seen)


def _sets_seen(body: Body) -> bool:
    return not isinstance(body.item, BinarySize) and not body.item.peek
