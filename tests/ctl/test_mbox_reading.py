"""Reading mbox files, of this program and of others."""

from __future__ import annotations

import mailbox as stdlib_mailbox
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedaemon.ctl.maildir import Found, Skipped
from fedaemon.ctl.mbox import write_mbox_message
from fedaemon.ctl.mbox_reading import read_mbox
from fedaemon.errors import BadSyntax, Refused, Unavailable
from fedaemon.store.content import MemoryContent

FROM = b"From alice@example.test Mon Nov 23 10:00:00 2026\n"
AT = 1_795_428_000
"""The moment of FROM."""


def read(path: Path, data: bytes) -> list[Found]:
    """Return the messages of an mbox that has *data*; each size must be true."""
    path.write_bytes(data)
    found = []
    for each in read_mbox(path):
        assert isinstance(each, Found)
        assert len(content(each)) == each.size
        found.append(each)
    return found


def content(found: Found) -> bytes:
    return b"".join(found.open())


@pytest.fixture
def mbox(tmp_path: Path) -> Path:
    return tmp_path / "mbox"


def test_messages_have_names_dates_and_crlf(mbox: Path) -> None:
    """The offset of the From_ line is the name; the format's own empty lines are not content."""
    first = FROM + b"Subject: a\n\nbody\n\n"
    found = read(mbox, first + FROM + b"Subject: b\n\n\nx\n\n")
    assert [(each.name, each.folder, each.internal_s) for each in found] == [
        ("0", "INBOX", AT),
        (str(len(first)), "INBOX", AT),
    ]
    assert [content(each) for each in found] == [
        b"Subject: a\r\n\r\nbody\r\n",
        b"Subject: b\r\n\r\n\r\nx\r\n",
    ]
    assert [each.folder for each in read_mbox(mbox, "Old/2024") if isinstance(each, Found)] == [
        "Old/2024"
    ] * 2


def test_a_file_with_crlf_throughout(mbox: Path) -> None:
    """A copy that Windows made: From_ lines and separators end in CRLF too."""
    data = (FROM + b"Subject: a\n\nbody\n\n" + FROM + b"Subject: b\n\n").replace(b"\n", b"\r\n")
    assert [content(each) for each in read(mbox, data)] == [b"Subject: a\r\n\r\nbody\r\n", b"Subject: b\r\n"]


def test_only_a_date_after_an_empty_line_makes_a_from_line(mbox: Path) -> None:
    """RFC 4155 appendix A: prose that begins with From, and lines within a paragraph, are text."""
    body = b"x\n" + FROM + b"\nFrom here on\n\nFrom Monday to Friday 2026\n"
    assert [content(each) for each in read(mbox, FROM + b"A: b\n\n" + body + b"\n")] == [
        (b"A: b\n\n" + body).replace(b"\n", b"\r\n")
    ]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"From - Mon Nov 23 10:00:00 2026", AT),
        (b"From a b@c Mon Nov 23 10:00 2026", AT),
        (b"From Mon Nov 23 10:00:00 2026", AT),
        (b"From x Mon Nov  23 12:00:00 2026 +0200", AT),
        (b"From x Mon Nov 23 05:00:00 EST 2026", AT),
        (b"From x Mon Nov 23 10:00:00 UTC 2026 remote from y", AT),
        (b"From x Mon Nov 23 10:00:00 2026\r", AT),
        (b"From x Mon Feb 31 10:00:00 2026", 1_000_000_000),
    ],
)
def test_dates_of_from_lines(mbox: Path, line: bytes, expected: int) -> None:
    """UTC without a zone; a date that no calendar has gives way to the Date field."""
    (found,) = read(mbox, line + b"\nDate: Sun, 9 Sep 2001 01:46:40 +0000\n\nx\n")
    assert found.internal_s == expected


def test_without_any_date_the_file_has_one(mbox: Path) -> None:
    """The last resort is when the file was written."""
    mbox.write_bytes(b"From x Mon Feb 31 10:00:00 2026\nA: b\n\n")
    os.utime(mbox, (7, 1_234_567_890))
    assert [each.internal_s for each in read_mbox(mbox) if isinstance(each, Found)] == [1_234_567_890]


