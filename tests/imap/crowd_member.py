"""One of many sessions on a mailbox, on an engine: all of them take turns, also within commands."""

from __future__ import annotations

from random import Random

from fedaemon.imap.engine import Request
from fedaemon.imap.operations import Write
from fedaemon.mailbox import reading, words
from fedaemon.store.interface import Snapshot
from tests.imap.crowd_talk import Kind, Talk
from tests.imap.lab import Client, Lab, split
from tests.imap.strict_client import Truth


def truth(lab: Lab, name: str) -> Truth:
    """Return UID, flags and mod-sequence of the messages in a mailbox."""
    mailbox_id = lab.mailbox_id(name)

    def read(snapshot: Snapshot) -> Truth:
        names = words.keywords(snapshot, mailbox_id)
        return [
            (row.uid, frozenset(words.flag_names(row.flags, names)), row.modseq)
            for row in reading.rows(snapshot, mailbox_id)
        ]

    return lab.store.view(read)


class Member(Client, Talk):
    """One session; ``advance`` does one thing for it."""

    def __init__(self, lab: Lab, kind: Kind, random: Random) -> None:
        Client.__init__(self, lab, {})
        Talk.__init__(self, kind, random)
        self._answers: list[tuple[Request, object]] = []
        assert self.tagged(b"LOGIN a@example.org secret").startswith(b"OK ")
        if kind.enable:
            assert self.tagged(b"ENABLE " + kind.enable.encode()).startswith(b"OK ")
        if kind.notify:
            assert self.tagged(b"NOTIFY SET " + kind.notify.encode()).startswith(b"OK ")

    def transmit(self, octets: bytes) -> None:
        """See ``Talk``."""
        self.engine.receive(octets)

    def changes(self) -> int:
        """See ``Talk``."""
        return self.lab.writes

    def truth(self) -> Truth:
        """See ``Talk``."""
        return truth(self.lab, self.mailbox)

    def advance(self) -> bool:
        """Do the next thing for the session, and take what it is told; False when there is nothing."""
        try:
            done = self._do()
            assert not self.engine.bugs
            for line in split(b"".join(self.said) + self.engine.take_output()):
                self.hear(line)
        except Exception as error:
            said = "\n".join(map(repr, self.history))
            raise AssertionError(f"{error!r}: {self.kind} in {self.mailbox}:\n{said}") from error
        self.said.clear()
        return done

    def _do(self) -> bool:
        if self._answers:
            self.engine.answer(*self._answers.pop(0))
            return True
        request = self.engine.next_request()
        if request is None:
            return False
        try:
            value = self._carry_out(request)
        except Exception as error:  # noqa: BLE001, RUF100 - the engine decides what it means
            self.engine.fail(request, error)
            return True
        if isinstance(request.operation, Write):
            # Others may come between the commit and its answer.
            self._answers.append((request, value))
        else:
            self.engine.answer(request, value)
        return True
