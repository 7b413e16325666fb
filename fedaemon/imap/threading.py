"""THREAD: messages in trees, by subject or by what they refer to.

Works on what the store keeps of each message; no message is read. REFERENCES goes in the six steps of RFC 5256.
Nodes are numbers: those below the number of messages are messages, the others are dummies, messages that are only
referred to. No step recurses: a thread may be as deep as the mailbox is long.

Standards: RFC 5256 2.1, 2.2 (sent date), 3 (THREAD), 4 (THREAD response).
Invariants: each number is written exactly once; links never make a loop; no dummy has less than two children.
Limits: MAX_CLIMB_STEPS.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from fedaemon.imap.parse.search import ThreadAlgorithm

MAX_CLIMB_STEPS: Final = 1_000_000
"""Steps towards the root that the search for loops takes for one command.

Only truncated or contradictory references need any: one thread of 20,000 messages in random order with truncated
lists takes some 130,000. When they are used up, a link that would need more is left out, as if it made a loop:
made-up references cannot cost quadratic time.
"""

_NOBODY: Final = -1


@dataclass(frozen=True, slots=True)
class Threaded:
    """What THREAD needs of a message.

    :ivar number: sequence number, or UID for UID THREAD.
    :ivar message_id: without angle brackets or with them, as in *references*; empty when missing or unusable.
    :ivar references: ids from References, oldest first, or else the first one of In-Reply-To.
    :ivar base_subject: case-folded.
    :ivar is_reply: whether the subject shows a reply or forwarded message.
    :ivar sent_s: sent date in UTC, seconds since 1970; the internal date for messages without one.
    """

    number: int
    message_id: str
    references: tuple[str, ...]
    base_subject: str
    is_reply: bool
    sent_s: int


def thread(algorithm: ThreadAlgorithm, messages: Sequence[Threaded]) -> bytes:
    """Return the threads as the THREAD response has them, ``(2)(3 6 (4 23)(44 7 96))``, empty for no messages.

    :param messages: each number once, in any order.

    Spec: RFC 5256 3, 4
    """
    ordered = sorted(messages, key=lambda message: message.number)
    if algorithm is ThreadAlgorithm.ORDEREDSUBJECT:
        return _ordered_subject(ordered)
    return _references(ordered)


def _ordered_subject(messages: Sequence[Threaded]) -> bytes:
    """Make each subject's oldest message the parent of the others.

    Spec: RFC 5256 3 (ORDEREDSUBJECT)
    """
    children: list[list[int]] = [[] for _ in messages]
    first: dict[str, int] = {}
    for node in sorted(range(len(messages)), key=lambda node: messages[node].sent_s):
        oldest = first.setdefault(messages[node].base_subject, node)
        if oldest != node:
            children[oldest].append(node)
    return _write(messages, list(first.values()), children)


def _references(messages: Sequence[Threaded]) -> bytes:
    """Make threads of what messages refer to, then join those that have one subject.

    Spec: RFC 5256 3 (REFERENCES)
    """
    roots, children = _pruned(_linked(messages).parents, len(messages))
    by_date = sorted(range(len(messages)), key=lambda node: messages[node].sent_s)
    age = [0] * len(messages)
    for place, node in enumerate(by_date):
        age[node] = place
    roots = _sorted(roots, children, age)
    return _write(messages, _sorted(_gathered(messages, roots, children), children, age), children)


class _Forest:
    """Nodes and their parents, with sets of nodes that answer "could this link make a loop?" without climbing.

    A set holds at least the trees of its members: links join sets, and cuts do not split them. So two sets mean
    two trees; and where there was no cut, one set means one tree.
    """

    def __init__(self, size: int) -> None:
        self.parents = [_NOBODY] * size
        self._sets = list(range(size))
        self._was_cut = [False] * size
        self._steps_left = MAX_CLIMB_STEPS

    def add(self) -> int:
        """Return a new dummy."""
        node = len(self.parents)
        self.parents.append(_NOBODY)
        self._sets.append(node)
        self._was_cut.append(False)
        return node

    def link(self, parent: int, child: int) -> None:
        """Make *child*, which has no parent, a child of *parent*, unless that would make a loop."""
        upper, lower = self._set(parent), self._set(child)
        if upper == lower and (not self._was_cut[upper] or self._is_below(parent, child)):
            return
        self.parents[child] = parent
        self._sets[lower] = upper
        self._was_cut[upper] = self._was_cut[upper] or self._was_cut[lower]

    def cut(self, child: int) -> None:
        """Take *child* from its parent."""
        self.parents[child] = _NOBODY
        self._was_cut[self._set(child)] = True

    def _set(self, node: int) -> int:
        sets = self._sets
        while sets[node] != node:
            sets[node] = node = sets[sets[node]]
        return node

    def _is_below(self, node: int, top: int) -> bool:
        while node not in (top, _NOBODY):
            if not self._steps_left:
                return True
            self._steps_left -= 1
            node = self.parents[node]
        return node == top


def _linked(messages: Sequence[Threaded]) -> _Forest:
    """Link messages, and dummies for those that are only referred to (step 1).

    Of several messages with one id the first has it; the others count as having none.
    """
    forest = _Forest(len(messages))
    nodes: dict[str, int] = {}
    for node, message in enumerate(messages):
        if message.message_id:
            nodes.setdefault(message.message_id, node)
    for node, message in enumerate(messages):
        last = _NOBODY
        for reference in message.references:
            named = nodes.get(reference, _NOBODY)
            if named == _NOBODY:
                named = nodes[reference] = forest.add()
            if last != _NOBODY and forest.parents[named] == _NOBODY:
                forest.link(last, named)
            last = named
        if forest.parents[node] != last:
            # Whoever gave it a parent had a truncated list: its own list is the better source.
            if forest.parents[node] != _NOBODY:
                forest.cut(node)
            if last != _NOBODY:
                forest.link(last, node)
    return forest


def _pruned(parents: list[int], count: int) -> tuple[list[int], list[list[int]]]:
    """Return roots and children without dummies, except for those that hold several messages at the root (2, 3).

    Each message goes to the nearest message above it, or else to the dummy that is the root of its tree.
    """
    children: list[list[int]] = [[] for _ in parents]
    roots: list[int] = []
    above = list(parents)
    for node in range(count):
        target = _nearest(above, node, count)
        if target == _NOBODY:
            roots.append(node)
        else:
            children[target].append(node)
    for dummy in range(count, len(parents)):
        if len(children[dummy]) == 1:
            roots.append(children[dummy].pop())
        elif children[dummy]:
            roots.append(dummy)
    return roots, children


def _nearest(above: list[int], node: int, count: int) -> int:
    """Return the message or root dummy above *node*, and shorten the way there for the next one."""
    target = above[node]
    while target >= count and above[target] != _NOBODY:
        target = above[target]
    while above[node] != target:
        above[node], node = target, above[node]
    return target


def _sorted(roots: list[int], children: list[list[int]], age: list[int]) -> list[int]:
    """Sort all siblings by sent date, then the roots, where a dummy has the date of its first child (4, 6)."""
    for siblings in children:
        siblings.sort(key=age.__getitem__)
    return sorted(roots, key=lambda node: age[_first_message(node, children, len(age))])


def _first_message(root: int, children: list[list[int]], count: int) -> int:
    return root if root < count else children[root][0]


def _gathered(messages: Sequence[Threaded], roots: list[int], children: list[list[int]]) -> list[int]:
    """Join threads with one base subject (step 5); *children* changes, the roots that remain are returned."""
    count = len(messages)
    subjects = {root: messages[_first_message(root, children, count)].base_subject for root in roots}
    table: dict[str, int] = {}
    for root in roots:
        known = table.setdefault(subjects[root], root)
        if known < count and (root >= count or (messages[known].is_reply and not messages[root].is_reply)):
            table[subjects[root]] = root
    remaining = dict.fromkeys(roots)
    for root in roots:
        known = table[subjects[root]]
        if not subjects[root] or known == root:
            continue
        del remaining[root]
        if known >= count:
            children[known].extend(children[root] if root >= count else [root])
        elif messages[root].is_reply and not messages[known].is_reply:
            children[known].append(root)
        else:
            del remaining[known]
            children.append([known, root])
            table[subjects[root]] = len(children) - 1
            remaining[len(children) - 1] = None
    return list(remaining)


def _write(messages: Sequence[Threaded], roots: list[int], children: list[list[int]]) -> bytes:
    """Return the threads as text.

    Spec: RFC 5256 5 (thread-list)
    """
    words: list[bytes] = []
    ahead: list[int | None] = list(reversed(roots))
    while ahead:
        node = ahead.pop()
        if node is None:
            words.append(b")")
            continue
        words.append(b"(")
        below = children[node]
        if node < len(messages):
            words.append(b"%d" % messages[node].number)
            while len(below) == 1:
                words.append(b" %d" % messages[below[0]].number)
                below = children[below[0]]
            if below:
                words.append(b" ")
        ahead.append(None)
        ahead.extend(reversed(below))
    return b"".join(words)
