"""What goes over the wire when an event is posted, and how the receiver knows that it is ours.

The body is signed with the webhook's secret: ``X-Webhook-Signature: sha256=HEX``, where HEX is the HMAC-SHA256
of the body's octets with the secret's characters as the key. Nothing else is signed and nothing else needs to
be: the body itself says when it was posted (``posted``) and which event it is (``id``). A receiver compares the
signature in constant time, refuses what was posted long ago, and takes each id once, because an event may come
twice.

X-Webhook-Id and X-Webhook-Timestamp (seconds since the epoch) repeat id and time for logs and proxies.

Standards: RFC 2104 (HMAC), RFC 9110 8.3 and 10.1.5 (Content-Type, User-Agent).
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from fedaemon import __version__
from fedaemon.delivery.event_log import rfc3339
from fedaemon.delivery.hooks.webhook import Webhook

TIMEOUT_S: Final = 10.0
"""For a whole post, from the connection to the end of the answer."""

USER_AGENT: Final = f"fedaemon/{__version__}"


@dataclass(frozen=True, slots=True)
class Post:
    """A post that is ready to be sent."""

    url: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a post: the HTTP status, 0 when there was none, and that in words."""

    code: int
    text: str


def make_post(webhook: Webhook, event: Mapping[str, Any], attempt: int, now_ms: int) -> Post:
    """Return the post of *event*.

    :param event: as ``hooks.events`` describes it, with its ``id``.
    :param attempt: 1 for the first post of this event.
    """
    # All ASCII: octets of peers that are no text came as lone surrogates, which UTF-8 does not have.
    body = json.dumps({**event, "attempt": attempt, "posted": rfc3339(now_ms)}).encode("ascii")
    headers = {
        "Content-Type": "application/json",
        "User-Agent": USER_AGENT,
        "X-Webhook-Id": event["id"],
        "X-Webhook-Timestamp": str(now_ms // 1000),
        "X-Webhook-Signature": signature(webhook.secret, body),
    }
    return Post(webhook.url, headers, body)


def signature(secret: str, body: bytes) -> str:
    """Return the value of X-Webhook-Signature for *body*. Spec: RFC 2104 2"""
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def answered(code: int) -> Answer:
    """Return the answer for an HTTP status. Redirects are not followed: the secret's owner chose the URL."""
    return Answer(code, f"the server answered {code}")
