"""What senders are told: who is owed which report, and what stands in it, parsed by Python's email package."""

from __future__ import annotations

from dataclasses import replace
from email.message import Message
from typing import Any

import pytest

from fedaemon.accounts import directory
from fedaemon.accounts.records import Account
from fedaemon.delivery.original import FULL_OCTETS, STRANGER_OCTETS, header_block
from fedaemon.delivery.owed import notify_to_pass_on
from fedaemon.delivery.records import NewRecipient
from fedaemon.delivery.strangers import StrangerLimits, count_report
from fedaemon.delivery.transport import Outcome, Result
from fedaemon.message.address import parse_address
from fedaemon.store.spaces import TOLD
from tests.delivery.over import (
    ALICE,
    BOB,
    CONTENT,
    DAY_MS,
    FILED,
    GREYLISTED,
    HOUR_MS,
    MX,
    NOW_MS,
    STRANGER,
    TAKEN,
    UNKNOWN,
    UNREACHABLE,
    Over,
    alias,
    fields,
    words,
)

CAROL = "carol@remote.test"


@pytest.fixture
def over() -> Over:
    return Over()


def carol(**wishes: str) -> NewRecipient:
    return NewRecipient(CAROL, False, **wishes)


def only(over: Over) -> Message:
    (report,) = over.reports()
    return report


def actions(over: Over) -> list[str]:
    return [block["Action"] for report in over.reports() for block in fields(report)[1:]]


# -- Who is owed what


@pytest.mark.parametrize(
    ("notify", "failed", "late", "done"),
    [
        ("", True, True, False),
        ("NEVER", False, False, False),
        ("SUCCESS", False, False, True),
        ("FAILURE", True, False, False),
        ("DELAY", False, True, False),
        ("failure, delay", True, True, False),
        ("SUCCESS,FAILURE,DELAY", True, True, True),
    ],
)
def test_notify_decides(notify: str, failed: bool, late: bool, done: bool) -> None:
    """RFC 3461 4.1: what was asked for is told, nothing else; without NOTIFY failures and delays."""
    cases: list[tuple[bool, Outcome, dict[str, Any], str]] = [
        (failed, UNKNOWN, {}, "failed"),
        (failed, GREYLISTED, {"event": "expired"}, "failed"),
        (late, GREYLISTED, {"notice": "late"}, "delayed"),
        (late, GREYLISTED, {"notice": "by"}, "delayed"),
        (False, GREYLISTED, {}, ""),
        (done, TAKEN, {}, "relayed"),
    ]
    for told, outcome, more, action in cases:
        over = Over()
        assert over.end(over.queue(carol(notify=notify)), outcome, **more) is told
        assert actions(over) == ([action] if told else [])


def test_the_next_host_takes_over_the_duty_to_report(over: Over) -> None:
    """RFC 3461 5.2.1: with DSN there, success is theirs to tell; failure to deliver to them is ours."""
    taken_over = replace(TAKEN, dsn_passed_on=True)
    assert not over.end(over.queue(carol(notify="SUCCESS")), taken_over)
    assert over.end(over.queue(carol(notify="SUCCESS,FAILURE")), UNKNOWN)


def test_a_mailbox_here_is_delivered(over: Over) -> None:
    """RFC 3461 5.2.3: placed in the mailbox means delivered, without a remote host or a diagnostic."""
    over.end(over.queue(NewRecipient(BOB, True, notify="SUCCESS", orcpt="rfc822;bob@example.test")), FILED)
    message, recipient = fields(only(over))
    assert message["Reporting-MTA"] == "dns; mail.example.test"
    assert dict(recipient.items()) == {
        "Original-Recipient": "rfc822;bob@example.test",
        "Final-Recipient": "rfc822;bob@example.test",
        "Action": "delivered",
        "Status": "2.1.5",
        "Last-Attempt-Date": "Tue, 01 Jul 2025 12:00:00 +0000",
    }
    assert only(over)["Subject"] == "Delivery Status Notification (Success)"


