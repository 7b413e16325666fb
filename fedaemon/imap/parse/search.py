"""SEARCH, SORT and THREAD: the arguments around the keys.

Standards: RFC 9051 6.4.4, RFC 4731 3.1 (ESEARCH), RFC 5182 2.1 (SAVE), RFC 9394 3.1 (PARTIAL), RFC 5256 3 (SORT,
THREAD), RFC 5267 3 (ESORT), RFC 5957 3 (DISPLAYFROM, DISPLAYTO).
Limits: those of the cursor; MAX_SORT_KEYS.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

from fedaemon.imap.parse import values
from fedaemon.imap.parse.cursor import Cursor
from fedaemon.imap.parse.errors import Unsupported
from fedaemon.imap.parse.search_keys import Key, read_keys

MAX_SORT_KEYS: Final = 20
"""There are nine."""


class Result(Enum):
    """What SEARCH is to return."""

    MIN = b"MIN"
    MAX = b"MAX"
    ALL = b"ALL"
    COUNT = b"COUNT"
    SAVE = b"SAVE"


_RESULTS: Final = {result.value: result for result in Result}


@dataclass(frozen=True, slots=True)
class Return:
    """RETURN (...). *partial* is the range of PARTIAL."""

    results: frozenset[Result]
    partial: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Search:
    """SEARCH or UID SEARCH; *returns* is None when the client did not say RETURN."""

    key: Key
    returns: Return | None = None


class SortField(Enum):
    """What messages are ordered by."""

    ARRIVAL = b"ARRIVAL"
    CC = b"CC"
    DATE = b"DATE"
    DISPLAYFROM = b"DISPLAYFROM"
    DISPLAYTO = b"DISPLAYTO"
    FROM = b"FROM"
    SIZE = b"SIZE"
    SUBJECT = b"SUBJECT"
    TO = b"TO"


_SORT_FIELDS: Final = {field.value: field for field in SortField}


@dataclass(frozen=True, slots=True)
class Sort:
    """SORT or UID SORT; each of *order* is a field and whether it is reversed."""

    order: tuple[tuple[SortField, bool], ...]
    key: Key
    returns: Return | None = None


class ThreadAlgorithm(Enum):
    """How threads are made."""

    ORDEREDSUBJECT = b"ORDEREDSUBJECT"
    REFERENCES = b"REFERENCES"


_ALGORITHMS: Final = {algorithm.value: algorithm for algorithm in ThreadAlgorithm}


@dataclass(frozen=True, slots=True)
class Thread:
    """THREAD or UID THREAD."""

    algorithm: ThreadAlgorithm
    key: Key


def search(cursor: Cursor) -> Search:
    """Read the arguments of SEARCH.

    Spec: RFC 9051 6.4.4, RFC 4466 2.6.1
    """
    cursor.space()
    returns = _returns(cursor)
    if cursor.skip_word(b"CHARSET"):
        cursor.space()
        _charset(cursor)
        cursor.space()
    return Search(_keys(cursor), returns)


def sort(cursor: Cursor) -> Sort:
    """Read the arguments of SORT.

    Spec: RFC 5256 3, RFC 5267 3.1
    """
    cursor.space()
    returns = _returns(cursor)
    order = cursor.items(lambda: _sort_key(cursor))
    if len(order) > MAX_SORT_KEYS:
        cursor.fail(f"at most {MAX_SORT_KEYS} sort keys")
    cursor.space()
    _charset(cursor)
    cursor.space()
    return Sort(order, _keys(cursor), returns)


def thread(cursor: Cursor) -> Thread:
    """Read the arguments of THREAD.

    Spec: RFC 5256 3
    """
    cursor.space()
    algorithm = cursor.choice(_ALGORITHMS, "ORDEREDSUBJECT or REFERENCES")
    cursor.space()
    _charset(cursor)
    cursor.space()
    return Thread(algorithm, _keys(cursor))


def _keys(cursor: Cursor) -> Key:
    key = read_keys(cursor)
    cursor.end()
    return key


def _charset(cursor: Cursor) -> None:
    """Take a character set; both that exist here are read as UTF-8.

    Spec: RFC 9051 6.4.4 (BADCHARSET)
    """
    name = cursor.astring().upper()
    if name not in (b"UTF-8", b"US-ASCII"):
        raise Unsupported("Only UTF-8 and US-ASCII", b"BADCHARSET (US-ASCII UTF-8)")


def _returns(cursor: Cursor) -> Return | None:
    """Take RETURN (...) and its space; an empty list asks for ALL.

    Spec: RFC 4731 3.1, RFC 9394 3.1
    """
    if not cursor.skip_word(b"RETURN"):
        return None
    cursor.space()
    found = cursor.items(lambda: _return_option(cursor), empty=True)
    partials = [option for option in found if isinstance(option, tuple)]
    results = frozenset([option for option in found if isinstance(option, Result)])
    if len(partials) > 1 or (partials and Result.ALL in results):
        cursor.fail("either ALL or one PARTIAL")
    cursor.space()
    if not found:
        results = frozenset((Result.ALL,))
    return Return(results, partials[0] if partials else None)


def _return_option(cursor: Cursor) -> Result | tuple[int, int]:
    if cursor.skip_word(b"PARTIAL"):
        cursor.space()
        return values.partial_range(cursor)
    return cursor.choice(_RESULTS, "MIN, MAX, ALL, COUNT, SAVE or PARTIAL")


def _sort_key(cursor: Cursor) -> tuple[SortField, bool]:
    reverse = cursor.skip_word(b"REVERSE")
    if reverse:
        cursor.space()
    return cursor.choice(_SORT_FIELDS, "a sort key"), reverse
