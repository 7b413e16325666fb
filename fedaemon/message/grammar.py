"""The pieces of grammar that addresses on the wire and addresses in header fields share.

They stand in one place so that the fast paths and the careful parsers cannot come to disagree. All
repetitions are possessive: a pattern either takes a run of octets or fails, it never tries shorter runs, so
matching is linear in the input whatever a peer sends.

Standards: RFC 5321 4.1.2, RFC 5322 3.2.3, RFC 6531 3.3, RFC 6532 3.1, RFC 1123 2.1.
Limits: MAX_LOCAL_OCTETS, MAX_DOMAIN_OCTETS, MAX_LABEL_OCTETS, MAX_PATH_OCTETS.
"""

from __future__ import annotations

import re
from typing import Final

MAX_LOCAL_OCTETS: Final = 64
"""The local part as written, with its quotes (RFC 5321 4.5.3.1.1)."""
MAX_DOMAIN_OCTETS: Final = 253
"""The longest name DNS can hold: the 255 octets of RFC 5321 4.5.3.1.2 count two that text does not show."""
MAX_LABEL_OCTETS: Final = 63
"""One label of a domain (RFC 1035 2.3.4)."""
MAX_PATH_OCTETS: Final = 256
"""A path with its angle brackets and its source route (RFC 5321 4.5.3.1.3)."""

ATEXT: Final = r"A-Za-z0-9!#$%&'*+/=?^_`{|}~\-"
"""Inside a character class: what an atom is made of."""
UTF8_ATEXT: Final = ATEXT + "\x80-\U0010ffff"
"""The same with what RFC 6532 adds; ``UNFIT`` takes away again what must not be in an address."""
DOT_STRING: Final = rf"[{ATEXT}]++(?:\.[{ATEXT}]++)*+"
UTF8_DOT_STRING: Final = rf"[{UTF8_ATEXT}]++(?:\.[{UTF8_ATEXT}]++)*+"

_LABEL = rf"(?!-)[A-Za-z0-9-]{{1,{MAX_LABEL_OCTETS}}}+(?<!-)"
# A name whose last label is all digits would be read as an IPv4 address by some resolvers (RFC 1123 2.1).
DOMAIN: Final = rf"(?:{_LABEL}\.)*+(?![0-9]++(?![A-Za-z0-9-])){_LABEL}"

# Characters that UTF-8 local parts may not have: controls, spaces, line separators, direction overrides and
# other invisible format characters (zero-width joiners stay, Indic and Persian names need them), surrogates,
# private use, tags and noncharacters. They name nobody and serve to make one address look like another.
UNFIT: Final = re.compile(
    "[\x00-\x1f\x7f-\xa0\xad\u061c\u115f\u1160\u1680\u17b4\u17b5\u180b-\u180f\u2000-\u200b\u200e\u200f"
    "\u2028-\u202f\u205f-\u206f\u3000\u3164\ud800-\uf8ff\ufdd0-\ufdef\ufeff\uffa0\ufff0-\uffff"
    "\U000e0000-\U000e0fff\U000f0000-\U0010ffff]"
    "|[\U0001fffe\U0001ffff\U0002fffe\U0002ffff\U0003fffe\U0003ffff]"
)
