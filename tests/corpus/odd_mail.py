"""Messages by name, well-formed, odd and broken, for all that reads mail: lines end in CRLF, no octet is NUL.

Why: each is a form that stored mail really has, small enough to be understood where a comparison fails.
Standards: RFC 5322 (headers), RFC 2045, RFC 2046 (MIME), RFC 2047 (encoded words), RFC 2231 (parameters).
"""

from __future__ import annotations

from typing import Final

_PARTS: Final = (
    b"--a\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
    b"Gr\xc3\xbc\xc3\x9fe\r\n"
    b"--a\r\nContent-Type: text/html\r\n\r\n<p>hi</p>\r\n"
)
_MIXED: Final = b"Content-Type: multipart/mixed; boundary=a\r\n\r\n"
_INNER: Final = b"From: in@x.test\r\nSubject: inner\r\nDate: Tue, 01 Jul 2025 10:00:00 +0000\r\n\r\nbody\r\n"
_FORWARD: Final = b"Content-Type: message/rfc822\r\n\r\n"
_FROM: Final = b"From: A Person <a@x.test>\r\n"


def _field(name: bytes, value: bytes) -> bytes:
    return b"MIME-Version: 1.0\r\n%b: %b\r\nSubject: s\r\n\r\nx\r\n" % (name, value)


def _nested(depth: int) -> bytes:
    """Return multiparts in each other, the innermost with one text."""
    head, tail = b"", b""
    for level in range(depth):
        head += b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (level, level)
        tail = b"--b%d--\r\n" % level + tail
    return head + b"\r\nx\r\n" + tail


STRUCTURES: Final[dict[str, bytes]] = {
    "empty": b"",
    "one line end": b"\r\n",
    "header only": b"Subject: s\r\nFrom: a@x.test\r\n",
    "header without line end": b"Subject: s",
    "header and empty line": b"Subject: s\r\n\r\n",
    "no header": b"\r\nonly a body\r\n",
    "text that is no header": b"this is no header\r\n\r\nbody\r\n",
    "mbox line first": b"From a@x.test Tue Jul  1 10:00:00 2025\r\nSubject: s\r\n\r\nx\r\n",
    "body without line end": b"Subject: s\r\n\r\nx",
    "mixed": _MIXED + _PARTS + b"--a--\r\n",
    "missing end": _MIXED + _PARTS,
    "no line end at the end": _MIXED + _PARTS + b"--a--",
    "preamble and epilogue": _MIXED + b"pre\r\n\r\n" + _PARTS + b"--a--\r\nepi\r\n",
    "no delimiter": _MIXED + b"text\r\n",
    "no body": _MIXED,
    "only the end": _MIXED + b"--a--\r\n",
    "end twice": _MIXED + _PARTS + b"--a--\r\n--a--\r\n",
    "parts after the end": _MIXED + _PARTS + b"--a--\r\n" + _PARTS,
    "empty parts": _MIXED + b"--a\r\n--a\r\n\r\n--a\r\n\r\n\r\n--a--\r\n",
    "part without empty line": _MIXED + b"--a\r\nContent-Type: text/html\r\n--a--\r\n",
    "part of text without header": _MIXED + b"--a\r\nno header\r\n--a--\r\n",
    "blanks after delimiters": _MIXED + b"--a \t\r\n\r\nx\r\n--a--\t \r\n",
    "delimiter with a tail": _MIXED + b"--a\r\n\r\nx\r\n--ab\r\n\r\ny\r\n--a--\r\n",
    "no boundary parameter": b"Content-Type: multipart/mixed\r\n\r\n--a\r\n\r\nx\r\n--a--\r\n",
    "boundary with blanks": b'Content-Type: multipart/mixed; boundary="a b"\r\n\r\n--a b\r\n\r\nx\r\n--a b--\r\n',
    "boundary with an end": b'Content-Type: multipart/mixed; boundary="a--"\r\n\r\n--a--\r\n\r\nx\r\n--a----\r\n',
    "bare delimiters": _MIXED + b"--\r\n--\r\n--a\r\n\r\n--\r\n--a--\r\n",
    "same boundary inside": _MIXED + b"--a\r\n" + _MIXED + b"--a\r\n\r\nx\r\n--a--\r\n--a--\r\n",
    "inner without end": _MIXED + b"--a\r\nContent-Type: multipart/x; boundary=b\r\n\r\n--b\r\n\r\nx\r\n--a--\r\n",
    "nested five deep": _nested(5),
    "nested thirty deep": _nested(30),
    "alternative in related in mixed": _MIXED
    + b"--a\r\nContent-Type: multipart/related; boundary=r; type=\"text/html\"\r\n\r\n--r\r\n"
    + b"Content-Type: multipart/alternative; boundary=l\r\n\r\n--l\r\n\r\nx\r\n--l\r\n"
    + b"Content-Type: text/html\r\n\r\n"
    + b"y\r\n--l--\r\n--r\r\nContent-Type: image/png\r\nContent-ID: <i@x.test>\r\n\r\nz\r\n--r--\r\n--a--\r\n",
    "forwarded": _FORWARD + _INNER,
    "forwarded in mixed": _MIXED + b"--a\r\n" + _FORWARD + _INNER + b"--a--\r\n",
    "forwarded twice": _FORWARD + _FORWARD + _INNER,
    "forwarded mixed": _FORWARD + _FROM + _MIXED + _PARTS + b"--a--\r\n",
    "forwarded nothing": _FORWARD,
    "forwarded header only": _MIXED + b"--a\r\n" + _FORWARD + b"Subject: in\r\n--a--\r\n",
    "digest": b"Content-Type: multipart/digest; boundary=a\r\n\r\n--a\r\n\r\n" + _INNER + b"--a\r\n\r\n" + _INNER
    + b"--a\r\nContent-Type: text/plain\r\n\r\nx\r\n--a--\r\n",
    "report": b"Content-Type: multipart/report; report-type=delivery-status; boundary=a\r\n\r\n--a\r\n\r\nx\r\n"
    b"--a\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; x.test\r\n\r\nAction: failed\r\n"
    b"--a\r\nContent-Type: text/rfc822-headers\r\n\r\nSubject: s\r\n--a--\r\n",
    "partial": b"Content-Type: message/partial; id=a; number=1; total=2\r\n\r\nSubject: s\r\n\r\nx\r\n",
}  # fmt: skip
"""What parts a message has."""

