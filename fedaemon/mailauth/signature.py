"""DKIM-Signature fields: which header fields are signed, what is hashed, and how the field is written.

dkimpy gives the canonical form of header fields. The rest stands here because dkimpy's signer wants the whole
message in memory, has no x=, canonicalizes everything anew for a second signature, does RSA in Python, and
folds a long d= in the middle. The tests have dkimpy verify what is made here.

Standards: RFC 6376 3.5 (the field), 3.7 (hashes), 5.4 (which fields), 5.4.2 (order), 8.15 (fields added
later); RFC 8463 3 (ed25519-sha256); RFC 8058 4 (List-Unsubscribe-Post is signed); RFC 5322 2.1.1 (78 octets).
Invariants: From is always signed; each name is listed once more than the message has it, so that nothing can
be added to a message that keeps its signature; there is no l=; only BadSyntax is raised for a message that
cannot be signed; a line of ours is longer than 78 octets only where a domain or selector is.
Limits: MAX_HEADER_OCTETS, MAX_FIELDS and MAX_LISTED of what is read and signed.
Known gaps: d= has A-labels in internationalized mail, too; RFC 8616 5 would have U-labels there, which older
verifiers do not read.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from dkim.canonicalization import Relaxed

from fedaemon.errors import BadSyntax
from fedaemon.mailauth.body_hash import BodyHash
from fedaemon.mailauth.keys import SIGNATURE_LIFETIME_S, DkimKey
from fedaemon.mailauth.private_key import PrivateKey
from fedaemon.message.header import FOLD_OCTETS, Field, Header, end_of_header
from fedaemon.message.mailboxes import parse_mailboxes
from fedaemon.store.interface import Content

MAX_HEADER_OCTETS: Final = 1 << 20
"""Four times what submission takes by default."""
MAX_FIELDS: Final = 2500
MAX_LISTED: Final = 200
"""Names in h=: a message with so many To or References fields is nobody's ordinary mail."""
CHUNK_OCTETS: Final = 128 * 1024

ALWAYS: Final = (
    b"from",
    b"to",
    b"cc",
    b"subject",
    b"date",
    b"message-id",
    b"reply-to",
    b"in-reply-to",
    b"references",
    b"mime-version",
    b"content-type",
    b"content-transfer-encoding",
)
"""Listed even when the message has none: a Reply-To or Content-Type put in later changes where the answer
goes or what is seen of the body."""

IF_PRESENT: Final = (
    b"sender",
    b"content-disposition",
    b"auto-submitted",
    b"autocrypt",
    b"feedback-id",
    b"list-id",
    b"list-help",
    b"list-unsubscribe",
    b"list-unsubscribe-post",
    b"list-subscribe",
    b"list-post",
    b"list-owner",
    b"list-archive",
)
"""Listed (once more than present, too) only when the message has any: mailing lists add Sender and List-* to
mail that they otherwise leave alone, and would break every signature that forbids it."""


@dataclass(frozen=True, slots=True)
class Opened:
    """The header of a message as signing needs it.

    *domain* is that of the author (A-labels), *names* goes into h=, *canonical* is what is hashed of the
    header, and *body_at* the offset of the body.
    """

    domain: str
    names: tuple[bytes, ...]
    canonical: bytes
    body_at: int


SigningKey = tuple[DkimKey, PrivateKey]
"""A key's record, and the key itself."""


def open_message(content: Content) -> Opened:
    """Read the header of *content*.

    :raises BadSyntax: it is not a header, or not that of one author, or beyond a limit.

    Spec: RFC 6376 5.4
    """
    block, body_at = _read_header(content)
    # dkimpy strips these two from the ends of a value, where they are not white space to anybody else.
    if b"\x0b" in block or b"\x0c" in block:
        raise BadSyntax("there is a vertical tab or form feed in its header")
    header = Header.parse(block, max_octets=MAX_HEADER_OCTETS, max_fields=MAX_FIELDS)
    names, fields = _select(header)
    if len(names) > MAX_LISTED:
        raise BadSyntax(f"it has more than {MAX_LISTED} fields to sign")
    return Opened(_author_domain(header), tuple(names), _canonical(fields), body_at)


def hash_body(content: Content, body_at: int) -> bytes:
    """Return the digest of the body of *content*, which begins at *body_at*. Spec: RFC 6376 3.7"""
    body = BodyHash()
    left = body_at
    for chunk in content.chunks(CHUNK_OCTETS):
        if left < len(chunk):
            body.feed(chunk[left:] if left else chunk)
        left = max(0, left - len(chunk))
    return body.finish()


