"""The programs that people send mail with, each with the settings of local.json and nothing else.

Each message has UTF-8 text, HTML and an attachment of all 256 octets where the program can, and must arrive
in the recipient's mailbox with its parts unharmed.
"""

from __future__ import annotations

import email
import email.policy
import json
import smtplib
import subprocess
import sys
from collections.abc import Callable
from email.message import EmailMessage
from pathlib import Path

import pytest

from tests.daemon import client_context
from tests.interop.conftest import Local

HERE = Path(__file__).parent
EVERY_OCTET = bytes(range(256))
Need = Callable[..., None]


def check(raw: bytes, *, html: bool = True, attachment: bool = True) -> EmailMessage:
    """Check the parts of a message as it was stored."""
    message = email.message_from_bytes(raw, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    plain = message.get_body(("plain",))
    assert plain is not None
    assert plain.get_content().strip() == "Привет, мир"
    if html:
        part = message.get_body(("html",))
        assert part is not None
        assert part.get_content().strip() == "<b>Привет, мир</b>"
    if attachment:
        (attached,) = message.iter_attachments()
        assert attached.get_content() == EVERY_OCTET
    return message


def run(local: Local, *command: object, stdin: bytes | None = None) -> str:
    """Run a client program; fail with what it printed."""
    done = subprocess.run(
        [str(part) for part in command],
        env=local.environment(),
        input=stdin,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, (done.stdout + done.stderr).decode()
    return done.stdout.decode()


@pytest.mark.parametrize("implicit", [True, False], ids=["465", "587"])
@pytest.mark.parametrize("to", ["bob@example.test", "someone@elsewhere.example"], ids=["local", "captured"])
def test_smtplib(local: Local, implicit: bool, to: str) -> None:
    """Python's smtplib; the body is compared octet for octet."""
    subject = f"smtplib {implicit} {to}"
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "alice@example.test", to, subject
    message.set_content("Привет, мир")
    message.add_alternative("<b>Привет, мир</b>", subtype="html")
    message.add_attachment(EVERY_OCTET, maintype="application", subtype="octet-stream", filename="all.bin")
    for number, part in enumerate(part for part in message.walk() if part.is_multipart()):
        part.set_boundary(f"=-boundary-{number}")
    context = client_context(Path(local.settings["ca_file"]))
    client: smtplib.SMTP
    if implicit:
        client = smtplib.SMTP_SSL("localhost", local.settings["ports"]["submissions"], context=context)
    else:
        client = smtplib.SMTP("localhost", local.settings["ports"]["submission"])
        client.starttls(context=context)
    with client:
        client.login("alice@example.test", local.alice)
        client.send_message(message)
    stored = local.wait_for("bob@example.test" if "bob" in to else "outbox@example.test", subject)
    check(stored)
    sent = message.as_bytes(policy=email.policy.SMTP)
    assert stored.partition(b"\r\n\r\n")[2] == sent.partition(b"\r\n\r\n")[2]


@pytest.mark.parametrize("port", ["submissions", "submission"])
def test_nodemailer(local: Local, need: Need, node_modules: Path, port: str) -> None:
    """Nodemailer as its guide configures it."""
    need("node")
    script = node_modules.parent / "nodemailer.js"
    script.write_bytes((HERE / "nodemailer.js").read_bytes())
    secure = json.dumps(port == "submissions")
    subject = f"nodemailer {port}"
    printed = run(local, "node", script, local.settings["ports"][port], secure, "bob@example.test", subject)
    assert printed.startswith("250 2.0.0 Ok: queued as ")
    check(local.wait_for("bob@example.test", subject))


@pytest.mark.parametrize("port", ["submissions", "submission"])
def test_phpmailer(local: Local, need: Need, port: str) -> None:
    """PHPMailer as its guide configures it."""
    need("php", "/usr/share/php/libphp-phpmailer")
    subject = f"phpmailer {port}"
    security = "ssl" if port == "submissions" else "tls"
    number = local.settings["ports"][port]
    assert run(local, "php", HERE / "phpmailer.php", number, security, "bob@example.test", subject) == "sent"
    check(local.wait_for("bob@example.test", subject))


@pytest.mark.parametrize("port", ["submissions", "submission"])
def test_django(local: Local, port: str) -> None:
    """Django's mail backend, configured by settings alone."""
    subject = f"django {port}"
    option = "EMAIL_USE_SSL" if port == "submissions" else "EMAIL_USE_TLS"
    program = f"""
import os
from django.conf import settings
settings.configure(
    EMAIL_BACKEND="django.core.mail.backends.smtp.EmailBackend",
    EMAIL_HOST=os.environ["MAIL_HOST"],
    EMAIL_PORT={local.settings["ports"][port]},
    {option}=True,
    EMAIL_HOST_USER=os.environ["MAIL_USER"],
    EMAIL_HOST_PASSWORD=os.environ["MAIL_PASSWORD"],
    DEFAULT_FROM_EMAIL=os.environ["MAIL_USER"],
)
from django.core.mail import EmailMultiAlternatives
message = EmailMultiAlternatives({subject!r}, "Привет, мир", None, ["bob@example.test"])
message.attach_alternative("<b>Привет, мир</b>", "text/html")
message.attach("all.bin", bytes(range(256)), "application/octet-stream")
assert message.send() == 1
"""
    run(local, sys.executable, "-c", program)
    check(local.wait_for("bob@example.test", subject))


@pytest.mark.parametrize("port", ["submissions", "submission"])
def test_swaks(local: Local, need: Need, port: str) -> None:
    """swaks, with TLS verification on."""
    need("swaks")
    subject = f"swaks {port}"
    tls = "--tls-on-connect" if port == "submissions" else "--tls"
    address = f"localhost:{local.settings['ports'][port]}"
    ca = ("--tls-verify", "--tls-ca-path", local.settings["ca_file"])
    header = ("--header", f"Subject: {subject}", "--header", "Content-Type: text/plain; charset=utf-8")
    login = ("--auth", "PLAIN", "--auth-user", "alice@example.test", "--auth-password", local.alice)
    parties = ("--from", "alice@example.test", "--to", "bob@example.test")
    run(local, "swaks", "--server", address, tls, *ca, *login, *parties, *header, "--body", "Привет, мир")
    check(local.wait_for("bob@example.test", subject), html=False, attachment=False)


@pytest.mark.parametrize("port", ["submissions", "submission"])
@pytest.mark.parametrize("mechanism", ["plain", "scram-sha-256", "login"])
def test_msmtp(local: Local, need: Need, tmp_path: Path, port: str, mechanism: str) -> None:
    """msmtp, with each mechanism that it and we have."""
    need("msmtp")
    subject = f"msmtp {port} {mechanism}"
    config = tmp_path / "msmtprc"
    config.write_text(
        f"""
account default
host localhost
port {local.settings["ports"][port]}
tls on
tls_starttls {"off" if port == "submissions" else "on"}
tls_trust_file {local.settings["ca_file"]}
auth {mechanism}
user alice@example.test
password {local.alice}
from alice@example.test
"""
    )
    config.chmod(0o600)
    message = (
        f"From: alice@example.test\nTo: bob@example.test\nSubject: {subject}\n"
        "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\nПривет, мир\n"
    )
    run(local, "msmtp", "-C", config, "bob@example.test", stdin=message.encode())
    check(local.wait_for("bob@example.test", subject), html=False, attachment=False)
