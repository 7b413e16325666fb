"""What a client that said NOTIFY is told of: its other mailboxes, and its mailboxes' names.

Theory of operation: what was told last is kept for each mailbox of the account; a change of one, or of the names,
makes a note, and in the next turn what is there now is compared with it.

Standards: RFC 5465 3, 5, 6.
Invariants: each mailbox falls under the first group that names it.
Limits: MAX_KNOWN mailboxes; beyond, NOTIFY is refused.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field
from typing import Final

from fedaemon.imap import writer
from fedaemon.imap.commands.status import counter
from fedaemon.imap.parse.fetch import FetchItem
from fedaemon.imap.parse.listing import StatusItem
from fedaemon.imap.parse.notify import EventGroup, Filter, Notify, NotifyEvent
from fedaemon.imap.session import Session
from fedaemon.mailbox import mailboxes
from fedaemon.mailbox import state as states
from fedaemon.mailbox.mailboxes import INBOX, SEPARATOR
from fedaemon.mailbox.metadata import MetadataChanged
from fedaemon.mailbox.state import Change, State
from fedaemon.store.interface import Snapshot

MAX_KNOWN: Final = 2_000
"""Mailboxes whose state is held in memory for one session."""

MAX_ANNOTATIONS: Final = 1_000
"""That are noted between two looks."""

_TOLD: Final = (StatusItem.MESSAGES, StatusItem.UIDNEXT, StatusItem.UIDVALIDITY, StatusItem.UNSEEN)
_SELECTED: Final = (Filter.SELECTED, Filter.SELECTED_DELAYED)
_MESSAGES: Final = frozenset((NotifyEvent.MESSAGE_NEW, NotifyEvent.MESSAGE_EXPUNGE, NotifyEvent.FLAG_CHANGE))


@dataclass(frozen=True, slots=True)
class Known:
    """A mailbox as the client knows it."""

    name: str
    subscribed: bool
    state: State


@dataclass(slots=True)
class Notifications:
    """What one session wants to hear of.

    :ivar known: by mailbox id, as the client was told last.
    :ivar changed: mailboxes that may be different now; *names* whether the names may be; *annotations* that are.
    """

    asked: Notify
    known: dict[str, Known] = field(default_factory=dict)
    changed: set[str] = field(default_factory=set)
    names: bool = False
    annotations: dict[MetadataChanged, None] = field(default_factory=dict)

    def note(self, subject: Hashable) -> None:
        """Something is different now."""
        if isinstance(subject, Change):
            self.changed.add(subject.mailbox_id)
        elif isinstance(subject, MetadataChanged):
            if len(self.annotations) < MAX_ANNOTATIONS:
                self.annotations[subject] = None
        else:
            self.names = True

    # -- the selected mailbox

    @property
    def of_selected(self) -> EventGroup | None:
        """What is asked of the selected mailbox."""
        return next(
            (group for group in self.asked.groups if group.filter in _SELECTED and group.events), None
        )

    @property
    def expunges_at_once(self) -> bool:
        """Whether EXPUNGE may be told at any time. Spec: RFC 5465 6.1"""
        group = self.of_selected
        return group is not None and group.filter is Filter.SELECTED

    @property
    def flags_at_once(self) -> bool:
        """Whether changes of flags are told by themselves."""
        group = self.of_selected
        return group is not None and NotifyEvent.FLAG_CHANGE in group.events

    @property
    def items_of_new(self) -> tuple[FetchItem, ...]:
        """What is told of each new message. Spec: RFC 5465 5.2"""
        group = self.of_selected
        return group.items if group is not None else ()

    # -- the others

    def events_of(self, name: str, *, subscribed: bool) -> frozenset[NotifyEvent]:
        """Return what is asked of the mailbox *name*. Spec: RFC 5465 6"""
        for group in self.asked.groups:
            if _is_meant(group, name, subscribed=subscribed):
                return group.events
        return frozenset()

    def tell(self, session: Session, snapshot: Snapshot) -> None:
        """Say what is different in *snapshot*. Spec: RFC 5465 5"""
        if self.names:
            self.names = False
            self._tell_names(session, snapshot)
        self._tell_annotations(session)
        changed, self.changed = self.changed, set()
        selected = session.selected.id if session.selected is not None else ""
        for mailbox_id in changed:
            known = self.known.get(mailbox_id)
            if known is None:
                continue
            state = states.load(snapshot, mailbox_id)
            self.known[mailbox_id] = Known(known.name, known.subscribed, state)
            events = self.events_of(known.name, subscribed=known.subscribed)
            if mailbox_id != selected and _events(known.state, state) & events:
                session.say(_status_line(session, known.name, state))

    def tell_all(self, session: Session) -> None:
        """Say the STATUS of all mailboxes that messages are asked of. Spec: RFC 5465 3.1"""
        selected = session.selected.id if session.selected is not None else ""
        for mailbox_id, known in self.known.items():
            wanted = self.events_of(known.name, subscribed=known.subscribed) & _MESSAGES
            if wanted and mailbox_id != selected:
                session.say(_status_line(session, known.name, known.state))

    def _tell_names(self, session: Session, snapshot: Snapshot) -> None:
        before, self.known = self.known, look(snapshot, session.account)
        for mailbox_id, known in before.items():
            if mailbox_id not in self.known and self._wants(NotifyEvent.MAILBOX_NAME, known):
                session.say(_list_line(session, known.name, [rb"\NonExistent"]))
        for mailbox_id, known in self.known.items():
            old = before.get(mailbox_id)
            attributes = [rb"\Subscribed"] if known.subscribed else []
            if old is None or old.name != known.name:
                if self._wants(NotifyEvent.MAILBOX_NAME, known):
                    session.say(
                        _list_line(session, known.name, attributes, old.name if old is not None else None)
                    )
            elif old.subscribed != known.subscribed and self._wants(NotifyEvent.SUBSCRIPTION_CHANGE, known):
                session.say(_list_line(session, known.name, attributes))
            if old is not None:
                # What has changed in it is told by the note of its own.
                self.known[mailbox_id] = Known(known.name, known.subscribed, old.state)

    def _tell_annotations(self, session: Session) -> None:
        """Say which annotations are different now, not how. Spec: RFC 5464 4.4.2, RFC 5465 5.7, 5.8"""
        annotations, self.annotations = self.annotations, {}
        for change in annotations:
            known = self.known.get(change.mailbox_id)
            if known is not None:
                wanted = self._wants(NotifyEvent.MAILBOX_METADATA_CHANGE, known)
            else:
                groups = self.asked.groups
                wanted = any(NotifyEvent.SERVER_METADATA_CHANGE in group.events for group in groups)
            if wanted:
                name = writer.mailbox(known.name if known is not None else "", utf8=session.utf8)
                session.say(writer.untagged(b"METADATA", name, writer.astring(change.entry.encode())))

    def _wants(self, event: NotifyEvent, known: Known) -> bool:
        # A name that has just been unsubscribed from was among the subscribed ones.
        return event in self.events_of(known.name, subscribed=True)


def look(snapshot: Snapshot, account: str) -> dict[str, Known]:
    """Return the mailboxes of an account as they are."""
    subscribed = mailboxes.subscriptions(snapshot, account)
    found = list(mailboxes.mailboxes(snapshot, account))
    return {
        each.id: Known(each.name, each.name in subscribed, states.load(snapshot, each.id)) for each in found
    }


def _status_line(session: Session, name: str, state: State) -> bytes:
    """Return the STATUS that tells of changed messages. Spec: RFC 5465 5.2, 5.3, 5.4"""
    items = (*_TOLD, StatusItem.HIGHESTMODSEQ) if session.condstore else _TOLD
    values = b" ".join([item.value + b" " + counter(state, item) for item in items])
    return writer.untagged(b"STATUS", writer.mailbox(name, utf8=session.utf8), b"(" + values + b")")


def _list_line(
    session: Session, name: str, attributes: Iterable[bytes], old_name: str | None = None
) -> bytes:
    """Return the LIST that tells of a name. Spec: RFC 5465 5.5, RFC 9051 7.3.1 (OLDNAME)"""
    words = [b"LIST", b"(" + b" ".join(attributes) + b")", b'"/"', writer.mailbox(name, utf8=session.utf8)]
    if old_name is not None:
        words.append(b'("OLDNAME" (' + writer.mailbox(old_name, utf8=session.utf8) + b"))")
    return writer.untagged(*words)


def _events(before: State, now: State) -> frozenset[NotifyEvent]:
    found = set()
    new = now.uidnext - before.uidnext
    if new:
        found.add(NotifyEvent.MESSAGE_NEW)
    if now.exists < before.exists + new:
        found.add(NotifyEvent.MESSAGE_EXPUNGE)
    if now.modseq > before.modseq and not found:
        found.add(NotifyEvent.FLAG_CHANGE)
    return frozenset(found)


def _is_meant(group: EventGroup, name: str, *, subscribed: bool) -> bool:
    match group.filter:
        case Filter.INBOXES:
            return name == INBOX
        case Filter.PERSONAL:
            return True
        case Filter.SUBSCRIBED:
            return subscribed
        case Filter.MAILBOXES:
            return name in group.names
        case Filter.SUBTREE:
            return any(name == top or name.startswith(top + SEPARATOR) for top in group.names)
        case _:
            return False
