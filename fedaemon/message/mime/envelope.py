"""The ENVELOPE of a message, as FETCH sends it.

Standards: RFC 9051 7.5.2 (ENVELOPE).
Invariants: only quoted strings, literals, NIL and parentheses; header text as it stands, encoded words and all.
Where the standard is silent, the answers are Dovecot's: several fields of addresses are one list, so that a
second From field cannot hide behind the first; of several other fields the last counts; a Subject, and no other
field, loses the blanks at its end.
"""

from __future__ import annotations

from itertools import islice

from fedaemon.message.mime.addresses import MAX_ADDRESSES, EnvelopeAddress, read_addresses
from fedaemon.message.mime.fields import Fields, last
from fedaemon.message.mime.imap_string import nstring


def addresses_of(fields: Fields, name: bytes) -> list[EnvelopeAddress]:
    """Return the addresses of all fields of that *name* as one list."""
    values = fields.get(name)
    if values is None:
        return []
    if len(values) == 1:
        return read_addresses(values[0])
    every = (address for value in values for address in read_addresses(value))
    return list(islice(every, MAX_ADDRESSES))


def write_envelope(fields: Fields) -> bytes:
    """Return the parenthesised ENVELOPE.

    Spec: RFC 9051 7.5.2
    """
    subject = last(fields, b"subject")
    sender_from = _write_addresses(addresses_of(fields, b"from"))
    sender = _write_addresses(addresses_of(fields, b"sender"))
    reply_to = _write_addresses(addresses_of(fields, b"reply-to"))
    return b"(%b %b %b %b %b %b %b %b %b %b)" % (
        nstring(last(fields, b"date")),
        nstring(None if subject is None else subject.rstrip(b" \t")),
        sender_from,
        sender_from if sender == b"NIL" else sender,
        sender_from if reply_to == b"NIL" else reply_to,
        _write_addresses(addresses_of(fields, b"to")),
        _write_addresses(addresses_of(fields, b"cc")),
        _write_addresses(addresses_of(fields, b"bcc")),
        nstring(last(fields, b"in-reply-to")),
        nstring(last(fields, b"message-id")),
    )


def _write_addresses(addresses: list[EnvelopeAddress]) -> bytes:
    if not addresses:
        return b"NIL"
    return b"(%b)" % b"".join(
        [
            b"(%b %b %b %b)" % (nstring(name), nstring(route), nstring(mailbox), nstring(domain))
            for name, route, mailbox, domain in addresses
        ]
    )
