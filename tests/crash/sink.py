"""An MX host that keeps an account of every copy it took, and that is as moody as real ones are.

Why: to tell a copy that must not be from one that could not be helped, the server has to know for each copy
whether it answered the final dot. Each connection has a mood of its own: it is kept for as long as the client
likes, or answers MAIL with 421 after some messages, or is closed without a word after the reply to one, or is
closed after the final dot without a reply.

Standards: RFC 5321 3.8 (421), 4.5.3.2.6 (the moment of doubt between final dot and reply), RFC 2920.
Invariants: a copy is noted before its reply is written, as a server commits before it answers.
"""

from __future__ import annotations

import asyncio
import random
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

MARK: Final = re.compile(rb"\r\nX-Mark: (\d+)\r\n")
LARGEST: Final = 16 * 1024 * 1024
PATH: Final = re.compile(rb"(?i)RCPT TO:<([^>]*)>")
SLOWEST_S: Final = 0.02
"""The longest pause before the reply to a message: long enough for kills to fall into it."""

Mood = Literal["kept", "full", "leaves", "drops"]
MOODS: Final[tuple[Mood, ...]] = ("kept", "kept", "full", "leaves", "drops")


def mark_of(content: bytes) -> int:
    """Return the number that the client gave a message."""
    found = MARK.search(content)
    assert found is not None, content[:500]
    return int(found[1])


@dataclass(frozen=True, slots=True)
class Copy:
    """A copy that was taken: of which message, for whom, on which connection, and whether that was said."""

    mark: int
    recipients: tuple[str, ...]
    session: int
    answered: bool


class Sink:
    """Listens at *address* in a thread of its own.

    :param chance: decides on moods and pauses.
    """

    def __init__(self, address: str, port: int, chance: random.Random) -> None:
        self.copies: list[Copy] = []
        self.said_421 = 0
        self.sessions = 0
        self.open = threading.Event()
        """While it is not set, no final dot is answered."""
        self.open.set()
        self._address, self._port = address, port
        self._chance = chance
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._server: asyncio.Server | None = None

    def start(self) -> None:
        """Begin to listen."""

        async def listen() -> asyncio.Server:
            return await asyncio.start_server(self._serve, self._address, self._port, limit=LARGEST)

        self._server = asyncio.run_coroutine_threadsafe(listen(), self._loop).result(10)

    def close(self) -> None:
        """End the thread with everything in it."""

        async def end() -> None:
            if self._server is not None:
                self._server.close()
            sessions = asyncio.all_tasks() - {asyncio.current_task()}
            for session in sessions:
                session.cancel()
            await asyncio.gather(*sessions, return_exceptions=True)

        asyncio.run_coroutine_threadsafe(end(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.sessions += 1
        mood = self._chance.choice(MOODS)
        session = _Session(self, self.sessions, mood, self._chance.randint(2, 12), reader, writer)
        try:
            await session.run()
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            # The client was killed, or had no more to say; or the test is over.
            return
        finally:
            writer.close()

    async def pause(self) -> None:
        """Take the time that a message takes."""
        await asyncio.sleep(self._chance.uniform(0, SLOWEST_S))
        while not self.open.is_set():
            await asyncio.sleep(0.02)


class _Session:
    """One connection, whose mood breaks after *patience* messages."""

    def __init__(
        self,
        sink: Sink,
        number: int,
        mood: Mood,
        patience: int,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self._sink = sink
        self._number = number
        self._mood = mood
        self._patience = patience
        self._reader = reader
        self._writer = writer
        self._taken = 0
        self._recipients: list[str] = []
        self._verbs: dict[bytes, Callable[[bytes], bytes]] = {
            b"EHLO": lambda line: b"250-sink\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SIZE\r\n250 DSN\r\n",
            b"MAIL": self._mail,
            b"RCPT": self._rcpt,
            b"RSET": self._reset,
        }

    async def run(self) -> None:
        """Talk until the client quits or the mood breaks."""
        self._writer.write(b"220 sink\r\n")
        while True:
            line = await self._reader.readuntil(b"\r\n")
            verb = line[:4].upper()
            if verb == b"QUIT":
                self._writer.write(b"221 2.0.0 Bye\r\n")
                return
            if verb == b"DATA":
                if not await self._data():
                    return
                continue
            if verb == b"MAIL" and self._mood == "full" and self._taken >= self._patience:
                self._sink.said_421 += 1
                self._writer.write(b"421 4.7.0 Too many messages on this connection\r\n")
                return
            self._writer.write(self._verbs[verb](line))

    def _mail(self, line: bytes) -> bytes:
        self._recipients = []
        return b"250 2.1.0 Ok\r\n"

    def _reset(self, line: bytes) -> bytes:
        self._recipients = []
        return b"250 2.0.0 Ok\r\n"

    def _rcpt(self, line: bytes) -> bytes:
        found = PATH.match(line)
        assert found is not None, line
        address = found[1].decode()
        if address.startswith("nobody@"):
            return b"550 5.1.1 No such user\r\n"
        self._recipients.append(address)
        return b"250 2.1.5 Ok\r\n"

    async def _data(self) -> bool:
        """Take a message; False when the connection is over."""
        self._writer.write(b"354 Go ahead\r\n")
        if not self._recipients:
            await self._reader.readuntil(b".\r\n")
            self._writer.write(b"554 5.5.1 No valid recipients\r\n")
            return True
        content = await self._reader.readuntil(b"\r\n.\r\n")
        await self._sink.pause()
        self._taken += 1
        breaks = self._taken >= self._patience
        answered = not (breaks and self._mood == "drops")
        self._sink.copies.append(Copy(mark_of(content), tuple(self._recipients), self._number, answered))
        if answered:
            self._writer.write(b"250 2.0.0 Ok\r\n")
        return not breaks or self._mood in ("kept", "full")
