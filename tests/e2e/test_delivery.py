"""The way of a message through a real daemon to real servers, and what its sender hears when it goes wrong.

Standards: RFC 5321 5.1 (MX), RFC 7505, RFC 3464.
"""

from __future__ import annotations

import email
import re
import smtplib
from email.message import Message
from pathlib import Path
from typing import Any

import pytest

from tests.daemon import submission, wait_until
from tests.e2e.peers import ALICE, BOB, PASSWORD, Received, World

BODY = "Hello, wörld.\r\n.\r\n..two dots\r\nlast line without end"


def message(to: str, subject: str = "hello", **fields: str) -> bytes:
    """Return a message from alice as an application would write it."""
    head = {"From": f"Alice <{ALICE}>", "To": to, "Subject": subject, **fields}
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in head.items())
    return (lines + "\r\n" + BODY).encode()


def send(world: World, *recipients: str, **options: Any) -> str:
    """Submit a message as alice and return its queue id."""
    with submission(world.ports["submissions"], world.ca_file, ALICE, PASSWORD) as client:
        client.ehlo_or_helo_if_needed()
        client.mail(ALICE, ["BODY=8BITMIME"])
        for recipient in recipients:
            code, text = client.rcpt(recipient)
            assert code == 250, text
        code, text = client.data(message(", ".join(recipients), **options))
        assert code == 250, text
        return text.decode().rpartition(" ")[2]


def state(world: World, queue_id: str) -> list[str]:
    """Return the states of the recipients of a message."""
    shown = world.daemon.ctl_json("queue", "show", queue_id)
    return [recipient["state"] for recipient in shown["recipients"]]


def events(world: World, queue_id: str) -> list[str]:
    """Return the names of what happened to a message, in order."""
    return [entry["event"] for entry in world.daemon.ctl_json("queue", "show", queue_id)["timeline"]]


def reports(world: World, address: str) -> list[Message]:
    """Return the delivery reports in an account's mailbox."""
    parsed = [email.message_from_bytes(raw) for raw in world.daemon.mailbox(address)]
    return [one for one in parsed if one.get_content_type() == "multipart/report"]


def test_a_message_goes_to_the_better_mx(world: World) -> None:
    """With both hosts up, the one with the lower preference gets the message, as it was sent."""
    world.mx1.start()
    world.mx2.start()
    world.daemon.start()
    queue_id = send(world, "carol@remote.test")
    wait_until(lambda: world.mx1.messages, "the message at mx1")
    assert world.mx2.messages == []
    (got,) = world.mx1.messages
    assert got.sender == ALICE
    assert got.recipients == ["carol@remote.test"]
    assert got.content.endswith(b"\r\n\r\n" + BODY.encode() + b"\r\n")
    assert got.content.startswith(b"Received: ")
    wait_until(lambda: state(world, queue_id) == ["delivered"], "the queue to say so")
    assert world.daemon.stop() == 0


def test_the_second_mx_takes_over_when_the_first_is_down(world: World) -> None:
    """A host that refuses connections costs nothing but a moment."""
    world.mx2.start()
    world.daemon.start()
    send(world, "carol@remote.test")
    wait_until(lambda: world.mx2.messages, "the message at mx2")


def test_a_greylisted_message_is_tried_again(world: World) -> None:
    """451 first, then 250: the message waits in between, says why, and arrives once."""
    seen: list[str] = []

    def greylist(recipient: str) -> str:
        seen.append(recipient)
        return "451 4.7.1 Greylisted, please try again" if len(seen) <= 2 else ""

    world.mx1.rcpt = world.mx2.rcpt = greylist
    world.mx1.start()
    world.mx2.start()
    world.daemon.start()
    queue_id = send(world, "carol@remote.test")
    wait_until(lambda: state(world, queue_id) == ["deferred"], "the message to be deferred")
    shown = world.daemon.ctl_json("queue", "show", queue_id)
    assert "Greylisted" in str(shown["timeline"])
    world.daemon.ctl("queue", "retry", queue_id)
    wait_until(lambda: state(world, queue_id) == ["delivered"], "the second attempt")
    assert len(world.mx1.messages) + len(world.mx2.messages) == 1