def test_relayed_says_who_took_it(over: Over) -> None:
    """RFC 3461 5.2.2 (b): handed to a host without DSN, the sender hears that nothing more will be told."""
    over.end(over.queue(carol(notify="SUCCESS")), TAKEN)
    recipient = fields(only(over))[1]
    assert (recipient["Action"], recipient["Status"], recipient["Remote-MTA"]) == (
        "relayed",
        "2.0.0",
        f"dns; {MX}",
    )
    assert recipient["Diagnostic-Code"] == "smtp; 250 2.0.0 queued as 1"
    assert "sends no delivery reports of its own" in words(only(over))


def test_no_report_about_a_report(over: Over) -> None:
    """The empty sender hears nothing, and what we send has the empty sender and NOTIFY=NEVER."""
    assert not over.end(over.queue(CAROL, sender=""), UNKNOWN)
    over.end(over.queue(CAROL), UNKNOWN)
    (report_id,) = over.report_ids()
    report = over.message(report_id)
    assert report is not None
    assert (report.sender, report.account, report.ret) == ("", None, "")
    assert [(each.address, each.notify) for each in over.recipients(report_id)] == [(ALICE, "NEVER")]
    assert not over.end(report_id, UNKNOWN)
    assert len(over.report_ids()) == 1


def test_what_ends_together_is_in_one_report_of_its_kind(over: Over) -> None:
    """Two failures and a delay in one attempt: one report of failures, one of delays."""
    queue_id = over.queue("a@remote.test", "b@remote.test", "c@remote.test", BOB)
    over.end(queue_id, UNKNOWN, UNKNOWN, GREYLISTED, None, notice="late")
    failed, delayed = over.reports()
    assert failed["X-Failed-Recipients"] == "a@remote.test, b@remote.test"
    assert [block["Final-Recipient"] for block in fields(failed)[1:]] == [
        "rfc822;a@remote.test",
        "rfc822;b@remote.test",
    ]
    assert [block["Final-Recipient"] for block in fields(delayed)[1:]] == ["rfc822;c@remote.test"]
    entries = [entry for entry in over.timeline(queue_id) if entry["event"] == "report"]
    assert [(entry["kind"], entry["recipients"], entry["report"]) for entry in entries] == [
        ("failed", [0, 1], over.report_ids()[0]),
        ("delayed", [2], over.report_ids()[1]),
    ]


# -- Accounts that want to hear of success


@pytest.mark.parametrize(
    ("notify", "passed_on", "told"),
    [("", False, True), ("", True, True), ("NEVER", False, False), ("FAILURE", False, False)],
)
def test_success_without_asking(over: Over, notify: str, passed_on: bool, told: bool) -> None:
    """The account's wish stands where the message says nothing; the next host was not told of it."""
    over.do(lambda transaction: directory.put_account(transaction, Account(ALICE, success_notices=True)))
    outcome = replace(TAKEN, dsn_passed_on=passed_on)
    assert over.end(over.queue(carol(notify=notify)), outcome) is told
    assert actions(over) == (["relayed"] if told else [])
    assert ("no delivery reports" in "".join(map(words, over.reports()))) is (told and not passed_on)


def test_success_is_not_told_by_default(over: Over) -> None:
    """Neither accounts without the wish nor senders without an account hear of success."""
    assert not over.end(over.queue(CAROL, BOB), TAKEN, FILED)
    assert not over.end(over.queue(CAROL, account=None), TAKEN)
    assert not over.end(over.queue(CAROL, account="gone@example.test"), TAKEN)


# -- Aliases


