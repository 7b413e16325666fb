"""Is one of our addresses on a blocklist? Asked only on demand, because the lists get to know who asks.

Standards: RFC 5782 2.1, 2.4 (how lists are asked, and what answers mean).
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address, ip_network
from typing import Final

from fedaemon.ctl.doctor.case import Case
from fedaemon.ctl.doctor.finding import Area, Finding
from fedaemon.ctl.terminal import printable

AREA: Final = Area("blocklists")
LISTS: Final = ("zen.spamhaus.org", "bl.spamcop.net", "b.barracudacentral.org", "psbl.surriel.com")
"""Those that receivers use most."""
_ANSWERS: Final = ip_network("127.0.0.0/8")
_REFUSALS: Final = ip_network("127.255.255.0/24")
"""By which a list says that it does not answer this resolver."""


def check_list(case: Case, address: str, zone: str) -> Iterator[Finding]:
    """Ask one list about one address; raises ``Unavailable`` when DNS does not answer."""
    reverse = ip_address(address).reverse_pointer.removesuffix(".in-addr.arpa").removesuffix(".ip6.arpa")
    name = f"{reverse}.{zone}"
    found = [each for each in case.lookup.addresses(name) if ip_address(each) in _ANSWERS]
    if any(ip_address(each) in _REFUSALS for each in found):
        yield AREA.note(
            "refused",
            zone,
            "does not answer the name servers that are asked here",
            "lists refuse public resolvers and those who ask too much",
            'run a resolver on this machine: apt install unbound, then nameservers = ["127.0.0.1"] in [dns]',
        )
    elif found:
        why = " ".join(case.lookup.texts(name))[:200]
        yield AREA.problem(
            "listed",
            address,
            f"is on the blocklist {zone} ({', '.join(found)}){f': {printable(why)}' if why else ''}",
            "servers that use it refuse mail from this address",
            "find out why first (a stolen password? fedaemonctl queue stats), then ask the list to remove it: "
            f"see https://{zone.partition('.')[2] if zone.count('.') > 1 else zone}",
        )
    else:
        yield AREA.ok("listed", address, f"is not on {zone}")