def test_an_unknown_recipient_bounces_to_the_sender(world: World) -> None:
    """550 from the remote becomes a report in the sender's mailbox that quotes it; the other recipient gets
    the mail."""
    world.mx1.rcpt = lambda recipient: "550 5.1.1 No such user here" if recipient.startswith("nobody") else ""
    world.mx1.start()
    world.daemon.start()
    queue_id = send(world, "nobody@remote.test", "carol@remote.test")
    wait_until(lambda: sorted(state(world, queue_id)) == ["bounced", "delivered"], "both results")
    (report,) = wait_until(lambda: reports(world, ALICE), "the report")
    text, status, original = report.get_payload()
    assert "No such user here" in text.get_payload(decode=True).decode()
    (_, per_recipient) = status.get_payload()
    assert per_recipient["Action"] == "failed"
    assert per_recipient["Status"] == "5.1.1"
    assert per_recipient["Final-Recipient"].split(";") == ["rfc822", "nobody@remote.test"]
    assert "Subject: hello" in str(original)
    assert report["Auto-Submitted"] == "auto-replied"


def test_a_deferred_message_survives_a_restart(world: World) -> None:
    """What waited before the daemon was killed is delivered after it is back."""
    world.daemon.start()
    queue_id = send(world, "carol@remote.test")
    wait_until(lambda: state(world, queue_id) == ["deferred"], "the first attempt to fail")
    world.daemon.kill()
    world.mx1.start()
    world.daemon.start()
    assert state(world, queue_id) == ["deferred"]
    world.daemon.ctl("queue", "retry", queue_id)
    wait_until(lambda: world.mx1.messages, "the message after the restart")
    wait_until(lambda: state(world, queue_id) == ["delivered"], "the queue to say so")
    assert "deferred" in events(world, queue_id)


def test_a_dns_failure_is_temporary(world: World) -> None:
    """SERVFAIL says nothing about the domain: the message waits."""
    world.dns.broken.add("remote.test")
    world.daemon.start()
    queue_id = send(world, "carol@remote.test")
    wait_until(lambda: state(world, queue_id) == ["deferred"], "the attempt to be put off")
    assert "dns" in str(world.daemon.ctl_json("queue", "show", queue_id)["timeline"])


def test_a_domain_that_does_not_exist_bounces(world: World) -> None:
    """NXDOMAIN is permanent."""
    world.daemon.start()
    queue_id = send(world, "carol@nowhere.test")
    wait_until(lambda: state(world, queue_id) == ["bounced"], "the bounce")
    wait_until(lambda: reports(world, ALICE), "the report")


def test_a_domain_without_mx_is_reached_at_its_address(world: World) -> None:
    """RFC 5321 5.1: an A record stands for the MX that is not there."""
    world.mx1.start()
    world.daemon.start()
    send(world, "carol@implicit.test")
    wait_until(lambda: world.mx1.messages, "the message at the implicit MX")


def test_the_null_mx_is_refused_while_the_sender_is_there(world: World) -> None:
    """RFC 7505: a domain that says it takes no mail is refused at RCPT."""
    world.daemon.start()
    with (
        submission(world.ports["submissions"], world.ca_file, ALICE, PASSWORD) as client,
        pytest.raises(smtplib.SMTPRecipientsRefused) as refused,
    ):
        client.sendmail(ALICE, ["carol@noserver.test"], message("carol@noserver.test"))
    code, text = refused.value.recipients["carol@noserver.test"]
    assert code == 550
    assert b"5.1.10" in text


def test_local_mail_is_delivered_byte_exact(world: World) -> None:
    """What bob reads is what alice sent, with the documented fields in front."""
    world.daemon.start()
    send(world, BOB, Bcc="secret@remote.test", X_Odd="  spaces   stay\r\n\tand folding too")
    (stored,) = wait_until(lambda: world.daemon.mailbox(BOB), "the message in bob's mailbox")
    head, _, body = stored.partition(b"\r\n\r\n")
    assert body == BODY.encode() + b"\r\n"
    assert b"\r\nX-Odd:   spaces   stay\r\n\tand folding too" in head
    assert b"secret" not in stored
    assert head.startswith(
        b"Return-Path: <alice@example.test>\r\nDelivered-To: bob@example.test\r\nReceived: "
    )
    assert b"127.0.0.1" not in head.partition(b"\r\nFrom:")[0]
    assert b"\r\nDate: " in head
    assert b"\r\nMessage-ID: <" in head or b"\r\nMessage-Id: <" in head


