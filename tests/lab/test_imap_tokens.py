"""The reader of answers takes the grammar and nothing else."""

from __future__ import annotations

import io

import pytest

from tests.lab.imap_tokens import ImapError, Response, Token, pairs, parse, read_response


@pytest.mark.parametrize(
    ("octets", "tokens"),
    [
        (b"", None),
        (b'a "a" 7 "7" NIL "NIL"', ["a", b"a", 7, b"7", None, b"NIL"]),
        (b'("a\\"\\\\" ())((b) c)', None),
        (b'(("a\\"\\\\" ())((b) c))', [[[b'a"\\', []], [["b"], "c"]]]),
        (b"{5}\r\na\r\n b ~{2}\r\n\0) x", [b"a\r\n b", b"\0)", "x"]),
        (b'BODY[HEADER.FIELDS (To "X")]<0> \\Seen \\*', ['BODY[HEADER.FIELDS (To "X")]<0>', "\\Seen", "\\*"]),
        (b"a  b", None),
        (b"(a b", None),
        (b"a)", None),
        (b'"a\\b"', None),
        (b'"\xc3\xbc"', None),
        (b"{1}\r\n\0", None),
        (b"{9}\r\na", None),
        (b"\xff", None),
    ],
)
def test_tokens(octets: bytes, tokens: list[Token] | None) -> None:
    """Each kind keeps its type; None stands for octets that are refused."""
    if tokens is None:
        with pytest.raises(ImapError):
            parse(octets)
    else:
        assert parse(octets) == tokens


@pytest.mark.parametrize(
    ("octets", "response"),
    [
        (b"* 5 exists\r\n", Response("*", "EXISTS", 5, [])),
        (b"* 1 FETCH (UID 2 X {1}\r\na)\r\n", Response("*", "FETCH", 1, [["UID", 2, "X", b"a"]])),
        (b"t1 OK [UIDNEXT 3] all {3}\r\n", Response("t1", "OK", None, ["UIDNEXT", 3], b"all {3}")),
        (b"* BYE so long\r\n", Response("*", "BYE", None, [], b"so long")),
        (b"+ go on\r\n", Response("+", "", None, [], b"go on")),
    ],
)
def test_responses(octets: bytes, response: Response) -> None:
    """Text for people is not read as tokens, what is in brackets before it is."""
    assert read_response(io.BytesIO(octets)) == response


@pytest.mark.parametrize("octets", [b"", b"* OK\r\n", b"* 5 EXISTS\n", b"* 5\r\n", b"* OK a\0b\r\n"])
def test_broken_responses(octets: bytes) -> None:
    """No text, no CRLF, no name, NUL, or nothing at all."""
    with pytest.raises(ImapError):
        read_response(io.BytesIO(octets))


def test_items_come_once() -> None:
    """A list of pairs has names, and none twice."""
    assert pairs(["flags", [], "UID", 1]) == {"FLAGS": [], "UID": 1}
    wrongs: list[Token] = [["UID"], ["UID", 1, "uid", 2], [b"UID", 1], 7]
    for wrong in wrongs:
        with pytest.raises(ImapError):
            pairs(wrong)
