"""Configuration profiles for Mail on iPhone, iPad and Mac: a file that sets up an account when it is opened.

Standards: Apple's Configuration Profile Reference (com.apple.mail.managed).
Invariants: no password is in a profile; the device asks for it. The identifiers are made from the address and the
server, so that a profile that is installed again replaces the first.
"""

from __future__ import annotations

import plistlib
from typing import Any, Final, cast
from uuid import NAMESPACE_URL, uuid5

from fedaemon.message.address import Address
from fedaemon.web.advertised import Advertised, Service
from fedaemon.web.exchange import Answer, Asked, plain
from fedaemon.web.offer import Hosted, Offer, read_address

PATH: Final = "/apple/mail.mobileconfig"
MEDIA_TYPE: Final = "application/x-apple-aspen-config"

_TYPES: Final = {"imap": "EmailTypeIMAP", "pop3": "EmailTypePOP"}


async def mobileconfig(asked: Asked, offer: Offer, hosted: Hosted) -> Answer:
    """Answer with the profile for an address of a domain of ours."""
    protocol = asked.query.get("protocol", "imap").lower()
    if protocol not in _TYPES:
        return plain(400, "protocol must be imap or pop3")
    address = read_address(asked.query.get("email", ""))
    if address is None:
        return plain(400, "email must be an address, such as name@example.org")
    incoming, outgoing = offer.of(cast(Service, protocol)), offer.of("submission")
    if not await hosted(address.domain) or not incoming or not outgoing:
        return plain(404, "that domain has no mail here, or not by this protocol")
    headers = {"Content-Disposition": f'attachment; filename="{protocol}.mobileconfig"'}
    return Answer(200, profile(address, incoming[0], outgoing[0]), MEDIA_TYPE, headers)


def profile(address: Address, incoming: Advertised, outgoing: Advertised) -> bytes:
    """Return a profile."""
    name = str(address)
    whole = _identity(f"fedaemon://{incoming.host}/{address.key}/{incoming.service}")
    account = {
        **_identity(f"fedaemon://{incoming.host}/{address.key}/{incoming.service}/account"),
        "PayloadType": "com.apple.mail.managed",
        "PayloadDisplayName": name,
        "EmailAccountType": _TYPES[incoming.service],
        "EmailAccountDescription": name,
        "EmailAddress": name,
        **_server("Incoming", incoming, name),
        **_server("Outgoing", outgoing, name),
        "OutgoingPasswordSameAsIncomingPassword": True,
    }
    return plistlib.dumps(
        {
            **whole,
            "PayloadType": "Configuration",
            "PayloadDisplayName": name,
            "PayloadDescription": f"{name} at {incoming.host}",
            "PayloadOrganization": address.domain,
            "PayloadRemovalDisallowed": False,
            "PayloadContent": [account],
        }
    )


def _identity(url: str) -> dict[str, Any]:
    identifier = str(uuid5(NAMESPACE_URL, url)).upper()
    return {
        "PayloadIdentifier": f"fedaemon.{identifier}",
        "PayloadUUID": identifier,
        "PayloadVersion": 1,
    }


def _server(direction: str, place: Advertised, login: str) -> dict[str, Any]:
    # Mail takes "use SSL" for STARTTLS where the server does not begin with TLS.
    return {
        f"{direction}MailServerAuthentication": "EmailAuthPassword",
        f"{direction}MailServerHostName": place.host,
        f"{direction}MailServerPortNumber": place.port,
        f"{direction}MailServerUseSSL": True,
        f"{direction}MailServerUsername": login,
    }
