"""FETCH answers as Dovecot does, but for what docs/imap-differences.md explains.

Why: clients have been written against Dovecot for twenty years; a difference that nobody decided on is a defect.

Standards: RFC 9051 6.4.5, 7.5.2 (FETCH), RFC 3516 4.2 (BINARY), RFC 8970 3 (PREVIEW).
Invariants: a rule holds for one kind of difference, and there is an example for which it alone holds.
Limits: DIFFERENTIAL_EXAMPLES in the environment says how many messages are made up.
Known gaps: bare CR and LF, NUL, and damaged base64 are left out: Dovecot sends other octets than were appended,
and closes the connection. BINARY.SIZE is compared with our own BINARY: Dovecot's is 2^64-4 now and then.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedaemon.message.mime.part import Part
from fedaemon.message.mime.shape import read_shape
from tests.corpus.odd_mail import FIELDS, HEADERS, STRUCTURES
from tests.daemon import client_context
from tests.imap.lab import Lab
from tests.interop.conftest import Local
from tests.interop.imap_differences import RULES, Difference, documented
from tests.interop.imap_mails import messages
from tests.interop.imap_sides import EngineSide, Side, ok
from tests.interop.test_shape_dovecot import EXPLAINED, pieces
from tests.lab.dovecot import Dovecot, dovecot
from tests.lab.imap_client import ImapClient, Literal
from tests.lab.imap_tokens import Token

__all__ = ["dovecot"]

EXAMPLES: Final = int(os.environ.get("DIFFERENTIAL_EXAMPLES", "100"))
MAX_SECTIONS: Final = 8
CORPUS: Final = STRUCTURES | FIELDS | HEADERS
DAMAGED: Final = ("Content-Transfer-Encoding: base64", "two encodings")
READY: Final = ("ENVELOPE", "BODY", "BODYSTRUCTURE", "RFC822.SIZE", "INTERNALDATE")


def asked(parts: tuple[Part, ...], *, binary: bool) -> dict[str, tuple[str, Part | None]]:
    """Return items by their labels in the answer: what kind of item each is, and of which part."""
    found: dict[str, tuple[str, Part | None]] = {}
    sections = {part.section: part for part in parts[:MAX_SECTIONS]}
    for section, part in (*sections.items(), ((99,), None)):
        number = ".".join(map(str, section))
        dot = number + "." if number else ""
        if binary:
            found[f"BINARY[{number}]"] = ("BINARY", part)
            continue
        kinds = {number: "BODY", dot + "HEADER": "HEADER", dot + "TEXT": "TEXT"}
        kinds |= {dot + "HEADER.FIELDS (SUBJECT FROM CONTENT-TYPE X-RAW)": "FIELDS"}
        kinds |= {dot + "HEADER.FIELDS.NOT (SUBJECT FROM)": "FIELDS.NOT"}
        if section:
            kinds[dot + "MIME"] = "MIME"
        found |= {f"BODY[{text}]": (kind, part) for text, kind in kinds.items()}
    return found


class Servers:
    """Two servers, each with a mailbox to which the same messages are appended."""

    def __init__(self, ours: Side, theirs: Side) -> None:
        self.sides: Final = (ours, theirs)
        self._messages = 0
        for side in self.sides:
            ok(side, b"CREATE differences")
            ok(side, b"SELECT differences")

    def append(self, message: bytes) -> None:
        """Append a message to both."""
        self._messages += 1
        for side in self.sides:
            ok(side, b'APPEND differences (\\Seen) "13-Nov-2023 10:00:00 +0200" ', Literal(message))

    def fetch(self, items: list[str]) -> tuple[dict[str, Token], dict[str, Token]]:
        """Return what both answer for *items* of the last message; a refused item is the atom of its code."""
        ours, theirs = (self._fetch(side, items) for side in self.sides)
        return ours, theirs

    def _fetch(self, side: Side, items: list[str]) -> dict[str, Token]:
        text = items[0] if len(items) == 1 else f"({' '.join(items)})"
        answer = side.command(f"FETCH {self._messages} {text}".encode())
        if answer.status.name != "OK":
            assert answer.status.name == "NO" and len(items) == 1
            return {items[0].replace(".PEEK", ""): str(answer.status.tokens[0])}
        fetched = answer.fetched()
        assert list(fetched) == [self._messages]
        return fetched[self._messages]

    def differences(self, message: bytes, *, ready: bool = True, binary: bool = True) -> list[Difference]:
        """Append a message, and return what is answered differently of it."""
        self.append(message)
        parts = read_shape([message]).parts
        kinds = asked(parts, binary=False)
        ours, theirs = self.fetch([*READY, *[name.replace("[", ".PEEK[") for name in kinds]])
        if binary:
            binaries = asked(parts, binary=True)
            kinds |= binaries
            for name in binaries:
                for known, more in zip(
                    (ours, theirs), self.fetch([name.replace("[", ".PEEK[")]), strict=True
                ):
                    known |= more
        if ready:
            kinds |= {name: (name, None) for name in READY}
        assert kinds.keys() <= ours.keys() == theirs.keys()
        found = [(name, kind) for name, kind in kinds.items() if ours[name] != theirs[name]]
        return [
            Difference(kind, name, part, parts, message, ours[name], theirs[name])
            for name, (kind, part) in found
        ]

    def unexplained(self, message: bytes, *, ready: bool = True, binary: bool = True) -> list[Difference]:
        """Return the differences for which there is no rule."""
        found = self.differences(message, ready=ready, binary=binary)
        return [one for one in found if not any(rule(one) for rule in RULES.values())]


@pytest.fixture(scope="module")
def servers(dovecot: Dovecot, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """An engine without sockets, and Dovecot."""
    lab = Lab(tmp_path_factory.mktemp("lab"))
    with dovecot.imap("differential") as client:
        yield Servers(EngineSide(lab), client)
    lab.close()


@pytest.fixture(scope="module")
def on_the_wire(local: Local, dovecot: Dovecot) -> Iterator[Servers]:
    """Local mode, with TLS, and Dovecot."""
    context = client_context(Path(local.settings["ca_file"]))
    with dovecot.imap("wire") as theirs, ImapClient(local.settings["ports"]["imaps"], context) as ours:
        ours.ok(f"LOGIN alice@example.test {local.alice}".encode())
        yield Servers(ours, theirs)


@pytest.mark.parametrize("name", [name for name, message in CORPUS.items() if message])
def test_the_corpus_is_answered_as_dovecot_does(servers: Servers, name: str) -> None:
    """Of ENVELOPE and its kin the differences stand with ``test_shape_dovecot``."""
    ready, binary = name not in EXPLAINED, name not in DAMAGED
    assert servers.unexplained(CORPUS[name], ready=ready, binary=binary) == []


@pytest.mark.parametrize("name", [name for name in STRUCTURES if CORPUS[name]])
def test_the_running_program_answers_as_dovecot_does(on_the_wire: Servers, name: str) -> None:
    """As the engine does."""
    assert on_the_wire.unexplained(CORPUS[name], ready=name not in EXPLAINED) == []


@given(messages)
@settings(max_examples=EXAMPLES // 5, derandomize=True, deadline=None, database=None)
def test_the_running_program_answers_for_made_up_messages(on_the_wire: Servers, message: bytes) -> None:
    """As the engine does."""
    assert on_the_wire.unexplained(message) == []


@given(messages)
@settings(max_examples=EXAMPLES, derandomize=True, deadline=None, database=None)
def test_made_up_messages_are_answered_as_dovecot_does(servers: Servers, message: bytes) -> None:
    """Trees of parts with charsets, encodings, odd fields and wrong delimiters."""
    assert servers.unexplained(message) == []


@given(messages, st.integers(0, 300), st.integers(1, 300))
@settings(max_examples=EXAMPLES // 2, derandomize=True, deadline=None, database=None)
def test_partials_are_cut_out_of_the_whole(servers: Servers, message: bytes, first: int, count: int) -> None:
    """Of ours: Dovecot's BODY[1.MIME] with a partial is of other octets where the header has a folded field."""
    servers.append(message)
    parts = read_shape([message]).parts
    wholes = asked(parts, binary=False) | asked(parts, binary=True)
    for name in wholes:
        item = name.replace("[", ".PEEK[")
        label = f"{name}<{first}>"
        answer, _ = servers.fetch([item, f"{item}<{first}.{count}>"])
        whole = answer[name]
        assert isinstance(whole, bytes)
        assert answer[label] == whole[first : first + count]
    binaries = asked(parts, binary=True)
    ours, _ = servers.fetch([name.replace("[", ".PEEK[") for name in binaries])
    sizes, _ = servers.fetch([name.replace("[", ".SIZE[") for name in binaries])
    for name in binaries:
        octets = ours[name]
        assert isinstance(octets, bytes)
        assert sizes[name.replace("[", ".SIZE[")] == len(octets)


