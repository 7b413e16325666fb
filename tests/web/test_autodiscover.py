"""Microsoft's Autodiscover: requests as Outlook writes them, and such as nobody should."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedaemon.errors import BadSyntax
from fedaemon.web.autodiscover import OUTLOOK, RESPONSE, XML_PATH, read_request
from fedaemon.web.exchange import Answer
from fedaemon.web.offer import Offer
from tests.web.conftest import Visitor

REQUEST = (
    '<?xml version="1.0" encoding="utf-8"?>\n<Autodiscover '
    'xmlns="http://schemas.microsoft.com/exchange/autodiscover/outlook/requestschema/2006"><Request>'
    f"<EMailAddress>%s</EMailAddress><AcceptableResponseSchema>{OUTLOOK}</AcceptableResponseSchema>"
    "</Request></Autodiscover>"
)


def post(visitor: Visitor, body: str, path: str = XML_PATH) -> Answer:
    answer = visitor.ask(path, "POST", body=body.encode(), secure=True)
    assert answer.status == 200
    return answer


def error_code(answer: Answer) -> str | None:
    root = ElementTree.fromstring(answer.body)
    return root.findtext(f"{{{RESPONSE}}}Response/{{{RESPONSE}}}Error/{{{RESPONSE}}}ErrorCode")


@pytest.mark.parametrize(
    "path", [XML_PATH, "/Autodiscover/Autodiscover.xml", "/AutoDiscover/AutoDiscover.XML"]
)
def test_settings_in_xml(visitor: Visitor, path: str) -> None:
    """A protocol block for each way, with the login and how TLS begins."""
    account = ElementTree.fromstring(post(visitor, REQUEST % "alice@example.org", path).body).find(
        f"{{{OUTLOOK}}}Response/{{{OUTLOOK}}}Account"
    )
    assert account is not None
    blocks = [
        {element.tag.rpartition("}")[2]: element.text for element in block}
        for block in account.findall(f"{{{OUTLOOK}}}Protocol")
    ]
    assert [(block["Type"], block["Port"], block["Encryption"]) for block in blocks] == [
        ("IMAP", "993", "SSL"),
        ("IMAP", "143", "TLS"),
        ("POP3", "995", "SSL"),
        ("POP3", "110", "TLS"),
        ("SMTP", "465", "SSL"),
        ("SMTP", "587", "TLS"),
    ]
    assert {(block["LoginName"], block["SPA"], block["AuthRequired"]) for block in blocks} == {
        ("alice@example.org", "off", "on")
    }


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (REQUEST % "alice@example.net", "500"),
        (REQUEST % "", "500"),
        (
            REQUEST.replace(OUTLOOK, "http://schemas.microsoft.com/exchange/autodiscover/mobilesync") % "x",
            "601",
        ),
        ("", "600"),
        ("<Autodiscover>", "600"),
        ("{}", "600"),
    ],
    ids=["foreign domain", "no address", "another schema", "nothing", "cut short", "JSON"],
)
def test_errors_have_their_form(visitor: Visitor, body: str, code: str) -> None:
    """Outlook looks for the number in the XML; the status is 200 all the same."""
    assert error_code(post(visitor, body)) == code


def test_entities_are_not_expanded() -> None:
    """A document type is refused before anything in it is looked at: no "billion laughs", no files."""
    bomb = '<!DOCTYPE a [<!ENTITY b "bbbb"><!ENTITY c "&b;&b;&b;"><!ENTITY f SYSTEM "file:///etc/passwd">]>'
    with pytest.raises(BadSyntax, match="document type"):
        read_request(f"{bomb}<a><EMailAddress>&c;&f;</EMailAddress></a>".encode())


def test_nesting_is_bounded() -> None:
    """A deep document ends where it goes too far."""
    with pytest.raises(BadSyntax, match="nested"):
        read_request(b"<a>" * 5000)


@given(st.binary(max_size=200))
def test_garbage_is_bad_syntax(body: bytes) -> None:
    """Nothing else comes out of the reader, whatever goes in."""
    with suppress(BadSyntax):
        read_request(body)


@pytest.mark.parametrize("name", ["hex", "utf-7", "gb18030", "no-such", "idna"])
def test_odd_encodings_are_bad_syntax(name: str) -> None:
    """A request may name an encoding that only Python knows, or that nobody knows."""
    with pytest.raises(BadSyntax):
        read_request(f'<?xml version="1.0" encoding="{name}"?><a>x</a>'.encode() + b"\xff\xfe")


def test_outlook_is_led_to_https(visitor: Visitor) -> None:
    """A GET without TLS is answered with the place under TLS; with TLS a request without content is an error."""
    host = "autodiscover.example.org"
    answer = visitor.ask(XML_PATH, host=host)
    assert (answer.status, answer.headers["Location"]) == (302, f"https://mail.example.org{XML_PATH}")
    assert error_code(visitor.ask(XML_PATH, host=host, secure=True)) == "600"
    assert error_code(visitor.ask(XML_PATH, host="autodiscover.example.net")) == "600"


def test_nobody_is_led_in_circles(visitor: Visitor) -> None:
    """A web server before us may have been asked over HTTPS already; only one that says it was not is believed."""
    host = "autodiscover.example.org"
    passed_on = {"x-forwarded-for": "192.0.2.9"}
    assert error_code(visitor.ask(XML_PATH, host=host, headers=passed_on)) == "600"
    over_http = {**passed_on, "x-forwarded-proto": "http"}
    assert visitor.ask(XML_PATH, host=host, headers=over_http).status == 302


@pytest.mark.parametrize(
    ("port", "where"),
    [
        (443, "https://mail.example.org"),
        (8443, "https://mail.example.org:8443"),
        (None, "https://autodiscover.example.org"),
    ],
)
def test_the_place_is_where_https_is(offer: Offer, port: int | None, where: str) -> None:
    """Under our name with a listener of our own, else under that which a web server before us passes on."""
    assert replace(offer, https_port=port).url(XML_PATH, "example.org") == where + XML_PATH


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/autodiscover/autodiscover.json", {"Email": "alice@example.org", "Protocol": "AutodiscoverV1"}),
        ("/autodiscover/autodiscover.json/v1.0/alice@example.org", {"Protocol": "autodiscoverv1"}),
        ("/Autodiscover/Autodiscover.json/v1.0/alice@example.org", {"Protocol": "AutodiscoverV1"}),
    ],
)
def test_json_leads_to_the_xml(visitor: Visitor, path: str, query: dict[str, str]) -> None:
    """The address may be in the query or in the path."""
    answer = visitor.ask(path, query=query)
    assert answer.status == 200
    assert json.loads(answer.body) == {
        "Protocol": "AutodiscoverV1",
        "Url": f"https://mail.example.org{XML_PATH}",
    }


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ({"Email": "alice@example.org"}, 400, "MandatoryParameterMissing"),
        ({"Email": "alice@example.org", "Protocol": "ActiveSync"}, 400, "ProtocolNotSupported"),
        ({"Email": "alice", "Protocol": "AutodiscoverV1"}, 400, "InvalidUserId"),
        ({"Email": "alice@example.net", "Protocol": "AutodiscoverV1"}, 404, "UserNotFound"),
    ],
)
def test_json_errors(visitor: Visitor, query: dict[str, str], status: int, code: str) -> None:
    """They have a code for programs and a sentence."""
    answer = visitor.ask("/autodiscover/autodiscover.json", query=query)
    assert (answer.status, json.loads(answer.body)["ErrorCode"]) == (status, code)
