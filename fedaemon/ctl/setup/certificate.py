"""Puts a certificate and its key where the daemon can read them, and has it use them.

certbot's files are for root alone, and the daemon is not root: so they are copied, beside the settings file, and
once more after each renewal. certbot runs deploy hooks with RENEWED_LINEAGE in the environment, for every
certificate that it has renewed; those of others are left alone.

Standards: RFC 9525 6.3 (names in certificates).
Invariants: a pair that does not fit together, is not for the server's name or has ended is not installed.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from fedaemon.accounts.directory import domains
from fedaemon.ctl.certbot import LETSENCRYPT as LETSENCRYPT
from fedaemon.ctl.certbot import TAKE_OVER, certbot_command, deploy_hooks, tells_us
from fedaemon.ctl.command import Context
from fedaemon.ctl.doctor.certificate import covers
from fedaemon.ctl.setup.daemon import ctl_command
from fedaemon.ctl.setup.files import DIRECTORY_MODE, SettingsFile, for_daemon, replace_file
from fedaemon.ctl.setup.settings_text import comment_out, set_value
from fedaemon.errors import Refused
from fedaemon.net.certificate_file import CertificateFacts, read_chain
from fedaemon.net.pem import BadCertificate, read_file
from fedaemon.net.tls import ServerTls

CHAIN, KEY = "fullchain.pem", "privkey.pem"
"""Names of certbot's files, and of our copies."""
HOOK: Final = "#!/bin/sh\n# Written by fedaemonctl setup certificate --from-certbot.\nexec {}\n"


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate with its chain, and its key."""

    certificate: Path
    private_key: Path


def of_certbot(hostname: str) -> Pair:
    """Return certbot's files: those just renewed inside a hook, else those for *hostname*."""
    lineage = os.environ.get("RENEWED_LINEAGE")
    directory = Path(lineage) if lineage else LETSENCRYPT / "live" / hostname
    if not (directory / CHAIN).exists():
        raise Refused(f"{directory} has no certificate; get one: certbot certonly -d {hostname}")
    return Pair(directory / CHAIN, directory / KEY)


def is_for_another(pair: Pair, hostname: str) -> bool:
    """Tell whether certbot's hook runs for a certificate that has nothing to do with *hostname*."""
    if "RENEWED_LINEAGE" not in os.environ:
        return False
    try:
        return not covers(read_chain(pair.certificate)[0].names, hostname)
    except BadCertificate:
        return False


def check(pair: Pair, hostname: str) -> CertificateFacts:
    """Return the certificate of *pair* when clients can trust it for *hostname*; raises Refused."""
    try:
        ServerTls(pair.certificate, pair.private_key)
        leaf = read_chain(pair.certificate)[0]
    except BadCertificate as error:
        raise Refused(str(error)) from None
    if not covers(leaf.names, hostname):
        names = ", ".join(leaf.names) or "no name"
        raise Refused(
            f"{pair.certificate} is for {names}, and not for {hostname}; get one: certbot -d {hostname}"
        )
    if leaf.ends < datetime.now(UTC):
        raise Refused(f"{pair.certificate} ended on {leaf.ends:%Y-%m-%d}; renew it first")
    return leaf


def install(context: Context, file: SettingsFile, pair: Pair) -> tuple[CertificateFacts, bool]:
    """Copy *pair* to where the daemon reads it, and name the copies in the settings.

    Returns the certificate, and whether anything has changed.
    """
    settings = context.settings
    directory = file.path.absolute().parent / "tls"
    with context.as_caller():
        leaf = check(pair, settings.server.hostname)
        try:
            changed = _copy(pair, directory, settings.server.data_dir)
        except OSError as error:
            raise Refused(f"{error.filename or directory}: {error.strerror}; run it as root") from error
        except BadCertificate as error:
            raise Refused(str(error)) from None

    def change(text: str) -> str:
        text = set_value(text, "tls", "certificate", str(directory / CHAIN))
        return set_value(text, "tls", "private_key", str(directory / KEY))

    return leaf, file.edit(change) or changed


def _copy(pair: Pair, directory: Path, data_dir: Path) -> bool:
    """Copy both files, the key first; return whether they were others before."""
    mode, owner = for_daemon(data_dir)
    if not directory.is_dir():
        directory.mkdir(mode=DIRECTORY_MODE, parents=True)
        if owner is not None:
            os.chown(directory, *owner)
    changed = False
    for source, name in ((pair.private_key, KEY), (pair.certificate, CHAIN)):
        target, data = directory / name, read_file(source)
        if not target.exists() or read_file(target) != data:
            replace_file(target, data, mode, owner)
            changed = True
    return changed


def use_own(context: Context, file: SettingsFile) -> bool:
    """Go back to the certificate that the daemon makes itself; return whether that is a change."""
    if context.settings.tls is None:
        return False
    return file.edit(lambda text: comment_out(text, ("tls",)))


def next_command(context: Context) -> str:
    """Return the command that gets a certificate for this server, and has it installed here."""
    names = context.view(lambda snapshot: [each.name for each in domains(snapshot)])
    return certbot_command(context.settings, names, ctl_command(context, *TAKE_OVER))


def add_hook(context: Context) -> Path | None:
    """Have certbot call us after each renewal, unless it does; return the hook's file if it was written now."""
    hooks = deploy_hooks(LETSENCRYPT)
    path = hooks / "fedaemon"
    with context.as_caller():
        if "RENEWED_LINEAGE" in os.environ or not hooks.is_dir() or tells_us(LETSENCRYPT):
            return None
        hook = HOOK.format(ctl_command(context, *TAKE_OVER))
        try:
            replace_file(path, hook.encode(), 0o755)
        except OSError as error:
            raise Refused(f"{path}: {error.strerror}; run it as root") from error
    return path
