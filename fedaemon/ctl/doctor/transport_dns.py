"""What other servers learn of TLS towards us: MTA-STS, TLSRPT and DANE, each of them optional.

Standards: RFC 8461 3 (MTA-STS), RFC 8460 3 (TLSRPT), RFC 7672 3.1 (DANE).
Invariants: the policy is fetched as other servers fetch it: over HTTPS, with the certificate checked.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from fedaemon.ctl.dns_records import DnsRecord
from fedaemon.ctl.doctor.case import Case
from fedaemon.ctl.doctor.dialogue import Broken, Conversation, NoTls, reason, trusted_certificate
from fedaemon.ctl.doctor.domain_dns import expected, publish
from fedaemon.ctl.doctor.finding import Area, Finding
from fedaemon.ctl.doctor.web_page import fetch
from fedaemon.delivery.tls_policy.sts_policy import StsPolicy, announced_id, parse_policy
from fedaemon.errors import BadSyntax
from fedaemon.net import certificate_file
from fedaemon.net.tls import BadCertificate

AREA: Final = Area("dns")
POLICY: Final = "/.well-known/mta-sts.txt"


def check_transport(case: Case, domain: str) -> Iterator[Finding]:
    """Look at MTA-STS and TLSRPT of a domain; raises ``Unavailable`` when DNS does not answer."""
    yield from mta_sts(case, domain)
    yield from tls_reports(case, domain)


def mta_sts(case: Case, domain: str) -> Iterator[Finding]:
    """Is there a policy, and does it allow this server?"""
    name = f"_mta-sts.{domain}"
    texts = case.lookup.texts(name)
    announced = announced_id(text.encode() for text in texts)
    if announced is None:
        yield from unannounced(domain, texts, expected(case, domain, name, "TXT"))
        return
    try:
        policy = parse_policy(fetch_policy(case, domain).encode(), announced, 0)
    except (Broken, BadSyntax) as error:
        yield AREA.problem(
            "mta-sts",
            domain,
            f"announces an MTA-STS policy that cannot be had: {error}",
            "other servers report it as a fault, and go by an older policy where they have one",
            f"make https://mta-sts.{domain}{POLICY} answer under a certificate for this name (the http listener "
            f"gives it; certbot -d mta-sts.{domain}), or remove the record {name}",
        )
        return
    yield judge_policy(case, domain, policy)


def unannounced(domain: str, texts: list[str], record: DnsRecord | None) -> Iterator[Finding]:
    """No record announces a policy: one that is not valid, or none, which matters where *record* should be."""
    name = f"_mta-sts.{domain}"
    if any(text.startswith("v=STSv1") for text in texts):
        yield AREA.warning(
            "mta-sts",
            domain,
            f"the record at {name} is not valid: {texts[0][:100]}",
            "other servers take it as if there were none",
            publish(record) or f'it must read: "v=STSv1; id=20260101", and stand there once: {name}',
        )
    elif record is not None:
        yield AREA.note(
            "mta-sts",
            domain,
            "does not announce its MTA-STS policy",
            "with it, servers such as those of Google and Microsoft send to you under verified TLS only",
            publish(record),
        )


def fetch_policy(case: Case, domain: str) -> str:
    """Return the text of a policy; raises ``Broken`` with why not."""
    host = f"mta-sts.{domain}"
    addresses = case.lookup.addresses(host)
    if not addresses:
        raise Broken(f"{host} has no address in DNS")
    try:
        with Conversation(case.connect, addresses[0], case.settings.delivery.mta_sts_port) as talk:
            talk.start_tls(host, trusted_certificate(case.ca_file))
            page = fetch(talk, host, POLICY)
    except NoTls as error:
        what = f"its certificate is refused ({error})" if error.certificate else str(error)
        raise Broken(f"{host}: {what}") from None
    except OSError as error:
        raise Broken(f"{host} ({addresses[0]}): {reason(error)}") from None
    if page.status != 200:
        raise Broken(f"{host} answers with status {page.status}")
    if page.media_type != "text/plain":
        raise Broken(f"{host} gives it as {page.media_type or 'nothing'}, not as text/plain")
    return page.body


def judge_policy(case: Case, domain: str, policy: StsPolicy) -> Finding:
    """A policy in force that leaves this server out keeps mail away."""
    if policy.mode != "none" and not policy.allows(case.hostname):
        level = AREA.problem if policy.mode == "enforce" else AREA.warning
        return level(
            "mta-sts",
            domain,
            f"its MTA-STS policy (mode {policy.mode}) names {', '.join(policy.mx[:4])}, and not {case.hostname}",
            "servers that follow it bring no mail here"
            if policy.mode == "enforce"
            else "with mode: enforce, servers that follow it would bring no mail here",
            f"add the line mx: {case.hostname}, and give the record _mta-sts.{domain} a new id",
        )
    return AREA.ok(
        "mta-sts", domain, f"its MTA-STS policy (mode {policy.mode}) can be had and allows this server"
    )


def tls_reports(case: Case, domain: str) -> Iterator[Finding]:
    """Do others report when TLS fails? Spec: RFC 8460 3"""
    name = f"_smtp._tls.{domain}"
    records = [text for text in case.lookup.texts(name) if text.startswith("v=TLSRPTv1")]
    record = expected(case, domain, name, "TXT")
    if len(records) == 1 and "rua=" in records[0]:
        yield AREA.ok("tlsrpt", domain, "asks other servers for reports on TLS")
    elif records:
        yield AREA.warning(
            "tlsrpt",
            domain,
            f"the record at {name} is not valid: {' / '.join(records)[:100]}",
            "no reports come",
            publish(record),
        )
    else:
        yield AREA.note(
            "tlsrpt",
            domain,
            "does not ask for reports on TLS (TLSRPT)",
            "without them you do not get to know that others cannot reach you under TLS",
            publish(record),
        )


def check_dane(case: Case) -> Iterator[Finding]:
    """TLSA records that do not fit keep mail away. Raises ``Unavailable`` when DNS does not answer."""
    name = f"_25._tcp.{case.hostname}"
    records, secure = case.lookup.tlsa(name)
    tls = case.settings.tls
    if not records or tls is None:
        return
    try:
        fits = any(certificate_file.matches(tls.certificate, *record) for record in records)
    except BadCertificate:
        return  # its own check says so
    if not fits:
        yield AREA.problem(
            "tlsa",
            name,
            "none of the TLSA records is about the certificate",
            "servers that use DANE (many in Europe) bring no mail at all",
            "publish one for the certificate at once, or remove them; to renew without changing the key: "
            "certbot renew --reuse-key",
        )
    elif not secure:
        yield AREA.note(
            "tlsa",
            name,
            "there are TLSA records for the certificate, but DNSSEC does not vouch for them here",
            "without DNSSEC other servers ignore them",
            f"sign the zone of {case.hostname} at your DNS provider (or ask a validating resolver here)",
        )
    else:
        yield AREA.ok("tlsa", name, "the TLSA records are about the certificate")
