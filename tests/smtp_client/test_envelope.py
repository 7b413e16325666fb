"""MAIL and RCPT: parameters only where offered, and what a server cannot be given."""

from __future__ import annotations

import pytest

from fedaemon.delivery.transport import Recipient
from fedaemon.smtp.client_capabilities import Capabilities
from fedaemon.smtp.client_envelope import Envelope, find_obstacle, mail_command, rcpt_command

EVERYTHING = ["SIZE 1000", "8BITMIME", "BINARYMIME", "CHUNKING", "SMTPUTF8", "DSN", "REQUIRETLS"]


def offering(*keywords: str) -> Capabilities:
    return Capabilities([b"mx.example.net", *(keyword.encode() for keyword in keywords)])


def envelope(**changes: object) -> Envelope:
    values: dict[str, object] = {
        "sender": "a@example.org",
        "recipients": (Recipient(0, "b@example.net"),),
        "size": 99,
    }
    return Envelope(**{**values, **changes})  # type: ignore[arg-type]


def test_nothing_is_sent_that_was_not_offered() -> None:
    full = envelope(ret="FULL", envid="QQ1")
    assert mail_command(full, offering()) == b"MAIL FROM:<a@example.org>\r\n"
    recipient = Recipient(0, "b@example.net", notify="NEVER", orcpt="rfc822;b@example.net")
    assert rcpt_command(recipient, offering("PIPELINING")) == b"RCPT TO:<b@example.net>\r\n"


def test_everything_offered_is_used() -> None:
    full = envelope(smtputf8=True, require_tls=True, ret="HDRS", envid="QQ1")
    assert mail_command(full, offering(*EVERYTHING)) == (
        b"MAIL FROM:<a@example.org> SIZE=99 BODY=8BITMIME SMTPUTF8 REQUIRETLS RET=HDRS ENVID=QQ1\r\n"
    )
    recipient = Recipient(0, "b@example.net", notify="SUCCESS,FAILURE", orcpt="rfc822;b+2Bx@example.net")
    assert rcpt_command(recipient, offering("DSN")) == (
        b"RCPT TO:<b@example.net> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;b+2Bx@example.net\r\n"
    )


def test_a_report_has_an_empty_sender() -> None:
    assert (
        mail_command(envelope(sender="", body="7BIT"), offering(*EVERYTHING)) == b"MAIL FROM:<> SIZE=99\r\n"
    )


def test_addresses_outside_ascii_are_written_as_utf8() -> None:
    message = envelope(recipients=(Recipient(0, "dörte@xn--bcher-kva.example"),))
    assert mail_command(message, offering(*EVERYTHING)).endswith(b" SMTPUTF8\r\n")
    assert rcpt_command(message.recipients[0], offering(*EVERYTHING)) == (
        "RCPT TO:<dörte@xn--bcher-kva.example>\r\n".encode()
    )


@pytest.mark.parametrize("bad", ["a@b>\r\nRCPT TO:<c", "a\n@b", "a\x00@b", "a\x7f@b"])
def test_command_injection_an_address_cannot_bring_a_command(bad: str) -> None:
    with pytest.raises(ValueError, match="control character"):
        mail_command(envelope(sender=bad), offering())
    with pytest.raises(ValueError, match="control character"):
        rcpt_command(Recipient(0, bad), offering())


@pytest.mark.parametrize("bad", ["X SIZE=1", "X\r\nDATA", "X\t"])
def test_command_injection_a_parameter_cannot_bring_another(bad: str) -> None:
    for values in ({"envid": bad}, {"ret": bad}):
        with pytest.raises(ValueError, match="parameter"):
            mail_command(envelope(**values), offering("DSN"))
    for recipient in (Recipient(0, "b@c", notify=bad), Recipient(0, "b@c", orcpt=bad)):
        with pytest.raises(ValueError, match="parameter"):
            rcpt_command(recipient, offering("DSN"))


@pytest.mark.parametrize(
    ("changes", "offered", "status"),
    [
        ({"size": 1001}, ["SIZE 1000"], "5.3.4"),
        ({"size": 1000}, ["SIZE 1000"], None),
        ({"size": 10**9}, ["SIZE"], None),
        ({"size": 10**9}, [], None),
        ({"smtputf8": True}, ["8BITMIME"], "5.6.7"),
        ({"sender": "dörte@example.org"}, [], "5.6.7"),
        ({"sender": "dörte@example.org"}, ["SMTPUTF8"], None),
        ({"body": "BINARYMIME"}, ["BINARYMIME"], "5.6.3"),
        ({"body": "BINARYMIME"}, ["CHUNKING"], "5.6.3"),
        ({"body": "BINARYMIME"}, ["BINARYMIME", "CHUNKING"], None),
        ({"body": "8BITMIME"}, [], None),
        ({"require_tls": True}, ["STARTTLS"], "5.7.30"),
        ({"require_tls": True}, ["REQUIRETLS"], None),
    ],
)
def test_obstacles(changes: dict[str, object], offered: list[str], status: str | None) -> None:
    obstacle = find_obstacle(envelope(**changes), offering(*offered))
    assert (obstacle and obstacle.status) == status
