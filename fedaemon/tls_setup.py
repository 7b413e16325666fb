"""From settings to the certificates that are shown, for the daemon and for fedaemonctl.

Without ``[tls]`` there is one all the same, made at the first start, so that TLS works before anybody has asked
an authority for a certificate: no client trusts it, but nothing goes in the clear either.

Invariants: what is made is readable by the daemon's user alone, and made anew when the host name changes.
"""

from __future__ import annotations

from pathlib import Path

from fedaemon.config import Settings
from fedaemon.net.selfsigned import LocalCa, local_ca, make_local_ca
from fedaemon.net.tls import BadCertificate, ServerTls
from fedaemon.store.layout import Layout

OWN_DIRECTORY = "tls"
"""Where in the data directory our own certificate is."""


def own_directory(settings: Settings) -> Path:
    """Return the directory of the certificate that is made here, whether or not it is there."""
    return settings.server.data_dir / OWN_DIRECTORY


def own_files(settings: Settings) -> LocalCa:
    """Return where its files are."""
    return local_ca(own_directory(settings))


def server_tls(settings: Settings) -> ServerTls | None:
    """Return what listeners show to clients; None when none of them has TLS and no certificate is named.

    :raises BadCertificate: a certificate or key cannot be used, or none can be made.
    """
    if settings.tls is not None:
        sites = [(site.certificate, site.private_key) for site in settings.tls.sites]
        return ServerTls(settings.tls.certificate, settings.tls.private_key, sites)
    if all(listener.tls == "none" for listener in settings.listeners):
        return None
    if (uid := Layout(settings.server.data_dir).foreign_owner()) is not None:
        raise BadCertificate(
            f"{settings.server.data_dir} belongs to user {uid}; run fedaemon as that user, not as root"
        )
    try:
        settings.server.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        files = make_local_ca(own_directory(settings), (settings.server.hostname,))
    except OSError as error:
        raise BadCertificate(
            f"no certificate can be made in {own_directory(settings)}: {error.strerror}; the user that runs "
            "fedaemon must own server.data_dir"
        ) from error
    return ServerTls(files.certificate, files.private_key, ())
