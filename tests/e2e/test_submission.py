"""What a submitting client may do and what it hears when it may not, on the real process.

Standards: RFC 6409, RFC 4954, RFC 3207, RFC 5321 4.5.3.
"""

from __future__ import annotations

import base64
import hashlib
import smtplib
import socket
import ssl
from pathlib import Path

import pytest

from tests.accounts.scram_client import ScramClient
from tests.daemon import client_context, submission, wait_until
from tests.e2e.peers import ALICE, BOB, PASSWORD, World


def send(world: World, sender: str, head: str, *recipients: str, login: str = ALICE) -> tuple[int, str]:
    """Submit a message and return the last reply: to MAIL, RCPT or the content."""
    with submission(world.ports["submissions"], world.ca_file, login, PASSWORD) as client:
        code, text = client.mail(sender)
        for recipient in recipients or (BOB,):
            if code == 250:
                code, text = client.rcpt(recipient)
        if code == 250:
            code, text = client.data(f"{head}\r\n\r\nhello\r\n".encode())
        return code, text.decode()


@pytest.mark.parametrize(
    ("sender", "head", "named"),
    [
        (BOB, f"From: {ALICE}", f"envelope sender <{BOB}>"),
        (ALICE, f"From: {BOB}", f"From <{BOB}>"),
        (ALICE, f"From: {ALICE}\r\nSender: {BOB}", f"Sender <{BOB}>"),
        (ALICE, f"From: {ALICE}\r\nFrom: {ALICE}", "2 From fields"),
        (ALICE, f"From: {ALICE}, {BOB}", "2 addresses"),
        (ALICE, "Subject: nobody", "no From field"),
        (ALICE, f'From: "{ALICE}" <{BOB}>', f"From <{BOB}>"),
        (ALICE, f"From: {ALICE} ({BOB})\r\n\t, {BOB}", "2 addresses"),
        ("", f"From: {BOB}", f"From <{BOB}>"),
    ],
)
def test_nobody_sends_as_somebody_else(world: World, sender: str, head: str, named: str) -> None:
    """Envelope sender, From and Sender are each checked, and the refusal says which one and what to do."""
    world.daemon.start()
    code, text = send(world, sender, head)
    assert code == 550
    assert named in text
    if "is not an address" in text:
        assert ALICE in text
        assert "fedaemonctl account identity add" in text


@pytest.mark.parametrize(
    ("sender", "head"),
    [
        (ALICE, f"From: {ALICE}"),
        ("alice+shop@example.test", "From: Alice <alice+news@example.test>"),
        ("", f"From: {ALICE}"),
        ("sales@example.test", "From: sales@example.test"),
        ("anything@shop.test", "From: other@shop.test"),
        ("ALICE@EXAMPLE.TEST", "From: Alice@Example.Test"),
    ],
)
def test_an_account_sends_as_its_identities(world: World, sender: str, head: str) -> None:
    """Own address, +tag, empty sender, an added address, and a whole domain."""
    world.daemon.ctl("account", "identity", "add", ALICE, "sales@example.test")
    world.daemon.ctl("domain", "add", "shop.test")
    world.daemon.ctl("account", "identity", "add", ALICE, "@shop.test")
    world.daemon.start()
    code, text = send(world, sender, head)
    assert code == 250, text


def test_wrong_passwords_are_told_where_to_look(world: World) -> None:
    """535 for a wrong password and for an unknown user, with the same text; a short user name gets its own
    hint."""
    world.daemon.start()
    said = []
    for login, password in ((ALICE, "wrong"), ("nobody@example.test", PASSWORD), ("alice", PASSWORD)):
        with (
            pytest.raises(smtplib.SMTPAuthenticationError) as refused,
            submission(world.ports["submissions"], world.ca_file, login, password),
        ):
            pass
        assert refused.value.smtp_code == 535
        said.append(refused.value.smtp_error)
    assert said[0] == said[1]
    assert b"full address" in said[2]


def test_no_password_is_taken_before_tls(world: World) -> None:
    """Before STARTTLS no AUTH is offered or taken, and no mail."""
    world.daemon.start()
    with smtplib.SMTP("localhost", world.ports["submission"]) as client:
        client.ehlo()
        assert "auth" not in client.esmtp_features
        assert "starttls" in client.esmtp_features
        secret = base64.b64encode(f"\0{ALICE}\0{PASSWORD}".encode()).decode()
        code, text = client.docmd("AUTH", f"PLAIN {secret}")
        assert (code, text[:6]) == (538, b"5.7.11")
        assert client.mail(ALICE)[0] == 530
        client.starttls(context=client_context(world.ca_file))
        client.ehlo()
        assert "starttls" not in client.esmtp_features
        assert client.mail(ALICE)[0] == 530
        client.login(ALICE, PASSWORD)
        assert client.mail(ALICE)[0] == 250


