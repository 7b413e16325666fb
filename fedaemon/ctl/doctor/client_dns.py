"""DNS by which mail programs find their settings. Nothing of it is needed; what is there should be right.

Standards: RFC 6186 3, RFC 8314 5.1 (SRV); the names autoconfig and autodiscover are the programs' own conventions.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from fedaemon.ctl import dns_records
from fedaemon.ctl.dns_records import DnsRecord
from fedaemon.ctl.doctor.case import Case
from fedaemon.ctl.doctor.certificate import certbot, covers
from fedaemon.ctl.doctor.domain_dns import publish
from fedaemon.ctl.doctor.finding import Area, Finding, counted
from fedaemon.net.certificate_file import read_chain
from fedaemon.net.tls import BadCertificate

AREA: Final = Area("dns")


def check_clients(case: Case, domain: str) -> Iterator[Finding]:
    """Look at what mail programs ask for; raises ``Unavailable`` when DNS does not answer."""
    records = dns_records.records(domain, case.host(), ())
    yield from services(case, domain, [each for each in records if each.type == "SRV"])
    for record in records:
        label = record.name.partition(".")[0]
        if record.type == "CNAME" and label in ("autoconfig", "autodiscover"):
            yield from web_name(case, domain, label, record)


def services(case: Case, domain: str, records: list[DnsRecord]) -> Iterator[Finding]:
    """Compare the SRV records. Which weight and priority they have is their owner's choice."""
    missing: list[DnsRecord] = []
    wrong = False
    for record in records:
        found = [each.split(" ", 2)[2] for each in case.lookup.services(record.name)]
        wanted = record.value.split(" ", 2)[2]
        if not found and record.value != dns_records.NOT_OFFERED:
            missing.append(record)
        elif found and wanted not in found:
            wrong = True
            yield AREA.warning(
                "srv",
                domain,
                f"{record.name} says {_place(found[0])}, and that is {_place(wanted)}",
                "mail programs that ask DNS set themselves up wrongly",
                publish(record),
            )
    if missing:
        yield AREA.note(
            "srv",
            domain,
            f"lacks {counted(len(missing), 'SRV record')} for mail programs",
            "programs that ask for them (such as those of Apple and GNOME) ask their users instead",
            "; ".join(publish(record) for record in missing),
        )
    elif not wrong:
        yield AREA.ok("srv", domain, "its SRV records name the right hosts and ports")


def _place(value: str) -> str:
    port, _, host = value.partition(" ")
    return "not offered" if host == "." else f"{host} port {port}"


def web_name(case: Case, domain: str, label: str, record: DnsRecord) -> Iterator[Finding]:
    """Does a name lead to our web server, and is there a certificate for it?"""
    name = record.name
    addresses = case.lookup.addresses(name)
    if not addresses:
        yield AREA.note(
            label, domain, f"{name} does not exist", f"{record.why} only with it", publish(record)
        )
    elif not set(addresses) & set(case.addresses):
        yield AREA.warning(
            label,
            domain,
            f"{name} leads to {addresses[0]}, which is not this server",
            "mail programs ask there for their settings, and get none or wrong ones",
            publish(record),
        )
    elif case.host().https and label == "autodiscover" and not has_certificate(case, name):
        yield AREA.note(
            label,
            domain,
            f"{name} leads here, and no certificate has this name",
            "Outlook takes settings by HTTPS only; without the name it uses the SRV record, if there is one",
            f"get a certificate with this name as well: {certbot(case, name)}",
        )
    else:
        yield AREA.ok(label, domain, f"{name} leads here")


def has_certificate(case: Case, name: str) -> bool:
    """True when one of our certificates is for *name*."""
    tls = case.settings.tls
    if tls is None:
        return False
    for path in (tls.certificate, *(site.certificate for site in tls.sites)):
        try:
            if covers(read_chain(path)[0].names, name):
                return True
        except BadCertificate:
            continue  # its own check says so
    return False
