"""Certificates of every quality, as contexts for scripted mail exchangers."""

from __future__ import annotations

import ssl
from pathlib import Path

from tests.net.chains import ENCODING, Link, make, write


class Authority:
    """Signs certificates; *ca_file* is what clients trust."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._root = make("the lab's authority")
        directory.mkdir(parents=True, exist_ok=True)
        self.ca_file = directory / "authority.pem"
        self.ca_file.write_bytes(self._root.certificate.public_bytes(ENCODING.PEM))
        self._made = 0

    def link(self, name: str) -> Link:
        """Return a good certificate for *name*, with its key."""
        return make(name, self._root, names=(name,))

    def good(self, name: str) -> ssl.SSLContext:
        """A certificate with which nothing is wrong."""
        return self.context(self.link(name))

    def good_for(self, *names: str) -> ssl.SSLContext:
        """One good certificate for several names."""
        return self.context(make(names[0], self._root, names=names))

    def expired(self, name: str) -> ssl.SSLContext:
        """It was good until yesterday."""
        return self.context(make(name, self._root, names=(name,), from_days=-30, to_days=-1))

    def self_signed(self, name: str) -> ssl.SSLContext:
        """Signed by nobody that is known."""
        return self.context(make(name, names=(name,)))

    def wrong_name(self, name: str) -> ssl.SSLContext:
        """Good, but of somebody else."""
        return self.context(self.link(f"not-{name}"))

    def context(self, *chain: Link) -> ssl.SSLContext:
        """Return a server's context for a chain, leaf first."""
        self._made += 1
        certificate, key = write(self._directory / str(self._made), *chain)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        return context
