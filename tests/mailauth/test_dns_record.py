"""DNS records of keys: as DNS software reads them, and compared with what it says."""

from __future__ import annotations

import base64
from typing import Any

import dns.rdatatype
import dns.zone
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key
from hypothesis import given
from hypothesis import strategies as st

from fedaemon.mailauth import dns_record, keys
from fedaemon.mailauth.private_key import Algorithm, new_key
from tests.mailauth.messages import a_key

RSA = keys.make("example.org", "r", a_key("rsa"), 0)
ED25519 = keys.make("example.org", "e", a_key("ed25519"), 0)


@pytest.mark.parametrize("key", [RSA, ED25519, keys.make("example.org", "l", new_key("rsa", 4096), 0)])
def test_a_zone_file_takes_it(key: keys.DkimKey) -> None:
    """Read as a zone it gives the one text, in strings that DNS can hold. Spec: RFC 1035 5.1"""
    text = f"$TTL 3600\n{dns_record.zone(key)}\n"
    zone = dns.zone.from_text(text, origin="example.org.", check_origin=False, relativize=False)
    rdata: Any
    ((name, _, rdata),) = zone.iterate_rdatas(dns.rdatatype.TXT)
    assert name.to_text() == f"{dns_record.name(key)}."
    assert b"".join(rdata.strings) == dns_record.value(key).encode()
    assert max(map(len, rdata.strings)) <= 255


def test_the_records() -> None:
    """An RSA key has its algorithm around it, an Ed25519 key is 32 octets. Spec: RFC 6376 3.6.1, RFC 8463 4"""
    assert dns_record.value(RSA).startswith("v=DKIM1; k=rsa; p=MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A")
    assert len(dns_record.value(ED25519)) == len("v=DKIM1; k=ed25519; p=") + 44
    assert dns_record.zone(ED25519).count("\n") == 0


def encoded(octets: bytes) -> bytes:
    return base64.b64encode(octets)


def bare_rsa(octets: bytes) -> bytes:
    return load_der_public_key(octets).public_bytes(Encoding.DER, PublicFormat.PKCS1)


@pytest.mark.parametrize(
    ("texts", "found"),
    [
        ([dns_record.value(RSA).encode()], "published"),
        ([b"p=" + encoded(RSA.public)], "published"),
        ([b"v=DKIM1; p=" + encoded(bare_rsa(RSA.public))], "published"),
        (
            [b"k = rsa ; h=sha1:sha256; s=email; n=note; p= " + encoded(RSA.public).replace(b"A", b"A ")],
            "published",
        ),
        ([dns_record.value(RSA).encode() + b"; t=y"], "published"),
        ([dns_record.value(RSA).encode(), b"v=spf1 -all"], "published"),
        ([], "missing"),
        ([b"v=spf1 -all"], "unreadable"),
        ([b""], "unreadable"),
        ([b";;=;p"], "unreadable"),
        ([b"v=DKIM2; p=AAAA"], "unreadable"),
        ([b"v=DKIM1; p=AAAA; p=BBBB"], "unreadable"),
        ([dns_record.value(RSA).encode()] * 2, "several"),
        ([b"v=DKIM1; p="], "revoked"),
        ([dns_record.value(ED25519).encode()], "different"),
        ([b"v=DKIM1; k=ed25519; p=" + encoded(RSA.public)], "different"),
        ([b"v=DKIM1; p=" + encoded(RSA.public)[:-8]], "different"),
        ([b"v=DKIM1; p=AQAB"], "different"),
        ([b"v=DKIM1; p=***"], "different"),
        ([b"h=sha1; p=" + encoded(RSA.public)], "restricted"),
        ([b"s=tlsrpt; p=" + encoded(RSA.public)], "restricted"),
    ],
)
def test_comparing(texts: list[bytes], found: str) -> None:
    """Each way in which a record can be right or wrong. Spec: RFC 6376 3.6.1, 3.6.2.2, 6.1.2"""
    published = dns_record.compare(RSA, texts)
    assert (published.found, published.good) == (found, found == "published")
    assert dns_record.name(RSA) in published.text


def test_a_record_under_test_is_told_of() -> None:
    """t=y makes verifiers treat the mail as unsigned: right, but not what is wanted."""
    text = dns_record.value(ED25519).encode() + b"; t=s:y"
    assert "t=y" in dns_record.compare(ED25519, [text]).text


@given(st.lists(st.binary(max_size=80)))
def test_any_text_is_compared(texts: list[bytes]) -> None:
    """Whatever stands in DNS, there is an answer."""
    assert not dns_record.compare(RSA, texts).good


@pytest.mark.parametrize("algorithm", ["rsa", "ed25519"])
def test_the_published_key_is_not_the_private_one(algorithm: Algorithm) -> None:
    """Nothing of the private key is in what is published, nor in how a key is shown in a text."""
    key = RSA if algorithm == "rsa" else ED25519
    secret = base64.b64encode(key.private)[-40:].decode()
    assert secret not in dns_record.zone(key) + dns_record.value(key)
    assert "private" not in repr(key)
