"""Text of octets in the charset that a part names, and the form of text in which it is searched.

Standards: RFC 2046 4.1.2 (charset parameter), RFC 5051 2 (letters that are the same).
Invariants: nothing is raised; codecs come from a fixed table, never by the sender's name.
"""

from __future__ import annotations

from unicodedata import normalize

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


def folded(text: str) -> str:
    """Return *text* as it is searched: without case, a letter and its accent one sign however they came.

    Apple's programs send them as two, and a space in French is often one that does not break.

    Spec: RFC 5051 2, RFC 9051 6.4.4
    """
    if text.isascii():
        return text.lower()
    return normalize("NFKC", normalize("NFKC", text).casefold())
