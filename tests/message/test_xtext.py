"""xtext and the \\x{} form: how ENVID and ORCPT carry text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedaemon.errors import BadSyntax
from fedaemon.message.xtext import (
    decode_embedded,
    decode_xtext,
    encode_embedded,
    encode_xtext,
    original_recipient,
    write_orcpt,
)
from tests.message.strategies import mail_like, printable


@given(printable)
def test_decoding_undoes_encoding(text: str) -> None:
    """RFC 3461 4: every printable character comes back, and on the way there is neither space nor =."""
    coded = encode_xtext(text)
    assert not set(coded) & set(" =")
    assert decode_xtext(coded) == text


@pytest.mark.parametrize(
    "xtext", ["a b", "a=b", "+", "+2", "+2b", "+ZZ", "ж", "a+0D+0AX", "+00", "+7F", "+FF"]
)
def test_what_is_no_xtext_is_refused(xtext: str) -> None:
    """Also what would decode to a line break or another control character."""
    with pytest.raises(BadSyntax) as caught:
        decode_xtext(xtext)
    assert (caught.value.code, caught.value.status) == (501, "5.5.4")


def test_only_printable_ascii_can_be_encoded() -> None:
    """Anything else is a bug of the caller."""
    with pytest.raises(ValueError, match="not printable ASCII"):
        encode_xtext("a\r\n")


@given(st.text(st.characters(exclude_categories=["Cc", "Cs"])).filter(lambda text: "\\" not in text))
def test_embedded_characters_come_back(text: str) -> None:
    """RFC 6533 3: any character has an ASCII form."""
    coded = encode_embedded(text)
    assert coded.isascii()
    assert decode_embedded(coded) == text or any(0x80 <= ord(char) < 0xA0 for char in text)


@pytest.mark.parametrize(
    ("orcpt", "decoded"),
    [
        ("rfc822;bob@example.net", "rfc822;bob@example.net"),
        ("RFC822;bob+2Bx+3Dy@example.net", "RFC822;bob+x=y@example.net"),
        ("utf-8;\\x{436}@example.org", "utf-8;ж@example.org"),
        ("utf-8;\\x{436}+2Bx@example.org", "utf-8;ж+x@example.org"),
        ("utf-8;ж+2B@example.org", "utf-8;ж+2B@example.org"),
        ("utf-8;\\x{0D}\\x{D800}\\x{110000}x", "utf-8;\\x{0D}\\x{D800}\\x{110000}x"),
        ("rfc822;bad=xtext", "rfc822;bad=xtext"),
        ("rfc822;", ""),
        ("bob@example.net", ""),
        ("x y;bob", ""),
        ("", ""),
    ],
)
def test_original_recipients(orcpt: str, decoded: str) -> None:
    """The address type decides how the address is decoded; what is no ORCPT is dropped."""
    assert original_recipient(orcpt) == decoded


@given(
    st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1).filter(lambda text: "\\x" not in text)
)
def test_an_original_recipient_that_we_write_reads_back(address: str) -> None:
    """An alias's address goes on as ORCPT: an SMTP parameter value, printable ASCII without space or =."""
    orcpt = write_orcpt(address)
    assert orcpt.isascii()
    assert not set(orcpt) & set(" =")
    kind = "rfc822" if address.isascii() else "utf-8"
    assert original_recipient(orcpt) == f"{kind};{address}" or any(
        0x80 <= ord(char) < 0xA0 for char in address
    )


@given(mail_like)
def test_garbage_raises_only_bad_syntax(text: str) -> None:
    """What comes out of xtext is printable."""
    original_recipient(text)
    try:
        decoded = decode_xtext(text)
    except BadSyntax:
        return
    assert decoded.isprintable() or not decoded
