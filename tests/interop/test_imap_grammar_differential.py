"""Commands with something odd about them end as they do with Dovecot: OK, NO or BAD.

Standards: RFC 9051 6, 9 (formal syntax).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import pytest

from tests.imap.lab import Lab
from tests.interop.imap_sides import EngineSide, Side, ok
from tests.lab.dovecot import Dovecot, dovecot
from tests.lab.imap_client import Literal

__all__ = ["dovecot"]

COMMANDS: Final = (
    b"CREATE INBOX/sub", b"DELETE inBox", b"RENAME there INBOX", b"RENAME there there/z", b"RENAME there there",
    b"RENAME nothere y", b"SELECT nothere", b"SUBSCRIBE nothere", b"UNSUBSCRIBE never", b"SUBSCRIBE inbox",
    b'CREATE "a//b"', b'CREATE "/a"', b'CREATE "q/"', b'CREATE "a%b"', b'CREATE "a b"', b'LIST "" ""',
    b"STATUS there ()", b"STATUS there (FOO)", b"STATUS there (MESSAGES MESSAGES)", b"STATUS nothere (MESSAGES)",
    b'LIST "" ("there" "a*")', b'LIST () "" "*"', b'LIST (FOO) "" "*"', b'LIST "" "*" RETURN (FOO)',
    b"STORE 1 FLAGS (\\Recent)", b"STORE 1 FLAGS (\\Foo)", b"STORE 1 +FLAGS \\Seen", b'STORE 1 +FLAGS (kw "x")',
    b"STORE 9 +FLAGS (kw)", b"UID STORE 9 +FLAGS (kw)", b"STORE 1 FLAGS ()", b"COPY 1 nothere", b"MOVE 1 nothere",
    b"UID COPY 1 nothere", b"COPY 0 there", b"FETCH 0 FLAGS", b"FETCH 1:0 FLAGS", b"FETCH 4294967296 FLAGS",
    b"FETCH 1,, FLAGS", b"FETCH -1 FLAGS", b"FETCH 1", b"FETCH 1 ()", b"FETCH 1 (FOO)", b"FETCH 1 BODY[MIME]",
    b"FETCH 1 BODY[1.FOO]", b"FETCH 1 BODY[HEADER.FIELDS ()]", b"FETCH 1 BODY[HEADER.FIELDS]", b"FETCH 1 BODY[1.]",
    b"FETCH 1 BODY.PEEK", b"FETCH 1 (FLAGS UID", b"FETCH 1 FLAGS UID", b"FETCH 1 (FAST)", b"FETCH 1 ALL",
    b"SEARCH", b"SEARCH OR ALL", b"SEARCH NOT", b"SEARCH 0", b'SEARCH ON "1-Jan-2020"', b"SEARCH ON 01-jan-2020",
    b"SEARCH ON 1-Foo-2020", b"SEARCH LARGER -1", b"SEARCH FOO", b"SEARCH RETURN () ALL",
    b"SEARCH RETURN (FOO) ALL", b"SEARCH (ALL", b"SEARCH ()", b"SEARCH CHARSET KOI8-X ALL",
    b"SORT (FOO) UTF-8 ALL", b"SORT () UTF-8 ALL", b"SORT (REVERSE) UTF-8 ALL", b"THREAD FOO UTF-8 ALL",
    b"LOGIN a b", b"ENABLE FOO", b"ID NIL", b"UNKNOWN", b"UID NOOP", b"UID EXPUNGE 9", b"CHECK", b"STARTTLS",
    b'SELECT "INBOX" (FOO)',
)  # fmt: skip
STRICT: Final = (
    b"STORE 1 FLAGS", b"STORE 1 FLAGS () x", b"FETCH 1 BODY[0]", b"FETCH 1 BODY[]<0.0>", b"FETCH 1 BODY[]<1>",
    b"FETCH 1 BINARY[TEXT]", b"FETCH 1 BINARY.SIZE[1]<0.1>", b"FETCH 1 (FLAGS  UID)", b"SEARCH KEYWORD \\Seen",
    b"SEARCH ON 32-Jan-2020", b"ENABLE", b"ID (a)", b"NAMESPACE x", b"NOOP x", b"EXPUNGE 1",
)  # fmt: skip
"""Not in the grammar: BAD here, OK there."""


@pytest.fixture(scope="module")
def sides(dovecot: Dovecot, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Lab, Dovecot]]:
    """Two servers, in which there are a mailbox and a message."""
    lab = Lab(tmp_path_factory.mktemp("lab"))
    with dovecot.imap("grammar") as client:
        for side in (EngineSide(lab), client):
            ok(side, b"CREATE there")
            ok(side, b"APPEND INBOX ", Literal(b"Subject: s\r\n\r\nx\r\n"))
    yield lab, dovecot
    lab.close()


def ends(side: Side, command: bytes) -> str:
    """Select the mailbox, run a command, and return how it ends."""
    ok(side, b"SELECT INBOX")
    return side.command(command).status.name


@pytest.mark.parametrize("command", COMMANDS)
def test_it_ends_alike(sides: tuple[Lab, Dovecot], command: bytes) -> None:
    """In a session of its own."""
    lab, server = sides
    with server.imap("grammar") as client:
        assert ends(EngineSide(lab), command) == ends(client, command)


@pytest.mark.parametrize("command", STRICT)
def test_it_is_not_in_the_grammar(sides: tuple[Lab, Dovecot], command: bytes) -> None:
    """What it might mean is not guessed (``strict-grammar`` in docs/imap-differences.md)."""
    lab, server = sides
    with server.imap("grammar") as client:
        assert (ends(EngineSide(lab), command), ends(client, command)) == ("BAD", "OK")
