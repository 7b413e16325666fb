"""The one exception that a step on a client connection raises."""

from __future__ import annotations

from dataclasses import replace

from fedaemon.smtp.client_reply import printable
from fedaemon.smtp.client_transaction import Answer


class ConnectionFailed(Exception):
    """The connection is of no use: *reason* says what happened, *answers* what recipients were told before.

    *untouched*: the transaction may be begun anew elsewhere as if it had not been. *tls* is what protected the
    connection then, *certificate* what was found about the certificate, *tls_failure* the result type of RFC
    8460 4.3 when TLS is what failed.
    """

    def __init__(
        self,
        reason: Answer,
        answers: tuple[Answer | None, ...] = (),
        *,
        untouched: bool = True,
        tls: str = "",
        certificate: str = "",
        tls_failure: str = "",
    ) -> None:
        super().__init__(reason.text)
        self.reason = reason
        self.answers = answers
        self.untouched = untouched
        self.tls = tls
        self.certificate = certificate
        self.tls_failure = tls_failure

    def name_policy(self, policy: str) -> None:
        """Say which policy it was that forbade to go on without TLS."""
        self.reason = replace(self.reason, text=printable(f"{self.reason.text} (policy: {policy})"))
