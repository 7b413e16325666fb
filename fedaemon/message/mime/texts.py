"""What SEARCH, SORT and THREAD compare: decoded and case-folded once, when the message is stored.

Standards: RFC 9051 6.4.4 (SEARCH), RFC 5256 2.1, 2.2 (base subject, sent date), 3 (SORT), RFC 5957 3 (display
names), RFC 5322 3.6.4 (message identifiers).
Invariants: nothing is raised; texts have no control characters.
Limits: MAX_REFERENCES.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from fedaemon.message.date import parse_zoned_date
from fedaemon.message.encoded_word import decode
from fedaemon.message.mime.charset import folded
from fedaemon.message.mime.envelope import addresses_of
from fedaemon.message.mime.fields import Fields, last
from fedaemon.message.mime.subject import base_subject

MAX_REFERENCES: Final = 200
"""Message identifiers of one field: the nearest ancestors, which stand last."""

_ID = re.compile(rb"<[ ]*+([^<> ]++)[ ]*+>").findall


@dataclass(frozen=True, slots=True)
class Texts:
    """The header as it is compared. All but identifiers are decoded (RFC 2047) and case-folded.

    :ivar addresses_from: all From fields as text; *addresses_to*, *addresses_cc*, *addresses_bcc* likewise.
    :ivar is_reply: whether the subject shows a reply or forwarded message.
    :ivar sent_s: the Date in seconds since the epoch, or None when it cannot be used.
    :ivar zone_min: minutes east of UTC in which the Date is written; 0 without a usable one.
    :ivar sort_from: the first address's mailbox; *display_from* its name, or else its address.
    :ivar message_id: the identifier without angle brackets, or "".
    :ivar in_reply_to: the identifiers of In-Reply-To; *references* those of References, oldest first.
    """

    subject: str
    addresses_from: str
    addresses_to: str
    addresses_cc: str
    addresses_bcc: str
    base_subject: str
    is_reply: bool
    sent_s: int | None
    zone_min: int
    sort_from: str
    sort_to: str
    sort_cc: str
    display_from: str
    display_to: str
    message_id: str
    in_reply_to: tuple[str, ...]
    references: tuple[str, ...]

    @property
    def threading(self) -> str:
        """What THREAD needs in one text, separated by spaces: whether it is a reply (1 or 0), the message's
        identifier or "-", and those of its ancestors, oldest first: References, else the first of In-Reply-To.

        Spec: RFC 5256 3 (REFERENCES)
        """
        ancestors = self.references or self.in_reply_to[:1]
        return " ".join(("1" if self.is_reply else "0", self.message_id or "-", *ancestors))


def read_texts(fields: Fields) -> Texts:
    """Return what is compared of a message with these *fields*.

    Spec: RFC 5256 2, 3, RFC 5957 3
    """
    subject = _folded(last(fields, b"subject") or b"")
    base, is_reply = base_subject(subject)
    sort_from, display_from = _sort_keys(fields, b"from")
    sort_to, display_to = _sort_keys(fields, b"to")
    sent = parse_zoned_date((last(fields, b"date") or b"").strip(b" \t"))
    return Texts(
        subject=subject,
        addresses_from=_joined(fields, b"from"),
        addresses_to=_joined(fields, b"to"),
        addresses_cc=_joined(fields, b"cc"),
        addresses_bcc=_joined(fields, b"bcc"),
        base_subject=base,
        is_reply=is_reply,
        sent_s=None if sent is None else int(sent[0]),
        zone_min=0 if sent is None else sent[1],
        sort_from=sort_from,
        sort_to=sort_to,
        sort_cc=_sort_keys(fields, b"cc")[0],
        display_from=display_from,
        display_to=display_to,
        message_id=next(iter(_ids(last(fields, b"message-id"))), ""),
        in_reply_to=_ids(last(fields, b"in-reply-to")),
        references=_ids(b" ".join(fields.get(b"references", ()))),
    )


def _folded(value: bytes) -> str:
    return folded(decode(value.strip(b" \t")))


def _joined(fields: Fields, name: bytes) -> str:
    values = fields.get(name)
    return _folded(b", ".join(values)) if values else ""


def _sort_keys(fields: Fields, name: bytes) -> tuple[str, str]:
    """Return mailbox and display text of the first address; of a group both are its name."""
    addresses = addresses_of(fields, name)
    if not addresses:
        return "", ""
    shown, _, mailbox, domain = addresses[0]
    local = _folded(mailbox or b"")
    if shown:
        return local, _folded(shown)
    return local, local if domain is None else f"{local}@{_folded(domain)}"


def _ids(value: bytes | None) -> tuple[str, ...]:
    if value is None:
        return ()
    return tuple([identifier.decode("utf-8", "replace") for identifier in _ID(value)[-MAX_REFERENCES:]])
