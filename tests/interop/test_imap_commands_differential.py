"""The same commands of two sessions leave the same mailboxes as Dovecot's, and tell each session the same of them.

Theory of operation: a script of commands runs on both servers, in mailboxes that are new. What a session is told
(EXISTS, EXPUNGE, FETCH) is applied to a view, as a client would; after each NOOP the view must be what FETCH says,
and the same on both servers. When exactly something is told is not compared: that is the server's choice.

Standards: RFC 9051 6.3, 6.4, 7.4.1, 7.5.1, RFC 6851 3 (MOVE), RFC 4315 3 (COPYUID, APPENDUID).
Limits: DIFFERENTIAL_EXAMPLES in the environment says how many scripts are made up.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import count
from typing import Final

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from tests.imap.lab import Lab
from tests.interop.imap_differences import documented
from tests.interop.imap_sides import EngineSide, Side, ok
from tests.lab.dovecot import Dovecot, dovecot
from tests.lab.imap_client import Answer, Literal
from tests.lab.imap_tokens import Response, Token, pairs

__all__ = ["dovecot"]

EXAMPLES: Final = int(os.environ.get("DIFFERENTIAL_EXAMPLES", "100"))
SESSIONS: Final = 2
MESSAGE: Final = b"Subject: s\r\n\r\nx\r\n"
CODES: Final = ("COPYUID", "APPENDUID")
NO_EXPUNGE: Final = (b"FETCH", b"STORE", b"SEARCH")

NEEDS_MESSAGES: Final = re.compile(rb"(UID )?(COPY|MOVE|FETCH|STORE) ").match
CHANGES: Final = re.compile(rb"(UID )?(STORE|EXPUNGE)").match

Flags = frozenset[str]


def flags_of(token: Token) -> Flags:
    """Return a list of flags; \\Recent is the first session's that looks, whichever that is."""
    assert isinstance(token, list)
    return frozenset(str(flag) for flag in token) - {"\\Recent"}


@dataclass
class View:
    """What a session knows of the mailbox that it has selected: UID and flags, each None until it is told."""

    messages: list[tuple[int | None, Flags | None]] = field(default_factory=list)

    def take(self, answer: Answer) -> None:
        """Take what the untagged responses of a command tell, in their order."""
        for response in answer.untagged:
            self._take(response)

    def _take(self, response: Response) -> None:
        number = response.number or 0
        match response.name:
            case "EXISTS":
                assert number >= len(self.messages)
                self.messages += [(None, None)] * (number - len(self.messages))
            case "EXPUNGE":
                del self.messages[number - 1]
            case "FETCH":
                uid, flags = self.messages[number - 1]
                items = pairs(response.tokens[0])
                if "UID" in items:
                    told = items["UID"]
                    assert uid in (None, told) and isinstance(told, int)
                    uid = told
                self.messages[number - 1] = (uid, flags_of(items["FLAGS"]) if "FLAGS" in items else flags)


@dataclass
class Server:
    """Sessions on one server, and their views."""

    sessions: Sequence[Side]
    views: list[View] = field(default_factory=list)

    def begin(self, mailboxes: Sequence[bytes]) -> None:
        """Make the mailboxes, put messages into the first, and select it in each session."""
        for name in mailboxes:
            ok(self.sessions[0], b"CREATE " + name)
        for flags in (b"", b"\\Seen", b"\\Deleted", b"word", b"\\Deleted \\Flagged"):
            ok(self.sessions[0], b"APPEND %b (%b) " % (mailboxes[0], flags), Literal(MESSAGE))
        self.views = [View() for _ in self.sessions]
        for place in range(len(self.sessions)):
            self.run(place, b"SELECT " + mailboxes[0])
            self.look(place)

    def run(self, place: int, command: bytes, *more: bytes | Literal) -> tuple[str, list[list[Token]]]:
        """Run a command in a session; return its status, and the codes that tell UIDs, without UIDVALIDITY."""
        answer = self.sessions[place].command(command, *more)
        verb = command.split(b" ")[0]
        if verb in NO_EXPUNGE:
            assert not answer.named("EXPUNGE"), "RFC 9051 7.5.1"
        if answer.status.name == "OK" and verb in (b"SELECT", b"EXAMINE"):
            self.views[place] = View()
        view = self.views[place]
        view.take(answer)
        if b".SILENT" in command:
            # What it did, the client has to know by itself.
            view.messages = [(uid, None) for uid, _ in view.messages]
        told = [*answer.named("OK"), answer.status]
        codes = [[one.tokens[0], *one.tokens[2:]] for one in told if one.tokens and one.tokens[0] in CODES]
        return answer.status.name, codes

    def look(self, place: int) -> list[tuple[int | None, Flags | None]]:
        """Let a session be told everything; return what there is, which must be what it was told."""
        self.run(place, b"NOOP")
        before = list(self.views[place].messages)
        if not before:
            return []
        self.run(place, b"FETCH 1:* (UID FLAGS)")
        after = self.views[place].messages
        assert len(before) == len(after)
        for was, now in zip(before, after, strict=True):
            assert was[0] in (None, now[0]) and was[1] in (None, now[1]), (before, after)
        return list(after)


