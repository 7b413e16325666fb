"""docs/integrations/smtplib.md: its program sends its letter, and fails as the page says."""

from __future__ import annotations

from tests.daemon import wait_until
from tests.interop.conftest import Local
from tests.interop.examples import STRANGER, account, check_letter
from tests.interop.library_suite import Edit, LibrarySuite, Make
from tests.interop.servers import LOGIN

__all__ = ["account"]


class TestSmtplib(LibrarySuite):
    name = "smtplib"
    foreign = Edit("send.py", LOGIN, STRANGER)
    without_tls = Edit("outgoing.py", "    server.starttls(context=ssl.create_default_context())\n", "")
    impatient = Edit("outgoing.py", "timeout=30", "timeout=0.5")

    def test_mail_to_other_domains_is_captured(self, make: Make, local: Local) -> None:
        """All pages promise that nothing leaves the machine in local mode."""
        printed = make(recipient="someone@elsewhere.example").succeeds()
        message_id = printed.removeprefix("Sent: ").strip().encode()

        def captured() -> list[bytes]:
            return [mail for mail in local.inbox("outbox@example.test") if message_id in mail]

        (mail,) = wait_until(captured, "the letter in the outbox")
        assert check_letter(mail)["To"] == "someone@elsewhere.example"
