"""From a content to what a mailbox keeps of it: the shape, made once, before the message is added.

Theory of operation: a shape is of the content alone, so all recipients of a message share it, whatever lines
delivery puts in front for each; who reads a stored message adds their octets to the offsets.

Standards: RFC 8474 5.2 (what threads begin with: the first of References, else of In-Reply-To, else the message
itself).
Invariants: a message whose shape cannot be made is added without one: the upkeep of mailboxes tries again.
Limits: contents up to SMALL_OCTETS with few delimiters take some 5 ms at worst, and 0.1 to 0.2 ms as people write
them; others are read in a thread: about 1 ms a megabyte, 0.1 s at worst.
Known gaps: a reply that names its parent in In-Reply-To only is in the thread of that message's own identifier.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from twisted.internet.defer import Deferred

from fedaemon.errors import MailError
from fedaemon.logs import Logger
from fedaemon.mailbox.adding import NewMail, thread_id
from fedaemon.mailbox.rows import NO_DATE
from fedaemon.message.mime.shape import read_shape
from fedaemon.store.content import whole
from fedaemon.store.interface import Content

SMALL_OCTETS: Final = 32 * 1024
FEW_DELIMITERS: Final = 200
"""Lines that begin as delimiters do: parts are what costs most, 10 µs each."""

_log = Logger()


@dataclass(frozen=True, slots=True)
class Shaped:
    """What a mailbox keeps of a content.

    :ivar record: the shape, as ``Shape.to_record`` makes it.
    :ivar sent_s: the Date field in seconds since the epoch, NO_DATE without a usable one; *zone_min* its zone.
    :ivar root: the message identifier with which its thread begins, "" without any.
    """

    record: bytes
    sent_s: int
    zone_min: int
    root: str

    def thread(self, account: str) -> int:
        """Return THREADID in the mailboxes of *account*, 0 for a thread of its own. Spec: RFC 8474 5.2"""
        return thread_id(account, self.root) if self.root else 0


def read_shaped(content: Content) -> Shaped:
    """Return what a mailbox keeps of *content*; raises StoreError when it cannot be read."""
    shape = read_shape(content.chunks())
    texts = shape.texts
    chain = (*texts.references, *texts.in_reply_to, texts.message_id)
    sent_s = NO_DATE if texts.sent_s is None else texts.sent_s
    return Shaped(shape.to_record(), sent_s, texts.zone_min, chain[0])


def new_mail(
    account: str,
    blob_id: str,
    size: int,
    prefix: bytes,
    internal_s: int,
    shaped: Shaped | None,
    flags: tuple[str, ...] = (),
) -> NewMail:
    """Return a message to be added to a mailbox of *account*.

    :param size: octets of the content, without the *prefix* that stands in front of it.
    :param internal_s: when it arrived, in seconds since the epoch.
    :param shaped: of the content; None leaves it to the upkeep.
    """
    size += len(prefix)
    if shaped is None:
        return NewMail(blob_id, size, internal_s, prefix, flags)
    return NewMail(
        blob_id,
        size,
        internal_s,
        prefix,
        flags,
        sent_s=shaped.sent_s,
        zone_min=shaped.zone_min,
        thread=shaped.thread(account),
        shape=shaped.record,
    )


class Shaper:
    """Makes shapes, in the reactor's thread where that is quick.

    :param run_in_thread: runs a blocking function elsewhere.
    """

    def __init__(self, run_in_thread: Callable[..., Deferred[Any]]) -> None:
        self._run_in_thread = run_in_thread

    async def shape(self, content: Content) -> Shaped | None:
        """Return what a mailbox keeps of *content*; None, and a line in the log, when that cannot be made."""
        try:
            if is_quick(content):
                return read_shaped(content)
            shaped: Shaped = await self._run_in_thread(read_shaped, content)
        except MailError as error:
            _log.warn("a message is stored without its shape", event="shape-missing", reason=error.text)
        except Exception:
            _log.failure("a message is stored without its shape", event="defect")
        else:
            return shaped
        return None


def is_quick(content: Content) -> bool:
    """Tell whether the shape of *content* can be made in a turn of the reactor."""
    return content.size <= SMALL_OCTETS and whole(content).count(b"\n--") <= FEW_DELIMITERS
