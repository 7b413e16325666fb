"""fedaemonctl doctor beside a real daemon: a right set-up has no problem; then things break, one at a time."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.daemon import Daemon, DnsServer, free_port, wait_until
from tests.lab.authority import Authority
from tests.lab.listening import Listening
from tests.lab.mx import MxHost
from tests.lab.policy_host import PolicyHost, policy
from tests.net.chains import write

DOMAIN, HOST, ADDRESS = "example.org", "mail.example.org", "11.22.33.44"
PEER = "mx.remote.test"
LISTENERS = (
    ("mx", "starttls", "false"),
    ("submission", "implicit", "false"),
    ("submission", "starttls", "true"),
    ("imap", "implicit", "false"),
    ("imap", "starttls", "false"),
    ("pop3", "implicit", "false"),
    ("pop3", "starttls", "false"),
    ("http", "implicit", "false"),
)
"""Service, TLS, PROXY protocol."""


@dataclass
class Clinic:
    """A server that is set up right, and everything that it depends on."""

    daemon: Daemon
    dns: DnsServer
    authority: Authority
    policies: PolicyHost
    ports: dict[tuple[str, str], int]
    outbound: str

    def findings(self, *arguments: str, code: int) -> list[dict[str, Any]]:
        """Run the doctor; return what it found."""
        found: list[dict[str, Any]] = json.loads(self.daemon.ctl("doctor", *arguments, "--json", code=code))
        assert not [each for each in found if each["check"] == "not-checked"], found
        return found

    def problems(self, *arguments: str) -> list[tuple[str, str, str]]:
        """Run the doctor, who must find problems; return area, name and subject of each."""
        found = self.findings(*arguments, code=1)
        found = [each for each in found if each["level"] == "problem"]
        print(*found, sep="\n")  # for whoever reads a failure
        return [(each["area"], each["check"], each["about"]) for each in found]


def settings(
    directory: Path, authority: Authority, policy_port: int, dns_port: int
) -> tuple[str, dict[Any, int]]:
    """Return settings, and the ports of the listeners in them."""
    certificate, key = write(directory / "tls", authority.link(HOST))
    key.chmod(0o600)
    ports = {(service, tls): free_port() for service, tls, _ in LISTENERS}
    listeners = "".join(
        f'[[listener]]\nservice = "{service}"\naddress = "127.0.0.1"\nport = {ports[service, tls]}\n'
        f'tls = "{tls}"\nproxy_protocol = {proxied}\n'
        for service, tls, proxied in LISTENERS
    )
    text = f"""
