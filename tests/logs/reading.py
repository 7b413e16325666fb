"""What observers write, read as programs read it."""

from __future__ import annotations

import json
import re
import struct

PAIR = re.compile(r' ([a-z_]+)=("(?:[^"\\]|\\.)*"|[^ "=\\]*)')


def fields(line: str) -> dict[str, str]:
    """Return what stands in a line without sentence; fail when something is left over."""
    event, _, rest = line.partition(" ")
    matches = list(PAIR.finditer(" " + rest))
    assert "".join(match[0] for match in matches) == " " + rest
    names = [match[1] for match in matches]
    assert len(set(names)) == len(names)
    values = {match[1]: json.loads(match[2]) if match[2].startswith('"') else match[2] for match in matches}
    return {"event": event, **values}


def read_datagram(octets: bytes) -> dict[str, str]:
    """Return the fields of a datagram, as the journal reads it."""
    found: dict[str, str] = {}
    while octets:
        first, _, rest = octets.partition(b"\n")
        name, equals, value = first.partition(b"=")
        if equals:
            octets = rest
        else:
            (size,) = struct.unpack("<Q", rest[:8])
            value, octets = rest[8 : 8 + size], rest[8 + size + 1 :]
        assert name.decode() not in found
        found[name.decode()] = value.decode()
    return found