def test_an_alias_with_several_targets_is_expanded_once(over: Over) -> None:
    """RFC 3461 5.2.7.3 (c): one "expanded" for the address that was given, with the first that arrives."""
    team = alias("team@example.test", BOB, CAROL, "d@remote.test", notify="SUCCESS,FAILURE")
    queue_id = over.queue(*team, carol(notify="SUCCESS"))
    assert over.end(queue_id, FILED)
    assert not over.end(queue_id, None, TAKEN)
    assert over.end(queue_id, None, None, UNKNOWN)
    expanded, failed = over.reports()
    assert dict(fields(expanded)[1].items()) == {
        "Final-Recipient": "rfc822;team@example.test",
        "Action": "expanded",
        "Status": "2.0.0",
        "Last-Attempt-Date": "Tue, 01 Jul 2025 12:00:00 +0000",
    }
    assert BOB not in expanded.as_string()
    assert "team@example.test stands for" in words(expanded)
    assert fields(failed)[1]["Final-Recipient"] == "rfc822;d@remote.test"


def test_targets_that_arrive_together_are_one_expansion(over: Over) -> None:
    """Also when a next host would report: it was not asked for what the alias expands to."""
    team = alias("team@example.test", CAROL, "d@remote.test", notify="SUCCESS", orcpt="rfc822;team@old.test")
    assert over.end(over.queue(*team), replace(TAKEN, dsn_passed_on=True), TAKEN)
    (block,) = fields(only(over))[1:]
    assert (block["Action"], block["Original-Recipient"]) == ("expanded", "rfc822;team@old.test")


def test_an_alias_with_one_target_is_no_expansion(over: Over) -> None:
    """RFC 3461 5.2.7.2: its parameters go on with the message; the target is what is reported."""
    over.end(over.queue(*alias("info@example.test", CAROL, notify="SUCCESS"), BOB), TAKEN)
    block = fields(only(over))[1]
    assert (block["Action"], block["Final-Recipient"]) == ("relayed", f"rfc822;{CAROL}")
    assert block["Original-Recipient"] == "rfc822;info@example.test"


def test_success_is_not_asked_of_the_next_host_behind_an_expansion(over: Over) -> None:
    """RFC 3461 5.2.7.3 (c): all but SUCCESS goes on; an alias with one target passes everything on."""
    queue_id = over.queue(
        *alias("team@example.test", "a@remote.test", "b@remote.test", notify="success,FAILURE"),
        *alias("two@example.test", "c@remote.test", "d@remote.test", notify="SUCCESS"),
        *alias("one@example.test", "e@remote.test", notify="SUCCESS,DELAY"),
        carol(notify="SUCCESS"),
        NewRecipient("f@remote.test", False),
    )
    recipients = list(enumerate(over.recipients(queue_id)))
    assert over.see(lambda snapshot: notify_to_pass_on(snapshot, queue_id, recipients)) == dict(
        enumerate(["FAILURE", "FAILURE", "NEVER", "NEVER", "SUCCESS,DELAY", "SUCCESS", ""])
    )


# -- Time limits


def test_a_delay_names_the_true_end(over: Over) -> None:
    """Will-Retry-Until is acceptance and lifetime, whatever the time of the notice."""
    queue_id = over.queue(CAROL)
    over.now_ms += 4 * HOUR_MS
    over.end(queue_id, GREYLISTED, notice="late", lifetime_ms=2 * DAY_MS)
    message, block = fields(only(over))
    assert message["Arrival-Date"] == "Tue, 01 Jul 2025 12:00:00 +0000"
    assert block["Last-Attempt-Date"] == "Tue, 01 Jul 2025 16:00:00 +0000"
    assert block["Will-Retry-Until"] == "Thu, 03 Jul 2025 12:00:00 +0000"
    assert (block["Action"], block["Status"]) == ("delayed", "4.7.1")
    assert "tried again until Thu, 03 Jul 2025 12:00:00 +0000" in words(only(over))
    assert "Deliver-By-Date" not in message


