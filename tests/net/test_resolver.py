"""The resolver against a scripted name server: answers, failures, cache and joining."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest

from fedaemon.errors import Unavailable
from fedaemon.net import dns_query, resolver
from fedaemon.net.resolver import DnsTemporary, Mx, NoSuchName, Resolver
from tests.net.conftest import ThreadClock
from tests.net.dns_server import NameServer, Script, kind_of, reply

SOA = "example.org. 600 IN SOA ns.example.org. admin.example.org. 1 7200 900 1209600 120"

LONG_SOA = "example.org. 86400 IN SOA ns.example.org. admin.example.org. 1 7200 900 1209600 86400"

Serve = Callable[[Script], NameServer]


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the waits short, for servers that stay silent or talk nonsense."""
    monkeypatch.setattr(dns_query, "WAITS_S", (0.1, 0.2))


@pytest.fixture
def asked_servers(monkeypatch: pytest.MonkeyPatch) -> list[dns_query.Server]:
    """Note which server is asked, in order."""
    asked: list[dns_query.Server] = []
    ask_one = dns_query._ask_one

    def noting(server: dns_query.Server, *arguments: Any) -> Any:
        asked.append(server)
        return ask_one(server, *arguments)

    monkeypatch.setattr(dns_query, "_ask_one", noting)
    return asked


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Start name servers."""
    running: list[NameServer] = []

    def start(script: Script) -> NameServer:
        running.append(NameServer(script))
        return running[-1]

    yield start
    for server in running:
        server.close()


@pytest.fixture
def ask(reactor: ThreadClock) -> Iterator[Callable[..., Resolver]]:
    made: list[Resolver] = []

    def make(*servers: NameServer, threads: int = 4, trust_ad: bool | None = None) -> Resolver:
        made.append(Resolver(reactor, [server.address for server in servers], threads, trust_ad))
        return made[-1]

    yield make
    for each in made:
        each.stop()


Ask = Callable[..., Resolver]


def by_type(**answers: tuple[str, ...]) -> Script:
    """Answer each type with its records, other types with "no data"."""

    def script(query: dns.message.Message) -> dns.message.Message:
        records = answers.get(kind_of(query), ())
        return reply(query, *records, authority=() if records else (SOA,))

    return script


def test_mx_hosts_come_best_first_and_in_one_form(reactor: ThreadClock, serve: Serve, ask: Ask) -> None:
    """Preference decides the order; host names are lower case without the final dot."""
    server = serve(
        by_type(MX=("example.org. 300 IN MX 20 B.example.ORG.", "example.org. 300 IN MX 5 a.example.org."))
    )
    found = reactor.wait_for(ask(server).mx("example.org"))
    assert found in ([Mx(5, "a.example.org")], [Mx(5, "a.example.org"), Mx(20, "b.example.org")])


def test_null_mx_is_seen_as_such(reactor: ThreadClock, serve: Serve, ask: Ask) -> None:
    """RFC 7505: the root as the only exchanger means that the domain takes no mail."""
    server = serve(by_type(MX=("example.org. 300 IN MX 0 .",)))
    assert reactor.wait_for(ask(server).mx("example.org")) == [Mx(0, ".")]


def test_no_mx_is_an_empty_list_and_no_name_an_error(reactor: ThreadClock, serve: Serve, ask: Ask) -> None:
    """No data leads to the implicit MX; only NXDOMAIN is permanent."""
    asked = ask(serve(by_type()))
    assert reactor.wait_for(asked.mx("example.org")) == []
    missing = ask(serve(lambda query: reply(query, authority=(SOA,), rcode=dns.rcode.NXDOMAIN)))
    with pytest.raises(NoSuchName) as caught:
        reactor.wait_for(missing.mx("nothing.example.org"))
    assert (caught.value.code, caught.value.status) == (550, "5.1.2")
    assert "nothing.example.org" in caught.value.text


@pytest.mark.parametrize("name", ["a..b", "x" * 64 + ".org", ".".join(["abcdefgh"] * 40)])
def test_a_name_that_dns_cannot_hold_does_not_exist(
    reactor: ThreadClock, serve: Serve, ask: Ask, name: str
) -> None:
    """Empty and overlong labels need no question to anybody."""
    server = serve(by_type())
    with pytest.raises(NoSuchName):
        reactor.wait_for(ask(server).mx(name))
    assert not server.questions


@pytest.mark.parametrize(
    "rcode", [dns.rcode.SERVFAIL, dns.rcode.REFUSED, dns.rcode.NOTIMP, dns.rcode.FORMERR]
)
def test_a_server_that_cannot_answer_is_temporary(
    reactor: ThreadClock, serve: Serve, ask: Ask, rcode: int
) -> None:
    """Never permanent by default: what a broken server says proves nothing about the domain."""
    server = serve(lambda query: reply(query, rcode=rcode))
    with pytest.raises(DnsTemporary) as caught:
        reactor.wait_for(ask(server).mx("example.org"))
    assert (caught.value.code, caught.value.status) == (451, "4.4.3")
    assert "example.org MX" in caught.value.text


@pytest.mark.usefixtures("impatient")
def test_silence_is_temporary_after_two_rounds(
    reactor: ThreadClock, serve: Serve, ask: Ask, asked_servers: list[dns_query.Server]
) -> None:
    """A timeout is tried again once before it is reported."""
    server = serve(lambda query: None)
    with pytest.raises(DnsTemporary, match="does not answer"):
        reactor.wait_for(ask(server).mx("example.org"))
    assert asked_servers == [server.address] * 2


@pytest.mark.usefixtures("impatient")
def test_the_next_server_is_asked_and_then_kept_first(
    reactor: ThreadClock, serve: Serve, ask: Ask, asked_servers: list[dns_query.Server]
) -> None:
    """A dead first server costs its wait once, not for every question."""
    dead = serve(lambda query: None)
    failing = serve(lambda query: reply(query, rcode=dns.rcode.SERVFAIL))
    good = serve(by_type(A=("a.example.org. 60 IN A 192.0.2.1",)))
    asked = ask(dead, failing, good, threads=1)
    assert reactor.wait_for(asked.addresses("a.example.org")) == ["192.0.2.1"]
    assert asked_servers == [dead.address, failing.address, good.address, good.address]


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("octets", [b"", b"nonsense", bytes(12)])
def test_nonsense_on_the_wire_is_temporary(
    reactor: ThreadClock, serve: Serve, ask: Ask, octets: bytes
) -> None:
    """Datagrams that are no answer never count as one."""
    with pytest.raises(DnsTemporary):
        reactor.wait_for(ask(serve(lambda query: octets)).mx("example.org"))


@pytest.mark.usefixtures("impatient")
def test_an_answer_to_another_question_is_not_taken(reactor: ThreadClock, serve: Serve, ask: Ask) -> None:
    """RFC 5452: id and question must be ours, or a forger's guess would be believed."""

    def script(query: dns.message.Message) -> dns.message.Message:
        forged = dns.message.make_query("other.example.org", "MX")
        forged.id = query.id
        return reply(forged, "other.example.org. 300 IN MX 1 evil.example.")

    with pytest.raises(DnsTemporary):
        reactor.wait_for(ask(serve(script)).mx("example.org"))


