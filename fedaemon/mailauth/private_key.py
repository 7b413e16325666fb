"""Private keys for DKIM: making them, reading what other programs wrote, and the signing operation itself.

The operation is done by ``cryptography``: 0.3 ms for RSA with 2048 bits, where dkimpy's own arithmetic takes
7.

Standards: RFC 6376 3.3.2 (rsa-sha256), 3.6.1 (p=); RFC 8463 3, 4 (ed25519-sha256 and its p=); RFC 8301 3.2
(at least 1024 bits, better 2048).
Invariants: a private key is never in a text, a log line or a repr; reading anything that is no usable key
raises only BadKey.
Limits: RSA keys of MIN_RSA_BITS to MAX_RSA_BITS; key files of MAX_FILE_OCTETS.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field
from typing import Final, Literal

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa, utils

from fedaemon.errors import Refused

Algorithm = Literal["rsa", "ed25519"]
ALGORITHMS: Final[tuple[Algorithm, ...]] = ("rsa", "ed25519")
"""RSA first: every verifier knows it, and some look at the first signature only."""

MIN_RSA_BITS: Final = 1024
"""Verifiers must not take less (RFC 8301 3.2); new keys have GOOD_RSA_BITS at least."""
GOOD_RSA_BITS: Final = 2048
MAX_RSA_BITS: Final = 4096
"""Verifiers need not take more (RFC 8301 3.2)."""
MAX_FILE_OCTETS: Final = 16_384
ED25519_OCTETS: Final = 32

_PADDING: Final = padding.PKCS1v15()
_DIGEST: Final = utils.Prehashed(hashes.SHA256())
_EXPONENT: Final = 65_537


class BadKey(Refused):
    """What was given is not a private key that DKIM can use."""


@dataclass(frozen=True, slots=True)
class PrivateKey:
    """A key that can sign. *bits* is the length of an RSA modulus, 256 for Ed25519."""

    algorithm: Algorithm
    bits: int
    _key: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey = field(repr=False)

    def sign(self, digest: bytes) -> bytes:
        """Return the signature of a SHA-256 *digest*. Spec: RFC 6376 3.3.2, RFC 8463 3"""
        if isinstance(self._key, rsa.RSAPrivateKey):
            return self._key.sign(digest, _PADDING, _DIGEST)
        return self._key.sign(digest)

    def public(self) -> bytes:
        """Return the public key as the p= tag has it, before base64. Spec: RFC 6376 3.6.1, RFC 8463 4"""
        public = self._key.public_key()
        if self.algorithm == "rsa":
            form = serialization.PublicFormat.SubjectPublicKeyInfo
            return public.public_bytes(serialization.Encoding.DER, form)
        return public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)

    def to_der(self) -> bytes:
        """Return the key as PKCS #8 in DER, not encrypted."""
        return self._key.private_bytes(
            serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )


def new_key(algorithm: Algorithm, bits: int = GOOD_RSA_BITS) -> PrivateKey:
    """Return a new key; *bits* is for RSA, GOOD_RSA_BITS to MAX_RSA_BITS."""
    if algorithm == "rsa":
        return _known(rsa.generate_private_key(public_exponent=_EXPONENT, key_size=bits))
    return _known(ed25519.Ed25519PrivateKey.generate())


def from_der(octets: bytes) -> PrivateKey:
    """Return the key of what ``to_der`` gave; raises BadKey. Takes some 30 ms for RSA, which is checked."""
    try:
        return _known(serialization.load_der_private_key(octets, password=None))
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise BadKey("this is not an unencrypted private key for RSA or Ed25519") from None


def from_file(octets: bytes) -> PrivateKey:
    """Return the key of a file as other DKIM programs write it.

    :param octets: PEM or DER (PKCS #8 or PKCS #1) without a password; or, for Ed25519, the base64 of the 32
        octets of its seed (dkimpy), or of the seed and the public key (rspamd).
    :raises BadKey: anything else.
    """
    if len(octets) > MAX_FILE_OCTETS:
        raise BadKey(f"a key file has at most {MAX_FILE_OCTETS} octets")
    if b"-----BEGIN" in octets:
        try:
            return _known(serialization.load_pem_private_key(octets, password=None))
        except TypeError:
            raise BadKey("the key is encrypted; take its password off first (openssl pkey)") from None
        except (ValueError, UnsupportedAlgorithm):
            raise BadKey("the file has no usable private key in PEM form") from None
    seed = _seed(octets)
    if seed is not None:
        return _known(ed25519.Ed25519PrivateKey.from_private_bytes(seed))
    return from_der(octets)


def _seed(octets: bytes) -> bytes | None:
    """Return the seed of an Ed25519 key in bare base64, or None when *octets* is something else."""
    try:
        raw = base64.b64decode(b"".join(octets.split()), validate=True)
    except binascii.Error:
        return None
    return raw[:ED25519_OCTETS] if len(raw) in (ED25519_OCTETS, 2 * ED25519_OCTETS) else None


def _known(key: object) -> PrivateKey:
    """Return *key* as ours; raises BadKey for other kinds and lengths."""
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return PrivateKey("ed25519", 256, key)
    if not isinstance(key, rsa.RSAPrivateKey):
        raise BadKey("DKIM has keys for RSA and Ed25519 only")
    if not MIN_RSA_BITS <= key.key_size <= MAX_RSA_BITS:
        raise BadKey(
            f"the RSA key has {key.key_size} bits; verifiers take {MIN_RSA_BITS} to {MAX_RSA_BITS} "
            "(RFC 8301 3.2)"
        )
    return PrivateKey("rsa", key.key_size, key)
