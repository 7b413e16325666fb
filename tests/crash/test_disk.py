"""A disk that fails under the daemon costs its clients a temporary failure, and nothing that was accepted."""

from __future__ import annotations

import smtplib
from collections import Counter

import pytest

from fedaemon.store.faults import VARIABLE
from tests.crash.load import LINE, REMOTE
from tests.crash.sink import Sink
from tests.crash.test_kill import drain
from tests.e2e.peers import ALICE, World

FAULTS = [
    "commit:ENOSPC:0.2",
    "commit:EIO:0.2",
    "blob.write:ENOSPC:0.5",
    "blob.fsync:EIO:0.5",
    "spool.write:EIO:0.5",
]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_failing_disk_costs_a_temporary_failure(world: World, sink: Sink, fault: str) -> None:
    """ENOSPC and EIO at commits, blobs and spool are answered 4yz; what was answered 250 is there afterwards."""
    sink.start()
    world.daemon.environment[VARIABLE] = fault
    world.daemon.start()
    answers = Counter[int]()
    accepted: list[int] = []
    for mark in range(40):
        body = LINE * (20_000 if "spool" in fault else 2000 if "blob" in fault else 20)
        with smtplib.SMTP("127.0.0.1", world.ports["trusted"], timeout=30) as client:
            client.ehlo()
            client.mail(ALICE)
            client.rcpt(REMOTE[0])
            code, _ = client.data(f"From: {ALICE}\r\nX-Mark: {mark}\r\n\r\n".encode() + body)
            answers[code] += 1
            if code == 250:
                accepted.append(mark)
    assert set(answers) <= {250, 451, 452}, answers
    assert len(answers) > 1, f"the fault did not happen, or nothing was accepted: {answers}"
    world.daemon.kill()
    del world.daemon.environment[VARIABLE]
    world.daemon.start()
    drain(world)
    arrived = {copy.mark for copy in sink.copies}
    assert [mark for mark in accepted if mark not in arrived] == []
    assert world.daemon.ctl_json("verify")["findings"] == []
