"""DNS of the server's own name: to its addresses and back.

Standards: RFC 1034 3.6.2 (aliases), RFC 2181 10.2 and 10.3 (PTR, no alias as a mail exchanger), RFC 5321 4.1.1.1,
RFC 7208 2.3 (SPF of our name).
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address
from typing import Final

from fedaemon.ctl.dns_records import of_host
from fedaemon.ctl.doctor.case import Case
from fedaemon.ctl.doctor.finding import Area, Finding
from fedaemon.ctl.doctor.spf import evaluate

AREA: Final = Area("dns")
_REVERSE: Final = "many servers refuse mail from an address without a reverse name that leads back to it"


def check_host(case: Case) -> Iterator[Finding]:
    """Look at our name and addresses; raises ``Unavailable`` when DNS does not answer."""
    name = case.hostname
    if alias := case.lookup.alias(name):
        yield AREA.problem(
            "alias",
            name,
            f"is an alias (CNAME) of {alias}",
            "a mail exchanger must have addresses itself, and some servers do not follow the alias",
            f"replace the CNAME record of {name} by A and AAAA records, or set hostname = {alias}",
        )
    addresses = case.lookup.addresses(name)
    if not addresses:
        yield missing_address(case)
    for address in addresses:
        yield located(case, address)
    if not case.delivers_itself:
        return  # others see the relay's address and not ours
    for address in case.public_addresses():
        yield from reverse(case, address)
    for address in case.sources():
        if ip_address(address).is_global and address not in addresses:
            yield unnamed_source(case, address)
    yield from own_policy(case)


def missing_address(case: Case) -> Finding:
    """Nobody finds us."""
    known = [address for address in case.sources() if ip_address(address).is_global]
    value = known[0] if known else "YOUR-PUBLIC-ADDRESS"
    kind = "AAAA" if ":" in value else "A"
    return AREA.problem(
        "address",
        case.hostname,
        "has no address in DNS",
        "nobody finds this server by its name: no mail arrives, and no mail program connects",
        f"publish: {case.hostname}. IN {kind} {value}",
    )


def located(case: Case, address: str) -> Finding:
    """Is the address ours, and can others reach it?"""
    if case.machine.holds(address) and ip_address(address).is_global:
        return AREA.ok("address", case.hostname, f"has the address {address}, which is this machine's")
    if not ip_address(address).is_global:
        return AREA.problem(
            "address",
            case.hostname,
            f"has the address {address} in DNS, which is none of the internet",
            "other servers and people elsewhere cannot reach it",
            f"publish the public address of this server for {case.hostname}",
        )
    return AREA.note(
        "address",
        case.hostname,
        f"has the address {address} in DNS, which is not one of this machine's own",
        "behind a router or cloud network (NAT) that is right, if it passes the ports on; otherwise mail for you "
        "goes to another machine",
        "if there is no NAT: publish this machine's address instead (ip -brief address shows it)",
    )


def reverse(case: Case, address: str) -> Iterator[Finding]:
    """Does the address lead to our name, and the name back to it?"""
    wanted = _name_at(case, address)
    names = case.lookup.names_of(address)
    if wanted in names:
        if address in case.lookup.addresses(wanted):
            yield AREA.ok("reverse", address, f"has the reverse name {wanted}, which leads back to it")
        return  # where the name does not lead back, that is said of the name
    set_it = f"have it set to {wanted} by whoever gave you the address (in the provider's panel: rDNS or PTR)"
    if not names:
        yield AREA.problem("reverse", address, "has no reverse name (PTR)", _REVERSE, set_it)
        return
    name = names[0]
    confirmed = address in case.lookup.addresses(name)
    if confirmed:
        yield AREA.warning(
            "reverse",
            address,
            f"has the reverse name {name}, but we greet as {wanted}",
            "some servers count it against a sender when the two differ",
            f"{set_it}; or set hostname = {name}",
        )
    else:
        yield AREA.problem(
            "reverse",
            address,
            f"has the reverse name {name}, which does not lead back to it",
            _REVERSE,
            set_it,
        )


def own_policy(case: Case) -> Iterator[Finding]:
    """Reports of failed delivery have no sender: receivers go by the SPF of our name. Spec: RFC 7208 2.3, 2.4"""
    name = case.hostname
    wanted = next(each for each in of_host(case.host()) if each.type == "TXT")
    results = {
        address: evaluate(case.lookup, name, address).result
        for address in case.public_addresses()
        if ip_address(address).is_global
    }
    wrong = next((address for address, found in results.items() if found not in ("pass", "none")), None)
    if wrong is not None:
        yield AREA.warning(
            "own-spf",
            name,
            f"the SPF record of the server's name does not let {wrong} send ({results[wrong]})",
            "receivers go by it when there is no sender: reports of failed delivery do not arrive",
            f"publish: {wanted.zone()}",
        )
    elif "none" in results.values():
        yield AREA.note(
            "own-spf",
            name,
            "the server's own name has no SPF record",
            "receivers compare it when there is no sender, as in reports of failed delivery",
            f"publish: {wanted.zone()}",
        )
    elif results:
        yield AREA.ok("own-spf", name, "the SPF record of the server's own name lets it send")


def _name_at(case: Case, address: str) -> str:
    """Return our name in EHLO from *address*."""
    named = {source.address: source.hostname for source in case.settings.sources}
    return named.get(address) or case.hostname


def unnamed_source(case: Case, address: str) -> Finding:
    """Mail goes out from an address that our name does not have."""
    name = _name_at(case, address)
    kind = "AAAA" if ":" in address else "A"
    if name != case.hostname and address in case.lookup.addresses(name):
        return AREA.ok("source", address, f"mail goes out from here as {name}")
    return AREA.problem(
        "source",
        address,
        f"mail goes out from this address, and {name} does not have it in DNS",
        _REVERSE,
        f"publish: {name}. IN {kind} {address}; or name the address to use: [[source]] with address = …",
    )
