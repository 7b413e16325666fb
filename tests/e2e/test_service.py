"""The process itself: settings, signals, systemd."""

from __future__ import annotations

import base64
import os
import smtplib
import socket
import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.daemon import PATIENCE_S, TWISTD, client_context, submission, wait_until
from tests.e2e.peers import ALICE, BOB, PASSWORD, World


def certificate_of(port: int) -> bytes:
    """Return the certificate that a TLS port shows."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with (
        socket.create_connection(("127.0.0.1", port)) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as secure,
    ):
        found = secure.getpeercert(True)
        assert found is not None
        return found


def test_hang_up_reads_certificates_and_settings_again(world: World) -> None:
    """After HUP new connections see the new certificate and limits; a connection that was open goes on."""
    world.daemon.start()
    before = certificate_of(world.ports["submissions"])
    with submission(world.ports["submissions"], world.ca_file, ALICE, PASSWORD) as client:
        for name in ("ca.pem", "server.pem", "server.key"):
            (world.ca_file.parent / name).unlink()
        from fedaemon.net.selfsigned import make_local_ca

        make_local_ca(world.ca_file.parent, ("localhost", "127.0.0.1"))
        config = world.daemon.config
        config.write_text(config.read_text() + "\n[limits]\nmax_recipients = 1\n")
        world.daemon.hang_up()
        wait_until(lambda: certificate_of(world.ports["submissions"]) != before, "the new certificate")
        client.sendmail(ALICE, [BOB], f"From: {ALICE}\r\n\r\nstill here\r\n".encode())
    with submission(world.ports["submissions"], world.ca_file, ALICE, PASSWORD) as client:
        client.mail(ALICE)
        assert [client.rcpt(BOB)[0], client.rcpt(ALICE)[0]] == [250, 452]


def test_a_bad_file_at_hang_up_changes_nothing(world: World) -> None:
    """Settings that cannot be read are logged with file and line, and the daemon goes on as before."""
    world.daemon.start()
    config = world.daemon.config
    good = config.read_text()
    config.write_text(good + "\n[limits]\nmax_recipient = 1\n")
    world.daemon.hang_up()
    line = len(good.splitlines()) + 3
    wait_until(lambda: f"fedaemon.toml:{line}" in world.daemon.log.read_text(), "the complaint in the log")
    with submission(world.ports["submissions"], world.ca_file, ALICE, PASSWORD) as client:
        client.mail(ALICE)
        assert [client.rcpt(BOB)[0], client.rcpt(ALICE)[0]] == [250, 250]


def test_terminate_finishes_the_running_transaction(world: World) -> None:
    """TERM in the middle of a message: no new connections, the message is taken, the exit code is 0."""
    world.daemon.start()
    with smtplib.SMTP("127.0.0.1", world.ports["trusted"]) as client:
        client.ehlo()
        client.mail(ALICE)
        client.rcpt(BOB)
        client.docmd("DATA")
        client.send(f"From: {ALICE}\r\n\r\nhalf".encode())
        assert world.daemon.process is not None
        world.daemon.process.terminate()

        def refused() -> bool:
            try:
                socket.create_connection(("127.0.0.1", world.ports["trusted"]), 1).close()
            except OSError:
                return True
            return False

        wait_until(refused, "the listener to close")
        client.send(b" and half\r\n.\r\n")
        assert client.getreply()[0] == 250
        assert client.getreply()[0] == 421
        client.close()
    assert world.daemon.process.wait(PATIENCE_S) == 0
    world.daemon.start()
    wait_until(lambda: world.daemon.mailbox(BOB), "the message after the restart")


def test_settings_that_cannot_be_used_are_one_line(tmp_path: Path) -> None:
    """A wrong key ends twistd with exit code 2 and one line that names file, line and the fix."""
    config = tmp_path / "bad.toml"
    config.write_text('[server]\nhostname = "mail.example.test"\ndata_dirr = "/tmp/x"\n')
    done = subprocess.run(
        [*TWISTD, "-n", "--pidfile=", "fedaemon", "--config", str(config)],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 2
    assert f"{config}:3:" in done.stderr
    assert "data_dir" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert "Traceback" not in done.stderr


def test_a_missing_settings_file_is_one_line(tmp_path: Path) -> None:
    """A file that is not there is named."""
    done = subprocess.run(
        [*TWISTD, "-n", "--pidfile=", "fedaemon", "--config", str(tmp_path / "none.toml")],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 2
    assert "none.toml" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_port_in_use_is_one_clear_line(world: World) -> None:
    """Somebody else has the port: the last line says which, and the exit code is not 0."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", world.ports["mx"]))
        other.listen()
        done = subprocess.run(
            [*TWISTD, "-n", "--pidfile=", "fedaemon", "--config", str(world.daemon.config)],
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
            cwd=world.daemon.directory,
        )
    assert done.returncode == 1
    assert f"port {world.ports['mx']}" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_sockets_from_systemd_by_name(world: World) -> None:
    """A listener with address "systemd:NAME" takes the socket that systemd passed under that name."""
    with socket.socket() as passed:
        passed.bind(("127.0.0.1", 0))
        passed.listen()
        port = passed.getsockname()[1]
        config = world.daemon.config
        text = config.read_text()
        old = f'service = "mx"\naddress = "127.0.0.1"\nport = {world.ports["mx"]}\n'
        assert old in text
        config.write_text(text.replace(old, 'service = "mx"\naddress = "systemd:smtp"\n'))
        # systemd passes descriptors from 3 on and names the process by its id, which only a shell's exec
        # keeps.
        script = 'exec 3<&"$0"; LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=smtp exec "$@"'
        arguments = ["-n", "--pidfile=", "fedaemon", "--config", str(config)]
        process = subprocess.Popen(
            ["bash", "-c", script, str(passed.fileno()), *TWISTD, *arguments],
            pass_fds=[passed.fileno()],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=world.daemon.directory,
            env=dict(os.environ),
        )
    try:

        def greeted() -> bool:
            with socket.create_connection(("127.0.0.1", port), 5) as connection:
                connection.settimeout(5)
                return connection.recv(100).startswith(b"220 mail.example.test")

        wait_until(greeted, "the greeting on the passed socket")
    finally:
        process.terminate()
        assert process.wait(PATIENCE_S) == 0