FIELDS: Final[dict[str, bytes]] = {
    f"{name.decode()}: {value.decode('latin-1')}": _field(name, value)
    for name, values in {
        b"Content-Type": (
            b"TEXT/HTML; CharSet=ISO-8859-1", b"text/plain; charset=unknown-8bit", b"text/plain; charset=",
            b"text/plain; charset=\"\"", b"text", b"/", b"text/", b"text/plain; format=flowed; delsp=yes",
            b"text/plain; name=a b c", b"image/png; name=\"a\\\"b\\\\c\"", b"image/png; name=\xfc.png",
            b"image/png; name=\"=?utf-8?q?a?=\"", b"image/png; name*=utf-8''%e2%82%ac.png",
            b"image/png; name*0=\"a\"; name*1=\"b\"", b"image/png; name*0*=utf-8''a%20; name*1=b",
            b"image/png;name=a;;x=1", b"image/png (c); (d) name=a", b"image/png; name=\"a", b"image/png; name",
            b"image/png; name=a; name=b", b"application/x-\xfc; x=1", b"text/plain; charset=us-ascii; x=(c)1",
            b"application/octet-stream;\r\n name=\"folded\r\n value\"",
            b"text/plain; charset=utf-8; charset=latin1",
        ),
        b"Content-Transfer-Encoding": (b"base64", b"Quoted-Printable (c)", b"8bit;", b"", b"x y", b"\"7bit\""),
        b"Content-Disposition": (
            b"inline", b"attachment; filename=\"a b.txt\"; size=3", b"attachment; filename*=utf-8''%c3%bc",
            b"", b"; filename=a", b"attachment; filename=a b", b"Attachment;filename=a;",
        ),
        b"Content-Language": (b"en", b"en, de", b"", b"en (english), de", b"en,,de", b"i-klingon;x"),
        b"Content-Location": (b"http://x.test/a", b"a\r\n b"),
        b"Content-ID": (b"<a@x.test>", b"a", b""), b"Content-Description": (b"=?utf-8?q?a?=", b"\xfc", b"a  b"),
        b"Content-MD5": (b"Q2hlY2sgSW50ZWdyaXR5IQ==",),
        b"Date": (b"Tue, 01 Jul 2025 10:00:00 +0000", b"yesterday", b"", b"1 Jan 70 1:2 EST", b"\xff"),
        b"Message-ID": (b"<a@x.test>", b"a@x.test", b"", b"<a@x.test> <b@x.test>", b"<a\r\n @x.test>"),
        b"In-Reply-To": (b"<a@x.test>\r\n <b@x.test>", b"Your message of Tuesday", b""),
        b"From": (
            b"a@x.test", b"A Person <a@x.test>", b"\"Person, A.\" <a@x.test>", b"a@x.test (A Person)",
            b"=?utf-8?q?M=C3=BCller?= <a@x.test>", b"=?utf-8?q?M?=\r\n =?utf-8?q?u?= <a@x.test>",
            b"M\xfcller <m@x.test>", b"a@x.test, b@x.test", b"<a@x.test>", b"A <@r.test,@s.test:a@x.test>",
            b"A.B. Person <a@x.test>", b"\"a b\"@x.test", b"a@[192.0.2.1]", b"a@x.test b@x.test", b"a", b"<>", b"",
            b"<a@x.test", b"A <a@x.test> B", b"A <a@x.test>, B", b"a@x.test,", b",a@x.test", b"a@x.test;b@x.test",
            b"A \"B\" C <a@x.test>", b"(c) A <a@x.test> (d)", b"A <a@x.test(c)>", b"a@x@y.test", b"A <<a@x.test>>",
            b"\"A\" \"B\" <a@x.test>", b"\"a\\\"b\" <a@x.test>", b"'A' <'a@x.test'>", b"A <a @ x.test>",
            b"A@B <a@x.test>", b"a@x.test <a@x.test>", b"A <mailto:a@x.test>",
        ),
        b"To": (
            b"undisclosed-recipients:;", b"G: a@x.test, B <b@x.test>;", b"G: a@x.test;, c@x.test",
            b"\"G H\": a@x.test;", b"G:", b"G: a@x.test", b":;", b"G:;,H:;",
            b", ".join(b"p%d <p%d@x.test>" % (n, n) for n in range(300)), b"x" * 3000 + b"@x.test",
        ),
        b"Reply-To": (b"r@x.test", b"", b"R:;"), b"Sender": (b"s@x.test", b"", b"nonsense"),
        b"Cc": (b"a@x.test,\r\n b@x.test",), b"Bcc": (b"hidden@x.test",),
        b"X-Long": (b"y" * 20_000, b"\r\n ".join([b"z" * 60] * 500)),
    }.items()
    for value in values
}  # fmt: skip
"""One field each, and a subject; a name is the field itself."""