def write_signatures(opened: Opened, body_digest: bytes, keys: Sequence[SigningKey], now_s: float) -> bytes:
    """Return one DKIM-Signature field for each key, as lines to stand before the message.

    Spec: RFC 6376 3.5, 3.7; RFC 8463 3
    """
    header_hash = hashlib.sha256(opened.canonical)
    signed_s = int(now_s)
    written = []
    for key, private in keys:
        field = _unsigned(opened, key, base64.b64encode(body_digest), signed_s)
        digest = header_hash.copy()
        # The field itself is hashed last, without the value of b= and without its CRLF.
        digest.update(_canonical([Field(b"DKIM-Signature", field)]).removesuffix(b"\r\n"))
        written.append(field + _folded_value(base64.b64encode(private.sign(digest.digest()))))
    return b"".join(written)


def _read_header(content: Content) -> tuple[bytes, int]:
    """Return the header block and the offset of the body."""
    head = b""
    for chunk in content.chunks(CHUNK_OCTETS):
        looked_at = len(head)
        head = head + chunk if head else chunk
        end = end_of_header(head, looked_at)
        if end >= 0:
            return head[: end - 2], end
        if len(head) > MAX_HEADER_OCTETS:
            raise BadSyntax(f"its header is longer than {MAX_HEADER_OCTETS} octets")
    return head, len(head)


def _author_domain(header: Header) -> str:
    """Return the domain of the one author. Spec: RFC 7489 6.6.1"""
    fields = header.get_all(b"from")
    if len(fields) != 1:
        raise BadSyntax(f"it has {len(fields)} From fields")
    mailboxes = parse_mailboxes(fields[0].value)
    if len(mailboxes) != 1:
        raise BadSyntax(f"its From field has {len(mailboxes)} addresses")
    return mailboxes[0].address.domain


def _select(header: Header) -> tuple[list[bytes], list[Field]]:
    """Return the names for h=, and the fields in the order in which they are hashed.

    Of several fields of one name the last is taken first. Spec: RFC 6376 5.4.2
    """
    present: dict[bytes, list[Field]] = {name: [] for name in (*ALWAYS, *IF_PRESENT)}
    for field in header.fields:
        if field.key in present:
            present[field.key].append(field)
    names: list[bytes] = []
    chosen: list[Field] = []
    for name, fields in present.items():
        if fields or name in ALWAYS:
            names += [name] * (len(fields) + 1)
            chosen += reversed(fields)
    return names, chosen


def _canonical(fields: Sequence[Field]) -> bytes:
    """Return *fields* in relaxed form. Spec: RFC 6376 3.4.2"""
    pairs = [(field.name, field.raw[field.raw.index(b":") + 1 :]) for field in fields]
    return b"".join([name + b":" + value for name, value in Relaxed.canonicalize_headers(pairs)])


def _unsigned(opened: Opened, key: DkimKey, body_hash: bytes, signed_s: int) -> bytes:
    """Return the field up to and with "b="."""
    lines = [b"DKIM-Signature:"]
    for word in _words(opened, key, body_hash, signed_s):
        if len(lines[-1]) + len(word) > FOLD_OCTETS:
            lines.append(b" " + word.lstrip(b" "))
        else:
            lines[-1] += word
    # On a line of its own, which has room for the beginning of the value.
    lines.append(b" b=")
    return b"\r\n".join(lines)


def _words(opened: Opened, key: DkimKey, body_hash: bytes, signed_s: int) -> Iterator[bytes]:
    """Yield the pieces between which the field may be folded."""
    yield b" v=1;"
    yield b" a=%b-sha256;" % key.algorithm.encode("ascii")
    yield b" c=relaxed/relaxed;"
    yield b" d=%b;" % key.domain.encode("ascii")
    yield b" s=%b;" % key.selector.encode("ascii")
    yield b" t=%d;" % signed_s
    yield b" x=%d;" % (signed_s + SIGNATURE_LIFETIME_S)
    *names, last = opened.names
    before = b" h="
    for name in names:
        yield before + name + b":"
        before = b""
    yield last + b";"
    yield b" bh=%b;" % body_hash


def _folded_value(value: bytes) -> bytes:
    """Return the value of b= from where its line has "b=" already, with its CRLF."""
    first, width = FOLD_OCTETS - len(b" b="), FOLD_OCTETS - 1
    lines = [value[:first], *(value[at : at + width] for at in range(first, len(value), width))]
    return b"\r\n ".join(lines) + b"\r\n"
