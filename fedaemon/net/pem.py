"""Reading the files that TLS needs, so that a file that cannot be used is named together with the remedy."""

from __future__ import annotations

from pathlib import Path


class BadCertificate(Exception):
    """A certificate or key cannot be used; the text is "FILE: what; fix"."""


def read_file(path: Path) -> bytes:
    """Return the octets of a file; raises ``BadCertificate`` when it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadCertificate(
            f"{path}: {error.strerror}; the user fedaemon runs as must be able to read it"
        ) from None
