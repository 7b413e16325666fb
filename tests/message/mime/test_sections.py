"""What FETCH cuts out of a message."""

from __future__ import annotations

import base64
import quopri
from email.message import Message

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedaemon.message.mime.sections import decoded, find_part, header_fields, section_range
from fedaemon.message.mime.shape import read_shape
from tests.message.mime.mails import broken, well_formed
from tests.message.mime.test_properties import octets_of, sections
from tests.message.strategies import mail_like_octets

PREFIX = b"Return-Path: <>\r\n"
ENCLOSED = b"Subject: in\r\n\r\ninner"
FORWARD = b"Content-Type: message/rfc822\r\n\r\n"
MIXED = b"Content-Type: multipart/mixed; boundary=a\r\n\r\n"
TREE = MIXED + b"--a\r\nX: y\r\n\r\none\r\n--a\r\n" + FORWARD + ENCLOSED + b"\r\n--a--\r\n"


def cut(message: bytes, section: tuple[int, ...], text: str) -> bytes | None:
    place = section_range(read_shape([message]).parts, section, text, len(PREFIX))
    return None if place is None else (PREFIX + message)[slice(*place)]


@pytest.mark.parametrize(
    ("section", "text", "expected"),
    [
        ((), "", PREFIX + TREE),
        ((), "HEADER", PREFIX + MIXED),
        ((), "TEXT", TREE[len(MIXED) :]),
        ((), "MIME", None),
        ((1,), "", b"one"),
        ((1,), "MIME", b"X: y\r\n\r\n"),
        ((1,), "HEADER", None),
        ((1,), "TEXT", None),
        ((1, 1), "", None),
        ((2,), "", ENCLOSED),
        ((2,), "MIME", FORWARD),
        ((2,), "HEADER", b"Subject: in\r\n\r\n"),
        ((2,), "TEXT", b"inner"),
        ((2, 1), "", b"inner"),
        ((2, 1), "MIME", b"Subject: in\r\n\r\n"),
        ((2, 1), "TEXT", None),
        ((3,), "", None),
    ],
)
def test_sections(section: tuple[int, ...], text: str, expected: bytes | None) -> None:
    """The example tree of RFC 9051 6.4.5.1 in small, behind a prefix."""
    assert cut(TREE, section, text) == expected


def test_part_1_of_a_plain_message_has_its_header() -> None:
    """The prefix belongs to it."""
    assert cut(b"Subject: x\r\n\r\nbody", (1,), "MIME") == PREFIX + b"Subject: x\r\n\r\n"
    assert cut(b"Subject: x\r\n\r\nbody", (1,), "") == b"body"


@given(well_formed)
def test_ranges_agree_with_the_email_package(message: Message) -> None:
    """Every part's body, and of enclosed messages header and text, against another reader."""
    data = octets_of(message)
    for section, expected in sections(message).items():
        if expected.get_content_maintype() not in ("multipart", "message"):
            assert cut(data, section, "") == str(expected.get_payload()).encode()
        header, text = cut(data, section, "HEADER"), cut(data, section, "TEXT")
        assert (header is not None) is (text is not None) is (expected.get_content_type() == "message/rfc822")
        if header is not None and text is not None:
            assert header + text == cut(data, section, "")
            assert header.endswith(b"\r\n\r\n") and b"\r\n\r\n" not in header[:-1]


@given(st.one_of(broken, mail_like_octets))
def test_any_octets_are_header_and_text(message: bytes) -> None:
    """The two make the whole, and every range lies within it."""
    parts = read_shape([message]).parts
    assert (cut(message, (), "HEADER") or b"") + (cut(message, (), "TEXT") or b"") == PREFIX + message
    for part in parts:
        assert find_part(parts, part.section) == part
        for text in ("", "HEADER", "TEXT", "MIME"):
            start, end = section_range(parts, part.section, text, len(PREFIX)) or (0, 0)
            assert 0 <= start <= end <= len(PREFIX + message)


