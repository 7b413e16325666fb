"""Evaluates an SPF record for an address, as receivers will.

Standards: RFC 7208 4.6 (records and terms), 5 (mechanisms), 6.1 (redirect), 2.6 (results).
Limits: MAX_LOOKUPS terms that ask DNS (RFC 7208 4.6.4), MAX_EXCHANGERS hosts of one "mx".
Known gaps: "exists", "ptr" and macros depend on the message and are taken not to match, which ``unsure`` tells.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final, Literal

from fedaemon.ctl.doctor.lookup import Lookup

Result = Literal["pass", "fail", "softfail", "neutral", "none", "permerror"]

MAX_LOOKUPS: Final = 10
MAX_EXCHANGERS: Final = 10
_RESULTS: Final[dict[str, Result]] = {"+": "pass", "-": "fail", "~": "softfail", "?": "neutral"}
_TERM = re.compile(
    r"([+?~-]?)(all|include|a|mx|ptr|ip4|ip6|exists)(?::([^/]+))?((?:/[0-9]*)*)", re.IGNORECASE
)
_IP_TERM = re.compile(r"([+?~-]?)(ip4|ip6):(.+)", re.IGNORECASE)
_MODIFIER = re.compile(r"([a-z][a-z0-9_.-]*)=(.*)", re.IGNORECASE)


class SpfError(Exception):
    """The record cannot be used (permerror); the text says why."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What a receiver finds. *why* explains a permerror; *unsure*: it has a term that only receivers can judge."""

    result: Result
    why: str = ""
    lookups: int = 0
    unsure: bool = False


def spf_records(texts: list[str]) -> list[str]:
    """Return those of the TXT records of a name that are SPF. Spec: RFC 7208 4.5"""
    return [text for text in texts if text.lower() == "v=spf1" or text.lower().startswith("v=spf1 ")]


def evaluate(lookup: Lookup, domain: str, address: str) -> Evaluation:
    """Return what a receiver finds for mail of *domain* from *address*; raises ``Unavailable``."""
    walk = _Walk(lookup, ip_address(address))
    try:
        result = walk.check(domain)
    except SpfError as error:
        return Evaluation("permerror", str(error), walk.lookups, walk.unsure)
    return Evaluation(result, "", walk.lookups, walk.unsure)


class _Walk:
    def __init__(self, lookup: Lookup, address: IPv4Address | IPv6Address) -> None:
        self._lookup = lookup
        self._address = address
        self.lookups = 0
        self.unsure = False

    def check(self, domain: str) -> Result:
        """Spec: RFC 7208 4"""
        records = spf_records(self._lookup.texts(domain))
        if not records:
            return "none"
        if len(records) > 1:
            raise SpfError(f"{domain} has {len(records)} SPF records, and there must be one")
        redirect = ""
        for term in records[0].split()[1:]:
            if modifier := _MODIFIER.fullmatch(term):
                redirect = modifier[2] if modifier[1].lower() == "redirect" else redirect
            elif result := self._term(term, domain):
                return result
        if not redirect:
            return "neutral"
        self._count()
        found = self.check(redirect)
        if found == "none":
            raise SpfError(f"redirect={redirect}: there is no SPF record")
        return found

    def _term(self, term: str, domain: str) -> Result | None:
        """Return the result of one mechanism, None when it does not match."""
        if found := _IP_TERM.fullmatch(term):
            return _RESULTS[found[1] or "+"] if self._in(found[3], term) else None
        found = _TERM.fullmatch(term)
        if found is None:
            raise SpfError(f'"{term[:60]}" is no term of SPF')
        sign, name, argument, prefixes = found[1] or "+", found[2].lower(), found[3], found[4]
        if name in ("ip4", "ip6") or (name in ("include", "exists") and not argument):
            raise SpfError(f'"{term[:60]}" lacks its value')
        if name != "all" and self._asks(name, argument or domain, prefixes) is False:
            return None
        return _RESULTS[sign]

    def _asks(self, name: str, target: str, prefixes: str) -> bool:
        """Evaluate a mechanism that asks DNS."""
        self._count()
        if name in ("ptr", "exists") or "%" in target:
            self.unsure = True
            return False
        if name == "include":
            result = self.check(target)
            if result == "none":
                raise SpfError(f"include:{target}: there is no SPF record")
            return result == "pass"
        hosts = [target]
        if name == "mx":
            hosts = [each.host for each in self._lookup.mail_exchangers(target) if each.host]
            if len(hosts) > MAX_EXCHANGERS:
                raise SpfError(f"mx:{target}: more than {MAX_EXCHANGERS} mail exchangers")
        length = self._prefix(prefixes)
        return any(
            self._address in ip_network(f"{each}/{length}", strict=False)
            for host in hosts
            for each in self._lookup.addresses(host)
            if ip_address(each).version == self._address.version
        )

    def _prefix(self, prefixes: str) -> int:
        """Return the length of the network meant by "/24", "//64" or "/24//64". Spec: RFC 7208 5.6"""
        four, _, six = prefixes.partition("//")
        text, most = (four.lstrip("/"), 32) if self._address.version == 4 else (six, 128)
        if text and (not text.isdecimal() or int(text) > most):
            raise SpfError(f'"{prefixes}" is no length of a network')
        return int(text) if text else most

    def _in(self, network: str, term: str) -> bool:
        try:
            return self._address in ip_network(network, strict=False)
        except ValueError:
            raise SpfError(f'"{term[:60]}" has no address') from None

    def _count(self) -> None:
        self.lookups += 1
        if self.lookups > MAX_LOOKUPS:
            raise SpfError(f"it needs more than {MAX_LOOKUPS} DNS look-ups")
