"""APPEND and REPLACE: RFC 9051 6.3.12, RFC 3502, RFC 4469, RFC 6855 4, RFC 8508."""

from __future__ import annotations

import pytest

from fedaemon.errors import BadSyntax
from fedaemon.imap.events import Command, CommandEnd, MessageLiteral
from fedaemon.imap.names import MailboxName
from fedaemon.imap.parse.append import AppendArguments, MessageStart, Part, Target, TextPart, UrlPart
from fedaemon.imap.parse.cursor import Cursor
from tests.imap.driving import drive

X = Target(MailboxName("x"))
PLAIN = MessageStart((), None, False, False)
CATENATED = MessageStart((), None, False, True)


def pieces(line: bytes) -> list[tuple[Part, ...]]:
    """Return the parts of each piece of an APPEND or REPLACE."""
    arguments = AppendArguments(replace=b"REPLACE" in line)
    found = []
    for event in drive([b"t " + line + b"\r\n"]):
        if isinstance(event, MessageLiteral):
            found.append(arguments.before_content(Cursor(event.command), binary=event.binary))
        elif isinstance(event, Command):
            found.append(arguments.end(Cursor(event)))
        elif isinstance(event, CommandEnd):
            found.append(arguments.end(Cursor(event.command)))
    return found


@pytest.mark.parametrize(
    ("line", "parts"),
    [
        (b"APPEND x {1+}\r\nm", [(X, PLAIN), ()]),
        (b"APPEND {1+}\r\nx {1+}\r\nm", [(X, PLAIN), ()]),
        (
            b'APPEND x (\\Seen) "25-Oct-1995 01:02:03 +0100" ~{1+}\r\nm (a) {1+}\r\nn',
            [
                (X, MessageStart((b"\\Seen",), 814579323, False, False)),
                (MessageStart((b"a",), None, False, False),),
                (),
            ],
        ),
        (b"APPEND x UTF8 (~{1+}\r\nm) {1+}\r\nn", [(X, MessageStart((), None, True, False)), (PLAIN,), ()]),
        (
            b'APPEND x CATENATE (URL "/a" TEXT {1+}\r\nm URL {2+}\r\n/b UTF8 (~{1+}\r\nn)) {1+}\r\no',
            [
                (X, CATENATED, UrlPart(b"/a"), TextPart(False)),
                (UrlPart(b"/b"), TextPart(True)),
                (PLAIN,),
                (),
            ],
        ),
        (b"APPEND x {1+}\r\nm  {1+}\r\nn", [(X, PLAIN), (PLAIN,), ()]),
        (b"APPEND x CATENATE (URL /a)", [(X, CATENATED, UrlPart(b"/a"))]),
        (b"UID REPLACE 5 x {1+}\r\nm", [(Target(MailboxName("x"), 5), PLAIN), ()]),
    ],
)
def test_the_parts_of_each_piece(line: bytes, parts: list[tuple[Part, ...]]) -> None:
    """What stands between contents is read once, in order."""
    assert pieces(line) == parts


@pytest.mark.parametrize(
    "line",
    [
        b"APPEND x", b"APPEND x y", b"APPEND x {1+}\r\nm ", b"APPEND x  {1+}\r\nm",
        b"APPEND x {1+}\r\nm   {1+}\r\nn", b"APPEND x {1+}\r\nm y", b"APPEND x UTF8 ({1+}\r\nm)",
        b"APPEND x UTF8 (~{1+}\r\nm", b"APPEND x CATENATE ({1+}\r\nm)", b"APPEND x CATENATE (TEXT {1+}\r\nm",
        b"APPEND x CATENATE ()", b"APPEND x y{1+}\r\nm", b"APPEND x (\\Recent) {1+}\r\nm",
        b'APPEND x "31-Feb-2026 00:00:00 +0000" {1+}\r\nm', b'APPEND x "1-Feb-2026 00:00:00 +9900" {1+}\r\nm',
        b"REPLACE 1:2 x {1+}\r\nm", b"REPLACE $ x {1+}\r\nm", b"REPLACE 5 x {1+}\r\nm {1+}\r\nn",
    ],
)  # fmt: skip
def test_what_is_not_in_the_grammar_is_refused(line: bytes) -> None:
    """Missing contents, broken parentheses, dates and flags that cannot be, more than one replacement."""
    with pytest.raises(BadSyntax):
        pieces(line)
