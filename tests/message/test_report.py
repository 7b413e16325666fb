"""Reports: parsed back with Python's email package, field by field and part by part."""

from __future__ import annotations

import re
from base64 import b64decode
from dataclasses import replace
from email import message_from_bytes, policy
from email.message import EmailMessage
from quopri import decodestring

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedaemon.message.date import parse_date
from fedaemon.message.header import Header, split_message
from fedaemon.message.mailboxes import parse_mailboxes
from fedaemon.message.message_id import is_message_id
from fedaemon.message.report import Report, ReportedRecipient, write_report
from tests.message.strategies import mail_like, mail_like_octets

NOW = 1_751_371_200.0
ORIGINAL_HEADER = (
    b"Received: from x\r\n\tby y; Tue, 01 Jul 2025 11:00:00 +0000\r\nFrom: alice@example.org\r\n"
    b"Subject: =?utf-8?q?Quarterly_figures?=\r\nMessage-ID: <original@example.org>\r\n"
)
FAILED = ReportedRecipient(
    address="bob@example.net",
    action="failed",
    status="5.1.1",
    original="rfc822;bob+2Bx@example.net",
    remote_host="mx1.example.net",
    reply="550 5.1.1 <bob@example.net>: Recipient address rejected: User unknown in virtual mailbox table",
    explanation="The server of example.net refused this recipient.",
    last_attempt_s=NOW - 60,
)
DELAYED = ReportedRecipient(
    address="carol@example.com",
    action="delayed",
    status="4.4.1",
    explanation="No server of example.com could be reached.",
    last_attempt_s=NOW - 120,
    will_retry_until_s=NOW + 432_000,
)
DELIVERED = ReportedRecipient(address="dave@example.org", action="delivered", status="2.0.0")
REPORT = Report(
    reporting_host="mail.example.org",
    to="alice@example.org",
    queue_id="01ABCDEF",
    arrival_s=NOW - 3600,
    envelope_id="QQ314+2B159",
    recipients=(FAILED,),
    original_header=ORIGINAL_HEADER,
    original=None,
    now_s=NOW,
)


def parsed(report: Report) -> tuple[EmailMessage, list[EmailMessage]]:
    """The message and its three parts, after checking what holds for every report."""
    octets = write_report(report)
    assert not re.search(rb"\0|\r(?!\n)|(?<!\r)\n", octets)
    assert max(map(len, octets.split(b"\r\n"))) <= 998
    assert octets.endswith(b"--\r\n")
    header, _ = split_message(octets)
    assert header.isascii() or not report.to.isascii()
    Header.parse(header, max_octets=100_000, max_fields=100)
    message = message_from_bytes(octets, policy=policy.default)
    assert isinstance(message, EmailMessage)
    assert not message.defects
    assert message.get_content_type() == "multipart/report"
    assert message.get_param("report-type") == "delivery-status"
    assert message["Content-Transfer-Encoding"] == ("7bit" if octets.isascii() else "8bit")
    parts = list(message.iter_parts())
    assert len(parts) == 3
    return message, [part for part in parts if isinstance(part, EmailMessage)]


def part_body(report_octets: bytes, number: int) -> tuple[Header, bytes]:
    """The header and the content of a part, as octets, cut out at the boundary."""
    boundary = re.search(rb'boundary="([^"]+)"', report_octets)
    assert boundary is not None
    part = report_octets.split(b"--" + boundary[1])[number + 1].removeprefix(b"\r\n").removesuffix(b"\r\n")
    header, body = split_message(part)
    return Header.parse(header, max_octets=10_000, max_fields=10), body


def status_blocks(report: Report) -> list[dict[str, str]]:
    """The fields of part 2, one dictionary for the message and one for each recipient."""
    header, body = part_body(write_report(report), 1)
    assert header.get_all(b"Content-Transfer-Encoding")[0].value in (b"7bit", b"8bit")
    blocks = []
    for block in body.removesuffix(b"\r\n").split(b"\r\n\r\n"):
        fields = Header.parse(block.removesuffix(b"\r\n") + b"\r\n", max_octets=100_000, max_fields=20).fields
        blocks.append({field.name.decode(): field.value.decode() for field in fields})
        assert len(blocks[-1]) == len(fields)
    return blocks


