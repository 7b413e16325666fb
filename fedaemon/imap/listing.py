"""LIST and LSUB: which names are told, with which attributes, and in what words.

A name is told because it exists, because it is subscribed to, or because it is a level above such a name; which of
these count is what the options say. The account's names come in as values; nothing is read here.

Standards: RFC 9051 6.3.9, 7.3.1, RFC 3501 6.3.9 (LSUB), RFC 5258 3, 4, 5 (LIST-EXTENDED), RFC 6154 2
(SPECIAL-USE).
Invariants: each name is told once, above its children; CHILDINFO only for RECURSIVEMATCH; mailboxes of other
servers do not exist, so REMOTE changes nothing.
Limits: those of the parser; the work is the number of names times that of patterns.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from fedaemon.imap import writer
from fedaemon.imap.list_pattern import Pattern
from fedaemon.imap.parse.listing import List, Selection, Told
from fedaemon.mailbox.mailboxes import INBOX, SEPARATOR

_FILTERS: Final = frozenset((Selection.SUBSCRIBED, Selection.SPECIAL_USE))


@dataclass(frozen=True, slots=True)
class Listed:
    """A mailbox of the account.

    :ivar special_use: as it is written, ``\\Sent``.
    """

    name: str
    special_use: str | None = None
    selectable: bool = True


@dataclass(frozen=True, slots=True)
class Answer:
    """A name that is told.

    :ivar attributes: with their backslashes.
    :ivar child_info: criteria that some name below meets, for CHILDINFO.
    :ivar exists: whether it can be selected, and so has a STATUS to return.
    """

    name: str
    attributes: tuple[bytes, ...] = ()
    child_info: tuple[bytes, ...] = ()
    exists: bool = False


def list_answer(mailboxes: Iterable[Listed], subscribed: Collection[str], asked: List) -> list[Answer]:
    """Return what LIST tells.

    :param mailboxes: all of the account.
    :param subscribed: names subscribed to, whether they exist or not.
    :param asked: the command.

    Spec: RFC 9051 6.3.9, RFC 5258 3
    """
    if not asked.extended and asked.patterns == ("",):
        return [Answer(_root(asked.reference), (b"\\Noselect",))]
    # Only the basic form gives a meaning to the empty pattern.
    patterns = [Pattern(asked.reference, pattern) for pattern in asked.patterns if pattern]
    account = _Account(mailboxes, subscribed)
    selected = account.selected(asked.selection)
    told = {name for name in selected if _any_matches(patterns, name)}
    parents: dict[str, bool] = {}
    if Selection.RECURSIVEMATCH in asked.selection:
        parents = _parents(selected, told)
        told |= {name for name, hidden in parents.items() if hidden and _any_matches(patterns, name)}
    elif not asked.selection & _FILTERS:
        levels = [pattern for pattern in patterns if pattern.shows_levels]
        told |= {name for name in account.with_children if _any_matches(levels, name)}
    info = _criteria(asked.selection)
    return [
        Answer(name, account.attributes(name, asked), info if name in parents else (), account.exists(name))
        for name in sorted(told, key=_place)
    ]


def lsub_answer(mailboxes: Iterable[Listed], subscribed: Collection[str], asked: List) -> list[Answer]:
    """Return what LSUB tells: names subscribed to, and with ``%`` the levels above them as \\Noselect.

    Parameters are those of ``list_answer``. A name that is subscribed to is not \\Noselect, unless its mailbox is
    known to be.

    Spec: RFC 3501 6.3.9
    """
    account = _Account(mailboxes, subscribed)
    patterns = [Pattern(asked.reference, pattern) for pattern in asked.patterns]
    levels = [pattern for pattern in patterns if pattern.shows_levels]
    told = {name: account.is_unselectable(name) for name in subscribed if _any_matches(patterns, name)}
    for name in subscribed:
        for parent in _above(name):
            if parent not in told and _any_matches(levels, parent):
                told[parent] = True
    return [Answer(name, (b"\\Noselect",) if told[name] else ()) for name in sorted(told, key=_place)]


def line(answer: Answer, *, utf8: bool, command: bytes = b"LIST") -> bytes:
    """Return one response.

    :param utf8: whether the session reads names in UTF-8.
    :param command: LIST or LSUB.

    Spec: RFC 9051 7.3.1, RFC 5258 4
    """
    words = [command, writer.flag_list(answer.attributes), writer.string(SEPARATOR.encode())]
    words.append(writer.mailbox(answer.name, utf8=utf8))
    if answer.child_info:
        told = b" ".join(writer.string(option) for option in answer.child_info)
        words.append(b'("CHILDINFO" (' + told + b"))")
    return writer.untagged(*words)


class _Account:
    """The names of an account."""

    def __init__(self, mailboxes: Iterable[Listed], subscribed: Collection[str]) -> None:
        self._mailboxes = {mailbox.name: mailbox for mailbox in mailboxes}
        self._subscribed = frozenset(subscribed)
        self.with_children = {parent for name in self._mailboxes for parent in _above(name)}
        """Names of mailboxes and of mere levels."""

    def selected(self, selection: frozenset[Selection]) -> set[str]:
        """Return names that meet all criteria; without any, those that exist."""
        names: set[str] = set(self._mailboxes)
        if Selection.SUBSCRIBED in selection:
            names = set(self._subscribed)
        if Selection.SPECIAL_USE in selection:
            names = {name for name in names if self._special_use(name)}
        return names

    def exists(self, name: str) -> bool:
        """Tell whether *name* is a mailbox that can be selected."""
        mailbox = self._mailboxes.get(name)
        return mailbox is not None and mailbox.selectable

    def is_unselectable(self, name: str) -> bool:
        """Tell whether *name* is a mailbox that cannot be selected."""
        mailbox = self._mailboxes.get(name)
        return mailbox is not None and not mailbox.selectable

    def attributes(self, name: str, asked: List) -> tuple[bytes, ...]:
        """Return the attributes of *name*.

        The basic form tells children and special uses too, and \\Noselect beside \\NonExistent, which clients of
        IMAP4rev1 do not know.

        Spec: RFC 9051 7.3.1, RFC 5258 3, 4, RFC 6154 2
        """
        found: list[bytes] = []
        if name not in self._mailboxes:
            found.append(b"\\NonExistent")
        if self.is_unselectable(name) or (found and not asked.extended):
            found.append(b"\\Noselect")
        if Told.CHILDREN in asked.told or not asked.extended:
            found.append(b"\\HasChildren" if name in self.with_children else b"\\HasNoChildren")
        if (
            Told.SUBSCRIBED in asked.told or Selection.SUBSCRIBED in asked.selection
        ) and name in self._subscribed:
            found.append(b"\\Subscribed")
        if Told.SPECIAL_USE in asked.told or Selection.SPECIAL_USE in asked.selection or not asked.extended:
            found.extend(self._special_use(name))
        return tuple(found)

    def _special_use(self, name: str) -> tuple[bytes, ...]:
        mailbox = self._mailboxes.get(name)
        return (mailbox.special_use.encode("ascii"),) if mailbox and mailbox.special_use else ()


def _parents(selected: set[str], told: set[str]) -> dict[str, bool]:
    """Return all levels above selected names, and whether one of those is not told itself.

    A name that is told for its children only would else say nothing new.

    Spec: RFC 5258 3.5
    """
    found: dict[str, bool] = {}
    for name in selected:
        for parent in _above(name):
            found[parent] = found.get(parent, False) or name not in told
    return found


def _criteria(selection: frozenset[Selection]) -> tuple[bytes, ...]:
    return tuple(sorted(option.value for option in selection & _FILTERS))


def _any_matches(patterns: list[Pattern], name: str) -> bool:
    return any(pattern.matches(name) for pattern in patterns)


def _above(name: str) -> Iterator[str]:
    """Return the levels above *name*, the nearest first."""
    end = name.rfind(SEPARATOR)
    while end > 0:
        yield name[:end]
        end = name.rfind(SEPARATOR, 0, end)


def _place(name: str) -> tuple[bool, list[str]]:
    """Return where *name* stands: INBOX first, and each name before its children."""
    levels = name.split(SEPARATOR)
    return levels[0] != INBOX, levels


def _root(reference: str) -> str:
    """Return the root of *reference*: its first level with the separator, empty if it has but one.

    Spec: RFC 9051 6.3.9
    """
    level, separator, _ = reference.partition(SEPARATOR)
    return level + separator if separator else ""
