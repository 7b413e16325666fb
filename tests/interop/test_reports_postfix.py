"""Delivery reports between this server and a real Postfix, in both directions.

Standards: RFC 3461 5.2 (what goes on with a message), 6.2 (RET); RFC 3464 2.2 and 2.3; RFC 6522 3.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest

from tests.daemon import wait_until
from tests.interop.postfix import DAEMONS
from tests.interop.reports import CAROL, DEFERRAL, REFUSAL, Scene, is_report, parse, status_fields

Need = Callable[..., None]
HEAD = b"From: alice@example.test\r\nSubject: words\r\nX-Odd:   spaces  stay\r\n"
CONTENT = HEAD + b"\r\nHello.\r\n.\r\n..two dots\r\n"
FROM_CAROL = (
    b"From: carol@post.test\r\nSubject: =?utf-8?q?gr=C3=BC=C3=9Fe?=\r\n"
    b"Message-ID: <1@post.test>\r\n\r\nhi\r\n"
)

ACTIONS = {
    "delivered": ("bob@example.test", "2."),
    "relayed": ("onward@example.test", "2."),
    "expanded": ("team@example.test", "2."),
    "failed": ("away@example.test", "5.1.1"),
    "delayed": ("late@example.test", "4."),
}
"""To whom carol writes to get which report, and how its status begins."""


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory, need: Need) -> Iterator[Scene]:
    """A daemon and a Postfix."""
    need("postfix", str(DAEMONS / "postlogd"))
    if os.geteuid() != 0:
        pytest.skip("Postfix can only be started by root")
    opened = Scene.open(tmp_path_factory.mktemp("reports"))
    yield opened
    opened.close()


def test_the_wishes_of_the_sender_go_on(scene: Scene) -> None:
    """Postfix stores NOTIFY, ORCPT, RET and ENVID as alice gave them. Spec: RFC 3461 5.2.1"""
    queue_id = scene.submit(
        "held@post.test",
        CONTENT,
        "RET=HDRS ENVID=wishes+2B1",
        "NOTIFY=SUCCESS,DELAY ORCPT=rfc822;first+2Btag@post.test",
    )
    envelope = scene.postfix.run("postcat", "-q", "-e", scene.remote_id(queue_id))
    attributes = dict(
        line.removeprefix("named_attribute: ").split("=", 1)
        for line in envelope.splitlines()
        if line.startswith("named_attribute: ")
    )
    # It keeps them decoded (RFC 3461 4: xtext).
    assert attributes["envelope_id"] == "wishes+1"
    assert attributes["dsn_orig_rcpt"] == "rfc822;first+tag@post.test"
    # Postfix's bits: NEVER is 1, SUCCESS 2, FAILURE 4, DELAY 8; RET=FULL is 1, HDRS 2.
    assert int(attributes["notify_flags"]) == 2 + 8
    assert int(attributes["ret_flags"]) == 2


def test_success_is_reported_by_postfix_alone(scene: Scene) -> None:
    """Where the next host knows DSN the one confirmation is its own, and it reaches alice's mailbox."""
    scene.submit(CAROL, CONTENT, "ENVID=success", f"NOTIFY=SUCCESS ORCPT=rfc822;{CAROL}")
    wait_until(lambda: scene.reports_to_alice("success"), "Postfix's report in alice's mailbox")
    (report,) = scene.reports_to_alice("success")
    about, (recipient,) = status_fields(parse(report))
    assert about["Reporting-MTA"] == "dns; mx.post.test"
    assert recipient["Action"] == "delivered"
    assert recipient["Original-Recipient"].replace(" ", "") == f"rfc822;{CAROL}"


@pytest.mark.parametrize(("ret", "returned"), [("FULL", "message/rfc822"), ("HDRS", "text/rfc822-headers")])
def test_a_later_failure_comes_back_whole(scene: Scene, ret: str, returned: str) -> None:
    """Postfix took the message and could not deliver it: its bounce lies in alice's mailbox as it was made."""
    envelope_id = f"failure-{ret}"
    scene.submit("gone@post.test", CONTENT, f"RET={ret} ENVID={envelope_id}", "NOTIFY=FAILURE")
    wait_until(lambda: scene.reports_to_alice(envelope_id), "Postfix's bounce in alice's mailbox")
    (report,) = scene.reports_to_alice(envelope_id)
    parsed = parse(report)
    _, (recipient,) = status_fields(parsed)
    assert recipient["Action"] == "failed"
    assert recipient["Final-Recipient"] == "rfc822; removed@post.test"
    assert list(parsed.iter_parts())[2].get_content_type() == returned
    assert b"\r\nX-Odd:   spaces  stay\r\n" in report
    assert (b"\r\nHello.\r\n.\r\n..two dots\r\n" in report) == (ret == "FULL")