@given(pieces.map(b"MIME-Version: 1.0\r\n".__add__))
@settings(max_examples=EXAMPLES, derandomize=True, deadline=None, database=None)
def test_made_up_structures_are_answered_as_dovecot_does(servers: Servers, message: bytes) -> None:
    """Delimiters, headers and types in any order; base64 there is damaged.

    What ENVELOPE and its kin say of these is compared in ``test_shape_dovecot``.
    """
    assert servers.unexplained(message, ready=False, binary=False) == []


EXAMPLE_OF: Final[dict[str, tuple[bytes, str]]] = {
    "multipart-line-end": (CORPUS["alternative in related in mixed"], "BODY[1]"),
    "header-line-end": (CORPUS["forwarded header only"], "BODY[1.HEADER]"),
    "added-empty-line": (CORPUS["header only"], "BODY[HEADER.FIELDS (SUBJECT FROM CONTENT-TYPE X-RAW)]"),
    "past-the-header": (CORPUS["forwarded header only"], "BODY[1.HEADER.FIELDS.NOT (SUBJECT FROM)]"),
    "inner-encodings": (CORPUS["Content-Transfer-Encoding: Quoted-Printable (c)"], "BINARY[]"),
    "no-boundary": (CORPUS["no boundary parameter"], "BODY[1]"),
    "odd-encoding": (CORPUS["Content-Transfer-Encoding: x y"], "BINARY[1]"),
}
"""For each rule a message and an item."""


