"""Would a stranger trust our certificate, and for how long still?

Theory of operation: the file is read for what stands in it; whether it is trusted, a TLS client of this machine
says, which meets the certificate in memory, as mail programs will on the network.

Standards: RFC 5280 4.1.2.5, RFC 9525 6.3 (names), RFC 5246 7.4.2 and RFC 8446 4.4.2 (the chain), RFC 9155
(no SHA-1).
"""

from __future__ import annotations

import ssl
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from fedaemon.ctl.certbot import LETSENCRYPT, TAKE_OVER, certbot_command, tells_us
from fedaemon.ctl.doctor.case import Case
from fedaemon.ctl.doctor.dialogue import trusted_certificate
from fedaemon.ctl.doctor.finding import Area, Finding
from fedaemon.net.certificate_file import CertificateFacts, read_chain
from fedaemon.net.tls import BadCertificate, ServerTls
from fedaemon.web.advertised import reachable

AREA: Final = Area("certificate")
LAST_CHANCE: Final = timedelta(days=7)
SOON: Final = timedelta(days=20)
"""Certbot renews a month before the end: with less left than this it has failed for ten days."""
LEAST_RSA_BITS: Final = 2048
BROKEN_DIGESTS: Final = frozenset(("md5", "sha1"))
FROM_CERTBOT: Final = " ".join(("fedaemonctl", *TAKE_OVER))
RENEW: Final = f"renew it (certbot renew), then: {FROM_CERTBOT}"
_OTHER_NAME: Final = 62
_NO_ISSUER: Final = frozenset((2, 19, 20, 21))
"""X509_V_ERR_* of OpenSSL: a certificate for another name, which has a finding of its own; an issuer that is
neither in the chain nor among the authorities."""


def check_certificates(case: Case) -> Iterator[Finding]:
    """Look at every certificate of the settings."""
    tls = case.settings.tls
    if tls is None:
        yield from made_here(case)
        return
    covered: list[str] = []
    for pair in ((tls.certificate, tls.private_key), *((s.certificate, s.private_key) for s in tls.sites)):
        try:
            ServerTls(*pair)
            chain = read_chain(pair[0])
        except BadCertificate as error:
            file, _, text = str(error).partition(": ")
            what, _, todo = text.partition("; ")
            why = "without it the daemon does not start, and after a reload goes on with the old one"
            yield AREA.problem("usable", file, what, why, todo or f"make it anew: {certbot(case)}")
            continue
        covered.extend(chain[0].names)
        about = str(pair[0])
        yield lifetime(about, chain[0], case.now)
        yield from strength(about, chain[0])
        yield from trust(case, pair, chain)
    yield names(case, str(tls.certificate), covered)
    yield from renewal(tls.certificate, LETSENCRYPT)


def certbot(case: Case, *further: str) -> str:
    """Return the command that gets a certificate, also for *further* names."""
    return certbot_command(case.settings, case.domains, FROM_CERTBOT, further)


def made_here(case: Case) -> Iterator[Finding]:
    """There is no [tls]: the daemon made a certificate of its own."""
    public = [each for each in case.settings.listeners if reachable(case.hostname, each.address)]
    if case.is_local or all(each.tls == "none" for each in public):
        yield self_made_here()
        return
    yield AREA.problem(
        "self-made",
        "",
        "there is no certificate but the one that the daemon made itself",
        "mail programs and applications refuse it, or warn of it",
        certbot(case),
    )


def self_made_here() -> Finding:
    """For a server to try things with that is right."""
    return AREA.note(
        "self-made",
        "",
        "the certificate is from no public authority",
        "that is enough to try things; clients trust it when they trust the ca.pem that was made with it",
    )


def lifetime(about: str, leaf: CertificateFacts, now: datetime) -> Finding:
    """Judge its dates."""
    left = leaf.ends - now
    until = f"until {leaf.ends:%Y-%m-%d %H:%M} UTC"
    if leaf.begins > now:
        return AREA.problem(
            "dates",
            about,
            f"is not valid before {leaf.begins:%Y-%m-%d %H:%M} UTC",
            "clients refuse it until then",
            "see whether this machine's clock is right; if it is, get a new certificate",
        )
    if left <= timedelta():
        return AREA.problem("dates", about, f"was valid {until}, and is no more", "clients refuse it", RENEW)
    why = "when it ends, clients refuse to connect, and servers with MTA-STS or DANE bring no mail"
    if left < LAST_CHANCE:
        return AREA.problem("dates", about, f"is valid {until} only ({_days(left)})", why, RENEW)
    if left < SOON:
        return AREA.warning("dates", about, f"is valid {until} only ({_days(left)})", why, RENEW)
    return AREA.ok("dates", about, f"is valid {until} ({_days(left)})")


def _days(left: timedelta) -> str:
    return "1 more day" if left.days == 1 else f"{left.days} more days"


