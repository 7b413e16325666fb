"""DKIM-Signature fields, verified by dkimpy; and the attacks that they must not survive."""

from __future__ import annotations

import base64
import hashlib
import re
import time

import pytest

from fedaemon.errors import BadSyntax
from fedaemon.mailauth import keys
from fedaemon.mailauth.keys import SIGNATURE_LIFETIME_S, DkimKey
from fedaemon.mailauth.private_key import Algorithm, from_file
from fedaemon.mailauth.signature import MAX_LISTED, hash_body, open_message, write_signatures
from fedaemon.message.header import FOLD_OCTETS
from fedaemon.store.content import MemoryContent
from tests.mailauth.messages import DOMAIN, HEADER, MESSAGE, Zone, a_key, verdicts

BOTH: tuple[Algorithm, ...] = ("rsa", "ed25519")


def key_of(algorithm: Algorithm, domain: str = DOMAIN) -> DkimKey:
    return keys.make(domain, algorithm[0], a_key(algorithm), 0)


def signed(message: bytes, *algorithms: Algorithm, domain: str = DOMAIN) -> bytes:
    content = MemoryContent(message)
    opened = open_message(content)
    pairs = [(key_of(algorithm, domain), a_key(algorithm)) for algorithm in algorithms]
    return write_signatures(opened, hash_body(content, opened.body_at), pairs, time.time()) + message


def zone(*algorithms: Algorithm, domain: str = DOMAIN) -> Zone:
    return Zone(*(key_of(algorithm, domain) for algorithm in algorithms))


@pytest.mark.parametrize("algorithms", [("rsa",), ("ed25519",), BOTH])
def test_it_verifies(algorithms: tuple[Algorithm, ...]) -> None:
    """One signature for each key, and each stands by itself. Spec: RFC 6376 6.1, RFC 8463 3"""
    assert verdicts(signed(MESSAGE, *algorithms), zone(*algorithms)) == [True] * len(algorithms)


@pytest.mark.parametrize("algorithm", BOTH)
def test_another_key_does_not_verify(algorithm: Algorithm) -> None:
    """The verifier of these tests can say no."""
    other = keys.make(DOMAIN, algorithm[0], a_key(algorithm, 1), 0)
    assert verdicts(signed(MESSAGE, algorithm), Zone(other)) == [False]


@pytest.mark.parametrize(
    "message",
    [
        HEADER,
        HEADER + b"\r\n",
        HEADER + b"\r\n\r\n\r\n",
        HEADER + b"\r\nwithout line end",
        HEADER + b"\r\ntrailing \t \r\n\r\n \r\n\r\n",
        HEADER + b"\r\n" + "Grüße – 你好\r\n".encode() + b"\xff\xfe octets\r\n",
        HEADER + "X-Utf8: ü\r\nReply-To: Jörg <jörg@bücher.example>\r\n".encode() + b"\r\nbody\r\n",
        HEADER + b"References: <a@b>\r\n\t<c@d>\r\n  \t <e@f>  \r\n\r\nbody\r\n",
        b"SUBJECT : obsolete space\r\nfrom:ann@example.org\r\n\r\nbody\r\n",
        HEADER + b"To: second@example.net\r\nList-Unsubscribe: <https://x.example/>\r\n"
        b"List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n\r\nbody\r\n",
        HEADER + b"Sender:\r\nCc: \r\nDKIM-Signature: v=1; a=old\r\n\r\nbody\r\n",
    ],
    ids=lambda message: ascii(message[-30:]),
)
def test_all_kinds_of_messages(message: bytes) -> None:
    """Without a body, with lines at the end, 8-bit and SMTPUTF8, folded, repeated and empty fields."""
    whole = signed(message, *BOTH)
    if not message.startswith(b"SUBJECT :"):  # dkimpy reads no white space before a colon
        assert verdicts(whole, zone(*BOTH))[:2] == [True, True]
    # What DATA transfers ends in CRLF, and white space at line ends comes and goes.
    again = whole.replace(b" \r\n", b"\r\n") + (b"" if whole.endswith(b"\r\n") else b"\r\n")
    again = again.replace(b"SUBJECT :", b"Subject:")
    assert verdicts(again, zone(*BOTH))[:2] == [True, True]


def test_author_in_another_script() -> None:
    """The domain of an SMTPUTF8 author is signed for in its ASCII form. Spec: RFC 6376 3.5"""
    domain = "xn--bcher-kva.example"
    message = "From: Jörg <jörg@bücher.example>\r\nSubject: ü\r\n\r\nü\r\n".encode()
    assert open_message(MemoryContent(message)).domain == domain
    assert verdicts(signed(message, *BOTH, domain=domain), zone(*BOTH, domain=domain)) == [True, True]


FORGERIES = [
    b"From: Boss <boss@example.org>\r\n",
    b"Subject: pay at once\r\n",
    b"Reply-To: thief@example.com\r\n",
    b"Content-Type: multipart/mixed; boundary=x\r\n",
    b"Content-Transfer-Encoding: base64\r\n",
    b"MIME-Version: 1.0\r\n",
    b"To: everybody@example.net\r\n",
    b"Cc: everybody@example.net\r\n",
    b"Date: Mon, 24 Nov 2036 16:00:00 +0000\r\n",
    b"Message-ID: <2@example.org>\r\n",
    b"References: <x@y>\r\n",
    b"In-Reply-To: <x@y>\r\n",
]


