"""What setup and doctor both know of certbot: how it gets a certificate, and whether it tells us of new ones."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from fedaemon.config import Settings

LETSENCRYPT: Final = Path("/etc/letsencrypt")
"""Where certbot keeps what it does and has."""
TAKE_OVER: Final = ("setup", "certificate", "--from-certbot")
"""What fedaemonctl is called with when there is a new one."""


def certbot_command(
    settings: Settings, domains: Iterable[str], take_over: str, further: Iterable[str] = ()
) -> str:
    """Return the command.

    Where the daemon itself answers on port 80 it shows certbot's proof, and the certificate is also for the names
    under which it is asked for settings and policies; otherwise certbot opens port 80 for a moment.

    :param domains: whose mail is taken here.
    :param take_over: the command line that has the daemon use it.
    :param further: names that it must have besides.
    """
    names, how = [settings.server.hostname], "--standalone"
    if settings.http.webroot is not None:
        how = f"--webroot -w {settings.http.webroot}"
        names.extend(f"{label}.{domain}" for domain in domains for label in ("mta-sts", "autoconfig"))
    wanted = " ".join(f"-d {name}" for name in dict.fromkeys([*names, *further]))
    return f'certbot certonly {how} {wanted} --deploy-hook "{take_over}"'


def deploy_hooks(letsencrypt: Path) -> Path:
    """Return the directory of the programs that certbot runs after each renewal."""
    return letsencrypt / "renewal-hooks" / "deploy"


def tells_us(letsencrypt: Path) -> bool:
    """Tell whether certbot has fedaemon informed of a renewed certificate, by a hook or by how it was called."""
    places = [*deploy_hooks(letsencrypt).glob("*"), *(letsencrypt / "renewal").glob("*.conf")]
    return any(b"fedaemon" in _octets(path) for path in places)


def _octets(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
