"""DNS as checks want it: plain values instead of records.

Invariants: a name that does not exist and one without records of the type asked for are alike: an empty answer.
What cannot be answered now raises ``Unavailable``, and is never taken for "there is none".
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any, NamedTuple, Protocol

from fedaemon.net.dns_query import Answer, Missing


class Asks(Protocol):
    """Who asks name servers: ``net.dns_query.DnsQuery``."""

    def ask(self, name: str, kind: str) -> Answer | Missing:
        """Return the records of type *kind* at *name*; raise ``Unavailable`` when nobody answers."""


class MailExchanger(NamedTuple):
    """An MX record."""

    preference: int
    host: str


class Tlsa(NamedTuple):
    """A TLSA record. Spec: RFC 6698 2.1"""

    usage: int
    selector: int
    matching: int
    data: bytes


class Lookup:
    """Asks *dns*; every method raises ``Unavailable`` when nobody answers."""

    def __init__(self, dns: Asks) -> None:
        self._dns = dns

    def addresses(self, name: str) -> tuple[str, ...]:
        """Return the IPv4 and then the IPv6 addresses of *name*."""
        found = [record.address for kind in ("A", "AAAA") for record in self._records(name, kind)]
        return tuple(str(ip_address(address)) for address in found)

    def alias(self, name: str) -> str | None:
        """Return the name that *name* is an alias (CNAME) of, None when it is none."""
        answer = self._dns.ask(name, "A")
        if isinstance(answer, Missing) or not answer.name or answer.name == name.lower():
            return None
        return answer.name

    def texts(self, name: str) -> list[str]:
        """Return the TXT records at *name*, the strings of each joined."""
        return [b"".join(record.strings).decode("utf-8", "replace") for record in self._records(name, "TXT")]

    def mail_exchangers(self, name: str) -> list[MailExchanger]:
        """Return the MX records, the preferred first; a null MX has the host ""."""
        return sorted(
            MailExchanger(record.preference, _name(record.exchange)) for record in self._records(name, "MX")
        )

    def names_of(self, address: str) -> list[str]:
        """Return the reverse names (PTR) of an address."""
        pointer = ip_address(address).reverse_pointer
        return [_name(record.target) for record in self._records(pointer, "PTR")]

    def services(self, name: str) -> list[str]:
        """Return the SRV records at *name* as "priority weight port host"; the root is "."."""
        return [
            f"{record.priority} {record.weight} {record.port} {_name(record.target) or '.'}"
            for record in self._records(name, "SRV")
        ]

    def tlsa(self, name: str) -> tuple[list[Tlsa], bool]:
        """Return the TLSA records at *name*, and whether DNSSEC vouches for them."""
        answer = self._dns.ask(name, "TLSA")
        if isinstance(answer, Missing):
            return [], False
        records = [Tlsa(each.usage, each.selector, each.mtype, each.cert) for each in answer.records]
        return records, answer.secure

    def _records(self, name: str, kind: str) -> tuple[Any, ...]:
        answer = self._dns.ask(name, kind)
        return () if isinstance(answer, Missing) else answer.records


def _name(name: Any) -> str:
    """Return a name of dnspython as text: lower case, without the final dot."""
    text: str = name.to_text(omit_final_dot=True)
    return "" if text == "." else text.lower()
