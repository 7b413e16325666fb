"""The pages on Apple Mail, Outlook and Gmail, programs that do not run here: their documents are read by strict
readers, their settings are tried, and Gmail's dialogue is held as it holds it.

Standards: RFC 4954 (AUTH PLAIN; LOGIN beside it), RFC 1870 (SIZE), RFC 8314 3.3 (implicit TLS).
"""

from __future__ import annotations

import base64
import http.client
import imaplib
import json
import plistlib
import poplib
import re
import smtplib
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from uuid import UUID, uuid4
from xml.etree import ElementTree

import pytest

from tests.daemon import CTL, PATIENCE_S, client_context
from tests.interop.conftest import Local
from tests.interop.imap_account import run
from tests.interop.pages import Page, replaced, says

ALICE: Final = "alice@example.test"
APPLE_TYPES: Final = {"imap": "EmailTypeIMAP", "pop3": "EmailTypePOP"}
RESPONSE: Final = "{http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a}"
COMMON: Final = {
    "mail.example.org": "localhost",
    "alice@example.org": ALICE,
}


@dataclass(frozen=True, slots=True)
class Place:
    """What a document or a page names: a protocol, a host, a port, and how TLS begins there."""

    protocol: str
    host: str
    port: int
    starttls: bool
    user: str

    def log_in(self, local: Local) -> None:
        """Log in with Alice's password, with the certificate checked against the name."""
        context = client_context(Path(local.settings["ca_file"]))
        {"imap": self._imap, "pop3": self._pop3, "smtp": self._smtp}[self.protocol](context, local.alice)

    def _imap(self, context: ssl.SSLContext, password: str) -> None:
        if self.starttls:
            with imaplib.IMAP4(self.host, self.port, PATIENCE_S) as client:
                client.starttls(context)
                client.login(self.user, password)
        else:
            with imaplib.IMAP4_SSL(self.host, self.port, ssl_context=context, timeout=PATIENCE_S) as client:
                client.login(self.user, password)

    def _pop3(self, context: ssl.SSLContext, password: str) -> None:
        if self.starttls:
            client = poplib.POP3(self.host, self.port, PATIENCE_S)
            client.stls(context)
        else:
            client = poplib.POP3_SSL(self.host, self.port, context=context, timeout=PATIENCE_S)
        client.user(self.user)
        client.pass_(password)
        client.quit()

    def _smtp(self, context: ssl.SSLContext, password: str) -> None:
        with smtp(self, context) as client:
            client.login(self.user, password)


def smtp(place: Place, context: ssl.SSLContext) -> smtplib.SMTP:
    """Return a connection under TLS that has said EHLO."""
    if not place.starttls:
        client: smtplib.SMTP = smtplib.SMTP_SSL(place.host, place.port, context=context, timeout=PATIENCE_S)
    else:
        client = smtplib.SMTP(place.host, place.port, timeout=PATIENCE_S)
        client.starttls(context=context)
    client.ehlo("mail-wr1-f41.google.com")
    return client


Answer = tuple[http.client.HTTPResponse, bytes]


def ask(local: Local, method: str, path: str, body: str | None = None) -> Answer:
    """Ask the http listener of local mode, as a program asks autodiscover.example.test."""
    connection = http.client.HTTPConnection("localhost", local.settings["ports"]["http"], timeout=PATIENCE_S)
    connection.request(method, path, body, {"Host": "autodiscover.example.test", "Content-Type": "text/xml"})
    answer = connection.getresponse()
    octets = answer.read()
    connection.close()
    return answer, octets


@pytest.mark.parametrize(("kind", "port"), [("imap", "imaps"), ("pop3", "pop3s")], ids=["993", "995"])
def test_apple_profile(local: Local, kind: str, port: str) -> None:
    """Apple's payload, complete, with names that stay the same; what it names can be logged in to."""
    path = f"/apple/mail.mobileconfig?email={ALICE}&protocol={kind}"
    answer, octets = ask(local, "GET", path)
    assert answer.headers["Content-Type"] == "application/x-apple-aspen-config"
    profile: dict[str, Any] = plistlib.loads(octets, fmt=plistlib.FMT_XML)
    assert (profile["PayloadType"], profile["PayloadVersion"]) == ("Configuration", 1)
    (account,) = profile["PayloadContent"]
    assert account["PayloadType"] == "com.apple.mail.managed"
    assert account["EmailAccountType"] == APPLE_TYPES[kind]
    assert account["EmailAddress"] == ALICE
    assert UUID(profile["PayloadUUID"]) != UUID(account["PayloadUUID"])
    assert not [key for key in account if key.endswith("Password") and not isinstance(account[key], bool)]
    incoming, outgoing = apple_place(account, "Incoming", kind), apple_place(account, "Outgoing", "smtp")
    ports = local.settings["ports"]
    assert (incoming.port, outgoing.port) == (ports[port], ports["submissions"])
    incoming.log_in(local)
    outgoing.log_in(local)
    assert ask(local, "GET", path)[1] == octets


