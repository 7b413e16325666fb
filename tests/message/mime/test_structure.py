"""ENVELOPE and BODYSTRUCTURE of well-formed, odd and broken messages, octet for octet.

Where RFC 9051 says nothing, the expected answers are those of Dovecot 2.3.19, but for the tables named "ours".
"""

from __future__ import annotations

import pytest

from fedaemon.message.mime.shape import read_shape

PLAIN = b'("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" %d %d NIL NIL NIL NIL)'
EMPTY = PLAIN % (0, 0)
MIXED = b"Content-Type: multipart/mixed; boundary=a\r\n\r\n"


def mixed(*parts: bytes) -> bytes:
    return b'(%b "mixed" ("boundary" "a") NIL NIL NIL)' % b"".join(parts)


STRUCTURES: list[tuple[bytes, bytes]] = [
    (b"", EMPTY),
    (b"\r\n", EMPTY),
    (b"Subject: no end", EMPTY),
    (b"Subject: a\r\n\r\nhello\r\n", PLAIN % (7, 1)),
    (b"Subject: a\r\n\r\nhello", PLAIN % (5, 0)),
    (
        b'Content-Type: TEXT/Plain; CHARSET=UTF-8; x="a\\"b"\r\nContent-Transfer-Encoding: BASE64\r\n\r\nx',
        b'("TEXT" "Plain" ("CHARSET" "UTF-8" "x" "a\\"b") NIL NIL "BASE64" 1 0 NIL NIL NIL NIL)',
    ),
    (
        b'Content-Type: a/b; x="\xc3\xbc"\r\n\r\n',
        b'("a" "b" ("x" {2}\r\n\xc3\xbc) NIL NIL "7bit" 0 NIL NIL NIL NIL)',
    ),
    (
        b"Content-Type: image/png; name=a b.png; x=1\r\nContent-Disposition: attachment; filename=a b.png; "
        b"size=3\r\nContent-ID: <x@y>\r\nContent-Description: d e\r\n"
        b"Content-MD5: abc\r\nContent-Language: en, de\r\nContent-Location: http://x/ y\r\n\r\nx",
        b'("image" "png" ("name" "a" "x" "1") "<x@y>" "d e" "7bit" 1 "abc"'
        b' ("attachment" ("filename" "a" "size" "3")) ("en" "de") "http://x/ y")',
    ),
    (
        b"Content-Type: a / b (c); x (d) = (e) 1 (f)\r\nContent-Disposition: (x) inline (y); a=b\r\n\r\n",
        b'("a" "b" ("x" "1") NIL NIL "7bit" 0 NIL ("inline" ("a" "b")) NIL NIL)',
    ),
    (b'Content-Type: a/b; x=1; n="c; y=2\r\n\r\n', b'("a" "b" ("x" "1") NIL NIL "7bit" 0 NIL NIL NIL NIL)'),
    (b'Content-Type: a/b; n="c\\"\r\n\r\n', b'("a" "b" NIL NIL NIL "7bit" 0 NIL NIL NIL NIL)'),
    (
        b"Content-Type: a/b; x*0=1; x*2=3; x*1=2; y*1=a\r\n\r\n",
        b'("a" "b" ("x" "123" "y*1" "a") NIL NIL "7bit" 0 NIL NIL NIL NIL)',
    ),
    (
        b"Content-Type: a/b; n*0*=utf-8''a%20; n*1*=b\r\n\r\n",
        b'("a" "b" ("n*" "utf-8\'\'a%20b") NIL NIL "7bit" 0 NIL NIL NIL NIL)',
    ),
    (
        b"Content-Type: a/b\r\nContent-Transfer-Encoding: foo bar\r\n\r\n",
        b'("a" "b" NIL NIL NIL "7bit" 0 NIL NIL NIL NIL)',
    ),
    (
        b"Content-Type: message/delivery-status\r\n\r\nx",
        b'("message" "delivery-status" NIL NIL NIL "7bit" 1 NIL NIL NIL NIL)',
    ),
    (MIXED + b"no parts\r\n", mixed(EMPTY)),
    (MIXED + b"--a\r\n\r\nx\r\n--a--\r\nepilogue\r\n--a\r\n\r\nz\r\n--a--", mixed(PLAIN % (1, 0))),
    (MIXED + b"preamble\r\n--a\r\n\r\nx\r\n\r\n--a\r\n\r\ny\r\n", mixed(PLAIN % (3, 1), PLAIN % (3, 1))),
    (MIXED + b"--a\r\n--a\r\n\r\nx\r\n--a--\r\n", mixed(EMPTY, PLAIN % (1, 0))),
    (MIXED + b"--a \r\n\r\nx\r\n--axx\r\n\r\ny\r\n--a-- \r\n", mixed(PLAIN % (1, 0), PLAIN % (1, 0))),
    (MIXED + b"--a\r\nContent-Type: text/plain\r\n--a--\r\n", mixed(EMPTY)),
    (MIXED + b"--a\n\nx\n--a--\n", mixed(PLAIN % (1, 0))),
    (
        b"Content-Type: multipart/mixed; boundary=a\r\nContent-Type: text/html\r\n\r\n--a\r\n\r\nx\r\n--a--",
        mixed(PLAIN % (1, 0)),
    ),
    (
        MIXED
        + b"--a\r\nContent-Type: multipart/alternative; boundary=ab\r\n\r\n--ab\r\n\r\n1\r\n--ab--\r\n--a--\r\n",
        mixed(b'(%b "alternative" ("boundary" "ab") NIL NIL NIL)' % (PLAIN % (1, 0))),
    ),
    (
        MIXED
        + b"--a\r\nContent-Type: multipart/x; boundary=b\r\n\r\n--b\r\n\r\n1\r\n--a\r\n\r\n--b\r\n--a--",
        mixed(b'(%b "x" ("boundary" "b") NIL NIL NIL)' % (PLAIN % (1, 0)), PLAIN % (3, 0)),
    ),
    (
        b"Content-Type: multipart/digest; boundary=a\r\n\r\n--a\r\n\r\nSubject: in\r\n\r\nx\r\n"
        b"--a\r\nContent-Type: text/plain\r\n\r\ny\r\n--a--\r\n",
        b'(("message" "rfc822" NIL NIL NIL "7bit" 16 (NIL "in" NIL NIL NIL NIL NIL NIL NIL NIL)'
        b' %b 2 NIL NIL NIL NIL)%b "digest" ("boundary" "a") NIL NIL NIL)' % (PLAIN % (1, 0), PLAIN % (1, 0)),
    ),
    (
        b"Content-Type: message/rfc822\r\n\r\nSubject: in\r\nFrom: a@b\r\n\r\nx\r\ny",
        b'("message" "rfc822" NIL NIL NIL "7bit" 30 (NIL "in" ((NIL NIL "a" "b")) ((NIL NIL "a" "b"))'
        b' ((NIL NIL "a" "b")) NIL NIL NIL NIL NIL) %b 4 NIL NIL NIL NIL)' % (PLAIN % (4, 1)),
    ),
    (
        MIXED + b"--a\r\nContent-Type: message/rfc822\r\n\r\nSubject: in\r\n--a\r\n\r\nx\r\n--a--\r\n",
        mixed(
            b'("message" "rfc822" NIL NIL NIL "7bit" 13 (NIL "in" NIL NIL NIL NIL NIL NIL NIL NIL)'
            b" %b 1 NIL NIL NIL NIL)" % EMPTY,
            PLAIN % (1, 0),
        ),
    ),
    (
        b"Content-Type: multipart/mixed; boundary=%b\r\n\r\n--%b\r\n\r\nx\r\n--%b--\r\n"
        % (b"a" * 90, b"a" * 90, b"a" * 85),
        b'(%b%b "mixed" ("boundary" "%b") NIL NIL NIL)' % (PLAIN % (1, 0), EMPTY, b"a" * 90),
    ),
]

