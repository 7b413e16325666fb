"""What may be a webhook, and how its posts are signed."""

from __future__ import annotations

import hashlib
import hmac
import json

import pytest

from fedaemon.delivery.hooks import webhook
from fedaemon.delivery.hooks.events import no_fields, trial_event
from fedaemon.delivery.hooks.post import make_post
from fedaemon.delivery.hooks.webhook import EVENTS, Webhook, parse_events, parse_name, parse_url
from fedaemon.errors import BadSyntax, Refused
from tests.delivery.hooks.support import START_MS, Shelf


@pytest.mark.parametrize(
    "url",
    [
        "https://example.org/hook?x=1",
        "https://10.0.0.1:8443/",
        "http://localhost:8000/hook",
        "http://127.0.0.1:8000",
        "http://[::1]:8000/",
    ],
)
def test_good_urls(url: str) -> None:
    """TLS anywhere, also to private addresses; without TLS to this machine."""
    assert parse_url(url) == url


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://example.org/", "TLS only"),
        ("http://10.0.0.1/", "TLS only"),
        ("http://localhost.example.org/", "TLS only"),
        ("http://127.0.0.1.example.org/", "TLS only"),
        ("ftp://example.org/", "https://"),
        ("example.org", "https://"),
        ("https:///path", "names no host"),
        ("https://user:password@example.org/", "leave user"),
        ("http://localhost@example.org/", "leave user"),
        ("https://example.org/#x", "fragment"),
        ("https://example.org:0/", "https://"),
        ("https://example.org:99999/", "not a URL"),
        ("https://example.org/a b", "without spaces"),
        ("https://example.org/\r\nX: y", "without spaces"),
        ("https://exämple.org/", "ASCII"),
        ("https://example.org/" + "x" * 2000, "1 to 2000"),
        ("", "1 to 2000"),
    ],
)
def test_bad_urls(url: str, why: str) -> None:
    """Each says what is wrong with it."""
    with pytest.raises(BadSyntax, match=why):
        parse_url(url)


def test_names_and_events() -> None:
    """Names can be typed; events come in one order, each once."""
    assert parse_name("crm-2.example") == "crm-2.example"
    assert parse_events("bounced, delivered,bounced") == ("delivered", "bounced")
    for bad in ("", "Crm", "a b", "-x", "x" * 65):
        with pytest.raises(BadSyntax):
            parse_name(bad)
    for bad in ("", "opened", "delivered,"):
        with pytest.raises(BadSyntax):
            parse_events(bad)


def test_a_record_is_read_as_it_was_stored() -> None:
    """Every field; and a change is seen at once although records are cached."""
    shelf = Shelf()
    hook = shelf.hook(account="a@b.test", created_ms=START_MS, events=("bounced",))
    assert shelf.engine.view(webhook.webhooks) == [hook]
    shelf.engine.transact(lambda each: webhook.disable(each, "crm", "why"))
    [changed] = shelf.engine.view(webhook.webhooks)
    assert changed.disabled == "why"


def test_there_are_not_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every outcome looks at all of them. A name is used once."""
    monkeypatch.setattr(webhook, "MAX_WEBHOOKS", 2)
    shelf = Shelf()
    shelf.hook("a")
    with pytest.raises(Refused, match="already"):
        shelf.hook("a")
    shelf.hook("b")
    with pytest.raises(Refused, match="2 webhooks"):
        shelf.hook("c")


def test_a_receiver_can_check_a_post() -> None:
    """As the documentation says: HMAC-SHA256 of the body; id and time are in what is signed."""
    hook = Webhook("crm", "https://crm.test/", EVENTS, "a secret of mine")
    event = {"id": "0123456789ABCDEF", **trial_event(START_MS), "response": "\udc80 bytes \u20ac"}
    post = make_post(hook, event, 3, START_MS + 61_000)
    mac = hmac.new(b"a secret of mine", post.body, hashlib.sha256).hexdigest()
    assert post.headers["X-Webhook-Signature"] == f"sha256={mac}"
    assert post.headers["X-Webhook-Timestamp"] == str(START_MS // 1000 + 61)
    assert post.headers["X-Webhook-Id"] == "0123456789ABCDEF"
    assert post.headers["Content-Type"] == "application/json"
    assert post.headers["User-Agent"].startswith("fedaemon/")
    found = json.loads(post.body)
    assert (found["id"], found["attempt"], found["posted"]) == ("0123456789ABCDEF", 3, "2025-06-15T15:07:41Z")
    assert found["response"] == "\udc80 bytes \u20ac"
    assert found.items() >= no_fields().items()


def test_the_secret_is_not_shown() -> None:
    """A webhook may stand in a log or a traceback."""
    assert "mine" not in repr(Webhook("crm", "https://crm.test/", EVENTS, "a secret of mine"))
