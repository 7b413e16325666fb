"""What a server engine is told once: the same for all connections of a listener."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, eq=False)
class EngineSettings:
    """Settings of the SMTP service behind one listener.

    :param hostname: our name in the greeting, EHLO and as the domain of ``<Postmaster>``.
    :param max_message_size: octets of content, dot-stuffing not counted.
    :param max_recipients: accepted recipients of one transaction; RFC 5321 4.5.3.1.8 asks for at least 100.
    :param tls_available: whether STARTTLS can be offered.
    :param auth_mechanisms: SASL names, offered under TLS only; empty for a service without AUTH.
    :param require_auth: MAIL is refused with 530 before a log-in.
    :param require_tls: MAIL is refused with 530 before TLS.
    :param bare_lf: what becomes of a bare LF in content.
    :param errors_per_session: 5yz answers in a row (an accepted message starts the count again) before the
        session is closed with 421.
    :param greeting: what follows the host name in the greeting; its first word must be ESMTP.
    """

    hostname: str
    max_message_size: int = 50 * 1024 * 1024
    max_recipients: int = 100
    tls_available: bool = False
    auth_mechanisms: tuple[str, ...] = ()
    require_auth: bool = False
    require_tls: bool = False
    bare_lf: Literal["refuse", "normalise"] = "refuse"
    errors_per_session: int = 20
    greeting: str = "ESMTP fedaemon"