def test_the_header_of_a_failure() -> None:
    """Every field, from whom to which message it answers (RFC 3464 2, RFC 3834 5)."""
    message, _ = parsed(REPORT)
    header, _ = split_message(write_report(REPORT))
    assert header.startswith(
        b"From: MAILER-DAEMON (Mail Delivery System) <mailer-daemon@mail.example.org>\r\n"
    )
    (sender,) = parse_mailboxes(header.splitlines()[0].removeprefix(b"From: "))
    assert (sender.display_name, str(sender.address)) == ("MAILER-DAEMON", "mailer-daemon@mail.example.org")
    assert message["To"] == "alice@example.org"
    assert message["Subject"] == "Delivery Status Notification (Failure)"
    assert parse_date(message["Date"].encode()) == NOW
    assert is_message_id(message["Message-ID"].encode())
    assert message["Auto-Submitted"] == "auto-replied"
    assert message["X-Failed-Recipients"] == "bob@example.net"
    assert message["In-Reply-To"] == message["References"] == "<original@example.org>"
    assert message["MIME-Version"] == "1.0"


def test_the_text_says_what_happened_and_what_happens_next() -> None:
    """A person finds the address, the reason, the other server's words, and what to do."""
    _, (text, _, _) = parsed(replace(REPORT, recipients=(FAILED, DELAYED)))
    assert text.get_content_type() == "text/plain"
    words = " ".join(text.get_content().split())
    for expected in (
        "mail server mail.example.org",
        "could not be delivered to: <bob@example.net>",
        "You sent it to: bob+x@example.net",
        "What happened: The server of example.net refused this recipient.",
        f"The server mx1.example.net said: {FAILED.reply}",
        "nothing more is tried",
        "not been delivered yet to: <carol@example.com>",
        "tried again until Sun, 06 Jul 2025 12:00:00 +0000",
        "need not send the message again",
        "Subject: Quarterly figures",
        "Queue ID: 01ABCDEF",
    ):
        assert expected in words


def test_the_status_fields_of_a_failure() -> None:
    """Part 2, exactly (RFC 3464 2.2, 2.3): xtext is decoded, the reply is unfolded to what it was."""
    assert status_blocks(REPORT) == [
        {
            "Reporting-MTA": "dns; mail.example.org",
            "Original-Envelope-Id": "QQ314+159",
            "X-Queue-ID": "01ABCDEF",
            "Arrival-Date": "Tue, 01 Jul 2025 11:00:00 +0000",
        },
        {
            "Original-Recipient": "rfc822;bob+x@example.net",
            "Final-Recipient": "rfc822;bob@example.net",
            "Action": "failed",
            "Status": "5.1.1",
            "Remote-MTA": "dns; mx1.example.net",
            "Diagnostic-Code": f"smtp; {FAILED.reply}",
            "Last-Attempt-Date": "Tue, 01 Jul 2025 11:59:00 +0000",
        },
    ]


def test_python_reads_the_status_blocks() -> None:
    """message/delivery-status has a parser of its own in the email package: one block for each recipient."""
    _, (_, status, _) = parsed(replace(REPORT, recipients=(FAILED, DELAYED, DELIVERED)))
    assert status.get_content_type() == "message/delivery-status"
    blocks = status.get_payload()
    assert isinstance(blocks, list)
    assert [str(block["Action"]) for block in blocks[1:] if isinstance(block, EmailMessage)] == [
        "failed",
        "delayed",
        "delivered",
    ]