def test_a_message_that_expired(over: Over) -> None:
    """RFC 3463: X.4.7 of class 4, because the same message might go well another time."""
    over.end(over.queue(CAROL), UNREACHABLE, event="expired")
    block = fields(only(over))[1]
    assert (block["Action"], block["Status"]) == ("failed", "4.4.7")
    assert block["Will-Retry-Until"] is None
    assert block["Diagnostic-Code"] == "x-fedaemon; connection refused"
    assert block["Remote-MTA"] == f"dns; {MX}"
    said = words(only(over))
    assert "in the time it is tried for. The reason: connection refused. What happens next" in said


@pytest.mark.parametrize("mode", ["N", "NT"])
def test_deliver_by_notify_ran_out(over: Over, mode: str) -> None:
    """RFC 2852: a delay notice with 4.4.7 that names the time that was asked for; delivery goes on."""
    queue_id = over.queue(CAROL, deliver_by_ms=NOW_MS + HOUR_MS, deliver_by_mode=mode)
    over.now_ms += HOUR_MS
    over.end(queue_id, GREYLISTED, notice="by")
    message, block = fields(only(over))
    assert message["Deliver-By-Date"] == "Tue, 01 Jul 2025 13:00:00 +0000"
    assert (block["Action"], block["Status"]) == ("delayed", "4.4.7")
    assert "until Tue, 01 Jul 2025 13:00:00 +0000, the time that was asked for." in words(only(over))
    assert "delivery is tried again until Sun, 06 Jul 2025" in words(only(over))


def test_deliver_by_return_ran_out(over: Over) -> None:
    """RFC 2852: returned with 5.4.7; the sender did not want it later."""
    queue_id = over.queue(CAROL, deliver_by_ms=NOW_MS + HOUR_MS, deliver_by_mode="R")
    over.end(queue_id, GREYLISTED, event="expired", lifetime_ms=HOUR_MS)
    block = fields(only(over))[1]
    assert (block["Action"], block["Status"]) == ("failed", "5.4.7")
    assert "the time that was asked for" in words(only(over))


@pytest.mark.parametrize(
    ("mode", "notify", "lost", "told"),
    [
        ("NT", "", False, True),
        ("RT", "FAILURE", False, True),
        ("RT", "NEVER", False, False),
        ("N", "", True, True),
        ("N", "NEVER", True, False),
        ("N", "", False, False),
        ("R", "", True, False),
        ("", "", True, False),
    ],
)
def test_deliver_by_tells_of_hops(over: Over, mode: str, notify: str, lost: bool, told: bool) -> None:
    """RFC 2852: a trace tells of each hop, and so does mode N when the next host does not know the limit."""
    deliver_by_ms = NOW_MS + HOUR_MS if mode else 0
    queue_id = over.queue(carol(notify=notify), deliver_by_ms=deliver_by_ms, deliver_by_mode=mode)
    assert over.end(queue_id, replace(TAKEN, dsn_passed_on=True), limit_lost=lost) is told
    assert actions(over) == (["relayed"] if told else [])


def test_deliver_by_is_silent_about_mailboxes_here(over: Over) -> None:
    """A trace is about relaying; a delivery is told to those who ask for it."""
    queue_id = over.queue(BOB, deliver_by_ms=NOW_MS + HOUR_MS, deliver_by_mode="NT")
    assert not over.end(queue_id, FILED)


# -- What stands in them


def test_threading_and_origin(over: Over) -> None:
    """From our mailer-daemon, an answer to the original, marked as automatic."""
    over.end(over.queue(CAROL, envid="QQ+2B1"), UNKNOWN)
    report = only(over)
    assert report["From"] == "MAILER-DAEMON (Mail Delivery System) <mailer-daemon@mail.example.test>"
    assert report["To"] == ALICE
    assert report["Auto-Submitted"] == "auto-replied"
    assert report["In-Reply-To"] == report["References"] == "<1@example.test>"
    assert report.get_param("report-type") == "delivery-status"
    assert fields(report)[0]["Original-Envelope-Id"] == "QQ+1"
    parts: Any = report.get_payload()
    assert [part.get_content_type() for part in parts] == [
        "text/plain",
        "message/delivery-status",
        "text/rfc822-headers",
    ]


