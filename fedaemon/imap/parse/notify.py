"""NOTIFY: which events of which mailboxes the client wants to hear of.

Standards: RFC 5465 3, 5, 6, 8.
Limits: those of the cursor.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

from fedaemon.imap.names import MailboxName
from fedaemon.imap.parse.cursor import Cursor
from fedaemon.imap.parse.errors import Unsupported
from fedaemon.imap.parse.fetch import FetchItem, fetch_items


class Filter(Enum):
    """Which mailboxes a group is about."""

    INBOXES = b"INBOXES"
    MAILBOXES = b"MAILBOXES"
    PERSONAL = b"PERSONAL"
    SELECTED = b"SELECTED"
    SELECTED_DELAYED = b"SELECTED-DELAYED"
    SUBSCRIBED = b"SUBSCRIBED"
    SUBTREE = b"SUBTREE"


class NotifyEvent(Enum):
    """What the client wants to hear of; annotations of messages do not exist here."""

    FLAG_CHANGE = b"FLAGCHANGE"
    MAILBOX_METADATA_CHANGE = b"MAILBOXMETADATACHANGE"
    MAILBOX_NAME = b"MAILBOXNAME"
    MESSAGE_EXPUNGE = b"MESSAGEEXPUNGE"
    MESSAGE_NEW = b"MESSAGENEW"
    SERVER_METADATA_CHANGE = b"SERVERMETADATACHANGE"
    SUBSCRIPTION_CHANGE = b"SUBSCRIPTIONCHANGE"


_FILTERS: Final = {kind.value: kind for kind in Filter}
_EVENTS: Final = {event.value: event for event in NotifyEvent}
_SELECTED: Final = (Filter.SELECTED, Filter.SELECTED_DELAYED)
_OF_MESSAGES: Final = frozenset(
    (NotifyEvent.MESSAGE_NEW, NotifyEvent.MESSAGE_EXPUNGE, NotifyEvent.FLAG_CHANGE)
)
BAD_EVENT: Final = (
    b"BADEVENT (MessageNew MessageExpunge FlagChange MailboxName SubscriptionChange "
    b"MailboxMetadataChange ServerMetadataChange)"
)


@dataclass(frozen=True, slots=True)
class EventGroup:
    """*names* are those of MAILBOXES and SUBTREE; no *events* is NONE; *items* are to be sent of new messages."""

    filter: Filter
    names: tuple[MailboxName, ...]
    events: frozenset[NotifyEvent]
    items: tuple[FetchItem, ...] = ()


@dataclass(frozen=True, slots=True)
class Notify:
    """NOTIFY; no *groups* is NONE. *status* asks for the STATUS of the mailboxes now."""

    groups: tuple[EventGroup, ...]
    status: bool = False


def notify(cursor: Cursor) -> Notify:
    """Read the arguments of NOTIFY.

    Spec: RFC 5465 8
    """
    cursor.space()
    if cursor.skip_word(b"NONE"):
        cursor.end()
        return Notify(())
    if not cursor.skip_word(b"SET"):
        cursor.fail("NONE or SET")
    cursor.space()
    status = cursor.skip_word(b"STATUS")
    if status:
        cursor.space()
    groups = [_group(cursor)]
    while cursor.skip(b" "):
        groups.append(_group(cursor))
    cursor.end()
    if sum(group.filter in _SELECTED for group in groups) > 1:
        cursor.fail("SELECTED or SELECTED-DELAYED once")
    return Notify(tuple(groups), status)


def _group(cursor: Cursor) -> EventGroup:
    cursor.expect(b"(")
    kind = cursor.choice(_FILTERS, "a filter of mailboxes")
    names: tuple[MailboxName, ...] = ()
    if kind in (Filter.MAILBOXES, Filter.SUBTREE):
        cursor.space()
        names = cursor.items(cursor.mailbox) if cursor.at(b"(") else (cursor.mailbox(),)
    cursor.space()
    events: frozenset[NotifyEvent] = frozenset()
    items: tuple[FetchItem, ...] = ()
    if not cursor.skip_word(b"NONE"):
        found = cursor.items(lambda: _event(cursor, selected=kind in _SELECTED))
        events = frozenset([event for event, _ in found])
        items = tuple(dict.fromkeys([item for _, wanted in found for item in wanted]))
    cursor.expect(b")")
    _check(cursor, kind, events)
    return EventGroup(kind, names, events, items)


def _event(cursor: Cursor, *, selected: bool) -> tuple[NotifyEvent, tuple[FetchItem, ...]]:
    event = _EVENTS.get(cursor.word("an event"))
    if event is None:
        raise Unsupported("No such event", BAD_EVENT)
    if selected and event is NotifyEvent.MESSAGE_NEW and cursor.skip(b" ("):
        cursor.position -= 1
        return event, fetch_items(cursor)
    return event, ()


def _check(cursor: Cursor, kind: Filter, events: frozenset[NotifyEvent]) -> None:
    """Refuse what does not go together.

    Spec: RFC 5465 5 (MessageNew with MessageExpunge, FlagChange with both), 6.1
    """
    pair = {NotifyEvent.MESSAGE_NEW, NotifyEvent.MESSAGE_EXPUNGE}
    if (pair & events and not pair <= events) or (NotifyEvent.FLAG_CHANGE in events and not pair <= events):
        cursor.fail("MessageNew and MessageExpunge together, and FlagChange only with them,")
    if kind in _SELECTED and not events <= _OF_MESSAGES:
        cursor.fail("only events of messages for the selected mailbox")
