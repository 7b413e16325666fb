"""The messages of one APPEND or REPLACE: taken from the client, staged, and added in one transaction.

Standards: RFC 9051 6.3.12, RFC 3502 6.3.11 (MULTIAPPEND), RFC 4469 3, 4.2 (CATENATE, TOOBIG), RFC 3516 4.4
(UNKNOWN-CTE), RFC 6855 4 (UTF8), RFC 7889 4 (TOOBIG).
Invariants: what can be refused before a content is sent is refused there; a message is stored octet for octet as
it came, bare LF too, and none with NUL; all messages of a command become durable together, or none.
Limits: MAX_MESSAGES in one command; ``EngineSettings.max_message_octets`` for all of them together, since small
ones wait in memory for the last.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from typing import Any, Final

from fedaemon.errors import BadSyntax, Refused
from fedaemon.imap.appending.contents import Joined
from fedaemon.imap.appending.stored import content_at
from fedaemon.imap.appending.target import check_room, target_named
from fedaemon.imap.events import Command, MessageLiteral
from fedaemon.imap.flags import read_flags
from fedaemon.imap.operations import Discard, MakeShape, NextPiece, Read, Receive, Stage, Turn
from fedaemon.imap.parse.append import AppendArguments, MessageStart, Part, Target, UrlPart
from fedaemon.imap.parse.cursor import Cursor
from fedaemon.imap.session import Session
from fedaemon.mailbox import adding
from fedaemon.mailbox.mailboxes import Mailbox
from fedaemon.mailbox.shaping import Shaped, new_mail
from fedaemon.store.interface import Content, Snapshot, StagedContent, Transaction

MAX_MESSAGES: Final = 500
"""In one command: they are added in one transaction, which is to be short."""
LOOKED_THROUGH: Final = 1 << 20
"""Octets that are looked through for NUL in one turn."""


class TooBig(Refused):
    """A message of more octets than are taken."""

    imap_code = b"TOOBIG"


class TooMuch(Refused):
    """More than is taken in one command."""

    imap_code = b"LIMIT"


class UnknownCte(Refused):
    """A content that could not be given to clients without BINARY."""

    imap_code = b"UNKNOWN-CTE"


@dataclass(frozen=True, slots=True)
class Received:
    """A message that waits for the transaction; *date_s* None stands for now."""

    flags: tuple[str, ...]
    date_s: int | None
    staged: StagedContent
    shaped: Shaped | None


class Intake:
    """Takes the messages of one command.

    :param replaced: of REPLACE: is told the target before any content, and returns how many octets the message
        has that goes.
    :ivar target: where they go; set when the first piece was read.
    """

    __slots__ = (
        "_arguments",
        "_contents",
        "_freed",
        "_octets",
        "_received",
        "_replaced",
        "_session",
        "_start",
        "target",
    )

    def __init__(
        self, session: Session, replaced: Callable[[Target], Coroutine[Any, Any, int]] | None = None
    ) -> None:
        self._session = session
        self._arguments = AppendArguments(replace=replaced is not None)
        self._replaced = replaced
        self._freed: int | None = None
        self._received: list[Received] = []
        self._start: MessageStart | None = None
        self._contents: list[Content] = []
        self._octets = 0
        self.target: Target

    async def read(self, first: MessageLiteral | Command) -> None:
        """Read the command to its end; behind a failure ``discard`` what was taken.

        :raises BadSyntax: for what is not in the grammar, and for NUL in a message.
        :raises Refused: there is no such mailbox, no room in it, or a message is not taken.

        Spec: RFC 9051 6.3.12, RFC 3502 6.3.11
        """
        piece, utf8 = first, self._session.utf8
        while isinstance(piece, MessageLiteral):
            cursor = Cursor(piece.command, utf8=utf8)
            await self._take(self._arguments.before_content(cursor, binary=piece.binary))
            await self._make_room(piece.size)
            content = await Receive()
            await _look_for_nul(content, binary=piece.binary)
            self._contents.append(content)
            piece = await NextPiece()
        await self._take(self._arguments.end(Cursor(piece, utf8=utf8)))
        await self._finish()

    async def discard(self) -> None:
        """Remove what was staged and not added."""
        for received in self._received:
            await Discard(received.staged)

    def add(self, transaction: Transaction, mailbox: Mailbox) -> int:
        """Add the messages to *mailbox*; return the UID of the first, the others follow it.

        :raises OverQuota: there is no room.
        """
        settings, received = self._session.settings, self._received
        check_room(self._session, mailbox, self._octets, len(received), transaction)
        now_s = int(settings.clock())
        mails = [
            new_mail(
                mailbox.account,
                settings.blobs.add(transaction, each.staged),
                each.staged.size,
                b"",
                now_s if each.date_s is None else each.date_s,
                each.shaped,
                each.flags,
            )
            for each in received
        ]
        first, _ = adding.append(transaction, mailbox.id, mails, now_s)
        return first

    def __len__(self) -> int:
        return len(self._received)

    async def _take(self, parts: tuple[Part, ...]) -> None:
        """Take what stands before a content, or at the end."""
        for part in parts:
            match part:
                case Target():
                    self.target = part
                    await Read(target_named(self._session, part.name))
                    if self._replaced is not None:
                        self._freed = await self._replaced(part)
                case MessageStart():
                    await self._finish()
                    if len(self._received) == MAX_MESSAGES:
                        raise TooMuch(f"At most {MAX_MESSAGES} messages are added at once")
                    self._start = part
                case UrlPart():
                    content = await content_at(self._session, part.url)
                    await self._make_room(content.size)
                    self._contents.append(content)

    async def _make_room(self, octets: int) -> None:
        """Refuse the next *octets* before they come when they are too many. Spec: RFC 7889 4, RFC 9208 4.3.1"""
        self._octets += octets
        limit = self._session.settings.max_message_octets
        if sum(content.size for content in self._contents) + octets > limit:
            raise TooBig(f"A message has at most {limit} octets")
        if self._octets > limit:
            raise TooMuch(f"At most {limit} octets are added at once")
        await Read(self._check_room)

    def _check_room(self, snapshot: Snapshot) -> None:
        mailbox = target_named(self._session, self.target.name)(snapshot)
        octets, messages = self._octets, len(self._received) + 1
        if self._freed is not None:
            octets, messages = octets - self._freed, messages - 1
        check_room(self._session, mailbox, octets, messages, snapshot)

    async def _finish(self) -> None:
        """The message that was begun is complete, if one was."""
        start, contents = self._start, self._contents
        if start is None:
            return
        content = contents[0] if len(contents) == 1 else Joined(contents)
        if not content.size:
            # RFC 3502 6.3.11: how a client takes back what it has begun.
            raise Refused("A message without any octets is not added, and neither are those before it")
        self._start, self._contents = None, []
        staged = await Stage(content)
        received = Received(read_flags(start.flags), start.date_s, staged, None)
        self._received.append(received)
        self._received[-1] = replace(received, shaped=await MakeShape(content))


async def _look_for_nul(content: Content, *, binary: bool) -> None:
    """Refuse NUL, which no client without BINARY could be sent. Spec: RFC 9051 4.3, RFC 3516 4.4"""
    for start in range(0, content.size, LOOKED_THROUGH):
        if start:
            await Turn()
        if any(b"\0" in chunk for chunk in content.chunks(start=start, stop=start + LOOKED_THROUGH)):
            if binary:
                raise UnknownCte("NUL in a message is not kept: encode the part that has it")
            raise BadSyntax("NUL in a message")