def test_a_server_without_edns_is_asked_without(reactor: ThreadClock, serve: Serve, ask: Ask) -> None:
    """RFC 6891 7: FORMERR or NOTIMP to EDNS means: ask as in 1987."""

    def script(query: dns.message.Message) -> dns.message.Message:
        if query.edns >= 0:
            plain = dns.message.make_query("example.org", "MX")
            plain.id = query.id
            return reply(plain, rcode=dns.rcode.FORMERR)
        return reply(query, "example.org. 300 IN MX 1 mx.example.org.")

    server = serve(script)
    assert reactor.wait_for(ask(server).mx("example.org")) == [Mx(1, "mx.example.org")]
    assert server.had_edns == [True, False]


def test_a_long_answer_is_fetched_over_tcp(reactor: ThreadClock, serve: Serve, ask: Ask) -> None:
    """A truncated datagram is not the answer; the whole comes over TCP."""

    def script(query: dns.message.Message) -> dns.message.Message:
        long = " ".join(f'"{"x" * 200}"' for _ in range(10))
        response = reply(query, f"example.org. 300 IN TXT {long}")
        response.flags |= dns.flags.TC
        return response

    server = serve(script)
    assert reactor.wait_for(ask(server).txt("example.org")) == [b"x" * 2000]
    assert server.tcp_questions == 1


