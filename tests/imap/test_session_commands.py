"""Commands about the session itself: ID, ENABLE, UNAUTHENTICATE, COMPRESS, CAPABILITY, the initial response."""

from __future__ import annotations

from base64 import b64encode

import pytest

from fedaemon.errors import BadSyntax
from fedaemon.imap.compression import BLOCK, Deflation
from fedaemon.imap.engine import ServerEngine
from tests.imap.lab import Lab

MAIL = b"Subject: s\r\n\r\ntext\r\n"


def words(lines: list[bytes]) -> list[bytes]:
    (line,) = [line for line in lines if line.startswith(b"* CAPABILITY ")]
    return line.split()[2:]


def test_id(lab: Lab) -> None:
    """RFC 2971 3.1: also before the log-in, and whatever the client says of itself."""
    client = lab.client(log_in=False)
    assert client.send(b'ID ("name" "x" "version" NIL)')[0] == b'* ID ("name" "fedaemon")'
    assert client.tagged(b"ID NIL").startswith(b"OK ")
    assert client.tagged(b"ID").startswith(b"BAD ")


def test_enable(lab: Lab) -> None:
    """RFC 5161 3.1, RFC 7162 3.2.3: what is known, once; QRESYNC brings CONDSTORE."""
    client = lab.client()
    assert client.send(b"ENABLE qresync X-Y")[0] == b"* ENABLED QRESYNC"
    assert client.engine.session.condstore
    assert client.send(b"ENABLE QRESYNC UTF8=ACCEPT")[0] == b"* ENABLED UTF8=ACCEPT"
    assert client.tagged(b"ENABLE").startswith(b"BAD ")
    assert lab.client(log_in=False).tagged(b"ENABLE QRESYNC").startswith(b"BAD ")


def test_unauthenticate(lab: Lab) -> None:
    """RFC 8437 3: nothing of the first client is left to the second."""
    lab.deliver(MAIL)
    client = lab.client(select="INBOX")
    client.send(b"ENABLE IMAP4rev2 QRESYNC")
    assert client.tagged(b"UNAUTHENTICATE").startswith(b"OK ")
    assert client.tagged(b"FETCH 1 FLAGS").startswith(b"BAD ")
    assert client.tagged(b"NOOP").startswith(b"OK ")
    assert not lab.live._open
    assert client.tagged(b"LOGIN a@example.org secret").startswith(b"OK ")
    assert not client.engine.session.enabled
    # IMAP4rev2 has no RECENT.
    assert b"* 0 RECENT" in client.send(b"SELECT INBOX")


def test_what_is_announced(lab: Lab) -> None:
    """RFC 9051 6.1.1: no mechanism before TLS, extensions after the log-in, compression once (RFC 4978 3)."""
    client = lab.client(log_in=False)
    before = words(client.send(b"CAPABILITY"))
    assert {b"IMAP4rev2", b"IMAP4rev1", b"AUTH=PLAIN", b"SASL-IR"} <= set(before)
    assert b"UIDPLUS" not in before
    client.send(b"LOGIN a@example.org secret")
    after = words(client.send(b"CAPABILITY"))
    assert {b"UIDPLUS", b"APPENDLIMIT=52428800", b"COMPRESS=DEFLATE"} <= set(after)
    assert not [word for word in after if word.startswith(b"AUTH=")]
    assert client.tagged(b"COMPRESS DEFLATE").startswith(b"OK ")
    assert b"COMPRESS=DEFLATE" not in words(client.send(b"CAPABILITY"))
    assert client.tagged(b"COMPRESS DEFLATE").startswith(b"NO [COMPRESSIONACTIVE] ")
    assert lab.client().tagged(b"COMPRESS LZMA").startswith(b"NO ")


def test_before_tls(lab: Lab) -> None:
    client = lab.client(log_in=False, tls_available=True)
    client.engine = ServerEngine(client.engine.session.settings)
    said = words(client.send(b"CAPABILITY"))
    assert {b"LOGINDISABLED", b"STARTTLS"} <= set(said)
    assert not [word for word in said if word.startswith(b"AUTH=")]


def test_an_initial_response(lab: Lab) -> None:
    """RFC 4959 3: it comes with the command; "=" is an empty one."""
    client = lab.client(log_in=False)
    request = b"AUTHENTICATE PLAIN " + b64encode(b"\0a@example.org\0secret")
    client.engine.receive(b"x " + request + b"\r\n")
    started = client.engine.next_request()
    assert started is not None
    assert started.operation.initial == b"\0a@example.org\0secret"  # type: ignore[attr-defined]
    client.engine.answer(started, "a@example.org")
    assert client.go_on().startswith(b"x OK ")


class TestDeflation:
    """RFC 4978 3."""

    @pytest.mark.parametrize("step", [1, 7, 1000])
    def test_what_goes_in_comes_out(self, step: int) -> None:
        one, other = Deflation(), Deflation()
        text = b"".join(b"%d FETCH (FLAGS ())\r\n" % number for number in range(3000))
        sent = b"".join(one.deflated(text[at : at + 500]) for at in range(0, len(text), 500))
        assert len(sent) < len(text) // 2
        read = []
        for at in range(0, len(sent), step):
            other.receive(sent[at : at + step])
            while data := other.inflated():
                read.append(data)
        assert b"".join(read) == text
        assert other.held == 0

    def test_each_write_can_be_read_at_once(self) -> None:
        one, other = Deflation(), Deflation()
        for line in (b"a\r\n", b"b\r\n"):
            other.receive(one.deflated(line))
            assert other.inflated() == line

    def test_a_bomb_is_read_a_block_at_a_time(self) -> None:
        one, other = Deflation(), Deflation()
        other.receive(one.deflated(bytes(50_000_000)))
        assert len(other.inflated()) == BLOCK
        assert len(other.inflated()) == BLOCK
        assert other.held < 1_000_000

    def test_what_is_not_deflated(self) -> None:
        other = Deflation()
        other.receive(b"a1 NOOP\r\n" * 10)
        with pytest.raises(BadSyntax):
            while other.inflated():
                pass