def test_a_delay_tells_until_when() -> None:
    """Will-Retry-Until belongs to a delay only; without a reply there is no Remote-MTA and no diagnostic."""
    message, _ = parsed(replace(REPORT, recipients=(DELAYED,), envelope_id=""))
    assert message["Subject"] == "Delivery Status Notification (Delayed)"
    assert message["X-Failed-Recipients"] is None
    per_message, recipient = status_blocks(replace(REPORT, recipients=(DELAYED,), envelope_id=""))
    assert "Original-Envelope-Id" not in per_message
    assert recipient == {
        "Final-Recipient": "rfc822;carol@example.com",
        "Action": "delayed",
        "Status": "4.4.1",
        "Last-Attempt-Date": "Tue, 01 Jul 2025 11:58:00 +0000",
        "Will-Retry-Until": "Sun, 06 Jul 2025 12:00:00 +0000",
    }
    assert (
        "Will-Retry-Until"
        not in status_blocks(replace(REPORT, recipients=(replace(FAILED, will_retry_until_s=NOW),)))[1]
    )


@pytest.mark.parametrize(
    ("recipients", "kind"),
    [
        ((DELIVERED,), "Success"),
        ((replace(DELIVERED, action="relayed"),), "Success"),
        ((replace(DELIVERED, action="expanded"),), "Success"),
        ((DELIVERED, DELAYED), "Delayed"),
        ((DELIVERED, DELAYED, FAILED), "Failure"),
    ],
)
def test_the_subject_tells_the_worst(recipients: tuple[ReportedRecipient, ...], kind: str) -> None:
    """One failure makes it a failure; every recipient is in the text."""
    message, (text, _, _) = parsed(replace(REPORT, recipients=recipients))
    assert message["Subject"] == f"Delivery Status Notification ({kind})"
    assert all(f"<{recipient.address}>" in text.get_content() for recipient in recipients)


@pytest.mark.parametrize(
    ("action", "status"), [("failed", "5.0.0"), ("delayed", "4.0.0"), ("relayed", "2.0.0")]
)
def test_a_missing_status_is_the_general_one(action: str, status: str) -> None:
    """RFC 3464 2.3.4: Status is not optional."""
    report = replace(REPORT, recipients=(replace(FAILED, action=action, status="garbage"),))
    assert status_blocks(report)[1]["Status"] == status


def test_a_failure_that_is_no_smtp_reply_has_another_type() -> None:
    """RFC 3464 2.3.6: smtp promises a reply code at the beginning."""
    report = replace(REPORT, recipients=(replace(FAILED, reply="connection timed out"),))
    assert status_blocks(report)[1]["Diagnostic-Code"] == "x-fedaemon; connection timed out"


def test_the_header_goes_back_as_it_was() -> None:
    """Without RET=FULL part 3 is the header block, octet for octet."""
    header, body = part_body(write_report(REPORT), 2)
    assert header.get_all(b"Content-Type")[0].value == b"text/rfc822-headers"
    assert body == ORIGINAL_HEADER


def test_the_whole_message_goes_back_as_it_was() -> None:
    """RET=FULL: message/rfc822 with exactly the octets, also 8-bit ones and lines like a boundary."""
    original = ORIGINAL_HEADER + b"\r\n--report-\r\nGr\xc3\xbc\xdfe\r\n.\r\n\r\n"
    report = replace(REPORT, original=original)
    parsed(report)
    header, body = part_body(write_report(report), 2)
    assert header.get_all(b"Content-Type")[0].value == b"message/rfc822"
    assert header.get_all(b"Content-Transfer-Encoding")[0].value == b"8bit"
    assert body == original


@pytest.mark.parametrize("body", [b"x" * 999, b"x\ny", b"x\0"])
def test_a_message_that_cannot_travel_goes_back_as_its_header(body: bytes) -> None:
    """Lines longer than 998 octets cannot be encoded inside message/rfc822."""
    report = replace(REPORT, original=ORIGINAL_HEADER + b"\r\n" + body)
    parsed(report)
    assert part_body(write_report(report), 2)[1] == ORIGINAL_HEADER