def test_never_is_never(scene: Scene) -> None:
    """NOTIFY=NEVER goes on too: Postfix drops the failure without a word. Spec: RFC 3461 4.1"""
    queue_id = scene.submit("gone@post.test", CONTENT, "ENVID=never", "NOTIFY=NEVER")
    remote_id = scene.remote_id(queue_id)
    wait_until(lambda: f"{remote_id}: removed" in scene.postfix.log, "Postfix to be done with it")
    assert f"{remote_id}: to=<removed@post.test>" in scene.postfix.log
    assert f"{remote_id}: sender non-delivery notification" not in scene.postfix.log
    assert scene.reports_to_alice("never") == []


@pytest.fixture(scope="module", params=list(ACTIONS))
def delivered(request: pytest.FixtureRequest, scene: Scene) -> tuple[str, str, bytes]:
    """A report of ours: its action, the queue id of what it is about, and the file in carol's mailbox."""
    action: str = request.param
    notify = "NOTIFY=FAILURE,DELAY" if action in ("failed", "delayed") else "NOTIFY=SUCCESS,FAILURE"
    queue_id = scene.from_carol(ACTIONS[action][0], FROM_CAROL, f"ENVID=our-{action}", notify)
    if action == "delayed":

        def late() -> bool:
            scene.world.daemon.ctl("queue", "retry", queue_id)
            timeline = scene.world.daemon.ctl_json("queue", "show", queue_id)["timeline"]
            return any(entry["event"] == "report" for entry in timeline)

        wait_until(late, "the message to be late")
    return action, queue_id, scene.report_to_carol(f"our-{action}")


def test_postfix_delivers_our_report_untouched(scene: Scene, delivered: tuple[str, str, bytes]) -> None:
    """Through strict MIME checks, octet for octet; only trace fields are put before it."""
    _, queue_id, octets = delivered
    made = scene.sent_report(queue_id).replace(b"\r\n", b"\n")
    assert octets.endswith(made)
    trace = octets.removesuffix(made)
    assert trace.startswith(b"Return-Path: <>\n")
    names = [line.partition(b":")[0] for line in trace.splitlines() if not line.startswith((b" ", b"\t"))]
    assert set(names) == {b"Return-Path", b"X-Original-To", b"Delivered-To", b"Received"}


def test_our_report_says_what_happened(delivered: tuple[str, str, bytes]) -> None:
    """Python's parser finds three parts, and in the second what carol's program wants to know."""
    action, _, octets = delivered
    report = parse(octets)
    assert is_report(octets)
    assert report["Auto-Submitted"] == "auto-replied"
    assert report["In-Reply-To"] == "<1@post.test>"
    assert report.get_param("report-type") == "delivery-status"
    text, _, original = report.iter_parts()
    about, (recipient,) = status_fields(report)
    assert about["Reporting-MTA"] == "dns; mail.example.test"
    assert recipient["Action"] == action
    assert recipient["Status"].startswith(ACTIONS[action][1])
    said = {"failed": REFUSAL, "delayed": DEFERRAL}.get(action, "")
    assert said in (recipient["Diagnostic-Code"] or "")
    assert said in " ".join(text.get_content().split())
    assert "grüße" in text.get_content()
    assert original.get_content_type() == "text/rfc822-headers"
    assert "Message-ID: <1@post.test>" in original.get_content()


def test_postfix_has_nothing_to_complain_of(scene: Scene, delivered: tuple[str, str, bytes]) -> None:
    """No warning in its log speaks of what we sent, and nothing of it was refused."""
    complaints = [line for line in scene.postfix.log.splitlines() if "warning:" in line or "reject:" in line]
    assert complaints == []
