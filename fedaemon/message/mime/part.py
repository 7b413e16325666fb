"""One section of a message: where it lies and what it is.

Standards: RFC 9051 6.4.5.1 (part numbers).
Invariants: offsets count octets from the beginning of the message as it was scanned; a part lies within it.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Part:
    """One section of a message; offsets are octets from the message's beginning.

    :ivar section: its number, such as (1, 2); () is the whole message.
    :ivar header_at: where its MIME header begins, *header_octets* long with the empty line.
    :ivar body_at: where its body begins, *body_octets* long with *lines* LFs in it.
    :ivar message_header_octets: for the message and each message/rfc822 the length of the message's own header; of
        the whole message it begins at *header_at*, of an enclosed one at *body_at*. None for other parts.
    :ivar main_type: type, *subtype*, *charset* ("" when none is given) and *encoding* are in lower case.
    """

    section: tuple[int, ...]
    header_at: int
    header_octets: int
    body_at: int
    body_octets: int
    lines: int
    message_header_octets: int | None
    main_type: str
    subtype: str
    charset: str
    encoding: str
