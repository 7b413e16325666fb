"""Feedback reports (RFC 5965): what providers send, and what only looks like it."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedaemon.errors import BadSyntax
from fedaemon.message import feedback
from fedaemon.message.feedback import MAX_OCTETS, parse_feedback

FIELDS = (
    "Feedback-Type: abuse\r\nUser-Agent: SomeGenerator/1.0\r\nVersion: 1\r\n"
    "Original-Mail-From: <alice@example.org>\r\nOriginal-Rcpt-To: <bob@example.net>\r\n"
    "Source-IP: 192.0.2.1\r\nX-Unknown: passed over\r\n"
)
ORIGINAL = "From: alice@example.org\r\nMessage-ID: <1@example.org>\r\nSubject: buy\r\n\r\nSpam\r\n"


def report(
    fields: str = FIELDS,
    original: str = ORIGINAL,
    *,
    kind: str = 'multipart/report; report-type=feedback-report;\r\n\tboundary="b 1"',
    first: str = "Content-Type: text/plain\r\n\r\nThis is an abuse report.\r\n",
    second: str = "Content-Type: message/feedback-report\r\n\r\n",
    third: str = "Content-Type: message/rfc822\r\nContent-Disposition: inline\r\n\r\n",
    end: str = "\r\n--b 1--\r\n",
) -> bytes:
    """Return a report as providers write it."""
    header = f"From: fbl@example.net\r\nSubject: FW: buy\r\nMIME-Version: 1.0\r\nContent-Type: {kind}\r\n"
    parts = f"\r\n--b 1\r\n{first}\r\n--b 1\r\n{second}{fields}\r\n--b 1\r\n{third}{original}{end}"
    return f"{header}\r\nfor people\r\n{parts}".encode()


def test_a_report() -> None:
    """Type, reporter, recipient, and the header of the message complained about."""
    found = parse_feedback(report())
    assert (found.kind, found.reporter) == ("abuse", "SomeGenerator/1.0")
    assert found.recipients == ("bob@example.net",)
    assert [field.value for field in found.header.get_all(b"message-id")] == [b"<1@example.org>"]


@pytest.mark.parametrize("kind", feedback.ORIGINAL_TYPES)
def test_the_original_or_its_header(kind: str) -> None:
    """RFC 5965 2 (d): either will do; the header alone may end with or without an empty line."""
    third = f"Content-Type: {kind}\r\n\r\n"
    for original in (ORIGINAL, ORIGINAL.partition("\r\n\r\n")[0], "Message-ID: <1@example.org>\r\n\r\n"):
        found = parse_feedback(report(original=original, third=third))
        assert found.header.get_all(b"message-id")[0].value == b"<1@example.org>"


def test_spelling_does_not_matter() -> None:
    """Names, types and parameters in any case, parameters quoted or not, blanks behind a boundary."""
    data = report(
        FIELDS.replace("abuse", "Abuse").replace("Version: 1", "VERSION: 0.1"),
        kind='Multipart/Report; BOUNDARY=b; Report-Type="feedback\\-report"',
        second="content-type: MESSAGE/FEEDBACK-REPORT\r\ncontent-transfer-encoding: 7BIT\r\n\r\n",
    ).replace(b"--b 1", b"--b")
    assert parse_feedback(data.replace(b"--b\r\n", b"--b \t\r\n")).kind == "abuse"


def test_several_or_no_recipients() -> None:
    """Some providers hide the recipient; a report may name several, but not any number."""
    assert parse_feedback(report(FIELDS.replace("Original-Rcpt-To", "X-Hidden"))).recipients == ()
    many = "".join(f"Original-Rcpt-To: {number}@example.net\r\n" for number in range(50))
    assert parse_feedback(report(FIELDS + many)).recipients[:2] == ("bob@example.net", "0@example.net")
    assert len(parse_feedback(report(FIELDS + many)).recipients) == feedback.MAX_RECIPIENTS


def test_a_large_original_is_cut_off() -> None:
    """What counts stands at the beginning; the closing boundary need not be there."""
    data = report(original=ORIGINAL + "x" * 2 * MAX_OCTETS, end="")
    assert parse_feedback(data) is not None
    assert parse_feedback(data[:MAX_OCTETS]).kind == "abuse"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"Subject: hello\r\n\r\nI do not like your mail\r\n",
        report(kind='multipart/mixed; boundary="b 1"'),
        report(kind='multipart/report; report-type=delivery-status; boundary="b 1"'),
        report(kind="multipart/report; report-type=feedback-report"),
        report(kind='multipart/report; report-type=feedback-report; boundary=""'),
        report(kind='multipart/report; report-type=feedback-report; boundary="c"'),
        report(
            kind='multipart/report; report-type=feedback-report; boundary="b 1"\r\nContent-Type: text/plain'
        ),
        report(kind="nonsense"),
        report(second="Content-Type: text/plain\r\n\r\n"),
        report(second="Content-Type: message/feedback-report\r\nContent-Transfer-Encoding: base64\r\n\r\n"),
        report(second="\r\n"),
        report(third="Content-Type: application/octet-stream\r\n\r\n"),
        report(third="Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\n"),
        report(FIELDS.replace("Feedback-Type", "X-Type")),
        report(FIELDS + "Feedback-Type: not-spam\r\n"),
        report(FIELDS.replace("User-Agent", "X-Agent")),
        report(FIELDS.replace("Version: 1", "Version: 2")),
        report(FIELDS + "no field\r\n"),
        report(original="\r\n--b 1 and more\r\n"),
        report(original="no header\r\nat all"),
    ],
)
def test_what_is_no_report(data: bytes) -> None:
    """Each is refused as such, and with nothing else."""
    with pytest.raises(BadSyntax):
        parse_feedback(data)


def test_a_report_in_the_last_part_is_not_found() -> None:
    """The order of the parts is fixed: a report that somebody forwards is no report."""
    inner = report().decode().replace("b 1", "inner")
    with pytest.raises(BadSyntax):
        parse_feedback(report(first=inner, fields="", second="Content-Type: text/plain\r\n\r\n"))


@given(st.binary(), st.integers(0, 1200), st.integers(0, 60))
def test_garbage_raises_only_bad_syntax(garbage: bytes, place: int, length: int) -> None:
    """Also in the middle of a good report."""
    good = report()
    for data in (garbage, good[:place] + garbage + good[place + length :]):
        with suppress(BadSyntax):
            assert parse_feedback(data).header.to_bytes() is not None


@pytest.mark.parametrize(
    "unit",
    [b";a=b", b';a="\\x"', b' ;a="', b"\\", b";", b"a/", b"\r\n--b 1", b"\r\n--b 1\r\n\r\n", b"\r\n\r\n"],
)
def test_hostile_sizes_end(unit: bytes) -> None:
    """Nothing is tried over and over: this test would not end."""
    many = unit * (MAX_OCTETS // len(unit))
    for before in (b"Content-Type: multipart/report", report(end=""), report()[:120]):
        with suppress(BadSyntax):
            assert len(parse_feedback(before + many).recipients) <= feedback.MAX_RECIPIENTS
