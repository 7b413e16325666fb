"""Twisted's startTLS with our factories, over real sockets, in a process with a reactor of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from fedaemon.net.selfsigned import LocalCa

PROGRAM = Path(__file__).with_name("loopback_program.py")


def run(local_ca: LocalCa, ca_file: Path, host: str, verify: bool) -> dict[str, Any]:
    """Return what the two ends saw."""
    arguments = [str(local_ca.ca_file.parent), str(ca_file), host, "verify" if verify else "any"]
    done = subprocess.run(
        [sys.executable, str(PROGRAM), *arguments],
        check=True,
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
        env={"PYTHONPATH": str(Path(__file__).parents[2])},
        timeout=60,
    )
    assert done.stderr == ""
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def test_starttls_with_verification_carries_octets_both_ways(local_ca: LocalCa) -> None:
    """Both ends change to TLS 1.3 in the middle of a connection, and the client knows who it talks to."""
    report = run(local_ca, local_ca.ca_file, "localhost", verify=True)
    assert report["received"] == "echo hello"
    assert report["client"] == report["server"]
    assert report["client"].startswith("TLSv1.3 ")


def test_starttls_without_verification_takes_any_certificate(local_ca: LocalCa, other_ca: LocalCa) -> None:
    """Opportunistic TLS works with a certificate from nobody for somebody else."""
    report = run(local_ca, other_ca.ca_file, "mail.example.org", verify=False)
    assert report["received"] == "echo hello"


def test_a_wrong_name_is_found_before_the_application_hears_of_tls(local_ca: LocalCa) -> None:
    """verify: no handshakeCompleted, no octet to the server, and the reason is there in words."""
    report = run(local_ca, local_ca.ca_file, "mail.example.org", verify=True)
    assert report == {"lost": "the certificate is not for mail.example.org"}


def test_an_unknown_authority_is_found_before_the_application_hears_of_tls(
    local_ca: LocalCa, other_ca: LocalCa
) -> None:
    """verify: the same for a chain that leads nowhere."""
    report = run(local_ca, other_ca.ca_file, "localhost", verify=True)
    assert set(report) == {"lost"}
    assert "authority" in report["lost"]