def strength(about: str, leaf: CertificateFacts) -> Iterator[Finding]:
    """Is it of a kind that is accepted today?"""
    if leaf.digest in BROKEN_DIGESTS:
        yield AREA.problem(
            "signature",
            about,
            f"is signed with {leaf.digest.upper()}",
            "such signatures can be forged; clients refuse them",
            "get a new certificate; every authority signs with SHA-256 today",
        )
    if leaf.rsa_bits is not None and leaf.rsa_bits < LEAST_RSA_BITS:
        yield AREA.problem(
            "key-size",
            about,
            f"has an RSA key of {leaf.rsa_bits} bits",
            f"clients refuse less than {LEAST_RSA_BITS}",
            "make a new key (openssl ecparam -genkey -name prime256v1), and get a certificate for it",
        )


def names(case: Case, about: str, covered: Iterable[str]) -> Finding:
    """Is one of them for our name?"""
    listed = list(dict.fromkeys(covered))
    if covers(listed, case.hostname):
        return AREA.ok("name", about, f"is for {case.hostname}")
    return AREA.problem(
        "name",
        about,
        f"is not for {case.hostname}, but for {', '.join(listed[:5]) or 'no name at all'}",
        "clients that check the name (all mail programs do) refuse to connect",
        f"get one with this name: {certbot(case)}; or correct server.hostname",
    )


def covers(listed: Iterable[str], host: str) -> bool:
    """True when one of the names in a certificate is *host*, or a wildcard for it. Spec: RFC 9525 6.3"""
    parent = host.partition(".")[2]
    return any(name in (host, f"*.{parent}") for name in listed)


def trust(case: Case, pair: tuple[Path, Path], chain: tuple[CertificateFacts, ...]) -> Iterator[Finding]:
    """What does a client make of it?"""
    about, leaf = str(pair[0]), chain[0]
    name = next((name.replace("*", "www") for name in leaf.names), case.hostname)
    code, message = refusal(pair, name, case.ca_file)
    if code == 0:
        yield AREA.ok("trust", about, f"is trusted, with its chain ({_by(leaf)})")
    elif case.is_local:
        yield self_made_here()
    elif leaf.self_made:
        yield AREA.problem(
            "trust",
            about,
            "is signed by itself, and by no authority",
            "mail programs and applications refuse it, or warn of it",
            certbot(case),
        )
    elif code in _NO_ISSUER and len(chain) == 1:
        yield AREA.problem(
            "chain",
            about,
            f"holds the certificate alone, and not the one of its authority ({leaf.issuer})",
            "some clients find the missing one by themselves, others (most applications) refuse to connect",
            "name the file with the whole chain: fullchain.pem, not cert.pem",
        )
    elif code in _NO_ISSUER:
        yield AREA.problem(
            "trust",
            about,
            f"comes from an authority that this machine does not know ({chain[-1].issuer})",
            "clients elsewhere do not know it either, unless somebody installed it there",
            "get one from a public authority (certbot); if yours is private on purpose, install it on the "
            "clients, and here: /usr/local/share/ca-certificates, then update-ca-certificates",
        )
    elif code != _OTHER_NAME and leaf.begins <= case.now < leaf.ends:
        yield AREA.problem(
            "trust", about, f"is refused by a client: {message}", "others refuse it, too", RENEW
        )


def _by(leaf: CertificateFacts) -> str:
    return f"by {leaf.organisation or leaf.issuer}"


def refusal(pair: tuple[Path, Path], name: str, ca_file: Path | None) -> tuple[int, str]:
    """Return why a client refuses a pair of certificate and key, as X509_V_ERR_* and in words; 0 when it does not.

    Both sides of the handshake are here, and the network is not asked.
    """
    server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_context.load_cert_chain(*pair)
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = trusted_certificate(ca_file).wrap_bio(down, up, server_hostname=name)
    server = server_context.wrap_bio(up, down, server_side=True)
    waiting = [client, server]
    try:
        while client in waiting:
            for side in tuple(waiting):
                try:
                    side.do_handshake()
                    waiting.remove(side)
                except ssl.SSLWantReadError:
                    continue
    except ssl.SSLCertVerificationError as error:
        return error.verify_code, error.verify_message
    except ssl.SSLError as error:
        return -1, error.reason or str(error)
    return 0, ""


def renewal(certificate: Path, letsencrypt: Path) -> Iterator[Finding]:
    """Does the daemon get to know when certbot has a new one?"""
    try:
        if not (letsencrypt / "renewal").is_dir():
            return
    except PermissionError:
        return
    if certificate.is_relative_to(letsencrypt):
        why = "after each renewal the daemon goes on with the old certificate until it is told"
    else:
        why = "this copy stays as it is when certbot renews, and ends some day"
    if tells_us(letsencrypt):
        yield AREA.ok("renewal", str(letsencrypt), "certbot tells the daemon of renewed certificates")
        return
    yield AREA.warning(
        "renewal",
        str(letsencrypt),
        "certbot does not tell the daemon of renewed certificates",
        why,
        f"{FROM_CERTBOT} has it done from now on",
    )
