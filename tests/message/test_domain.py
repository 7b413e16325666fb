"""Domains: one canonical form for all spellings, and nothing else accepted."""

from __future__ import annotations

import pytest
from hypothesis import example, given

from fedaemon.errors import BadSyntax
from fedaemon.message.domain import parse_address_literal, parse_domain
from tests.message.strategies import domains, mail_like, unicode_words

GOOD = [
    ("example.org", "example.org"),
    ("Example.ORG", "example.org"),
    ("localhost", "localhost"),
    ("3com.com", "3com.com"),
    ("1.2.3.4a", "1.2.3.4a"),
    ("a-b--c.example", "a-b--c.example"),
    ("bücher.example", "xn--bcher-kva.example"),
    ("BÜCHER.example", "xn--bcher-kva.example"),
    ("bu\u0308cher.example", "xn--bcher-kva.example"),
    ("XN--BCHER-KVA.example", "xn--bcher-kva.example"),
    ("straße.de", "xn--strae-oqa.de"),  # non-transitional: ß is a letter of its own (UTS #46)
    ("пример.рф", "xn--e1afmkfd.xn--p1ai"),
    ("例え。テスト", "xn--r8jz45g.xn--zckzah"),
    ("ｅｘａｍｐｌｅ.ｏｒｇ", "example.org"),
    ("xn--i-7iq.ws", "xn--i-7iq.ws"),
    ("a" * 63 + ".example", "a" * 63 + ".example"),
    (".".join(["a" * 49] * 5) + ".abc", ".".join(["a" * 49] * 5) + ".abc"),
]
BAD = [
    "",
    ".",
    "example.org.",
    ".example.org",
    "a..b",
    "-a.example",
    "a-.example",
    "a_b.example",
    "a b.example",
    "example.org\n",
    "example.org\0",
    "1.2.3.4",
    "example.123",
    "123",
    "[192.0.2.1]",
    "a" * 64 + ".example",
    ".".join(["a" * 49] * 5) + ".abcd",
    "ü" * 60 + ".example",
    "a@b",
    "❤.example",
    "a\u200b\u200f.example",
    "\u0300a.example",
    "א1a.example",
    "a／b.example",
    "a＠b.example",
    "\ud800.example",
    "K\u0130lo\u0307.example\ufffd",
    "xn--é.example",
]


@pytest.mark.parametrize(("text", "expected"), GOOD)
def test_a_domain_has_one_canonical_form(text: str, expected: str) -> None:
    """Case, composition, width and U- or A-labels make no difference."""
    assert parse_domain(text) == expected


@pytest.mark.parametrize("text", BAD)
def test_what_is_no_domain_is_refused(text: str) -> None:
    """The error is permanent, about the address, and says something printable."""
    with pytest.raises(BadSyntax) as caught:
        parse_domain(text)
    assert (caught.value.code, caught.value.status) == (553, "5.1.3")
    assert caught.value.text.isprintable()


@given(domains)
def test_ascii_domains_are_lower_cased(domain: str) -> None:
    """A name of letters, digits and inner hyphens is only lower-cased."""
    assert parse_domain(domain) == domain.lower()


@given(unicode_words)
def test_the_canonical_form_is_stable(word: str) -> None:
    """Whatever is accepted becomes ASCII, and parsing the result again changes nothing."""
    try:
        canonical = parse_domain(f"{word}.example")
    except BadSyntax:
        return
    assert canonical.isascii()
    assert parse_domain(canonical) == canonical


@given(mail_like)
@example("\ud800")
@example("xn--\u0300.a")
def test_garbage_raises_only_bad_syntax(text: str) -> None:
    """No other exception escapes, and what comes out has only the characters of host names."""
    for parse in (parse_domain, parse_address_literal):
        try:
            result = parse(text)
        except BadSyntax:
            continue
        assert result.strip("[]").replace(".", "").replace("-", "").replace(":", "").isalnum()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[192.0.2.1]", "[192.0.2.1]"),
        ("[0.0.0.0]", "[0.0.0.0]"),
        ("[IPv6:2001:db8::1]", "[IPv6:2001:db8::1]"),
        ("[ipv6:2001:0DB8:0:0:0:0:0:1]", "[IPv6:2001:db8::1]"),
        ("[IPv6:::1]", "[IPv6:::1]"),
        ("[IPv6:::ffff:192.0.2.1]", "[IPv6:::ffff:c000:201]"),
    ],
)
def test_an_address_literal_has_one_spelling(text: str, expected: str) -> None:
    """IPv6 is compressed and lower-cased; how IPv4-mapped ones are shown differs between Pythons."""
    assert parse_address_literal(text) in (expected, "[IPv6:::ffff:192.0.2.1]")


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "[192.0.2]",
        "[192.0.2.256]",
        "[192.0.2.01]",
        "[0177.0.0.1]",
        "[192.0.2.1",
        "192.0.2.1",
        "[ 192.0.2.1]",
        "[2001:db8::1]",
        "[IPv6:2001:db8::1%eth0]",
        "[IPv6:2001:db8:::1]",
        "[IPv6:192.0.2.1]",
        "[IPv6:]",
        "[x-tag:data]",
        "[IPv6:" + "0" * 100 + "::1]",
        "[١.٢.٣.٤]",
    ],
)
def test_what_is_no_address_literal_is_refused(text: str) -> None:
    """Octal look-alikes, zones, untagged IPv6 and unknown tags are no literals."""
    with pytest.raises(BadSyntax):
        parse_address_literal(text)
