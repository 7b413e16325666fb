"""What is asked of IMAP servers, in the order in which it must be measured, and how much of it.

Why: what is asked for the first time costs more than what is asked again, and both count: so the mailboxes are
filled before the servers are started anew, and no row touches first what a later one calls its first.
Limits: what is first can be measured only once in a run.
Standards: RFC 9051 6.4.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

from bench.imap_measures import (
    Measure,
    Scale,
    append,
    fetch,
    idle,
    log_in,
    retrieve,
    search,
    select,
    store,
)

ENVELOPES: Final = b"FETCH 1:* (FLAGS UID INTERNALDATE RFC822.SIZE ENVELOPE)"
FIELDS: Final = (
    b"FETCH 1:* (UID RFC822.SIZE FLAGS BODY.PEEK[HEADER.FIELDS (From To Cc Bcc Subject Date Message-ID "
    b"Priority X-Priority References Newsgroups In-Reply-To Content-Type Reply-To)])"
)
"""As Thunderbird asks."""

FULL: Final = Scale()
QUICK: Final = Scale(appends=20, logins=4, listed=100, attached=5, searched=200, copies=2, idles=3, rounds=2)


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the table.

    :ivar mailboxes: which must be filled (``bench.imap.fill_mailboxes``).
    :ivar first: whether the first round is shown for itself.
    :ivar rounds: how often, None for what the scale says.
    :ivar limit: what bounds it, for the reader.
    """

    name: str
    measure: Measure
    mailboxes: tuple[str, ...] = ()
    first: bool = False
    rounds: int | None = None
    limit: str = ""


def _listed(scale: Scale) -> int:
    return scale.listed


def _attached(scale: Scale) -> int:
    return scale.attached


def _fetch(title: str, mailbox: bytes, text: bytes, size: Callable[[Scale], int] = _listed) -> Measure:
    return partial(fetch, title, mailbox, text, size)


ROWS: Final = (
    Row(
        "append-1",
        partial(append, 1),
        rounds=3,
        limit="latency: a commit for each, and four crossings between threads",
    ),
    Row("append-10", partial(append, 10), rounds=3, limit="one core running Python; commits are shared"),
    Row("login-1", partial(log_in, 1), rounds=3, limit="TLS handshakes on both sides"),
    Row("login-4", partial(log_in, 4), rounds=3, limit="TLS handshakes, and the load's own"),
    Row(
        "select",
        select,
        ("search", "large"),
        first=True,
        limit="first: reading the columns of flags; again: the answer",
    ),
    Row(
        "list",
        _fetch("FETCH of a list, ENVELOPE", b"list", ENVELOPES),
        ("list",),
        first=True,
        limit="joining what was prepared when the message came",
    ),
    Row(
        "fields",
        _fetch("FETCH of a list, header fields", b"fields", FIELDS),
        ("fields",),
        first=True,
        limit="cutting the fields out of each header, in Python",
    ),
    Row(
        "bodies",
        _fetch("FETCH of bodies of 2 kB", b"list", b"FETCH 1:* BODY.PEEK[]"),
        ("list",),
        first=True,
        limit="finding each content in the store",
    ),
    Row(
        "large-bodies",
        _fetch("FETCH of bodies of 100 kB", b"attached", b"FETCH 1:* BODY.PEEK[]", _attached),
        ("attached",),
        first=True,
        limit="TLS, and files that are read",
    ),
    Row(
        "search-flag",
        partial(search, b"UNSEEN", 10),
        ("search",),
        first=True,
        limit="writing the numbers that were found",
    ),
    Row(
        "search-header",
        partial(search, b"SUBJECT needle", 100),
        ("search",),
        first=True,
        limit="scanning the column of subjects",
    ),
    Row(
        "search-text",
        partial(search, b"TEXT needle", 100),
        ("search",),
        first=True,
        limit="first: reading all contents; again: scanning their texts",
    ),
    Row("store", store, ("search",), limit="a line of answer for each message, in Python"),
    Row("idle", idle, rounds=1, limit="the commit; reading the newest rows"),
    Row("pop3", retrieve, ("INBOX",), rounds=3, limit="a turn, a read and a TLS record for each message"),
)