def test_status_fields_give_flags_and_stay(mbox: Path) -> None:
    """As UW-IMAP and Dovecot write them; what cannot be a keyword is left out."""
    header = b"Status: RO\nX-Status: AFDT\nX-KEYWORDS: $Forwarded\n Junk b(d Junk\n\n"
    (found,) = read(mbox, FROM + header + b"Status: N\n")
    assert found.flags == (
        b"\\Seen", b"\\Answered", b"\\Flagged", b"\\Deleted", b"\\Draft", b"$Forwarded", b"Junk",
    )  # fmt: skip
    assert content(found).startswith(header.replace(b"\n", b"\r\n"))
    (unread,) = read(mbox, FROM + b"Status: O\n\nX-Status: F\n")
    assert unread.flags == ()


def test_quoting_is_undone_once(mbox: Path) -> None:
    """Each line loses one ">", a line of other text none, in the header too."""
    (found,) = read(mbox, FROM + b">From me\nA: b\n\n>From x\n>>From y\n> From z\n>Fro\n>>\n\n")
    assert content(found) == b"From me\r\nA: b\r\n\r\nFrom x\r\n>From y\r\n> From z\r\n>Fro\r\n>>\r\n"


def test_data_of_an_imap_server_is_no_mail(mbox: Path) -> None:
    """UW-IMAP's first message is passed over with its reason."""
    inner = b"Subject: DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA\nX-IMAP: 1 2\n\ntext\n\n"
    mbox.write_bytes(FROM + inner + FROM + b"A: b\n\nx\n")
    skipped, found = read_mbox(mbox)
    assert skipped == Skipped(mbox, "octet 0: data that an IMAP server keeps, no mail")
    assert isinstance(found, Found)
    assert content(found) == b"A: b\r\n\r\nx\r\n"


BODY = b">From text\n\n" + FROM + b"no field\n"


@pytest.mark.parametrize("end", [b"", b"\n", b"\n" + FROM + b"A: c\n\ny\n"])
def test_content_length_that_fits_is_believed(mbox: Path, end: bytes) -> None:
    """mboxcl2: nothing is quoted, so nothing is undone, and a From_ line within is text."""
    header = b"Content-Length: %d\n\n" % len(BODY)
    found = read(mbox, FROM + header + BODY + end)
    assert content(found[0]) == (header + BODY).replace(b"\n", b"\r\n")
    assert [content(each) for each in found[1:]] == ([b"A: c\r\n\r\ny\r\n"] if FROM in end else [])


@pytest.mark.parametrize(
    "field",
    [b"%d", b"-%d", b"99999999999999999999%d", b"+%d", b"%d\nContent-Length: 1", b"0x%d", b"%d 1"],
)
def test_content_length_that_does_not_fit_is_not_believed(mbox: Path, field: bytes) -> None:
    """Neither a wrong length, nor two, nor what is no number."""
    wrong = len(BODY) - 1 if field == b"%d" else len(BODY)
    found = read(mbox, FROM + b"Content-Length: " + field % wrong + b"\n\n" + BODY + b"\n")
    assert [content(each)[-12:] for each in found] == [b"\nFrom text\r\n", b"no field\r\n"]


def test_content_length_swallows_no_message(mbox: Path) -> None:
    """A sender who knows how long the mail behind his is cannot hide it."""
    rest = b"mine\n\n" + FROM + b"Subject: hidden\n\nyours\n"
    found = read(mbox, FROM + b"Content-Length: %d\n\n" % len(rest) + rest)
    assert [content(each)[-7:] for each in found] == [b"\nmine\r\n", b"yours\r\n"]


def test_content_length_makes_no_message(mbox: Path) -> None:
    """It ends at a From_ line that is none, because no empty line is before it."""
    text = b"mine\n" + FROM + b"Subject: forged\n"
    found = read(mbox, FROM + b"Content-Length: 5\n\n" + text)
    assert [content(each)[-17:] for each in found] == [b"Subject: forged\r\n"]


def test_content_length_that_ends_at_no_message_hides_none(mbox: Path) -> None:
    """What is not believed in the end counts for nothing on the way there either."""
    text = b"mine\n\n" + FROM + b"yours\n"
    found = read(mbox, FROM + b"Content-Length: %d\n\n" % len(text) + text + FROM + b"more\n")
    assert [content(each)[-6:] for each in found] == [b"mine\r\n", b"more\r\n"]


def test_long_lines_and_long_messages(mbox: Path) -> None:
    """Pieces end anywhere: within a quote, a CRLF, a line without end."""
    for length in range(65_500, 65_540):
        body = b"a: b\r\n\r\n" + b"x" * length + b"\r\n>From y\r\n" + b"z" * 65_552 + b">From z\r\nq"
        with mbox.open("wb") as output:
            write_mbox_message(output, MemoryContent(body), b"", AT)
            write_mbox_message(output, MemoryContent(b"c: d\r\n\r\n"), b"", AT)
        assert [content(each) for each in found_in(mbox)] == [body, b"c: d\r\n\r\n"]


