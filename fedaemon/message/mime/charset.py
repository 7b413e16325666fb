"""Text of octets in the charset that a part names.

Standards: RFC 2046 4.1.2 (charset parameter).
Invariants: nothing is raised; codecs come from a fixed table, never by the sender's name.
"""

from __future__ import annotations

from fedaemon.message.encoded_word import CHARSETS


def to_text(octets: bytes, charset: str) -> str:
    """Return the text of *octets*; what cannot be read becomes U+FFFD.

    :param charset: its name in any case; an unknown one, and "", are taken for UTF-8.

    Spec: RFC 2046 4.1.2
    """
    codec = CHARSETS.get(charset.lower(), "utf-8")
    if codec == "cp1252" and not octets.isascii():
        try:  # much mail is UTF-8 whatever its label says
            return octets.decode("utf-8")
        except UnicodeDecodeError:
            pass
    return octets.decode(codec, "replace")
