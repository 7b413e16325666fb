"""Records as bytes: one version octet, then a compact JSON object in UTF-8.

JSON, so that a store can be read in an emergency with nothing but LMDB's own tools; the version octet, so
that the encoding can change without guessing.

Invariants: decode(encode(r)) == r for objects of text keys holding text, integers, floats, booleans, None,
lists and objects; text with lone surrogates (bytes of peers decoded with surrogateescape) survives.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from fedaemon.store.errors import NewerFormat, StoreError

VERSION = b"\x01"

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode
_decode = json.JSONDecoder().decode


def encode(record: Mapping[str, Any]) -> bytes:
    """Return *record* as the value to store; raises TypeError or ValueError for what JSON cannot say."""
    return VERSION + _encode(record).encode("utf-8", "surrogatepass")


def decode(value: bytes) -> dict[str, Any]:
    """Return the record in *value*; raises StoreError when damaged, NewerFormat for an unknown version."""
    if value[:1] != VERSION:
        if not value or value[0] == 0:
            raise StoreError(f"a damaged record: {value[:40]!r}; run fedaemonctl verify")
        raise NewerFormat(
            f"a record of version {value[0]}, this fedaemon reads version 1; run the newer fedaemon"
        )
    try:
        record = _decode(value[1:].decode("utf-8", "surrogatepass"))
    except ValueError as error:
        raise StoreError(f"a damaged record: {value[:40]!r}; run fedaemonctl verify") from error
    if type(record) is not dict:
        raise StoreError(f"a damaged record: {value[:40]!r}; run fedaemonctl verify")
    return record
