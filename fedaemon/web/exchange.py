"""A request as the pages see it, and an answer as they give it: values, without I/O.

Invariants: a path is decoded once and is text; nothing of a request reaches a header of the answer unless a page
puts it there.
Limits: ``MAX_FIELDS`` fields of a query; the rest are bounded by what ``protocol`` takes of a request.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qsl, unquote
from xml.etree.ElementTree import Element, tostring

from fedaemon.errors import BadSyntax

MAX_FIELDS: Final = 20

TEXT: Final = "text/plain; charset=utf-8"
HTML: Final = "text/html; charset=utf-8"
XML: Final = "text/xml; charset=utf-8"
JSON: Final = "application/json; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Asked:
    """A request.

    *host* is the name from Host without its port, in lower case; *query* has the first value of each field;
    *headers* have lower-case names and the first value of each; *address* is the peer's IP address, "" on the
    status socket; *secure*: it came over TLS, as far as anybody can tell.
    """

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    host: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    address: str = ""
    secure: bool = False

    @property
    def forwarded(self) -> bool:
        """Tell whether another web server passed it on: its address is then not that of whoever asks."""
        return any(name in self.headers for name in ("forwarded", "x-forwarded-for", "x-real-ip", "via"))


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer; *headers* are further ones."""

    status: int
    body: bytes
    media_type: str = TEXT
    headers: Mapping[str, str] = field(default_factory=dict)


def plain(status: int, text: str, **headers: str) -> Answer:
    """Return an answer of one line for people; underscores in the names of headers stand for hyphens."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status, f"{text}\n".encode(), TEXT, named)


def as_json(value: Any, status: int = 200) -> Answer:
    """Return an answer in JSON."""
    return Answer(status, json.dumps(value, ensure_ascii=False).encode() + b"\n", JSON)


def as_octets(root: Element) -> bytes:
    """Return an XML document in UTF-8."""
    octets: bytes = tostring(root, encoding="utf-8", xml_declaration=True)
    return octets


def read_target(target: bytes) -> tuple[str, str, dict[str, str]]:
    """Return authority, path and query of a request's target.

    The authority is "" but in the absolute form, which proxies use; there it takes the place of Host.

    :raises BadSyntax: it is not what a browser would send.

    Spec: RFC 9112 3.2
    """
    before, _, query = target.partition(b"?")
    authority = b""
    scheme, absolute, rest = before.partition(b"://")
    if absolute and scheme.lower() in (b"http", b"https"):
        authority, _, before = rest.partition(b"/")
        before = b"/" + before
    try:
        named = authority.decode("ascii")
        path = unquote(before.decode("ascii"), errors="strict")
        pairs = parse_qsl(
            query.decode("ascii"), keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="strict"
        )
    except ValueError:
        raise BadSyntax("the request's target is not a path and a query in ASCII and UTF-8") from None
    if not path.startswith("/") or "\0" in path:
        raise BadSyntax("the request's target is not a path")
    fields: dict[str, str] = {}
    for name, value in pairs:
        fields.setdefault(name, value)
    return named, path, fields


def read_host(value: str) -> str:
    """Return the name in a Host field, in lower case and without port, "" where there is none."""
    name = value.strip().lower()
    # An address literal in brackets has colons of its own, and is no name of ours.
    return "" if name.startswith("[") else name.partition(":")[0].rstrip(".")
