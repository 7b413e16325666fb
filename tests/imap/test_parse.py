"""Arguments of commands: examples of the standards, refusals, limits.

RFC 9051, RFC 3501, RFC 5032, RFC 5256, RFC 5258, RFC 5464, RFC 5465, RFC 6154, RFC 7162, RFC 8474, RFC 8514,
RFC 8970, RFC 9208, RFC 9394.
"""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedaemon.errors import BadSyntax
from fedaemon.imap.events import Command
from fedaemon.imap.names import MailboxName
from fedaemon.imap.parse import PARSERS, listing, mailboxes, metadata, notify, parse, search, session
from fedaemon.imap.parse import fetch as f
from fedaemon.imap.parse import search_keys as k
from fedaemon.imap.parse import store as s
from fedaemon.imap.parse.errors import Unsupported
from fedaemon.imap.sequence_set import STAR, SequenceSet
from tests.imap.driving import command, drive

INBOX = MailboxName("INBOX")
ONE = SequenceSet(((1, 1),))
SECTION = f.Section((4, 2), b"HEADER.FIELDS.NOT", (b"DATE", b"FROM"))
TODAY = date(1994, 2, 1)


def name(text: str) -> MailboxName:
    return MailboxName(text)


@pytest.mark.parametrize(
    ("line", "value"),
    [
        (b"NOOP", session.NoArguments()),
        (b"LOGIN SMITH SESAME", session.Login(b"SMITH", b"SESAME")),
        (b'LOGIN "a\\"b" {3+}\r\np w', session.Login(b'a"b', b"p w")),
        (b"AUTHENTICATE plain", session.Authenticate("PLAIN")),
        (b"AUTHENTICATE PLAIN =", session.Authenticate("PLAIN", b"")),
        (b"AUTHENTICATE PLAIN AGEAYg==", session.Authenticate("PLAIN", b"\0a\0b")),
        (b'ID ("name" "sodr" "os" NIL)', session.Id(((b"name", b"sodr"), (b"os", None)))),
        (b"ID NIL", session.Id(())),
        (b"ENABLE CONDSTORE x-good", session.Enable((b"CONDSTORE", b"X-GOOD"))),
        (b"COMPRESS DEFLATE", session.Compress(b"DEFLATE")),
        (b"SELECT inbox", mailboxes.Select(INBOX)),
        (b"SELECT INBOX (CONDSTORE)", mailboxes.Select(INBOX, condstore=True)),
        (
            b"SELECT INBOX (QRESYNC (67890007 90060115194045000 41:211,214 (1,4 2,6)))",
            mailboxes.Select(
                INBOX,
                True,
                mailboxes.QResync(
                    67890007,
                    90060115194045000,
                    SequenceSet(((41, 211), (214, 214))),
                    (SequenceSet(((1, 1), (4, 4))), SequenceSet(((2, 2), (6, 6)))),
                ),
            ),
        ),
        (b"CREATE Entw&APw-rfe (USE (\\drafts))", mailboxes.Create(name("Entwürfe"), (b"\\Drafts",))),
        (b"DELETE {3+}\r\nfoo", mailboxes.Mailbox(name("foo"))),
        (b"RENAME blurdybloop sarasoop", mailboxes.Rename(name("blurdybloop"), name("sarasoop"))),
        (b"COPY 2:4 MEETING", mailboxes.Copy(SequenceSet(((2, 4),)), name("MEETING"))),
        (b"UID MOVE $ foo", mailboxes.Copy(SequenceSet((), True), name("foo"))),
        (b"EXPUNGE", mailboxes.Expunge()),
        (b"UID EXPUNGE 3000:*", mailboxes.Expunge(SequenceSet(((3000, STAR),)))),
        (b'LIST "" %', listing.List("", ("%",))),
        (
            b'LIST (SUBSCRIBED RECURSIVEMATCH) "" ("INBOX" "Sent/%") RETURN (CHILDREN STATUS (MESSAGES UNSEEN))',
            listing.List(
                "",
                ("INBOX", "Sent/%"),
                True,
                frozenset((listing.Selection.SUBSCRIBED, listing.Selection.RECURSIVEMATCH)),
                frozenset((listing.Told.CHILDREN,)),
                (listing.StatusItem.MESSAGES, listing.StatusItem.UNSEEN),
            ),
        ),
        (b'LSUB "#news." "comp.mail.*"', listing.List("#news.", ("comp.mail.*",))),
        (
            b"STATUS b (UIDNEXT MAILBOXID)",
            listing.Status(name("b"), (listing.StatusItem.UIDNEXT, listing.StatusItem.MAILBOXID)),
        ),
        (b"FETCH 1 fast", f.Fetch(ONE, (f.Item.FLAGS, f.Item.INTERNALDATE, f.Item.RFC822_SIZE))),
        (b"FETCH 1 BODY", f.Fetch(ONE, (f.Item.BODY,))),
        (
            b"FETCH 1 (FLAGS BODY.PEEK[4.2.HEADER.FIELDS.NOT (DATE FROM)]<0.10> PREVIEW (LAZY))",
            f.Fetch(ONE, (f.Item.FLAGS, f.BodySection(SECTION, (0, 10), True), f.Preview(True))),
        ),
        (
            b"FETCH 1 (BINARY.SIZE[1.2] BINARY[3]<5.6> BODY[] BODY[1.MIME] RFC822.TEXT)",
            f.Fetch(
                ONE,
                (
                    f.BinarySize((1, 2)),
                    f.BinarySection((3,), (5, 6)),
                    f.BodySection(f.Section()),
                    f.BodySection(f.Section((1,), b"MIME")),
                    f.Item.RFC822_TEXT,
                ),
            ),
        ),
        (
            b"UID FETCH 300:500 (FLAGS) (CHANGEDSINCE 12345 VANISHED)",
            f.Fetch(SequenceSet(((300, 500),)), (f.Item.FLAGS,), 12345, True),
        ),
        (
            b"UID FETCH 1 (UID) (PARTIAL -1:-30)",
            f.Fetch(ONE, (f.Item.UID,), None, False, (-1, -30)),
        ),
        (b"STORE 1 +flags (\\deleted)", s.Store(ONE, s.StoreMode.ADD, False, (b"\\Deleted",))),
        (
            b"STORE 1 (UNCHANGEDSINCE 0) -FLAGS.SILENT $MDNSent \\Seen",
            s.Store(ONE, s.StoreMode.REMOVE, True, (b"$MDNSent", b"\\Seen"), 0),
        ),
        (
            b'SEARCH FLAGGED SINCE 1-Feb-1994 NOT FROM "Smith"',
            search.Search(
                k.And(
                    (
                        k.HasFlag(b"\\Flagged"),
                        k.OnDay(b"INTERNAL", b"SINCE", TODAY),
                        k.Not(k.HasText(b"FROM", "Smith")),
                    )
                )
            ),
        ),
        (
            "SEARCH CHARSET UTF-8 TEXT {6+}\r\nотп".encode(),
            search.Search(k.HasText(b"TEXT", "отп")),
        ),
        (
            b"UID SEARCH RETURN (SAVE PARTIAL 1:500) OR (UNSEEN OLDER 259200) 2,4:*",
            search.Search(
                k.Or(
                    k.And((k.Not(k.HasFlag(b"\\Seen")), k.Within(False, 259200))),
                    k.Messages(SequenceSet(((2, 2), (4, STAR))), False),
                ),
                search.Return(frozenset((search.Result.SAVE,)), (1, 500)),
            ),
        ),
        (b"SEARCH RETURN () ALL", search.Search(k.All(), search.Return(frozenset((search.Result.ALL,))))),
        (
            b'SEARCH MODSEQ "/flags/\\\\draft" all 620162338',
            search.Search(k.ModSeq(620162338)),
        ),
        (
            b"SEARCH HEADER List-Id {0+}\r\n UID $ EMAILID M1 SAVEDON 1-Feb-1994 UNKEYWORD x LARGER 5",
            search.Search(
                k.And(
                    (
                        k.HasHeader(b"LIST-ID", ""),
                        k.Messages(SequenceSet((), True), True),
                        k.ObjectId(False, b"M1"),
                        k.OnDay(b"SAVED", b"ON", TODAY),
                        k.Not(k.HasFlag(b"x")),
                        k.Size(True, 5),
                    )
                )
            ),
        ),
        (
            b"SORT RETURN (COUNT) (REVERSE DATE DISPLAYFROM) UTF-8 ALL",
            search.Sort(
                ((search.SortField.DATE, True), (search.SortField.DISPLAYFROM, False)),
                k.All(),
                search.Return(frozenset((search.Result.COUNT,))),
            ),
        ),
        (b"UID THREAD REFERENCES US-ASCII ALL", search.Thread(search.ThreadAlgorithm.REFERENCES, k.All())),
        (
            b'GETMETADATA "" /shared/comment',
            metadata.GetMetadata(name(""), (b"/shared/comment",)),
        ),
        (
            b"GETMETADATA (DEPTH infinity MAXSIZE 1024) INBOX (/private/a /shared/B)",
            metadata.GetMetadata(INBOX, (b"/private/a", b"/shared/b"), 1024, metadata.WHOLE_TREE),
        ),
        (
            b"SETMETADATA INBOX (/private/comment ~{3+}\r\na\x01\xff /shared/x NIL)",
            metadata.SetMetadata(INBOX, ((b"/private/comment", b"a\x01\xff"), (b"/shared/x", None))),
        ),
        (b'GETQUOTA ""', metadata.GetQuota(b"")),
        (b'SETQUOTA "" (storage 512)', metadata.SetQuota(b"", ((b"STORAGE", 512),))),
        (b"NOTIFY NONE", notify.Notify(())),
        (
            b"NOTIFY SET STATUS (selected (MessageNew (uid) MessageExpunge)) (subtree (a b) none)",
            notify.Notify(
                (
                    notify.EventGroup(
                        notify.Filter.SELECTED,
                        (),
                        frozenset((notify.NotifyEvent.MESSAGE_NEW, notify.NotifyEvent.MESSAGE_EXPUNGE)),
                        (f.Item.UID,),
                    ),
                    notify.EventGroup(notify.Filter.SUBTREE, (name("a"), name("b")), frozenset()),
                ),
                True,
            ),
        ),
    ],
)
def test_commands_of_the_standards(line: bytes, value: object) -> None:
    """Examples of the RFCs, and one of each form."""
    assert parse(command(line)) == value