HEADER = b"A: 1\r\nB : 2\r\n\tfolded\r\na: 3\r\nno field\r\n\r\n"


@pytest.mark.parametrize(
    ("header", "names", "exclude", "expected"),
    [
        (HEADER, [b"a"], False, b"A: 1\r\na: 3\r\n\r\n"),
        (HEADER, [b"B", b"no field"], False, b"B : 2\r\n\tfolded\r\n\r\n"),
        (HEADER, [b"A"], True, b"B : 2\r\n\tfolded\r\nno field\r\n\r\n"),
        (HEADER, [b"C"], False, b"\r\n"),
        (b"A: 1\nB: 2\n\nA: body\n", [b"A"], False, b"A: 1\n\r\n"),
        (b"B: 1\r\nA: cut off", [b"a"], False, b"A: cut off"),
        (b"B: 1\r\nA", [b"a"], False, b""),
        (b"B: 1\r\nA", [b"a"], True, b"B: 1\r\nA"),
        (b"B: 1\r\nA: 2\r\n", [b"a"], True, b"B: 1\r\n"),
        (b"\r\n", [b"a"], False, b"\r\n"),
        (b"", [b"a"], True, b""),
    ],
)
def test_header_fields(header: bytes, names: list[bytes], exclude: bool, expected: bytes) -> None:
    """As they stand, folds and all, in their order, with the empty line if there is one (RFC 9051 6.4.5.1)."""
    assert header_fields(header, names, exclude=exclude) == expected


def test_names_in_any_case_and_order() -> None:
    """Each set of names is its own, however often another was asked for."""
    for names, expected in (
        ([b"a", b"B"], b"A: 1\r\nB : 2\r\n\tfolded\r\na: 3\r\n\r\n"),
        ([b"b", b"A"], b"A: 1\r\nB : 2\r\n\tfolded\r\na: 3\r\n\r\n"),
        ([b"B"], b"B : 2\r\n\tfolded\r\n\r\n"),
        ([], b"\r\n"),
    ):
        assert header_fields(HEADER, names, exclude=False) == expected


@given(st.lists(st.sampled_from([b"A: 1\r\n", b"B: 2\r\n 3\r\n", b"a:\r\n", b"junk\r\n"])), st.booleans())
def test_each_field_is_wanted_or_not(fields: list[bytes], exclude: bool) -> None:
    """Against filtering the list that the header is made of."""
    kept = [field for field in fields if field.lower().startswith(b"a:") is not exclude]
    assert header_fields(b"".join(fields) + b"\r\n", [b"A"], exclude=exclude) == b"".join(kept) + b"\r\n"


@pytest.mark.parametrize(
    ("data", "encoding", "expected"),
    [
        (b"a=\r\n", "7bit", b"a=\r\n"),
        (b"\xff", "8BIT", b"\xff"),
        (b"\0", "binary", b"\0"),
        (b"SGVs\r\n bG8", "base64", b"Hello"),
        (b"SGVsb", "BASE64", b"Hel"),
        (b"a=3D=\r\nb=ZZ", "quoted-printable", b"a=b=ZZ"),
        (b"x", "x-uuencode", None),
    ],
)
def test_transfer_encodings(data: bytes, encoding: str, expected: bytes | None) -> None:
    """RFC 2045 6; damaged ones are read as far as they go, unknown ones not at all (RFC 3516 4.3)."""
    assert decoded(data, encoding) == expected


@given(st.binary(max_size=300))
def test_what_was_encoded_comes_back_and_garbage_raises_nothing(data: bytes) -> None:
    """Against the encoders of the standard library."""
    assert decoded(base64.encodebytes(data), "base64") == data
    assert decoded(quopri.encodestring(data), "quoted-printable") == data
    assert len(decoded(data, "base64") or b"") <= len(data)
    assert len(decoded(data, "quoted-printable") or b"") <= len(data)
