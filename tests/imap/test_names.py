"""Modified UTF-7 (RFC 3501 5.1.3) and names of mailboxes (RFC 9051 5.1, RFC 6855 3)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedaemon.errors import BadSyntax
from fedaemon.imap import mutf7
from fedaemon.imap.names import MAX_NAME_OCTETS, read_name, write_name


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("~peter/mail/台北/日本語", b"~peter/mail/&U,BTFw-/&ZeVnLIqe-"),  # RFC 3501 5.1.3
        ("Entwürfe", b"Entw&APw-rfe"),
        ("A&B", b"A&-B"),
        ("😀", b"&2D3eAA-"),
        ("plain", b"plain"),
        ("", b""),
    ],
)
def test_examples(name: str, data: bytes) -> None:
    """Each name has one form, read and written."""
    assert mutf7.encode(name) == data
    assert mutf7.decode(data) == name


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_reading_undoes_writing(name: str) -> None:
    """Any text comes back."""
    assert mutf7.decode(mutf7.encode(name)) == name


@given(st.binary(max_size=40) | st.text("&-AOk,/+=aé").map(str.encode))
def test_only_the_canonical_form_is_read(data: bytes) -> None:
    """What is read would be written the same; all else is BadSyntax."""
    try:
        name = mutf7.decode(data)
    except BadSyntax:
        return
    assert mutf7.encode(name) == data


@pytest.mark.parametrize(
    "data",
    [
        b"&",
        b"&A",
        b"&AGE-",
        b"&AOk",
        b"&AOk-&AOk-",
        b"&AOl-",
        b"&2D0-",
        b"&AOk=-",
        b"\xc3\xa9",
        b"&U/BTFw-",
        b"\t",
    ],
)
def test_other_forms_are_refused(data: bytes) -> None:
    """Encoded ASCII, adjacent shifts, stray bits, lone surrogates, raw octets: a second spelling of a name."""
    with pytest.raises(BadSyntax):
        mutf7.decode(data)


def test_inbox_and_normal_form() -> None:
    """INBOX has no case, and a name one normal form (RFC 5198 2)."""
    assert read_name(b"inBox", utf8=False) == "INBOX"
    assert read_name(b"inBox/Lists", utf8=False) == "INBOX/Lists"
    assert read_name("\u0131nbox".encode(), utf8=True) == "\u0131nbox"
    assert read_name("e\u0301".encode(), utf8=True) == "é"
    assert write_name("é", utf8=True) == "é".encode()
    assert write_name("é", utf8=False) == b"&AOk-"


@pytest.mark.parametrize("data", [b"a\x7fb", "a\u2028".encode(), b"\xff", b"x" * (MAX_NAME_OCTETS + 1)])
def test_unfit_names_are_refused(data: bytes) -> None:
    """Controls, line separators, broken UTF-8, too long."""
    with pytest.raises(BadSyntax):
        read_name(data, utf8=True)
