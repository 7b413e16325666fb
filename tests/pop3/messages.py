"""The mail of the tests with a real server: small, with dots, and large enough to be a file."""

from __future__ import annotations

MESSAGES = (
    b"Subject: small\r\n\r\nhello\r\n",
    b"Subject: dots\r\n\r\n.\r\n..\r\n.x\r\n",
    b"Subject: large\r\n\r\n" + (b"." * 70 + b"\r\n") * 80_000,
)
