"""What a webhook is: where events are posted, which ones, and about whose messages.

Standards: RFC 3986 3 (the parts of a URL).
Invariants: events are posted over verified TLS, or not beyond this machine: http is taken for loopback only. A
URL has no password in it, because it is shown; what proves that a post is ours is the secret, which is not.
Limits: MAX_WEBHOOKS, MAX_URL characters, MAX_NAME characters.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from ipaddress import ip_address
from typing import Final
from urllib.parse import SplitResult, urlsplit

from fedaemon.errors import BadSyntax, Refused
from fedaemon.message.address import parse_address
from fedaemon.store.interface import Snapshot, Transaction
from fedaemon.store.records import decode, encode
from fedaemon.store.spaces import WEBHOOK

EVENTS: Final = ("delivered", "deferred", "bounced", "complaint")
"""What a webhook can hear of; the end of a message's lifetime is a bounce too."""

MAX_WEBHOOKS: Final = 200
"""Each recorded outcome looks at all of them."""

MAX_URL: Final = 2000
MAX_NAME: Final = 64

_is_name = re.compile(rf"[a-z0-9][a-z0-9._-]{{0,{MAX_NAME - 1}}}").fullmatch
_is_url_text = re.compile(rf"[!-~]{{1,{MAX_URL}}}").fullmatch


@dataclass(frozen=True, slots=True)
class Webhook:
    """One webhook.

    *events* are some of ``EVENTS``. It hears of the messages that *account* sent, of those that the accounts of
    *domain* sent, or, without either, of all that any account sent. *secret* is the key of the signature.
    *disabled* says why nothing is posted, "" when it is.
    """

    name: str
    url: str
    events: tuple[str, ...]
    secret: str = field(repr=False)
    account: str = ""
    domain: str = ""
    created_ms: int = 0
    disabled: str = ""

    def hears(self, event: str, account: str) -> bool:
        """Return True when *event* about a message of *account* is to be posted."""
        if self.disabled or event not in self.events:
            return False
        if self.account:
            return self.account == account
        return not self.domain or self.domain == account.rpartition("@")[2]


def webhooks(snapshot: Snapshot) -> list[Webhook]:
    """Return all webhooks in the order of their names."""
    return [_read(str(key[1]), bytes(value)) for key, value in snapshot.scan((WEBHOOK,), limit=MAX_WEBHOOKS)]


def find(snapshot: Snapshot, name: str) -> Webhook | None:
    """Return the webhook *name*, or None."""
    value = snapshot.get((WEBHOOK, name))
    return None if value is None else _read(name, bytes(value))


def need(snapshot: Snapshot, name: str) -> Webhook:
    """Return the webhook *name*; raises ``Refused`` with what to do."""
    found = find(snapshot, name)
    if found is None:
        raise Refused(f"there is no webhook {name}; see: fedaemonctl webhook list")
    return found


# Outcomes are recorded far more often than webhooks change.
@lru_cache(maxsize=2 * MAX_WEBHOOKS)
def _read(name: str, value: bytes) -> Webhook:
    record = decode(value)
    return Webhook(name=name, **{**record, "events": tuple(record["events"])})


def add(transaction: Transaction, webhook: Webhook) -> None:
    """Store a new webhook; raises ``Refused`` when its name is taken or there are too many."""
    known = webhooks(transaction)
    if any(each.name == webhook.name for each in known):
        raise Refused(f"there is a webhook {webhook.name} already; give this one another --name")
    if len(known) >= MAX_WEBHOOKS:
        raise Refused(f"there are {MAX_WEBHOOKS} webhooks already; remove one, or let one hear of more")
    put(transaction, webhook)


def put(transaction: Transaction, webhook: Webhook) -> None:
    """Store *webhook* in place of the one of its name."""
    record = asdict(webhook)
    del record["name"]
    transaction.put((WEBHOOK, webhook.name), encode(record))


def disable(transaction: Transaction, name: str, why: str) -> Webhook:
    """Post nothing more to *name*, or again with *why* ""; returns it; raises ``Refused`` for an unknown one."""
    webhook = replace(need(transaction, name), disabled=why)
    put(transaction, webhook)
    return webhook


def remove(transaction: Transaction, name: str) -> None:
    """Remove a webhook; its events are the backlog's business (``backlog.forget``)."""
    transaction.delete((WEBHOOK, name))


def parse_name(text: str) -> str:
    """Return *text* as the name of a webhook; raises ``BadSyntax``."""
    if _is_name(text) is None:
        raise BadSyntax(
            f'"{text}" cannot name a webhook: 1 to {MAX_NAME} small letters, digits, dots, hyphens, underscores'
        )
    return text


def parse_events(text: str) -> tuple[str, ...]:
    """Return the events in "delivered,bounced"; raises ``BadSyntax``."""
    wanted = {part.strip() for part in text.split(",")}
    if not wanted <= set(EVENTS):
        raise BadSyntax(f'"{text}" is not some of {",".join(EVENTS)}')
    return tuple(event for event in EVENTS if event in wanted)


def parse_account(text: str) -> str:
    """Return the key of an account's address; raises ``BadSyntax``."""
    return parse_address(text).key


def parse_url(text: str) -> str:
    """Return *text* as a URL to which events may be posted; raises ``BadSyntax``. Spec: RFC 3986 3"""
    parts = _split(text)
    if not parts.hostname:
        raise BadSyntax("the URL names no host; write https://host/path")
    if parts.username is not None or parts.password is not None:
        raise BadSyntax(
            "a URL is shown to administrators: leave user and password out, the signature proves who posts"
        )
    if parts.fragment:
        raise BadSyntax("a fragment (#…) is not sent to a server; leave it out")
    if parts.scheme == "http" and not _is_loopback(parts.hostname):
        raise BadSyntax("beyond this machine events are posted with TLS only: write https://…")
    return text


def _split(text: str) -> SplitResult:
    if _is_url_text(text) is None:
        raise BadSyntax(f"a URL is 1 to {MAX_URL} ASCII characters without spaces (percent-encode others)")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise BadSyntax(f"not a URL: {error}") from error
    if parts.scheme not in ("http", "https") or port == 0:
        raise BadSyntax("a webhook is an https:// URL, or http:// for a program on this machine")
    return parts


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