@pytest.mark.parametrize(
    ("header", "media_type"),
    [
        (b"Subject: Gr\xc3\xbc\xc3\x9fe = x \r\n", b"message/global-headers"),
        (b"Subject: Gr\xfc\xdfe\r\n", b"text/rfc822-headers"),
        (b"Subject: " + b"x" * 2000 + b"\r\n", b"text/rfc822-headers"),
    ],
)
def test_a_header_that_is_not_seven_bit_is_encoded(header: bytes, media_type: bytes) -> None:
    """To an ASCII sender the report stays 7-bit: quoted-printable, which gives every octet back."""
    report = replace(REPORT, original_header=header)
    octets = write_report(report)
    parsed(report)
    assert octets.isascii()
    part, body = part_body(octets, 2)
    assert part.get_all(b"Content-Type")[0].value == media_type
    assert part.get_all(b"Content-Transfer-Encoding")[0].value == b"quoted-printable"
    assert decodestring(body) == header


@given(st.one_of(mail_like_octets, st.binary(max_size=300)))
def test_an_encoded_header_gives_every_octet_back(header: bytes) -> None:
    """Also bare CR and LF, NUL and white space at the end of lines, which our own queue never has."""
    part, body = part_body(write_report(replace(REPORT, original_header=header)), 2)
    quoted = part.get_all(b"Content-Transfer-Encoding")[0].value == b"quoted-printable"
    assert (decodestring(body) if quoted else body) == header


def test_international_addresses() -> None:
    """RFC 6533: address type utf-8, message/global types, 8-bit; the header is UTF-8 as the address is."""
    header = "From: жанна@example.org\r\nSubject: Привет\r\n".encode()
    recipient = replace(FAILED, address="иван@example.net", original="utf-8;\\x{438}@example.net")
    report = replace(REPORT, to="жанна@example.org", recipients=(recipient,), original_header=header)
    message, (text, status, _) = parsed(report)
    assert message["To"] == "жанна@example.org"
    assert message["X-Failed-Recipients"] == "иван@example.net"
    assert "<иван@example.net>" in text.get_content()
    assert "Subject: Привет" in text.get_content()
    assert status.get_content_type() == "message/global-delivery-status"
    fields = status_blocks(report)[1]
    assert fields["Final-Recipient"] == "utf-8;иван@example.net"
    assert fields["Original-Recipient"] == "utf-8;и@example.net"
    part, body = part_body(write_report(report), 2)
    assert part.get_all(b"Content-Type")[0].value == b"message/global-headers"
    assert body == header
    original = header + b"\r\nbody\r\n"
    part, body = part_body(write_report(replace(report, original=original)), 2)
    assert part.get_all(b"Content-Type")[0].value == b"message/global"
    assert body == original


@pytest.mark.parametrize("smtputf8", [True, False])
def test_an_ascii_sender_gets_an_ascii_header(smtputf8: bool) -> None:
    """The report needs no SMTPUTF8; part 2 is international for those who are known to read that."""
    foreign = replace(FAILED, address="иван@example.net", original="utf-8;\\x{438}@example.net")
    report = replace(REPORT, recipients=(foreign, FAILED), smtputf8=smtputf8)
    message, (_, status, _) = parsed(report)
    assert message["X-Failed-Recipients"] == "bob@example.net"
    fields = status_blocks(report)[1]
    if smtputf8:
        assert status.get_content_type() == "message/global-delivery-status"
        assert fields["Final-Recipient"] == "utf-8;иван@example.net"
        assert fields["Original-Recipient"] == "utf-8;и@example.net"
    else:
        assert status.get_content_type() == "message/delivery-status"
        assert write_report(report).isascii()
        assert fields["Final-Recipient"] == r"utf-8;\x{438}\x{432}\x{430}\x{43D}@example.net"
        assert fields["Original-Recipient"] == r"utf-8;\x{438}@example.net"


def test_an_encoded_address_can_be_read_back() -> None:
    """RFC 6533 3: what would look like an encoding in the encoded form is encoded itself."""
    report = replace(REPORT, recipients=(replace(FAILED, address=r"и\x{41}+=@example.net"),))
    value = status_blocks(report)[1]["Final-Recipient"]
    assert value == r"utf-8;\x{438}\x{5C}x{41}\x{2B}\x{3D}@example.net"


