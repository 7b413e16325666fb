"""Signatures of the real daemon, judged by the verifiers that receivers run: rspamd and OpenDKIM.

A daemon with keys made by fedaemonctl sends messages of all kinds to an MX host; what arrived there goes to
the verifiers as it is. The keys are published by a DNS server on loopback, just as fedaemonctl shows them.

Standards: RFC 6376 6 (verifiers), RFC 8463 3 (ed25519-sha256), RFC 3030 (large messages by BDAT).
"""

from __future__ import annotations

import json
import re
import smtplib
import subprocess
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.daemon import free_port, submission, wait_until
from tests.e2e.peers import ALICE, DOMAIN, PASSWORD, World

Need = Callable[..., None]
ALGORITHMS = ("rsa", "ed25519")
HEAD = f"From: Alice <{ALICE}>\r\nTo: carol@remote.test\r\nDate: Tue, 01 Jan 2030 00:00:00 +0000\r\n".encode()
SIGNATURE = re.compile(rb"DKIM-Signature:[^\n]*\n(?:[ \t][^\n]*\n)*")
TXT_OCTETS = 255
GREETING = "=?utf-8?q?gr=C3=BC=C3=9Fe?="
PASSED_ON = b"From: dave@remote.test\r\nSubject: passed-on\r\n\r\nhi\r\n"

MESSAGES = {
    "plain": HEAD + b"Subject: plain\r\n\r\nHello.\r\n",
    "empty": HEAD + b"Subject: empty\r\n\r\n",
    "without-end": HEAD + b"Subject: without end\r\n\r\nno line end",
    "trailing": HEAD + b"Subject: trailing\r\n\r\ntrailing \t \r\n\r\n \r\n\r\n\r\n",
    "dots": HEAD + b"Subject: dots\r\n\r\n.\r\n..\r\n.a dot\r\n",
    "8bit": HEAD
    + f"Subject: {GREETING}\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
    "Content-Transfer-Encoding: 8bit\r\n\r\nGrüße – 你好\r\n".encode(),
    "folded": HEAD
    + b"Subject:  folded\r\n\tand  spaced  \r\nReferences: <a@b.test>\r\n <c@d.test>\r\n\t <e@f.test>\r\n"
    b"List-Unsubscribe: <https://x.test/>\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n\r\nbody\r\n",
    "large": HEAD + b"Subject: large\r\n\r\n" + (b"x" * 76 + b"\r\n") * 20_000,
}
SIGNED = (*MESSAGES, "report")
"""What must arrive with signatures."""


@dataclass
class Sent:
    """What arrived at the MX host, by the name of the message, and the keys as fedaemonctl shows them."""

    directory: Path
    arrived: dict[str, bytes]
    keys: list[dict[str, Any]]
    dns_port: int


def publish(world: World, keys: list[dict[str, Any]]) -> None:
    """Put the records of *keys* into DNS, in strings that DNS can hold."""
    for key in keys:
        record = key["record"]
        text = record["value"]
        strings = [f'"{text[at : at + TXT_OCTETS]}"' for at in range(0, len(text), TXT_OCTETS)]
        world.dns.records[record["name"], "TXT"] = [" ".join(strings)]


@pytest.fixture(scope="module")
def sent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sent]:
    """Every message of MESSAGES after its way through a signing daemon, and two that nobody submitted."""
    directory = tmp_path_factory.mktemp("dkim")
    world = World(directory)
    try:
        keys = world.daemon.ctl_json("dkim", "create", DOMAIN, "--activate")
        publish(world, keys)
        world.daemon.ctl("alias", "add", f"away@{DOMAIN}", "carol@remote.test", "nobody@remote.test")
        world.mx1.rcpt = lambda address: "550 5.1.1 No such user" if address.startswith("nobody") else ""
        world.mx1.start()
        world.daemon.start()
        with submission(world.ports["submissions"], world.ca_file, ALICE, PASSWORD) as client:
            for message in MESSAGES.values():
                client.sendmail(ALICE, ["carol@remote.test"], message, ["BODY=8BITMIME"])
        with smtplib.SMTP("127.0.0.1", world.ports["mx"]) as client:
            client.sendmail("dave@remote.test", [f"away@{DOMAIN}"], PASSED_ON)
        count = len(MESSAGES) + 2
        wait_until(
            lambda: len(world.mx1.messages) == count, "all messages, the one passed on, and its report"
        )
        checked = world.daemon.ctl_json("dkim", "check", DOMAIN)
        assert [each["found"] for each in checked] == ["published"] * len(ALGORITHMS)
        arrived = {name_of(message.content): message.content for message in world.mx1.messages}
        yield Sent(directory, arrived, keys, world.dns.port)
        assert world.daemon.stop() == 0
    finally:
        world.close()


def name_of(content: bytes) -> str:
    """Return the name of a message that arrived."""
    header = content.partition(b"\r\n\r\n")[0]
    if b"multipart/report" in header:
        return "report"
    found = re.search(rb"\r\nSubject: *([^\r]*)", header)
    assert found is not None, header
    subject = found[1].decode()
    return "8bit" if subject == GREETING else subject.replace(" ", "-")