def test_aliases_inside_an_answer_are_followed(reactor: ThreadClock, serve: Serve, ask: Ask) -> None:
    """A CNAME chain as recursive servers give it costs one question."""
    server = serve(
        by_type(
            A=(
                "a.example.org. 60 IN CNAME b.example.org.",
                "b.example.org. 60 IN CNAME c.example.org.",
                "c.example.org. 60 IN A 192.0.2.3",
            )
        )
    )
    assert reactor.wait_for(ask(server).addresses("a.example.org")) == ["192.0.2.3"]
    assert server.questions == {("a.example.org.", "A"): 1, ("a.example.org.", "AAAA"): 1}


def test_an_alias_without_its_target_is_asked_for(reactor: ThreadClock, serve: Serve, ask: Ask) -> None:
    """An authoritative server gives only the first link when the target lies elsewhere."""

    def script(query: dns.message.Message) -> dns.message.Message:
        if query.question[0].name.to_text() == "example.org.":
            return reply(query, "example.org. 60 IN CNAME elsewhere.example.")
        return reply(query, "elsewhere.example. 60 IN MX 1 mx.elsewhere.example.")

    assert reactor.wait_for(ask(serve(script)).mx("example.org")) == [Mx(1, "mx.elsewhere.example")]


@pytest.mark.parametrize("hosts", [1, 2, 1000])
def test_alias_loops_and_endless_chains_end(reactor: ThreadClock, serve: Serve, ask: Ask, hosts: int) -> None:
    """A zone that leads in circles gets a bounded number of questions and a temporary answer."""

    def script(query: dns.message.Message) -> dns.message.Message:
        name = query.question[0].name.to_text()
        number = int(name[1:].partition(".")[0])
        return reply(query, f"{name} 60 IN CNAME h{(number + 1) % hosts}.example.org.")

    server = serve(script)
    with pytest.raises(DnsTemporary):
        reactor.wait_for(ask(server).mx("h0.example.org"))
    assert sum(server.questions.values()) <= dns_query.MAX_LINKS


def test_a_loop_inside_one_answer_ends(reactor: ThreadClock, serve: Serve, ask: Ask) -> None:
    """Two aliases that point at each other in the same datagram."""
    server = serve(
        by_type(MX=("a.example.org. 60 IN CNAME b.example.org.", "b.example.org. 60 IN CNAME a.example.org."))
    )
    with pytest.raises(DnsTemporary):
        reactor.wait_for(ask(server).mx("a.example.org"))


def test_addresses_take_turns(reactor: ThreadClock, serve: Serve, ask: Ask) -> None:
    """IPv6 first, then IPv4, by turns: one family that is cut off costs one attempt before the other's."""

    def script(query: dns.message.Message) -> dns.message.Message:
        response = reply(query)
        kind = kind_of(query)
        hosts = {"A": ("192.0.2.1",), "AAAA": ("2001:db8::1", "2001:db8::2")}[kind]
        response.answer.append(dns.rrset.from_text("a.example.org.", 60, "IN", kind, *hosts))
        return response

    found = reactor.wait_for(ask(serve(script)).addresses("a.example.org"))
    assert [":" in address for address in found] == [True, False, True]
    assert sorted(found) == ["192.0.2.1", "2001:db8::1", "2001:db8::2"]


@pytest.mark.parametrize(
    ("a", "aaaa", "expected"),
    [
        (("a.example.org. 60 IN A 192.0.2.1",), dns.rcode.SERVFAIL, ["192.0.2.1"]),
        (("a.example.org. 60 IN A 192.0.2.1",), dns.rcode.NXDOMAIN, ["192.0.2.1"]),
        ((), dns.rcode.SERVFAIL, DnsTemporary),
        ((), dns.rcode.NXDOMAIN, NoSuchName),
        ((), dns.rcode.NOERROR, []),
    ],
)
def test_one_family_makes_up_for_the_other(
    reactor: ThreadClock, serve: Serve, ask: Ask, a: tuple[str, ...], aaaa: int, expected: Any
) -> None:
    """Addresses that are known are used; without any, a failure stays a failure."""

    def script(query: dns.message.Message) -> dns.message.Message:
        if kind_of(query) == "A":
            return reply(query, *a, authority=(SOA,))
        return reply(query, authority=(SOA,), rcode=aaaa)

    asked = ask(serve(script)).addresses("a.example.org")
    if isinstance(expected, list):
        assert reactor.wait_for(asked) == expected
    else:
        with pytest.raises(expected):
            reactor.wait_for(asked)


