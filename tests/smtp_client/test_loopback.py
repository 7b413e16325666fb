"""Attempts over real sockets and real TLS, against aiosmtpd."""

from __future__ import annotations

import hashlib
import json
import ssl
import subprocess
import sys
import warnings
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

from fedaemon.net.selfsigned import LocalCa, make_local_ca
from tests.daemon import free_port

PROGRAM = Path(__file__).with_name("loopback_program.py")
CONTENT = b"Subject: dots\r\n\r\n" + b"".join(b"." * (n % 5) + b" line %d\r\n" % n for n in range(150_000))


class Peer:
    """An aiosmtpd; keeps what it gets."""

    def __init__(self, address: str = "127.0.0.1", **options: Any) -> None:
        self.contents: list[bytes] = []
        self.sessions: list[Any] = []
        self.recipients: list[list[str]] = []
        self.address = address
        self.port = free_port()
        self.controller = Controller(self, hostname=address, port=self.port, decode_data=False, **options)

    async def handle_RCPT(
        self, server: Any, session: Any, envelope: Any, address: str, options: list[str]
    ) -> str:
        if address.startswith("nobody"):
            return "550 5.1.1 no such user"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 ok"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.contents.append(envelope.original_content)
        self.sessions.append(session)
        self.recipients.append(envelope.rcpt_tos)
        return "250 2.0.0 taken"

    def host(
        self, tls: str | dict[str, Any] = "none", name: str = "localhost", **more: Any
    ) -> dict[str, Any]:
        return {"name": name, "addresses": [self.address], "port": self.port, "tls": tls, **more}


class Net:
    """Peers of all kinds, and the outcomes of one attempt to each."""

    def __init__(self, directory: Path, stack: ExitStack) -> None:
        self.directory = directory
        self.ca = make_local_ca(directory, ["localhost", "127.0.0.1"])
        self.other_ca = make_local_ca(directory / "other", ["localhost"])
        self.stack = stack
        (directory / "content").write_bytes(CONTENT)

    def peer(self, **options: Any) -> Peer:
        peer = Peer(**options)
        peer.controller.start()
        self.stack.callback(peer.controller.stop)
        return peer

    def context(self, ca: LocalCa, **options: Any) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(ca.certificate, ca.private_key)
        for name, value in options.items():
            setattr(context, name, value)
        return context

    def run(self, *hosts: list[dict[str, Any]], **more: Any) -> list[list[dict[str, Any]]]:
        tasks = [
            {
                "hosts": each,
                "content": str(self.directory / "content"),
                "ca": str(self.ca.ca_file),
                "recipients": ["bob@example.net", "nobody@example.net"],
                **more,
            }
            for each in hosts
        ]
        (self.directory / "tasks").write_text(json.dumps(tasks))
        done = subprocess.run(
            [sys.executable, str(PROGRAM), str(self.directory / "tasks")],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            cwd=Path(__file__).parents[2],
            env={"PYTHONPATH": str(Path(__file__).parents[2])},
        )
        assert done.returncode == 0, done.stderr
        answers: list[list[dict[str, Any]]] = json.loads(done.stdout)
        return answers


@pytest.fixture
def net(tmp_path: Path) -> Iterator[Net]:
    with ExitStack() as stack:
        yield Net(tmp_path, stack)


