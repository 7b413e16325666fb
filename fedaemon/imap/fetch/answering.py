"""Answering a FETCH, span by span: columns by template, records gathered in reads, large contents streamed.

Standards: RFC 9051 6.4.5, 7.5.2, RFC 2180 4.1, RFC 5530 3 (EXPUNGEISSUED).
Invariants: every message that was asked for is answered, or the tagged answer says that some are not, and why.
Limits: what is queued stays below two blocks.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from fedaemon.errors import MailError
from fedaemon.imap.fetch.gathering import Gathered, Message, Source, gather
from fedaemon.imap.fetch.heads import Facts, flags_of, heads, read_facts
from fedaemon.imap.fetch.plan import FACTS, Plan
from fedaemon.imap.fetch.spans import Span
from fedaemon.imap.fetch.streaming import say, stream
from fedaemon.imap.flags import FlagTexts
from fedaemon.imap.operations import MakeShape, Read, Turn
from fedaemon.imap.parse.fetch import Item
from fedaemon.imap.session import Done, Session
from fedaemon.store.errors import StoreError
from fedaemon.store.interface import Content

if TYPE_CHECKING:
    from fedaemon.mailbox.shaping import Shaped


TURN_SPANS: Final = 20
"""Messages here and there are as many spans, which take 0.1 ms each, but make no block."""


class Answering:
    """One FETCH; it counts what could not be answered.

    :param plan: what is asked for.
    """

    def __init__(self, session: Session, plan: Plan) -> None:
        selected, settings = session.need_selected, session.settings
        self._session = session
        self._plan = plan
        self._source = Source(plan, selected.id, settings.blobs, plan.needs_shape, session.utf8)
        self._facts = tuple(FACTS[item] for item in plan.columns if item in FACTS)
        self._spans = self._missing = 0
        self._error: MailError | None = None

    def done(self) -> Done:
        """Return the end of the command; raises what kept messages from being answered. Spec: RFC 5530 3"""
        if self._error is not None:
            raise self._error
        if self._missing:
            return Done("Some of the messages are expunged", b"EXPUNGEISSUED")
        return Done("Fetched")

    async def answer(self, span: Span, told: frozenset[int]) -> None:
        """Answer for the messages of *span*; the flags of those UIDs that are *told* are said unasked."""
        self._spans += 1
        if self._spans % TURN_SPANS == 0:
            await Turn()
        asked = len(span.rows)
        facts: Facts = {}
        if self._facts:
            span, facts = await Read(partial(read_facts, span, self._facts, self._source.mailbox_id))
        self._missing += asked - len(span.rows)
        texts = FlagTexts(self._session)
        beginnings = heads(self._plan, texts, span, facts)
        if not self._plan.ready and not self._plan.bodies:
            await say(self._session, b"".join(beginnings))
            return
        if told:
            extras = self._extras(span, told, texts)
            beginnings = [head + extra for head, extra in zip(beginnings, extras, strict=True)]
        await self._gathered(list(map(Message, span.uids(), beginnings)))

    def _extras(self, span: Span, told: frozenset[int], texts: FlagTexts) -> list[bytes]:
        """Return for each message what it has to tell unasked."""
        columns, condstore = self._plan.columns, self._session.condstore
        extras = []
        rows = zip(span.rows, span.uids(), flags_of(span.chunk, span.rows), strict=True)
        for row, uid, flags in rows:
            extra = b""
            if uid in told:
                if Item.FLAGS not in columns:
                    extra = b"FLAGS " + texts.text(uid, flags) + b" "
                if condstore and Item.MODSEQ not in columns:
                    extra += b"MODSEQ (%d) " % span.chunk.modseqs[row]
            extras.append(extra)
        return extras

    async def _gathered(self, messages: list[Message]) -> None:
        """Answer with what records and contents have."""
        while messages:
            found = await Read(partial(gather, self._source, messages))
            self._count(found)
            await say(self._session, b"".join(found.answers))
            messages = messages[found.done :]
            if found.large is not None:
                await stream(self._session, found.large)
                messages = messages[1:]
            elif found.unshaped is not None:
                messages = await self._shaped(messages, found.unshaped)
            elif messages:
                await Turn()

    def _count(self, found: Gathered) -> None:
        self._missing += found.missing
        self._error = found.error or self._error

    async def _shaped(self, messages: list[Message], content: Content) -> list[Message]:
        """Return *messages*, the first with the shape that was made of its *content*, or without it."""
        made: Shaped | None = await MakeShape(content)
        first, *rest = messages
        if made is None:
            self._error = StoreError("a message cannot be taken apart; its BODY[] can be read")
            return rest
        return [Message(first.uid, first.head, made.record), *rest]
