"""Runs the example programs of docs/integrations, and knows the letter that each of them sends.

All examples send the same letter, so that one check serves them: a subject, a text, an HTML form of it, and
``invoice.pdf`` under a name that is not ASCII.
"""

from __future__ import annotations

import email
import email.policy
import os
import subprocess
import sys
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path

import pytest

from tests.daemon import PATIENCE_S, wait_until
from tests.interop.conftest import Local
from tests.interop.imap_account import Account
from tests.interop.pages import Page, replaced, says
from tests.interop.servers import Server

SUBJECT = "Invoice № 42 · Счёт № 42"
TEXT = "Hello, Bob!\nЗдравствуйте, Боб! Счёт во вложении. ✓"
HTML = "<p>Hello, <b>Bob</b>!</p>\n<p>Здравствуйте, <b>Боб</b>! Счёт во вложении. ✓</p>"
FILE_NAME = "Счёт № 42.pdf"
INVOICE = bytes(range(256)) * 40
"""What the programs find as invoice.pdf: each octet, and more of them than a line of base64 holds."""

STRANGER = "mallory@example.org"
"""An address that is no identity of Alice; the pages name it where they quote a refusal."""


@dataclass(frozen=True, slots=True)
class Printed:
    """What a program printed on both outputs, and how it ended."""

    text: str
    code: int


class Example:
    """The example of one page, written into a directory of its own and ready to run.

    :ivar environment: what the program is told; MAIL_PASSWORD and the trust in the server's authority are there.
    """

    def __init__(
        self,
        page: Page,
        directory: Path,
        server: Server,
        recipient: str = "bob@example.test",
        variant: str = "",
    ) -> None:
        self.page, self.directory, self.variant = page, directory, variant
        self.replacements = server.replacements(recipient)
        self.environment = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "LC_ALL": "C.UTF-8",
            "MAIL_PASSWORD": server.password,
            "SSL_CERT_FILE": server.ca_file,
            "NODE_EXTRA_CA_CERTS": server.ca_file,
        }
        directory.mkdir(parents=True, exist_ok=True)
        page.write(directory, self.replacements, variant)
        (directory / "invoice.pdf").write_bytes(INVOICE)

    def edit(self, name: str, old: str, new: str) -> None:
        """Change one place of a file, as somebody does who makes a mistake there."""
        path = self.directory / name
        text = path.read_text()
        assert text.count(old) == 1, (name, old, text)
        path.write_text(text.replace(old, new))

    def run(self, command: str = "send") -> Printed:
        """Run the shell lines that the page gives for *command*."""
        return self.shell(replaced(self.page.commands(self.variant)[command], self.replacements))

    def shell(self, lines: str) -> Printed:
        """Run shell lines in the example's directory; the first that fails ends them."""
        done = subprocess.run(
            ["/bin/sh", "-ec", lines],
            cwd=self.directory,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=PATIENCE_S * 2,
            check=False,
        )
        return Printed(done.stdout.decode("utf-8", "replace"), done.returncode)

    def succeeds(self, command: str = "send") -> str:
        """Run *command*; fail unless it ends well. Return what it printed."""
        printed = self.run(command)
        assert printed.code == 0, printed.text
        return printed.text

    def fails(self, failure: str, command: str = "send") -> None:
        """Run *command*; fail unless it ends badly and prints what the page quotes for *failure*."""
        printed = self.run(command)
        assert printed.code != 0, printed.text
        quoted = self.page.errors()[failure]
        assert says(printed.text, quoted, self.replacements), (
            f"the page:\n{quoted}\nthe program:\n{printed.text}"
        )


def arrived(account: Account) -> bytes:
    """Return the one message that came into an account's INBOX, as IMAP shows it."""

    def found() -> list[bytes]:
        with account.session() as client:
            client.ok(b"EXAMINE INBOX")
            fetched = client.ok(b"UID FETCH 1:* (BODY.PEEK[])").fetched()
        return [octets for items in fetched.values() if isinstance(octets := items["BODY[]"], bytes)]

    messages: list[bytes] = wait_until(found, f"a message in {account.address}")
    (message,) = messages
    return message


def check_letter(octets: bytes) -> EmailMessage:
    """Check that *octets* are the letter of the examples, each part unharmed."""
    message = email.message_from_bytes(octets, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    assert message["Subject"] == SUBJECT
    plain, html = message.get_body(("plain",)), message.get_body(("html",))
    assert plain is not None
    assert html is not None
    assert plain.get_content().replace("\r\n", "\n").strip() == TEXT
    assert html.get_content().replace("\r\n", "\n").strip() == HTML
    (attached,) = message.iter_attachments()
    assert attached.get_filename() == FILE_NAME
    assert attached.get_content_type() == "application/pdf"
    assert attached.get_content() == INVOICE
    return message


@pytest.fixture
def account(local: Local) -> Account:
    """Somebody in local mode to write to, whom no other test knows."""
    return Account(local)
