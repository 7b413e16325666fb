"""The commands: what runs them, and in which states they are in order.

Standards: RFC 9051 6.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final

from fedaemon.imap.commands import (
    append,
    authenticate,
    capability,
    close,
    compress,
    copy,
    create,
    delete,
    enable,
    expunge,
    fetch,
    getmetadata,
    getquota,
    getquotaroot,
    id_,
    idle,
    list_,
    login,
    logout,
    lsub,
    move,
    namespace,
    noop,
    notify,
    rename,
    replace,
    search,
    select,
    setmetadata,
    setquota,
    sort,
    starttls,
    status,
    store,
    subscribe,
    thread,
    unauthenticate,
    unselect,
    unsubscribe,
)
from fedaemon.imap.session import Done, State

ANY: Final = frozenset(State)
BEFORE: Final = frozenset({State.NOT_AUTHENTICATED})
AFTER: Final = ANY - BEFORE


@dataclass(frozen=True, slots=True)
class Row:
    """A command; its arguments are of the type that ``parse.PARSERS`` gives it.

    :param expunges: whether EXPUNGE may be told behind it without UID; with UID it always may (RFC 9051 7.5.1).
    :param streams: whether contents of messages are among its arguments: it is given the first of them, or the
        whole command without one, as it was read.
    :param overlaps: whether the next such command may begin while it waits for its commit.
    """

    run: Callable[[Any, Any, Any], Coroutine[Any, Any, Done]]
    states: frozenset[State]
    expunges: bool = True
    streams: bool = False
    overlaps: bool = False


SELECTED: Final = frozenset({State.SELECTED})

TABLE: Final = {
    b"APPEND": Row(append.run, AFTER, streams=True, overlaps=True),
    b"AUTHENTICATE": Row(authenticate.run, BEFORE),
    b"CAPABILITY": Row(capability.run, ANY),
    b"CHECK": Row(noop.run, SELECTED),
    b"CLOSE": Row(close.run, SELECTED),
    b"COMPRESS": Row(compress.run, AFTER),
    b"COPY": Row(copy.run, SELECTED, overlaps=True),
    b"CREATE": Row(create.run, AFTER),
    b"DELETE": Row(delete.run, AFTER),
    b"ENABLE": Row(enable.run, AFTER),
    b"EXAMINE": Row(select.run, AFTER),
    b"EXPUNGE": Row(expunge.run, SELECTED),
    b"FETCH": Row(fetch.run, SELECTED, expunges=False),
    b"GETMETADATA": Row(getmetadata.run, AFTER),
    b"GETQUOTA": Row(getquota.run, AFTER),
    b"GETQUOTAROOT": Row(getquotaroot.run, AFTER),
    b"ID": Row(id_.run, ANY),
    b"IDLE": Row(idle.run, AFTER),
    b"LIST": Row(list_.run, AFTER),
    b"LOGIN": Row(login.run, BEFORE),
    b"LOGOUT": Row(logout.run, ANY),
    b"LSUB": Row(lsub.run, AFTER),
    b"MOVE": Row(move.run, SELECTED),
    b"NAMESPACE": Row(namespace.run, AFTER),
    b"NOOP": Row(noop.run, ANY),
    b"NOTIFY": Row(notify.run, AFTER),
    b"RENAME": Row(rename.run, AFTER),
    b"REPLACE": Row(replace.run, SELECTED, streams=True),
    b"SEARCH": Row(search.run, SELECTED, expunges=False),
    b"SELECT": Row(select.run, AFTER),
    b"SETMETADATA": Row(setmetadata.run, AFTER),
    b"SETQUOTA": Row(setquota.run, AFTER),
    b"SORT": Row(sort.run, SELECTED, expunges=False),
    b"STARTTLS": Row(starttls.run, BEFORE),
    b"STATUS": Row(status.run, AFTER),
    b"STORE": Row(store.run, SELECTED, expunges=False),
    b"SUBSCRIBE": Row(subscribe.run, AFTER),
    b"THREAD": Row(thread.run, SELECTED, expunges=False),
    b"UNAUTHENTICATE": Row(unauthenticate.run, AFTER),
    b"UNSELECT": Row(unselect.run, SELECTED),
    b"UNSUBSCRIBE": Row(unsubscribe.run, AFTER),
}