def test_an_alias_leads_to_several_addresses(world: World) -> None:
    """An alias to a local and a remote address is delivered to both, each with a state of its own."""
    world.daemon.ctl("alias", "add", "team@example.test", BOB, "carol@remote.test")
    world.mx1.start()
    world.daemon.start()
    queue_id = send(world, "team@example.test")
    wait_until(lambda: state(world, queue_id) == ["delivered", "delivered"], "both deliveries")
    assert [one.recipients for one in world.mx1.messages] == [["carol@remote.test"]]
    assert len(world.daemon.mailbox(BOB)) == 1


def test_mail_from_outside_reaches_hosted_addresses_only(world: World) -> None:
    """The mx service takes mail for bob and relays for nobody."""
    world.daemon.start()
    with smtplib.SMTP("127.0.0.1", world.ports["mx"]) as client:
        client.ehlo("sender.remote.test")
        refused = client.sendmail(
            "carol@remote.test",
            [BOB, "dave@elsewhere.test", "nobody@example.test"],
            b"From: carol@remote.test\r\nSubject: in\r\n\r\nhello\r\n",
        )
    assert {address: code for address, (code, _) in refused.items()} == {
        "dave@elsewhere.test": 550,
        "nobody@example.test": 550,
    }
    assert b"5.7.1" in refused["dave@elsewhere.test"][1]
    assert b"5.1.1" in refused["nobody@example.test"][1]
    (stored,) = wait_until(lambda: world.daemon.mailbox(BOB), "the message in bob's mailbox")
    assert stored.startswith(b"Return-Path: <carol@remote.test>\r\n")
    assert b"[127.0.0.1]" in stored


def test_there_is_always_a_postmaster(world: World) -> None:
    """<Postmaster> without a domain, of the server's own name, and of a domain without one reach the one set."""
    world.daemon.start()
    everywhere = ["Postmaster", "postmaster@mail.example.test", "POSTMASTER@example.test"]
    with smtplib.SMTP("127.0.0.1", world.ports["mx"]) as client:
        client.ehlo()
        for recipient in everywhere:
            client.mail("")
            assert client.docmd("RCPT", f"TO:<{recipient}>")[0] == 250
            assert client.data(b"Subject: trouble\r\n\r\nplease look\r\n")[0] == 250
        client.mail("")
        assert client.docmd("RCPT", "TO:<postmaster@elsewhere.test>")[0] == 550
    wait_until(lambda: len(world.daemon.mailbox(ALICE)) == len(everywhere), "the mail in alice's mailbox")


def test_a_large_message_passes_through(world: World) -> None:
    """45 MB arrive as they were sent, through spool, file and streaming, and cost a few MB of memory."""
    world.mx1.start()
    world.daemon.start()
    # The first log-in hashes the password, which takes 16 MiB for a moment: not this test's subject.
    send(world, "carol@remote.test")
    wait_until(lambda: world.mx1.messages, "the small message")
    before_kb = peak_memory_kb(world)
    body = b"".join(b"%060d\r\n" % number for number in range(720_000))
    with submission(world.ports["submission"], world.ca_file, ALICE, PASSWORD, implicit=False) as client:
        client.sendmail(ALICE, ["carol@remote.test"], b"From: alice@example.test\r\n\r\n" + body)
    got: Received = wait_until(lambda: world.mx1.messages[1:], "the large message")[0]
    assert got.content.partition(b"\r\n\r\n")[2] == body
    assert peak_memory_kb(world) - before_kb < 8_000


def peak_memory_kb(world: World) -> int:
    """Return the most memory that the daemon ever had resident."""
    assert world.daemon.process is not None
    status = Path(f"/proc/{world.daemon.process.pid}/status").read_text()
    return int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0])