def test_the_classification_speaks_to_people(over: Over) -> None:
    """Its sentence stands behind what happened, its category decides what is advised."""
    full = replace(
        UNKNOWN,
        text="mailbox full",
        code=552,
        status="5.2.2",
        category="capacity",
        explanation="The recipient's mailbox is full",
    )
    over.end(over.queue(CAROL), full, event="expired")
    said = words(only(over))
    assert (
        "in the time it is tried for. The recipient's mailbox is full. The server mx.remote.test said" in said
    )
    assert "The recipient has to make room first" in said
    assert "552 5.2.2 mailbox full" in said


@pytest.mark.parametrize(
    ("category", "advice"),
    [
        ("recipient", "Check the address"),
        ("dmarc", "mail administrator to solve"),
        ("network", "between the servers"),
        ("other", "If the address is wrong"),
        ("", "If the address is wrong"),
    ],
)
def test_advice_by_category(over: Over, category: str, advice: str) -> None:
    """Who can do something about it is told so; without a category, both ways are named."""
    over.end(over.queue(CAROL), replace(UNKNOWN, category=category))
    assert advice in words(only(over))


@pytest.mark.parametrize("phase", ["local", "dns", "site"])
def test_our_own_refusal_is_no_words_of_the_next_host(over: Over, phase: str) -> None:
    """What we decide ourselves has no remote reply in the report, although it has a code."""
    ours = Outcome(0, Result.PERMANENT, "ended by the administrator", 554, "5.3.0", phase)
    over.end(over.queue(CAROL), ours)
    block = fields(only(over))[1]
    assert (block["Remote-MTA"], block["Status"]) == (None, "5.3.0")
    assert (block["Last-Attempt-Date"] is not None) is (phase == "dns")
    assert block["Diagnostic-Code"] == "x-fedaemon; ended by the administrator"
    assert "The reason: ended by the administrator." in words(only(over))
    assert "said:" not in words(only(over))


FULL_CASES = [
    ("FULL", UNKNOWN, "", ALICE, 1000, {}, True),
    ("full", UNKNOWN, "", ALICE, FULL_OCTETS, {}, True),
    ("FULL", UNKNOWN, "", ALICE, FULL_OCTETS + 1, {}, False),
    ("HDRS", UNKNOWN, "", ALICE, 1000, {}, False),
    ("", UNKNOWN, "", ALICE, 1000, {}, False),
    ("FULL", GREYLISTED, "late", ALICE, 1000, {}, False),
    ("FULL", UNKNOWN, "", STRANGER, STRANGER_OCTETS, {}, True),
    ("FULL", UNKNOWN, "", STRANGER, STRANGER_OCTETS + 1, {}, False),
    ("FULL", UNKNOWN, "", ALICE, 1000, {"require_tls": True}, False),
]


