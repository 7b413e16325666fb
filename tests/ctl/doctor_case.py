"""Cases for the doctor's checks: settings as text, DNS as a table, a machine of paper."""

from __future__ import annotations

import dataclasses
import socket
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dns.rdata
import dns.rdataclass
import dns.rdatatype

from fedaemon import __version__
from fedaemon.config import parse_settings
from fedaemon.ctl.doctor.case import Case, Stored
from fedaemon.ctl.doctor.finding import Finding
from fedaemon.ctl.doctor.lookup import Lookup
from fedaemon.ctl.doctor.machine import Machine, Program
from fedaemon.mailauth import keys
from fedaemon.mailauth.keys import DkimKey
from fedaemon.mailauth.private_key import new_key
from fedaemon.net.dns_query import Answer, DnsTemporary, Missing

HOST, DOMAIN, ADDRESS = "mail.example.org", "example.org", "11.22.33.44"
NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
PLAIN = f'[server]\nhostname = "{HOST}"\n'


class PaperDns:
    """Answers from *records*, {(name, type): texts}; names in *broken* get no answer."""

    def __init__(self, records: dict[tuple[str, str], list[str]], *, secure: bool = False) -> None:
        self.records = records
        self.broken: set[str] = set()
        self.secure = secure

    def ask(self, name: str, kind: str) -> Answer | Missing:
        while kind != "CNAME" and (name, "CNAME") in self.records:
            name = self.records[name, "CNAME"][0].rstrip(".")
        if name in self.broken:
            raise DnsTemporary(f"DNS cannot answer for {name} {kind} now: SERVFAIL")
        if not any(known == name for known, _ in self.records):
            return Missing(60)
        rdtype = dns.rdatatype.from_text(kind)
        texts = self.records.get((name, kind), [])
        found = tuple(dns.rdata.from_text(dns.rdataclass.IN, rdtype, text) for text in texts)
        return Answer(found, 60, name, self.secure)


class PaperMachine(Machine):
    """A machine with *addresses*, on which *programs* ({port: who}) listen."""

    def __init__(self, *addresses: str, programs: dict[int, Program | None] | None = None) -> None:
        super().__init__(Path("/nowhere"))
        self.addresses = addresses
        self.programs = programs or {}
        self.clock: bool | None = True

    def holds(self, address: str) -> bool:
        return address in self.addresses

    def outgoing(self) -> tuple[str, ...]:
        return self.addresses

    def clock_is_set(self) -> bool | None:
        return self.clock

    def listening(self, port: int) -> bool:
        return port in self.programs

    def who_listens(self, port: int) -> Program | None:
        return self.programs.get(port)


class Refusing:
    """Opens no connection."""

    def __init__(self, error: OSError) -> None:
        self.error = error

    def __call__(
        self, address: tuple[str, int], timeout_s: float, source: tuple[str, int] | None
    ) -> socket.socket:
        raise self.error


def right_records() -> dict[tuple[str, str], list[str]]:
    """Return DNS as it should be for ``HOST`` and ``DOMAIN``, without what is optional."""
    return {
        (HOST, "A"): [ADDRESS],
        (HOST, "TXT"): ['"v=spf1 a -all"'],
        ("44.33.22.11.in-addr.arpa", "PTR"): [f"{HOST}."],
        (DOMAIN, "MX"): [f"10 {HOST}."],
        (DOMAIN, "TXT"): ['"v=spf1 mx -all"'],
        (f"_dmarc.{DOMAIN}", "TXT"): ['"v=DMARC1; p=reject; rua=mailto:postmaster@example.org"'],
    }


def new_case(
    settings: str = PLAIN,
    *,
    records: dict[tuple[str, str], list[str]] | None = None,
    source: Path = Path("/etc/fedaemon/fedaemon.toml"),
    **more: Any,
) -> Case:
    """Return a case: of a server with which all is well, unless said otherwise."""
    values: dict[str, Any] = {
        "stored": Stored((DOMAIN,), accounts=1, postmasters=frozenset((DOMAIN,))),
        "lookup": Lookup(PaperDns(right_records() if records is None else records)),
        "domains": (DOMAIN,),
        "addresses": (ADDRESS,),
        "now": NOW,
        "machine": PaperMachine(ADDRESS),
        "read_status": lambda data_dir: {"reasons": [], "version": __version__},
    }
    return Case(parse_settings(settings, source), **{**values, **more})


def bad(findings: Iterable[Finding]) -> list[Finding]:
    """Return the findings that are not ok."""
    return [finding for finding in findings if finding.level != "ok"]


def the(findings: Iterable[Finding], level: str, check: str) -> Finding:
    """Return the one finding that is not ok; it must have this level and name, and say why and what to do."""
    found = bad(findings)
    assert [(each.level, each.check) for each in found] == [(level, check)], found
    assert found[0].why and (found[0].todo or level == "note")
    return found[0]


def active_key() -> DkimKey:
    """Return an active key of ``DOMAIN``; making one of Ed25519 is cheap."""
    made = keys.make(DOMAIN, "s2026", new_key("ed25519"), int(NOW.timestamp() * 1000))
    return dataclasses.replace(made, state="active")


def stored(*found: DkimKey) -> Stored:
    """Return a store with ``DOMAIN``, an account, a postmaster, and these keys."""
    return Stored((DOMAIN,), accounts=1, postmasters=frozenset((DOMAIN,)), keys={DOMAIN: found})
