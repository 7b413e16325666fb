"""Scripted mail exchangers on loopback: one thread runs the sessions of all hosts of a test."""

from __future__ import annotations

import asyncio
import ssl
import threading
import time
from collections.abc import Callable, Coroutine
from typing import Any

from tests.lab.dialogue import Dialogue
from tests.lab.mx import MxHost


class Listening:
    """Runs hosts, each on its own address and all on one *port*, as mail exchangers do."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._servers: dict[str, asyncio.Server] = {}
        self._lines: dict[str, set[_Line]] = {}
        self._loop = asyncio.new_event_loop()
        # A client that turns away our certificate is what many tests are about, and no error of the loop.
        self._loop.set_exception_handler(lambda loop, context: None)
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def start(self, host: MxHost) -> MxHost:
        """Let *host* listen."""
        self._servers[host.address] = self._do(self._listen(host))
        return host

    def stop(self, host: MxHost) -> None:
        """End all connections of *host*, and refuse new ones."""
        self._do(self._stop(self._servers.pop(host.address), host.address))

    def close(self) -> None:
        """End everything."""
        for address, server in self._servers.items():
            self._do(self._stop(server, address))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _listen(self, host: MxHost) -> asyncio.Server:
        lines = self._lines.setdefault(host.address, set())
        return await self._loop.create_server(
            lambda: _Line(host, lines), host.address, self.port, backlog=512
        )

    async def _stop(self, server: asyncio.Server, address: str) -> None:
        server.close()
        for line in list(self._lines.pop(address)):
            line.hang_up()
        # For the transports to close before the loop does.
        await asyncio.sleep(0)


class _Line(asyncio.Protocol):
    """A connection; it is the ``Wire`` of its dialogue."""

    def __init__(self, host: MxHost, lines: set[_Line]) -> None:
        self._host = host
        self._lines = lines
        self._loop = asyncio.get_running_loop()
        self._transport: Any = None
        self._dialogue: Dialogue | None = None
        self._upgrade: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client is there, or its TLS has begun."""
        self._transport = transport
        if self._dialogue is None:
            self._lines.add(self)
            self._dialogue = Dialogue(self._host, self, transport.get_extra_info("peername")[0])
            self._dialogue.begin()

    def data_received(self, data: bytes) -> None:
        """The client says something."""
        assert self._dialogue is not None
        self._dialogue.receive(data)

    def connection_lost(self, error: Exception | None) -> None:
        """The client is gone."""
        if self in self._lines:
            self._lines.remove(self)
            assert self._dialogue is not None
            self._dialogue.lost()

    def write(self, data: bytes) -> None:
        self._transport.write(data)

    def hang_up(self) -> None:
        self._transport.close()

    def later(self, seconds: float, function: Callable[[], None]) -> None:
        self._loop.call_later(seconds, function)

    def now_s(self) -> float:
        return time.monotonic()

    def start_tls(self, context: ssl.SSLContext) -> None:
        self._upgrade = self._loop.create_task(self._protect(context))

    async def _protect(self, context: ssl.SSLContext) -> None:
        assert self._dialogue is not None
        try:
            self._transport = await self._loop.start_tls(self._transport, self, context, server_side=True)
        except (OSError, ssl.SSLError):
            # The client did not like what it saw.
            self._transport.close()
            self.connection_lost(None)
        else:
            self._dialogue.protected()