@pytest.mark.parametrize(("ret", "outcome", "notice", "sender", "size", "more", "whole"), FULL_CASES)
def test_how_much_goes_back(
    over: Over, ret: str, outcome: Outcome, notice: str, sender: str, size: int, more: Any, whole: bool
) -> None:
    """All of it for RET=FULL, of a failure, when small; to strangers less; never of what requires TLS."""
    lines = b"0123456789" * 6 + b"\r\n"
    content = (CONTENT + lines * (size // len(lines) + 1))[: size - 2] + b"\r\n"
    assert len(content) == size
    over.end(over.queue(CAROL, sender=sender, content=content, ret=ret, **more), outcome, notice=notice)
    part: Any = only(over).get_payload(2)
    assert part.get_content_type() == ("message/rfc822" if whole else "text/rfc822-headers")
    assert ("secret" in part.as_string()) is whole
    assert "Subject: hello" in part.as_string()
    assert ("comes the original message" in words(only(over))) is whole


def test_a_report_about_what_requires_tls_requires_it(over: Over) -> None:
    """RFC 8689 5: its metadata is as confidential as the message."""
    for required in (True, False):
        over.end(over.queue(CAROL, require_tls=required), UNKNOWN)
    reports = [over.message(report_id) for report_id in over.report_ids()]
    assert [report.require_tls for report in reports if report] == [True, False]


def test_a_lost_content_is_reported_all_the_same(over: Over) -> None:
    """The sender hears of the failure although the original is gone."""
    queue_id = over.queue(CAROL, ret="FULL")
    message = over.message(queue_id)
    assert message is not None
    over.do(lambda transaction: over.blobs.release(transaction, message.blob))
    over.end(queue_id, UNKNOWN)
    assert only(over)["X-Failed-Recipients"] == CAROL


def test_a_header_is_cut_between_fields() -> None:
    """A continued line belongs to its field, also where the limit falls between."""
    block = b"A: 1\r\nB: 2\r\n more\r\nC: 3\r\n"
    assert header_block(block + b"\r\nbody", 100) == block
    assert header_block(block + b"\r\nbody", 20) == b"A: 1\r\nB: 2\r\n more\r\n"
    assert header_block(block + b"\r\nbody", 14) == b"A: 1\r\n"
    assert header_block(b"A: " + b"x" * 100, 50) == b""


GOLDEN = """\
This is the mail server mail.example.test.

Your message could not be delivered to:

  <carol@remote.test>
    You sent it to: info@example.test
    What happened: The message was refused by the mail server
    mx.remote.test for carol@remote.test. There is no such address.
    The server mx.remote.test said: 550 5.1.1 no such user
    What happens next: nothing more is tried for this recipient. Check
    the address for mistakes; if it is right, ask the recipient in
    another way.

The message this is about:
  Subject: hello
  Accepted: Tue, 01 Jul 2025 12:00:00 +0000
  Queue ID: {queue_id}

The next part repeats this for mail programs; after it comes its header.
"""


def test_the_text_as_people_see_it(over: Over) -> None:
    """What happened, what the other server said, what happens next: the whole text."""
    queue_id = over.queue(*alias("info@example.test", CAROL))
    over.end(queue_id, replace(UNKNOWN, explanation="There is no such address"))
    text: Any = only(over).get_payload(0)
    assert text.get_payload() == GOLDEN.format(queue_id=queue_id).replace("\n", "\r\n")


# -- International mail


RUSSIAN = "иван@remote.test"


def test_an_international_sender_reads_utf8(over: Over) -> None:
    """RFC 6533: global types and addresses as they are, in a message that needs SMTPUTF8."""
    over.do(lambda transaction: directory.add_account(transaction, Account("жанна@example.test")))
    content = "From: жанна@example.test\r\nSubject: Привет\r\n\r\nтело\r\n".encode()
    over.end(over.queue(RUSSIAN, sender="жанна@example.test", content=content, ret="FULL"), UNKNOWN)
    parts: Any = only(over).get_payload()
    assert [part.get_content_type() for part in parts[1:]] == [
        "message/global-delivery-status",
        "message/global",
    ]
    (report_id,) = over.report_ids()
    report = over.message(report_id)
    assert report is not None
    assert (report.smtputf8, report.body) == (True, "8BITMIME")
    assert f"Final-Recipient: utf-8;{RUSSIAN}\r\n".encode() in over.content(report_id)
    assert content in over.content(report_id)


@pytest.mark.parametrize("smtputf8", [True, False])
def test_an_ascii_sender_gets_what_it_can_read(over: Over, smtputf8: bool) -> None:
    """Whoever sent with SMTPUTF8 reads it; all others get the encoded form, in seven bits."""
    over.end(over.queue(RUSSIAN, smtputf8=smtputf8), UNKNOWN)
    (report_id,) = over.report_ids()
    octets = over.content(report_id)
    report = over.message(report_id)
    assert report is not None
    assert not report.smtputf8
    assert (report.body == "7BIT") is not smtputf8
    assert octets.isascii() is not smtputf8
    address = RUSSIAN if smtputf8 else r"\x{438}\x{432}\x{430}\x{43D}@remote.test"
    assert f"Final-Recipient: utf-8;{address}\r\n".encode() in octets
    assert f"<{RUSSIAN}>" in words(only(over))


# -- Strangers


def told(over: Over, times: int, sender: Any) -> list[bool]:
    return [over.end(over.queue(CAROL, sender=sender(n), account=None), UNKNOWN) for n in range(times)]


def test_a_stranger_hears_ten_times_a_day(over: Over) -> None:
    """Then the timeline says why there was no report; the next day (UTC) it begins anew."""
    assert told(over, 11, lambda n: STRANGER) == [True] * 10 + [False]
    queue_id = over.queue(CAROL, sender="Dave@Elsewhere.test", account=None)
    assert not over.end(queue_id, UNKNOWN)
    assert over.timeline(queue_id)[-1] == {
        "at_ms": NOW_MS,
        "event": "report",
        "recipients": [0],
        "kind": "failed",
        "why": "no report could be sent to Dave@Elsewhere.test: this address had the 10 reports that may be "
        "sent there in a day (UTC)",
    }
    assert told(over, 1, lambda n: "erin@elsewhere.test") == [True]
    over.now_ms += DAY_MS
    assert told(over, 1, lambda n: STRANGER) == [True]


def test_our_own_senders_are_not_counted(over: Over) -> None:
    """Whoever has a mailbox here hears of everything."""
    assert told(over, 15, lambda n: ALICE) == [True] * 15
    assert not any(key[0] == TOLD for key in over.engine.entries)


def test_a_domain_and_all_strangers_have_limits() -> None:
    """A flood over many addresses of a domain, or over many domains, is stopped as well."""
    limits = StrangerLimits(address=2, domain=3, all=4)
    over = Over()
    order = [
        "a@one.test",
        "a@one.test",
        "a@one.test",
        "b@one.test",
        "c@one.test",
        "a@two.test",
        "a@three.test",
    ]
    said = [
        over.do(lambda transaction, to=to: count_report(transaction, parse_address(to), NOW_MS, limits))
        for to in order
    ]
    assert [text.partition(" had ")[0] for text in said] == [
        "",
        "",
        "this address",
        "",
        "the domain one.test",
        "",
        "all senders elsewhere together",
    ]


def test_the_limits_that_hold(over: Over) -> None:
    """A hundred for a domain, a thousand in all."""
    assert sum(told(over, 110, lambda n: f"user{n}@one.test")) == 100
    assert sum(told(over, 910, lambda n: f"user@domain{n}.test")) == 900


def test_nobody_to_tell(over: Over) -> None:
    """A sender of ours that does not exist is noted; nothing is queued."""
    queue_id = over.queue(CAROL, sender="printer@example.test")
    assert not over.end(queue_id, UNKNOWN)
    assert "no report could be sent to printer@example.test: " in over.timeline(queue_id)[-1]["why"]


def test_a_report_follows_the_aliases_of_the_sender(over: Over) -> None:
    """It goes to all targets, here and elsewhere; an alias of ours is no stranger."""
    over.do(lambda transaction: directory.add_alias(transaction, "team@example.test", (BOB, CAROL)))
    over.end(over.queue("x@remote.test", sender="team@example.test"), UNKNOWN)
    (report_id,) = over.report_ids()
    assert [(each.address, each.original) for each in over.recipients(report_id)] == [
        (BOB, "team@example.test"),
        (CAROL, "team@example.test"),
    ]
    assert not any(key[0] == TOLD for key in over.engine.entries)
