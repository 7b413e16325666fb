"""What is logged of a session: the same fields for each service, and never a password."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.python.failure import Failure

from fedaemon.accounts.lockout import Lockout
from fedaemon.accounts.login import WRONG, BadCredentials
from fedaemon.errors import Refused
from fedaemon.logs import Logger
from fedaemon.logs.line import fields_of, line
from fedaemon.net import session_log
from fedaemon.net.session_log import SessionLog

ABOUT = {"service": "imap", "session": 7, "address": "192.0.2.7"}


class Session(SessionLog):
    """A session of Alice's, once *name* is given."""

    service_name = "imap"
    number = 7
    address = "192.0.2.7"
    name = ""

    @property
    def account_name(self) -> str:
        return self.name


@pytest.fixture
def events(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What was logged."""
    found: list[dict[str, Any]] = []
    observer: Any = found.append
    monkeypatch.setattr(session_log, "log", Logger(observer=observer))
    return found


def test_a_login_and_its_end(events: list[dict[str, Any]]) -> None:
    session = Session()
    session.name, session.tls = "alice@example.org", "TLSv1.3 AES"
    session.log_login("PLAIN")
    session.log_ended(61.26)
    about = {**ABOUT, "account": "alice@example.org"}
    assert fields_of(events[0]) == {**about, "tls": "TLSv1.3 AES", "mechanism": "PLAIN"}
    assert fields_of(events[1]) == {**about, "seconds": 61.3}
    assert [event["event"] for event in events] == ["login", "session-ended"]


def test_a_failed_login_has_a_line_of_a_fixed_form(events: list[dict[str, Any]]) -> None:
    """The filter for fail2ban reads it."""
    Session().log_refusal(BadCredentials(WRONG, login="alice@example.org"))
    assert line(events[0]).startswith(
        "login-failed service=imap session=7 address=192.0.2.7 login=alice@example.org code=535 reason="
    )
    assert events[0]["log_level"].name == "warn"


def test_a_lock_out_is_a_failed_login_too(events: list[dict[str, Any]]) -> None:
    """Who goes on guessing while locked out is to be shut out all the more."""
    lockout = Lockout(lambda: 0.0, 1)
    lockout.failed("192.0.2.7", "alice@example.org", b"1")
    with pytest.raises(Refused) as caught:
        lockout.check("192.0.2.7", "alice@example.org")
    Session().log_refusal(caught.value)
    assert (events[0]["event"], events[0]["code"]) == ("login-failed", 454)


def test_other_refusals(events: list[dict[str, Any]]) -> None:
    Session().log_refusal(Refused("no such mailbox"))
    about = {**ABOUT, "account": ""}
    assert events[0]["event"] == "refused"
    assert fields_of(events[0]) == {**about, "code": 550, "status": "5.7.1", "reason": "no such mailbox"}


def test_what_went_wrong(events: list[dict[str, Any]]) -> None:
    """A time-out is ordinary, what breaks the rules is a warning, a bug is critical and has its traceback."""
    session = Session()
    session.log_timeout()
    session.log_cut_off("a line without end")
    session.log_defect(Failure(ZeroDivisionError()))
    assert [(event["event"], event["log_level"].name) for event in events] == [
        ("session-timed-out", "info"),
        ("session-cut-off", "warn"),
        ("defect", "critical"),
    ]
    assert events[2]["log_failure"].type is ZeroDivisionError
