"""What a command is: its function, and the states of a session in which it is in order.

Standards: RFC 1939 3.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fedaemon.pop3.session import State

if TYPE_CHECKING:
    from fedaemon.pop3.session import Session

BEFORE_LOGIN = (State.AUTHORIZATION,)
AFTER_LOGIN = (State.TRANSACTION,)
ALWAYS = (State.AUTHORIZATION, State.TRANSACTION)


@dataclass(frozen=True, slots=True)
class Verb:
    """A command of the protocol.

    :param run: called with the session and the argument as it stands behind the first space.
    :param argument: True when there must be one, False when there must be none, None when it does not matter.
    """

    run: Callable[[Session, bytes], None]
    states: tuple[State, ...]
    argument: bool | None = None
