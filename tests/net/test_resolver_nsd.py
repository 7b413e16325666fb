"""The resolver against NSD, a real authoritative name server, on a loopback port."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fedaemon.net import dns_query
from fedaemon.net.dns_query import DnsQuery, DnsTemporary
from fedaemon.net.resolver import Mx, NoSuchName, Resolver
from tests.net.conftest import ThreadClock

NSD = shutil.which("nsd") or shutil.which("nsd", path="/usr/sbin")
pytestmark = pytest.mark.skipif(NSD is None, reason="nsd is not installed")

ZONE = """\
$ORIGIN example.org.
$TTL 300
@        IN SOA ns admin 1 7200 900 1209600 120
         IN NS  ns
         IN MX  10 mx1
         IN MX  20 mx2
         IN TXT "v=spf1 " "-all"
ns       IN A    127.0.0.1
mx1      IN A    192.0.2.1
         IN AAAA 2001:db8::1
mx2      IN A    192.0.2.2
null     IN MX   0 .
alias    IN CNAME @
loop     IN CNAME loop2
loop2    IN CNAME loop
away     IN CNAME www.example.net.
big      IN TXT  ( {big} )
"""

CONFIG = """\
server:
    ip-address: 127.0.0.1@{port}
    username: ""
    chroot: ""
    zonesdir: "{directory}"
    pidfile: "{directory}/nsd.pid"
    database: ""
    logfile: "{directory}/nsd.log"
    xfrdfile: "{directory}/xfrd.state"
    zonelistfile: "{directory}/zone.list"
    xfrdir: "{directory}"
    cookie-secret-file: "{directory}/cookie"
    server-count: 1
remote-control:
    control-enable: no
zone:
    name: example.org
    zonefile: example.org.zone
"""


@pytest.fixture(scope="module")
def nsd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, int]]:
    """Run NSD with the zone; gone when the module's tests are done."""
    assert NSD is not None
    directory = tmp_path_factory.mktemp("nsd")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    big = " ".join(f'"{"y" * 250}"' for _ in range(12))
    (directory / "example.org.zone").write_text(ZONE.format(big=big))
    config = directory / "nsd.conf"
    config.write_text(CONFIG.format(port=port, directory=directory))
    process = subprocess.Popen([NSD, "-d", "-c", str(config)], cwd=directory)
    try:
        wait_until_it_answers(("127.0.0.1", port), directory)
        yield "127.0.0.1", port
    finally:
        process.terminate()
        process.wait(10)


def wait_until_it_answers(address: tuple[str, int], directory: Path) -> None:
    deadline = time.monotonic() + 20
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dns_query, "WAITS_S", (0.1,))
        while time.monotonic() < deadline:
            try:
                DnsQuery([address]).ask("example.org", "SOA")
            except DnsTemporary:
                continue
            return
    log = directory / "nsd.log"
    raise AssertionError(log.read_text() if log.exists() else "nsd wrote no log")


@pytest.fixture
def resolver(reactor: ThreadClock, nsd: tuple[str, int]) -> Iterator[Resolver]:
    own = Resolver(reactor, [nsd])
    yield own
    own.stop()


def test_mail_exchangers_addresses_and_texts(reactor: ThreadClock, resolver: Resolver) -> None:
    """What delivery asks of an ordinary domain."""
    assert reactor.wait_for(resolver.mx("example.org")) == [
        Mx(10, "mx1.example.org"),
        Mx(20, "mx2.example.org"),
    ]
    assert reactor.wait_for(resolver.addresses("mx1.example.org")) == ["2001:db8::1", "192.0.2.1"]
    assert reactor.wait_for(resolver.addresses("mx2.example.org")) == ["192.0.2.2"]
    assert reactor.wait_for(resolver.txt("example.org")) == [b"v=spf1 -all"]


def test_special_domains(reactor: ThreadClock, resolver: Resolver) -> None:
    """Null MX, an alias of a domain with MX, a name without MX, a name that is not there."""
    assert reactor.wait_for(resolver.mx("null.example.org")) == [Mx(0, ".")]
    assert [mx.host for mx in reactor.wait_for(resolver.mx("alias.example.org"))] == [
        "mx1.example.org",
        "mx2.example.org",
    ]
    assert reactor.wait_for(resolver.mx("mx1.example.org")) == []
    with pytest.raises(NoSuchName):
        reactor.wait_for(resolver.mx("nothing.example.org"))


def test_broken_and_foreign_zones_are_temporary(reactor: ThreadClock, resolver: Resolver) -> None:
    """A loop of aliases, an alias out of the server's zones, and a zone it refuses to answer for."""
    for name in ("loop.example.org", "away.example.org", "example.net"):
        with pytest.raises(DnsTemporary):
            reactor.wait_for(resolver.mx(name))


def test_an_answer_too_long_for_udp_arrives_whole(reactor: ThreadClock, resolver: Resolver) -> None:
    """NSD truncates at the size we announce; the rest comes over TCP."""
    assert reactor.wait_for(resolver.txt("big.example.org")) == [b"y" * 3000]