@pytest.mark.parametrize(
    ("ttl", "kept_s"), [(0, 5), (300, 300), (604_800, 86_400)], ids=["floor", "as said", "ceiling"]
)
def test_answers_are_kept_as_long_as_the_zone_says(
    reactor: ThreadClock, serve: Serve, ask: Ask, ttl: int, kept_s: int
) -> None:
    """Between five seconds and a day; case and final dot make no difference."""
    server = serve(by_type(MX=(f"example.org. {ttl} IN MX 1 mx.example.org.",)))
    asked = ask(server)
    first = reactor.wait_for(asked.mx("example.org"))
    reactor.advance(kept_s - 1)
    assert reactor.wait_for(asked.mx("Example.ORG.")) == first
    assert server.questions["example.org.", "MX"] == 1
    reactor.advance(2)
    reactor.wait_for(asked.mx("example.org"))
    assert server.questions["example.org.", "MX"] == 2


@pytest.mark.parametrize(
    ("rcode", "authority", "kept_s"),
    [
        (dns.rcode.NXDOMAIN, (SOA,), 120),
        (dns.rcode.NOERROR, (SOA,), 120),
        (dns.rcode.NXDOMAIN, (LONG_SOA,), 300),
        (dns.rcode.SERVFAIL, (), 5),
    ],
)
def test_negative_answers_are_kept_for_a_short_time(
    reactor: ThreadClock, serve: Serve, ask: Ask, rcode: int, authority: tuple[str, ...], kept_s: int
) -> None:
    """RFC 2308: the SOA's minimum, at most five minutes; RFC 9520: a failure is remembered for a moment."""
    server = serve(lambda query: reply(query, authority=authority, rcode=rcode))
    asked = ask(server)

    def ask_again() -> int:
        deferred = asked.mx("example.org")
        deferred.addErrback(lambda failure: failure.value)
        reactor.wait_for(deferred)
        return server.questions["example.org.", "MX"]

    first = ask_again()
    reactor.advance(kept_s - 1)
    assert ask_again() == first
    reactor.advance(2)
    assert ask_again() > first


def test_equal_questions_are_joined(reactor: ThreadClock, serve: Serve, ask: Ask) -> None:
    """A thousand recipients in one domain ask for its MX once, and one who gives up harms no other."""
    server = serve(by_type(MX=("example.org. 300 IN MX 1 mx.example.org.",)))
    asked = ask(server)
    waiting = [asked.mx("example.org") for _ in range(1000)]
    waiting[0].addErrback(lambda _: "gave up")
    waiting[0].cancel()
    assert reactor.wait_for(waiting[0]) == "gave up"
    assert all(reactor.wait_for(each) == [Mx(1, "mx.example.org")] for each in waiting[1:])
    assert server.questions["example.org.", "MX"] == 1


