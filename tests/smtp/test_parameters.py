"""Parameters of MAIL and RCPT, as they reach the caller, and their refusals."""

from __future__ import annotations

import pytest

from fedaemon.message.address import Address
from fedaemon.smtp import events
from fedaemon.smtp.events import MailFrom, MailParams, RcptParams, RcptTo
from fedaemon.smtp.reply import Reply
from tests.smtp.driving import MX, SUBMISSION, Caller, codes, greeted

MAILS: dict[bytes, MailParams] = {
    b"": MailParams(),
    b" SIZE=1234": MailParams(size=1234),
    b" SIZE=0": MailParams(),
    b" BODY=7BIT": MailParams(),
    b" BODY=8bitmime": MailParams(body="8BITMIME"),
    b" BODY=BINARYMIME": MailParams(body="BINARYMIME"),
    b" SMTPUTF8": MailParams(smtputf8=True),
    b" RET=full": MailParams(ret="FULL"),
    b" RET=HDRS  ENVID=QQ+3D31": MailParams(ret="HDRS", envid="QQ+3D31"),
    b" REQUIRETLS": MailParams(require_tls=True),
    b" AUTH=<>": MailParams(auth=""),
    b" AUTH=e+2Bmc2@example.org": MailParams(auth="e+mc2@example.org"),
    b" size=5 body=8BITMIME smtputf8 ret=FULL envid=a requiretls": MailParams(
        5, "8BITMIME", True, "FULL", "a", True
    ),
}

BAD_MAILS: dict[bytes, int] = {
    b" SIZE=-1": 501,
    b" SIZE=1e3": 501,
    b" SIZE=123456789012345678901": 501,
    b" SIZE=52428801": 552,
    b" SIZE=18446744073709551615": 552,
    b" SIZE=1 size=1": 501,
    b" BODY": 501,
    b" BODY=": 501,
    b" SMTPUTF8=1": 501,
    b" RET": 501,
    b" ENVID": 501,
    b" ENVID=" + b"a" * 101: 501,
    b" ENVID=a+2b": 501,
    b" REQUIRETLS=yes": 501,
    b" AUTH": 501,
    b" AUTH=ann": 501,
    b" AUTH=+3C+3E+": 501,
    b" AUTH=+FF@example.org": 501,
    b" -X=1": 501,
    b" X=\x01": 501,
    b" X=1": 555,
    b" NOTIFY=NEVER": 555,
}

RCPTS: dict[bytes, RcptParams] = {
    b"": RcptParams(),
    b" NOTIFY=never": RcptParams("NEVER"),
    b" NOTIFY=FAILURE,success,DELAY": RcptParams("FAILURE,SUCCESS,DELAY"),
    b" ORCPT=rfc822;Bob+2B@example.test": RcptParams("", "rfc822;Bob+2B@example.test"),
    b" ORCPT=utf-8;bob\\x{FC}@example.test NOTIFY=DELAY": RcptParams(
        "DELAY", "utf-8;bob\\x{FC}@example.test"
    ),
}

BAD_RCPTS: dict[bytes, int] = {
    b" NOTIFY": 501,
    b" NOTIFY=OFTEN": 501,
    b" NOTIFY=NEVER,SUCCESS": 501,
    b" NOTIFY=SUCCESS,SUCCESS": 501,
    b" NOTIFY=SUCCESS,": 501,
    b" ORCPT": 501,
    b" ORCPT=rfc822": 501,
    b" ORCPT=rfc822;": 501,
    b" ORCPT=;bob@example.test": 501,
    b" ORCPT=rfc822;b\xc3\xb6b@example.test": 501,
    b" ORCPT=utf-8;b\xc3\xb6b@example.test": 501,
    b" ORCPT=rfc822;" + b"a" * 501: 501,
    b" SIZE=1": 555,
}


@pytest.mark.parametrize(("text", "params"), MAILS.items())
def test_mail(text: bytes, params: MailParams) -> None:
    """The caller gets the values, whatever the case and order they came in."""
    caller = greeted(SUBMISSION, tls=True)
    caller.engine.authentication_not_required()
    assert codes(caller.say(b"MAIL FROM:<ann@example.org>" + text + b"\r\n")) == [250]
    assert caller.events[-1] == MailFrom(Address("ann", "example.org"), params)


@pytest.mark.parametrize(("text", "code"), BAD_MAILS.items())
def test_bad_mail(text: bytes, code: int) -> None:
    """A wrong parameter is refused, the caller is not asked, and a next MAIL is taken."""
    caller = greeted(SUBMISSION, tls=True)
    caller.engine.authentication_not_required()
    said = caller.say(b"MAIL FROM:<ann@example.org>" + text + b"\r\n")
    assert codes(said) == [code]
    assert said[4:6] == b"5."
    assert caller.of(MailFrom) == []
    assert codes(caller.say(b"MAIL FROM:<ann@example.org>\r\n")) == [250]


@pytest.mark.parametrize(("text", "params"), RCPTS.items())
def test_rcpt(text: bytes, params: RcptParams) -> None:
    """The caller gets the values of RCPT."""
    caller = greeted()
    caller.say(b"MAIL FROM:<>\r\n")
    assert codes(caller.say(b"RCPT TO:<bob@example.test>" + text + b"\r\n")) == [250]
    assert caller.events[-1] == RcptTo(Address("bob", "example.test"), params)


