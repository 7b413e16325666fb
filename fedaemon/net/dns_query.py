"""Asks name servers one question and reads the answer; blocks, and is run in the resolver's threads.

Theory of operation: the servers are asked in order, twice round, with a longer wait the second time.
SERVFAIL, REFUSED, a timeout or a broken answer means: ask the next one. When the time is up the question has
failed for now. CNAME chains are followed inside an answer, and by asking again where a server gives only the
first link (an authoritative server does when the target lies outside its zones).

Whether an answer is authenticated is left to a validating server: it says so with the AD bit, which is asked
for and believed only where the path to the server can be trusted, by default a server on this machine.

Standards: RFC 1035 7, RFC 2181 10.3, RFC 2308 5 (negative answers), RFC 6891 (EDNS), RFC 5452 (ids and ports
at random, which dnspython does for each query), RFC 4035 4.9 and RFC 6840 5.7 (the AD bit).
Invariants: only NXDOMAIN means that a name does not exist; whatever else goes wrong is temporary. An answer is
secure only when every part of its CNAME chain is.
Limits: ``MAX_LINKS`` answers for one CNAME chain; ``LIFETIME_S``, or as set, for one question with its chain.
Known gaps: no DNSSEC validation of our own.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdatatype
import dns.resolver
from dns.rdtypes.tlsabase import TLSABase

from fedaemon.errors import Refused, Unavailable

Server = tuple[str, int]

WAITS_S = (2.0, 4.0)
"""How long to wait for each server in the first and the second round."""
LIFETIME_S = 15.0
MAX_LINKS = 8
EDNS_OCTETS = 1232
"""Fits every path without fragments (DNS flag day 2020)."""

_ANSWERS = (dns.rcode.NOERROR, dns.rcode.NXDOMAIN)
_OPTIONS: dict[str, Any] = {"ignore_unexpected": True}
if "ignore_errors" in inspect.signature(dns.query.udp).parameters:
    # dnspython 2.6 and later: a forged datagram does not end the wait for the true one (CVE-2023-29483).
    _OPTIONS["ignore_errors"] = True
if hasattr(TLSABase, "_cert_length_by_mtype"):
    # dnspython 2.9 takes a whole answer for broken when one digest in it has the wrong length. RFC 6698 4.1 has us
    # pass over that record and use the others.
    TLSABase._cert_length_by_mtype = {}


class NoSuchName(Refused):
    """The name does not exist (NXDOMAIN). Spec: RFC 8020."""

    code = 550
    status = "5.1.2"


class DnsTemporary(Unavailable):
    """The question could not be answered now: timeout, SERVFAIL, REFUSED, or nonsense."""

    code = 451
    status = "4.4.3"


@dataclass(frozen=True, slots=True)
class Answer:
    """The records of one type at a name, none for "no data", and for how long that holds.

    *name* is where the aliases led, in lower case without the final dot; *secure* says that DNSSEC
    authenticates all of it.
    """

    records: tuple[Any, ...]
    ttl_s: int
    name: str = ""
    secure: bool = False


@dataclass(frozen=True, slots=True)
class Missing:
    """The name does not exist, and for how long that holds."""

    ttl_s: int


class DnsQuery:
    """Knows the name servers; safe to use from several threads.

    :param trust_ad: believe the servers when they say that an answer is authenticated; None: only when all of
        them are on this machine.
    :param lifetime_s: how long one question may take, its chain of aliases included.
    """

    def __init__(
        self, servers: Sequence[Server], trust_ad: bool | None = None, lifetime_s: float = LIFETIME_S
    ) -> None:
        self._servers = tuple(servers)
        self._lifetime_s = lifetime_s
        self._trust_ad = all(map(is_local, self._servers)) if trust_ad is None else trust_ad
        # The server that answered last is asked first, so that a dead first one costs its wait only once.
        self._first = 0

    def ask(self, name: str, kind: str) -> Answer | Missing:
        """Return the records of type *kind* ("MX", "A", "AAAA", "TXT") at *name*.

        :param name: in A-labels, absolute with or without the final dot.
        :raises DnsTemporary: no server gave a usable answer; so says a validating server of a forged one.
        """
        rdtype = dns.rdatatype.from_text(kind)
        try:
            target = dns.name.from_text(name)
        except (dns.exception.DNSException, UnicodeError):
            return Missing(ttl_s=86_400)  # a name that cannot be written cannot exist
        deadline = time.monotonic() + self._lifetime_s
        ttl_s, secure = 86_400, self._trust_ad
        for _ in range(MAX_LINKS):
            response = self._exchange(target, rdtype, deadline)
            try:
                chain = response.resolve_chaining()
            except dns.exception.DNSException as error:
                raise DnsTemporary(f"DNS gives no usable answer for {target} {kind}: {error}") from None
            ttl_s = min(ttl_s, chain.minimum_ttl)
            secure = secure and bool(response.flags & dns.flags.AD)
            if chain.answer is not None:
                return Answer(tuple(chain.answer), ttl_s, _text(chain.canonical_name), secure)
            if response.rcode() == dns.rcode.NXDOMAIN:
                return Missing(ttl_s)
            has_soa = any(rrset.rdtype == dns.rdatatype.SOA for rrset in response.authority)
            if has_soa or chain.canonical_name == target:
                return Answer((), ttl_s, _text(chain.canonical_name), secure)
            target = chain.canonical_name
        raise DnsTemporary(f"DNS aliases of {name} lead in a circle or too far (more than {MAX_LINKS})")

    def _exchange(self, name: dns.name.Name, rdtype: Any, deadline: float) -> dns.message.QueryMessage:
        """Ask the servers until one gives an answer."""
        problem = "no name server is set"
        count, first = len(self._servers), self._first
        for wait_s in WAITS_S:
            for position in range(first, first + count):
                server = self._servers[position % count]
                left_s = deadline - time.monotonic()
                if left_s <= 0:
                    break
                response, problem = _ask_one(server, name, rdtype, min(wait_s, left_s), self._trust_ad)
                if response is not None:
                    self._first = position % count
                    return response
        kind = dns.rdatatype.to_text(rdtype)
        raise DnsTemporary(f"DNS cannot answer for {name.to_text(omit_final_dot=True)} {kind} now: {problem}")


def _ask_one(
    server: Server, name: dns.name.Name, rdtype: Any, wait_s: float, authenticated: bool
) -> tuple[dns.message.QueryMessage | None, str]:
    """Return the answer of one server, or None and what was wrong; *authenticated*: ask for the AD bit."""
    host, port = server
    where = f"{host} port {port}"
    query = dns.message.make_query(name, rdtype, use_edns=0, payload=EDNS_OCTETS, want_dnssec=authenticated)
    if authenticated:
        # The bit alone would do (RFC 6840 5.7), but older servers want to see DO before they give AD.
        query.flags |= dns.flags.AD
    try:
        response, _ = dns.query.udp_with_fallback(query, host, timeout=wait_s, port=port, **_OPTIONS)
        if response.rcode() in (dns.rcode.FORMERR, dns.rcode.NOTIMP, dns.rcode.BADVERS):
            plain = dns.message.make_query(name, rdtype)  # RFC 6891 7: a server that knows no EDNS
            response, _ = dns.query.udp_with_fallback(plain, host, timeout=wait_s, port=port, **_OPTIONS)
    except dns.exception.Timeout:
        return None, f"{where} does not answer"
    except (dns.exception.DNSException, OSError, EOFError, ValueError) as error:
        return None, f"{where}: {error}"
    if response.rcode() not in _ANSWERS or not isinstance(response, dns.message.QueryMessage):
        return None, f"{where} answers {dns.rcode.to_text(response.rcode())}"
    if response.flags & dns.flags.QR == 0:
        return None, f"{where} sends back the question"
    return response, ""


def is_local(server: Server) -> bool:
    """True for a server on this machine: nobody on the network can speak in its place."""
    try:
        return ip_address(server[0].partition("%")[0]).is_loopback
    except ValueError:
        return False


def _text(name: dns.name.Name) -> str:
    text: str = name.to_text(omit_final_dot=True)
    return text.lower()


def system_servers() -> list[Server]:
    """Return the system's name servers, as /etc/resolv.conf has them; the local host when it has none."""
    try:
        configured = dns.resolver.Resolver()
    except (dns.exception.DNSException, OSError):
        return [("127.0.0.1", 53)]
    return [(str(server), configured.port) for server in configured.nameservers]
