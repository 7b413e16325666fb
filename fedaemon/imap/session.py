"""The state of an IMAP session, and what the commands may do with it.

Standards: RFC 9051 3, RFC 5161 3.1.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class State(Enum):
    """The states of RFC 9051 3 in which commands are read."""

    NOT_AUTHENTICATED = 0
    AUTHENTICATED = 1
    SELECTED = 2


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """What is the same for all sessions of a listener.

    :param hostname: our name in the greeting.
    :param tls_available: whether STARTTLS can be offered.
    :param auth_mechanisms: SASL names, offered under TLS only.
    :param errors_per_session: how many refused commands a session may have.
    """

    hostname: str
    tls_available: bool = False
    auth_mechanisms: tuple[str, ...] = ()
    errors_per_session: int = 20


@dataclass(frozen=True, slots=True)
class Done:
    """The command was carried out: OK with *text*; *code* is written, without brackets."""

    text: str
    code: bytes = b""


class Session:
    """One client's session; *account* is empty before the log-in, *enabled* has upper-case names;
    *queued* octets wait to be taken.
    """

    __slots__ = ("_said", "account", "enabled", "leaving", "queued", "settings", "state", "tls_active")

    def __init__(self, settings: EngineSettings) -> None:
        self.settings = settings
        self.state = State.NOT_AUTHENTICATED
        self.tls_active = False
        self.account = ""
        self.enabled: set[bytes] = set()
        self.leaving = False
        self.queued = 0
        self._said: list[bytes] = []

    @property
    def utf8(self) -> bool:
        """Whether the client understands UTF-8 in strings. Spec: RFC 6855 3, RFC 9051 6.3.1"""
        return not self.enabled.isdisjoint((b"UTF8=ACCEPT", b"IMAP4REV2"))

    def say(self, data: bytes) -> None:
        """Queue octets for the client, in the place of the command that is running."""
        self._said.append(data)
        self.queued += len(data)

    def take_output(self) -> bytes:
        """Return everything queued since the last call."""
        data = b"".join(self._said)
        self._said.clear()
        self.queued = 0
        return data

    def log_in(self, account: str) -> None:
        """The client is *account* now."""
        self.account = account
        self.state = State.AUTHENTICATED
