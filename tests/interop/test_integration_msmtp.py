"""docs/integrations/msmtp.md: its files and commands as they stand, and the mistakes that it tells of."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.interop.conftest import Local
from tests.interop.examples import Example, account, arrived
from tests.interop.imap_account import Account
from tests.interop.pages import Page
from tests.interop.servers import Server

__all__ = ["account"]

PAGE = Page("msmtp")
TEXT = "It works. Всё получилось.".encode()
Make = Callable[..., Example]


@pytest.fixture
def make(local: Local, account: Account, need: Callable[..., None], tmp_path: Path) -> Make:
    """Write the page's files into a home directory."""
    need("msmtp")

    def written(variant: str = "", password: str | None = None) -> Example:
        example = Example(PAGE, tmp_path, Server.of(local), account.address, variant)
        example.environment |= {"HOME": str(tmp_path), "MAIL_PASSWORD": password or local.alice}
        for name in (".msmtprc", "msmtprc-system"):
            # As the page says of local mode: GnuTLS does not look into the environment.
            example.edit(name, "tls_trust_file system", f"tls_trust_file {local.settings['ca_file']}")
            (tmp_path / name).chmod(0o600)
        example.succeeds("password")
        return example

    return written


@pytest.mark.parametrize("port", ["465", "587"])
def test_it_sends(make: Make, account: Account, port: str) -> None:
    """The message arrives, octet for octet."""
    make("587" if port == "587" else "").succeeds()
    message = arrived(account)
    assert message.endswith(b"\r\n\r\n" + TEXT + b"\r\n")
    assert b"From: Alice <alice@example.test>\r\n" in message


@pytest.mark.parametrize("mechanism", ["plain", "scram-sha-256", "login"])
def test_each_way_to_log_in(make: Make, account: Account, mechanism: str) -> None:
    """msmtp, with each mechanism that it and we have."""
    example = make()
    example.edit(".msmtprc", "auth on", f"auth {mechanism}")
    example.succeeds()
    assert arrived(account)


def test_the_settings_of_a_machine(make: Make, account: Account) -> None:
    """What cron sends as root goes out as the account, in envelope and header."""
    example = make()
    example.edit("letter.eml", "Alice <alice@example.test>", "root@app1.example.org (Cron)")
    printed = example.shell("msmtp --file=msmtprc-system -t <letter.eml")
    assert printed.code == 0, printed.text
    message = arrived(account)
    assert b"Return-Path: <alice@example.test>\r\n" in message
    assert b"From: alice@example.test\r\n" in message


def test_a_wrong_password(make: Make) -> None:
    example = make(password="wrong")
    example.fails("wrong-password")
    assert example.run("send").code == 77


def test_a_foreign_envelope(make: Make) -> None:
    example = make()
    example.edit(".msmtprc", "from alice@example.test", "from eve@example.org")
    example.fails("foreign-envelope")


def test_a_foreign_from(make: Make) -> None:
    example = make()
    example.edit("letter.eml", "Alice <alice@example.test>", "eve@example.org")
    example.fails("foreign-from")


def test_no_tls(make: Make) -> None:
    """The password is not sent then."""
    example = make("587")
    example.edit(".msmtprc", "\ntls on\n", "\ntls off\n")
    example.fails("no-tls")


def test_tls_at_the_wrong_time(make: Make) -> None:
    example = make("587")
    example.edit(".msmtprc", "tls_starttls on", "tls_starttls off")
    example.fails("wrong-tls")


def test_an_unknown_authority(make: Make, local: Local) -> None:
    example = make()
    example.edit(".msmtprc", f"tls_trust_file {local.settings['ca_file']}", "tls_trust_file system")
    example.fails("certificate")