def apple_place(account: dict[str, Any], direction: str, protocol: str) -> Place:
    """Return a server of a profile; Mail begins with TLS on the ports that the page names for that."""
    assert account[f"{direction}MailServerAuthentication"] == "EmailAuthPassword"
    assert account[f"{direction}MailServerUseSSL"] is True
    host, port = account[f"{direction}MailServerHostName"], account[f"{direction}MailServerPortNumber"]
    return Place(protocol, host, port, False, account[f"{direction}MailServerUsername"])


def request_of_the_page() -> str:
    """Return what the page on Outlook posts."""
    (command,) = (block.text for block in Page("outlook").blocks if block.language == "sh")
    found = re.search(r"--data '\s*(.*)'", command, re.DOTALL)
    assert found is not None
    return replaced(found[1], COMMON)


def test_outlook_autodiscover(local: Local) -> None:
    """Each protocol that the answer names has what Microsoft's document wants, and can be logged in to."""
    answer, octets = ask(local, "POST", "/Autodiscover/Autodiscover.xml", request_of_the_page())
    assert answer.status == 200
    account = ElementTree.fromstring(octets).find(f"{RESPONSE}Response/{RESPONSE}Account")
    assert account is not None
    assert account.findtext(f"{RESPONSE}AccountType") == "email"
    assert account.findtext(f"{RESPONSE}Action") == "settings"
    places = [outlook_place(element) for element in account.iter(f"{RESPONSE}Protocol")]
    ports = local.settings["ports"]
    wanted = ("imaps", "imap", "pop3s", "pop3", "submissions", "submission")
    assert [place.port for place in places] == [ports[name] for name in wanted]
    for place in places:
        place.log_in(local)


def outlook_place(element: ElementTree.Element) -> Place:
    """Return a server of an answer. Spec: MS-OXDSCLI 2.2.4.1.1.2"""
    found = {child.tag.removeprefix(RESPONSE): child.text or "" for child in element}
    assert (found["SPA"], found["AuthRequired"], found["SSL"]) == ("off", "on", "on")
    starttls = {"SSL": False, "TLS": True}[found["Encryption"]]
    return Place(found["Type"].lower(), found["Server"], int(found["Port"]), starttls, found["LoginName"])


def test_outlook_autodiscover_by_json(local: Local) -> None:
    """The newer question leads to the same place."""
    for path in (
        f"/autodiscover/autodiscover.json?Email={ALICE}&Protocol=AutodiscoverV1",
        f"/autodiscover/autodiscover.json/v1.0/{ALICE}?Protocol=AutodiscoverV1",
    ):
        answer, octets = ask(local, "GET", path)
        assert answer.status == 200
        found = json.loads(octets)
        assert found["Protocol"] == "AutodiscoverV1"
        assert found["Url"].endswith("/autodiscover/autodiscover.xml")


def settings_of(page: str, ports: dict[str, int]) -> list[Place]:
    """Return the rows of a page's table of settings, with local mode's *ports* for the usual ones."""
    usual = {993: "imaps", 995: "pop3s", 465: "submissions", 587: "submission"}
    row = r"^\| \w+, (IMAP|POP3|SMTP).*? \| `([^`]+)` \| (\d+) \| "
    rows = re.findall(row, Page(page).text, re.MULTILINE)
    return [
        Place(kind.lower(), replaced(host, COMMON), ports[usual[int(port)]], int(port) == 587, ALICE)
        for kind, host, port in rows
    ]


@pytest.mark.parametrize("name", ["thunderbird", "apple-mail", "outlook"])
def test_the_settings_of_the_table(local: Local, name: str) -> None:
    """Whoever types what the table says can log in: 993, 995, 465 and 587."""
    places = settings_of(name, local.settings["ports"])
    assert [place.protocol for place in places] == ["imap", "pop3", "smtp", "smtp"]
    for place in places:
        place.log_in(local)


