"""DNS of a domain, as far as mail depends on it: who takes its mail, who may send it, and how that is proved.

What should be there comes from ``ctl/dns_records.py``, which ``fedaemonctl setup`` prints.

Standards: RFC 5321 5.1 and RFC 7505 (MX, null MX), RFC 7208 3 (SPF), RFC 6376 3.6 (DKIM), RFC 7489 6.3 (DMARC).
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address
from typing import Final

from fedaemon.ctl import dns_records
from fedaemon.ctl.dns_records import DnsRecord
from fedaemon.ctl.doctor.case import Case
from fedaemon.ctl.doctor.finding import Area, Finding
from fedaemon.ctl.doctor.spf import evaluate, spf_records
from fedaemon.mailauth import dns_record
from fedaemon.mailauth.keys import DkimKey

AREA: Final = Area("dns")
_POLICIES: Final = frozenset(("none", "quarantine", "reject"))


def check_domain(case: Case, domain: str) -> Iterator[Finding]:
    """Look at what mail to and from *domain* needs; raises ``Unavailable`` when DNS does not answer."""
    if domain not in case.stored.domains:
        yield AREA.note(
            "domain",
            domain,
            "is not one of the domains of this server",
            "mail for it is refused here, whatever DNS says",
            f"fedaemonctl domain add {domain}",
        )
    yield from mail_exchangers(case, domain)
    yield from sender_policy(case, domain)
    yield from signatures(case, domain)
    yield from dmarc(case, domain)


def expected(case: Case, domain: str, name: str, kind: str) -> DnsRecord | None:
    """Return the record that should be at *name*."""
    records = dns_records.records(domain, case.host(), case.stored.keys.get(domain, ()))
    return next((each for each in records if (each.name, each.type) == (name, kind)), None)


def publish(record: DnsRecord | None) -> str:
    """Say which record to publish."""
    return "" if record is None else f"publish: {record.zone()}"


def mail_exchangers(case: Case, domain: str) -> Iterator[Finding]:
    """Does mail for the domain come here? Spec: RFC 5321 5.1"""
    found = case.lookup.mail_exchangers(domain)
    hosts = [each.host for each in found]
    todo = publish(expected(case, domain, domain, "MX"))
    why = f"other servers do not bring mail for {domain} here"
    if not found:
        if set(case.lookup.addresses(domain)) & set(case.addresses):
            yield AREA.warning(
                "mx",
                domain,
                "has no MX record; mail comes here only because the domain's own address is ours",
                "it stops when the address is changed, such as for a web site",
                todo,
            )
        else:
            yield AREA.problem("mx", domain, "has no MX record", why, todo)
    elif hosts == [""]:
        yield AREA.problem("mx", domain, "says that it takes no mail at all (null MX)", why, todo)
    elif case.hostname not in hosts:
        yield from _other_exchangers(case, domain, hosts, todo)
    else:
        yield AREA.ok("mx", domain, f"mail comes to {case.hostname}")
        if found[0].host != case.hostname:
            yield AREA.note(
                "mx-order",
                domain,
                f"mail comes to {found[0].host} first, and here only when that does not answer",
                "that is right when it is a filter before this server, or this one its stand-in",
                f"otherwise give {case.hostname} the lowest number of the MX records",
            )


def _other_exchangers(case: Case, domain: str, hosts: list[str], todo: str) -> Iterator[Finding]:
    """The MX records name others; under another name it may be us."""
    ours = set(case.addresses)
    same = next((host for host in hosts if host and ours & set(case.lookup.addresses(host))), None)
    if same is not None:
        yield AREA.warning(
            "mx",
            domain,
            f"mail comes here under the name {same}, and the server calls itself {case.hostname}",
            "the certificate must then have both names, or servers with MTA-STS bring nothing",
            todo,
        )
        return
    yield AREA.problem(
        "mx",
        domain,
        f"its MX records name {', '.join(hosts[:4])}, and not {case.hostname}",
        f"other servers bring mail for {domain} there, and not here",
        f"when the move to this server is due, {todo}; until then nothing is wrong",
    )


def sender_policy(case: Case, domain: str) -> Iterator[Finding]:
    """May this server send the domain's mail? Spec: RFC 7208 3, 4"""
    records = spf_records(case.lookup.texts(domain))
    todo = publish(expected(case, domain, domain, "TXT"))
    if not records:
        why = "large providers refuse mail of such a domain or take it for junk; anybody can send in its name"
        yield AREA.problem("spf", domain, "has no SPF record", why, todo)
        return
    if len(records) > 1:
        yield AREA.problem(
            "spf",
            domain,
            f"has {len(records)} SPF records",
            "receivers want exactly one, and take none of them",
            "make one of them: after v=spf1 all terms of both, and one term that ends in all",
        )
        return
    if not case.delivers_itself:
        yield AREA.note(
            "spf",
            domain,
            f"its mail goes out through a relay ([[route]]); its record is: {records[0]}",
            "receivers compare the addresses of the relay with it, which only its operator knows",
            "see that the record has the include: that the operator of the relay names",
        )
        return
    yield from _permitted(case, domain, records[0], todo)


