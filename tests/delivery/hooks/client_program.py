"""Run by test_client in its own process: posts to a server of its own over real sockets, and says what came of it.

Arguments: certificate and key ("" for http), host, milliseconds until a post is cut off (0: never), paths….
"""

from __future__ import annotations

import json
import ssl
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from twisted.internet import reactor as global_reactor
from twisted.internet.defer import CancelledError, Deferred

from fedaemon.delivery.hooks.client import HookClient
from fedaemon.delivery.hooks.post import Post

reactor: Any = global_reactor
seen: list[dict[str, Any]] = []
forever = threading.Event()


class Receiver(BaseHTTPRequestHandler):
    """Answers as the path says."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        seen.append(
            {
                "path": self.path,
                "body": body.decode(),
                "headers": dict(self.headers.items()),
                "connection": self.client_address[1],
            }
        )
        kind = self.path[1:]
        if kind == "hang":
            forever.wait()
            return
        self.send_response(int(kind) if kind.isdecimal() else 200)
        if kind == "302":
            self.send_header("Location", "/200")
        long = kind in ("long", "stall")
        self.send_header("Content-Length", str(10_000_000 if long else 2))
        self.end_headers()
        self.wfile.write(b"ok")
        if kind == "stall":
            forever.wait()
        if kind == "long":
            try:
                for _ in range(1000):
                    self.wfile.write(bytes(10_000))
                seen.append({"read": "everything"})
            except OSError:
                self.close_connection = True
        if kind == "closes":
            # Without saying so: the next post finds the kept connection dead.
            self.close_connection = True

    def log_message(self, *arguments: Any) -> None:
        """Nothing on standard error."""


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, address: Any) -> None:
        seen.append({"error": type(sys.exception()).__name__ if hasattr(sys, "exception") else "error"})


async def main(certificate: str, key: str, host: str, cut_ms: str, *paths: str) -> None:
    server = Server(("127.0.0.1", 0), Receiver)
    scheme = "http"
    if certificate:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate, key)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        scheme = "https"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    client = HookClient(reactor, timeout_s=2.0)
    answers = []
    for path in paths:
        url = f"{scheme}://{host}:{1 if path == '/refused' else server.server_port}{path}"
        sending = client.send(Post(url, {"X-Webhook-Id": "1"}, b'{"a":1}'))
        if int(cut_ms):
            reactor.callLater(int(cut_ms) / 1000, sending.cancel)
        try:
            answer = await sending
            answers.append([answer.code, answer.text])
        except CancelledError:
            answers.append(["cancelled", ""])
    await client.close()
    print(json.dumps({"answers": answers, "seen": seen}))


def start() -> None:
    work = Deferred.fromCoroutine(main(*sys.argv[1:]))
    work.addErrback(lambda failure: failure.printTraceback())
    work.addBoth(lambda result: reactor.stop())


reactor.callWhenRunning(start)
reactor.callLater(30, reactor.stop)
reactor.run()
