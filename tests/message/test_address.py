"""Addresses: exactly the mailboxes of RFC 5321 and 6531, and one key for each."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fedaemon.errors import BadSyntax
from fedaemon.message.address import Address, parse_address
from tests.message.strategies import domains, dot_strings, mail_like, printable, unicode_words

GOOD = [
    ("alice@example.org", "alice", "example.org"),
    ("Alice.B@Example.ORG", "Alice.B", "example.org"),
    ("!#$%&'*+-/=?^_`{|}~@example.org", "!#$%&'*+-/=?^_`{|}~", "example.org"),
    ("a" * 64 + "@example.org", "a" * 64, "example.org"),
    ('"alice"@example.org', "alice", "example.org"),
    (r'"\a\l"@example.org', "al", "example.org"),
    ('"a b"@example.org', "a b", "example.org"),
    ('"a@b"@example.org', "a@b", "example.org"),
    ('"a>b"@example.org', "a>b", "example.org"),
    (r'"a\"b\\c"@example.org', 'a"b\\c', "example.org"),
    ('""@example.org', "", "example.org"),
    ('"a..b"@example.org', "a..b", "example.org"),
    ("a@[192.0.2.1]", "a", "[192.0.2.1]"),
    ("a@[ipv6:2001:DB8:0::1]", "a", "[IPv6:2001:db8::1]"),
    ("жанна@пример.рф", "жанна", "xn--e1afmkfd.xn--p1ai"),
    ('"жанна д\'арк"@example.org', "жанна д'арк", "example.org"),
    ("a@localhost", "a", "localhost"),
    ("نامه\u200cای@example.org", "نامه\u200cای", "example.org"),  # Persian needs its zero-width joiner
]
BAD = [
    "",
    "@",
    "alice",
    "@example.org",
    "alice@",
    "alice@@example.org",
    "a@b@example.org",
    ".alice@example.org",
    "alice.@example.org",
    "a..b@example.org",
    "a b@example.org",
    "a@ example.org",
    " a@example.org",
    "a@example.org ",
    "a@example.org\r\n",
    "a@example.org\n",
    "a\r\nRCPT TO:<b@example.org>@c",
    "a\0@example.org",
    "a\t@example.org",
    '"a\t"@example.org',
    '"a\r\n"@example.org',
    '"a@example.org',
    'a"b"@example.org',
    '"a"b@example.org',
    '"a"."b"@example.org',
    '"a" @example.org',
    '"a"',
    '"a\\"@example.org',
    "<a@example.org>",
    "Alice <a@example.org>",
    "a(comment)@example.org",
    "a@example.org(comment)",
    "a,b@example.org",
    "a;b@example.org",
    "a:b@example.org",
    "a\\b@example.org",
    "a[b]@example.org",
    "a" * 65 + "@example.org",
    '"' + "a" * 63 + '"@example.org',
    "ж" * 33 + "@example.org",
    "և" * 32 + "@example.org",  # 64 octets, but its case-folded form has 128
    "a@" + "b" * 64 + ".example",
    "a@1.2.3.4",
    "a@[1.2.3]",
    "a@[1.2.3.4].example",
    "a@-b.example",
    "a@b_c.example",
    "a@example.org.",
    "a\u202eb@example.org",
    "a\u200bb@example.org",
    "a\u2028b@example.org",
    "a\u3000b@example.org",
    "a\x85b@example.org",
    "a\ufeffb@example.org",
    "a\ud800b@example.org",
    "a\ufffdb@example.org",
    "\U000e0061@example.org",
    "a＠example.org",
]


@pytest.mark.parametrize(("text", "local", "domain"), GOOD)
def test_a_mailbox_is_read(text: str, local: str, domain: str) -> None:
    """The local part comes without quotes and escapes, the domain in its canonical form."""
    assert parse_address(text) == Address(local, domain)


@pytest.mark.parametrize("text", BAD)
def test_what_is_no_mailbox_is_refused(text: str) -> None:
    """The error has the status of a recipient's address, and a text without anything of the input in it."""
    with pytest.raises(BadSyntax) as caught:
        parse_address(text)
    assert (caught.value.code, caught.value.status) == (553, "5.1.3")
    assert caught.value.text.isprintable()


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("Alice@Example.ORG", "alice@example.org"),
        ('"Alice"@example.org', "alice@example.org"),
        ('"a b"@example.org', '"a b"@example.org'),
        ("STRASSE@example.org", "strasse@example.org"),
        ("Straße@example.org", "strasse@example.org"),
        ("ЖАННА@ПРИМЕР.РФ", "жанна@xn--e1afmkfd.xn--p1ai"),
        ("jose\u0301@example.org", "jos\u00e9@example.org"),
        ("\u212aelvin@example.org", "kelvin@example.org"),
    ],
)
def test_spellings_of_one_mailbox_have_one_key(text: str, key: str) -> None:
    """Quotes, case and composition do not make another mailbox."""
    assert parse_address(text).key == key


@pytest.mark.parametrize(
    ("text", "base"),
    [
        ("alice+x@example.org", "alice@example.org"),
        ("alice+x+y@example.org", "alice@example.org"),
        ("alice+@example.org", "alice@example.org"),
        ("+x@example.org", "+x@example.org"),
        ("alice@example.org", "alice@example.org"),
        ('"a b+c"@example.org', '"a b"@example.org'),
    ],
)
def test_the_base_is_without_the_tag(text: str, base: str) -> None:
    """What stands before the first + is the mailbox; a + at the beginning is part of it."""
    assert str(parse_address(text).base) == base


def test_only_a_local_part_needs_utf8() -> None:
    """A U-label domain travels as A-labels; a local part has no other form."""
    assert parse_address("жанна@example.org").needs_utf8
    assert not parse_address("a@пример.рф").needs_utf8


addresses = st.builds(
    lambda local, domain: f"{local}@{domain}",
    st.one_of(
        dot_strings,
        printable.map(lambda text: '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'),
        unicode_words,
    ),
    domains,
)


@given(addresses)
@example("\u037e@example.org")  # a Greek question mark, whose canonical form is the semicolon
@example("\u0390\u0345@example.org")
def test_writing_and_reading_are_inverse(text: str) -> None:
    """Both the wire form and the key read back as the same mailbox."""
    try:
        address = parse_address(text)
    except BadSyntax:
        return
    assert parse_address(str(address)) == address
    assert parse_address(address.key).key == address.key
    assert parse_address(str(address.base)) == address.base


@given(dot_strings, domains)
def test_case_never_matters_for_the_key(local: str, domain: str) -> None:
    """Upper and lower case of an ASCII address are one mailbox."""
    if len(local) <= 64:
        assert (
            parse_address(f"{local.upper()}@{domain.upper()}").key == parse_address(f"{local}@{domain}").key
        )


@given(mail_like)
def test_garbage_raises_only_bad_syntax(text: str) -> None:
    """Whatever is accepted writes itself so that it is accepted again."""
    try:
        address = parse_address(text)
    except BadSyntax:
        return
    assert parse_address(str(address)) == address
