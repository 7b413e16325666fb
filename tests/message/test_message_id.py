"""Message identifiers."""

from __future__ import annotations

import pytest
from hypothesis import given

from fedaemon.message.message_id import MAX_MESSAGE_ID_OCTETS, is_message_id, new_message_id
from tests.message.strategies import mail_like_octets


def test_new_identifiers_are_valid_and_different() -> None:
    """Each is new, passes the check and ends in the domain it was made for."""
    made = {new_message_id("mail.example.org") for _ in range(100)}
    assert len(made) == 100
    assert all(is_message_id(found.encode()) and found.endswith("@mail.example.org>") for found in made)
    assert is_message_id(new_message_id("[IPv6:2001:db8::1]").encode())


@pytest.mark.parametrize(
    "value",
    [
        b"<a@b>",
        b"<CAF=abc+def_1$2.3@mail.example.org>",
        b"<20250701.120000.JavaMail.root@localhost.localdomain>",
        b"<abc..def@host_with_underscore>",
        b"<a:b;c,(d)@[192.0.2.1]>",
        b'<"quoted"@example.org>',
        "<ж@пример.рф>".encode(),
        b"<" + b"a" * (MAX_MESSAGE_ID_OCTETS - 4) + b"@b>",
    ],
)
def test_what_software_writes_is_accepted(value: bytes) -> None:
    """The characters on both sides of the @ do not matter as long as everybody sees the same end."""
    assert is_message_id(value)


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"<>",
        b"<@>",
        b"<a>",
        b"<a@>",
        b"<@b>",
        b"a@b",
        b"<a@b",
        b"a@b>",
        b"<a@b@c>",
        b"<a b@c>",
        b"<a@b> ",
        b" <a@b>",
        b"<a@b><c@d>",
        b"<a@b> <c@d>",
        b"<<a@b>>",
        b"<a@b\t>",
        b"<a\x00@b>",
        b"<a\x7f@b>",
        b"<a@b>\r\n",
        b"<\xff@b>",
        b"<a@[b>",
        b"<a@[]>",
        b"<" + b"a" * (MAX_MESSAGE_ID_OCTETS - 3) + b"@b>",
    ],
)
def test_what_programs_would_disagree_on_is_not(value: bytes) -> None:
    """Brackets, exactly one @, no white space, no control octets, nothing after the end."""
    assert not is_message_id(value)


@given(mail_like_octets)
def test_any_octets_are_judged(value: bytes) -> None:
    """An accepted identifier has its brackets at its ends only, one @ between them, and is UTF-8."""
    if is_message_id(value):
        text = value.decode("utf-8")
        assert (text[0], text[-1], text.count("<"), text.count(">"), text.count("@")) == ("<", ">", 1, 1, 1)
