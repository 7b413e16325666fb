"""Threat: input that is made to cost far more than its size.

Two measures, neither a clock. Steps: lines of our Python code executed, which must no more than double when
the input doubles. Size: inputs on which a regular expression that tries shorter runs would need hours; these
tests do not fail when one creeps in, they never end.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Any

import pytest

from fedaemon.errors import BadSyntax
from fedaemon.message.address import parse_address, parse_forward_path, parse_reverse_path
from fedaemon.message.date import parse_date
from fedaemon.message.encoded_word import decode, encode
from fedaemon.message.header import Header, end_of_header, write_field
from fedaemon.message.mailboxes import parse_mailboxes
from fedaemon.message.message_id import is_message_id
from fedaemon.message.xtext import original_recipient


def header(data: bytes) -> object:
    return Header.parse(data, max_octets=1 << 24, max_fields=1 << 24)


def attempt(function: Callable[[bytes], object], data: bytes) -> None:
    with suppress(BadSyntax):
        function(data)


def steps(function: Callable[[bytes], object], data: bytes) -> int:
    """Count the lines of Python code that *function* executes for *data*."""
    count = 0

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        attempt(function, data)
    finally:
        sys.settrace(before)
    return count


READERS: list[tuple[Callable[[bytes], object], bytes, bytes]] = [
    (parse_mailboxes, b"\xc3\xa9@b.c,", b""),
    (parse_mailboxes, b"w ", b"\xc3\xa9"),
    (parse_mailboxes, b"(", b""),
    (parse_mailboxes, b"()", b""),
    (parse_mailboxes, b"(x)a@b.c,", b""),
    (parse_mailboxes, b"G:a@b.c;,", b""),
    (parse_mailboxes, b"=?utf-8?q?x?= ", b"<a@b.c>"),
    (parse_mailboxes, b".a", b"@b"),
    (parse_mailboxes, b"=?a", b"@b.c"),
    (header, b"A: b\r\n", b""),
    (header, b"A: b\r\n", b"x"),
    (header, b" c\r\n", b""),
    (decode, b"=?utf-8?q?x?= ", b""),
    (decode, b"=?utf-8?q?", b""),
    (decode, b"=?x?= =?utf-8?b?AAAA?=", b""),
    (lambda data: encode(data.decode()), "ж".encode(), b""),
    (lambda data: write_field("X", data.decode()), b"word ", b""),
    (lambda data: parse_reverse_path(data, utf8=True), b"@a,", b""),
]


@pytest.mark.parametrize(("function", "unit", "end"), READERS)
def test_twice_the_input_is_at_most_twice_the_steps(
    function: Callable[[bytes], object], unit: bytes, end: bytes
) -> None:
    """The number of steps grows no faster than the input."""
    once, twice = (steps(function, unit * count + end) for count in (200, 400))
    assert twice <= 2 * once + 50


SIGNS = (
    'a| |(|)|"|\\|<|>|@|,|.|=?|=?utf-8?q?|=?utf-8?b?a|a.|a-|a:|a :|\r\n|\r|\n |'
    'A: b\r\n \r\n| \t|é|"\\|(\\|[|1.|:|+2|=?a|a=?x?q?b'
)


@pytest.mark.parametrize("unit", [sign.encode() for sign in SIGNS.split("|")])
def test_megabytes_of_one_sign_are_dealt_with_at_once(unit: bytes) -> None:
    """Every reader looks at each octet a bounded number of times, accepted or refused."""
    data = unit * (2_000_000 // len(unit))
    for shape in (data, data + b"@b.c", b"<" + data, b'"' + data, b"a@" + data, b"From: " + data + b"\r\n"):
        attempt(header, shape)
        attempt(parse_mailboxes, shape)
        attempt(lambda octets: parse_reverse_path(octets, utf8=True), shape)
        attempt(lambda octets: parse_forward_path(octets, utf8=False, local_domain="b.c"), shape)
        attempt(lambda octets: parse_address(octets.decode()), shape)
        attempt(is_message_id, shape)
        attempt(parse_date, shape)
        attempt(end_of_header, shape)
    assert len(decode(data)) <= len(data)
    assert original_recipient("utf-8;" + data.decode()).startswith("utf-8;")