class Rspamd:
    """rspamd with nothing but its DKIM module, asking one DNS server."""

    def __init__(self, directory: Path, dns_port: int) -> None:
        self.port = free_port()
        self.log = directory / "rspamd.log"
        # Without a short list of its own it compiles the world's top-level domains, which takes a minute.
        (directory / "tld").write_text("test\n")
        config = directory / "rspamd.conf"
        config.write_text(
            f"""
options {{
  pidfile = "{directory}/rspamd.pid"; temp_dir = "{directory}"; url_tld = "{directory}/tld"; filters = "dkim";
  dns {{ nameserver = ["127.0.0.1:{dns_port}"]; timeout = 2s; retransmits = 5; }}
}}
logging {{ type = "file"; filename = "{self.log}"; level = "info"; }}
worker "normal" {{ bind_socket = "127.0.0.1:{self.port}"; count = 1; }}
dkim {{ }}
"""
        )
        with (directory / "rspamd.out").open("wb") as output:
            self.process = subprocess.Popen(
                ["rspamd", "-f", "-c", str(config), "--insecure"], stdout=output, stderr=subprocess.STDOUT
            )
        wait_until(self.ready, "rspamd to be ready")

    def ready(self) -> bool:
        """True when it answers."""
        assert self.process.poll() is None, self.log.read_text()
        try:
            return bool(urllib.request.urlopen(f"http://127.0.0.1:{self.port}/ping", timeout=1).read())
        except OSError:
            return False

    def symbols(self, message: bytes) -> dict[str, list[str]]:
        """Return what it found: symbols, each with "DOMAIN:s=SELECTOR" for each signature."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/checkv2", data=message)
        with urllib.request.urlopen(request, timeout=30) as answer:
            symbols = json.load(answer)["symbols"]
        return {name: sorted(found.get("options", [])) for name, found in symbols.items()}


@pytest.fixture(scope="module")
def rspamd(sent: Sent, need: Need) -> Iterator[Rspamd]:
    """A running rspamd."""
    need("rspamd")
    directory = sent.directory / "rspamd"
    directory.mkdir()
    started = Rspamd(directory, sent.dns_port)
    yield started
    started.process.terminate()
    assert started.process.wait(30) == 0


@pytest.mark.parametrize("name", SIGNED)
def test_rspamd_takes_both_signatures(sent: Sent, rspamd: Rspamd, name: str) -> None:
    """Each message has an RSA and an Ed25519 signature, and both are good. Spec: RFC 6376 6.1, RFC 8463 3"""
    found = rspamd.symbols(sent.arrived[name])
    assert found["R_DKIM_ALLOW"] == sorted(f"{DOMAIN}:s={key['selector']}" for key in sent.keys)
    assert "R_DKIM_REJECT" not in found


@pytest.mark.parametrize(
    ("what", "forge"),
    [
        ("body", lambda message: message + b"P.S. send money\r\n"),
        ("subject", lambda message: message.replace(b"Subject: plain", b"Subject: plane")),
        ("second From", lambda message: b"From: mallory@evil.test\r\n" + message),
        ("Reply-To added", lambda message: b"Reply-To: mallory@evil.test\r\n" + message),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_rspamd_takes_no_forgery(
    sent: Sent, rspamd: Rspamd, what: str, forge: Callable[[bytes], bytes]
) -> None:
    """What was changed on the way, also by adding a field that the author did not write, is found out."""
    assert "R_DKIM_ALLOW" not in rspamd.symbols(forge(sent.arrived["plain"])), what


def opendkim(sent: Sent, message: bytes) -> str:
    """Return what OpenDKIM says of the one signature of a message."""
    keys, config, file = (sent.directory / f"opendkim.{suffix}" for suffix in ("keys", "conf", "eml"))
    keys.write_text("".join(f"{key['record']['name']} {key['record']['value']}\n" for key in sent.keys))
    config.write_text(f"Mode v\nSyslog no\nTestPublicKeys {keys}\n")
    file.write_bytes(message)
    done = subprocess.run(
        ["/usr/sbin/opendkim", "-x", config, "-t", file],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.stdout + done.stderr


def with_one_signature(message: bytes, algorithm: str) -> bytes:
    """Return *message* without the signatures of other algorithms: OpenDKIM's test mode looks at one."""
    wanted = f"a={algorithm}-sha256;".encode()
    return SIGNATURE.sub(lambda found: found[0] if wanted in found[0] else b"", message)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("name", SIGNED)
def test_opendkim_takes_each_signature(sent: Sent, need: Need, name: str, algorithm: str) -> None:
    """The other widespread verifier agrees, on each signature by itself. Spec: RFC 6376 6.1"""
    need("/usr/sbin/opendkim")
    (selector,) = [key["selector"] for key in sent.keys if key["algorithm"] == algorithm]
    said = opendkim(sent, with_one_signature(sent.arrived[name], algorithm))
    assert f"verification (s={selector}, d={DOMAIN}" in said
    assert "succeeded" in said


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_opendkim_can_say_no(sent: Sent, need: Need, algorithm: str) -> None:
    """The same question about a changed message gets the other answer."""
    need("/usr/sbin/opendkim")
    said = opendkim(sent, with_one_signature(sent.arrived["plain"], algorithm) + b"P.S.\r\n")
    assert "failed" in said
    assert "succeeded" not in said


def test_what_is_passed_on_is_not_signed(sent: Sent) -> None:
    """A signature on mail of others would make a forged sender of ours an authenticated one."""
    assert b"DKIM-Signature" not in sent.arrived["passed-on"]
