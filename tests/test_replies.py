"""docs/replies.md lists every refusal that the server gives, and nothing else.

What the server says is read from its code (``reply_reader``), so a new text without a row fails here, and so does
a row whose text is gone.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from tests.reply_reader import ROOT, ReplyReader

DOCS = Path(__file__).parent.parent / "docs"

SAID = (
    "accounts",
    "delivery/quota.py",
    "imap",
    "mailbox",
    "message",
    "net",
    "pop3",
    "smtp",
    "store",
    "submission",
)
"""Where replies to peers are made; of two entries the longer one decides."""
SILENT = (
    "accounts/declared",
    # What is wrong with a password is not told: it is refused as any wrong one.
    "accounts/passwords.py",
    "accounts/sizes.py",
    "accounts/spans.py",
    "counters",
    "ctl",
    "delivery",
    # It cuts the connection, because whatever it said would be taken for the rest of a message.
    "imap/fetch/streaming.py",
    "logs",
    "mailauth",
    "mailbox/undelete.py",
    "message/feedback.py",
    # Its texts come within those of submission/identity.py.
    "message/mailboxes.py",
    "message/xtext.py",
    "net/dane.py",
    "net/dns_query.py",
    "net/https.py",
    # A peer that does not send the header which a proxy must send is cut off.
    "net/proxy_protocol.py",
    "net/resolver.py",
    "net/selfsigned.py",
    "net/tls_client.py",
    "smtp/client_",
    "smtp/transport.py",
    "store/backup.py",
    "store/formats.py",
    "store/locks.py",
    "store/migrate_",
    "store/verify.py",
    "web",
)
"""Where texts are made that are for administrators, or for our own side of a conversation with other servers."""

OF_ADMINISTRATION = (
    "_check_circle",
    "_need_free",
    "add_domain",
    "add_identity",
    "check_alias",
    "need_account",
    "need_alias",
    "need_domain",
    "remove_alias",
    "remove_domain",
    "remove_identity",
    "remove_password",
    "set_password",
)
NOT_SAID = frozenset(
    (
        *(f"accounts/directory.py: {name}" for name in OF_ADMINISTRATION),
        # Nobody is there to hear it.
        "imap/answers.py: _enter",
        # At the start there is no peer.
        "store/lmdb_engine.py: open",
    )
)
FOLDED = frozenset(
    (
        "imap/parse/cursor.py: fail",
        "mailbox/mailboxes.py: check_use",
        "message/address.py: _split_path",
        "message/address.py: _without_route",
        "smtp/verbs/params.py: bad_param",
        "store/errors.py: from_os_error",
        "store/lmdb_transaction.py: store_error",
        "submission/identity.py: check_identity",
        "submission/identity.py: single_address",
    )
)
"""What their callers bring is one of many small things, all told by one row."""

PLACEHOLDER = re.compile(r"\{[^{}]*\}")
_REPLY = re.compile(r"(?:\d{3}|-ERR|NO|BAD|BYE) ")
_ANCHOR = re.compile(r'<a id="([^"]+)"></a>')
_NUMBERED = re.compile(r"(\d{3})(?: (\d\.\d+\.\d+))?")
_RESPONSE_CODE = re.compile(r"(?:NO|BAD|BYE) \[([A-Z-]+)")


@cache
def said() -> dict[str, str]:
    """Return what the server says, each with the place in the code."""
    names = [
        name
        for path in sorted(ROOT.rglob("*.py"))
        if "/" in (name := path.relative_to(ROOT).as_posix()) and _weight(name, SAID) > _weight(name, SILENT)
    ]
    return ReplyReader(names, NOT_SAID, FOLDED).read()


def _weight(name: str, beginnings: tuple[str, ...]) -> int:
    """Return how long the beginning is that covers *name*, -1 without one."""
    return max((len(each) for each in beginnings if name.startswith(each)), default=-1)


@cache
def rows() -> list[str]:
    """Return the first cells of the tables of replies."""
    text = (DOCS / "replies.md").read_text()
    lines = text[text.index("\n## Log-in") :].splitlines()
    return [line[: line.index("` |") + 1] for line in lines if line.startswith(("| `", "| <a"))]


@cache
def documented() -> list[str]:
    """Return the replies of the page, with their placeholders."""
    return [reply for row in rows() for reply in re.findall(r"`([^`]+)`", row)]


def pattern(reply: str) -> str:
    """Return *reply* as ``reply_reader`` writes it."""
    return PLACEHOLDER.sub("{}", reply)


def test_every_reply_has_a_row() -> None:
    known = {pattern(reply) for reply in documented()}
    missing = sorted(f"{place}: {reply}" for reply, place in said().items() if reply not in known)
    assert not missing, "add to docs/replies.md:\n" + "\n".join(missing)


def test_every_row_is_a_reply() -> None:
    gone = [reply for reply in documented() if pattern(reply) not in said()]
    assert not gone, "no longer said; take out of docs/replies.md:\n" + "\n".join(gone)


def test_no_reply_has_two_rows() -> None:
    patterns = [pattern(reply) for reply in documented()]
    assert len(set(patterns)) == len(patterns)


def test_the_reader_follows_what_texts_are_made_of() -> None:
    """One of each way in which the code makes a reply: had the reader lost one, the page could not tell."""
    assert {
        "500 5.5.2 Command not recognised",  # octets
        "421 4.4.2 time-out, closing the connection",  # a Reply
        "250 2.0.0 Ok: queued as {}",  # the parameter of a function that nobody calls by name
        "550 5.1.1 <{}>: there is no such address here",  # an error, with the status of its family's code
        "535 5.7.13 This account is disabled; an administrator can enable it with: fedaemonctl account enable "
        "ADDRESS",  # a constant
        "550 5.7.1 This client is not allowed to hold a message until later",  # a parameter that callers give
        "554 5.6.0 line {} of the header has a NUL",  # one of several values of a local name
        "550 5.6.0 the message has no From field; it must have exactly one",  # a conditional expression
        "553 {} the domain is missing",  # what another function returns
        # an error that is named with its module
        "552 5.2.3 <{}>: {} octets are more than the mailbox can hold; send less, or another way",
        "NO [EXPUNGEISSUED] Some of the messages are gone; NOOP tells which",  # an error that brings its text
        "NO [BADURL {}] There is no such section",  # and its response code
        "BAD the literal is too large",  # an IMAP refusal of the reader
        "BYE Too many errors",  # a status, through a method
    } <= set(said())


def test_every_folder_is_said_or_silent() -> None:
    """A new part of the server has to be sorted into SAID or SILENT."""
    names = [path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*.py")]
    assert not [name for name in names if "/" in name and _weight(name, SAID) == _weight(name, SILENT)]


def test_what_is_left_out_exists() -> None:
    names = [path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*.py")]
    for beginning in (*SAID, *SILENT):
        assert any(name.startswith(beginning) for name in names), beginning
    for entry in (*NOT_SAID, *FOLDED):
        name, _, function = entry.partition(": ")
        assert re.search(rf"def {function}\(", (ROOT / name).read_text()), entry


def test_each_code_can_be_linked_to() -> None:
    anchors = [anchor for row in rows() for anchor in _ANCHOR.findall(row)]
    assert len(set(anchors)) == len(anchors)
    wanted = set()
    for reply in documented():
        if numbered := _NUMBERED.match(reply):
            wanted.add("-".join(filter(None, numbered.groups())))
        elif coded := _RESPONSE_CODE.match(reply):
            wanted.add(f"imap-{coded[1].lower()}")
    assert set(anchors) == wanted
