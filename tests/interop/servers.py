"""What the examples of docs/integrations talk to beside local mode: a strict server, a silent one, a tap."""

from __future__ import annotations

import asyncio
import re
import socket
import socketserver
import ssl
import threading
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.daemon import PATIENCE_S, Daemon, client_context, free_port, submission

if TYPE_CHECKING:
    from tests.interop.conftest import Local

LOGIN = "alice@example.test"
PASSWORD = "the words of a strict server"
SPENT = "spent@example.test"
"""An account of the strict server that has sent all it may send today."""

MAX_MESSAGE = 10_000
"""Octets: less than the letter of the examples has."""


@dataclass(frozen=True, slots=True)
class Server:
    """Where an example is to log in: what takes the place of the placeholders."""

    ports: Mapping[str, int]
    ca_file: str
    password: str
    login: str = LOGIN

    @staticmethod
    def of(local: Local) -> Server:
        """Return local mode with Alice's password."""
        return Server(local.settings["ports"], local.settings["ca_file"], local.alice)

    def replacements(self, recipient: str) -> dict[str, str]:
        """Return what the placeholders of a page stand for here."""
        return {
            "mail.example.org": "localhost",
            "465": str(self.ports["submissions"]),
            "587": str(self.ports["submission"]),
            "alice@example.org": self.login,
            "bob@example.net": recipient,
        }


class Certified:
    """The certificate of local mode, and its key: every server here is localhost."""

    def __init__(self, local: Local) -> None:
        settings = tomllib.loads(Path(local.settings["config"]).read_text())
        self.ca_file = Path(local.settings["ca_file"])
        self.certificate = Path(settings["tls"]["certificate"])
        self.private_key = Path(settings["tls"]["private_key"])


@contextmanager
def strict_server(directory: Path, certified: Certified) -> Iterator[dict[str, int]]:
    """A server that takes small messages, one a day, and from ``SPENT`` none any more; yields its ports."""
    ports = {"submissions": free_port(), "submission": free_port()}
    daemon = Daemon(directory, _strict_settings(directory, certified, ports))
    daemon.ctl("domain", "add", "example.test")
    for address in (LOGIN, SPENT):
        daemon.ctl("account", "add", address, "--password-stdin", stdin=PASSWORD)
    daemon.start()
    try:
        with submission(ports["submissions"], certified.ca_file, SPENT, PASSWORD) as client:
            client.sendmail(SPENT, [LOGIN], f"From: {SPENT}\r\n\r\nThe only one today.\r\n")
        yield ports
    finally:
        assert daemon.stop() == 0


def _strict_settings(directory: Path, certified: Certified, ports: dict[str, int]) -> str:
    listeners = "".join(
        f'[[listener]]\nservice = "submission"\naddress = "127.0.0.1"\nport = {ports[name]}\ntls = "{tls}"\n'
        for name, tls in (("submissions", "implicit"), ("submission", "starttls"))
    )
    return f"""
[server]
hostname = "localhost"
data_dir = "{directory / "data"}"
[tls]
certificate = "{certified.certificate}"
private_key = "{certified.private_key}"
[limits]
max_message_size = {MAX_MESSAGE}
daily_messages_per_account = 1
{listeners}"""


@contextmanager
def silent_server() -> Iterator[int]:
    """A port where connections are taken and nothing is ever said; yields it."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Silence) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


class _Silence(socketserver.BaseRequestHandler):
    """Listens until the client has enough."""

    def handle(self) -> None:
        with suppress(OSError):
            while self.request.recv(4096):
                pass


class Tap:
    """A relay for one connection over TLS, which notes what the client says: what a library truly sends.

    :ivar port: where the client connects to; it shows the server's own certificate there.
    """

    def __init__(self, certified: Certified, server_port: int) -> None:
        self._certified, self._server_port = certified, server_port
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self._said = bytearray()
        self._relay = threading.Thread(target=asyncio.run, args=(self._run(),), daemon=True)
        self._relay.start()

    def content(self) -> bytes:
        """Return the content of the one message that was sent, without the dots that SMTP adds."""
        self._relay.join(PATIENCE_S)
        commands, *rest = re.split(rb"\r\nDATA\r\n", bytes(self._said), maxsplit=1, flags=re.IGNORECASE)
        assert rest, commands
        content, end, _ = (b"\r\n" + rest[0]).partition(b"\r\n.\r\n")
        assert end, content[-500:]
        return (content + b"\r\n").replace(b"\r\n.", b"\r\n")[2:]

    async def _run(self) -> None:
        done = asyncio.Event()

        async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            server = await asyncio.open_connection("localhost", self._server_port, ssl=client_side)
            await asyncio.gather(
                self._pass_on(reader, server[1], self._said), self._pass_on(server[0], writer, bytearray())
            )
            done.set()

        server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server_side.load_cert_chain(self._certified.certificate, self._certified.private_key)
        client_side = client_context(self._certified.ca_file)
        async with await asyncio.start_server(relay, sock=self._listening, ssl=server_side):
            await done.wait()

    @staticmethod
    async def _pass_on(source: asyncio.StreamReader, target: asyncio.StreamWriter, notes: bytearray) -> None:
        """Hand on and note what *source* says until it ends; a connection that is cut is an end, too."""
        with suppress(OSError):
            while piece := await source.read(65_536):
                notes += piece
                target.write(piece)
                await target.drain()
        target.close()
