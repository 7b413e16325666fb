"""The commands: what runs them, and in which states they are in order.

Standards: RFC 9051 6.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final

from fedaemon.imap.commands import (
    authenticate,
    capability,
    enable,
    id_,
    login,
    logout,
    namespace,
    noop,
    starttls,
)
from fedaemon.imap.session import Done, State

ANY: Final = frozenset(State)
BEFORE: Final = frozenset({State.NOT_AUTHENTICATED})
AFTER: Final = ANY - BEFORE


@dataclass(frozen=True, slots=True)
class Row:
    """A command; its arguments are of the type that ``parse.PARSERS`` gives it."""

    run: Callable[[Any, Any, Any], Coroutine[Any, Any, Done]]
    states: frozenset[State]


TABLE: Final = {
    b"AUTHENTICATE": Row(authenticate.run, BEFORE),
    b"CAPABILITY": Row(capability.run, ANY),
    b"ENABLE": Row(enable.run, AFTER),
    b"ID": Row(id_.run, ANY),
    b"LOGIN": Row(login.run, BEFORE),
    b"LOGOUT": Row(logout.run, ANY),
    b"NAMESPACE": Row(namespace.run, AFTER),
    b"NOOP": Row(noop.run, ANY),
    b"STARTTLS": Row(starttls.run, BEFORE),
}
