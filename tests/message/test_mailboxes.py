"""Address lists of header fields."""

from __future__ import annotations

from email.headerregistry import Address as StdlibAddress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fedaemon.errors import BadSyntax
from fedaemon.message import mailboxes
from fedaemon.message.mailboxes import MAX_COMMENT_DEPTH, MAX_MAILBOXES, MAX_TOKENS, parse_mailboxes
from tests.message.strategies import ATEXT, domains, dot_strings, mail_like_octets

GOOD: list[tuple[str, list[tuple[str, str]]]] = [
    ("a@b.c", [("", "a@b.c")]),
    ("<a@b.c>", [("", "a@b.c")]),
    (" a@b.c ", [("", "a@b.c")]),
    ("Alice Liddell <a@b.c>", [("Alice Liddell", "a@b.c")]),
    ("Alice  Liddell<a@b.c>", [("Alice Liddell", "a@b.c")]),
    ('"Liddell, Alice" <a@b.c>', [("Liddell, Alice", "a@b.c")]),
    (r'"A \"Al\" \\ L" <a@b.c>', [('A "Al" \\ L', "a@b.c")]),
    ("John Q. Public <a@b.c>", [("John Q. Public", "a@b.c")]),
    ("Dr.No <a@b.c>", [("Dr.No", "a@b.c")]),
    ('Al "the" Ice <a@b.c>', [("Al the Ice", "a@b.c")]),
    ('"" <a@b.c>', [("", "a@b.c")]),
    ("a@b.c, d@e.f", [("", "a@b.c"), ("", "d@e.f")]),
    ("a@b.c,, ,d@e.f,", [("", "a@b.c"), ("", "d@e.f")]),
    (",a@b.c", [("", "a@b.c")]),
    ("Team: a@b.c, D <d@e.f>;", [("", "a@b.c"), ("D", "d@e.f")]),
    ("Team:a@b.c;, d@e.f", [("", "a@b.c"), ("", "d@e.f")]),
    ("undisclosed-recipients:;", []),
    ('"To all": ;', []),
    ("a@b.c (Alice)", [("", "a@b.c")]),
    ("(x)a(y)@(z)b.c(w)", [("", "a@b.c")]),
    ("Alice (the (real) one\\)) <a@b.c>", [("Alice", "a@b.c")]),
    ("A(x)B <a@b.c>", [("A B", "a@b.c")]),
    ("a . b @ c . d", [("", "a.b@c.d")]),
    ('"a b"@c.d', [("", '"a b"@c.d')]),
    ('"a".b@c.d', [("", "a.b@c.d")]),
    ("<@r.example,@s.example:a@b.c>", [("", "a@b.c")]),
    ("a@[192.0.2.1]", [("", "a@[192.0.2.1]")]),
    ("A@B.C", [("", "A@b.c")]),
    ("=?utf-8?q?Gr=C3=BC=C3=9Fe?= <a@b.c>", [("Grüße", "a@b.c")]),
    ("=?utf-8?b?0JY=?= =?utf-8?b?0LA=?= x <a@b.c>", [("Жа x", "a@b.c")]),
    ('"=?utf-8?q?x?=" <a@b.c>', [("=?utf-8?q?x?=", "a@b.c")]),
    ("Жанна <a@b.c>", [("Жанна", "a@b.c")]),
    ('"Жанна, д\'Арк" <жанна@пример.рф>', [("Жанна, д'Арк", "жанна@xn--e1afmkfd.xn--p1ai")]),
]
BAD = [
    "",
    " ",
    ",",
    "()",
    "alice",
    "Alice Liddell",
    "<>",
    "Alice <>",
    "Alice <alice>",
    "a@b.c d@e.f",
    "a@b.c <d@e.f>",
    "Alice <a@b.c> Bob",
    "Alice <a@b.c> <d@e.f>",
    "Alice <a@b.c>; d@e.f",
    "<a@b.c",
    "a@b.c>",
    "Alice <<a@b.c>>",
    '"Alice <a@b.c>',
    "Alice (x <a@b.c>",
    "Alice x) <a@b.c>",
    ".Alice <a@b.c>",
    "Team: a@b.c",
    "Team: Team: a@b.c;;",
    ": a@b.c;",
    "a@b.c;",
    "Team: a@b.c; d@e.f",
    "Al, ice <a@b.c>",
    "a b@c.d",
    "a@b c",
    "a@@b.c",
    "a@b@c.d",
    "a..b@c.d",
    ".a@c.d",
    "a.@c.d",
    "a@b..c",
    "a@.b",
    "a@",
    "@b.c",
    '"a""b"@c.d',
    'a@"b.c"',
    "a@[192.0.2.1",
    "a@[x]",
    "a@1.2.3.4",
    "<@r.example a@b.c>",
    "<@r.example,a@b.c>",
    "<@alice@ours.example:a@b.c>",
    "A\\B <a@b.c>",
    "[x] <a@b.c>",
    "a@b.c\r\n",
    "Alice\r\n <a@b.c>",
    "Al\0ice <a@b.c>",
    "Al\x1bice <a@b.c>",
    "a\u202eb@c.d",
]


