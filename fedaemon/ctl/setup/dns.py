"""``fedaemonctl setup dns``: the records to publish, as a table to look at and as a zone file to paste.

Invariants: the zone file is whole; what the table cuts off stands below it, in one line to copy.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final

from fedaemon.config import Settings
from fedaemon.ctl.command import Context
from fedaemon.ctl.dns_host import host_of
from fedaemon.ctl.dns_records import DnsRecord, records, zone_file
from fedaemon.ctl.doctor.machine import Machine
from fedaemon.ctl.setup.daemon import ctl_command
from fedaemon.ctl.setup.files import replace_file
from fedaemon.ctl.setup.steps import Setup
from fedaemon.errors import Refused
from fedaemon.mailauth import keys
from fedaemon.net.certificate_file import read_chain
from fedaemon.net.pem import BadCertificate
from fedaemon.web.advertised import SYSTEMD

WIDTH: Final = 99
"""Of the table."""
NAME_WIDTH: Final = 48
"""Longer names are cut off, too: reverse names of IPv6 addresses."""
ZONE_MODE: Final = 0o644

ADVICE_PTR: Final = (
    'PTR records are set where you rent the server (look for "reverse DNS"), not in your own zone.'
)
ADVICE_NAT: Final = (
    "This machine has no public address of its own (NAT, or no network). Give the one by which others reach it:\n"
    "  {command} --address IP"
)
ADVICE_RELAY: Final = (
    "All mail goes out through {relay}. Its operator may want something else in the SPF record\n"
    "than a:{relay}; ask there."
)
ADVICE_TLSA: Final = (
    "Where {domain} is signed with DNSSEC, a TLSA record at _25._tcp.{host} is possible, but it has to\n"
    "change together with the certificate's key, or mail stays away. MTA-STS has no such trap."
)


def find_records(context: Context, domain: str, addresses: Sequence[str]) -> list[DnsRecord]:
    """Return the records that *domain* should have.

    :param addresses: of this server; those that this machine knows of without them.
    """
    settings = context.settings
    authority = ""
    if settings.tls is not None:
        try:
            with context.as_caller():
                authority = read_chain(settings.tls.certificate)[0].organisation
        except BadCertificate:
            pass  # what is wrong with it is for doctor to say
    host = host_of(settings, addresses or own_addresses(settings), authority)
    return records(domain, host, context.view(lambda snapshot: list(keys.keys(snapshot, domain))))


def own_addresses(settings: Settings) -> list[str]:
    """Return the public addresses on which mail is taken, as far as this machine knows them."""
    named = [
        listener.address
        for listener in settings.listeners
        if listener.service == "mx" and not listener.address.startswith(SYSTEMD)
    ]
    public = [address for address in named if ip_address(address).is_global]
    return public or [address for address in Machine().outgoing() if ip_address(address).is_global]


def tell_records(
    setup: Setup, domain: str, *, addresses: Sequence[str] = (), zone: Path | None = None
) -> None:
    """Print the records of *domain*, after writing them to the file *zone* if there is to be one."""
    context = setup.context
    found = find_records(context, domain, addresses)
    setup.result["records"] = [_as_json(record) for record in found]
    text = f"; Mail records of {domain}, for its zone file.\n{zone_file(found, domain)}"
    if zone is not None:
        _write(context, zone, text)
        setup.result["zone"] = str(zone)
    context.say(f'\nDNS records of {domain}; with "*" are those that it cannot do without:\n')
    for line in table(found):
        context.say(line)
    if zone is None:
        context.say(f"\nThe same for a zone file:\n\n{text}")
    else:
        context.say(f"\nThe same for a zone file is in {zone}.\n")
    for line in _advice(context, domain, found):
        context.say(line)


def table(found: Sequence[DnsRecord]) -> list[str]:
    """Return the records in columns; behind them, in full, the values that were too long for theirs."""
    width = min(NAME_WIDTH, max(len(record.name) for record in found))
    left = WIDTH - width - len("*   CNAME  ")
    lines = [f"  {'NAME':<{width}}  TYPE   VALUE"]
    long = []
    for record in found:
        name = _cut(record.name, width)
        value = _cut(record.value or "(the public address of this server)", left)
        lines.append(f"{'*' if record.needed else ' '} {name:<{width}}  {record.type:<5}  {value}")
        if "…" in name + value:
            long.append(record)
    if long:
        lines.extend(["", "What was cut off, for a web form:"])
        for record in long:
            lines.extend(["", f"{record.name} {record.type}", record.value])
    return lines


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"


def _advice(context: Context, domain: str, found: Sequence[DnsRecord]) -> list[str]:
    settings = context.settings
    lines = []
    if any(not record.value for record in found):
        lines.append(ADVICE_NAT.format(command=ctl_command(context, "setup", "dns", domain)))
    if any(record.type == "PTR" for record in found):
        lines.append(ADVICE_PTR)
    lines.extend(ADVICE_RELAY.format(relay=route.host) for route in settings.routes if route.domain == "*")
    lines.append(ADVICE_TLSA.format(domain=domain, host=settings.server.hostname))
    return lines


def _write(context: Context, path: Path, text: str) -> None:
    with context.as_caller():
        try:
            replace_file(path.absolute(), text.encode("ascii"), ZONE_MODE)
        except OSError as error:
            raise Refused(f"{path} cannot be written: {error.strerror}") from error


def _as_json(record: DnsRecord) -> dict[str, Any]:
    return {
        "name": record.name,
        "type": record.type,
        "value": record.value or None,
        "why": record.why,
        "needed": record.needed,
        "zone": record.zone(),
    }
