"""Hypothesis strategies for messages as real mail has them, and as it has them when something went wrong.

Why: ``tests/message/mime/mails.py`` makes any structure of a few types; here are types, charsets, encodings and
fields, so that what is decoded and searched is compared, too.
Standards: RFC 5322 (headers), RFC 2045, RFC 2046 (MIME), RFC 2047 (encoded words), RFC 2231 (parameters).
Invariants: lines end in CRLF, no octet is NUL; base64 is undamaged, since Dovecot closes the connection over it.
"""

from __future__ import annotations

from base64 import b64encode, encodebytes
from quopri import encodestring
from typing import Final

from hypothesis import strategies as st

WORDS: Final = ("kiwi", "Äpfel", "quince", "grüße", "e", "pear tree", "100%", "кот", "a=b", "x" * 90)
CHARSETS: Final = ("us-ascii", "utf-8", "iso-8859-1", "windows-1251", "iso-2022-jp", "x-unknown")
ENCODINGS: Final = ("", "7bit", "8bit", "binary", "base64", "quoted-printable", "Base64", "QUOTED-PRINTABLE")
NAMES: Final = ("Ann", '"B, Ob"', "=?utf-8?q?=C3=84nne?=", "=?iso-8859-1?b?xG5uZQ==?=", "")
ADDRESSES: Final = ("a@x.test", "B@X.test", '"odd one"@x.test', "c@[192.0.2.1]")
DATES: Final = (
    "Mon, 13 Nov 2023 23:30:00 +0000", "Tue, 14 Nov 2023 00:30:00 +0000", "Mon, 13 Nov 2023 23:30:00 -0800",
    "Tue, 14 Nov 2023 00:30:00 +1400", "14 Nov 2023 00:00:00 GMT", "Tue, 14 Nov 2023 00:30 EST",
)  # fmt: skip
TYPES: Final = (
    "text/plain", "text/html", "TEXT/Enriched", "image/png", "application/octet-stream",
    "message/delivery-status", "text/plain; format=flowed", 'application/pdf; name="a b.pdf"',
    "image/png; name*=utf-8''%e2%82%ac.png", "image/png; name*0=a; name*1=b", "text/rfc822-headers",
)  # fmt: skip

texts = st.lists(st.lists(st.sampled_from(WORDS), max_size=4).map(" ".join), max_size=4).map("\r\n".join)


def _octets(text: str, charset: str) -> bytes:
    return text.encode("utf-8" if charset == "x-unknown" else charset, "replace")


def _encoded(octets: bytes, encoding: str) -> bytes:
    match encoding.lower():
        case "base64":
            return encodebytes(octets).replace(b"\n", b"\r\n")
        case "quoted-printable":
            return encodestring(octets.replace(b"\r\n", b"\n")).replace(b"\n", b"\r\n")
    return octets


@st.composite
def leaves(draw: st.DrawFn) -> bytes:
    """Return an entity without parts."""
    kind, encoding = draw(st.sampled_from(TYPES)), draw(st.sampled_from(ENCODINGS))
    charset = draw(st.sampled_from(CHARSETS))
    header = f"Content-Type: {kind}" + (f"; charset={charset}" if kind.lower().startswith("text/") else "")
    if encoding:
        header += f"\r\nContent-Transfer-Encoding: {encoding}"
    header += draw(
        st.sampled_from(
            ("", "\r\nContent-Disposition: attachment; filename=a.bin", "\r\nContent-ID: <c@x.test>")
        )
    )
    return header.encode() + b"\r\n\r\n" + _encoded(_octets(draw(texts), charset), encoding)


@st.composite
def multiparts(draw: st.DrawFn, children: st.SearchStrategy[bytes]) -> bytes:
    """Return an entity with parts, its delimiters sometimes wrong."""
    boundary = draw(st.sampled_from((b"bb", b"=_b 1", b"b", b"bb--x")))
    subtype = draw(st.sampled_from((b"mixed", b"alternative", b"digest", b"related; type=text/html")))
    octets = b'Content-Type: multipart/%b; boundary="%b"\r\n\r\n' % (subtype, boundary)
    octets += draw(st.sampled_from((b"", b"kiwi before\r\n", b"\r\n")))
    for child in draw(st.lists(children, max_size=3)):
        wrong = draw(st.sampled_from((b"",) * 9 + (b" ", b"x", b"-")))
        octets += b"--%b%b\r\n%b\r\n" % (boundary, wrong, child)
    end = draw(st.sampled_from((b"--%b--\r\n",) * 5 + (b"", b"--%b--", b"--%b--\r\npear after\r\n")))
    return octets + (end % boundary if end else b"")


@st.composite
def headers(draw: st.DrawFn) -> bytes:
    """Return the fields of a message, with CRLF behind each."""
    fields = {"Date": draw(st.sampled_from(DATES))}
    for name in draw(st.sets(st.sampled_from(("From", "To", "Cc", "Bcc", "Reply-To", "Sender")))):
        fields[name] = draw(_addresses)
    fields["Subject"] = draw(_unstructured)
    octets = "".join(f"{name}: {value}\r\n" for name, value in fields.items()).encode()
    return octets + draw(
        st.sampled_from(
            (b"", b"X-Long: %b\r\n" % (b"y" * 3000), b"X-Raw: gr\xfc\xdfe\r\n", b"List-Id: <kiwi.x.test>\r\n")
        )
    )


_mailboxes = st.tuples(st.sampled_from(NAMES), st.sampled_from(ADDRESSES)).map(
    lambda pair: f"{pair[0]} <{pair[1]}>" if pair[0] else pair[1]
)
_addresses = st.one_of(
    st.lists(_mailboxes, min_size=1, max_size=3).map(",\r\n ".join),
    st.lists(_mailboxes, max_size=2).map(lambda members: f"A Group: {', '.join(members)};"),
)
_unstructured = st.one_of(
    st.lists(st.sampled_from(("Re:", "kiwi", "pear", "[list]", "(fwd)")), max_size=3).map(" ".join),
    st.sampled_from(WORDS).map(lambda word: f"=?utf-8?b?{b64encode(word.encode()).decode()}?="),
    st.just("folded\r\n subject"),
)
entities = st.recursive(
    leaves(),
    lambda children: st.one_of(
        multiparts(children),
        st.tuples(headers(), children).map(
            lambda both: b"Content-Type: message/rfc822\r\n\r\n" + b"".join(both)
        ),
    ),
    max_leaves=5,
)
"""Trees of parts, each beginning with its Content- fields."""
messages = st.tuples(headers(), entities).map(lambda both: both[0] + b"MIME-Version: 1.0\r\n" + both[1])
"""Whole messages."""