[server]
hostname = "{HOST}"
data_dir = "{directory}/data"
postmaster = "alice@{DOMAIN}"
[tls]
certificate = "{certificate}"
private_key = "{key}"
{listeners}
[dns]
nameservers = ["127.0.0.1:{dns_port}"]
[delivery]
ca_file = "{authority.ca_file}"
mta_sts_port = {policy_port}
[[source]]
address = "127.0.0.1"
"""
    return text, ports


@pytest.fixture
def clinic(tmp_path: Path) -> Iterator[Clinic]:
    """The server runs, has a domain, an account and a DKIM key, and DNS has all records for them."""
    authority = Authority(tmp_path / "authority")
    policies = PolicyHost("127.0.0.1", 0, authority.good_for(f"mta-sts.{DOMAIN}"))
    policies.policies[f"mta-sts.{DOMAIN}"] = policy("enforce", HOST)
    listening = Listening(free_port())
    listening.start(MxHost(PEER, "127.0.0.1", tls=authority.good(PEER)))
    dns = DnsServer({("org", "SOA"): ["ns.org. root.org. 1 1 1 1 1"], (PEER, "A"): ["127.0.0.1"]})
    text, ports = settings(tmp_path, authority, policies.port, dns.port)
    daemon = Daemon(tmp_path, text)
    daemon.config.chmod(0o600)
    daemon.ctl("domain", "add", DOMAIN)
    daemon.ctl("account", "add", f"alice@{DOMAIN}", "--password-stdin", stdin="correct horse battery\n")
    publish(dns, daemon)
    daemon.start()
    try:
        yield Clinic(daemon, dns, authority, policies, ports, f"{PEER}:{listening.port}")
    finally:
        if daemon.process is not None and daemon.process.poll() is None:
            daemon.kill()
        listening.close()
        policies.close()
        dns.close()


def publish(dns: DnsServer, daemon: Daemon) -> None:
    """Make an active DKIM key, and put everything into DNS."""
    for key in daemon.ctl_json("dkim", "create", DOMAIN):
        daemon.ctl("dkim", "activate", DOMAIN, key["selector"], "--force")
        zone = key["record"]["zone"].partition(" IN TXT ")[2].strip("()").replace("\n", " ")
        dns.records[key["record"]["name"], "TXT"] = [zone.strip()]
    dns.records.update(
        {
            (HOST, "A"): [ADDRESS],
            (HOST, "TXT"): ['"v=spf1 a -all"'],
            ("44.33.22.11.in-addr.arpa", "PTR"): [f"{HOST}."],
            (DOMAIN, "MX"): [f"10 {HOST}."],
            (DOMAIN, "TXT"): ['"v=spf1 mx -all"'],
            (f"_dmarc.{DOMAIN}", "TXT"): ['"v=DMARC1; p=reject"'],
            (f"_mta-sts.{DOMAIN}", "TXT"): ['"v=STSv1; id=1"'],
            (f"mta-sts.{DOMAIN}", "A"): ["127.0.0.1"],
            (f"_smtp._tls.{DOMAIN}", "TXT"): [f'"v=TLSRPTv1; rua=mailto:postmaster@{DOMAIN}"'],
        }
    )


def test_a_right_server(clinic: Clinic) -> None:
    """Exit code 0: each listener was talked to, and each record found."""
    found = clinic.findings("--outbound", clinic.outbound, code=0)
    good = {(each["area"], each["check"], each["about"]) for each in found if each["level"] == "ok"}
    for (service, _), port in clinic.ports.items():
        about = f"{service} port {port}"
        answer = "health" if service == "http" else "answer"
        assert {("ports", answer, about), ("ports", "shown-certificate", about)} <= good
    assert {("dns", check, DOMAIN) for check in ("mx", "spf", "dkim", "dmarc", "mta-sts", "tlsrpt")} <= good
    assert {("dns", "reverse", ADDRESS), ("certificate", "name", found_certificate(found))} <= good
    assert {
        ("outbound", check, clinic.outbound.replace(":", " port ")) for check in ("connect", "tls")
    } <= good
    assert clinic.daemon.process is not None
    process = f"process {clinic.daemon.process.pid}"
    assert {("daemon", "running", process), ("daemon", "health", process)} <= good
    text = clinic.daemon.ctl("doctor")
    assert "PROBLEM" not in text and "ports: 16 ok" in text


def found_certificate(found: list[dict[str, Any]]) -> str:
    """Return the certificate file that the findings speak of."""
    return next(str(each["about"]) for each in found if each["area"] == "certificate")


def test_records_break_one_by_one(clinic: Clinic) -> None:
    """Each gives its own finding, and no other."""
    selector = next(name for name, kind in clinic.dns.records if "_domainkey" in name)
    for key, texts, expected in (
        ((DOMAIN, "MX"), ["10 mx.elsewhere.test."], [("mx", DOMAIN), ("spf", DOMAIN)]),
        ((DOMAIN, "TXT"), ['"v=spf1 -all"'], [("spf", DOMAIN)]),
        ((f"_dmarc.{DOMAIN}", "TXT"), ['"v=DMARC1; p=nothing"'], [("dmarc", DOMAIN)]),
        ((selector, "TXT"), ['"v=DKIM1; k=rsa; p=AAAA"'], [("dkim", DOMAIN)]),
        (("44.33.22.11.in-addr.arpa", "PTR"), ["vm7.provider.test."], [("reverse", ADDRESS)]),
        ((f"_25._tcp.{HOST}", "TLSA"), ["3 1 1 " + "00" * 32], [("tlsa", f"_25._tcp.{HOST}")]),
    ):
        before = clinic.dns.records.get(key)
        clinic.dns.records[key] = texts
        assert clinic.problems() == [("dns", *each) for each in expected]
        if before is None:
            del clinic.dns.records[key]
        else:
            clinic.dns.records[key] = before
    clinic.policies.policies[f"mta-sts.{DOMAIN}"] = policy("enforce", "mx.elsewhere.test")
    assert clinic.problems(DOMAIN) == [("dns", "mta-sts", DOMAIN)]


def test_a_renewed_certificate_that_was_not_loaded(clinic: Clinic) -> None:
    """Every listener still shows the old one, until the daemon is told."""
    write(clinic.daemon.directory / "tls", clinic.authority.link(HOST))
    found = clinic.problems()
    assert {check for _, check, _ in found} == {"shown-certificate"} and len(found) == len(LISTENERS)
    clinic.daemon.hang_up()
    wait_until(
        lambda: not [e for e in json.loads(run(clinic)) if e["level"] == "problem"], "the new certificate"
    )


def run(clinic: Clinic) -> str:
    """Run the doctor whatever comes out of it."""
    command = [sys.executable, "-m", "fedaemon.ctl.main", "-c", str(clinic.daemon.config), "doctor", "--json"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def test_without_a_daemon(clinic: Clinic) -> None:
    """It is said, the ports are looked at all the same, and who has taken one is named."""
    clinic.daemon.stop()
    found = clinic.findings(code=0)
    assert [each["level"] for each in found if each["check"] == "running"] == ["warning"]
    port = clinic.ports["imap", "implicit"]
    with socket.create_server(("127.0.0.1", port)):
        (taken,) = [each for each in clinic.findings(code=1) if each["level"] == "problem"]
        assert taken["about"] == f"imap port {port}" and "in use by" in taken["what"]


def test_a_listener_that_the_daemon_does_not_know_yet(clinic: Clinic) -> None:
    """Settings were changed and not loaded."""
    port = free_port()
    with clinic.daemon.config.open("a") as config:
        config.write(
            f'[[listener]]\nservice = "imap"\naddress = "127.0.0.1"\nport = {port}\ntls = "implicit"\n'
        )
    assert clinic.problems() == [("ports", "answer", f"imap port {port}")]


def test_settings_that_cannot_be_read(clinic: Clinic) -> None:
    """Exit code 2, and the line that is wrong."""
    with clinic.daemon.config.open("a") as config:
        config.write("[limits]\nsession = 1\n")
    found = json.loads(clinic.daemon.ctl("doctor", "--json", code=2))
    assert [each["area"] for each in found] == ["settings"] and "did you mean 'sessions'?" in found[0]["todo"]
