"""MTA-STS texts: what announces a policy, what is one, and which hosts it allows (RFC 8461 3 and 4)."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedaemon.delivery.tls_policy.sts_policy import (
    MAX_AGE_S,
    MAX_PATTERNS,
    StsPolicy,
    announced_id,
    parse_policy,
)
from fedaemon.errors import BadSyntax

GOOD = "version: STSv1\nmode: enforce\nmx: mx1.example.org\nmx: *.example.net\nmax_age: 86400\n"


@pytest.mark.parametrize(
    ("texts", "found"),
    [
        ([b"v=STSv1; id=20250101T000000Z; "], "20250101T000000Z"),
        ([b"v=STSv1; id=20250101000000Z;"], "20250101000000Z"),
        ([b"v=STSv1;id=1"], "1"),
        ([b"v=STSv1; id=1;"], "1"),
        ([b"v=STSv1;\t id=1 ; extension=a:b/c"], "1"),
        ([b"v=STSv1; extension=x; id=1"], "1"),
        ([b"v=spf1 -all", b"v=STSv1; id=1", b"v=STSv2; id=2"], "1"),
        ([b"v=STSv1; id=" + b"x" * 32], "x" * 32),
        ([b"v=STSv1; id=1; id=2"], "1"),
        ([], None),
        ([b""], None),
        ([b"v=STSv1"], None),
        ([b"v=STSv1;"], None),
        ([b"v=STSv1; id="], None),
        ([b"v=STSv1; id=" + b"x" * 33], None),
        ([b"v=STSv1; id=2025-01-01"], None),
        ([b"v=STSv1; id=1;;"], None),
        ([b"v=STSv1; id=1; broken"], None),
        ([b"v=STSv1; ID=1"], None),
        ([b"V=STSv1; id=1"], None),
        ([b" v=STSv1; id=1"], None),
        ([b"id=1; v=STSv1"], None),
        ([b"v=STSv1; id=1", b"v=STSv1; id=1"], None),
    ],
)
def test_exactly_one_well_formed_record_announces_a_policy(texts: list[bytes], found: str | None) -> None:
    """RFC 8461 3.1: other records are passed over, two are none, a malformed one is none."""
    assert announced_id(texts) == found


def test_a_policy_is_read() -> None:
    """Every field, in the canonical form of host names."""
    policy = parse_policy(GOOD.replace("mx1", "MX1").encode(), "id1", 5_000)
    assert policy == StsPolicy("id1", "enforce", ("mx1.example.org", "*.example.net"), 86_400, 5_000)
    assert policy.expires_ms == 86_405_000


@pytest.mark.parametrize(
    "text",
    [
        GOOD.replace("\n", "\r\n"),
        GOOD.rstrip("\n"),
        "\n" + GOOD + "\n\n",
        GOOD.replace(": ", ":"),
        GOOD.replace("\n", " \t\n"),
        GOOD + "mode: none\nmax_age: 1\nversion: STSv9\n",
        GOOD + "x-new_field.1: whatever: ümläut\n",
        GOOD + "mx: mx1.example.org\n",
        "mx: mx1.example.org\nmax_age: 86400\nmx: *.example.net\nmode: enforce\nversion: STSv1\n",
    ],
)
def test_other_spellings_are_the_same_policy(text: str) -> None:
    """RFC 8461 3.2: CRLF or LF, blanks, order, unknown fields; the first of repeated fields counts."""
    policy = parse_policy(text.encode(), "", 0)
    assert (policy.mode, policy.max_age_s) == ("enforce", 86_400)
    assert policy.mx == ("mx1.example.org", "*.example.net")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "STSv1"),
        ("<html><body>not found</body></html>", "no field"),
        (GOOD.replace("STSv1", "STSv2"), "STSv1"),
        (GOOD.replace("STSv1", "stsv1"), "STSv1"),
        (GOOD.replace("version: STSv1\n", ""), "STSv1"),
        (GOOD.replace("enforce", "Enforce"), "mode"),
        (GOOD.replace("enforce", "report"), "mode"),
        (GOOD.replace("mode: enforce\n", ""), "mode"),
        (GOOD.replace("86400", "-1"), "max_age"),
        (GOOD.replace("86400", "1e5"), "max_age"),
        (GOOD.replace("86400", "٣"), "max_age"),
        (GOOD.replace("86400", str(MAX_AGE_S + 1)), "max_age"),
        (GOOD.replace("86400", ""), "max_age"),
        (GOOD.replace("max_age: 86400\n", ""), "max_age"),
        ("version: STSv1\nmode: testing\nmax_age: 1\n", "mx"),
        (GOOD + "mx: *.*.example.org\n", "mx"),
        (GOOD + "mx: mx*.example.org\n", "mx"),
        (GOOD + "mx: *\n", "mx"),
        (GOOD + "mx: .example.org\n", "mx"),
        (GOOD + "mx: 192.0.2.1\n", "mx"),
        (GOOD + "mx: bücher.example\n", "mx"),
        (GOOD + "mx:\n", "mx"),
        (GOOD + "nonsense\n", "no field"),
        (GOOD.replace("\n", "\r"), "STSv1"),
        (GOOD + "".join(f"mx: mx{n}.example.org\n" for n in range(MAX_PATTERNS)), "more than"),
    ],
)
def test_what_breaks_the_grammar_is_no_policy(text: str, says: str) -> None:
    """Half a policy would be a wrong one; the reason is told."""
    with pytest.raises(BadSyntax, match=says):
        parse_policy(text.encode(), "", 0)


def test_octets_that_are_no_utf8_are_no_policy() -> None:
    """The whole text must be readable."""
    with pytest.raises(BadSyntax, match="UTF-8"):
        parse_policy(GOOD.encode() + b"x: \xff\n", "", 0)


def test_mode_none_needs_no_mx() -> None:
    """RFC 8461 3.2: so a domain ends its policy."""
    assert parse_policy(b"version: STSv1\nmode: none\nmax_age: 0\n", "", 0).mx == ()


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("mx1.example.org", True),
        ("mx2.example.org", False),
        ("a.mx1.example.org", False),
        ("a.example.net", True),
        ("a.b.example.net", False),
        ("example.net", False),
        ("*.example.net", True),
        ("badexample.net", False),
        ("", False),
    ],
)
def test_a_wildcard_stands_for_exactly_one_label(host: str, allowed: bool) -> None:
    """RFC 8461 4.1."""
    assert parse_policy(GOOD.encode(), "", 0).allows(host) is allowed


@settings(max_examples=200)
@given(st.binary(max_size=300))
def test_garbage_raises_only_bad_syntax(octets: bytes) -> None:
    """Whatever a policy host sends, nothing else escapes."""
    announced_id([octets, b"v=STSv1;" + octets])
    for body in (octets, GOOD.encode() + octets):
        try:
            policy = parse_policy(body, "", 0)
        except BadSyntax:
            continue
        assert StsPolicy.from_record(policy.to_record()) == policy
