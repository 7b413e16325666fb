"""What every page for a library promises, as tests; a class says how its program is broken on purpose.

The test file of a page derives from ``LibrarySuite`` and has what is particular to its library.
"""

from __future__ import annotations

import email
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import pytest

from tests.interop.conftest import Local
from tests.interop.examples import Example, arrived, check_letter
from tests.interop.imap_account import Account
from tests.interop.pages import Page
from tests.interop.servers import LOGIN, SPENT, Certified, Server, Tap, silent_server

NOBODY = "nobody@example.test"
SMALL_FILE = b"%PDF"
"""With this for an invoice the letter is small enough for the strict server."""

Make = Callable[..., Example]


@dataclass(frozen=True, slots=True)
class Edit:
    """*old* in the file *name* becomes *new*: what somebody does who makes the mistake that the page describes."""

    name: str
    old: str
    new: str


class LibrarySuite:
    """The tests of one page.

    :cvar name: the page's. :cvar needs: a program and files without which the tests are skipped by name.
    :cvar foreign: makes the sender a stranger. :cvar without_tls: made in the 587 variant.
    :cvar impatient: shortens the time-out that a silent server meets.
    """

    name: ClassVar[str]
    needs: ClassVar[tuple[str, ...]] = ("python3",)
    foreign: ClassVar[Edit]
    without_tls: ClassVar[Edit]
    impatient: ClassVar[Edit]

    def prepare(self, example: Example, request: pytest.FixtureRequest) -> None:
        """Give *example* what is around its files, such as an installed library."""

    @pytest.fixture
    def make(
        self, local: Local, need: Callable[..., None], tmp_path: Path, request: pytest.FixtureRequest
    ) -> Make:
        """Write the page's example, with a mistake if there is one, ready to run."""
        need(*self.needs)

        def written(
            server: Server | None = None,
            recipient: str = "bob@example.test",
            variant: str = "",
            edit: Edit | None = None,
            **environment: str,
        ) -> Example:
            example = Example(Page(self.name), tmp_path, server or Server.of(local), recipient, variant)
            example.environment |= environment
            self.prepare(example, request)
            if edit is not None:
                example.edit(edit.name, edit.old, edit.new)
            return example

        return written

    def test_what_the_library_says_is_what_imap_shows(
        self, make: Make, account: Account, local: Local
    ) -> None:
        """Port 465: each octet of the content that the library sent is there, in its place."""
        tap = Tap(Certified(local), local.settings["ports"]["submissions"])
        server = replace(Server.of(local), ports={"submissions": tap.port, "submission": 0})
        make(server, account.address).succeeds()
        sent, stored = tap.content(), arrived(account)
        check_letter(stored)
        assert stored.endswith(b"\r\n\r\n" + sent.partition(b"\r\n\r\n")[2])
        fields = email.message_from_bytes(sent).items()
        assert [field for field in email.message_from_bytes(stored).items() if field in fields] == fields

    def test_starttls(self, make: Make, account: Account) -> None:
        """Port 587: the letter arrives unharmed, by way of TLS."""
        make(recipient=account.address, variant="587").succeeds()
        message = check_letter(arrived(account))
        assert " with ESMTPSA " in " ".join(message["Received"].split())

    def test_wrong_password(self, make: Make) -> None:
        make(MAIL_PASSWORD="wrong").fails("wrong-password")

    def test_foreign_from(self, make: Make) -> None:
        make(edit=self.foreign).fails("foreign-from")

    def test_without_tls(self, make: Make) -> None:
        make(variant="587", edit=self.without_tls).fails("no-tls")

    def test_untrusted_certificate(self, make: Make) -> None:
        make(SSL_CERT_FILE="", NODE_EXTRA_CA_CERTS="").fails("certificate")

    def test_silence(self, make: Make, local: Local) -> None:
        """Nobody answers: the time-outs of the example are meant for this."""
        with silent_server() as port:
            server = replace(Server.of(local), ports={"submissions": port, "submission": port})
            make(server, variant="587", edit=self.impatient).fails("timeout")

    def test_too_big(self, make: Make, strict: Server) -> None:
        make(strict, LOGIN).fails("too-big")

    def test_daily_limit(self, make: Make, strict: Server) -> None:
        example = make(replace(strict, login=SPENT), LOGIN)
        (example.directory / "invoice.pdf").write_bytes(SMALL_FILE)
        example.fails("daily-limit")

    def test_unknown_recipient(self, make: Make) -> None:
        make(recipient=NOBODY).fails("unknown-recipient")
