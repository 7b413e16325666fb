"""The commands about the session: LOGIN, AUTHENTICATE, ID, ENABLE, COMPRESS, and those without arguments.

Standards: RFC 9051 6.1, 6.2, 6.3.1, 6.3.13, RFC 2971 3 (ID), RFC 4959 3 (SASL-IR), RFC 4978 3 (COMPRESS), RFC 5161
3.1 (ENABLE), RFC 8437 2 (UNAUTHENTICATE).
Limits: RFC 2971 3.3: 30 fields, names of 30 octets, values of 1024.
"""

from __future__ import annotations

from binascii import Error, a2b_base64
from dataclasses import dataclass, field
from typing import Final

from fedaemon.errors import BadSyntax
from fedaemon.imap.parse.cursor import Cursor

MAX_ID_FIELDS: Final = 30
MAX_ID_NAME_OCTETS: Final = 30
MAX_ID_VALUE_OCTETS: Final = 1024


@dataclass(frozen=True, slots=True)
class NoArguments:
    """A command that is its name."""


@dataclass(frozen=True, slots=True)
class Login:
    """LOGIN."""

    user: bytes
    password: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Authenticate:
    """AUTHENTICATE; *initial* is decoded, None when the client did not send one."""

    mechanism: str
    initial: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Id:
    """ID: what the client says of itself; names as sent."""

    fields: tuple[tuple[bytes, bytes | None], ...]


@dataclass(frozen=True, slots=True)
class Enable:
    """ENABLE: names in upper case, unknown ones too."""

    capabilities: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Compress:
    """COMPRESS."""

    algorithm: bytes


def no_arguments(cursor: Cursor) -> NoArguments:
    """Refuse arguments.

    Spec: RFC 9051 6.1
    """
    cursor.end()
    return NoArguments()


def login(cursor: Cursor) -> Login:
    """Read the arguments of LOGIN.

    Spec: RFC 9051 6.2.3
    """
    cursor.space()
    user = cursor.astring()
    cursor.space()
    password = cursor.astring()
    cursor.end()
    return Login(user, password)


def authenticate(cursor: Cursor) -> Authenticate:
    """Read the arguments of AUTHENTICATE; "=" is an empty initial response.

    Spec: RFC 9051 6.2.2, RFC 4959 3
    """
    cursor.space()
    mechanism = cursor.atom("a mechanism").upper().decode("ascii")
    initial: bytes | None = None
    if cursor.skip(b" "):
        initial = b"" if cursor.skip(b"=") else read_base64(cursor.atom("base64"))
    cursor.end()
    return Authenticate(mechanism, initial)


def read_base64(line: bytes) -> bytes:
    """Return the octets of an answer to a challenge.

    :raises BadSyntax: for what is not base64 with its padding.

    Spec: RFC 4648 4, RFC 9051 6.2.2
    """
    try:
        return a2b_base64(line, strict_mode=True)
    except Error:
        raise BadSyntax("that is not base64") from None


def id_(cursor: Cursor) -> Id:
    """Read the arguments of ID.

    Spec: RFC 2971 3.1, 3.3
    """
    cursor.space()
    if cursor.skip_word(b"NIL"):
        cursor.end()
        return Id(())
    fields = cursor.items(lambda: _id_field(cursor), empty=True)
    cursor.end()
    if len(fields) > MAX_ID_FIELDS:
        cursor.fail(f"at most {MAX_ID_FIELDS} fields")
    return Id(fields)


def _id_field(cursor: Cursor) -> tuple[bytes, bytes | None]:
    name = cursor.string()
    cursor.space()
    value = cursor.nstring()
    if len(name) > MAX_ID_NAME_OCTETS or len(value or b"") > MAX_ID_VALUE_OCTETS:
        cursor.fail("a shorter field")
    return name, value


def enable(cursor: Cursor) -> Enable:
    """Read the arguments of ENABLE.

    Spec: RFC 5161 3.1
    """
    names: list[bytes] = []
    while not names or not cursor.at_end():
        cursor.space()
        names.append(cursor.atom("a capability").upper())
    return Enable(tuple(dict.fromkeys(names)))


def compress(cursor: Cursor) -> Compress:
    """Read the arguments of COMPRESS.

    Spec: RFC 4978 3
    """
    cursor.space()
    algorithm = cursor.atom("an algorithm").upper()
    cursor.end()
    return Compress(algorithm)