def test_scram_bound_to_the_channel(world: World) -> None:
    """SCRAM-SHA-256-PLUS is offered under TLS, takes the right certificate's hash, and refuses another's."""
    world.daemon.start()
    for right in (True, False):
        context = client_context(world.ca_file)
        with smtplib.SMTP_SSL("localhost", world.ports["submissions"], context=context) as client:
            client.ehlo()
            assert "SCRAM-SHA-256-PLUS" in client.esmtp_features["auth"].split()
            assert isinstance(client.sock, ssl.SSLSocket)
            certificate = client.sock.getpeercert(True)
            assert certificate is not None
            binding = hashlib.sha256(certificate if right else certificate[:-1]).digest()
            scram = ScramClient(ALICE, PASSWORD, flag="p=tls-server-end-point", binding=binding)
            code, challenge = client.docmd("AUTH", f"SCRAM-SHA-256-PLUS {encoded(scram.first())}")
            assert code == 334
            code, challenge = client.docmd(encoded(scram.final(base64.b64decode(challenge))))
            if not right:
                assert code == 535
                continue
            assert code == 334
            assert scram.accepts(base64.b64decode(challenge))
            assert client.docmd("")[0] == 235
            assert client.mail(ALICE)[0] == 250


def encoded(data: bytes) -> str:
    """Return *data* as AUTH sends it."""
    return base64.b64encode(data).decode()


def test_app_passwords_log_in_and_end(world: World) -> None:
    """A generated app password works at once beside the running daemon, and no longer once it is removed."""
    world.daemon.start()
    made = world.daemon.ctl_json("password", "add", ALICE, "--name", "printer", "--scope", "smtp")
    assert len(made["password"]) == 24
    with submission(
        world.ports["submission"], world.ca_file, ALICE, made["password"], implicit=False
    ) as client:
        assert client.mail(ALICE)[0] == 250
        client.rset()
        world.daemon.ctl("password", "remove", ALICE, "--name", "printer")
        assert client.mail(ALICE)[0] == 535
    with pytest.raises(smtplib.SMTPAuthenticationError):
        with submission(world.ports["submissions"], world.ca_file, ALICE, made["password"]):
            pass


def test_the_same_message_submitted_again_is_queued_once(world: World) -> None:
    """A copy with the same Message-ID, Date and envelope gets the first queue id; another recipient makes
    another message."""
    world.daemon.start()
    head = f"From: {ALICE}\r\nMessage-ID: <1@example.test>\r\nDate: Mon, 23 Nov 2026 10:00:00 +0000"
    first = send(world, ALICE, head)
    assert send(world, ALICE, head) == first
    other = send(world, ALICE, head, ALICE)
    assert other[0] == 250 and other != first
    wait_until(lambda: len(world.daemon.mailbox(BOB)) == 1, "one message in bob's mailbox")
    assert len(world.daemon.ctl_json("queue", "list")) == 2


def test_the_daily_limit_is_temporary_and_says_when_it_ends(world: World) -> None:
    """The message after the last allowed one is answered 450 4.7.1 with the time of the reset."""
    world.daemon.ctl("account", "set", ALICE, "--daily-limit", "2")
    world.daemon.start()
    assert send(world, ALICE, f"From: {ALICE}")[0] == 250
    assert send(world, ALICE, f"From: {ALICE}")[0] == 250
    code, text = send(world, ALICE, f"From: {ALICE}")
    assert code == 450
    assert text.startswith("4.7.1 ")
    assert "00:00 UTC" in text
    assert send(world, BOB, f"From: {BOB}", login=BOB)[0] == 250


def test_a_trusted_network_needs_no_login_but_an_address_of_ours(world: World) -> None:
    """Hosts of trusted_networks send without AUTH, as addresses of hosted domains only."""
    world.daemon.start()
    with smtplib.SMTP("127.0.0.1", world.ports["trusted"]) as client:
        client.sendmail("printer@example.test", [BOB], b"From: printer@example.test\r\n\r\nscan\r\n")
        with pytest.raises(smtplib.SMTPSenderRefused) as refused:
            client.sendmail("me@remote.test", [BOB], b"From: me@remote.test\r\n\r\nspam\r\n")
        assert refused.value.smtp_code == 550
        with pytest.raises(smtplib.SMTPDataError):
            client.sendmail("printer@example.test", [BOB], b"From: me@remote.test\r\n\r\nspam\r\n")
    wait_until(lambda: len(world.daemon.mailbox(BOB)) == 1, "the scan in bob's mailbox")


