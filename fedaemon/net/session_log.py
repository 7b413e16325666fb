"""What the log says of a session, the same for each service.

Invariants: every line has service, session number, address and account; a user name that is no address is not
logged, because it may be a password typed into the wrong field.
"""

from __future__ import annotations

from typing import Any

from twisted.python.failure import Failure

from fedaemon import counters
from fedaemon.errors import LoginRefused, MailError
from fedaemon.logs import Logger

log = Logger()


class SessionLog:
    """One session.

    *service_name* is what the ``service`` of its listener says; *number* names the session; *address* is the
    peer's, "" until it is known; *tls* describes the protection, "" for none.
    """

    service_name: str
    number: int
    address: str = ""
    tls: str = ""

    @property
    def account_name(self) -> str:
        """The account that is logged in, "" for none."""
        return ""

    def session_fields(self) -> dict[str, Any]:
        """Return the fields that name the session."""
        return {
            "service": self.service_name,
            "session": self.number,
            "address": self.address,
            "account": self.account_name,
        }

    def log_login(self, mechanism: str) -> None:
        """Somebody has logged in."""
        counters.count("logins_total", service=self.service_name)
        log.info(event="login", **self.session_fields(), tls=self.tls, mechanism=mechanism)

    def log_refusal(self, error: MailError) -> None:
        """Something was refused; logins have a line of their own, for those who count them."""
        if isinstance(error, LoginRefused):
            counters.count("login_failures_total", service=self.service_name)
            log.warn(
                event="login-failed",
                **self.session_fields(),
                login=error.login,
                code=error.code,
                reason=error.text,
            )
            return
        log.info(
            event="refused",
            **self.session_fields(),
            code=error.code,
            status=error.status,
            reason=error.text,
        )

    def log_timeout(self) -> None:
        """Nothing was said for too long."""
        log.info(event="session-timed-out", **self.session_fields())

    def log_cut_off(self, reason: str) -> None:
        """What the peer does is wrong or too much."""
        log.warn(event="session-cut-off", **self.session_fields(), reason=reason)

    def log_ended(self, seconds: float) -> None:
        """A session that had logged in is over."""
        log.info(event="session-ended", **self.session_fields(), seconds=round(seconds, 1))

    def log_defect(self, failure: Failure | None = None) -> None:
        """A bug of ours; without *failure* it is the exception that is being dealt with."""
        log.failure("a session failed", failure, event="defect", **self.session_fields())
