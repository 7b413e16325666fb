"""COMPRESS: from here on both directions are deflated.

Standards: RFC 4978 3.
"""

from __future__ import annotations

from fedaemon.errors import Refused
from fedaemon.imap.events import Command
from fedaemon.imap.operations import Compress as Deflate
from fedaemon.imap.parse.session import Compress
from fedaemon.imap.session import Done, Session


class CompressionActive(Refused):
    """It is deflated already."""

    imap_code = b"COMPRESSIONACTIVE"


async def run(session: Session, arguments: Compress, command: Command) -> Done:
    """Begin to deflate. Spec: RFC 4978 3"""
    if arguments.algorithm != b"DEFLATE":
        raise Refused("DEFLATE is the only algorithm")
    if session.compressed:
        raise CompressionActive("DEFLATE is active already")
    session.compressed = True
    await Deflate()
    return Done("Deflating")