def found_in(path: Path) -> Iterator[Found]:
    for each in read_mbox(path):
        assert isinstance(each, Found)
        yield each


LINE = st.sampled_from(
    [
        b"",
        b"From x",
        FROM[:-1],
        b">From ",
        b">>From x",
        b">" + FROM[:-1],
        b"From",
        b"a",
        b">",
        b"A: b",
        b"\r",
        b"\xff",
    ]
) | st.binary(max_size=5).map(lambda octets: octets.replace(b"\n", b"").rstrip(b"\r"))
MESSAGE = st.tuples(st.lists(LINE, max_size=8), st.sampled_from([b"", b"no end", b"From x"])).map(
    lambda parts: b"Subject: x\r\n" + b"".join(line + b"\r\n" for line in parts[0]) + parts[1]
)


@settings(max_examples=200, deadline=None)
@given(messages=st.lists(MESSAGE, min_size=1, max_size=4))
def test_what_is_written_is_read(tmp_path_factory: Any, messages: list[bytes]) -> None:
    """Octet for octet, and as many messages (RFC 4155)."""
    path = tmp_path_factory.mktemp("mbox") / "x"
    with path.open("wb") as output:
        for message in messages:
            write_mbox_message(output, MemoryContent(message), b"", AT)
    found = list(found_in(path))
    assert [content(each) for each in found] == messages
    assert [each.size for each in found] == [len(message) for message in messages]
    assert {each.internal_s for each in found} == {AT}


@settings(max_examples=100, deadline=None)
@given(st.lists(st.lists(st.sampled_from([b"a", b"From x", b"", b">", b"A: b"]), max_size=6), max_size=4))
def test_python_finds_the_same(tmp_path_factory: Any, bodies: list[list[bytes]]) -> None:
    """What Python's own module writes, it and this reader see alike."""
    path = tmp_path_factory.mktemp("mbox") / "x"
    theirs = stdlib_mailbox.mbox(str(path))
    for lines in bodies:
        theirs.add(FROM + b"Subject: x\n\n" + b"".join(line + b"\n" for line in lines))
    theirs.flush()
    expected = [theirs.get_bytes(key).replace(b">From x", b"From x") for key in theirs.keys()]  # noqa: SIM118
    theirs.close()
    assert [content(each) for each in found_in(path)] == [each.replace(b"\n", b"\r\n") for each in expected]


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.sampled_from([FROM, b"\n", b"\r\n", b"A: b\n", b"Content-Length: 3\n", b"x", b"\r", b">From "])
    )
)
def test_garbage_raises_only_bad_syntax(tmp_path_factory: Any, parts: list[bytes]) -> None:
    """Whatever the file has; and sizes stay true, names grow."""
    path = tmp_path_factory.mktemp("mbox") / "x"
    try:
        found = read(path, b"".join(parts))
    except BadSyntax:
        assert re.match(rb"(?:\r?\n)*From ", b"".join(parts)) is None
        return
    names = [int(each.name) for each in found]
    assert names == sorted(set(names))


def test_what_is_no_mbox_is_refused(mbox: Path) -> None:
    """With the file, and with the offset where there is one."""
    with pytest.raises(BadSyntax, match=r"mbox, octet 1: "):
        read(mbox, b"\nSubject: x\n\n")
    with pytest.raises(BadSyntax, match=r"octet 0: "):
        read(mbox, b"From nobody\nSubject: x\n\n")
    with pytest.raises(Refused, match="is no file"):
        list(read_mbox(mbox.parent))
    with pytest.raises(Refused, match="cannot be read: No such file"):
        list(read_mbox(mbox.parent / "nothing"))
    assert read(mbox, b"") == read(mbox, b"\n\r\n") == []


def test_a_file_that_shrinks_is_noticed(mbox: Path) -> None:
    """Half a message never passes for the whole."""
    (found,) = read(mbox, FROM + b"A: b\n\nxyz\n")
    mbox.write_bytes(FROM + b"A: b\n\nx")
    with pytest.raises(Unavailable, match="changed"):
        content(found)
    mbox.unlink()
    with pytest.raises(Unavailable, match="cannot be read"):
        content(found)