def test_content_and_results_arrive_with_and_without_tls(net: Net) -> None:
    plain = net.peer()
    six = net.peer(address="::1")
    secure = net.peer(tls_context=net.context(net.ca), require_starttls=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        old = net.context(net.ca, maximum_version=ssl.TLSVersion.TLSv1_1)
    broken = net.peer(tls_context=old)
    runs = net.run(
        [plain.host()],
        [six.host("opportunistic")],
        [secure.host("opportunistic")],
        [secure.host("verify")],
        [broken.host("opportunistic")],
        [broken.host("required")],
    )
    for bob, nobody in runs[:5]:
        if bob["number"] == 1:
            bob, nobody = nobody, bob
        assert (bob["result"], bob["text"]) == ("delivered", "taken")
        assert (nobody["result"], nobody["code"], nobody["status"]) == ("permanent", 550, "5.1.1")
    assert [bool(run[0]["tls"]) for run in runs[:5]] == [False, False, True, True, False]
    assert runs[2][0]["tls"].startswith("TLSv1.")
    assert [outcome["phase"] for outcome in runs[5]] == ["tls", "tls"]
    assert runs[5][0]["text"].startswith("the TLS handshake failed: ")
    for peer, times in ((plain, 1), (six, 1), (secure, 2), (broken, 1)):
        assert peer.contents == [CONTENT] * times
        assert peer.recipients == [["bob@example.net"]] * times


def test_verify_gives_nothing_to_a_host_that_is_not_what_it_says(net: Net) -> None:
    trusted = net.peer(tls_context=net.context(net.ca))
    untrusted = net.peer(tls_context=net.context(net.other_ca))
    runs = net.run(
        [trusted.host("verify", name="mx.example.net")],
        [untrusted.host("verify")],
        [untrusted.host("verify"), trusted.host("verify")],
        [untrusted.host("required")],
    )
    assert [(run[0]["result"], run[0]["phase"]) for run in runs[:2]] == [("temporary", "tls")] * 2
    assert "the certificate is not for mx.example.net" in runs[0][0]["text"]
    assert "comes from an authority that is not trusted" in runs[1][0]["text"]
    assert {outcome["result"] for outcome in runs[2]} == {"delivered", "permanent"}
    assert {outcome["result"] for outcome in runs[3]} == {"delivered", "permanent"}
    assert (len(trusted.contents), len(untrusted.contents)) == (1, 1)


def test_credentials_are_taken_by_a_real_server(net: Net) -> None:
    def check(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        right = isinstance(data, LoginPassword) and data == LoginPassword(b"alice", b"secret")
        return AuthResult(success=right, handled=False)

    options: dict[str, Any] = {"authenticator": check, "auth_required": True}
    plain = net.peer(tls_context=net.context(net.ca), **options)
    login = net.peer(tls_context=net.context(net.ca), auth_exclude_mechanism=["PLAIN"], **options)
    runs = net.run(
        [plain.host("required", username="alice", password="secret")],
        [login.host("required", username="alice", password="secret")],
        [login.host("required", username="alice", password="wrong")],
    )
    assert [{outcome["result"] for outcome in run} for run in runs[:2]] == [{"delivered", "permanent"}] * 2
    assert [(outcome["result"], outcome["phase"], outcome["code"]) for outcome in runs[2]] == [
        ("temporary", "auth", 535)
    ] * 2


def test_dane_and_testing_decide_about_real_certificates(net: Net) -> None:
    """A certificate from nobody for somebody else: good by its TLSA record, bad by another, noted in testing."""
    peer = net.peer(tls_context=net.context(net.other_ca))
    der = ssl.PEM_cert_to_DER_cert(net.other_ca.certificate.read_text())
    good, bad = hashlib.sha256(der).hexdigest(), hashlib.sha256(b"another").hexdigest()
    dane = {"level": "dane", "policy": "dane"}
    testing = {"level": "verify", "policy": "mta-sts testing", "testing": True}
    name = "mx.example.net"
    taken, refused, noted = net.run(
        [peer.host({**dane, "tlsa": [[3, 0, 1, good]]}, name=name)],
        [peer.host({**dane, "tlsa": [[3, 0, 1, bad]]}, name=name)],
        [peer.host(testing, name=name)],
    )
    assert {(each["result"], each["certificate"]) for each in taken} == {
        ("delivered", "dane"),
        ("permanent", "dane"),
    }
    assert {(each["result"], each["phase"], each["tls_failure"]) for each in refused} == {
        ("temporary", "tls", "tlsa-invalid")
    }
    assert {each["certificate"] for each in noted} == {"unknown authority"}
    assert {each["tls_failure"] for each in noted} == {"certificate-not-trusted"}
    assert len(peer.contents) == 2


def test_one_connection_from_the_chosen_source_carries_several_messages(net: Net) -> None:
    peer = net.peer(tls_context=net.context(net.ca))
    [run] = net.run(
        [peer.host("verify")], times=3, sources=[["::1", "six.example.org"], ["127.0.0.3", "out.example.org"]]
    )
    delivered = [each for each in run if each["result"] == "delivered"]
    assert [(each["source"], each["reused"]) for each in delivered] == [
        ("127.0.0.3", False),
        ("127.0.0.3", True),
        ("127.0.0.3", True),
    ]
    assert peer.contents == [CONTENT] * 3
    assert {session.peer[0] for session in peer.sessions} == {"127.0.0.3"}
    assert {session.host_name for session in peer.sessions} == {"out.example.org"}
    assert len({session.peer for session in peer.sessions}) == 1
