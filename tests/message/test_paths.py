"""The paths of MAIL and RCPT."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedaemon.errors import BadSyntax
from fedaemon.message.address import parse_address, parse_forward_path, parse_reverse_path
from tests.message.strategies import domains, dot_strings, mail_like_octets

GOOD = [
    (b"<alice@example.org>", "alice@example.org", b""),
    (b"<alice@example.org> SIZE=3", "alice@example.org", b"SIZE=3"),
    (b"<alice@Example.ORG>   SIZE=3 BODY=7BIT  ", "alice@example.org", b"SIZE=3 BODY=7BIT"),
    (b"<alice@example.org> ", "alice@example.org", b""),
    (b'<"a>b"@example.org> X=1', '"a>b"@example.org', b"X=1"),
    (b'<"a\\"> b"@example.org>', '"a\\"> b"@example.org', b""),
    (b"<a@[192.0.2.1]>", "a@[192.0.2.1]", b""),
    (b"<a@[IPv6:::1]> A", "a@[IPv6:::1]", b"A"),
    (b"<@relay.example:alice@example.org>", "alice@example.org", b""),
    (b"<@a.example,@b.example:alice@example.org> X", "alice@example.org", b"X"),
    (b"<" + b"a" * 64 + b"@" + b"b" * 63 + b"." + b"c" * 63 + b"." + b"d" * 61 + b">", None, b""),
]
BAD = [
    b"",
    b"alice@example.org",
    b"<alice@example.org",
    b"alice@example.org>",
    b"< alice@example.org>",
    b"<alice@example.org >",
    b" <alice@example.org>",
    b"<alice@example.org>SIZE=3",
    b"<alice@example.org>>",
    b"<<alice@example.org>>",
    b"<alice@example.org>\tSIZE=3",
    b"<alice>",
    b"<alice@>",
    b"<@example.org>",
    b"<@a.example:>",
    b"<@a.example,:alice@example.org>",
    b"<@a.example,b.example:alice@example.org>",
    b"<@a..example:alice@example.org>",
    b"<@[192.0.2.1]:alice@example.org>",
    b"<a@b\0c.example>",
    b"<a@example.org\r\nRCPT TO:<b@example.org>",
    b'<"a@example.org>',
    b"<Alice <alice@example.org>>",
    b"<alice@example.org,bob@example.org>",
    b"<" + b"a" * 64 + b"@" + b"b" * 63 + b"." + b"c" * 63 + b"." + b"d" * 62 + b">",
    b"<" + b"a" * 65 + b"@example.org>",
]


@pytest.mark.parametrize(("data", "address", "rest"), GOOD)
def test_a_path_is_taken(data: bytes, address: str | None, rest: bytes) -> None:
    """Both kinds of path take the same address and leave the same parameters."""
    expected = parse_address(address) if address else parse_address(data[1:-1].decode())
    assert parse_reverse_path(data, utf8=False) == (expected, rest)
    assert parse_forward_path(data, utf8=False, local_domain="local.example") == (expected, rest)


@pytest.mark.parametrize("data", BAD)
def test_what_is_no_path_is_refused(data: bytes) -> None:
    """The status tells whose address is meant: 5.1.7 the sender's, 5.1.3 a recipient's (RFC 3463 3.2)."""
    with pytest.raises(BadSyntax) as sender:
        parse_reverse_path(data, utf8=True)
    with pytest.raises(BadSyntax) as recipient:
        parse_forward_path(data, utf8=True, local_domain="local.example")
    assert (sender.value.code in (501, 553), sender.value.status) == (True, "5.1.7")
    assert (recipient.value.code in (501, 553), recipient.value.status) == (True, "5.1.3")


def test_the_empty_path_is_a_sender_only() -> None:
    """Reports have <> as their sender; nothing can be sent to it."""
    assert parse_reverse_path(b"<> RET=HDRS", utf8=False) == (None, b"RET=HDRS")
    with pytest.raises(BadSyntax) as caught:
        parse_forward_path(b"<>", utf8=False, local_domain="local.example")
    assert (caught.value.code, caught.value.status) == (501, "5.1.3")


@pytest.mark.parametrize("data", [b"<Postmaster>", b"<postmaster> NOTIFY=NEVER", b"<POSTMASTER>"])
def test_postmaster_needs_no_domain_as_a_recipient(data: bytes) -> None:
    """RFC 5321 4.5.1: every server takes mail for <Postmaster>; it is no sender."""
    address, _ = parse_forward_path(data, utf8=False, local_domain="local.example")
    assert str(address) == "postmaster@local.example"
    with pytest.raises(BadSyntax):
        parse_reverse_path(data, utf8=False)


@pytest.mark.parametrize(
    "data", ["<жанна@example.org>".encode(), "<a@пример.рф> X".encode(), b"<\xff@a.example>"]
)
def test_utf8_paths_need_smtputf8(data: bytes) -> None:
    """RFC 6531 3.5: without SMTPUTF8 a path that is not ASCII is refused with 5.6.7, in both commands."""
    with pytest.raises(BadSyntax) as sender:
        parse_reverse_path(data, utf8=False)
    with pytest.raises(BadSyntax) as recipient:
        parse_forward_path(data, utf8=False, local_domain="local.example")
    assert (sender.value.code, sender.value.status) == (553, "5.6.7")
    assert (recipient.value.code, recipient.value.status) == (553, "5.6.7")


def test_utf8_paths_are_read_with_smtputf8() -> None:
    """RFC 6531 3.3: the local part stays, the domain becomes A-labels; what is not UTF-8 is refused."""
    address, rest = parse_reverse_path("<жанна@пример.рф> SMTPUTF8".encode(), utf8=True)
    assert (str(address), rest) == ("жанна@xn--e1afmkfd.xn--p1ai", b"SMTPUTF8")
    with pytest.raises(BadSyntax):
        parse_reverse_path(b"<\xff@example.org>", utf8=True)
    with pytest.raises(BadSyntax):
        parse_reverse_path(b"<\xc1\xa1@example.org>", utf8=True)


@given(dot_strings, domains, st.binary(max_size=20))
def test_the_fast_path_agrees_with_the_careful_parser(local: str, domain: str, rest: bytes) -> None:
    """A plain path gives what its mailbox gives when it is parsed alone."""
    if len(local) <= 64:
        path = f"<{local}@{domain}> ".encode() + rest
        assert parse_reverse_path(path, utf8=False) == (parse_address(f"{local}@{domain}"), rest.strip(b" "))


@given(
    st.one_of(mail_like_octets, mail_like_octets.map(lambda octets: b"<" + octets + b"@example.org> X")),
    st.booleans(),
)
def test_garbage_raises_only_bad_syntax(data: bytes, utf8: bool) -> None:
    """An accepted path holds an address that is accepted alone."""
    try:
        address, rest = parse_reverse_path(data, utf8=utf8)
    except BadSyntax:
        pass
    else:
        assert address is None or parse_address(str(address)) == address
        assert data.endswith(rest) or rest in data
    try:
        recipient, _ = parse_forward_path(data, utf8=utf8, local_domain="local.example")
    except BadSyntax:
        return
    assert parse_address(str(recipient)) == recipient
