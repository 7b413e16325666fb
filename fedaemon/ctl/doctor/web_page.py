"""Fetches one small page, over any conversation.

Standards: RFC 9110 3, RFC 9112 2 and 9.6: as HTTP/1.0, so that the page ends with the connection.
Limits: MAX_OCTETS of a page.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from fedaemon.ctl.doctor.dialogue import Broken, Conversation

MAX_OCTETS: Final = 65_536


@dataclass(frozen=True, slots=True)
class Page:
    """An answer; *media_type* is in lower case and without parameters."""

    status: int
    media_type: str
    body: str


def fetch(talk: Conversation, host: str, path: str) -> Page:
    """Return the page *path* of *host*; raises ``Broken``."""
    talk.say(f"GET {path} HTTP/1.0\r\nHost: {host}\r\nUser-Agent: fedaemonctl\r\nConnection: close\r\n")
    words = talk.line().split(" ", 2)
    if len(words) < 2 or not words[0].startswith("HTTP/") or not words[1].isdecimal():
        raise Broken("does not speak HTTP")
    media_type = ""
    while line := talk.line():
        name, _, value = line.partition(":")
        if name.lower() == "content-type":
            media_type = value.partition(";")[0].strip().lower()
    return Page(int(words[1]), media_type, talk.rest(MAX_OCTETS))
