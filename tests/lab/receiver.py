"""A program on loopback that hears of events."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Receiver:
    """Takes posts until closed; *heard* has the header and the body of each."""

    def __init__(self) -> None:
        self.heard: list[tuple[dict[str, str], bytes]] = []
        outer = self

        class Answering(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.heard.append((dict(self.headers.items()), body))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *arguments: object) -> None:
                """Nothing on standard error."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/events"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def about(self, address: str) -> list[dict[str, Any]]:
        """Return the events about a recipient."""
        events = [json.loads(body) for _, body in list(self.heard)]
        return [event for event in events if address in json.dumps(event)]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