HEADERS: Final[dict[str, bytes]] = {
    "two From": b"From: a@x.test\r\nFrom: b@x.test\r\n\r\nx\r\n",
    "two of all": b"Subject: a\r\nSubject: b\r\nDate: c\r\nDate: d\r\nMessage-ID: <e>\r\nMessage-ID: <f>\r\n"
    b"To: g@x.test\r\nTo: h@x.test\r\nIn-Reply-To: <i>\r\nIn-Reply-To: <j>\r\n\r\n",
    "two Content-Type": b"Content-Type: text/html\r\nContent-Type: text/css\r\n\r\nx\r\n",
    "no MIME-Version": b"Content-Disposition: inline\r\nContent-ID: <a@x.test>\r\n\r\nx\r\n",
    "two encodings": b"MIME-Version: 1.0\r\nContent-Transfer-Encoding: 8bit\r\n"
    b"Content-Transfer-Encoding: base64\r\n\r\n",
    "subject in 8 bits": b"Subject: Gr\xfc\xdfe\r\n\r\n",
    "subject of blanks": b"Subject:   \r\n\r\n",
    "empty subject": b"Subject:\r\n\r\n",
    "long subject": b"Subject: " + b"word " * 2000 + b"\r\n\r\n",
    "folded subject": b"Subject: a\r\n b\r\n\tc\r\n   d\r\n\r\n",
    "folded at once": b"Subject:\r\n a\r\n\r\n",
    "folded with nothing": b"Subject: a\r\n \r\n b\r\n\r\n",
    "blank before the colon": b"Subject : a\r\nFrom\t: a@x.test\r\n\r\n",
    "continuation first": b" a\r\nSubject: s\r\n\r\nx\r\n",
    "no colon between": b"Subject: s\r\nno colon\r\nFrom: a@x.test\r\n\r\nx\r\n",
    "no name": b": a\r\nSubject: s\r\n\r\n",
    "quotes in the subject": b'Subject: say "hi" \\ \r\n\r\n',
    "names in capitals": b"SUBJECT: s\r\nFROM: a@x.test\r\n\r\n",
}  # fmt: skip
"""The header as a whole."""