@pytest.mark.parametrize("forgery", FORGERIES, ids=lambda forgery: forgery.split(b":")[0].decode())
def test_nothing_can_be_added(forgery: bytes) -> None:
    """A second From, another Subject, a Reply-To that was not there: before or after the fields signed, the
    signatures fail. Spec: RFC 6376 5.4.2, 8.15"""
    whole = signed(MESSAGE, *BOTH)
    above = whole.replace(b"Received:", forgery + b"Received:")
    below = whole.replace(b"\r\n\r\nHello", b"\r\n" + forgery + b"\r\nHello")
    assert len(above) == len(below) == len(whole) + len(forgery)
    assert verdicts(above, zone(*BOTH)) == verdicts(below, zone(*BOTH)) == [False, False]


def test_nothing_can_be_changed_or_appended() -> None:
    """The body is signed to its end: there is no l=. Spec: RFC 6376 8.2"""
    whole = signed(MESSAGE, *BOTH)
    for changed in (whole + b"more\r\n", whole.replace(b"Hello", b"Hullo"), whole.replace(b"Ann", b"Eve")):
        assert verdicts(changed, zone(*BOTH)) == [False, False]


def test_what_servers_and_lists_add_is_allowed() -> None:
    """Trace fields, and the Sender and List-* of a list that leaves the rest alone."""
    added = b"Received: from a by b; now\r\nSender: list@example.net\r\nList-Id: <l.example.net>\r\n"
    assert verdicts(added + signed(MESSAGE, *BOTH), zone(*BOTH)) == [True, True]


def test_list_fields_of_the_author_cannot_be_doubled() -> None:
    """One-click unsubscription is acted upon when it is signed. Spec: RFC 8058 4"""
    message = HEADER + b"List-Unsubscribe: <https://a.example/>\r\n\r\nbody\r\n"
    whole = signed(message, "rsa")
    assert verdicts(whole, zone("rsa")) == [True]
    forged = whole.replace(b"Received:", b"List-Unsubscribe: <https://thief.example/>\r\nReceived:")
    assert verdicts(forged, zone("rsa")) == [False]


def test_the_field_as_written() -> None:
    """Relaxed twice, life time, no l=, each name once more than present, lines of 78 octets."""
    field = signed(MESSAGE, "rsa").removesuffix(MESSAGE)
    assert field.startswith(b"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.org; s=r;\r\n")
    assert field.endswith(b"\r\n")
    lines = field[:-2].split(b"\r\n")
    assert all(line.startswith(b" ") for line in lines[1:])
    assert max(map(len, lines)) <= FOLD_OCTETS
    tags = dict(
        tag.strip().split(b"=", 1) for tag in field.replace(b"\r\n", b"").split(b": ", 1)[1].split(b"; ")
    )
    assert b"l" not in tags
    assert int(tags[b"x"]) - int(tags[b"t"]) == SIGNATURE_LIFETIME_S
    names = re.sub(rb"\s", b"", tags[b"h"]).split(b":")
    assert names.count(b"from") == names.count(b"subject") == names.count(b"to") == 2
    assert names.count(b"cc") == names.count(b"reply-to") == names.count(b"content-type") == 1
    assert not {b"received", b"sender", b"list-id"} & set(names)


def test_a_very_long_domain() -> None:
    """A domain that no line of 78 octets holds is not cut."""
    domain = ".".join(["a" * 60] * 3 + ["example"])
    message = MESSAGE.replace(b"ann@example.org", b"ann@" + domain.encode())
    assert verdicts(signed(message, *BOTH, domain=domain), zone(*BOTH, domain=domain)) == [True, True]


@pytest.mark.parametrize(
    ("header", "problem"),
    [
        (b"", "0 From"),
        (b"Subject: x\r\n", "0 From"),
        (b"From: a@example.org\r\nFrom: b@example.org\r\n", "2 From"),
        (b"From: a@example.org, b@example.org\r\n", "2 addresses"),
        (b"From: undisclosed:;\r\n", "0 addresses"),
        (b"From: not an address\r\n", "not a list"),
        (b"From: a@example.org\r\nno field\r\n", "neither a field"),
        (b"From: a@example.org\r\nSubject: bare \n LF\r\n", "CRLF"),
        (b"From: a@example.org\r\nSubject: form feed\x0c\r\n", "form feed"),
        (b"From: a@example.org\r\n" + b"To: x@y.example\r\n" * MAX_LISTED, "to sign"),
        (b"From: a@example.org\r\nX: " + b"x" * (1 << 20) + b"\r\n", "longer"),
    ],
    ids=lambda value: ascii(value)[:40],
)
def test_what_cannot_be_signed(header: bytes, problem: str) -> None:
    """No author, several, or a header that programs may read differently."""
    with pytest.raises(BadSyntax, match=problem):
        open_message(MemoryContent(header + b"\r\nbody\r\n"))


def test_the_example_of_rfc_8463() -> None:
    """The Ed25519 signature is octet for octet the one that the standard gives. Spec: RFC 8463 A"""
    private = from_file(b"nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=\n")
    assert base64.b64encode(private.public()) == b"11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
    body = b"Hi.\r\n\r\nWe lost the game.  Are you hungry yet?\r\n\r\nJoe.\r\n"
    body_hash = base64.b64encode(hash_body(MemoryContent(body), 0))
    assert body_hash == b"2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8="
    hashed = (
        b"from:Joe SixPack <joe@football.example.com>\r\n"
        b"to:Suzie Q <suzie@shopping.example.net>\r\n"
        b"subject:Is dinner ready?\r\n"
        b"date:Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\r\n"
        b"message-id:<20030712040037.46341.5F8J@football.example.com>\r\n"
        b"dkim-signature:v=1; a=ed25519-sha256; c=relaxed/relaxed; d=football.example.com; "
        b"i=@football.example.com; q=dns/txt; s=brisbane; t=1528637909; h=from : to : subject : date : "
        b"message-id : from : subject : date; bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=; b="
    )
    assert base64.b64encode(private.sign(hashlib.sha256(hashed).digest())) == (
        b"/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11BusFa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw=="
    )
