"""The stored form of a shape: its layout octet by octet, and damage."""

from __future__ import annotations

from struct import pack, unpack_from

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedaemon.message.mime.shape import read_shape
from fedaemon.message.mime.stored_shape import StoredShape, is_made
from tests.message.mime.mails import broken
from tests.message.strategies import mail_like_octets

HEADER = (
    b"Subject: Re: X\r\nFrom: A <a@b>\r\nTo: B <c@d>\r\nCc: E <e@f>\r\nBcc: g@h\r\n"
    b"Message-ID: <1@x>\r\nIn-Reply-To: <2@x> <3@x>\r\n"
)
RECORD = read_shape([HEADER + b"\r\nHello"]).to_record()


def read_all(record: bytes) -> object:
    shape = StoredShape(record)
    sections = shape.envelope, shape.body, shape.bodystructure, shape.preview, shape.texts(), shape.parts()
    return *sections, shape.header_octets


def test_the_layout_is_that_of_the_document() -> None:
    """Eight lengths, the sections, in the texts a count and twelve lengths (docs/mailbox-layout.md 3)."""
    shape = read_shape([HEADER + b"\r\nHello"])
    lengths = unpack_from("<8I", RECORD)
    assert lengths[:4] == (len(shape.envelope), len(shape.body), len(shape.bodystructure), 5)
    assert lengths[6:] == (0, 0) and sum(lengths) + 32 == len(RECORD)
    assert RECORD[32:].startswith(shape.envelope + shape.body + shape.bodystructure + b"Hello\x0c")


def test_texts_stand_in_the_order_of_the_columns() -> None:
    """SUBJECT to THREADING."""
    assert StoredShape(RECORD).texts() == (
        b"re: x", b"a <a@b>", b"b <c@d>", b"e <e@f>", b"g@h", b"x", b"a", b"c", b"e", b"a", b"b", b"1 1@x 2@x",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("header", "threading"),
    [
        (b"", b"0 -"),
        (b"References: <1@x> <2@x>\r\nIn-Reply-To: <3@x>\r\nMessage-ID: <4@x>\r\n", b"0 4@x 1@x 2@x"),
        (b"Subject: re: a\r\nIn-Reply-To: <3@x>\r\n", b"1 - 3@x"),
    ],
)
def test_threading_names_the_ancestors(header: bytes, threading: bytes) -> None:
    """References, or else the first of In-Reply-To (RFC 5256 3)."""
    assert StoredShape(read_shape([header + b"\r\n"]).to_record()).texts()[11] == threading


def test_a_shape_may_stand_within_a_record() -> None:
    """Octets before and behind it do not matter."""
    shape = StoredShape(b"before" + RECORD + b"behind", 6)
    assert shape.parts() == StoredShape(RECORD).parts()
    assert shape.envelope == StoredShape(RECORD).envelope


@given(st.one_of(broken, mail_like_octets, st.sampled_from([b"", b"\r\n", b"\nx", b"A: b", b"A: b\n\n"])))
def test_where_the_header_ends_is_known_without_the_parts(message: bytes) -> None:
    """Also behind other octets, and when there is no empty line."""
    record = read_shape([message]).to_record()
    assert StoredShape(b"before" + record, 6).header_octets == StoredShape(record).parts()[0].body_at


def test_the_parts_begin_with_the_whole_message() -> None:
    """As its header's length is read without JSON, this is a part of the format."""
    parts = RECORD[32 + sum(unpack_from("<5I", RECORD)) :]
    assert parts.startswith(b"[[[],0,%d,%d,5," % (len(HEADER) + 2, len(HEADER) + 2))


@pytest.mark.parametrize(
    "parts", [b"", b"[", b"[]", b"[[[1],0,2,2,3]]", b"[[[],1,2,2,3]]", b"[[[],0,2,3,3]]", b"[[[],0,-2,-2,3]]",
              b"[[[],0," + b"9" * 5_000 + b"," + b"9" * 5_000 + b",3]]"]
)  # fmt: skip
def test_a_damaged_beginning_of_the_parts_is_noticed(parts: bytes) -> None:
    """It is that of the whole message, whose body begins behind its header."""
    with pytest.raises(ValueError, match="damaged parts"):
        _ = StoredShape(pack("<8I", 0, 0, 0, 0, 0, len(parts), 0, 0) + parts).header_octets


def test_nothing_is_read_behind_the_parts() -> None:
    """Where their section ends."""
    parts = b"[[[],0,22,22"
    with pytest.raises(ValueError, match="damaged parts"):
        _ = StoredShape(pack("<8I", 0, 0, 0, 0, 0, len(parts), 1, 0) + parts + b",").header_octets


def test_a_shape_not_made_yet_is_all_zero() -> None:
    """Only the lengths stand there."""
    assert not is_made(b"xx" + bytes(32), 2)
    assert is_made(b"xx" + RECORD, 2)
    assert is_made(bytes(31) + b"\1")
    with pytest.raises(ValueError):
        is_made(bytes(31))


@pytest.mark.parametrize(
    "parts", [b"[1]", b"[[]]", b"1", b"[" * 100_000, b'["abcdefghijk"]', b"{}x", b"\xff"]
)
def test_damaged_parts_are_noticed(parts: bytes) -> None:
    """What is no list of parts raises ValueError, not what JSON or Part would."""
    with pytest.raises(ValueError):
        StoredShape(pack("<8I", 0, 0, 0, 0, 0, len(parts), 0, 0) + parts).parts()


@pytest.mark.parametrize(
    "texts", [b"", b"\x0c", bytes(49), b"\x0c" + bytes(48) + b"x", b"\x0c" + b"\xff" * 48]
)
def test_damaged_texts_are_noticed(texts: bytes) -> None:
    """The count is twelve and the lengths fill the section."""
    with pytest.raises(ValueError):
        StoredShape(pack("<8I", 0, 0, 0, 0, len(texts), 0, 0, 0) + texts).texts()


@given(st.integers(0, len(RECORD) - 1))
def test_a_record_cut_off_is_noticed(octets: int) -> None:
    """Wherever it ends."""
    with pytest.raises(ValueError):
        StoredShape(RECORD[:octets])


@given(st.one_of(st.binary(max_size=80), st.tuples(st.integers(0, len(RECORD) - 1), st.integers(0, 255))))
def test_damage_raises_nothing_but_value_error(damage: bytes | tuple[int, int]) -> None:
    """Any octets, and any octet changed: read, or refused."""
    if isinstance(damage, tuple):
        damaged = bytearray(RECORD)
        damaged[damage[0]] = damage[1]
        record = bytes(damaged)
    else:
        record = damage
    try:
        found = read_all(record)
    except ValueError:
        assert record != RECORD
    else:
        assert len(record) >= 32 and (record != RECORD or found == read_all(RECORD))
