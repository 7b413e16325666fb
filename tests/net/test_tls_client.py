"""What a server's certificate is worth, found out in real handshakes."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given
from hypothesis import strategies as st
from OpenSSL import SSL, crypto

from fedaemon.net.dane import matches, public_key_info
from fedaemon.net.tls import ServerTls
from fedaemon.net.tls_client import ClientConnectionCreator, ClientTls, Verdict, failure_text
from tests.net.chains import Link, make, write
from tests.net.handshakes import shake_hands

NAMES = ("mx.example.net", "mx2.example.net")


@dataclass(frozen=True, slots=True)
class Record:
    """A TLSA record."""

    usage: int
    selector: int
    matching: int
    data: bytes


def record(usage: int, selector: int, matching: int, link: Link) -> Record:
    octets = link.spki if selector else link.der
    data = {0: octets, 1: hashlib.sha256(octets).digest(), 2: hashlib.sha512(octets).digest()}
    return Record(usage, selector, matching, data[matching])


@pytest.fixture(scope="module")
def root() -> Link:
    return make("root")


@pytest.fixture(scope="module")
def middle(root: Link) -> Link:
    return make("middle", root)


@pytest.fixture(scope="module")
def leaf(middle: Link) -> Link:
    return make("leaf", middle, names=NAMES)


class Place:
    """A server with a chain, and clients that trust one root."""

    def __init__(self, directory: Path, chain: Sequence[Link], trusted: Link) -> None:
        self.server = ServerTls(*write(directory / "server", *chain))
        self.client = ClientTls(write(directory / "trusted", trusted)[0])

    def meet(self, verify: bool = False, **more: Any) -> tuple[Verdict, ClientConnectionCreator]:
        """Shake hands and return the verdict; raises SSL.Error when one side gave up."""
        creator = self.client.creator("mx.example.net", verify=verify, **more)
        self.near = creator.clientConnectionForTLS(None)
        self.far = self.server.serverConnectionForTLS(None)
        shake_hands(self.far, self.near)
        return creator.judge(self.near), creator

    def refused(self, **more: Any) -> ClientConnectionCreator:
        """Shake hands, which must fail."""
        creator = self.client.creator("mx.example.net", verify=True, **more)
        with pytest.raises(SSL.Error):
            shake_hands(self.server.serverConnectionForTLS(None), creator.clientConnectionForTLS(None))
        return creator


Quality = tuple[list[Link], Link, str, str]


def qualities(root: Link, middle: Link) -> dict[str, Quality]:
    """Chains, the root that is trusted, what is found, and its result type of RFC 8460."""
    self_signed = make("self", names=NAMES)
    return {
        "expired": (
            [make("old", middle, names=NAMES, to_days=-1), middle],
            root,
            "expired",
            "certificate-expired",
        ),
        "early": (
            [make("new", middle, names=NAMES, from_days=5), middle],
            root,
            "not yet valid",
            "validation-failure",
        ),
        "self-signed": ([self_signed], root, "self-signed", "certificate-not-trusted"),
        "unknown": (
            [make("x", make("y"), names=NAMES)],
            root,
            "unknown authority",
            "certificate-not-trusted",
        ),
        "no middle": (
            [make("x", middle, names=NAMES)],
            root,
            "unknown authority",
            "certificate-not-trusted",
        ),
        "name": (
            [make("x", middle, names=("www.example.net",)), middle],
            root,
            "wrong name",
            "certificate-host-mismatch",
        ),
        "client": (
            [make("x", middle, names=NAMES, uses=(ExtendedKeyUsageOID.CLIENT_AUTH,)), middle],
            root,
            "not a server's",
            "certificate-not-trusted",
        ),
    }


QUALITIES = ["expired", "early", "self-signed", "unknown", "no middle", "name", "client"]


@pytest.mark.parametrize("which", QUALITIES)
def test_without_verification_a_bad_certificate_is_found_and_taken(
    tmp_path: Path, root: Link, middle: Link, which: str
) -> None:
    chain, trusted, certificate, failure = qualities(root, middle)[which]
    place = Place(tmp_path, chain, trusted)
    verdict, creator = place.meet()
    assert (verdict.certificate, verdict.failure) == (certificate, failure)
    assert verdict.problem == creator.found
    assert creator.problem == ""
    place.near.send(b"EHLO")
    assert failure_text(SSL.Error([("", "", "no shared cipher")]), creator) == "no shared cipher"


@pytest.mark.parametrize("which", QUALITIES)
def test_verification_ends_the_handshake_with_its_reason(
    tmp_path: Path, root: Link, middle: Link, which: str
) -> None:
    chain, trusted, certificate, failure = qualities(root, middle)[which]
    creator = Place(tmp_path, chain, trusted).refused()
    assert (creator.certificate, creator.failure) == (certificate, failure)
    assert failure_text(None, creator).startswith("the certificate ")


@pytest.mark.parametrize("verify", [True, False])
def test_a_good_certificate_is_trusted(
    tmp_path: Path, root: Link, middle: Link, leaf: Link, verify: bool
) -> None:
    verdict, creator = Place(tmp_path, [leaf, middle], root).meet(verify)
    assert (verdict, creator.problem) == (Verdict("trusted"), "")


def test_the_certificate_may_be_for_any_of_the_names(
    tmp_path: Path, root: Link, middle: Link, leaf: Link
) -> None:
    """In place of the host's own name, not beside it."""
    place = Place(tmp_path, [leaf, middle], root)
    assert place.meet(verify=True, names=("example.net", "mx2.example.net"))[0].certificate == "trusted"
    assert place.refused(names=("example.net",)).problem == "the certificate is not for example.net"