def test_too_many_recipients_and_duplicates(world: World) -> None:
    """The 101st recipient is answered 452 4.5.3; the same recipient twice counts and is delivered once."""
    world.daemon.start()
    with submission(world.ports["submissions"], world.ca_file, ALICE, PASSWORD) as client:
        client.mail(ALICE)
        replies = [client.rcpt(f"user{number}@remote.test")[0] for number in range(101)]
        assert replies == [250] * 100 + [452]
        client.rset()
        client.mail(ALICE)
        assert [client.rcpt(BOB)[0], client.rcpt(BOB.upper())[0]] == [250, 250]
        assert client.data(f"From: {ALICE}\r\n\r\nonce\r\n".encode())[0] == 250
    wait_until(lambda: world.daemon.mailbox(BOB), "the message")
    assert len(world.daemon.mailbox(BOB)) == 1


def test_a_mail_loop_is_refused(world: World) -> None:
    """More than 100 Received fields: 554 5.4.6."""
    world.daemon.start()
    head = "".join(f"Received: from a by b; Mon, 23 Nov 2026 10:00:{n % 60:02} +0000\r\n" for n in range(101))
    code, text = send(world, ALICE, f"{head}From: {ALICE}")
    assert (code, text[:5]) == (554, "5.4.6")


def test_starttls_injection(world: World) -> None:
    """Commands sent with STARTTLS in one packet are never run, neither before nor after the handshake."""
    world.daemon.start()
    with socket.create_connection(("127.0.0.1", world.ports["mx"])) as connection:
        lines = connection.makefile("rb")
        assert lines.readline().startswith(b"220 ")
        connection.sendall(b"EHLO x\r\n")
        while lines.readline()[3:4] == b"-":
            pass
        connection.sendall(b"STARTTLS\r\nMAIL FROM:<evil@remote.test>\r\n")
        rest = lines.read()
        assert b"2.1.0" not in rest
        assert rest[:3] in (b"554", b"501", b"503")


def test_smuggling_on_the_wire(world: World) -> None:
    """A bare line feed around a dot ends no message, and the message with it is refused as a whole."""
    world.daemon.start()
    with smtplib.SMTP("127.0.0.1", world.ports["mx"]) as client:
        client.ehlo()
        client.mail("carol@remote.test")
        client.rcpt(BOB)
        client.docmd("DATA")
        client.send(b"From: carol@remote.test\r\n\r\nhello\n.\r\nMAIL FROM:<evil@remote.test>\r\n.\r\n")
        code, text = client.getreply()
        assert code == 550
        assert b"line feed" in text.lower() or b"bare" in text.lower()
        assert client.noop()[0] == 250
    assert world.daemon.mailbox(BOB) == []


def test_pipelined_commands_are_answered_in_order(world: World) -> None:
    """A whole transaction in one packet gets its replies in order."""
    world.daemon.start()
    with socket.create_connection(("127.0.0.1", world.ports["trusted"])) as connection:
        connection.sendall(
            b"EHLO x\r\nMAIL FROM:<a@example.test>\r\nRCPT TO:<bob@example.test>\r\n"
            b"RCPT TO:<nobody@example.test>\r\nDATA\r\n"
        )
        lines = connection.makefile("rb")
        while not lines.readline().startswith(b"250 "):
            pass
        assert [lines.readline()[:3] for _ in range(4)] == [b"250", b"250", b"550", b"354"]
        connection.sendall(b"From: a@example.test\r\n\r\nx\r\n.\r\nNOOP\r\nQUIT\r\n")
        assert [lines.readline()[:9] for _ in range(3)] == [b"250 2.0.0", b"250 2.0.0", b"221 2.0.0"]
        assert lines.read() == b""


def test_an_oversized_message_is_refused(world: World, tmp_path: Path) -> None:
    """SIZE beyond the limit is refused at MAIL, and one that lies about it at its end; both 552 5.3.4."""
    config = world.daemon.config
    config.write_text(config.read_text() + '\n[limits]\nmax_message_size = "100KB"\n')
    world.daemon.start()
    with submission(world.ports["submissions"], world.ca_file, ALICE, PASSWORD) as client:
        client.ehlo()
        assert client.esmtp_features["size"] == "102400"
        assert client.mail(ALICE, ["SIZE=200000"])[0] == 552
        client.mail(ALICE)
        client.rcpt(BOB)
        code, text = client.data(f"From: {ALICE}\r\n\r\n".encode() + b"x" * 70 + b"\r\n" * 80_000)
        assert (code, text[:5]) == (552, b"5.3.4")
        assert client.noop()[0] == 250


def test_weak_tls_is_refused(world: World) -> None:
    """TLS 1.1 does not get through a handshake."""
    world.daemon.start()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    with socket.create_connection(("127.0.0.1", world.ports["submissions"])) as connection:
        with pytest.raises(ssl.SSLError):
            context.wrap_socket(connection)