@pytest.mark.parametrize(
    "line",
    [
        b"FROBNICATE", b"NOOP ", b"UID NOOP", b"LOGIN a", b"LOGIN  a b", b"LOGIN a b c", b'LOGIN "a b',
        b'LOGIN "a\\b" c', b'LOGIN a "\xe9"', b"LOGIN a {1+}\r\n\0", b"LOGIN a ~{1+}\r\nb",
        b"AUTHENTICATE PLAIN a", b'SELECT ""', b"SELECT x ()", b"SELECT x (QRESYNC (0 1))",
        b"SELECT x (QRESYNC (1 1 1:*))", b"CREATE x (USE \\Sent)", b"UID EXPUNGE", b"FETCH 0 FLAGS",
        b"FETCH 1:x FLAGS", b"FETCH 4294967296 FLAGS", b"FETCH 1 ()", b"FETCH 1 BODY[MIME]", b"FETCH 1 BODY[0]",
        b"FETCH 1 BODY[]<1.0>", b"FETCH 1 BODY[HEADER.FIELDS]", b"FETCH 1 FLAGS[]", b"FETCH 1 (ALL)",
        b"FETCH 1 FLAGS (VANISHED)", b"UID FETCH 1 FLAGS (VANISHED)", b"FETCH 1 FLAGS (PARTIAL 1:2)",
        b"UID FETCH 1 FLAGS (PARTIAL 1:-2)", b"STORE 1 FLAGS \\Recent", b"STORE 1 FLAGS \\X", b"STORE 1 FLAGS",
        b"SEARCH", b"SEARCH FUZZY SUBJECT x", b"SEARCH ON 31-Feb-2026", b"SEARCH (ALL", b"SEARCH OR ALL",
        b"SEARCH RETURN (ALL PARTIAL 1:2) ALL", b"SEARCH TEXT {1+}\r\n\xff", b"SEARCH YOUNGER 0",
        b"SORT () UTF-8 ALL", b"SORT (DATE) ALL", b"THREAD X UTF-8 ALL", b'LIST (RECURSIVEMATCH) "" *',
        b'LIST "" () ', b'LIST "" * RETURN (X)', b"STATUS x ()", b"GETMETADATA x /other/y",
        b"GETMETADATA x /private/a//b", b"SETMETADATA x ()", b"NOTIFY SET", b"NOTIFY SET (selected MailboxName)",
        b"NOTIFY SET (inboxes (MessageNew))", b"NOTIFY SET (selected (MailboxName))", b"APPEND x y",
        b'ID ("' + b"x" * 31 + b'" NIL)', b"ENABLE", b"SELECT &Jjo",
    ],
)  # fmt: skip
def test_what_is_not_in_the_grammar_is_refused(line: bytes) -> None:
    """Each is near to something that is."""
    with pytest.raises(BadSyntax):
        parse(command(line))


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"SEARCH CHARSET KOI8-R ALL", b"BADCHARSET (US-ASCII UTF-8)"),
        (b"NOTIFY SET (personal (AnnotationChange))", notify.BAD_EVENT),
        (b"CREATE x (USE (\\Important))", b"USEATTR"),
    ],
)
def test_what_does_not_exist_here_gets_its_code(line: bytes, code: bytes) -> None:
    """RFC 9051 7.1: NO with a code that tells what there is."""
    with pytest.raises(Unsupported) as caught:
        parse(command(line))
    assert caught.value.response_code == code