@pytest.fixture(params=["465", "587"])
def gmail(local: Local, request: pytest.FixtureRequest) -> Place:
    """What the page on Gmail says to enter, for one of its ports."""
    rows = dict(re.findall(r"^\| ([^|]+) \| (.+) \|$", Page("gmail").text, re.MULTILINE))
    assert re.findall(r"\b\d{3}\b", rows["Port"]) == ["465", "587"]
    assert rows["User name"] == "the full address, `alice@example.org`"
    host = replaced(rows["SMTP server"].strip("`"), COMMON)
    service, starttls = {"465": ("submissions", False), "587": ("submission", True)}[request.param]
    return Place("smtp", host, local.settings["ports"][service], starttls, ALICE)


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_gmail(local: Local, gmail: Place, mechanism: str) -> None:
    """Ports 465 and 587: a login by either mechanism, MAIL with SIZE, and a message as Gmail writes it."""
    subject = f"gmail {gmail.starttls} {mechanism}"
    with smtp(gmail, client_context(Path(local.settings["ca_file"]))) as client:
        log_in(client, mechanism, local.alice)
        octets = gmail_message(ALICE, subject)
        assert client.mail(ALICE, [f"SIZE={len(octets)}"])[0] == 250
        assert client.rcpt("bob@example.test")[0] == 250
        assert client.data(octets)[0] == 250
    assert local.wait_for("bob@example.test", subject).endswith(octets.partition(b"\r\n\r\n")[2])


def log_in(client: smtplib.SMTP, mechanism: str, password: str) -> None:
    """Log in; LOGIN with the user name in the first line, as PLAIN has all of it there."""
    if mechanism == "PLAIN":
        first = base64.b64encode(f"\0{ALICE}\0{password}".encode()).decode()
        assert client.docmd("AUTH", f"PLAIN {first}")[0] == 235
    else:
        assert client.docmd("AUTH", f"LOGIN {base64.b64encode(ALICE.encode()).decode()}")[0] == 334
        assert client.docmd(base64.b64encode(password.encode()).decode())[0] == 235


def gmail_message(author: str, subject: str) -> bytes:
    """Return a message with the fields that Gmail's web page gives it."""
    return (
        f"MIME-Version: 1.0\r\nFrom: Alice <{author}>\r\nDate: Mon, 23 Nov 2026 17:00:00 +0000\r\n"
        f"Message-ID: <CAF+{subject.replace(' ', '-')}@mail.gmail.com>\r\nSubject: {subject}\r\n"
        "To: bob@example.test\r\n"
        'Content-Type: multipart/alternative; boundary="0000000000001c6f"\r\n\r\n'
        '--0000000000001c6f\r\nContent-Type: text/plain; charset="UTF-8"\r\n\r\nHello\r\n\r\n'
        '--0000000000001c6f\r\nContent-Type: text/html; charset="UTF-8"\r\n\r\n<div dir="ltr">Hello</div>\r\n\r\n'
        "--0000000000001c6f--\r\n"
    ).encode()


def test_gmail_with_an_alias(local: Local, gmail: Place) -> None:
    """The commands of the page: the account sends as the alias, whose mail goes to Gmail."""
    alias = f"shop-{uuid4().hex[:8]}@example.test"
    (lines,) = (block.text for block in Page("gmail").blocks if "alias add" in block.text)
    for line in replaced(lines.replace("shop@example.org", alias), COMMON).splitlines():
        run(*CTL, "-c", local.settings["config"], *line.split()[1:])
    with smtp(gmail, client_context(Path(local.settings["ca_file"]))) as client:
        log_in(client, "PLAIN", local.alice)
        client.sendmail(alias, alias, gmail_message(alias, f"to {alias}"))
    assert f"From: Alice <{alias}>".encode() in local.wait_for("outbox@example.test", f"to {alias}")


def test_gmail_with_a_foreign_address(local: Local, gmail: Place) -> None:
    """The reply is the one that the page shows."""
    (quoted,) = (block.text for block in Page("gmail").blocks if block.language == "text")
    with smtp(gmail, client_context(Path(local.settings["ca_file"]))) as client:
        log_in(client, "PLAIN", local.alice)
        assert client.mail(ALICE)[0] == 250
        assert client.rcpt("bob@example.test")[0] == 250
        code, text = client.data(gmail_message("eve@example.org", "gmail, foreign"))
    assert says(f"{code} {text.decode()}", quoted, COMMON)


def test_gmail_refuses_a_strange_certificate(gmail: Place) -> None:
    """What the page warns of: without a known authority there is no login."""
    with pytest.raises(ssl.SSLCertVerificationError):
        smtp(gmail, ssl.create_default_context())
