"""What IMAP clients were told is so after kill -9, whatever else they and the upkeep had under way.

Several clients append to a mailbox, change flags, move and expunge, while mail is delivered into it, and the
daemon dies again and again: at any moment, or by its own hand at a fault point. After each death the store is
compared with what was promised, without any repair; at the end sessions of a last daemon must see the same.

Standards: RFC 9051 2.3.1.1, 6.3.12, 6.4.3, 6.4.6, 6.4.8, RFC 3502 6.3.11, RFC 7162 3.1, 3.2.5.
"""

from __future__ import annotations

import os
import random
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from fedaemon.store.faults import VARIABLE
from tests.crash.imap_ledger import Box, Ledger
from tests.crash.imap_load import Crowd, fill
from tests.crash.imap_session import Session, uids_of
from tests.crash.imap_store import Autopsy
from tests.crash.test_kill import drain
from tests.daemon import Daemon
from tests.e2e.imap_wire import ImapWorld

ROUNDS: Final = int(os.environ.get("CRASH_ROUNDS", "8"))
DEATH_S: Final = 4.0
"""How long a fault point has to be met before the round is ended from outside."""
FAULTS: Final = (
    "committed:kill:0.005",
    "commit:kill:0.005",
    "blob.unlink:kill:1",
    "blob.renamed:kill:0.2",
    "blob.rename:kill:0.2",
    "blob.write:kill:0.2",
    "spool.write:kill:0.2",
)
FIRST: Final = 1200
"""Messages at the beginning: two chunks and a tail."""
States = dict[int, tuple[frozenset[str], int]]
_ROW: Final = re.compile(rb"\* \d+ FETCH \(UID (\d+) FLAGS \(([^)]*)\) MODSEQ \((\d+)\)\)").fullmatch


@pytest.fixture
def shared(tmp_path: Path) -> Iterator[ImapWorld]:
    """A daemon that forgets what was expunged as soon as it may."""
    made = ImapWorld(tmp_path, '[mailboxes]\nundelete = "60s"\n')
    yield made
    made.close()


def test_what_imap_clients_were_told_outlives_kills(shared: ImapWorld, chance: random.Random) -> None:
    """Deaths under load: no message is lost, doubled or back, and no flag, UID or mod-sequence is wrong."""
    ledger, autopsy = Ledger(), Autopsy(shared, chance)
    looks: list[dict[str, Box]] = []
    shared.daemon.start()
    fill(shared, ledger, chance, FIRST)
    crowd = Crowd(shared, ledger, chance)
    for number in range(ROUNDS):
        fault = FAULTS[number // 3 % len(FAULTS)] if number % 3 == 2 else ""
        die(shared, crowd, fault, chance, up=number == 0)
        boxes, findings = autopsy.look()
        assert findings == [], f"after a death at {fault or 'any moment'}"
        ledger.settle(boxes)
        looks.append(boxes)
    assert autopsy.seen == {"sealed", "purged", "compacted", "indexed"}
    assert min(ledger.answered[name] for name in ("APPEND", "STORE", "MOVE", "EXPUNGE")) > ROUNDS
    shared.daemon.environment.pop(VARIABLE, None)
    shared.daemon.start()
    drain(shared)
    check_sessions(shared, autopsy.peek(), looks, chance)
    assert shared.daemon.stop() == 0
    boxes, findings = autopsy.look()
    assert findings == []
    ledger.settle(boxes)
    assert ledger.accepted == set(), "accepted by SMTP, and in no mailbox"
    check_log(shared.daemon)


def die(world: ImapWorld, crowd: Crowd, fault: str, chance: random.Random, *, up: bool) -> None:
    """Let the daemon, which is *up* perhaps, work under load and die."""
    daemon = world.daemon
    daemon.environment.pop(VARIABLE, None)
    if fault:
        daemon.environment[VARIABLE] = fault
    try:
        if not up:
            daemon.start()
    except AssertionError:
        # It met the point before it was ready, which is as good a moment as any.
        assert fault and daemon.process is not None and daemon.process.poll() == -9, daemon.log.read_text()
        return
    assert daemon.process is not None
    crowd.start()
    try:
        code = daemon.process.wait(DEATH_S if fault else chance.uniform(0.02, 2.5))
        assert fault and code == -9, daemon.log.read_text()
    except subprocess.TimeoutExpired:
        pass
    finally:
        daemon.kill()
        errors = crowd.stop()
    check_log(daemon)
    assert errors == []


def check_log(daemon: Daemon) -> None:
    """No defect was logged."""
    log = daemon.log.read_text()
    assert "Traceback" not in log, log[log.index("Traceback") - 1000 :][:8000]


def check_sessions(
    world: ImapWorld, boxes: dict[str, Box], looks: list[dict[str, Box]], chance: random.Random
) -> None:
    """What a session sees is what the store has, whatever it knew before, and SEARCH finds each text."""
    with Session(world) as session:
        session.log_in()
        for name, box in boxes.items():
            session.say(b"SELECT %b" % name.encode())
            assert rows(session.say(b"UID FETCH 1:* (UID FLAGS MODSEQ)")) == states(box)
            assert found_by(session, b"ALL BODY xxxxxxxx") == sorted(box.rows)
            for uid, row in chance.sample(sorted(box.rows.items()), min(5, len(box.rows))):
                assert found_by(session, b"BODY word%dx" % row.mark) == [uid]

        session.say(b"ENABLE QRESYNC")
        for before in chance.sample(looks, 4):
            for name, box in boxes.items():
                assert resumed(session, name, before[name]) == states(box)


def resumed(session: Session, name: str, before: Box) -> States:
    """Return what a client knows that knew a mailbox as it was *before*. Spec: RFC 7162 3.2.5"""
    known = states(before)
    lines = session.say(f"SELECT {name} (QRESYNC ({before.uidvalidity} {before.modseq}))".encode())
    for line in lines:
        if line.startswith(b"* VANISHED (EARLIER) "):
            for uid in uids_of(line.split()[3]):
                known.pop(uid, None)
    return known | rows(lines)


def states(box: Box) -> States:
    """Return flags and mod-sequence of each message, by UID, as they are in the store."""
    return {uid: (row.flags, row.modseq) for uid, row in box.rows.items()}


def rows(lines: list[bytes]) -> States:
    """Return flags and mod-sequence of each message, by UID, as they were told."""
    found = {}
    for line in lines:
        match = _ROW(line)
        if match is not None:
            flags = frozenset(match[2].decode().split()) - {"\\Recent"}
            found[int(match[1])] = flags, int(match[3])
    return found


def found_by(session: Session, key: bytes) -> list[int]:
    """Return the UIDs that a search finds."""
    lines = [line for line in session.say(b"UID SEARCH " + key) if line.startswith(b"* SEARCH")]
    assert len(lines) == 1, lines
    return [int(word) for word in lines[0].split()[2:]]
