"""Other protocols that reach an SMTP port.

A web page can make a browser send a form to a mail server, whose body then holds SMTP commands that arrive
from inside the victim's network; a server that answers "500 unknown command" to the HTTP lines and goes on
obeys them. So the first line that belongs to another protocol ends the connection.

Standards: RFC 9112 3 (HTTP request line), RFC 4253 4.2 (SSH), RFC 8446 5.1 (TLS record).
"""

from __future__ import annotations

import re

from fedaemon.smtp.lines import TLS_HANDSHAKE

_HTTP_METHODS = frozenset(
    (b"CONNECT", b"DELETE", b"GET", b"HEAD", b"OPTIONS", b"PATCH", b"POST", b"PRI", b"PUT", b"TRACE")
)
_HTTP_VERSION = re.compile(rb" HTTP/\d").search


def foreign_protocol(line: bytes) -> str:
    """Return the protocol that *line*, which is no command, belongs to; "" when it cannot be told."""
    if line[:1] == bytes((TLS_HANDSHAKE,)):
        return "TLS"
    if line.split(b" ", 1)[0].upper() in _HTTP_METHODS or _HTTP_VERSION(line):
        return "HTTP"
    if line.startswith(b"SSH-"):
        return "SSH"
    return ""