def test_no_verdict_is_good_before_a_certificate_was_seen(tmp_path: Path, root: Link) -> None:
    """Whatever way OpenSSL may find to finish without a certificate."""
    client = ClientTls(write(tmp_path, root)[0])
    for more in ({"verify": True}, {"verify": False, "tlsa": (Record(3, 1, 1, b""),)}):
        creator = client.creator("mx.example.net", **more)
        verdict = creator.judge(creator.clientConnectionForTLS(None))
        assert verdict.problem
        assert creator.problem == verdict.problem


# DANE


@pytest.mark.parametrize("matching", [0, 1, 2])
@pytest.mark.parametrize("selector", [0, 1])
def test_dane_ee_takes_exactly_the_certificate_or_key(tmp_path: Path, selector: int, matching: int) -> None:
    """RFC 7672 3.1.1: neither name nor dates nor authorities matter."""
    theirs = make("self", names=("nonsense.test",), to_days=-5)
    other = make("self", names=NAMES)
    place = Place(tmp_path, [theirs], other)
    verdict, creator = place.meet(tlsa=(record(3, selector, matching, theirs),))
    assert (verdict, creator.problem) == (Verdict("dane"), "")
    verdict, creator = place.meet(tlsa=(record(3, selector, matching, other),))
    assert (verdict.certificate, verdict.failure) == ("no dane match", "tlsa-invalid")
    assert creator.problem == "the certificate matches none of the TLSA records"


def test_dane_takes_any_of_the_records(tmp_path: Path) -> None:
    """A key is changed by publishing the next one beside it."""
    old, new = make("old", names=NAMES), make("new", names=NAMES)
    records = (record(3, 1, 1, old), record(3, 1, 1, new))
    for each in (old, new):
        assert Place(tmp_path, [each], old).meet(tlsa=records)[0].certificate == "dane"


def test_dane_does_not_fall_back_to_the_authorities(
    tmp_path: Path, root: Link, middle: Link, leaf: Link
) -> None:
    """A certificate that every browser would take is refused when the records say otherwise."""
    place = Place(tmp_path, [leaf, middle], root)
    assert place.meet(tlsa=(record(3, 1, 1, middle),), verify=False)[1].problem
    assert place.meet(tlsa=(record(3, 1, 1, middle),), verify=True)[1].problem


