"""What SEARCH, SORT and THREAD compare, and the preview."""

from __future__ import annotations

import pytest

from fedaemon.message.mime.shape import read_shape
from fedaemon.message.mime.subject import base_subject
from fedaemon.message.mime.texts import MAX_REFERENCES, Texts


def texts(header: bytes) -> Texts:
    return read_shape([header + b"\r\n"]).texts


@pytest.mark.parametrize(
    ("subject", "base", "is_reply"),
    [
        ("hello", "hello", False),
        ("  a \t b  ", "a b", False),
        ("re: hello", "hello", True),
        ("re[2]: fwd: fw : hello", "hello", True),
        ("[list] re: [list] hello", "hello", True),
        ("[list] hello", "hello", False),
        ("[list]", "[list]", False),
        ("[a] [b]", "[b]", False),
        ("hello (fwd) (fwd)", "hello", True),
        ("[fwd: re: hello (fwd)]", "hello", True),
        ("[fwd: hello", "[fwd: hello", False),
        ("re: ", "", True),
        ("reply: x", "reply: x", False),
        ("", "", False),
    ],
)
def test_base_subject(subject: str, base: str, is_reply: bool) -> None:
    """Leaders, trailers, blobs and [fwd: ] go (RFC 5256 2.1)."""
    assert base_subject(subject) == (base, is_reply)


def test_texts_are_decoded_and_folded() -> None:
    """Encoded words, raw UTF-8 and case; all fields of a name."""
    found = texts(
        b"Subject: =?utf-8?q?GR=C3=9C=C3=9FE?=\r\nFrom: =?iso-8859-1?q?J=D6RG?= <J@X>\r\nTo: A@B\r\nTo: C@D\r\n"
        b"Cc: \xc3\x84 <e@f>\r\nBcc: G@H\r\n"
    )
    assert found.subject == "grüsse"
    assert found.addresses_from == "jörg <j@x>"
    assert (found.addresses_to, found.addresses_cc, found.addresses_bcc) == ("a@b, c@d", "ä <e@f>", "g@h")


def test_sort_keys_are_of_the_first_address() -> None:
    """Mailbox for FROM, TO and CC; name or address for display; of a group its name (RFC 5256 3, RFC 5957 3)."""
    found = texts(b"From: =?utf-8?q?=C3=9Cwe?= <X@Y>, z@z\r\nTo: Zed@Example.org\r\nCc: Team: a@b;\r\n")
    assert (found.sort_from, found.display_from) == ("x", "üwe")
    assert (found.sort_to, found.display_to) == ("zed", "zed@example.org")
    assert found.sort_cc == "team"
    assert (texts(b"").sort_from, texts(b"").display_to) == ("", "")
    assert texts(b"To: Team:;\r\n").display_to == "team"


def test_dates_and_identifiers() -> None:
    """The Date as seconds, or nothing; identifiers without brackets, of References the last ones."""
    many = b" ".join(b"<%d@x>" % number for number in range(MAX_REFERENCES + 1))
    found = texts(
        b"Date: Tue, 01 Jul 2025 10:00:00 +0200\r\nMessage-ID: junk <A@b>\r\n"
        b"In-Reply-To: Your mail <c@d> of <e@f>\r\nReferences: " + many + b"\r\n"
    )
    assert (found.sent_s, found.zone_min) == (1_751_356_800, 120)
    assert texts(b"Date: Tue, 01 Jul 2025 10:00:00 -0330\r\n").zone_min == -210
    assert texts(b"Date: Tue, 01 Jul 2025 10:00:00 EST\r\n").zone_min == -300
    assert texts(b"Date: yesterday +0200\r\n").zone_min == 0
    assert (found.message_id, found.in_reply_to) == ("A@b", ("c@d", "e@f"))
    assert (found.references[0], found.references[-1]) == ("1@x", f"{MAX_REFERENCES}@x")
    assert (texts(b"Date: yesterday\r\nMessage-ID: x\r\n").sent_s, texts(b"").message_id) == (None, "")


HTML = b"Content-Type: text/html; charset=utf-8\r\n"
PLAIN = b"Content-Type: text/plain\r\n"


def multipart(*parts: bytes) -> bytes:
    return b"Content-Type: multipart/mixed; boundary=a\r\n\r\n" + b"".join(
        [b"--a\r\n" + part + b"\r\n" for part in parts]
    )


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (b"\r\nHello,\r\n\r\n  you\tthere\r\n", "Hello, you there"),
        (b"\r\n" + b"word " * 100, ("word " * 40).strip()),
        (b"Content-Transfer-Encoding: base64\r\n\r\nSGVs\r\nbG8=", "Hello"),
        (b"Content-Transfer-Encoding: base64\r\n\r\nSGVsbG8h=A", "Hello!"),
        (b"Content-Transfer-Encoding: base64\r\n\r\nSGVsb", "Hel"),
        (b"Content-Transfer-Encoding: quoted-printable\r\n\r\nGr=C3=BC=\r\n=C3=9Fe", "Grüße"),
        (b"Content-Type: text/plain; charset=iso-8859-1\r\n\r\nGr\xfc\xdfe", "Grüße"),
        (b"Content-Type: text/plain; charset=us-ascii\r\n\r\nGr\xc3\xbc\xc3\x9fe", "Grüße"),
        (b"Content-Type: text/plain; charset=no-such\r\n\r\nabc\xff", "abc"),
        (HTML + b"\r\n<head><title>T</title></head><STYLE>p {}</style ><p>1 &lt; 2<br>ab<!-- c --></p>&nbsp;",
         "1 < 2 ab"),
        (HTML + b"\r\n<style>" + b"p {} " * 1_000 + b"</style><b>late</b>", "late"),
        (HTML + b"\r\n" + b"<p>word</p>" * 2_000, ("word " * 40).strip()),
        (HTML + b"\r\n<script>open", ""),
        (b"Content-Type: image/png\r\n\r\nabc", ""),
        (multipart(HTML + b"\r\nhtml", PLAIN + b"\r\nplain", PLAIN + b"\r\nsecond"), "plain"),
        (multipart(PLAIN + b"\r\n  ", HTML + b"\r\nhtml"), ""),
        (multipart(HTML + b"\r\n<p>html", PLAIN + b"Content-Disposition: attachment\r\n\r\nfile"), "html"),
        (multipart(b"Content-Type: message/rfc822\r\n\r\nSubject: s\r\n\r\ninner"), "inner"),
        (b"\r\na\0b\x1b\xe2\x80\xaec", "a b c"),
    ],
)  # fmt: skip
def test_preview(message: bytes, expected: str) -> None:
    """The first readable words (RFC 8970 3.1)."""
    assert read_shape([message]).preview == expected