def test_an_international_original_for_a_sender_of_ascii_mail() -> None:
    """message/global may be encoded, message/rfc822 may not (RFC 6532 3.7): base64 brings it through."""
    original = "Subject: Привет\r\n\r\nтело\r\n".encode() * 9
    report = replace(REPORT, original=original)
    octets = write_report(report)
    assert octets.isascii()
    parsed(report)
    part, body = part_body(octets, 2)
    assert part.get_all(b"Content-Type")[0].value == b"message/global"
    assert part.get_all(b"Content-Transfer-Encoding")[0].value == b"base64"
    assert b64decode(body) == original
    assert max(map(len, body.split(b"\r\n"))) == 76


def test_the_time_of_deliver_by_is_told() -> None:
    """RFC 2852: a field of the message, only when there is such a time."""
    assert status_blocks(replace(REPORT, deliver_by_s=NOW))[0]["Deliver-By-Date"] == (
        "Tue, 01 Jul 2025 12:00:00 +0000"
    )
    assert "Deliver-By-Date" not in status_blocks(REPORT)[0]


def test_a_failure_without_a_reply() -> None:
    """Programs get it as a diagnostic of our own type, even if it looks like a reply; people do not see it."""
    failure = replace(FAILED, reply="", failure="450 hosts tried")
    report = replace(REPORT, recipients=(failure,))
    _, (text, _, _) = parsed(report)
    assert status_blocks(report)[1]["Diagnostic-Code"] == "x-fedaemon; 450 hosts tried"
    assert "450 hosts" not in text.get_content()


def test_the_text_names_what_is_enclosed() -> None:
    """The whole message, its header, or the header because the message could not travel."""
    original = ORIGINAL_HEADER + b"\r\n"
    for enclosed, named in (
        (original, "comes the original message"),
        (None, "comes its header"),
        (original + b"x" * 999, "comes its header"),
    ):
        _, (text, _, _) = parsed(replace(REPORT, original=enclosed))
        assert named in " ".join(text.get_content().split())


def test_a_foreign_reply_beyond_ascii_keeps_the_report_seven_bit() -> None:
    """In an ASCII part 2 other characters are written as \\x{HEX}; the text for people has them."""
    report = replace(REPORT, recipients=(replace(FAILED, reply="550 Нет"),))
    _, (text, status, _) = parsed(report)
    assert "550 Нет" in text.get_content()
    assert status.get_content_type() == "message/delivery-status"
    assert status_blocks(report)[1]["Diagnostic-Code"] == "smtp; 550 \\x{41D}\\x{435}\\x{442}"


def test_a_report_needs_recipients_and_known_actions() -> None:
    """Anything else is a bug of the caller, not a report."""
    for recipients in ((), (replace(FAILED, action="lost"),)):
        with pytest.raises(ValueError, match="not actions of a report"):
            write_report(replace(REPORT, recipients=recipients))


hostile = mail_like
recipients = st.builds(
    ReportedRecipient,
    address=hostile,
    action=st.sampled_from(["failed", "delayed", "delivered", "relayed", "expanded"]),
    status=hostile,
    original=st.one_of(
        hostile, hostile.map(lambda text: "rfc822;" + text), hostile.map(lambda text: "utf-8;" + text)
    ),
    remote_host=hostile,
    reply=st.one_of(hostile, hostile.map(lambda text: "550 " + text * 100)),
    failure=hostile,
    category=st.sampled_from(["", "capacity", "policy", "other"]),
    explanation=st.one_of(hostile, hostile.map(lambda text: text * 100)),
)


@settings(max_examples=60)
@given(
    st.lists(recipients, min_size=1, max_size=3),
    hostile,
    mail_like_octets,
    st.one_of(st.none(), mail_like_octets.map(lambda octets: octets * 50)),
)
def test_nothing_remote_can_break_the_report(
    found: list[ReportedRecipient], to: str, header: bytes, original: bytes | None
) -> None:
    """Whatever the other server said and the message holds, the structure and the lines stay whole."""
    report = replace(REPORT, to=to or "x", recipients=tuple(found), original_header=header, original=original)
    parsed(report)
    assert len(status_blocks(report)) == len(found) + 1