def _permitted(case: Case, domain: str, record: str, todo: str) -> Iterator[Finding]:
    """Evaluate the record for each of our addresses."""
    addresses = [address for address in case.public_addresses() if ip_address(address).is_global]
    for address in addresses:
        found = evaluate(case.lookup, domain, address)
        if found.result == "pass":
            yield AREA.ok("spf", domain, f"its SPF record lets {address} send")
        elif found.result == "permerror":
            yield AREA.problem(
                "spf",
                domain,
                f"its SPF record is of no use: {found.why}",
                "receivers take it as if there were none, some refuse the mail",
                f"correct the record ({record}), or {todo}",
            )
            return
        elif found.unsure:
            yield AREA.note(
                "spf",
                domain,
                f"whether its SPF record lets {address} send cannot be said from here: {record}",
                "its terms with exists, ptr or macros depend on each message",
                "see whether receivers write spf=pass into Authentication-Results",
            )
        else:
            term = f"ip{ip_address(address).version}:{address}"
            yield AREA.problem(
                "spf",
                domain,
                f"its SPF record does not let {address} send ({found.result}): {record}",
                "receivers refuse the domain's mail from this server, or put it into Junk",
                f"add {term} (or mx) before the term that ends in all",
            )


def signatures(case: Case, domain: str) -> Iterator[Finding]:
    """Can receivers check the domain's signatures?"""
    keys = case.stored.keys.get(domain, ())
    active = [key for key in keys if key.state == "active"]
    if domain in case.stored.domains and not active:
        pending = next((key for key in keys if key.state == "pending"), None)
        todo = f"fedaemonctl setup dkim {domain}"
        if pending is not None:
            todo = (
                "publish its record (fedaemonctl dkim show "
                f"{domain} {pending.selector}), then: fedaemonctl dkim activate {domain} {pending.selector}"
            )
        yield AREA.problem(
            "dkim",
            domain,
            "its mail is not signed (DKIM): there is no active key",
            "large providers want a signature, and refuse or doubt mail without one",
            todo,
        )
    now_ms = int(case.now.timestamp() * 1000)
    for key in keys:
        if key.state == "active" or (key.state == "retired" and key.until_ms > now_ms):
            yield _published(case, key)


def _published(case: Case, key: DkimKey) -> Finding:
    where = dns_record.name(key)
    found = dns_record.compare(key, [text.encode() for text in case.lookup.texts(where)])
    if found.good:
        return AREA.ok("dkim", key.domain, f"key {key.selector} ({key.state}): {found.text}")
    what = f"key {key.selector} ({key.state}): {found.text}"
    todo = f"publish the record that this prints: fedaemonctl dkim show {key.domain} {key.selector}"
    if key.state == "active":
        why = "receivers take our signatures for forged, which is worse than none"
        return AREA.problem("dkim", key.domain, what, why, todo)
    why = "mail signed with it is still on its way, and its signature cannot be checked"
    return AREA.warning("dkim", key.domain, what, why, todo)


def dmarc(case: Case, domain: str) -> Iterator[Finding]:
    """What do receivers do with mail in the domain's name that is not its own? Spec: RFC 7489 6.3"""
    name = f"_dmarc.{domain}"
    records = [
        text for text in case.lookup.texts(name) if text.replace(" ", "").lower().startswith("v=dmarc1")
    ]
    todo = publish(expected(case, domain, name, "TXT"))
    if not records:
        why = "large providers want one from whoever sends them much, and without it forged mail is not reported"
        yield AREA.warning("dmarc", domain, "has no DMARC record", why, todo)
        return
    if len(records) > 1:
        yield AREA.problem(
            "dmarc",
            domain,
            f"has {len(records)} DMARC records",
            "receivers want exactly one, and take none of them",
            f"remove all but one of the TXT records at {name}",
        )
        return
    yield judge_dmarc(domain, records[0], todo)


def judge_dmarc(domain: str, record: str, todo: str) -> Finding:
    """Judge the policy in a record."""
    tags = dict(part.partition("=")[::2] for part in "".join(record.split()).split(";"))
    policy = tags.get("p", "").lower()
    if policy not in _POLICIES:
        return AREA.problem(
            "dmarc",
            domain,
            f"its DMARC record has no valid p=: {record[:100]}",
            "receivers ignore the record",
            f"give it p=none, p=quarantine or p=reject; or {todo}",
        )
    if policy == "none":
        return AREA.note(
            "dmarc",
            domain,
            "its DMARC record asks for nothing to be done (p=none)",
            "that is right for the beginning; while it stays, anybody can send in the domain's name",
            "when the reports show nothing but your own servers: p=quarantine, later p=reject",
        )
    return AREA.ok("dmarc", domain, f"its DMARC record is valid (p={policy})")