sets = st.one_of(
    st.sampled_from((b"*", b"3:*", b"1:*")),
    st.lists(st.sampled_from((b"1", b"2", b"3", b"1:2", b"2:4")), min_size=1, max_size=2).map(b",".join),
)
flags = (
    st.sets(st.sampled_from((b"\\Seen", b"\\Deleted", b"\\Flagged", b"word", b"other")))
    .map(sorted)
    .map(b" ".join)
)
prefixes = st.sampled_from((b"", b"UID "))
signs = st.sampled_from((b"", b"+", b"-"))
silences = st.sampled_from((b"", b".SILENT"))
stores = st.builds(b"%bSTORE %b %bFLAGS%b (%b)".__mod__, st.tuples(prefixes, sets, signs, silences, flags))
mailboxes = st.sampled_from((b"<m>", b"<n>"))
commands = st.one_of(
    stores,
    st.builds(
        b"%b%b %b %b".__mod__, st.tuples(prefixes, st.sampled_from((b"COPY", b"MOVE")), sets, mailboxes)
    ),
    st.just(b"EXPUNGE"),
    sets.map(b"UID EXPUNGE ".__add__),
    st.builds(
        b"%bFETCH %b %b".__mod__,
        st.tuples(prefixes, sets, st.sampled_from((b"FLAGS", b"BODY[]", b"RFC822.SIZE"))),
    ),
    mailboxes.map(b"APPEND ".__add__),
    st.builds(b"%b %b".__mod__, st.tuples(st.sampled_from((b"SELECT", b"EXAMINE")), mailboxes)),
    st.just(b"NOOP"),
    st.just(b"CLOSE"),
)
scripts = st.lists(st.tuples(st.integers(0, SESSIONS - 1), commands), min_size=1, max_size=12)


@pytest.fixture(scope="module")
def servers(dovecot: Dovecot, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Server]]:
    """Both servers, with two sessions of one account each."""
    lab = Lab(tmp_path_factory.mktemp("lab"))
    with ExitStack() as stack:
        theirs = [stack.enter_context(dovecot.imap("commands")) for _ in range(SESSIONS)]
        yield Server([EngineSide(lab) for _ in range(SESSIONS)]), Server(theirs)
    lab.close()


examples = count()


@given(scripts)
@settings(
    max_examples=EXAMPLES // 4,
    derandomize=True,
    deadline=None,
    database=None,
    phases=(Phase.generate,),
)
def test_scripts(servers: tuple[Server, Server], script: list[tuple[int, bytes]]) -> None:
    """Each command ends alike, and each session comes to know the same."""
    number = next(examples)
    names = [b"m%d" % number, b"n%d" % number]
    for server in servers:
        server.begin(names)
    selected = [True] * SESSIONS
    read_only: set[int] = set()
    for place, command in script:
        text = command.replace(b"<m>", names[0]).replace(b"<n>", names[1])
        more = (b" ", Literal(MESSAGE)) if text.startswith(b"APPEND") else ()
        if place in read_only and b"MOVE" in text:
            continue
        if NEEDS_MESSAGES(text):
            # What becomes of messages that another session has expunged is the server's choice (RFC 2180 4).
            for server in servers:
                server.run(place, b"NOOP")
        ours, theirs = (server.run(place, text, *more) for server in servers)
        # Dovecot first looks whether there are such messages (``expunge-read-only``).
        refused = (
            place in read_only and CHANGES(text) and ours[0] == "NO" and theirs in (("OK", []), ("BAD", []))
        )
        if not refused:
            assert ours == theirs, (place, text)
        if text == b"CLOSE":
            selected[place] = False
        elif text.startswith((b"SELECT", b"EXAMINE")):
            selected[place] = True
            read_only = read_only | {place} if text.startswith(b"EXAMINE") else read_only - {place}
        if selected[place] and text == b"NOOP":
            ours_seen, theirs_seen = (server.look(place) for server in servers)
            assert ours_seen == theirs_seen, (place, text)
    for place in range(SESSIONS):
        if selected[place]:
            ours_seen, theirs_seen = (server.look(place) for server in servers)
            assert ours_seen == theirs_seen


PECULIAR: Final = {
    "expunge-read-only": (b"EXAMINE", b"EXPUNGE", "NO", "OK"),
    "move-read-only": (b"EXAMINE", b"MOVE 1 INBOX", "NO", "OK"),
    "number-beyond-the-end": (b"SELECT", b"FETCH 9,* FLAGS", "BAD", "OK"),
}
"""By their names in docs/imap-differences.md: how a mailbox is opened, a command, and how it ends with both."""


@pytest.mark.parametrize("name", PECULIAR)
def test_peculiar_commands(servers: tuple[Server, Server], name: str) -> None:
    """Each ends differently, as the document says."""
    opening, command, *expected = PECULIAR[name]
    mailboxes = [b"m%d" % next(examples)]
    for server in servers:
        server.begin(mailboxes)
        server.run(0, opening + b" " + mailboxes[0])
    assert [server.run(0, command)[0] for server in servers] == expected


def test_copies_of_what_another_session_has_expunged(servers: tuple[Server, Server]) -> None:
    """Before it is told of that: we copy what there is, Dovecot refuses (RFC 2180 4.4)."""
    mailboxes = [b"m%d" % next(examples), b"n%d" % next(examples)]
    answers = []
    for server in servers:
        server.begin(mailboxes)
        server.run(0, b"EXPUNGE")
        answers.append(server.run(1, b"UID COPY 1:* " + mailboxes[1]))
    assert answers == [("OK", [["COPYUID", "1:2,4", "1:3"]]), ("NO", [])]


def test_the_document_has_each_difference() -> None:
    """And none that is not tried here, or with names."""
    assert documented("commands") == {
        *PECULIAR,
        "expunged-copies",
        "superior-names",
        "deleted-above",
        "strict-grammar",
    }
