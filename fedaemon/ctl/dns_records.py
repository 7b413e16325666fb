"""The DNS records that a mail domain and its server should have, each with the reason.

``setup`` prints them and ``doctor`` compares them with what DNS says; both get them from here, so that what is
advised and what is checked cannot differ. Nothing here asks anybody: the same facts give the same records.

Standards: RFC 5321 5.1 (MX); RFC 7208 2.3, 5.4 (SPF); RFC 6376 3.6 (DKIM); RFC 7489 6.3 (DMARC); RFC 6186 3.4, RFC
8314 5.1 (SRV for mail programs); RFC 8461 3.1 (MTA-STS); RFC 8460 3 (TLSRPT); RFC 8659 4.2 (CAA); RFC 1035 5.1
(zone files).
Invariants: names have no final dot, and neither has a name inside a value, but in ``DnsRecord.zone``.
Known gaps: no TLSA records, as one that is not changed together with the certificate's key keeps mail away.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final, Protocol

from fedaemon.mailauth import dns_record
from fedaemon.mailauth.keys import DkimKey
from fedaemon.web.advertised import SRV_LABELS

MX_PREFERENCE: Final = 10
SRV_SERVICES: Final = ("submission", "imap", "pop3")
"""Services with SRV records, in the order in which they are listed."""
NOT_OFFERED: Final = "0 0 0 ."
"""The SRV value that says "not here", so that nobody tries."""
_NAMES_LAST: Final = frozenset(("CNAME", "MX", "PTR", "SRV"))
"""Types whose value ends with a name."""


class Offer(Protocol):
    """One way for mail programs to reach us, as ``web.advertised.Advertised`` has it."""

    @property
    def service(self) -> str:
        """submission, imap or pop3."""

    @property
    def tls(self) -> str:
        """implicit or starttls."""

    @property
    def port(self) -> int:
        """The TCP port."""


@dataclass(frozen=True, slots=True)
class Host:
    """What the records say of the server, whatever the domain.

    :ivar hostname: its name, as in server.hostname.
    :ivar addresses: its public IP addresses; none when it does not know them, as behind NAT.
    :ivar offers: what mail programs can use.
    :ivar https: it serves what mail programs and other servers fetch over HTTPS, on port 443.
    :ivar http: the same, on port 80.
    :ivar mta_sts: mode of the MTA-STS policy: none, testing or enforce.
    :ivar relays: hosts through which all its mail goes out; none when it delivers by itself.
    :ivar sources: further addresses that its mail comes from.
    :ivar authority: the domain by which the certificate's authority is named in CAA records, "" when not known.
    """

    hostname: str
    addresses: tuple[str, ...] = ()
    offers: Sequence[Offer] = ()
    https: bool = False
    http: bool = False
    mta_sts: str = "testing"
    relays: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    authority: str = ""


@dataclass(frozen=True, slots=True)
class DnsRecord:
    """One record.

    :ivar name: without the final dot.
    :ivar type: A, AAAA, PTR, MX, TXT, SRV, CNAME or CAA.
    :ivar value: as a web form wants it: a TXT record is one text without quotes; names have no final dot. "" when
        it is an address that only the administrator knows.
    :ivar why: what it is for, in one sentence for people.
    :ivar needed: without it mail is lost or refused; otherwise it makes things better.
    """

    name: str
    type: str
    value: str
    why: str
    needed: bool

    def zone(self) -> str:
        """Return the record as a zone file has it; a comment when its value is not known, or when it belongs to
        the zone of whoever gave out the address. Spec: RFC 1035 5.1"""
        if not self.value:
            return f"; {self.name}. IN {self.type} the public address of this server"
        line = f"{self.name}. IN {self.type} {self._zone_value()}"
        return f"; {line}" if self.type == "PTR" else line

    def _zone_value(self) -> str:
        if self.type == "TXT":
            return quoted_strings(self.value)
        if self.type in _NAMES_LAST and not self.value.endswith("."):
            return f"{self.value}."
        return self.value


def quoted_strings(text: str) -> str:
    """Return *text* as the strings of a TXT record in a zone file. Spec: RFC 1035 3.3.14, 5.1"""
    length = dns_record.STRING_OCTETS
    strings = [text[at : at + length] for at in range(0, len(text), length)] or [""]
    escaped = ['"' + each.replace("\\", "\\\\").replace('"', '\\"') + '"' for each in strings]
    return escaped[0] if len(escaped) == 1 else "(\n    " + "\n    ".join(escaped) + " )"


def zone_file(records: Iterable[DnsRecord], domain: str) -> str:
    """Return *records* as the lines to add to the zone file of *domain*; those of other zones are comments."""
    lines = []
    for record in records:
        line = record.zone()
        if not f".{record.name}".endswith(f".{domain}") and not line.startswith(";"):
            line = f"; {line}"
        lines.append(f"; {record.why}\n{line}\n")
    return "".join(lines)


def records(domain: str, host: Host, keys: Iterable[DkimKey] = ()) -> list[DnsRecord]:
    """Return the records that *domain* should have, the needed ones first within each purpose.

    :param domain: in A-label form, as are all names here.
    :param keys: the domain's DKIM keys; those that are pending or active are to be published.
    """
    return [
        *of_host(host),
        DnsRecord(
            domain,
            "MX",
            f"{MX_PREFERENCE} {host.hostname}",
            f"other servers bring mail for {domain} here",
            needed=True,
        ),
        DnsRecord(
            domain,
            "TXT",
            spf(host),
            f"SPF: which servers may send mail as {domain}, and no others",
            needed=True,
        ),
        *_dkim(keys),
        DnsRecord(
            f"_dmarc.{domain}",
            "TXT",
            f"v=DMARC1; p=none; rua=mailto:postmaster@{domain}",
            "DMARC: asks for reports; once they are good, change p=none to p=quarantine, then to p=reject",
            needed=True,
        ),
        *_services(domain, host),
        *_automatic(domain, host),
        *_transport_security(domain, host),
    ]


def of_host(host: Host) -> list[DnsRecord]:
    """Return the records of the server itself, which are the same for every domain."""
    found = []
    for address in host.addresses:
        kind = "A" if ip_address(address).version == 4 else "AAAA"
        found.append(DnsRecord(host.hostname, kind, address, "where this server is", needed=True))
    if not host.addresses:
        why = "where this server is: its public address, which it cannot see itself (NAT)"
        found.append(DnsRecord(host.hostname, "A", "", why, needed=True))
    found.extend(
        DnsRecord(
            ip_address(address).reverse_pointer,
            "PTR",
            host.hostname,
            "reverse name, set where you rent the server: many refuse mail from an address without it",
            needed=True,
        )
        for address in host.addresses
    )
    found.append(
        DnsRecord(
            host.hostname,
            "TXT",
            "v=spf1 a -all",
            "SPF for this server's own name, which reports of failed delivery are checked by",
            needed=False,
        )
    )
    if host.authority:
        found.append(
            DnsRecord(
                host.hostname,
                "CAA",
                f'0 issue "{host.authority}"',
                "no other authority may issue a certificate for this server",
                needed=False,
            )
        )
    return found


def spf(host: Host) -> str:
    """Return the SPF record of a domain whose mail *host* sends. Spec: RFC 7208 5.4, 5.6"""
    words = ["v=spf1", "mx"]
    words.extend(
        f"ip{ip_address(address).version}:{address}"
        for address in host.sources
        if address not in host.addresses
    )
    words.extend(_spf_of_relay(relay) for relay in host.relays)
    return " ".join([*words, "-all"])


def _spf_of_relay(relay: str) -> str:
    try:
        return f"ip{ip_address(relay).version}:{relay}"
    except ValueError:
        return f"a:{relay}"


def _dkim(keys: Iterable[DkimKey]) -> list[DnsRecord]:
    return [
        DnsRecord(
            dns_record.name(key),
            "TXT",
            dns_record.value(key),
            f"DKIM: with this key ({key.algorithm}) other servers check our signatures",
            needed=True,
        )
        for key in keys
        if key.state != "retired"
    ]


def _services(domain: str, host: Host) -> list[DnsRecord]:
    """Return SRV records, by which mail programs find their server. Spec: RFC 6186 3.4, RFC 8314 5.1"""
    ports: dict[tuple[str, str], int] = {}
    for offer in host.offers:
        ports.setdefault((offer.service, offer.tls), offer.port)
    found = []
    wanted = [(service, tls) for service in SRV_SERVICES for tls in ("implicit", "starttls")]
    for service, tls in wanted:
        port = ports.get((service, tls))
        # The priority tells which of IMAP and POP3 to use when a program knows both.
        priority = 10 if service == "pop3" else 0
        value = NOT_OFFERED if port is None else f"{priority} 1 {port} {host.hostname}"
        form = "TLS" if tls == "implicit" else "STARTTLS"
        title = service if service == "submission" else service.upper()
        why = f"mail programs find {title} with {form} here"
        if port is None:
            why = f"mail programs do not look for {title} with {form}: it is not offered"
        found.append(DnsRecord(f"{SRV_LABELS[service, tls]}._tcp.{domain}", "SRV", value, why, needed=False))
    return found


def _automatic(domain: str, host: Host) -> list[DnsRecord]:
    """Return the names at which mail programs ask for their settings."""
    found = []
    if host.http or host.https:
        found.append(_alias("autoconfig", domain, host, "Thunderbird and others find their settings"))
    if host.https:
        found.append(_alias("autodiscover", domain, host, "Outlook finds its settings"))
        why = "Outlook finds its settings, also where the certificate does not name autodiscover"
        value = f"0 1 443 {host.hostname}"
        found.append(DnsRecord(f"_autodiscover._tcp.{domain}", "SRV", value, why, needed=False))
    return [record for record in found if record.name != host.hostname]


def _alias(label: str, domain: str, host: Host, why: str) -> DnsRecord:
    return DnsRecord(f"{label}.{domain}", "CNAME", host.hostname, why, needed=False)


def _transport_security(domain: str, host: Host) -> list[DnsRecord]:
    """Return what other servers learn of TLS towards us. Spec: RFC 8461 3.1, RFC 8460 3"""
    found = []
    if host.https and host.mta_sts != "none":
        why = "MTA-STS: other servers fetch the policy here; the certificate must have this name, too"
        found.append(_alias("mta-sts", domain, host, why))
        value = f"v=STSv1; id={policy_id(host)}"
        why = "MTA-STS: there is a policy; the id changes with it"
        found.append(DnsRecord(f"_mta-sts.{domain}", "TXT", value, why, needed=False))
    value = f"v=TLSRPTv1; rua=mailto:postmaster@{domain}"
    why = "TLSRPT: other servers report when TLS towards us fails"
    found.append(DnsRecord(f"_smtp._tls.{domain}", "TXT", value, why, needed=False))
    return found


def policy_id(host: Host) -> str:
    """Return the id of the MTA-STS policy, another for each content it can have. Spec: RFC 8461 3.1"""
    return hashlib.sha256(f"{host.mta_sts} {host.hostname}".encode()).hexdigest()[:16]
