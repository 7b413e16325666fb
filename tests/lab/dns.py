"""DNS as the internet has it, on loopback: signed, unsigned and forged zones, served by NSD behind Unbound.

NSD serves the zones, signed with keys made for the occasion; Unbound validates them from these keys, as a
resolver on the mail server's machine would. Zones are written without SOA and NS, which are added; names
in them are relative to the zone unless they end with a dot.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Collection, Mapping
from pathlib import Path

import dns.exception
import dns.message
import dns.query
import dns.rcode

PATIENCE_S = 20.0

HEAD = """\
$ORIGIN {zone}.
$TTL 300
@ IN SOA ns admin 1 7200 900 1209600 120
@ IN NS ns
ns IN A 127.0.0.1
"""

NSD_CONFIG = """\
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
"""

UNBOUND_CONFIG = """\
server:
    interface: 127.0.0.1@{port}
    port: {port}
    directory: "{directory}"
    username: ""
    chroot: ""
    pidfile: "{directory}/unbound.pid"
    use-syslog: no
    logfile: "{directory}/unbound.log"
    num-threads: 1
    module-config: "validator iterator"
    do-not-query-localhost: no
    do-ip6: no
    qname-minimisation: no
    local-zone: "test." nodefault
    local-zone: "invalid." nodefault
remote-control:
    control-enable: no
"""


def missing() -> str:
    """Return which programs are missing, "" when everything is there."""
    return ", ".join(name for name in ("nsd", "unbound", "ldns-keygen", "ldns-signzone") if not _find(name))


class SignedDns:
    """Runs both servers between ``start`` and ``stop``.

    :param zones: text of each zone by its name.
    :param unsigned: the zones that are not signed.
    :param forged: for a signed zone (text, other text): what is replaced in it after it was signed, as somebody
        on the way would do it. The signed file writes one record a line, absolute and in canonical form.
    """

    def __init__(
        self,
        zones: Mapping[str, str],
        *,
        unsigned: Collection[str] = (),
        forged: Mapping[str, tuple[str, str]] | None = None,
    ) -> None:
        self._zones = dict(zones)
        self._unsigned = frozenset(unsigned)
        self._forged = dict(forged or {})
        self._running: list[subprocess.Popen[bytes]] = []
        self._directory: Path | None = None
        self.address: tuple[str, int] = ("", 0)
        """Where the validating resolver listens."""
        self.authoritative: tuple[str, int] = ("", 0)
        """Where NSD listens, which validates nothing."""

    def start(self) -> SignedDns:
        """Sign, start, and wait until every zone is answered for."""
        self._directory = directory = Path(tempfile.mkdtemp(prefix="dns-lab-"))
        nsd_port, unbound_port = _free_port(), _free_port()
        self.authoritative, self.address = ("127.0.0.1", nsd_port), ("127.0.0.1", unbound_port)
        nsd = NSD_CONFIG.format(port=nsd_port, directory=directory)
        unbound = UNBOUND_CONFIG.format(port=unbound_port, directory=directory)
        anchors = ""
        for zone, text in self._zones.items():
            file = directory / f"{zone}.zone"
            file.write_text(HEAD.format(zone=zone) + text)
            if zone not in self._unsigned:
                file, anchor = self._sign(zone, file)
                anchors += f'    trust-anchor-file: "{anchor}"\n'
            nsd += f'zone:\n    name: "{zone}"\n    zonefile: "{file}"\n'
            unbound += f'stub-zone:\n    name: "{zone}"\n    stub-addr: 127.0.0.1@{nsd_port}\n'
        unbound = unbound.replace("remote-control:", f"{anchors}remote-control:", 1)
        (directory / "nsd.conf").write_text(nsd)
        (directory / "unbound.conf").write_text(unbound)
        try:
            for name in ("nsd", "unbound"):
                command = [_find(name), "-d", "-c", str(directory / f"{name}.conf")]
                with (directory / f"{name}.out").open("wb") as out:
                    self._running.append(subprocess.Popen(command, cwd=directory, stdout=out, stderr=out))
            self._wait()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """End both servers and remove their files."""
        for process in reversed(self._running):
            process.terminate()
            process.wait(10)
        self._running.clear()
        if self._directory is not None:
            shutil.rmtree(self._directory)
            self._directory = None

    def _sign(self, zone: str, file: Path) -> tuple[Path, Path]:
        """Return the signed zone and its trust anchor."""
        directory = file.parent
        made = subprocess.run(
            [_find("ldns-keygen"), "-a", "ECDSAP256SHA256", "-k", "-r", "/dev/urandom", zone],
            cwd=directory,
            check=True,
            capture_output=True,
            text=True,
        )
        key = made.stdout.strip()
        signed = directory / f"{zone}.signed"
        command = [_find("ldns-signzone"), "-f", str(signed), str(file), key]
        subprocess.run(command, cwd=directory, check=True, capture_output=True)
        if zone in self._forged:
            true, false = self._forged[zone]
            text = signed.read_text()
            assert true in text, f"{true} is not in the signed zone:\n{text}"
            signed.write_text(text.replace(true, false))
        return signed, directory / f"{key}.key"

    def _wait(self) -> None:
        deadline = time.monotonic() + PATIENCE_S
        for server in (self.authoritative, self.address):
            for zone in self._zones:
                while not _answers(server, zone):
                    assert time.monotonic() < deadline, self._logs()
                    assert all(process.poll() is None for process in self._running), self._logs()

    def _logs(self) -> str:
        assert self._directory is not None
        files = [*self._directory.glob("*.log"), *self._directory.glob("*.out")]
        return "\n".join(f"{file.name}:\n{file.read_text()}" for file in files)


def _find(program: str) -> str:
    return shutil.which(program) or shutil.which(program, path="/usr/sbin:/usr/local/sbin") or ""


def _free_port() -> int:
    """Return a number that is free for UDP and TCP."""
    while True:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp, socket.socket() as tcp:
            udp.bind(("127.0.0.1", 0))
            port: int = udp.getsockname()[1]
            try:
                tcp.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def _answers(server: tuple[str, int], zone: str) -> bool:
    query = dns.message.make_query(zone, "SOA")
    try:
        response = dns.query.udp(query, server[0], port=server[1], timeout=0.5)
    except (OSError, dns.exception.DNSException):
        return False
    # A forged zone is answered for with SERVFAIL, if it is the SOA that was forged.
    return response.rcode() in (dns.rcode.NOERROR, dns.rcode.SERVFAIL)
