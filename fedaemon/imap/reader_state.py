"""Where the command reader stands.

How it works::

    LINE ──CR LF, no literal──────────────▶ Command or CommandEnd ──▶ LINE
     │  ╲─{n} of an argument, Continuation─▶ KEPT ──n octets──▶ LINE
     │  ╲─{n} of a message──▶ ASKING ──accept──▶ STREAM ──n octets, LiteralEnd──▶ LINE
     │                              ╲─refuse─▶ SKIP
     ╰─fault─▶ SKIP ──end of the refused command──▶ Refusal or Skipped ──▶ LINE

ASKING waits for the caller. RAW reads one line as it is, and goes back to LINE. Nothing leaves DEAD: the client
can not be understood any more.
"""

from __future__ import annotations

from enum import Enum, auto


class State(Enum):
    """What the next octets are."""

    LINE = auto()
    KEPT = auto()
    ASKING = auto()
    STREAM = auto()
    SKIP = auto()
    RAW = auto()
    DEAD = auto()
