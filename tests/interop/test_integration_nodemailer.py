"""docs/integrations/nodemailer.md: its program sends its letter, and fails as the page says."""

from __future__ import annotations

import pytest

from tests.interop.examples import STRANGER, Example, account
from tests.interop.library_suite import Edit, LibrarySuite
from tests.interop.servers import LOGIN

__all__ = ["account"]


class TestNodemailer(LibrarySuite):
    name = "nodemailer"
    needs = ("node",)
    foreign = Edit("send.js", LOGIN, STRANGER)
    without_tls = Edit("mailer.js", "requireTLS: true", "ignoreTLS: true")
    impatient = Edit("mailer.js", "greetingTimeout: 30_000", "greetingTimeout: 500")

    def prepare(self, example: Example, request: pytest.FixtureRequest) -> None:
        example.environment["NODE_PATH"] = str(request.getfixturevalue("node_modules"))
