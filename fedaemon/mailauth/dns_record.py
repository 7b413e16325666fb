"""The DNS record of a DKIM key: as one text, as a zone file has it, and compared with what DNS says.

Standards: RFC 6376 3.6.1 (tags), 3.6.2 (name; several records or strings), 3.2 (tag lists); RFC 8463 4
(ed25519); RFC 1035 3.3.14, 5.1 (TXT, zone files).
Invariants: no string of a record is longer than 255 octets; whatever stands in DNS, comparing raises nothing.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

from dkim.util import InvalidTagSpec, InvalidTagValueList, parse_tag_value

from fedaemon.mailauth.keys import DkimKey

STRING_OCTETS: Final = 255
"""A string of a TXT record (RFC 1035 3.3)."""
_PKCS1_OCTETS: Final = 128
"""A bare RSAPublicKey of MIN_RSA_BITS is longer than this."""

Found = Literal["published", "missing", "several", "unreadable", "revoked", "different", "restricted"]


@dataclass(frozen=True, slots=True)
class Published:
    """What DNS says of a key. *text* is a sentence for people."""

    found: Found
    text: str

    @property
    def good(self) -> bool:
        """True when verifiers find the key."""
        return self.found == "published"


def name(key: DkimKey) -> str:
    """Return the name of the record, without the final dot. Spec: RFC 6376 3.6.2.1"""
    return f"{key.selector}._domainkey.{key.domain}"


def value(key: DkimKey) -> str:
    """Return the record as one text. Spec: RFC 6376 3.6.1, RFC 8463 4"""
    return f"v=DKIM1; k={key.algorithm}; p={base64.b64encode(key.public).decode()}"


def zone(key: DkimKey) -> str:
    """Return the record as a zone file has it, in strings that DNS can hold. Spec: RFC 1035 5.1"""
    text = value(key)
    strings = [f'"{text[at : at + STRING_OCTETS]}"' for at in range(0, len(text), STRING_OCTETS)]
    if len(strings) == 1:
        return f"{name(key)}. IN TXT {strings[0]}"
    lines = "\n    ".join(strings)
    return f"{name(key)}. IN TXT (\n    {lines} )"


def compare(key: DkimKey, texts: Iterable[bytes]) -> Published:
    """Say whether DNS publishes *key*.

    :param texts: the TXT records at its name, the strings of each joined.

    Spec: RFC 6376 3.6.1, 3.6.2.2, 6.1.2
    """
    where = name(key)
    every = list(texts)
    if not every:
        return Published("missing", f"there is no TXT record at {where}")
    records = [tags for text in every if (tags := _tags(text)) is not None]
    if not records:
        return Published("unreadable", f"the TXT record at {where} is not a DKIM key: {_shown(every[0])}")
    if len(records) > 1:
        return Published("several", f"{where} has {len(records)} DKIM records; verifiers need exactly one")
    return _compare(key, records[0], where)


def _compare(key: DkimKey, tags: dict[bytes, bytes], where: str) -> Published:
    given = b"".join(tags[b"p"].split())
    if not given:
        return Published("revoked", f"the record at {where} revokes the key (its p= is empty)")
    kind = tags.get(b"k", b"rsa").decode("ascii", "replace")
    if kind != key.algorithm:
        return Published("different", f"the record at {where} has k={kind} instead of k={key.algorithm}")
    if not _same(key.public, given):
        return Published("different", f"the record at {where} has another public key")
    digests = _listed(tags, b"h")
    if digests and b"sha256" not in digests:
        return Published("restricted", f"the record at {where} does not allow sha256 (its h= tag)")
    services = _listed(tags, b"s")
    if services and not services & {b"*", b"email"}:
        return Published("restricted", f"the record at {where} is not for mail (its s= tag)")
    if b"y" in _listed(tags, b"t"):
        return Published("published", f"{where} is right, but says t=y: verifiers ignore it; take t=y out")
    return Published("published", f"{where} is right")


def _tags(text: bytes) -> dict[bytes, bytes] | None:
    """Return the tags of a DKIM key record, or None when *text* is not one."""
    try:
        tags: dict[bytes, bytes] = parse_tag_value(text)
    except (InvalidTagValueList, InvalidTagSpec):
        return None
    return tags if b"p" in tags and tags.get(b"v", b"DKIM1") == b"DKIM1" else None


def _listed(tags: dict[bytes, bytes], tag: bytes) -> set[bytes]:
    return {word.strip() for word in tags.get(tag, b"").split(b":")} - {b""}


def _same(public: bytes, given: bytes) -> bool:
    """True when base64 *given* is the key *public*, in which an RSA key may also lack its wrapping: RFC 6376
    3.6.1 speaks of a bare RSAPublicKey, all the world publishes a SubjectPublicKeyInfo."""
    try:
        octets = base64.b64decode(given, validate=True)
    except binascii.Error:
        return False
    return octets == public or (len(octets) > _PKCS1_OCTETS and public.endswith(octets))


def _shown(text: bytes) -> str:
    return ascii(text[:60].decode("utf-8", "replace"))
