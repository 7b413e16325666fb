"""The MTA-STS policy of our domains: other servers learn from it that our mail exchanger has TLS they can verify.

Standards: RFC 8461 3.2 (policy), 3.3 (where it is found).
Invariants: what is told here is what ``delivery.tls_policy`` would believe of another server.
"""

from __future__ import annotations

from typing import Final

from fedaemon.web.exchange import TEXT, Answer, Asked, plain
from fedaemon.web.offer import Hosted, Offer, domain_asked_for

PATH: Final = "/.well-known/mta-sts.txt"
PREFIX: Final = "mta-sts."

DAY_S: Final = 86_400
MAX_AGES_S: Final = {"none": DAY_S, "testing": DAY_S, "enforce": 7 * DAY_S}
"""Short while it is tried out, so that a mistake is soon forgotten."""


async def policy(asked: Asked, offer: Offer, hosted: Hosted, mode: str) -> Answer:
    """Answer with the policy of the domain whose ``mta-sts`` host is asked."""
    if asked.host.startswith(PREFIX):
        domain = domain_asked_for(asked, "", PREFIX)
        if domain is not None and await hosted(domain):
            return Answer(200, document(offer.hostname, mode), TEXT)
    return plain(404, "there is a policy only at mta-sts.DOMAIN, for domains that have their mail here")


def document(hostname: str, mode: str) -> bytes:
    """Return a policy. Spec: RFC 8461 3.2"""
    lines = ("version: STSv1", f"mode: {mode}", f"mx: {hostname}", f"max_age: {MAX_AGES_S[mode]}")
    return "".join(f"{line}\r\n" for line in lines).encode("ascii")