OURS: list[tuple[bytes, bytes]] = [
    # Bare LFs are sent as they are stored, where Dovecot counts and sends CRLF.
    (b"Subject: a\n\nx\ny\n", PLAIN % (4, 2)),
    # RFC 2045 5.2: without a usable type it is text/plain; so its reader sees it.
    (b"Content-Type: text\r\n\r\nx", PLAIN % (1, 0)),
    (b"Content-Type:\r\n\r\nx", PLAIN % (1, 0)),
    (b"Content-Type: multipart/mixed\r\n\r\n--a\r\n\r\nx\r\n--a--\r\n", PLAIN % (17, 4)),
    (b'Content-Type: multipart/mixed; boundary=""\r\n\r\n--\r\n', PLAIN % (4, 1)),
    # What is not understood is passed over, and what follows it still counts.
    (b"Content-Type: a/b junk; ; q; x=1;; y=2;\r\n\r\n",
     b'("a" "b" ("x" "1" "y" "2") NIL NIL "7bit" 0 NIL NIL NIL NIL)'),
    (b"Content-Disposition: ; a=b\r\nContent-Transfer-Encoding: (c) 8bit (d)\r\n\r\n",
     b'("text" "plain" ("charset" "us-ascii") NIL NIL "8bit" 0 0 NIL NIL NIL NIL)'),
    # RFC 9051 9 media-message: GLOBAL has an envelope as RFC822 has.
    (
        b"Content-Type: message/global\r\n\r\nSubject: x\r\n\r\ny",
        b'("message" "global" NIL NIL NIL "7bit" 15 (NIL "x" NIL NIL NIL NIL NIL NIL NIL NIL)'
        b" %b 2 NIL NIL NIL NIL)" % (PLAIN % (1, 0)),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("message", "expected"), STRUCTURES + OURS)
def test_bodystructure(message: bytes, expected: bytes) -> None:
    """The extensible form, exactly as FETCH sends it."""
    assert read_shape([message]).bodystructure == expected


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (b"\r\nx", b'("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 1 0)'),
        (b"Content-Type: a/b\r\nContent-MD5: c\r\n\r\n", b'("a" "b" NIL NIL NIL "7bit" 0)'),
        (
            MIXED + b"--a\r\n\r\nx\r\n--a--\r\n",
            b'(("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 1 0) "mixed")',
        ),
        (
            b"Content-Type: message/rfc822\r\n\r\n\r\nx",
            b'("message" "rfc822" NIL NIL NIL "7bit" 3 (NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)'
            b' ("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 1 0) 1)',
        ),
    ],
)
def test_body_has_no_extension_data(message: bytes, expected: bytes) -> None:
    """BODY is the structure without what RFC 9051 7.5.2 calls extension data."""
    assert read_shape([message]).body == expected


