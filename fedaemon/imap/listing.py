"""LIST and LSUB: which names are told, with which attributes, and in what words.

A name is told because it exists, because it is subscribed to, or because it is a level above such a name; which of
these count is what the options say. The account's names come in as values; nothing is read here.

Standards: RFC 9051 6.3.9, 7.3.1, RFC 3501 6.3.9 (LSUB), RFC 5258 3, 4, 5 (LIST-EXTENDED), RFC 6154 2
(SPECIAL-USE).
Invariants: each name is told once, above its children; CHILDINFO only for RECURSIVEMATCH; mailboxes of other
servers do not exist, so REMOTE changes nothing.
Limits: those of the parser; the work is the number of names times that of patterns, MATCHES_A_TURN at a time.
"""

from __future__ import annotations

from collections.abc import Collection, Container, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from fedaemon.imap import writer
from fedaemon.imap.list_pattern import Pattern
from fedaemon.imap.operations import Turn
from fedaemon.imap.parse.listing import List, Selection, Told
from fedaemon.mailbox.mailboxes import INBOX, SEPARATOR

MATCHES_A_TURN: Final = 500
"""Of a pattern with a name: most take less than a microsecond, the worst some 20."""
NAMES_A_TURN: Final = 2_000

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


async def list_answer(names: Names, asked: List) -> Iterator[Answer]:
    """Return what LIST tells, in order; it is made up while it is iterated over.

    :param names: those of the account.
    :param asked: the command.

    Spec: RFC 9051 6.3.9, RFC 5258 3
    """
    if asks_for_root(asked):
        return iter((Answer(_root(asked.reference), (b"\\Noselect",)),))
    # Only the basic form gives a meaning to the empty pattern.
    patterns = [Pattern(asked.reference, pattern) for pattern in asked.patterns if pattern]
    selected = names.selected(asked.selection)
    told = set(await _matching(patterns, selected))
    parents: dict[str, bool] = {}
    if Selection.RECURSIVEMATCH in asked.selection:
        parents = await _parents(selected, told)
        hidden = [name for name, says_more in parents.items() if says_more]
        told.update(await _matching(patterns, hidden))
    elif not asked.selection & _FILTERS:
        levels = [pattern for pattern in patterns if pattern.shows_levels]
        told.update(await _matching(levels, names.with_children))
    info = _criteria(asked.selection)
    return (
        Answer(name, names.attributes(name, asked), info if name in parents else (), names.exists(name))
        for name in sorted(told, key=_place)
    )


def asks_for_root(asked: List) -> bool:
    """Tell whether LIST asks for the separator only. Spec: RFC 9051 6.3.9"""
    return not asked.extended and asked.patterns == ("",)


async def lsub_answer(names: Names, asked: List) -> Iterator[Answer]:
    """Return what LSUB tells: names subscribed to, and with ``%`` the levels above them as \\Noselect.

    Parameters are those of ``list_answer``. A name that is subscribed to is not \\Noselect, unless its mailbox is
    known to be.

    Spec: RFC 3501 6.3.9
    """
    patterns = [Pattern(asked.reference, pattern) for pattern in asked.patterns]
    levels = [pattern for pattern in patterns if pattern.shows_levels]
    told = {name: names.is_unselectable(name) for name in await _matching(patterns, names.subscribed)}
    if levels:
        parents = await _parents(names.subscribed, told)
        for parent in await _matching(levels, parents):
            told.setdefault(parent, True)
    return (Answer(name, (b"\\Noselect",) if told[name] else ()) for name in sorted(told, key=_place))


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


class Names:
    """The names of an account.

    :ivar subscribed: names subscribed to, whether they exist or not.
    :ivar with_children: names of mailboxes and of mere levels that have some below them.
    """

    def __init__(self) -> None:
        self._mailboxes: dict[str, Listed] = {}
        self.subscribed: set[str] = set()
        self.with_children: set[str] = set()

    def add(self, mailboxes: Iterable[Listed]) -> None:
        """Take in mailboxes of the account."""
        for mailbox in mailboxes:
            self._mailboxes[mailbox.name] = mailbox
            for parent in _above(mailbox.name):
                if parent in self.with_children:
                    break  # and so are all above it
                self.with_children.add(parent)

    def selected(self, selection: frozenset[Selection]) -> Collection[str]:
        """Return names that meet all criteria; without any, those that exist."""
        names: Collection[str] = self._mailboxes
        if Selection.SUBSCRIBED in selection:
            names = self.subscribed
        if Selection.SPECIAL_USE in selection:
            names = [name for name in names if self._special_use(name)]
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
        ) and name in self.subscribed:
            found.append(b"\\Subscribed")
        if Told.SPECIAL_USE in asked.told or Selection.SPECIAL_USE in asked.selection or not asked.extended:
            found.extend(self._special_use(name))
        return tuple(found)

    def _special_use(self, name: str) -> tuple[bytes, ...]:
        mailbox = self._mailboxes.get(name)
        return (mailbox.special_use.encode("ascii"),) if mailbox and mailbox.special_use else ()


async def _parents(selected: Collection[str], told: Container[str]) -> dict[str, bool]:
    """Return all levels above selected names, and whether one of those is not told itself.

    A name that is told for its children only would else say nothing new.

    Spec: RFC 5258 3.5
    """
    found: dict[str, bool] = {}
    for count, name in enumerate(selected, 1):
        hidden = name not in told
        for parent in _above(name):
            known = found.get(parent)
            if known is not None and (known or not hidden):
                break  # and nothing is new of those above it
            found[parent] = hidden
        if count % NAMES_A_TURN == 0:
            await Turn()
    return found


def _criteria(selection: frozenset[Selection]) -> tuple[bytes, ...]:
    return tuple(sorted(option.value for option in selection & _FILTERS))


async def _matching(patterns: list[Pattern], names: Iterable[str]) -> list[str]:
    """Return the names that one of the patterns matches."""
    found: list[str] = []
    room = MATCHES_A_TURN
    for name in names if patterns else ():
        if any(pattern.matches(name) for pattern in patterns):
            found.append(name)
        room -= len(patterns)
        if room <= 0:
            room = MATCHES_A_TURN
            await Turn()
    return found


def _above(name: str) -> Iterator[str]:
    """Return the levels above *name*, the nearest first."""
    end = name.rfind(SEPARATOR)
    while end > 0:
        yield name[:end]
        end = name.rfind(SEPARATOR, 0, end)


def _place(name: str) -> str:
    """Return where *name* stands: INBOX first, and each name before its children."""
    # NUL is in no name and comes before all that is.
    place = name.replace(SEPARATOR, "\0")
    return "\0" + place if name == INBOX or name.startswith(INBOX + SEPARATOR) else place


def _root(reference: str) -> str:
    """Return the root of *reference*: its first level with the separator, empty if it has but one.

    Spec: RFC 9051 6.3.9
    """
    level, separator, _ = reference.partition(SEPARATOR)
    return level + separator if separator else ""
