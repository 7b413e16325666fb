"""Header blocks: read strictly, kept byte for byte, edited without anything getting in between the lines."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedaemon.errors import BadSyntax
from fedaemon.message.header import FOLD_OCTETS, Header, end_of_header, split_message, write_field
from tests.message.strategies import mail_like, mail_like_octets

BLOCK = (
    b"Received: from a (b [192.0.2.1])\r\n\tby c with ESMTP;\r\n Tue, 01 Jul 2025 10:00:00 +0000\r\n"
    b"FROM : Alice\r\n   <alice@example.org>\r\n"
    b"Subject:Gr\xc3\xbc\xdfe\r\n"
    b"X-Empty:\r\n"
    b"X-Blank: \r\n \t\r\n"
    b"received: again\r\n"
)


def parse(data: bytes) -> Header:
    return Header.parse(data, max_octets=100_000, max_fields=1_000)


def test_a_block_is_read_and_kept() -> None:
    """Names, raw octets and unfolded values of the fields; together they are the block again."""
    header = parse(BLOCK)
    assert [field.name for field in header.fields] == [
        b"Received",
        b"FROM",
        b"Subject",
        b"X-Empty",
        b"X-Blank",
        b"received",
    ]
    assert header.fields[0].value == (
        b"from a (b [192.0.2.1])\tby c with ESMTP; Tue, 01 Jul 2025 10:00:00 +0000"
    )
    assert header.fields[1].key == b"from"
    assert header.fields[1].value == b"Alice   <alice@example.org>"
    assert header.fields[2].value == b"Gr\xc3\xbc\xdfe"
    assert [header.fields[3].value, header.fields[4].value] == [b"", b""]
    assert header.to_bytes() == BLOCK


def test_fields_are_found_whatever_their_case() -> None:
    """Names are compared without case and without the white space before their colon (RFC 5322 4.5)."""
    header = parse(BLOCK)
    assert [field.value[:5] for field in header.get_all(b"RECEIVED")] == [b"from ", b"again"]
    assert len(header.get_all(b"from")) == 1
    assert header.get_all(b"To") == []


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (b"no colon\r\n", 1),
        (b" leading: white space\r\n", 1),
        (b"\tA: tab\r\n", 1),
        (b": no name\r\n", 1),
        (b"A: b\r\nFrom alice Tue Jul  1 10:00:00 2025\r\n", 2),
        (b"A: b\r\n c\r\nna me: x\r\n", 3),
        (b"A: b\r\nna\xc3\xbcme: x\r\n", 2),
        (b"A: b\r\nna\x01me: x\r\n", 2),
        (b"A: b\r\nB\x00: x\r\n", 2),
        (b"A: b\x00\r\n", 1),
        (b"A: b\r\n c\x00\r\nB: x\r\n", 2),
        (b"A: b\nFrom: x\r\n", 1),
        (b"A: b\rFrom: x\r\n", 1),
        (b"A: b\r\n\rc: d\r\n", 2),
        (b"A: b\r\n\r\nC: d\r\n", 2),
        (b"A: b\r\n\nC: d\r\n", 2),
        (b"A: b", 1),
        (b"A: b\r\nB: c\n", 2),
        (b"A: b\r\n c", 2),
        (b"\r\n", 1),
        (b"A: b\r\n.\r\n", 2),
    ],
)
def test_a_line_that_is_no_field_is_refused(data: bytes, line: int) -> None:
    """The error names the line, so that whoever wrote the message can find it."""
    with pytest.raises(BadSyntax, match=rf"^line {line} of the header ") as caught:
        parse(data)
    assert (caught.value.code, caught.value.status) == (554, "5.6.0")


def test_limits_are_kept() -> None:
    """A block of exactly the limits is read, one octet or field more is refused as too big."""
    assert len(Header.parse(b"A: b\r\n" * 3, max_octets=18, max_fields=3).fields) == 3
    for octets, fields in ((17, 3), (18, 2)):
        with pytest.raises(BadSyntax) as caught:
            Header.parse(b"A: b\r\n" * 3, max_octets=octets, max_fields=fields)
        assert (caught.value.code, caught.value.status) == (552, "5.3.4")
    assert Header.parse(b"", max_octets=0, max_fields=0).fields == []


def test_edits_touch_only_their_field() -> None:
    """Removing, replacing and adding leave every other octet and the order as they were."""
    header = parse(b"A: 1\r\nBcc: x\r\nb :  2 \r\nBCC:\r\n y\r\nA: 3\r\n")
    header.remove(b"bcc", b"Nothing")
    header.prepend("Received", "here")
    header.append("Date", "now")
    header.replace("a", "new")
    header.replace("Message-ID", "<x@y>")
    assert header.to_bytes() == (b"Received: here\r\na: new\r\nb :  2 \r\nDate: now\r\nMessage-ID: <x@y>\r\n")
    assert parse(header.to_bytes()).to_bytes() == header.to_bytes()


names = st.text([chr(code) for code in range(0x21, 0x7F) if code != 0x3A], min_size=1, max_size=12)
values = st.lists(
    st.binary(max_size=30).map(lambda octets: octets.translate(None, b"\r\n\0")), min_size=1, max_size=3
).map(b"\r\n ".join)
fields = st.builds(
    lambda name, gap, value: name.encode() + gap + b":" + value + b"\r\n",
    st.one_of(names, st.sampled_from(["From", "fROM", "To", "Bcc"])),
    st.sampled_from([b"", b"", b" ", b"\t "]),
    values,
)
edits = st.lists(
    st.tuples(
        st.sampled_from(["remove", "prepend", "append", "replace"]), st.sampled_from(["From", "bcc", "X"])
    ),
    max_size=5,
)


@settings(max_examples=50)
@given(st.lists(fields, max_size=8))
def test_any_block_comes_back_octet_for_octet(block: list[bytes]) -> None:
    """What is not edited is not changed."""
    header = parse(b"".join(block))
    assert [field.raw for field in header.fields] == block


@settings(max_examples=50)
@given(st.lists(fields, max_size=8), edits, mail_like)
def test_edits_leave_all_other_fields_alone(
    block: list[bytes], changes: list[tuple[str, str]], value: str
) -> None:
    """After any edits with any value the untouched fields are as they came, the block well formed."""
    header = parse(b"".join(block))
    for action, name in changes:
        if action == "remove":
            header.remove(name.encode())
        else:
            getattr(header, action)(name, value)
    touched = {name.lower().encode() for _, name in changes}
    before = [raw for raw in block if raw.split(b":")[0].strip().lower() not in touched]
    again = parse(header.to_bytes())
    assert [field.raw for field in again.fields if field.key not in touched] == before
    assert [field.raw for field in again.fields] == [field.raw for field in header.fields]


@given(st.one_of(mail_like_octets, st.lists(st.one_of(fields, mail_like_octets), max_size=5).map(b"".join)))
def test_garbage_raises_only_bad_syntax(data: bytes) -> None:
    """Accepted or refused: an accepted block is whole and holds nothing but fields."""
    try:
        header = parse(data)
    except BadSyntax:
        return
    assert header.to_bytes() == data
    assert all(re.match(rb"[!-9;-~]+[ \t]*:", field.raw) for field in header.fields)


@given(names, mail_like)
def test_a_written_field_is_one_field(name: str, value: str) -> None:
    """No value can break out of its field: no bare CR or LF, no NUL, no other field; nothing is lost."""
    written = write_field(name, value)
    (field,) = parse(written).fields
    assert field.name == name.encode()
    assert not re.search(rb"[\x00-\x09\x0b\x0c\x0e-\x1f\x7f]", written)
    expected = re.sub(r"[\x00-\x20\x7f]+", " ", value).strip(" ")
    assert field.value == expected.encode("utf-8", "replace")
    assert not re.search(rb"\r\n[ \t]*\r\n", written)


def test_header_injection_through_a_value() -> None:
    """A value with line breaks stays one field."""
    header = parse(b"")
    header.append("Subject", "hello\r\nBcc: victim@example.net\r\n\r\nbody\n.\r")
    assert header.to_bytes() == b"Subject: hello Bcc: victim@example.net body .\r\n"
    with pytest.raises(ValueError, match="not a field name"):
        header.append("Subject: x\r\nBcc", "victim@example.net")


@given(st.lists(st.text("abcdef;<>é", min_size=1, max_size=30), min_size=1, max_size=30))
def test_long_values_are_folded_at_their_spaces(words: list[str]) -> None:
    """No line is longer than 78 octets unless one word makes it so, and unfolding gives the value back."""
    written = write_field("Received", " ".join(words))
    (field,) = parse(written).fields
    assert field.value == " ".join(words).encode()
    for line in written.split(b"\r\n"):
        assert len(line) <= FOLD_OCTETS or b" " not in line.removeprefix(b"Received: ").strip()


@pytest.mark.parametrize("value", ["x" * 5000, "ж" * 5000, "a " + "x" * 1000 + " b", "x" * 900 + " y" * 100])
def test_no_line_is_longer_than_mail_may_have(value: str) -> None:
    """A word that would not fit on 998 octets is given white space to fold at; nothing else is added."""
    written = write_field("Diagnostic-Code", value)
    (field,) = parse(written).fields
    assert max(map(len, written.split(b"\r\n"))) <= 998
    assert field.value.decode().replace(" ", "") == value.replace(" ", "")


@pytest.mark.parametrize(
    ("data", "end"),
    [
        (b"", -1),
        (b"\r", -1),
        (b"\r\n", 2),
        (b"\r\nbody", 2),
        (b"A: b\r\n", -1),
        (b"A: b\r\n\r", -1),
        (b"A: b\r\n\r\n", 8),
        (b"A: b\r\n\r\nbody\r\n\r\n", 8),
        (b"A: b\n\nbody", -1),
        (b"A: b\r\n\nbody", -1),
        (b"A: b\r\n \r\nB: c\r\n", -1),
    ],
)
def test_the_header_ends_at_the_first_empty_line(data: bytes, end: int) -> None:
    """Only CRLF CRLF ends it, or a CRLF at the very beginning."""
    assert end_of_header(data) == end


@given(st.text("\r\nA: ", max_size=20).map(str.encode), st.data())
def test_looking_again_finds_the_same_end(data: bytes, draw: st.DataObject) -> None:
    """A search that goes on where an earlier one stopped finds what a search of the whole finds."""
    seen = 0
    while seen < len(data):
        grown = draw.draw(st.integers(seen + 1, len(data)))
        found = end_of_header(data[:grown], seen)
        if found >= 0:
            break
        seen = grown
    assert end_of_header(data, seen) == end_of_header(data)


def test_a_message_is_split_at_the_empty_line() -> None:
    """The empty line belongs to neither part; a message without one is all header."""
    assert split_message(b"A: b\r\n\r\nbody\r\n\r\nx") == (b"A: b\r\n", b"body\r\n\r\nx")
    assert split_message(b"\r\nbody") == (b"", b"body")
    assert split_message(b"A: b\r\n") == (b"A: b\r\n", b"")