ADDRESSES: list[tuple[bytes, bytes]] = [
    (b"", b"NIL"),
    (b"user@domain", b'((NIL NIL "user" "domain"))'),
    (b"foo bar <user@domain>", b'(("foo bar" NIL "user" "domain"))'),
    (b'"foo bar" <user@domain>', b'(("foo bar" NIL "user" "domain"))'),
    (b'"foo \\"x\\" bar"  baz <u@d>', b'(("foo \\"x\\" bar baz" NIL "u" "d"))'),
    (b"a.b. c <d@e>", b'(("a.b. c" NIL "d" "e"))'),
    (b"a\tb <c@d>", b'(("a b" NIL "c" "d"))'),
    (b"<@r1,@r2:user@domain>", b'((NIL "@r1,@r2" "user" "domain"))'),
    (b"=?utf-8?q?a?= <x@y>", b'(("=?utf-8?q?a?=" NIL "x" "y"))'),
    (b"M\xc3\xbcller <m@x>", b'(({7}\r\nM\xc3\xbcller NIL "m" "x"))'),
    (b"user (hello)", b'(("hello" NIL "user" "MISSING_DOMAIN"))'),
    (b"a(x)@b(y)(z)", b'(("z" NIL "a" "b"))'),
    (b"a@(c)b", b'(("c" NIL "a" "b"))'),
    (b"(com (nest) ment) a@b", b'((NIL NIL "a" "b"))'),
    (b"x <a@b> (Name)", b'(("x" NIL "a" "b"))'),
    (b"hello <user>", b'(("hello" NIL "user" "MISSING_DOMAIN"))'),
    (b"@domain", b'((NIL NIL "MISSING_MAILBOX" "domain"))'),
    (b"foo@", b'((NIL NIL "foo" "MISSING_DOMAIN"))'),
    (b"foo bar", b'(("foo bar" NIL "MISSING_MAILBOX" "MISSING_DOMAIN"))'),
    (b"<>", b'((NIL NIL "MISSING_MAILBOX" "MISSING_DOMAIN"))'),
    (b"foo <a@b", b'(("foo" NIL "a" "SYNTAX_ERROR"))'),
    (b"foo <a b@c>", b'(("foo" NIL "a" "SYNTAX_ERROR"))'),
    (b'"a b"@c', b'((NIL NIL "a b" "c"))'),
    (b'<"quoted local"@d>', b'((NIL NIL "quoted local" "d"))'),
    (b"A <a@b(c)>, d@e", b'(("A" NIL "a" "b")(NIL NIL "d" "e"))'),
    (b"<(c)a(c)@(c\\)(>))b (c)>, d@e", b'((NIL NIL "a" "b")(NIL NIL "d" "e"))'),
    (b'<@r(c):"a(b)"@x(c)>', b'((NIL "@r" "a(b)" "x"))'),
    (b"<a@b(c)d>", b'((NIL NIL "a" "SYNTAX_ERROR"))'),
    (b"<a@b(c>, d@e", b'((NIL NIL "a" "SYNTAX_ERROR"))'),
    (b"a@[1.2.3.4]", b'((NIL NIL "a" "[1.2.3.4]"))'),
    (b"a@b@c", b'((NIL NIL "a" "b"))'),
    (b"(unterminated a@b", b"NIL"),
    (b"G:;", b'((NIL NIL "G" NIL)(NIL NIL NIL NIL))'),
    (b"G: a@b, c@d", b'((NIL NIL "G" NIL)(NIL NIL "a" "b")(NIL NIL "c" "d")(NIL NIL NIL NIL))'),
    (
        b"G: a@b, c <d@e>;, f@g",
        b'((NIL NIL "G" NIL)(NIL NIL "a" "b")("c" NIL "d" "e")(NIL NIL NIL NIL)(NIL NIL "f" "g"))',
    ),
]
OUR_ADDRESSES: list[tuple[bytes, bytes]] = [
    # RFC 5322 4.4: an empty element is no address, and white space may stand around dots.
    (b"a@b,, c@d,", b'((NIL NIL "a" "b")(NIL NIL "c" "d"))'),
    (b"a . b@c . d", b'((NIL NIL "a.b" "c.d"))'),
    # After an error the list goes on, where Dovecot ends it.
    (b"A <b@c> junk, d@e", b'(("A" NIL "b" "c")(NIL NIL "d" "e"))'),
    (b"John [x] <a@b>", b'(("John [x]" NIL "a" "b"))'),
    (b"G: H: a@b;;", b'((NIL NIL "G" NIL)(NIL NIL "a" "b")(NIL NIL NIL NIL))'),
    (b"a\0b <c@d>", b'(({5}\r\na\xef\xbf\xbdb NIL "c" "d"))'),
]


