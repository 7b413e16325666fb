"""Microsoft's Autodiscover, as Outlook and some phones ask: "plain old XML", and the JSON that leads to it.

A program posts the address to ``autodiscover.DOMAIN/autodiscover/autodiscover.xml``. Outlook also gets that path
without TLS, and follows a redirect to HTTPS after asking the user. Errors have a form of their own: status 200 in
XML, 400 or 404 in JSON.

Standards: MS-OXDSCLI 2.2.3 and 2.2.4 (XML), MS-OXDISCO 3.1.5.
Invariants: a request with a document type is refused before any entity of it is expanded.
Limits: a request's depth is ``MAX_DEPTH``; its size is bounded by ``protocol``.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final
from xml.etree.ElementTree import Element, SubElement
from xml.parsers import expat

from fedaemon.errors import BadSyntax
from fedaemon.web.advertised import Advertised
from fedaemon.web.exchange import XML, Answer, Asked, as_json, as_octets, plain
from fedaemon.web.offer import Hosted, Offer, domain_asked_for, read_address

XML_PATH: Final = "/autodiscover/autodiscover.xml"
JSON_PATH: Final = "/autodiscover/autodiscover.json"
MAX_DEPTH: Final = 16

RESPONSE: Final = "http://schemas.microsoft.com/exchange/autodiscover/responseschema/2006"
OUTLOOK: Final = "http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a"

INVALID_REQUEST: Final = (600, "Invalid Request")
WRONG_SCHEMA: Final = (601, "Provider is not available")
UNKNOWN: Final = (500, "The e-mail address cannot be found")

_TYPES: Final = {"imap": "IMAP", "pop3": "POP3", "submission": "SMTP"}
_ENCRYPTION: Final = {"implicit": "SSL", "starttls": "TLS"}


async def xml(asked: Asked, offer: Offer, hosted: Hosted) -> Answer:
    """Answer a request for settings in XML."""
    if asked.method != "POST":
        return await _lead_to_https(asked, offer, hosted)
    try:
        email, schema = read_request(asked.body)
    except BadSyntax:
        return _error(*INVALID_REQUEST)
    if schema and schema != OUTLOOK:
        return _error(*WRONG_SCHEMA)
    address = read_address(email)
    if address is None or not await hosted(address.domain):
        return _error(*UNKNOWN)
    return Answer(200, document(str(address), offer), XML)


async def _lead_to_https(asked: Asked, offer: Offer, hosted: Hosted) -> Answer:
    domain = domain_asked_for(asked, "", "autodiscover.")
    # A web server before us that does not say how it was asked would lead its clients round in circles.
    over_http = not asked.secure and (not asked.forwarded or "x-forwarded-proto" in asked.headers)
    if over_http and domain is not None and await hosted(domain):
        return plain(302, "see there", Location=offer.url(XML_PATH, domain))
    return _error(*INVALID_REQUEST)


async def json(asked: Asked, offer: Offer, hosted: Hosted) -> Answer:
    """Tell where the XML is. The address is in the query, or the last part of a longer path."""
    email = asked.query.get("Email") or asked.query.get("email") or asked.path.rpartition("/")[2]
    protocol = asked.query.get("Protocol") or asked.query.get("protocol")
    if not protocol:
        return _json_error(400, "MandatoryParameterMissing", "The query parameter Protocol is missing.")
    if protocol.lower() != "autodiscoverv1":
        return _json_error(400, "ProtocolNotSupported", "Protocol must be AutodiscoverV1.")
    address = read_address(email)
    if address is None:
        return _json_error(400, "InvalidUserId", "The request names no e-mail address.")
    if not await hosted(address.domain):
        return _json_error(404, "UserNotFound", "That domain has no mail here.")
    return as_json({"Protocol": "AutodiscoverV1", "Url": offer.url(XML_PATH, address.domain)})


def read_request(body: bytes) -> tuple[str, str]:
    """Return address and wanted schema of a request, "" for what it lacks.

    :raises BadSyntax: it is not XML, has a document type, or is nested too deeply.
    """
    found: dict[str, list[str]] = {"EMailAddress": [], "AcceptableResponseSchema": []}
    path: list[str] = []

    def start(name: str, attributes: dict[str, str]) -> None:
        path.append(name.rpartition(" ")[2])
        if len(path) > MAX_DEPTH:
            raise BadSyntax("the request is nested too deeply")

    def text(data: str) -> None:
        if path[-1] in found:
            found[path[-1]].append(data)

    def refuse(*_: object) -> None:
        raise BadSyntax("the request has a document type")

    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartElementHandler = start
    parser.EndElementHandler = lambda name: path.pop()
    parser.CharacterDataHandler = text
    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(body, True)
    except (expat.ExpatError, LookupError, ValueError):
        # The latter two are about encodings that Python does not know, or that expat cannot take.
        raise BadSyntax("the request is not XML") from None
    return "".join(found["EMailAddress"]).strip(), "".join(found["AcceptableResponseSchema"]).strip()


def document(email: str, offer: Offer) -> bytes:
    """Return the settings for *email* as XML."""
    root = Element("Autodiscover", xmlns=RESPONSE)
    response = SubElement(root, "Response", xmlns=OUTLOOK)
    SubElement(SubElement(response, "User"), "DisplayName").text = email
    account = SubElement(response, "Account")
    SubElement(account, "AccountType").text = "email"
    SubElement(account, "Action").text = "settings"
    for place in offer.places:
        _protocol(SubElement(account, "Protocol"), place, email)
    return as_octets(root)


def _protocol(element: Element, place: Advertised, email: str) -> None:
    fields = [
        ("Type", _TYPES[place.service]),
        ("Server", place.host),
        ("Port", str(place.port)),
        ("DomainRequired", "off"),
        ("LoginName", email),
        ("SPA", "off"),
        ("SSL", "on"),
        ("Encryption", _ENCRYPTION[place.tls]),
        ("AuthRequired", "on"),
    ]
    if place.service == "submission":
        # Log in for sending as well, and do not fetch mail first.
        fields += [("UsePOPAuth", "off"), ("SMTPLast", "off")]
    for name, text in fields:
        SubElement(element, name).text = text


def _error(code: int, text: str) -> Answer:
    root = Element("Autodiscover", xmlns=RESPONSE)
    now = datetime.now(UTC)
    error = SubElement(SubElement(root, "Response"), "Error", Time=f"{now:%H:%M:%S.%f}", Id="0")
    for name, content in (("ErrorCode", str(code)), ("Message", text), ("DebugData", "")):
        SubElement(error, name).text = content
    return Answer(200, as_octets(root), XML)


def _json_error(status: int, code: str, text: str) -> Answer:
    return as_json({"ErrorCode": code, "ErrorMessage": text}, status)
