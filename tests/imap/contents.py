"""Contents that nobody would send who means well: for the tests of all that reads messages."""

from __future__ import annotations

from collections.abc import Callable


def _multiparts(depth: int) -> bytes:
    heads = [b'Content-Type: multipart/mixed; boundary="b%d"\r\n\r\n--b%d\r\n' % (n, n) for n in range(depth)]
    return b"".join(heads) + b"\r\nx\r\n"


MESSAGES: dict[str, Callable[[], bytes]] = {
    "parts in parts": lambda: _multiparts(5_000),
    "messages in messages": lambda: b"Content-Type: message/rfc822\r\n\r\n" * 20_000,
    "many parts": lambda: (
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\nx\r\n" * 100_000
    ),
    "many fields": lambda: b"X: y\r\n" * 300_000 + b"\r\n",
    "a long field": lambda: b"Subject: " + b"x" * 2_000_000 + b"\r\n\r\n",
    "a long folded field": lambda: b"Subject: " + b"x\r\n " * 500_000 + b"\r\n\r\n",
    "many addresses": lambda: b"To: " + b"a@b, " * 300_000 + b"c@d\r\n\r\n",
    "groups in groups": lambda: b"To: " + b"a:" * 300_000 + b"\r\n\r\n",
    "comments in comments": lambda: b"From: " + b"(" * 500_000 + b"\r\n\r\n",
    "many references": lambda: b"References: " + b"<a@b> " * 200_000 + b"\r\n\r\n",
    "encoded words": lambda: b"Subject: " + b"=?utf-8?B?YQ==?= " * 100_000 + b"\r\n\r\n",
    "parameters": lambda: b"Content-Type: text/plain" + b"; a*0*=x" * 100_000 + b"\r\n\r\n",
    "no end of a boundary": lambda: (
        b'Content-Type: multipart/x; boundary="' + b"b" * 500_000 + b"\r\n\r\n--b\r\n"
    ),
    "bad base64": lambda: b"Content-Transfer-Encoding: base64\r\n\r\n" + b"=\xff" * 500_000,
    "NUL and bare ends": lambda: b"Subject: \0\r\n\r\n" + b"\0\n\r" * 300_000,
    "nothing": lambda: b"",
}