def test_help_names_the_option() -> None:
    """`twistd fedaemon --help` works, so the plugin is found."""
    done = subprocess.run(
        [*TWISTD, "fedaemon", "--help"], capture_output=True, text=True, timeout=60, check=True
    )
    assert "--config" in done.stdout


def test_implicit_and_explicit_tls_verify(world: World) -> None:
    """Both submission ports show a certificate that verifies for localhost."""
    world.daemon.start()
    context = client_context(world.ca_file)
    with smtplib.SMTP_SSL("localhost", world.ports["submissions"], context=context) as client:
        assert client.noop()[0] == 250
    with smtplib.SMTP("localhost", world.ports["submission"]) as client:
        assert client.starttls(context=context)[0] == 220
        assert client.noop()[0] == 250


def test_a_proxy_header_before_implicit_tls(world: World) -> None:
    """The PROXY header and the handshake may begin in one packet; the client's address counts."""
    config = world.daemon.config
    old = f'port = {world.ports["submissions"]}\ntls = "implicit"\n'
    text = config.read_text()
    assert old in text
    config.write_text(
        text.replace(old, old + "proxy_protocol = true\n") + "\n[submission]\nshow_client = true\n"
    )
    world.daemon.start()
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = client_context(world.ca_file).wrap_bio(incoming, outgoing, server_hostname="localhost")
    with socket.create_connection(("127.0.0.1", world.ports["submissions"]), PATIENCE_S) as connection:
        unsent = b"PROXY TCP4 192.0.2.77 198.51.100.1 5000 465\r\n"

        def exchange(step: Callable[[], Any]) -> Any:
            nonlocal unsent
            while True:
                try:
                    return step()
                except ssl.SSLWantReadError:
                    connection.sendall(unsent + outgoing.read())
                    unsent = b""
                    incoming.write(connection.recv(65536))

        def say(line: str) -> bytes:
            tls.write(line.encode() + b"\r\n")
            connection.sendall(outgoing.read())
            answer: bytes = exchange(lambda: tls.read(65536))
            return answer

        exchange(tls.do_handshake)
        assert exchange(lambda: tls.read(65536)).startswith(b"220 ")
        assert say("EHLO laptop.example").startswith(b"250-")
        secret = base64.b64encode(f"\0{ALICE}\0{PASSWORD}".encode()).decode()
        assert say(f"AUTH PLAIN {secret}").startswith(b"235 ")
        assert say(f"MAIL FROM:<{ALICE}>").startswith(b"250 ")
        assert say(f"RCPT TO:<{BOB}>").startswith(b"250 ")
        assert say("DATA").startswith(b"354 ")
        assert say(f"From: {ALICE}\r\n\r\nthrough a proxy\r\n.").startswith(b"250 ")
    (stored,) = wait_until(lambda: world.daemon.mailbox(BOB), "the message")
    assert b"[192.0.2.77]" in stored