@pytest.mark.parametrize(("text", "code"), BAD_RCPTS.items())
def test_bad_rcpt(text: bytes, code: int) -> None:
    """A wrong parameter refuses this recipient only."""
    caller = greeted()
    caller.say(b"MAIL FROM:<>\r\n")
    assert codes(caller.say(b"RCPT TO:<bob@example.test>" + text + b"\r\n")) == [code]
    assert codes(caller.say(b"RCPT TO:<bob@example.test>\r\n")) == [250]


def test_orcpt_in_utf8_with_smtputf8() -> None:
    """Under SMTPUTF8 the original recipient may be written in UTF-8 (RFC 6533 3)."""
    caller = greeted()
    caller.say(b"MAIL FROM:<> SMTPUTF8\r\n")
    caller.say("RCPT TO:<bob@example.test> ORCPT=utf-8;böb@example.test\r\n".encode())
    assert caller.events[-1] == RcptTo(
        Address("bob", "example.test"), RcptParams("", "utf-8;böb@example.test")
    )
    assert codes(caller.say(b"RCPT TO:<bob@example.test> ORCPT=utf-8;b\xf6b@example.test\r\n")) == [501]


def test_postmaster_without_domain() -> None:
    """<Postmaster> is ours (RFC 5321 4.5.1)."""
    caller = greeted()
    caller.say(b"MAIL FROM:<>\r\n")
    caller.say(b"RCPT TO:<PostMaster>\r\n")
    assert caller.events[-1] == RcptTo(Address("postmaster", MX.hostname), RcptParams())


def test_utf8_addresses() -> None:
    """SMTPUTF8 in MAIL holds for the recipients, too, and for one transaction only."""
    caller = greeted()
    sender = "MAIL FROM:<jürgen@example.org>".encode()
    recipient = "RCPT TO:<böb@example.test>\r\n".encode()
    assert codes(caller.say(sender + b"\r\n" + sender + b" SMTPUTF8\r\n" + recipient)) == [553, 250, 250]
    assert codes(caller.say(b"RSET\r\nMAIL FROM:<>\r\n" + recipient)) == [250, 250, 553]


def test_smtputf8_inside_an_address_is_no_parameter() -> None:
    """Words in a quoted local part do not open the door for UTF-8."""
    caller = greeted()
    assert codes(caller.say('MAIL FROM:<"ü SMTPUTF8 "@example.org>\r\n'.encode())) == [553]
    assert caller.of(MailFrom) == []


def test_replies_are_ascii_without_smtputf8() -> None:
    """What the caller says in other characters is written only for a client that asked for SMTPUTF8."""
    caller = Caller(refusals={events.RcptTo: Reply(550, "5.1.1", "böb is not here")})
    caller.say(b"EHLO x\r\nMAIL FROM:<>\r\n")
    assert caller.say(b"RCPT TO:<bob@example.test>\r\n") == b"550 5.1.1 b?b is not here\r\n"
    caller.say(b"RSET\r\nMAIL FROM:<> SMTPUTF8\r\n")
    assert caller.say(b"RCPT TO:<bob@example.test>\r\n") == "550 5.1.1 böb is not here\r\n".encode()


@pytest.mark.parametrize(
    "command", [b"MAIL FROM:<a@example.org> SIZE=1", b"MAIL FROM:<a@example.org> SMTPUTF8"]
)
def test_helo_knows_no_parameters(command: bytes) -> None:
    """After HELO nothing was offered."""
    caller = Caller()
    assert codes(caller.say(b"HELO x\r\n" + command + b"\r\n")) == [250, 555]
    assert codes(caller.say(b"MAIL FROM:<>\r\nRCPT TO:<bob@example.test> NOTIFY=NEVER\r\n")) == [250, 555]


def test_auth_parameter_needs_auth() -> None:
    """A service without AUTH does not know its parameter."""
    assert codes(greeted().say(b"MAIL FROM:<a@example.org> AUTH=<>\r\n")) == [555]


@pytest.mark.parametrize(
    "name", [b"[127.0.0.1]", b"localhost", b"my_pc", b"a", b"-", b"x" * 255, b"[IPv6:::1]"]
)
@pytest.mark.parametrize("verb", [b"EHLO", b"HELO"])
def test_names_of_real_clients(verb: bytes, name: bytes) -> None:
    """The name is handed up as it is."""
    caller = Caller()
    assert codes(caller.say(verb + b" " + name + b"\r\n")) == [250]
    assert caller.events == [events.Hello(name.decode(), verb == b"EHLO")]


@pytest.mark.parametrize(("name", "known"), [(b"my pc (1.2.3.4)", "my"), ("jürgen".encode(), "j??rgen")])
def test_names_that_could_deceive_are_cut(name: bytes, known: str) -> None:
    """The name comes up as one ASCII word, fit for a header field and a log line."""
    caller = Caller()
    caller.say(b"EHLO " + name + b"\r\n")
    assert caller.events == [events.Hello(known, True)]


@pytest.mark.parametrize("name", [b"", b" ", b"a\tb", b"a\x1bb", b"a\x7f", b"x" * 256])
def test_names_that_are_refused(name: bytes) -> None:
    """No name, control characters, too long."""
    caller = Caller()
    assert codes(caller.say(b"EHLO " + name + b"\r\n")) == [501]
    assert caller.events == []
