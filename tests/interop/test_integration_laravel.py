"""docs/integrations/laravel.md: its command and its route send the letter, and fail as the page says."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.interop.examples import STRANGER, Example, account, arrived, check_letter
from tests.interop.imap_account import Account
from tests.interop.library_suite import Edit, LibrarySuite, Make
from tests.interop.servers import LOGIN

__all__ = ["account"]

APPLICATION = Path(__file__).parent / "laravel"
"""The least that makes Debian's package an application; the page has the rest."""


class TestLaravel(LibrarySuite):
    name = "laravel"
    needs = ("php", "/usr/share/php/Illuminate/Foundation")
    foreign = Edit(".env", f"MAIL_FROM_ADDRESS={LOGIN}", f"MAIL_FROM_ADDRESS={STRANGER}")
    without_tls = Edit(".env", "MAIL_ENCRYPTION=tls", "MAIL_ENCRYPTION=null")
    impatient = Edit("config/mail.php", "'timeout' => null", "'timeout' => 1")

    def prepare(self, example: Example, request: pytest.FixtureRequest) -> None:
        shutil.copytree(APPLICATION, example.directory, dirs_exist_ok=True)
        for directory in ("bootstrap/cache", "storage/framework/views"):
            (example.directory / directory).mkdir(parents=True)
        # The console breaks a message at the terminal's width, in the middle of words.
        example.environment["COLUMNS"] = "1000"

    def test_the_route_sends(self, make: Make, account: Account) -> None:
        printed = make(recipient=account.address).shell("php request.php POST /invoices/42/send")
        assert printed.text == "200 Invoice 42 is sent.\n"
        check_letter(arrived(account))

    def test_the_route_wants_post(self, make: Make) -> None:
        """A link in a page, or a crawler, must not send."""
        assert make().shell("php request.php GET /invoices/42/send").text.startswith("405 ")
