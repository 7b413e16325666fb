"""What is promised of retries and bounces, on the real process: for each promise a domain that tests it.

Where time has to pass, the administrator's ``queue retry`` makes it. Standards: RFC 5321 4.2.4 and 4.5.4.1, RFC
3464.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab import behaviours as does
from tests.lab.world import Lab, failed_with


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    directory: Path = tmp_path_factory.mktemp("promises")
    made = Lab(directory)
    try:
        yield made.start()
    finally:
        made.close()


def test_blocklisted_is_retried(lab: Lab) -> None:
    """A blocklist at the greeting is our trouble, not the message's: it waits, and goes when we are delisted."""
    host = lab.add_domain("blocklist.test", does.blocklists())
    queue_id = lab.send("carol@blocklist.test")
    recipient = lab.until(queue_id, "deferred")
    assert recipient["last"]["category"] == "blocklist"
    host.behave()
    lab.retry(queue_id)
    lab.until(queue_id, "delivered")
    assert lab.reports("carol@blocklist.test") == []


def test_network_trouble_is_retried(lab: Lab) -> None:
    """Nobody listens; then somebody does."""
    host = lab.add_domain("network.test", listens=False)
    queue_id = lab.send("carol@network.test")
    assert lab.until(queue_id, "deferred")["last"]["category"] == "network"
    lab.network.start(host)
    lab.retry(queue_id)
    lab.until(queue_id, "delivered")


def test_a_connection_that_breaks_is_retried(lab: Lab) -> None:
    """The host hangs up in the middle of the envelope; the next time it does not."""
    host = lab.add_domain("breaks.test", does.first(1, does.hangs_up("rcpt")))
    queue_id = lab.send("carol@breaks.test")
    lab.until(queue_id, "deferred")
    lab.retry(queue_id)
    lab.until(queue_id, "delivered")
    assert len(host.messages) == 1


def test_dns_trouble_is_retried(lab: Lab) -> None:
    """SERVFAIL says nothing about the domain."""
    lab.add_domain("servfail.test")
    lab.dns.broken.add("servfail.test")
    queue_id = lab.send("carol@servfail.test")
    assert lab.until(queue_id, "deferred")["last"]["phase"] == "dns"
    assert lab.reports("carol@servfail.test") == []


@pytest.mark.parametrize("reply", [does.FULL, "452 4.2.2 <{}> over quota"])
def test_a_full_mailbox_is_retried(lab: Lab, reply: str) -> None:
    """Also when the remote calls it permanent."""
    name = f"full{reply[:3]}.test"
    host = lab.add_domain(name, does.mailbox_full(reply))
    queue_id = lab.send(f"carol@{name}")
    assert lab.until(queue_id, "deferred")["last"]["category"] == "capacity"
    host.behave()
    lab.retry(queue_id)
    lab.until(queue_id, "delivered")


def test_greylisting_passes(lab: Lab) -> None:
    """The second attempt, from the same address with the same envelope, is let in."""
    host = lab.add_domain("greylist.test", does.greylists(0.2))
    queue_id = lab.send("carol@greylist.test")
    recipient = lab.until(queue_id, "deferred")
    assert recipient["last"]["category"] == "greylist"
    assert recipient["next_attempt_ms"] is not None
    lab.retry(queue_id)
    lab.until(queue_id, "delivered")
    assert len(host.messages) == 1


@pytest.mark.parametrize(
    "reply",
    [
        "554 5.3.0 Service currently unavailable, please try again later",
        "550 5.3.2 System not accepting network messages, try later",
        "451 4.3.0 Temporary lookup failure",
        "421 4.3.2 Service shutting down",
    ],
)
def test_unavailable_is_retried_whatever_code_was_used(lab: Lab, reply: str) -> None:
    """What will be better tomorrow is no reason to bounce today."""
    name = f"unavailable{reply[:3]}{reply[6]}.test"
    host = lab.add_domain(name, does.says("rcpt", reply))
    queue_id = lab.send(f"carol@{name}")
    lab.until(queue_id, "deferred")
    host.behave()
    lab.retry(queue_id)
    lab.until(queue_id, "delivered")


def test_the_reply_to_the_last_dot_is_lost(lab: Lab) -> None:
    """The message is not taken for delivered."""
    host = lab.add_domain("dot.test", does.first(1, does.hangs_up("content")))
    queue_id = lab.send("carol@dot.test")
    lab.until(queue_id, "deferred")
    lab.retry(queue_id)
    lab.until(queue_id, "delivered")
    assert len(host.messages) == 1


def test_an_unknown_user_bounces_and_is_suppressed(lab: Lab) -> None:
    """The sender reads what the host said, and is told at once the next time; others may still write there."""
    lab.add_domain("unknown.test", does.refuses("nobody"))
    queue_id = lab.send("nobody@unknown.test")
    assert lab.until(queue_id, "bounced")["last"]["category"] == "recipient"
    (report,) = lab.reports("nobody@unknown.test")
    about = failed_with(report)
    assert (about["Action"], about["Status"]) == ("failed", "5.1.1")
    assert "User unknown in virtual mailbox table" in about["Diagnostic-Code"]
    assert report["Auto-Submitted"] == "auto-replied"
    refusal = lab.refused("nobody@unknown.test")
    assert refusal.startswith("550 5.1."), refusal
    assert "suppressed" in refusal and "User unknown" in refusal
    lab.until(lab.send("nobody@unknown.test", sender="bob@example.test"), "bounced")
    lab.ctl("suppression", "remove", "alice@example.test", "nobody@unknown.test")
    lab.until(lab.send("nobody@unknown.test"), "bounced")


@pytest.mark.parametrize(
    ("category", "reply"),
    [
        ("virus", "554 5.7.1 Message contains a virus (Eicar-Test-Signature)"),
        ("spam", "550 5.7.1 Message rejected as spam by content filter"),
        ("message", "554 5.6.0 Message rejected: the content is not acceptable, attachment type not allowed"),
    ],
)
def test_refused_content_bounces(lab: Lab, category: str, reply: str) -> None:
    """Trying again would not make it better; the recipient is not to blame."""
    name = f"{category}.test"
    lab.add_domain(name, does.says("content", reply))
    recipient = lab.until(lab.send(f"carol@{name}"), "bounced")
    if category != "message":
        assert recipient["last"]["category"] == category
    (report,) = lab.reports(f"carol@{name}")
    assert failed_with(report)["Action"] == "failed"
    assert reply[10:] in " ".join(str(report).split())
    lab.until(lab.send(f"carol@{name}"), "bounced")


def test_an_invalid_domain_bounces(lab: Lab) -> None:
    """DNS knows for certain."""
    lab.until(lab.send("carol@nowhere.test"), "bounced")
    assert len(lab.reports("carol@nowhere.test")) == 1


def test_several_recipients_that_end_together_share_a_report(lab: Lab) -> None:
    """Two unknown, one fine: one report about two."""
    lab.add_domain("several.test", does.refuses("one"), does.refuses("two"))
    queue_id = lab.send("one@several.test", "two@several.test", "carol@several.test")
    lab.until(queue_id, "bounced", "bounced", "delivered")
    (report,) = lab.reports("one@several.test")
    assert "two@several.test" in str(report.get_payload(1))
    assert "carol@several.test" not in str(report.get_payload(1))
