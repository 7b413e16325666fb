"""docs/integrations/javamail.md: its program sends its letter by either library, and fails as the page says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.interop.examples import STRANGER, Example, account, arrived, check_letter
from tests.interop.imap_account import Account
from tests.interop.library_suite import Edit, LibrarySuite, Make
from tests.interop.servers import LOGIN

__all__ = ["account"]

JAKARTA = ("/usr/share/java/jakarta-mail.jar", "/usr/share/java/jakarta-activation.jar")
JAVAX = ("/usr/share/java/javax.mail.jar", "/usr/share/java/javax.activation.jar")


class TestJavaMail(LibrarySuite):
    name = "javamail"
    needs = ("javac", *JAKARTA)
    foreign = Edit("SendInvoice.java", LOGIN, STRANGER)
    without_tls = Edit("Outgoing.java", 'starttls.required", "true"', 'starttls.required", "false"')
    impatient = Edit("Outgoing.java", '"mail.smtp.timeout", "60000"', '"mail.smtp.timeout", "500"')

    def prepare(self, example: Example, request: pytest.FixtureRequest) -> None:
        # The compiler's second stage does not pay for programs that run a second.
        options = "-XX:TieredStopAtLevel=1"
        if authority := example.environment["SSL_CERT_FILE"]:
            store = trust_store(example, Path(authority))
            options += f" -Djavax.net.ssl.trustStore={store} -Djavax.net.ssl.trustStorePassword=changeit"
        example.environment |= {"JARS": ":".join(JAKARTA), "JAVA_TOOL_OPTIONS": options}

    def test_the_older_name(self, make: Make, account: Account, need: Callable[..., None]) -> None:
        """JavaMail 1.6, as the page says: javax in place of jakarta in the imports."""
        need("javac", *JAVAX)
        example = make(recipient=account.address, variant="587")
        example.environment["JARS"] = ":".join(JAVAX)
        for path in example.directory.glob("*.java"):
            path.write_text(path.read_text().replace("import jakarta.", "import javax."))
        example.succeeds()
        check_letter(arrived(account))


def trust_store(example: Example, authority: Path) -> Path:
    """Return the trust store that the page's command makes of the server's authority; one serves all examples."""
    store = authority.with_name("trust.p12")
    if not store.exists():
        command = example.page.commands()["trust"].replace("var/local/ca.pem", str(authority))
        made = example.shell(command.replace("trust.p12", str(store)))
        assert made.code == 0, made.text
    return store
