"""The header work of submission and reception: what changes, and that nothing else does.

Standards: RFC 6409 8, RFC 5321 4.4, RFC 3848.
"""

from __future__ import annotations

import pytest

from fedaemon.errors import Refused
from fedaemon.message.address import parse_address
from fedaemon.message.header import Header
from fedaemon.submission.envelope import Envelope, EnvelopeRecipient, Peer
from fedaemon.submission.headerwork import Trace, address_literal, check_loop, complete, stamp

TRACE = Trace("mail.example.test", "QUEUEID", 1_700_000_000.0, show_client=False)
PEER = Peer("192.0.2.7", helo="laptop.example", extended=True, tls="TLSv1.3 TLS_AES_256_GCM_SHA384")
GOOD = b"Date: Mon, 23 Nov 2026 10:00:00 +0000\r\nMessage-ID: <1@example.test>\r\n"


def envelope(*recipients: str) -> Envelope:
    """Return an envelope from alice."""
    made = Envelope(parse_address("alice@example.test"))
    for recipient in recipients:
        made.add(EnvelopeRecipient(parse_address(recipient)))
    return made


def completed(header: bytes, made: Envelope | None = None, trace: Trace = TRACE) -> tuple[bytes, bytes]:
    """Return (our Received field, the rest) of *header* after the work of submission."""
    parsed = Header.parse(header, max_octets=100_000, max_fields=1000)
    done = complete(parsed, trace, PEER, made or envelope("bob@example.test"), "example.test").octets
    fields = Header.parse(done, max_octets=100_000, max_fields=1000).fields
    return fields[0].raw, b"".join(field.raw for field in fields[1:])


def test_what_is_good_stays_octet_for_octet() -> None:
    """Order, case, folding and odd spacing of every field survive; only Received is new."""
    header = (
        b"FROM:alice@example.test\r\n" + GOOD + b"X-Odd:  two  spaces\r\n\tfolded\r\nSubject: \xc3\xbc\r\n"
    )
    _, rest = completed(header)
    assert rest == header


def test_bcc_and_return_path_are_removed() -> None:
    """Who was copied in secret stays secret, and only the last server writes Return-Path."""
    secret = b"Bcc: spy@example.test,\r\n more@example.test\r\nReturn-Path: <x@y>\r\n"
    secret += b"Resent-Bcc: z@example.test\r\n"
    _, rest = completed(GOOD + secret + b"To: bob@example.test\r\n")
    assert rest == GOOD + b"To: bob@example.test\r\n"


@pytest.mark.parametrize("date", [b"", b"Date: yesterday\r\n", b"Date: Thu, 01 Jan 1970 00:00:00 +0000\r\n"])
def test_an_unusable_date_is_replaced(date: bytes) -> None:
    """A missing, unreadable or absurd Date becomes the time of acceptance."""
    _, rest = completed(date + b"Message-ID: <1@example.test>\r\n")
    assert b"Date: Tue, 14 Nov 2023 22:13:20 +0000\r\n" in rest
    assert rest.count(b"Date:") == 1


@pytest.mark.parametrize(
    "message_id", [b"", b"Message-ID: none\r\n", b"Message-ID: <a@b>\r\nMessage-Id: <c@d>\r\n"]
)
def test_an_unusable_message_id_is_replaced(message_id: bytes) -> None:
    """A missing, malformed or doubled Message-ID becomes a single new one in the author's domain."""
    _, rest = completed(b"Date: Mon, 23 Nov 2026 10:00:00 +0000\r\n" + message_id)
    assert rest.lower().count(b"message-id:") == 1
    assert rest.rstrip().endswith(b"@example.test>")


def test_received_tells_how_it_came_and_hides_from_where() -> None:
    """Protocol, TLS and queue id are there; name and address of the user's machine are not."""
    received, _ = completed(GOOD)
    assert received.startswith(b"Received: from client ")
    for part in (b"ESMTPS", b"TLSv1.3", b"TLS_AES_256_GCM_SHA384", b"QUEUEID", b"<bob@example.test>"):
        assert part in received
    assert b"192.0.2.7" not in received
    assert b"laptop" not in received


def test_received_shows_the_client_when_set() -> None:
    """With show_client the name and the address literal are written."""
    received, _ = completed(GOOD, trace=Trace("mail.example.test", "QUEUEID", 0.0, show_client=True))
    assert b"laptop.example" in received
    assert b"[192.0.2.7]" in received
    assert address_literal("2001:db8::1") == "[IPv6:2001:db8::1]"


def test_several_recipients_are_not_told_of_each_other() -> None:
    """With more than one recipient Received names none of them."""
    received, _ = completed(GOOD, envelope("bob@example.test", "carol@example.test"))
    assert b"bob" not in received
    assert b"carol" not in received


def test_a_loop_ends() -> None:
    """One Received field more than the limit is refused with 554 5.4.6, in both directions."""
    check_loop(100, 100)
    with pytest.raises(Refused) as refused:
        check_loop(101, 100)
    assert (refused.value.code, refused.value.status) == (554, "5.4.6")
    header = b"received: x\r\nReceived : y\r\nRECEIVED: z\r\n"
    with pytest.raises(Refused):
        stamp(header, TRACE, PEER, envelope("bob@example.test"), max_received=2)


def test_reception_keeps_even_a_malformed_header() -> None:
    """Mail from outside gets Received in front and loses Return-Path; nothing else is touched."""
    header = b"no field at all\r\nReturn-Path: <a@b>,\r\n folded\r\nFrom: x\r\n: empty\r\n"
    done = stamp(header, TRACE, PEER, envelope("bob@example.test"), max_received=100)
    assert done.endswith(b"\r\nno field at all\r\nFrom: x\r\n: empty\r\n")
    assert done.startswith(b"Received: ")
