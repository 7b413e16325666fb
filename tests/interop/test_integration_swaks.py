"""docs/integrations/swaks.md: its commands as they stand, and the mistakes that it tells of."""

from __future__ import annotations

import email
import email.policy
from collections.abc import Callable
from email.message import EmailMessage
from pathlib import Path

import pytest

from tests.interop.conftest import Local
from tests.interop.examples import INVOICE, Example, account, arrived
from tests.interop.imap_account import Account
from tests.interop.pages import Page, replaced, says
from tests.interop.servers import Server

__all__ = ["account"]

PAGE = Page("swaks")
Make = Callable[..., Example]


@pytest.fixture
def make(local: Local, account: Account, need: Callable[..., None], tmp_path: Path) -> Make:
    """Make a home directory for swaks; without the page's file of options unless it is *wanted*."""
    need("swaks")

    def written(variant: str = "", *, wanted: bool = False, **environment: str) -> Example:
        example = Example(PAGE, tmp_path, Server.of(local), account.address, variant)
        example.environment |= {"HOME": str(tmp_path), **environment}
        if not wanted:
            (tmp_path / ".swaksrc").unlink()
        return example

    return written


@pytest.mark.parametrize("port", ["465", "587"])
def test_it_sends(make: Make, account: Account, port: str) -> None:
    printed = make("587" if port == "587" else "").succeeds()
    assert "250 2.0.0 Ok: queued as " in printed
    message = arrived(account)
    assert b"\r\nSubject: from swaks\r\n" in message
    assert b"\r\n\r\nIt works." in message


def test_a_letter_with_a_file(make: Make, account: Account) -> None:
    """Subject, text and file arrive unharmed."""
    make().succeeds("letter")
    message = email.message_from_bytes(arrived(account), policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    assert message["Subject"] == "Счёт"
    text, file = message.iter_parts()
    assert isinstance(text, EmailMessage)
    assert isinstance(file, EmailMessage)
    assert text.get_content().strip() == "Здравствуйте, Боб!"
    assert (file.get_filename(), file.get_content()) == ("invoice.pdf", INVOICE)


def test_the_file_of_options(make: Make, account: Account) -> None:
    make(wanted=True).succeeds("short")
    assert b"From: alice@example.test\r\n" in arrived(account)


def test_from_outside(make: Make, local: Local) -> None:
    """Port 25 needs no login for a mailbox here, and takes nothing for others."""
    example = make()
    lines = replaced(PAGE.commands()["outside"], example.replacements)
    lines = lines.replace("--port 25", f"--port {local.settings['ports']['mx']}")
    assert example.shell(lines).code == 0
    printed = example.shell(lines.replace("--to alice@example.test", "--to bob@elsewhere.example"))
    assert printed.code == 24
    assert "550 5.7.1 <bob@elsewhere.example>: this server does not relay" in printed.text


@pytest.mark.parametrize(
    ("error", "options", "code"),
    [
        ("wrong-password", "--auth-password wrong", 28),
        ("foreign-from", "--header 'From: eve@example.org'", 26),
    ],
)
def test_a_refusal(make: Make, error: str, options: str, code: int) -> None:
    """What is added to the command is what makes it fail, with the text and the code of the page."""
    example = make()
    command = replaced(PAGE.commands()["send"], example.replacements)
    printed = example.shell(f"{command.rstrip()} {options}\n")
    # The address in the reply is that of our example, whoever asks.
    replacements = example.replacements if error != "wrong-password" else {}
    assert says(printed.text, PAGE.errors()[error], replacements), printed.text
    assert printed.code == code


@pytest.mark.parametrize(("error", "tls"), [("no-tls", ""), ("no-login", "--tls --tls-verify")])
def test_without_login(make: Make, local: Local, error: str, tls: str) -> None:
    port = local.settings["ports"]["submission"]
    parties = "--from alice@example.test --to bob@example.test"
    printed = make().shell(f"swaks --server localhost --port {port} {tls} {parties}")
    assert says(printed.text, PAGE.errors()[error]), printed.text
    assert printed.code == 23


def test_an_unknown_authority(make: Make) -> None:
    example = make(SSL_CERT_FILE="")
    example.fails("certificate")
    assert example.run().code == 29
