"""Thunderbird's autoconfig, which many other mail programs read as well.

A program asks at ``autoconfig.DOMAIN/mail/config-v1.1.xml`` or ``DOMAIN/.well-known/autoconfig/mail/…``, with the
address in ``emailaddress``; the first server of each kind that it can use is the one it takes.

Standards: Mozilla's autoconfiguration, file format 1.1.
"""

from __future__ import annotations

from typing import Final
from xml.etree.ElementTree import Element, SubElement

from fedaemon.web.advertised import Advertised
from fedaemon.web.exchange import XML, Answer, Asked, as_octets, plain
from fedaemon.web.offer import Hosted, Offer, domain_asked_for

PATHS: Final = ("/mail/config-v1.1.xml", "/.well-known/autoconfig/mail/config-v1.1.xml")

_SOCKETS: Final = {"implicit": "SSL", "starttls": "STARTTLS"}


async def autoconfig(asked: Asked, offer: Offer, hosted: Hosted) -> Answer:
    """Answer with the settings of a domain of ours."""
    domain = domain_asked_for(asked, asked.query.get("emailaddress", ""), "autoconfig.")
    if domain is None or not await hosted(domain):
        return plain(404, "that domain has no mail here")
    return Answer(200, document(domain, offer), XML)


def document(domain: str, offer: Offer) -> bytes:
    """Return the settings as XML."""
    root = Element("clientConfig", version="1.1")
    provider = SubElement(root, "emailProvider", id=domain)
    for name, text in (("domain", domain), ("displayName", domain), ("displayShortName", domain)):
        SubElement(provider, name).text = text
    for place in (*offer.of("imap"), *offer.of("pop3")):
        _server(SubElement(provider, "incomingServer", type=place.service), place)
    for place in offer.of("submission"):
        _server(SubElement(provider, "outgoingServer", type="smtp"), place)
    return as_octets(root)


def _server(element: Element, place: Advertised) -> None:
    for name, text in (
        ("hostname", place.host),
        ("port", str(place.port)),
        ("socketType", _SOCKETS[place.tls]),
        ("authentication", "password-cleartext"),
        ("username", "%EMAILADDRESS%"),
    ):
        SubElement(element, name).text = text
