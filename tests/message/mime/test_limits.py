"""Threat: messages made to cost memory or time: bombs of headers, parts, nesting, addresses and parameters."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from fedaemon.message.mime import scan
from fedaemon.message.mime.addresses import MAX_ADDRESSES, read_addresses
from fedaemon.message.mime.entity import MAX_DEPTH, MAX_PARTS
from fedaemon.message.mime.parameters import MAX_PARAMETERS, read_content_type, read_languages
from fedaemon.message.mime.scan import MAX_HEADER_OCTETS, Scanner
from fedaemon.message.mime.search_text import read_search_text
from fedaemon.message.mime.sections import header_fields
from fedaemon.message.mime.shape import read_shape
from fedaemon.message.mime.subject import base_subject
from tests.message.test_linear_time import steps

MULTIPART = b"Content-Type: multipart/mixed; boundary=a\r\n\r\n"
OUTER = b"Content-Type: multipart/mixed; boundary=o\r\n\r\n--o\r\n" + MULTIPART


def shape(data: bytes) -> object:
    return read_shape([data])


def searched(data: bytes) -> object:
    return read_search_text(lambda start, stop: data[start:stop], read_shape([data]).parts)


@pytest.mark.parametrize(
    ("function", "begin", "unit"),
    [
        (shape, b"", b"x\r\n"),
        (shape, b"", b"Subject: x\r\n"),
        (shape, b"", b"From: a@b\r\n"),
        (shape, MULTIPART, b"--a\r\n"),
        (shape, OUTER, b"--a\r\n\r\n--b\r\n"),
        (shape, MULTIPART, b"\n--"),
        (shape, b"", b"Content-Type: message/rfc822\r\n\r\n"),
        (shape, b"Content-Type: text/html\r\n\r\n", b"<style>"),
        (shape, b"Content-Type: text/html\r\n\r\n", b"<!--<"),
        (read_addresses, b"", b"<"),
        (read_addresses, b"", b"<@"),
        (read_addresses, b"", b'<"'),
        (read_addresses, b"", b"("),
        (read_addresses, b"", b"a "),
        (read_addresses, b"", b"a@b,"),
        (read_addresses, b"", b"a@"),
        (read_addresses, b"", b"G:a;"),
        (read_content_type, b"a/b", b";x=1"),
        (read_content_type, b"a/b", b";x*0=1"),
        (read_content_type, b"a/b", b';"'),
        (read_content_type, b"a/b", b"("),
        (read_languages, b"", b"a,"),
        (lambda data: header_fields(data, [b"a"], exclude=False), b"", b"A: b\r\n"),
        (lambda data: header_fields(data, [b"a"], exclude=True), b"", b"\n "),
        (searched, MULTIPART, b"--a\r\n\r\nx\r\n"),
        (searched, b"", b"A: =?utf-8?q?b?=\r\n"),
        (lambda data: base_subject(data.decode()), b"", b"[a]"),
        (lambda data: base_subject(data.decode()), b"", b"re: "),
    ],
)
def test_twice_the_input_is_at_most_twice_the_steps(
    function: Callable[[bytes], object], begin: bytes, unit: bytes
) -> None:
    """The number of steps grows no faster than the input."""
    once, twice = (steps(function, begin + unit * count) for count in (100, 200))
    assert twice <= 2 * once + 50


@pytest.mark.parametrize(
    "unit", [b"<", b"<@", b'<"', b'<">', b"(", b"()", b'"\\', b"a@", b"\\", b"[", b"(\\", b'x="', b";"]
)
def test_a_megabyte_of_signs_ends(unit: bytes) -> None:
    """No expression tries a long value again from each of its octets; this test would never end."""
    value = unit * (250_000 // len(unit))
    assert len(read_addresses(value)) <= MAX_ADDRESSES + 1
    assert read_content_type(b"a/b;" + value)[:2] == (b"a", b"b")
    assert header_fields(b"A:" + value, [b"A"], exclude=True) == b""
    assert _header_octets(value) >= len(value)


def _header_octets(value: bytes) -> int:
    header = b"A: " + value + b"\r\n\r\n"
    return len(read_search_text(lambda start, stop: header[start:stop], read_shape([header]).parts).header)


def test_a_long_header_is_read_up_to_its_limit() -> None:
    """What lies beyond 256 KiB of a header is not read, but is header: the body is where it is."""
    filler = b"X: %b\r\n" % (b"x" * 1_018) * (MAX_HEADER_OCTETS // 1_023 + 1)
    header = b"From: a@b\r\n" + filler + b"Subject: late\r\n\r\n"
    chunks = [header[at : at + 1_000] for at in range(0, len(header), 1_000)]
    found = read_shape([*chunks, b"body"])
    assert found.texts.addresses_from == "a@b"
    assert found.texts.subject == ""
    assert (found.parts[0].header_octets, found.parts[0].body_octets) == (len(header), 4)


def test_all_headers_together_have_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """When the room for headers is used up, later parts are plain text."""
    monkeypatch.setattr(scan, "MAX_HEADERS_OCTETS", len(MULTIPART) + 30)
    part = b"--a\r\nContent-Type: text/html\r\n\r\nx\r\n"
    types = [part.subtype for part in read_shape([MULTIPART + part * 3]).parts]
    assert types == ["mixed", "html", "plain", "plain"]


def test_the_scanner_keeps_no_body() -> None:
    """Of a long body at most an undecided line stays in memory."""
    scanner = Scanner()
    scanner.feed(MULTIPART)
    for _ in range(50):
        scanner.feed(b"\r\n--" + b"x" * 100_000)
        assert len(scanner._data) < 200


def test_parts_beyond_the_limit_are_body() -> None:
    """After MAX_PARTS entities delimiters are text of the last part."""
    parts = read_shape([MULTIPART + b"--a\r\n\r\n" * (MAX_PARTS + 5) + b"--a--\r\n"]).parts
    assert len(parts) == MAX_PARTS
    assert parts[-1].body_octets == 6 * len(b"--a\r\n\r\n") + len(b"--a--\r\n")


@pytest.mark.parametrize("kind", ["multipart", "message"])
def test_nesting_beyond_the_limit_is_opaque(kind: str) -> None:
    """The entity at MAX_DEPTH is application/octet-stream, which needs no structure of its own."""
    units = [
        b"Content-Type: multipart/x; boundary=b%04d\r\n\r\n--b%04d\r\n" % (number, number)
        if kind == "multipart"
        else b"Content-Type: message/rfc822\r\n\r\n"
        for number in range(1_000)
    ]
    found = read_shape([b"".join(units)])
    deepest = found.parts[-1]
    assert (deepest.main_type, deepest.subtype) == ("application", "octet-stream")
    assert found.bodystructure.count(b'"octet-stream"') == 1
    assert len(found.parts) <= MAX_DEPTH + 2


def test_addresses_and_parameters_have_limits() -> None:
    """The first ones count."""
    assert len(read_addresses(b"a@b," * (MAX_ADDRESSES + 5))) == MAX_ADDRESSES
    assert len(read_addresses(b"a," * (MAX_ADDRESSES + 5))) == MAX_ADDRESSES
    assert read_shape([b"To: a@b\r\n" * (MAX_ADDRESSES + 5)]).envelope.count(b'"a"') == MAX_ADDRESSES
    assert len(read_content_type(b"a/b" + b";x=1" * (MAX_PARAMETERS + 5))[2]) == MAX_PARAMETERS