@pytest.mark.parametrize("matching", [0, 1, 2])
@pytest.mark.parametrize("selector", [0, 1])
@pytest.mark.parametrize("which", ["root", "middle"])
def test_dane_ta_takes_what_the_anchor_has_signed(
    tmp_path: Path, root: Link, middle: Link, leaf: Link, which: str, selector: int, matching: int
) -> None:
    """RFC 7672 3.1.2: also an intermediate certificate, and authorities that nobody trusts."""
    place = Place(tmp_path, [leaf, middle, root], make("another root"))
    anchor = {"root": root, "middle": middle}[which]
    assert place.meet(tlsa=(record(2, selector, matching, anchor),))[0].certificate == "dane"


@pytest.mark.parametrize(
    ("made", "certificate", "failure"),
    [
        ({"names": ("other.test",)}, "wrong name", "certificate-host-mismatch"),
        ({"names": NAMES, "to_days": -1}, "expired", "certificate-expired"),
        (
            {"names": NAMES, "uses": (ExtendedKeyUsageOID.CLIENT_AUTH,)},
            "not a server's",
            "certificate-not-trusted",
        ),
    ],
)
def test_dane_ta_still_checks_name_and_dates(
    tmp_path: Path, root: Link, middle: Link, made: dict[str, Any], certificate: str, failure: str
) -> None:
    place = Place(tmp_path, [make("x", middle, **made), middle, root], root)
    verdict, creator = place.meet(tlsa=(record(2, 0, 1, root),))
    assert (verdict.certificate, verdict.failure) == (certificate, failure)
    assert creator.problem


def test_dane_ta_names_are_those_given(tmp_path: Path, root: Link, middle: Link) -> None:
    """RFC 7672 3.2.2: the next-hop domain is as good as the host's name."""
    place = Place(tmp_path, [make("x", middle, names=("example.net",)), middle, root], root)
    records = (record(2, 0, 1, root),)
    assert place.meet(tlsa=records)[1].problem
    assert place.meet(tlsa=records, names=("mx.example.net", "example.net"))[0].certificate == "dane"


def test_dane_ta_a_matching_certificate_that_signed_nothing_is_no_anchor(
    tmp_path: Path, root: Link, leaf: Link
) -> None:
    """Anybody can send a copy of somebody else's authority along with a certificate of his own."""
    forged = make("leaf", make("middle", make("root")), names=NAMES)
    place = Place(tmp_path, [forged, root], root)
    verdict, creator = place.meet(tlsa=(record(2, 0, 1, root),))
    assert creator.problem
    assert verdict.certificate != "dane"


def test_dane_usages_are_not_mixed_up(tmp_path: Path, root: Link, middle: Link, leaf: Link) -> None:
    """An end-entity record does not make an authority, nor a trust-anchor record a server."""
    place = Place(tmp_path, [leaf, middle, root], root)
    for bad in (record(3, 0, 1, root), record(2, 0, 1, leaf), record(1, 0, 1, leaf), record(0, 0, 1, root)):
        assert place.meet(tlsa=(bad,))[1].problem


@pytest.mark.parametrize(
    "bad", [Record(3, 2, 1, b"x" * 32), Record(3, 1, 3, b"x" * 32), Record(3, 1, 0, b"")]
)
def test_records_that_nobody_understands_match_nothing(leaf: Link, bad: Record) -> None:
    assert not matches(bad, crypto.X509.from_cryptography(leaf.certificate))


@pytest.mark.parametrize("name", ["root", "leaf"])
def test_the_public_key_is_cut_out_octet_for_octet(root: Link, leaf: Link, name: str) -> None:
    link = {"root": root, "leaf": leaf}[name]
    assert (
        public_key_info(link.der)
        == link.spki
        == link.certificate.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )


@given(st.binary(max_size=60))
def test_garbage_has_no_public_key_and_raises_nothing(octets: bytes) -> None:
    key = public_key_info(octets)
    assert key == b"" or key in octets


@given(st.integers(0, 400))
def test_a_certificate_cut_short_has_no_key_beyond_its_end(cut: int) -> None:
    der = CERTIFICATE.der[:cut]
    key = public_key_info(der)
    assert key in (b"", CERTIFICATE.spki)


CERTIFICATE = make("cut", names=NAMES)
