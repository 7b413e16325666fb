"""docs/integrations/django.md: its program and its view send the letter, and fail as the page says."""

from __future__ import annotations

import re

from tests.interop.examples import STRANGER, Example, Printed, account, arrived, check_letter
from tests.interop.imap_account import Account
from tests.interop.library_suite import Edit, LibrarySuite, Make
from tests.interop.pages import says
from tests.interop.servers import LOGIN

__all__ = ["account"]

VISIT = """\
import os, sys
os.environ["DJANGO_SETTINGS_MODULE"] = "settings"
import django
django.setup()
from django.test import Client
answer = getattr(Client(), sys.argv[1])("/invoices/42/send")
print(answer.status_code, answer.content.decode())
"""
"""One request to the page's project, as a web server would hand it over."""


def visit(example: Example, method: str = "post") -> Printed:
    (example.directory / "visit.py").write_text(VISIT)
    return example.shell(f"python3 visit.py {method}")


class TestDjango(LibrarySuite):
    name = "django"
    foreign = Edit("mail_settings.py", f"Alice <{LOGIN}>", f"Alice <{STRANGER}>")
    without_tls = Edit("mail_settings.py", "EMAIL_USE_TLS = True", "EMAIL_USE_TLS = False")
    impatient = Edit("mail_settings.py", "EMAIL_TIMEOUT = 30", "EMAIL_TIMEOUT = 0.5")

    def test_the_view_sends(self, make: Make, account: Account) -> None:
        printed = visit(make(recipient=account.address))
        answered = re.fullmatch(r'200 {"sent": "(<[^"]+@example\.org>)"}\n', printed.text)
        assert answered, printed.text
        assert check_letter(arrived(account))["Message-ID"] == answered[1]

    def test_the_view_hides_why_it_failed_and_logs_it(self, make: Make) -> None:
        example = make(MAIL_PASSWORD="wrong")
        printed = visit(example)
        assert '503 {"error": "The invoice could not be sent."}\n' in printed.text
        assert says(printed.text, f"invoice not sent … {example.page.errors()['wrong-password']}")

    def test_the_view_wants_post(self, make: Make) -> None:
        """A link in a page, or a crawler, must not send."""
        assert visit(make(), "get").text.startswith("405 ")
