"""The state of an IMAP session, and what the commands may do with it.

Standards: RFC 9051 3, RFC 5161 3.1, RFC 5182 2.1 (saved results), RFC 3501 2.3.2 (\\Recent).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Final

from fedaemon.imap.sequence_set import Ranges
from fedaemon.mailbox.live import LiveMailbox, LiveMailboxes
from fedaemon.mailbox.view import View

if TYPE_CHECKING:
    from fedaemon.imap.notification import Notifications
    from fedaemon.store.blobs import Blobs

BLOCK: Final = 64 * 1024
"""Octets that a command may queue before it awaits ``Room``."""


class State(Enum):
    """The states of RFC 9051 3 in which commands are read."""

    NOT_AUTHENTICATED = 0
    AUTHENTICATED = 1
    SELECTED = 2


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """What is the same for all sessions of a listener.

    :param hostname: our name in the greeting.
    :param blobs: the contents of messages.
    :param live: the mailboxes that are open.
    :param clock: returns the time in seconds since the epoch.
    :param tls_available: whether STARTTLS can be offered.
    :param auth_mechanisms: SASL names, offered under TLS only.
    :param errors_per_session: how many refused commands a session may have.
    :param max_message_octets: the largest message that APPEND takes.
    :param undelete_s: how long expunged messages are kept.
    :param quota_octets: of an account that has no limit of its own, None for none.
    """

    hostname: str
    blobs: Blobs
    live: LiveMailboxes
    clock: Callable[[], float]
    tls_available: bool = False
    auth_mechanisms: tuple[str, ...] = ()
    errors_per_session: int = 20
    max_message_octets: int = 50 * 1024 * 1024
    undelete_s: int = 7 * 86400
    quota_octets: int | None = None


@dataclass(frozen=True, slots=True)
class Done:
    """The command was carried out: OK with *text*; *code* is written, without brackets."""

    text: str
    code: bytes = b""


@dataclass(slots=True, eq=False)
class Selected:
    """The mailbox that is selected.

    :ivar live: the mailbox as all sessions share it.
    :ivar view: what this session was told of it.
    :ivar keywords: the names of keywords by bit, as far as this session was told.
    :ivar recent: the UIDs that are \\Recent in this session.
    :ivar saved: UIDs of the last SEARCH that asked to save them, ``$``; empty before.
    :ivar behind: whether there is something that could not be told yet.
    """

    live: LiveMailbox
    view: View
    name: str
    read_only: bool
    keywords: tuple[str, ...] = ()
    recent: list[tuple[int, int]] = field(default_factory=list)
    saved: Ranges = field(default_factory=Ranges)
    behind: bool = False

    @property
    def id(self) -> str:
        """The mailbox's id."""
        return self.live.id


class Session:
    """One client's session; *account* is empty before the log-in, *enabled* has upper-case names;
    *queued* octets wait to be taken; *noticed* says that a mailbox the session cares for has changed.
    """

    __slots__ = (
        "_output",
        "_said",
        "account",
        "compressed",
        "enabled",
        "leaving",
        "noticed",
        "notifications",
        "queued",
        "selected",
        "settings",
        "state",
        "tls_active",
        "wake",
    )

    def __init__(self, settings: EngineSettings) -> None:
        self.settings = settings
        self.state = State.NOT_AUTHENTICATED
        self.tls_active = False
        self.compressed = False
        self.account = ""
        self.enabled: set[bytes] = set()
        self.leaving = False
        self.selected: Selected | None = None
        self.notifications: Notifications | None = None
        self.noticed = False
        self.wake: Callable[[], None] = _nobody
        self.queued = 0
        self._output: list[bytes] = []
        self._said = self._output

    # -- what the client has enabled

    @property
    def utf8(self) -> bool:
        """Whether the client understands UTF-8 in strings. Spec: RFC 6855 3, RFC 9051 6.3.1"""
        return not self.enabled.isdisjoint((b"UTF8=ACCEPT", b"IMAP4REV2"))

    @property
    def rev2(self) -> bool:
        """Whether the client has enabled IMAP4rev2: no RECENT, ESEARCH for SEARCH. Spec: RFC 9051 6.3.1"""
        return b"IMAP4REV2" in self.enabled

    @property
    def condstore(self) -> bool:
        """Whether FETCH answers are to have MODSEQ. Spec: RFC 7162 3.1"""
        return b"CONDSTORE" in self.enabled

    @property
    def qresync(self) -> bool:
        """Whether VANISHED stands for EXPUNGE. Spec: RFC 7162 3.2.3"""
        return b"QRESYNC" in self.enabled

    @property
    def uid_only(self) -> bool:
        """Whether there are no sequence numbers. Spec: RFC 9586 3.1"""
        return b"UIDONLY" in self.enabled

    # -- output

    def say(self, data: bytes) -> None:
        """Queue octets for the client, in the place of the command that is running."""
        self._said.append(data)
        self.queued += len(data)

    @contextmanager
    def speaking(self, said: list[bytes]) -> Iterator[None]:
        """Have what is said kept in *said*: it is not this command's turn yet."""
        queued, self._said = self.queued, said
        try:
            yield
        finally:
            self._said = self._output
            self.queued = queued

    def pass_on(self, said: list[bytes]) -> None:
        """Queue what was kept, and forget it there."""
        self._output += said
        self.queued += sum(map(len, said))
        said.clear()

    def take_output(self) -> bytes:
        """Return everything queued since the last call."""
        data = b"".join(self._output)
        self._output.clear()
        self.queued = 0
        return data

    # -- states

    def log_in(self, account: str) -> None:
        """The client is *account* now."""
        self.account = account
        self.state = State.AUTHENTICATED

    def log_out(self) -> None:
        """The client is nobody again, and has enabled nothing. Spec: RFC 8437 3"""
        self.deselect()
        self.notify(None)
        self.account = ""
        self.enabled.clear()
        self.state = State.NOT_AUTHENTICATED

    def select(self, selected: Selected) -> None:
        """A mailbox is selected; it was opened with ``notice`` as its watcher."""
        self.selected = selected
        self.state = State.SELECTED

    def deselect(self) -> None:
        """No mailbox is selected any more."""
        if self.selected is not None:
            self.settings.live.close(self.selected.live, self.notice)
            self.selected = None
            self.state = State.AUTHENTICATED

    @property
    def need_selected(self) -> Selected:
        """The selected mailbox; only for commands of the selected state."""
        assert self.selected is not None
        return self.selected

    def notify(self, notifications: Notifications | None) -> None:
        """The client wants to hear of these, and no others."""
        if self.notifications is not None:
            self.settings.live.unwatch(self.account, self.hear)
        self.notifications = notifications
        if notifications is not None:
            self.settings.live.watch(self.account, self.hear)

    def hear(self, subject: Hashable) -> None:
        """Something of the account has changed that NOTIFY may be about (``mailbox.live.Watcher``)."""
        assert self.notifications is not None
        self.notifications.note(subject)
        self.notice(subject)

    def notice(self, subject: Hashable) -> None:
        """A mailbox has changed (``mailbox.live.Watcher``)."""
        if not self.noticed:
            self.noticed = True
            self.wake()


def _nobody() -> None:
    """Nobody waits for notices."""
