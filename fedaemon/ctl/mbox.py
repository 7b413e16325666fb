"""Writes messages in the mbox format, mboxrd variant.

Standards: RFC 4155 appendix A (the From_ line).
Invariants: unquoting gives the octets back: one ">" is put before every line that matches ``>*From ``, and
nothing else is changed. Line ends of the message stay as they are (CRLF); those of the format itself are LF.
Limits: memory for one line, or one piece, of a message.
"""

from __future__ import annotations

import re
import time
from typing import BinaryIO, Final

from fedaemon.store.interface import Content

_FROM_LINE: Final = re.compile(rb"^(?=>*From )", re.MULTILINE)
_RETURN_PATH: Final = re.compile(rb"Return-Path: <([^\s>]*)>")


def write_mbox_message(output: BinaryIO, message: Content, prefix: bytes, arrived_s: float) -> None:
    """Write one message with its From_ line and the empty line after it.

    :param prefix: what our delivery put in front; its Return-Path gives the sender.
    """
    path = _RETURN_PATH.match(prefix)
    sender = path[1].decode("utf-8", "replace") if path and path[1] else "MAILER-DAEMON"
    output.write(f"From {sender} {time.asctime(time.gmtime(arrived_s))}\n".encode())
    rest = b""
    for chunk in message.chunks():
        rest += chunk
        # Only whole lines: whether the last one begins with "From " may show in the next piece only.
        end = rest.rfind(b"\n") + 1
        output.write(_FROM_LINE.sub(b">", rest[:end]))
        rest = rest[end:]
    output.write(_FROM_LINE.sub(b">", rest))
    output.write(b"\n\n" if rest else b"\n")
