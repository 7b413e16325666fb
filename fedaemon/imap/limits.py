"""How much an IMAP client may send before it is refused.

Standards: RFC 7162 4 (lines of 8,192 octets), RFC 7888 5 (literals that do not wait).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

MAX_SIZE: Final = 2**63 - 1
"""number64 of RFC 9051 9."""
LITERAL_COST: Final = 64
"""What a kept literal counts beside its octets, so that many empty ones do not cost memory that nobody counts."""


@dataclass(frozen=True, slots=True)
class ReaderLimits:
    """How much a client may send.

    :param line_octets: one line with its CR LF.
    :param command_octets: all lines and kept literals of a command; contents of messages do not count.
    :param literal_octets: one literal that is kept.
    :param direct_octets: one literal that does not wait (RFC 7888 5 says 4096 where LITERAL- is announced).
    :param skipped_octets: what is passed over of one refused command before the client is given up.
    :param messages: whether contents of messages are handed up; otherwise their literals are like others.
    """

    line_octets: int
    command_octets: int
    literal_octets: int
    direct_octets: int
    skipped_octets: int
    messages: bool


BEFORE_LOGIN: Final = ReaderLimits(8_192, 16_384, 4_096, 4_096, 65_536, messages=False)
"""A client that has not logged in sends names, passwords and SASL messages."""
AFTER_LOGIN: Final = ReaderLimits(65_536, 262_144, 65_536, 2**27, 2**28, messages=True)
"""RFC 9051 7.1 has no number; RFC 7162 4 asks for lines of 8,192 octets, long UID sets take more."""
