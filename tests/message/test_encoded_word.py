"""Encoded words: what is written reads back, and what others write is shown as well as it can be."""

from __future__ import annotations

import codecs
import re
from email.header import decode_header, make_header

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fedaemon.message import encoded_word
from fedaemon.message.encoded_word import MAX_WORD_OCTETS, decode, encode
from tests.message.strategies import mail_like_octets

shown_text = st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=200)


@given(shown_text)
@example("=?utf-8?q?x?=")
@example("a =? b")
@example(" Grüße  an\u2028alle ")
@example("x" * 901)
@example("\u0080")
def test_decoding_undoes_encoding(text: str) -> None:
    """Any text without control characters comes back; on the way it is printable ASCII in short words."""
    if any(0x80 <= ord(char) < 0xA0 for char in text):
        return
    coded = encode(text)
    assert coded.isascii()
    assert coded.isprintable() or not coded
    assert all(len(word) <= MAX_WORD_OCTETS for word in coded.split(" ") if word.startswith("=?utf-8?"))
    assert decode(coded.encode()) == text


@given(shown_text.filter(lambda text: not text.isascii()))
def test_python_reads_the_same(text: str) -> None:
    """Each encoded word is complete in itself (RFC 2047 5): the email package decodes them one by one."""
    assert str(make_header(decode_header(encode(text)))) == text


def test_plain_text_stays_plain() -> None:
    """ASCII is not encoded, except where it would be taken for an encoded word."""
    assert encode("Hello, world (again)") == "Hello, world (again)"
    assert encode("=?utf-8?q?x?=").startswith("=?utf-8?")
    assert encode("Grüße") == "=?utf-8?b?R3LDvMOfZQ==?="
    assert (
        encode("Übrigens ist der Termin verschoben") == "=?utf-8?q?=C3=9Cbrigens_ist_der_Termin_verschoben?="
    )


def test_encoding_lets_nothing_break_out() -> None:
    """Control characters become spaces, lone surrogates question marks."""
    assert encode("a\r\nBcc: b\0c\ud800") == "a  Bcc: b c?"
    assert decode(encode("ä\r\nBcc: b").encode()) == "ä  Bcc: b"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (b"plain", "plain"),
        (b"=?US-ASCII?Q?Keith_Moore?=", "Keith Moore"),
        (b"=?ISO-8859-1?Q?Andr=E9?= Pirard", "André Pirard"),
        (b"=?ISO-8859-1?Q?a?= =?ISO-8859-2?Q?_b?=", "a b"),
        (b"(=?ISO-8859-1?Q?a?=  \t =?ISO-8859-1?Q?b?=)", "(ab)"),
        (b"=?ISO-8859-1?Q?a?= b =?ISO-8859-1?Q?c?=", "a b c"),
        (b"=?utf-8*en?q?x?=", "x"),
        (b"=?koi8-r?B?8NLJ18XU?=", "Привет"),
        (b"=?windows-1251?Q?=CF=F0=E8=E2=E5=F2?=", "Привет"),
        (b"=?iso-2022-jp?B?GyRCRnxLXBsoQg==?=", "日本"),
        (b"=?gb2312?B?1tC5+g==?=", "中国"),
        (b"=?iso-8859-1?Q?=93x=94?=", "“x”"),
        (b"=?utf-8?b?ww==?= =?utf-8?b?pMOk?=", "ää"),  # a character cut in two between words
        (b"=?utf-8?b?w6Q?=", "ä"),  # without its padding
        (b"=?utf-8?q?with space?=", "with space"),
        (b"pre=?utf-8?q?=C3=A4?=post", "preäpost"),
        (b"=?x-unknown?q?a?=", "=?x-unknown?q?a?="),
        (b"=?rot13?q?a?=", "=?rot13?q?a?="),
        (b"=?unicode_escape?q?=5Cx41?=", "=?unicode_escape?q?=5Cx41?="),
        (b"=?utf-8?x?a?=", "=?utf-8?x?a?="),
        (b"=?utf-8?b?a?=", "=?utf-8?b?a?="),
        (b"=?utf-8?q?=ZZ?=", "=ZZ"),
        (b"=?utf-8?q?=FF?=", "\ufffd"),
        (b"=?utf-8?q?a=0D=0ABcc:_b=00?=", "a\ufffd\ufffdBcc: b\ufffd"),
        (b"=?utf-7?q?+2AA-?=", "\ufffd"),
        (b"=?utf-8?q?a", "=?utf-8?q?a"),
        (b"a\tb", "a b"),
        (b"Gr\xc3\xbc\xdfe", "Grü\ufffde"),
    ],
)
def test_what_others_write_is_shown(value: bytes, text: str) -> None:
    """RFC 2047 8's examples, common faults, and nothing that could do harm where it is shown."""
    assert decode(value) == text


@given(st.one_of(mail_like_octets, st.from_regex(rb"=\?utf-[78]\?[qb]\?[^?]{0,20}\?=", fullmatch=True)))
def test_garbage_is_shown_without_control_characters(value: bytes) -> None:
    """Whatever the octets, the result is text that can be written as UTF-8."""
    text = decode(value)
    text.encode("utf-8")
    assert not re.search(r"[\x00-\x1f\x7f]", text)


def test_every_charset_of_the_table_is_known_to_python() -> None:
    """A codec that does not exist would be an exception in the middle of a mailbox listing."""
    for codec in encoded_word.CHARSETS.values():
        assert codecs.lookup(codec)._is_text_encoding