@pytest.mark.parametrize(("value", "expected"), ADDRESSES + OUR_ADDRESSES)
def test_addresses(value: bytes, expected: bytes) -> None:
    """The address structures of a To field."""
    shape = read_shape([b"To: " + value + b"\r\n\r\n"])
    assert shape.envelope == b"(NIL NIL NIL NIL NIL " + expected + b" NIL NIL NIL NIL)"


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (
            b"Date: Tue, 01 Jul 2025 10:00:00 +0000\r\nSubject: =?utf-8?q?a?=\r\n =?utf-8?q?b?=\r\n"
            b"From: A <a@b>\r\nTo: c@d\r\nCC : e@f\r\nbcc: g@h\r\nIn-Reply-To: <1@x>\r\nMessage-ID:  <2@x>\r\n",
            b'("Tue, 01 Jul 2025 10:00:00 +0000" "=?utf-8?q?a?= =?utf-8?q?b?=" (("A" NIL "a" "b"))'
            b' (("A" NIL "a" "b")) (("A" NIL "a" "b")) ((NIL NIL "c" "d")) ((NIL NIL "e" "f")) ((NIL NIL "g" "h"))'
            b' "<1@x>" "<2@x>")',
        ),
        (
            b"From: a@b\r\nSender: s@b\r\nReply-To: r@b\r\n",
            b'(NIL NIL ((NIL NIL "a" "b")) ((NIL NIL "s" "b")) ((NIL NIL "r" "b")) NIL NIL NIL NIL NIL)',
        ),
        (
            b"Subject: a\r\n\tb\r\n  c\r\nDate: first\r\nDate: second\r\nFrom: a@b\r\nFrom: c@d\r\nSender:\r\n"
            b"In-Reply-To:\r\n",
            b'("second" "a b c" ((NIL NIL "a" "b")(NIL NIL "c" "d")) ((NIL NIL "a" "b")(NIL NIL "c" "d"))'
            b' ((NIL NIL "a" "b")(NIL NIL "c" "d")) NIL NIL NIL "" NIL)',
        ),
        (b'Subject: say "hi" \\\r\n', b'(NIL "say \\"hi\\" \\\\" NIL NIL NIL NIL NIL NIL NIL NIL)'),
        (
            b"no field\r\nSubject: a\0b\rc\r\n",
            b"(NIL {7}\r\na\xef\xbf\xbdb c NIL NIL NIL NIL NIL NIL NIL NIL)",
        ),
        (
            b"Subject: a  b \t\r\n \r\nDate: c \r\n",
            b'("c " "a  b" NIL NIL NIL NIL NIL NIL NIL NIL)',
        ),
        (b"Subject: \xe4\r\n", b"(NIL {1}\r\n\xe4 NIL NIL NIL NIL NIL NIL NIL NIL)"),
    ],
)
def test_envelope(header: bytes, expected: bytes) -> None:
    """All ten members, raw; missing senders are From, several address fields are one list (RFC 9051 7.5.2)."""
    assert read_shape([header + b"\r\n"]).envelope == expected
