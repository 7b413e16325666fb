"""The mailbox that searches are compared in: the same forty messages in both servers."""

from __future__ import annotations

from base64 import b64encode, encodebytes
from dataclasses import dataclass
from quopri import encodestring
from random import Random
from typing import Final

from tests.interop.imap_sides import Side, ok
from tests.lab.imap_client import Literal

SUBJECTS: Final = (
    "kiwi", "Re: kiwi", "Re: Re: [fruit] kiwi", "Fwd: kiwi (fwd)", "[fruit] Re: Kiwi", "pear tree", "Äpfel", "",
    "[x]", "re: äpfel", "quince  jam", "100% a_b",
)  # fmt: skip
PEOPLE: Final = (
    "Ann <ann@x.test>", "bob@y.test", '"Carl, Jr." <carl@x.test>', "Änne <aenne@z.test>", "ANN <Ann@X.test>",
    "zoe@a.test (Zoe)", "Friends: bob@y.test, ann@x.test;",
)  # fmt: skip
DATES: Final = (
    "Mon, 13 Nov 2023 23:30:00 +0000", "Tue, 14 Nov 2023 00:30:00 +0000", "Mon, 13 Nov 2023 23:30:00 -0800",
    "Tue, 14 Nov 2023 00:30:00 +1400", "15 Nov 2023 00:00:00 GMT", "Wed, 15 Nov 2023 12:00 EST", "not a date", "",
)  # fmt: skip
ARRIVED: Final = (
    "13-Nov-2023 23:59:59 +0000", "14-Nov-2023 00:00:00 +0000", "14-Nov-2023 00:30:00 +0200",
    "13-Nov-2023 22:00:00 -0800", "15-Nov-2023 12:00:00 +0000", " 1-Jan-2001 00:00:00 +0000",
)  # fmt: skip
FLAGS: Final = (
    "\\Seen", "\\Answered", "\\Flagged", "\\Deleted", "\\Draft", "$Junk", "word",
    *[f"k{number}" for number in range(9)],
)  # fmt: skip
BODIES: Final = (
    "kiwi",
    "Grüße an Änne",
    "pear\r\nkiwi",
    "a=b 100%",
    "quince " * 20,
    "ÄPFEL",
    "",
    "<b>kiwi</b>nut",
)
CHARSETS: Final = ("utf-8", "iso-8859-1", "windows-1252", "utf-16")
COUNT: Final = 40
ENCLOSED: Final = (
    b"Content-Type: message/rfc822\r\n\r\nSubject: inner =?utf-8?q?=C3=84pfel?=\r\n"
    b"From: zoe@in.test\r\n\r\nwithin\r\n"
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Kept:
    """A message, its flags, and when it arrived."""

    message: bytes
    flags: tuple[str, ...]
    arrived: str


def kept_messages() -> list[Kept]:
    """Return the messages, the same ones each time."""
    random = Random(13)
    made = [_message(random, number) for number in range(COUNT)]
    return [
        Kept(message, tuple(sorted(random.sample(FLAGS, random.randrange(5)))), random.choice(ARRIVED))
        for message in made
    ]


def fill(side: Side) -> None:
    """Append the messages to the INBOX of a server, and select it."""
    for kept in kept_messages():
        options = f'APPEND INBOX ({" ".join(kept.flags)}) "{kept.arrived}" '
        ok(side, options.encode(), Literal(kept.message))
    ok(side, b"SELECT INBOX")


def _message(random: Random, number: int) -> bytes:
    fields = [("Message-ID", f"<{number}@x.test>")]
    earlier = [f"<{random.randrange(number)}@x.test>" for _ in range(random.randrange(3) if number else 0)]
    if earlier:
        fields.append(random.choice([("References", " ".join(earlier)), ("In-Reply-To", earlier[0])]))
    fields.append(("Subject", _header_text(random, random.choice(SUBJECTS))))
    for name in ("From", "To", "Cc", "Bcc"):
        if random.random() < 0.7:
            people = random.sample(PEOPLE, random.randrange(1, 3))
            fields.append((name, ", ".join([_header_text(random, each) for each in people])))
    date = random.choice(DATES)
    if date:
        fields.append(("Date", date))
    if random.random() < 0.4:
        fields.append(("X-Word", random.choice(("", "kiwi", "Pear"))))
    header = "".join(f"{name}: {value}\r\n" for name, value in fields).encode()
    body = _entity(random)
    if random.random() < 0.4:
        parts = [body, _entity(random), b"Content-Type: image/png\r\n\r\nhidden kiwi"]
        if number % 2:
            parts.append(ENCLOSED)
        inside = b"".join([b"--limit\r\n" + part + b"\r\n" for part in parts])
        body = b"Content-Type: multipart/mixed; boundary=limit\r\n\r\n" + inside + b"--limit--\r\n"
    return header + b"MIME-Version: 1.0\r\n" + body


def _header_text(random: Random, text: str) -> str:
    """Return text with its words that are not ASCII encoded; an ASCII one is at times, too."""
    encoded = [
        f"=?utf-8?b?{b64encode(word.encode()).decode()}?="
        if not word.isascii() or (word.isalpha() and random.random() < 0.2)
        else word
        for word in text.split(" ")
    ]
    return " ".join(encoded)


def _entity(random: Random) -> bytes:
    text = random.choice(BODIES)
    charset = random.choice(CHARSETS)
    octets = text.encode(charset)
    header = f"Content-Type: text/{random.choice(('plain', 'html'))}; charset={charset}\r\n".encode()
    if charset == "utf-16" or random.random() < 0.4:
        encoded = encodebytes(octets).replace(b"\n", b"\r\n")
        return header + b"Content-Transfer-Encoding: base64\r\n\r\n" + encoded
    if random.random() < 0.4:
        quoted = encodestring(octets.replace(b"\r\n", b"\n")).replace(b"\n", b"\r\n")
        return header + b"Content-Transfer-Encoding: quoted-printable\r\n\r\n" + quoted
    return header + b"Content-Transfer-Encoding: 8bit\r\n\r\n" + octets
