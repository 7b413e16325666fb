"""The arguments of commands, parsed to values: one function for each command, here in one table.

Standards: RFC 9051 6, 9 and the extensions named in each file.
Invariants: raises nothing but BadSyntax (``errors.Unsupported`` among it); time is linear in the command.
Limits: ``cursor`` for depth and lists, the command reader for octets.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from fedaemon.errors import BadSyntax
from fedaemon.imap.events import Command
from fedaemon.imap.parse import fetch, listing, mailboxes, metadata, notify, search, session, store
from fedaemon.imap.parse.cursor import Cursor

Arguments = (
    session.NoArguments
    | session.Login
    | session.Authenticate
    | session.Id
    | session.Enable
    | session.Compress
    | mailboxes.Mailbox
    | mailboxes.Select
    | mailboxes.Create
    | mailboxes.Rename
    | mailboxes.Copy
    | mailboxes.Expunge
    | listing.List
    | listing.Status
    | fetch.Fetch
    | store.Store
    | search.Search
    | search.Sort
    | search.Thread
    | metadata.GetMetadata
    | metadata.SetMetadata
    | metadata.GetQuota
    | metadata.SetQuota
    | notify.Notify
)

PARSERS: Final[dict[bytes, Callable[[Cursor], Arguments]]] = {
    b"AUTHENTICATE": session.authenticate,
    b"CAPABILITY": session.no_arguments,
    b"CHECK": session.no_arguments,
    b"CLOSE": session.no_arguments,
    b"COMPRESS": session.compress,
    b"COPY": mailboxes.copy,
    b"CREATE": mailboxes.create,
    b"DELETE": mailboxes.mailbox,
    b"ENABLE": session.enable,
    b"EXAMINE": mailboxes.select,
    b"EXPUNGE": mailboxes.expunge,
    b"FETCH": fetch.fetch,
    b"GETMETADATA": metadata.get_metadata,
    b"GETQUOTA": metadata.get_quota,
    b"GETQUOTAROOT": mailboxes.mailbox,
    b"ID": session.id_,
    b"IDLE": session.no_arguments,
    b"LIST": listing.list_,
    b"LOGIN": session.login,
    b"LOGOUT": session.no_arguments,
    b"LSUB": listing.lsub,
    b"MOVE": mailboxes.copy,
    b"NAMESPACE": session.no_arguments,
    b"NOOP": session.no_arguments,
    b"NOTIFY": notify.notify,
    b"RENAME": mailboxes.rename,
    b"SEARCH": search.search,
    b"SELECT": mailboxes.select,
    b"SETMETADATA": metadata.set_metadata,
    b"SETQUOTA": metadata.set_quota,
    b"SORT": search.sort,
    b"STARTTLS": session.no_arguments,
    b"STATUS": listing.status,
    b"STORE": store.store,
    b"SUBSCRIBE": mailboxes.mailbox,
    b"THREAD": search.thread,
    b"UNAUTHENTICATE": session.no_arguments,
    b"UNSELECT": session.no_arguments,
    b"UNSUBSCRIBE": mailboxes.mailbox,
}
"""APPEND and REPLACE come in pieces: ``append.AppendArguments``."""

WITH_UID: Final = frozenset(
    (b"COPY", b"EXPUNGE", b"FETCH", b"MOVE", b"REPLACE", b"SEARCH", b"SORT", b"STORE", b"THREAD")
)
"""The commands that UID may stand before (RFC 9051 6.4.9, RFC 5256 3, RFC 8508 3)."""


def parse(command: Command, *, utf8: bool = False) -> Arguments:
    """Return the arguments of a complete command.

    :param command: from the command reader; neither APPEND nor REPLACE.
    :param utf8: whether the session has enabled UTF-8; see ``Cursor``.
    :raises BadSyntax: for an unknown command, or arguments that are not in its grammar.

    Spec: RFC 9051 6
    """
    parser = PARSERS.get(command.name)
    if parser is None or (command.uid and command.name not in WITH_UID):
        raise BadSyntax("Unknown command")
    return parser(Cursor(command, utf8=utf8))
