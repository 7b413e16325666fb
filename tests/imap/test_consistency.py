"""Many sessions of different kinds at random on the same mailboxes: what each is told is never contradicted.

RFC 9051 2.3.1, 5.2, 5.5, 7.4, 7.5, RFC 7162 3, RFC 5465 5, RFC 9586 3. CONSISTENCY_COMMANDS in the environment
makes the runs longer, CONSISTENCY_SEED runs the second as it was when it failed.
"""

from __future__ import annotations

import os
import secrets
from functools import partial
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import pytest

from fedaemon.mailbox import compaction, keeping
from fedaemon.mailbox.check import MailboxChecker
from fedaemon.store.interface import Transaction
from tests.imap.crowd_member import Member
from tests.imap.crowd_talk import BOXES, KINDS, MAIL, speak
from tests.imap.kept import seal, state_of
from tests.imap.lab import Lab

COMMANDS = int(os.environ.get("CONSISTENCY_COMMANDS", "2500"))
"""In each run."""
DAY_S = 86_400


class Crowd:
    """Sessions, and the server beside them."""

    def __init__(self, lab: Lab, seed: int) -> None:
        self.lab, self.random = lab, Random(seed)
        lab.deliver(*[MAIL] * 20)
        self.members = [Member(lab, kind, self.random) for kind in KINDS]
        self.commands = 0

    def run(self, commands: int) -> None:
        """Have so many commands said, with the work of all sessions mixed."""
        while self.commands < commands:
            if self.random.random() < 0.01:
                self.upkeep()
            if self.random.random() < 0.01:
                self.lab.deliver(*[MAIL] * self.random.randint(1, 3), name=self.random.choice(BOXES))
            member = self.random.choice(self.members)
            for _ in range(self.random.choice((1, 1, 2, 5, 20))):
                if not self.step(member):
                    break

    def step(self, member: Member) -> bool:
        """Do something for a session; False when there was nothing, so that it says something new."""
        if member.advance():
            return True
        if member.idling:
            if self.random.random() < 0.3:
                member.idle()
        elif member.ends is None:
            self.commands += 1
            speak(member)
        return False

    def upkeep(self) -> None:
        """Do as the upkeep does, of a mailbox whose chunks are small."""
        random = self.random
        name = random.choice(BOXES)
        mailbox_id, lab = self.lab.mailbox_id(name), self.lab
        lab.now_s += random.choice((0, DAY_S, 3 * DAY_S))
        rows = random.randint(3, 12)
        if state_of(lab, name).tail >= rows:
            seal(lab, name, rows)
        for due in lab.store.view(lambda snapshot: keeping.due_purges(snapshot, int(lab.now_s), None, 1000)):
            while lab.write(partial(_purge, lab, due)):
                pass
        lab.write(lambda transaction: compaction.compact_tail(transaction, mailbox_id, 100))
        steps, _ = lab.store.view(lambda snapshot: compaction.look(snapshot, mailbox_id, 0, 20))
        for step in steps:
            lab.write(partial(_take, mailbox_id, step))
        lab.write(lambda transaction: keeping.forget_history(transaction, mailbox_id, random.randint(1, 3)))

    def rest(self) -> None:
        """Let all do what there is to do, by turns."""
        busy = True
        while busy:
            busy = False
            for member in self.members:
                busy = member.advance() or busy

    def settle(self) -> None:
        """Let all come to their end, and compare what each knows with what is."""
        self.rest()
        for member in self.members:
            if member.idling:
                member.idle()
        self.rest()
        for member in self.members:
            if not member.mailbox:
                continue
            for command in (member.noop, partial(member.say, "UID FETCH 1:* (FLAGS)"), member.noop):
                command()
                while member.advance():
                    pass
            assert all(message.uid and message.flags is not None for message in member.known.messages)


def _purge(lab: Lab, due: keeping.Purge, transaction: Transaction) -> bool:
    return keeping.purge(transaction, lab.store.blobs, *due)


def _take(mailbox_id: str, step: compaction.Found, transaction: Transaction) -> bool:
    return compaction.take(transaction, mailbox_id, step)


@pytest.mark.parametrize("seed", [1, None], ids=["the same", "another"])
def test_nothing_that_is_told_is_contradicted(seed: int | None) -> None:
    """Ten sessions; the seed of the second run is another each time, and is shown when it fails."""
    number = int(os.environ.get("CONSISTENCY_SEED", secrets.randbits(32))) if seed is None else seed
    with TemporaryDirectory() as directory:
        lab = Lab(Path(directory))
        crowd = Crowd(lab, number)
        try:
            crowd.run(COMMANDS)
            crowd.settle()
            checker = MailboxChecker(lambda: lab.now_s)
            assert lab.store.view(lambda snapshot: list(checker.problems(snapshot))) == []
        except Exception as error:
            raise AssertionError(f"seed {number}, after {crowd.commands} commands: {error}") from error
        finally:
            lab.close()
        assert crowd.commands >= COMMANDS
