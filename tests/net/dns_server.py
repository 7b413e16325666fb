"""A tiny name server for tests: answers on UDP and TCP as a function says, and counts the questions."""

from __future__ import annotations

import errno
import socket
import socketserver
import struct
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

Script = Callable[[dns.message.Message], dns.message.Message | bytes | None]


def reply(
    query: dns.message.Message,
    *records: str,
    authority: tuple[str, ...] = (),
    rcode: int = dns.rcode.NOERROR,
) -> dns.message.Message:
    """Answer *query* with records written as "name ttl IN type data"."""
    response = dns.message.make_response(query)
    response.set_rcode(dns.rcode.Rcode(rcode))
    for section, lines in ((response.answer, records), (response.authority, authority)):
        for line in lines:
            name, ttl, rdclass, rdtype, data = line.split(" ", 4)
            section.append(dns.rrset.from_text(name, int(ttl), rdclass, rdtype, data))
    return response


def kind_of(query: dns.message.Message) -> str:
    """Return the type asked for, such as "MX"."""
    return dns.rdatatype.to_text(query.question[0].rdtype)


class NameServer:
    """Listens on 127.0.0.1 until closed; *script* gives the answer to each question (None: silence)."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.questions: Counter[tuple[str, str]] = Counter()
        self.tcp_questions = 0
        self.had_edns: list[bool] = []
        outer = self

        class Udp(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                octets, endpoint = self.request
                answer = outer.answer(octets)
                if answer is not None:
                    endpoint.sendto(answer, self.client_address)

        class Tcp(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                (length,) = struct.unpack("!H", self.request.recv(2, socket.MSG_WAITALL))
                outer.tcp_questions += 1
                query = dns.message.from_wire(self.request.recv(length, socket.MSG_WAITALL))
                answer: Any = outer.script(query)
                answer.flags &= ~dns.flags.TC
                octets = answer.to_wire(max_size=65535)
                self.request.sendall(struct.pack("!H", len(octets)) + octets)

        self._udp, self._tcp = _on_one_port(Udp, Tcp)
        self.address: tuple[str, int] = ("127.0.0.1", self._udp.server_address[1])
        self._servers = (self._udp, self._tcp)
        for server in self._servers:
            server.daemon_threads = True
            threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()

    def answer(self, octets: bytes) -> bytes | None:
        query = dns.message.from_wire(octets)
        question = query.question[0]
        self.questions[question.name.to_text(), kind_of(query)] += 1
        self.had_edns.append(query.edns >= 0)
        made = self.script(query)
        if made is None or isinstance(made, bytes):
            return made
        if made.flags & dns.flags.TC:
            made.answer.clear()
        return made.to_wire()

    def close(self) -> None:
        for server in self._servers:
            server.shutdown()
            server.server_close()


def _on_one_port(
    udp: type[socketserver.BaseRequestHandler], tcp: type[socketserver.BaseRequestHandler]
) -> tuple[socketserver.ThreadingUDPServer, socketserver.ThreadingTCPServer]:
    """Open both servers on the same number, which may be free for UDP and taken for TCP: then on another."""
    while True:
        first = socketserver.ThreadingUDPServer(("127.0.0.1", 0), udp)
        try:
            return first, socketserver.ThreadingTCPServer(("127.0.0.1", first.server_address[1]), tcp)
        except OSError as error:
            first.server_close()
            if error.errno != errno.EADDRINUSE:
                raise
