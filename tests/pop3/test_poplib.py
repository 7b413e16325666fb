"""Python's own POP3 client against a real reactor, store and TLS."""

from __future__ import annotations

import poplib
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fedaemon.net.selfsigned import LocalCa, make_local_ca
from tests.accounts.world import ALICE
from tests.pop3.messages import MESSAGES

ROOT = Path(__file__).parents[2]
TIMEOUT_S = 30.0


@pytest.fixture(scope="module")
def local_ca(tmp_path_factory: pytest.TempPathFactory) -> LocalCa:
    return make_local_ca(tmp_path_factory.mktemp("ca"), ("localhost",))


@pytest.fixture
def ports(tmp_path: Path, local_ca: LocalCa) -> Iterator[tuple[int, int]]:
    """A server of its own for each test."""
    program = Path(__file__).with_name("server_program.py")
    pair = [str(local_ca.certificate), str(local_ca.private_key)]
    process = subprocess.Popen(
        [sys.executable, str(program), str(tmp_path / "data"), *pair],
        stdout=subprocess.PIPE,
        text=True,
        env={"PYTHONPATH": str(ROOT)},
    )
    assert process.stdout is not None
    try:
        plain, implicit = process.stdout.readline().split()
        yield int(plain), int(implicit)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def trusting(local_ca: LocalCa) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(local_ca.ca_file))


def test_fetching_and_removing_everything(ports: tuple[int, int], local_ca: LocalCa) -> None:
    """Octet for octet, through TLS from the first octet; the next session finds nothing."""
    client = poplib.POP3_SSL("localhost", ports[1], timeout=TIMEOUT_S, context=trusting(local_ca))
    client.user(ALICE)
    client.pass_("alice's secret")
    assert client.stat() == (len(MESSAGES), sum(map(len, MESSAGES)))
    for number, message in enumerate(MESSAGES, 1):
        _, lines, _ = client.retr(number)
        assert b"".join(line + b"\r\n" for line in lines) == message
        client.dele(number)
    assert client.quit().startswith(b"+OK")
    again = poplib.POP3_SSL("localhost", ports[1], timeout=TIMEOUT_S, context=trusting(local_ca))
    again.user(ALICE)
    again.pass_("alice's secret")
    assert again.stat() == (0, 0)
    again.quit()


def test_stls_and_top(ports: tuple[int, int], local_ca: LocalCa) -> None:
    """STLS in the middle of the connection; capabilities before and after it."""
    client = poplib.POP3("localhost", ports[0], timeout=TIMEOUT_S)
    assert "STLS" in client.capa()
    assert "SASL" not in client.capa()
    with pytest.raises(poplib.error_proto, match="under TLS only"):
        client.user(ALICE)
    client.stls(trusting(local_ca))
    assert "SCRAM-SHA-256" in client.capa()["SASL"]
    client.user(ALICE)
    client.pass_("alice's secret")
    assert client.top(3, 1)[1] == [b"Subject: large", b"", b"." * 70]
    assert [line.split()[0] for line in client.uidl()[1]] == [b"1", b"2", b"3"]
    client.quit()