def read(value: bytes) -> list[tuple[str, str]]:
    return [(mailbox.display_name, str(mailbox.address)) for mailbox in parse_mailboxes(value)]


@pytest.mark.parametrize(("value", "expected"), GOOD)
def test_an_address_list_is_read(value: str, expected: list[tuple[str, str]]) -> None:
    """Names and addresses come in their order, groups flattened (RFC 5322 3.4, 4.4)."""
    assert read(value.encode()) == expected


@pytest.mark.parametrize("value", BAD)
def test_what_is_no_address_list_is_refused(value: str) -> None:
    """The error is about the message's content and its text is printable, whatever the value is."""
    with pytest.raises(BadSyntax) as caught:
        parse_mailboxes(value.encode())
    assert (caught.value.code, caught.value.status) == (554, "5.6.0")
    assert caught.value.text.isascii()
    assert caught.value.text.isprintable()


words = st.text(ATEXT + ".", min_size=1, max_size=8)
names = st.one_of(
    st.just(""),
    st.lists(words, min_size=1, max_size=3).map(" ".join),
    st.text([chr(code) for code in range(0x20, 0x7F)], max_size=12).map(lambda text: f'"{text}"'),
    st.text(ATEXT + '. "\\=?,<>@', max_size=12),
)


@given(names, st.sampled_from([" ", "", "  "]), dot_strings, domains, st.booleans())
@example("=?utf-8?q?x?=", " ", "a", "b.c", True)
@example("", "", "=?utf-8?q?x?=", "b.c", False)
@example("", "", "a" * 65, "b.c", True)
@example("", "", "a", "b.1", True)
def test_the_fast_path_agrees_with_the_full_parser(
    name: str, gap: str, local: str, domain: str, bracketed: bool
) -> None:
    """Whatever the one regular expression takes, the full parser reads as the same mailbox."""
    value = f"{name}{gap}<{local}@{domain}>" if bracketed else f"{local}@{domain}"
    fast = mailboxes._parse_ordinary(value)
    if fast is not None and "=?" not in value:
        assert mailboxes._parse_fully(value.encode()) == [fast]


@given(
    st.lists(
        st.tuples(st.text(ATEXT + ' ,;"\\<>@', max_size=12), dot_strings, domains), min_size=1, max_size=4
    )
)
def test_lists_that_python_writes_are_read_back(entries: list[tuple[str, str, str]]) -> None:
    """The email package's own way of writing any name is understood."""
    entries = [(" ".join(name.split()), local[:64].rstrip("."), domain) for name, local, domain in entries]
    written = ", ".join(str(StdlibAddress(*entry)) for entry in entries)
    if "=?" not in written:
        assert read(written.encode()) == [
            (name, f"{local}@{domain.lower()}") for name, local, domain in entries
        ]


@given(mail_like_octets)
@example(b"a@b.c, =?utf-7?q?+2AA-?= <a@b.c>")
def test_garbage_raises_only_bad_syntax(value: bytes) -> None:
    """Names that come out can be shown: no control characters and no surrogates in them."""
    try:
        found = parse_mailboxes(value)
    except BadSyntax:
        return
    for mailbox in found:
        mailbox.display_name.encode("utf-8")
        assert not any(char < " " or char == "\x7f" for char in mailbox.display_name)


def test_octets_that_are_not_utf8_are_tolerated_in_names_only() -> None:
    """Old software writes Latin-1 names; in an address or before a backslash readers would disagree."""
    assert read(b"Gr\xfc\xdfe <a@b.c>") == [("Gr\ufffd\ufffde", "a@b.c")]
    for value in (b"\xfc@b.c", b"a@\xfc.c", b'"\x95\\" <a@b.c>, " <d@e.f>'):
        with pytest.raises(BadSyntax):
            parse_mailboxes(value)


def test_limits_are_kept() -> None:
    """Lists, comments and words up to their limits are read, beyond them refused."""
    assert len(parse_mailboxes(b"a@b.c," * MAX_MAILBOXES)) == MAX_MAILBOXES
    deep = b"(" * MAX_COMMENT_DEPTH + b")" * MAX_COMMENT_DEPTH
    assert read(deep + b"a@b.c") == [("", "a@b.c")]
    for value in (
        b"a@b.c," * (MAX_MAILBOXES + 1),
        b"(" + deep + b")a@b.c",
        b"\xc3\xa9 " * MAX_TOKENS + b"<a@b.c>",
    ):
        with pytest.raises(BadSyntax):
            parse_mailboxes(value)
