"""The HTTPS hosts from which MTA-STS policies are fetched, good and bad."""

from __future__ import annotations

import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PATH = "/.well-known/mta-sts.txt"


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request: object, client_address: object) -> None:
        """Who does not trust our certificate leaves in the middle of the handshake."""


class PolicyHost:
    """One HTTPS server; *policies* by host name, where a number is the status of an answer without one."""

    def __init__(self, address: str, port: int, context: ssl.SSLContext) -> None:
        self.policies: dict[str, str | int] = {}
        self.asked: list[str] = []
        outer = self

        class Answering(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                host = (self.headers["Host"] or "").partition(":")[0]
                outer.asked.append(host)
                policy = outer.policies.get(host, 404) if self.path == PATH else 404
                status, text = (policy, "") if isinstance(policy, int) else (200, policy)
                self.send_response(status)
                if status in (301, 302):
                    self.send_header("Location", f"https://elsewhere.{host}{PATH}")
                self.send_header("Content-Type", "text/plain")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *arguments: object) -> None:
                """Nothing on standard error."""

        self._server = _Server((address, port), Answering)
        self._server.socket = context.wrap_socket(
            self._server.socket, server_side=True, do_handshake_on_connect=False
        )
        self.port: int = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()


def policy(mode: str, *hosts: str) -> str:
    """Return a policy."""
    lines = ["version: STSv1", f"mode: {mode}", *(f"mx: {host}" for host in hosts), "max_age: 86400"]
    return "\r\n".join(lines) + "\r\n"