def test_the_cache_is_bounded(
    reactor: ThreadClock, serve: Serve, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was used least recently makes room."""
    monkeypatch.setattr(resolver, "CACHE_ENTRIES", 3)
    server = serve(lambda query: reply(query, authority=(SOA,)))
    asked = ask(server)
    for name in ("a", "b", "c", "a", "d", "a", "b"):
        reactor.wait_for(asked.mx(f"{name}.example.org"))
    counts = {name[0]: count for (name, _), count in server.questions.items()}
    assert counts == {"a": 1, "b": 2, "c": 1, "d": 1}


def test_a_bug_in_reading_an_answer_is_temporary(
    reactor: ThreadClock, serve: Serve, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever a zone makes dnspython stumble over, no message bounces for it."""

    def broken(*_: object) -> None:
        raise ZeroDivisionError("bug")

    monkeypatch.setattr(dns_query.DnsQuery, "ask", broken)
    with pytest.raises(DnsTemporary, match="ZeroDivisionError"):
        reactor.wait_for(ask(serve(by_type())).mx("example.org"))


def test_stop_fails_what_waits_at_once(reactor: ThreadClock, serve: Serve, ask: Ask) -> None:
    """The end of the process does not wait for a silent name server, and late answers reach nobody."""
    release = threading.Event()

    def script(query: dns.message.Message) -> dns.message.Message:
        release.wait(10)
        return reply(query, authority=(SOA,))

    asked = ask(serve(script))
    waiting = asked.mx("example.org")
    asked.stop()
    release.set()
    with pytest.raises(Unavailable, match="stopped"):
        reactor.wait_for(waiting)
    with pytest.raises(Unavailable, match="stopped"):
        reactor.wait_for(asked.mx("other.example.org"))


def test_a_port_nobody_listens_on_is_temporary(reactor: ThreadClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """The name server is down: try again later."""
    monkeypatch.setattr(dns_query, "WAITS_S", (0.15,))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as unused:
        unused.bind(("127.0.0.1", 0))
        address = unused.getsockname()
    with pytest.raises(DnsTemporary):
        reactor.wait_for(Resolver(reactor, [address]).mx("example.org"))


def test_system_name_servers_have_addresses_and_ports() -> None:
    """Without a setting the servers of /etc/resolv.conf are used, or the local host."""
    found = dns_query.system_servers()
    assert found
    assert all(host and 0 < port < 65536 for host, port in found)


def authenticated(script: Script) -> Script:
    """Let a script's answers say that DNSSEC authenticates them."""

    def with_ad(query: dns.message.Message) -> dns.message.Message | bytes | None:
        response = script(query)
        assert isinstance(response, dns.message.Message)
        response.flags |= dns.flags.AD
        return response

    return with_ad


def test_the_servers_word_for_dnssec_is_asked_for_and_passed_on(
    reactor: ThreadClock, serve: Serve, ask: Ask
) -> None:
    """RFC 6840 5.7: AD in the question (and DO, for older servers) asks for AD in the answer."""
    asked_with: list[tuple[bool, bool]] = []

    def script(query: dns.message.Message) -> dns.message.Message:
        asked_with.append((bool(query.flags & dns.flags.AD), bool(query.ednsflags & dns.flags.DO)))
        return reply(query, "example.org. 300 IN MX 1 mx.example.org.")

    found = reactor.wait_for(ask(serve(authenticated(script))).mx_answer("example.org"))
    assert (found.records, found.secure) == ((Mx(1, "mx.example.org"),), True)
    assert reactor.wait_for(ask(serve(script)).mx_answer("example.org")).secure is False
    assert asked_with == [(True, True)] * 2


def test_a_server_that_is_not_trusted_is_not_believed(reactor: ThreadClock, serve: Serve, ask: Ask) -> None:
    """RFC 4035 4.9.3: anybody between us and the server could have set the bit; then it is not even asked for."""
    asked_with: list[int] = []

    def script(query: dns.message.Message) -> dns.message.Message:
        asked_with.append(query.flags & dns.flags.AD | query.ednsflags & dns.flags.DO)
        return reply(query, "_25._tcp.a.example.org. 300 IN TLSA 3 1 1 " + "ab" * 32)

    asked = ask(serve(authenticated(script)), trust_ad=False)
    found = reactor.wait_for(asked.tlsa("_25._tcp.a.example.org"))
    assert (len(found.records), found.secure) == (1, False)
    assert asked_with == [0]


@pytest.mark.parametrize(
    ("servers", "setting", "trusted"),
    [
        (["127.0.0.1"], None, True),
        (["127.0.0.53", "::1"], None, True),
        (["127.0.0.1", "192.0.2.1"], None, False),
        (["fe80::1%eth0"], None, False),
        (["192.0.2.1"], True, True),
        (["127.0.0.1"], False, False),
    ],
)
def test_only_servers_on_this_machine_are_trusted_by_default(
    servers: list[str], setting: bool | None, trusted: bool
) -> None:
    """One server elsewhere is enough to trust none; the setting decides otherwise."""
    query = dns_query.DnsQuery([(server, 53) for server in servers], setting)
    assert query._trust_ad is trusted


def test_no_records_can_be_secure_too(reactor: ThreadClock, serve: Serve, ask: Ask) -> None:
    """A proven absence of MX records leads securely to the domain itself."""
    asked = ask(serve(authenticated(by_type())))
    found = reactor.wait_for(asked.mx_answer("example.org"))
    assert (found.records, found.secure) == ((), True)


def test_every_part_of_a_chain_of_aliases_must_be_secure(
    reactor: ThreadClock, serve: Serve, ask: Ask
) -> None:
    """An alias in an unsigned zone could lead anywhere, and one that is asked for separately counts as well."""

    secure: set[str] = set()

    def script(query: dns.message.Message) -> dns.message.Message:
        name = query.question[0].name.to_text()
        if name == "example.org.":
            response = reply(query, "example.org. 60 IN CNAME elsewhere.example.")
        else:
            response = reply(query, "elsewhere.example. 60 IN MX 1 mx.elsewhere.example.")
        response.flags |= dns.flags.AD if name in secure else 0
        return response

    found = []
    for signed in ({"example.org.", "elsewhere.example."}, {"example.org."}, {"elsewhere.example."}):
        secure.clear()
        secure.update(signed)
        found.append(reactor.wait_for(ask(serve(script)).mx_answer("example.org")).secure)
    assert found == [True, False, False]


@pytest.mark.parametrize("kinds", [("A", "AAAA"), ("A",), ("AAAA",), ()])
def test_addresses_are_secure_when_both_answers_are(
    reactor: ThreadClock, serve: Serve, ask: Ask, kinds: tuple[str, ...]
) -> None:
    """The addresses of both families are dialled, so both must be authenticated."""

    def script(query: dns.message.Message) -> dns.message.Message:
        kind = kind_of(query)
        address = {"A": "192.0.2.1", "AAAA": "2001:db8::1"}[kind]
        response = reply(
            query,
            "alias.example.org. 60 IN CNAME Host.example.org.",
            f"host.example.org. 60 IN {kind} {address}",
        )
        response.flags |= dns.flags.AD if kind in kinds else 0
        return response

    found = reactor.wait_for(ask(serve(script)).address_answer("alias.example.org"))
    assert set(found.addresses) == {"192.0.2.1", "2001:db8::1"}
    assert found.name == "host.example.org"
    assert found.secure is (len(kinds) == 2)


def test_tlsa_records_are_given_as_they_are(reactor: ThreadClock, serve: Serve, ask: Ask) -> None:
    """RFC 6698 2.1: usage, selector, matching type and data, of any value; who uses them judges them."""
    server = serve(by_type(TLSA=("_25._tcp.mx.example.org. 60 IN TLSA 3 1 1 0aFF",)))
    (record,) = reactor.wait_for(ask(server).tlsa("_25._tcp.mx.example.org")).records
    assert (record.usage, record.selector, record.matching, record.data) == (3, 1, 1, b"\x0a\xff")


def test_no_name_is_no_tlsa_record_but_a_failure_is_a_failure(
    reactor: ThreadClock, serve: Serve, ask: Ask
) -> None:
    """NXDOMAIN is an ordinary answer here; SERVFAIL may be a forgery that the server found out."""
    missing = serve(lambda query: reply(query, authority=(SOA,), rcode=dns.rcode.NXDOMAIN))
    assert reactor.wait_for(ask(missing).tlsa("_25._tcp.mx.example.org")).records == ()
    failing = serve(lambda query: reply(query, rcode=dns.rcode.SERVFAIL))
    with pytest.raises(DnsTemporary):
        reactor.wait_for(ask(failing).tlsa("_25._tcp.mx.example.org"))


def test_twenty_silent_domains_delay_nobody_else(reactor: ThreadClock, serve: Serve) -> None:
    """While every silent domain still waits for its time-out, another one gets its answer."""

    def script(query: dns.message.Message) -> dns.message.Message | None:
        name = query.question[0].name.to_text()
        return None if name.startswith("silent") else reply(query, f"{name} 300 IN MX 1 mx.{name}")

    server = serve(script)
    asked = Resolver(reactor, [server.address])
    answered: list[Any] = []
    for number in range(20):
        asked.mx(f"silent{number}.example.org").addBoth(answered.append)
        asked.addresses(f"silent{number}.example.org").addBoth(answered.append)
    found = reactor.wait_for(asked.mx("example.org"))
    assert found == [Mx(1, "mx.example.org")]
    assert answered == []
    asked.stop()
