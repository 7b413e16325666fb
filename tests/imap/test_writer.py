"""Answers read back as what they were: RFC 9051 4.3, 7, RFC 3516, RFC 4731, RFC 9394."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedaemon.imap import writer
from fedaemon.imap.names import MAX_NAME_OCTETS, read_name
from fedaemon.imap.parse import fetch, parse
from fedaemon.imap.parse.cursor import Cursor
from fedaemon.imap.sequence_set import Ranges
from tests.imap.driving import command

OCTETS = st.binary(max_size=50).map(lambda data: data.replace(b"\0", b"")) | st.text(max_size=30).map(
    lambda words: words.replace("\0", "").encode()
)


def cursor(written: bytes, *, utf8: bool = False) -> Cursor:
    """Return a cursor before what was written; literals as the client would send them."""
    return Cursor(command(b"X " + written.replace(b"}\r\n", b"+}\r\n", 1)), utf8=utf8)


@given(OCTETS, st.booleans())
def test_strings_read_back(data: bytes, utf8: bool) -> None:
    """Quoted, literal or atom: what is chosen is what is read."""
    if b"}\r\n" in data:
        return
    for written in (writer.string(data, utf8=utf8), writer.astring(data, utf8=utf8)):
        reading = cursor(written, utf8=utf8)
        reading.space()
        assert reading.astring() == data
        reading.end()


@given(st.none() | OCTETS.filter(lambda data: b"}\r\n" not in data))
def test_nstrings_read_back(data: bytes | None) -> None:
    """NIL is nothing, "NIL" is a string."""
    reading = cursor(writer.nstring(data))
    reading.space()
    assert reading.nstring() == data


@pytest.mark.parametrize(
    ("data", "written"),
    [
        (b"", b'""'),
        (b"a]", b"a]"),
        (b"nil", b'"nil"'),
        (b'a "b\\', b'"a \\"b\\\\"'),
        (b"a\r\nb", b"{4}\r\na\r\nb"),
        ("é".encode(), b"{2}\r\n\xc3\xa9"),
        (b"x" * 1001, b"{1001}\r\n" + b"x" * 1001),
    ],
)
def test_the_shortest_safe_form_is_chosen(data: bytes, written: bytes) -> None:
    """Atom, quoted, literal."""
    assert writer.astring(data) == written


def test_nul_goes_only_into_literal8() -> None:
    """RFC 3516 4.4."""
    assert writer.literal8(b"a\0") == b"~{2}\r\na\0"
    with pytest.raises(ValueError, match="NUL"):
        writer.string(b"a\0")


@given(
    st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1, max_size=30),
    st.booleans(),
)
def test_mailbox_names_read_back(name: str, utf8: bool) -> None:
    """In modified UTF-7 and in UTF-8."""
    name = read_name(name.encode(), utf8=True)
    assert len(name.encode()) <= MAX_NAME_OCTETS
    reading = cursor(writer.mailbox(name, utf8=utf8), utf8=utf8)
    reading.space()
    assert reading.mailbox() == name


@given(st.text(), st.binary(max_size=12), st.binary(max_size=12))
def test_a_status_is_one_line(words: str, tag: bytes, code: bytes) -> None:
    """Nothing in text, tag or code makes a second line or a response code of its own."""
    try:
        line = writer.status(tag, b"NO", words, code)
    except ValueError:
        return
    assert line.endswith(b"\r\n")
    assert not set(b"\r\n\0") & set(line[:-2])
    assert line.startswith(tag + b" NO ")
    rest = line[len(tag) + 4 :]
    assert rest.startswith(b"[" + code + b"] ") if code else not rest.startswith(b"[")


def test_status_and_continuation() -> None:
    """RFC 9051 7.1, 7.6."""
    assert writer.status(None, b"OK", "hello", b"UIDNEXT 5") == b"* OK [UIDNEXT 5] hello\r\n"
    assert writer.status(b"a", b"BAD", "[ALERT]\r\nb OK") == b"a BAD .[ALERT] b OK\r\n"
    assert writer.status(b"a", b"OK", "") == b"a OK .\r\n"
    assert writer.status(b"a", b"NO", "no", writer.permanent_flags([b"\\Seen", b"\\*"])) == (
        b"a NO [PERMANENTFLAGS (\\Seen \\*)] no\r\n"
    )
    assert writer.status(None, b"BYE", "zu spät") == b"* BYE zu sp?t\r\n"
    assert writer.continuation() == writer.CONTINUE == b"+ OK\r\n"
    assert writer.challenge(b"") == b"+ \r\n"


@pytest.mark.parametrize("flag", [b"", b"a b", b"\\", b"a\r\n", b"\\\\a", b"(", b"*"])
def test_what_is_no_flag_is_not_written(flag: bytes) -> None:
    """A flag that would break the list is a bug of the caller."""
    with pytest.raises(ValueError, match="not a flag"):
        writer.flag_list([flag])


def test_esearch() -> None:
    """RFC 4731 3.2, RFC 9394 3.1."""
    found = Ranges([(2, 2), (10, 15)])
    assert writer.esearch(b"A283", uid=False, everything=found) == b'* ESEARCH (TAG "A283") ALL 2,10:15\r\n'
    assert writer.esearch(b"a", uid=True, lowest=2, highest=15, count=7, modseq=9) == (
        b'* ESEARCH (TAG "a") UID MIN 2 MAX 15 COUNT 7 MODSEQ 9\r\n'
    )
    assert writer.esearch(b"a", uid=True, partial=((-1, -100), Ranges()), everything=Ranges()) == (
        b'* ESEARCH (TAG "a") UID PARTIAL (-1:-100 NIL)\r\n'
    )


@pytest.mark.parametrize(
    "label",
    [
        b"BODY[]",
        b'BODY[1.2.HEADER.FIELDS (To "a b")]',
        b"BODY[TEXT]",
        b"BINARY[3]",
        b"BINARY.SIZE[1.1]",
        b"BODY[1]",
    ],
)
def test_labels_of_sections_read_back(label: bytes) -> None:
    """An answer names the section as the client did (RFC 9051 7.5.2)."""
    read = parse(command(b"FETCH 1 " + label))
    assert isinstance(read, fetch.Fetch)
    (item,) = read.items
    assert isinstance(item, fetch.BodySection | fetch.BinarySection | fetch.BinarySize)
    assert item.label() == label


def test_the_label_of_a_partial_has_its_origin_only() -> None:
    """RFC 9051 7.5.2: BODY[]<0>, without the count."""
    assert fetch.BodySection(fetch.Section(), (0, 10)).label() == b"BODY[]<0>"