def test_utf8_is_read_when_enabled() -> None:
    """RFC 6855 3: then & is a character like any other."""
    assert parse(command('DELETE "é&"'.encode()), utf8=True) == mailboxes.Mailbox(name("é&"))


@pytest.mark.parametrize("opening", [b"(", b"NOT ", b"OR ALL "])
def test_depth_has_a_limit(opening: bytes) -> None:
    """Nesting costs stack: 20 levels are read, 5,000 refused."""
    closing = b")" if opening == b"(" else b""
    parse(command(b"SEARCH " + opening * 20 + b"ALL" + closing * 20))
    with pytest.raises(BadSyntax, match="levels"):
        parse(command(b"SEARCH " + opening * 5000 + b"ALL" + closing * 5000))


@pytest.mark.parametrize("line", [b"SEARCH" + b" ALL" * 6000, b"FETCH 1 (" + b"UID " * 6000 + b"UID)"])
def test_lists_have_a_limit(line: bytes) -> None:
    """A list of thousands of items is nobody's."""
    with pytest.raises(BadSyntax, match="more than"):
        parse(command(line))


WORDS = st.sampled_from(
    [
        b" ",
        b"(",
        b")",
        b'"',
        b"[",
        b"]",
        b"1",
        b":",
        b",",
        b"*",
        b"$",
        b"\\",
        b"\\Seen",
        b"BODY",
        b"<0.1>",
        b"NIL",
        b"NOT",
        b"OR",
        b"ALL",
        b"RETURN",
        b"SET",
        b"inbox",
        b"&",
        b"-",
        b"HEADER.FIELDS",
        b"{1+}\r\n",
        b"~{2+}\r\n",
        b"\xff",
        b"1-Feb-2026",
        b"CHARSET",
        b"USE",
        b"QRESYNC",
        b"/private/x",
        b"=",
        b"%",
        b"99999999999999999999",
    ]
)


@given(
    st.sampled_from([*sorted(PARSERS), b"UID FETCH", b"UID EXPUNGE"]),
    st.lists(WORDS, max_size=12).map(b"".join)
    | st.lists(WORDS, max_size=12).map(b" ".join)
    | st.binary(max_size=30),
    st.booleans(),
)
def test_garbage_raises_only_bad_syntax(verb: bytes, rest: bytes, utf8: bool) -> None:
    """Whatever follows the name of a command, it is read or refused."""
    for event in drive([b"t " + verb + b" " + rest + b"\r\n"]):
        if isinstance(event, Command) and event.tag == b"t":
            value: Any = None
            try:
                value = parse(event, utf8=utf8)
            except BadSyntax as error:
                assert error.text
            else:
                assert value == parse(event, utf8=utf8)
