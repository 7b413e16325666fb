"""TLS handshakes in memory."""

from __future__ import annotations

from OpenSSL import SSL


def pass_on(source: SSL.Connection, target: SSL.Connection) -> bool:
    """Move what *source* wants to send to *target*; True when there was something."""
    try:
        octets = source.bio_read(65536)
    except SSL.WantReadError:
        return False
    target.bio_write(octets)
    return True


def shake_hands(server: SSL.Connection, client: SSL.Connection) -> None:
    """Run the handshake to its end; raises SSL.Error of the side that gave up first."""
    server.set_accept_state()
    client.set_connect_state()
    done: set[int] = set()
    while len(done) < 2:
        for own, peer in ((client, server), (server, client)):
            try:
                own.do_handshake()
                done.add(id(own))
            except SSL.WantReadError:
                pass
            while pass_on(own, peer):
                pass