@pytest.mark.parametrize("name", RULES)
def test_a_rule_is_needed_and_holds_alone(servers: Servers, name: str) -> None:
    """A difference that is gone leaves no rule behind, and none hides another."""
    message, item = EXAMPLE_OF[name]
    (found,) = [one for one in servers.differences(message) if one.section == item]
    assert [rule for rule, holds in RULES.items() if holds(found)] == [name]


PECULIAR: Final[dict[str, tuple[bytes, str, Token, Token]]] = {
    "part-of-a-leaf": (CORPUS["mixed"], "BODY.PEEK[2.1]", b"", b"<p>hi</p>"),
    "damaged-base64": (
        b"MIME-Version: 1.0\r\nContent-Transfer-Encoding: base64\r\n\r\n--a", "BINARY.PEEK[1]", b"", "PARSE",
    ),
    "preview": (CORPUS["forwarded"], "PREVIEW", b"body", b""),
}  # fmt: skip
"""Items that are not asked for elsewhere, and both answers."""


@pytest.mark.parametrize("name", PECULIAR)
def test_peculiar_items(servers: Servers, name: str) -> None:
    """Each is another, as the document says."""
    message, item, *expected = PECULIAR[name]
    servers.append(message)
    answers = servers.fetch([item])
    assert [answer[item.replace(".PEEK", "")] for answer in answers] == expected


@pytest.mark.parametrize("text", ["kiwi", "two\r\n  lines", "w" * 500, "\r\n \r\n", "Gr\u00fc\u00dfe"])
def test_previews_of_plain_text(servers: Servers, text: str) -> None:
    """White space is folded, the beginning is shown."""
    header = b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
    servers.append(header + text.encode())
    ours, theirs = servers.fetch(["PREVIEW"])
    assert ours == theirs


@pytest.mark.parametrize("item", ["RFC822", "RFC822.HEADER", "RFC822.TEXT", "FAST", "ALL", "FULL"])
def test_items_of_old(servers: Servers, item: str) -> None:
    """RFC 3501 6.4.5"""
    servers.append(CORPUS["alternative in related in mixed"])
    ours, theirs = servers.fetch([item])
    for answer in (ours, theirs):
        answer.pop("FLAGS", None)
    assert ours == theirs and ours


def test_the_document_has_each_rule() -> None:
    """And none that is not tried here."""
    assert documented("fetch") == {*RULES, *PECULIAR}
