"""Hypothesis strategies for whole messages: well-formed ones made by the email package, and broken ones."""

from __future__ import annotations

from email.message import Message
from email.mime.message import MIMEMessage
from email.mime.multipart import MIMEMultipart
from email.mime.nonmultipart import MIMENonMultipart

from hypothesis import strategies as st

LINES = st.text("ab -=.<>", max_size=20)
BODIES = st.lists(LINES, max_size=6).map("\r\n".join)

_PIECES = (
    b"--a", b"--b", b"--a--", b"--b--", b"--", b"-", b"\r\n", b"\r\n", b"\r\n", b"\n", b"\r", b"\r\n\r\n", b" ",
    b"x",
    b"Content-Type: multipart/mixed; boundary=a", b"Content-Type: multipart/digest; boundary=b", b"Subject: s",
    b"Content-Type: message/rfc822", b"Content-Type: text/html", b"From: A <a@b>, c", b"\0", b"\xff", b":", b";",
    b"Content-Type: multipart/mixed; boundary=ab", b"--ab", b"Content-Transfer-Encoding: base64", b'"', b"(",
)  # fmt: skip
broken = st.lists(st.sampled_from(_PIECES), max_size=40).map(b"".join)
"""Pieces of MIME in any order."""


@st.composite
def _leaves(draw: st.DrawFn) -> Message:
    part = MIMENonMultipart(*draw(st.sampled_from((("text", "plain"), ("text", "html"), ("image", "png")))))
    part.set_payload(draw(BODIES))
    return part


@st.composite
def _multiparts(draw: st.DrawFn, children: st.SearchStrategy[Message]) -> Message:
    parts = draw(st.lists(children, min_size=1, max_size=4))
    return MIMEMultipart("mixed", None, parts)


@st.composite
def _enclosed(draw: st.DrawFn, children: st.SearchStrategy[Message]) -> Message:
    inner = draw(children)
    inner["Subject"] = "enclosed"
    return MIMEMessage(inner)


def _with_boundaries(message: Message) -> Message:
    for number, part in enumerate(message.walk()):
        if part.get_content_maintype() == "multipart":
            part.set_boundary(f"b{number:04}")
    return message


well_formed = st.recursive(
    _leaves(), lambda children: st.one_of(_multiparts(children), _enclosed(children)), max_leaves=8
).map(_with_boundaries)
"""Trees of parts; ``as_bytes(policy=SMTP_POLICY)`` makes octets of them."""
