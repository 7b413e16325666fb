"""The characters of words, as classes for regular expressions.

Standards: RFC 9051 9 (ATOM-CHAR, ASTRING-CHAR, tag, list-char, flag-keyword).
"""

from __future__ import annotations

from typing import Final

ATOM: Final = rb"[!#$&'+,\-./0-9:;<=>?@A-Z\[^_`a-z|}~]"
"""Of atoms, and so of keywords."""
ASTRING: Final = rb"[!#$&'+,\-./0-9:;<=>?@A-Z\[\]^_`a-z|}~]"
LIST_MAILBOX: Final = rb"[!#$%&'*+,\-./0-9:;<=>?@A-Z\[\]^_`a-z|}~]"
"""Of patterns of LIST."""
TAG: Final = rb"[!#$&',\-./0-9:;<=>?@A-Z\[\]^_`a-z|}~]"
"""Of tags: those of astrings but "+"."""
