"""What is remembered beside the messages outlives a kill: pauses, how sites stand, who waits in line.

Standards: RFC 5321 4.5.4.1 (a host that does not answer is not tried again for each message).
"""

from __future__ import annotations

import smtplib
from typing import Any

from fedaemon.store.interface import Snapshot
from fedaemon.store.spaces import LINE
from tests.crash.books import inspect, look
from tests.crash.load import REMOTE
from tests.crash.sink import Sink
from tests.crash.test_kill import drain
from tests.daemon import wait_until
from tests.e2e.peers import ALICE, World


def send(world: World, mark: int, *recipients: str) -> str:
    """Submit a message and return its queue id."""
    with smtplib.SMTP("127.0.0.1", world.ports["trusted"]) as client:
        client.ehlo()
        client.mail(ALICE)
        for recipient in recipients:
            assert client.rcpt(recipient)[0] == 250
        code, text = client.data(f"From: {ALICE}\r\nX-Mark: {mark}\r\n\r\nhello\r\n".encode())
        assert code == 250, text
        return text.decode().rpartition(" ")[2]


def die(world: World) -> None:
    """Kill the daemon and see that it left everything in order."""
    world.daemon.kill()
    assert inspect(world).findings == []


def recipient(world: World, queue_id: str) -> dict[str, Any]:
    """Return the first recipient of a message."""
    first: dict[str, Any] = world.daemon.ctl_json("queue", "show", queue_id)["recipients"][0]
    return first


def the_site(world: World) -> dict[str, Any]:
    """Return what is known of the site of both domains; {} when nothing is."""
    rows = world.daemon.ctl_json("queue", "sites")
    return next((row for row in rows if row["site"] and "remote.test" in row["destinations"]), {})


def test_a_pause_outlives_a_kill(world: World, sink: Sink) -> None:
    """What was paused before the kill is paused after it, and only that; its end lets the mail go."""
    sink.start()
    world.daemon.ctl("queue", "pause", "--domain", "twin.test", "--why", "maintenance there")
    world.daemon.start()
    before = send(world, 1, "erin@twin.test")
    die(world)
    world.daemon.start()
    after = send(world, 2, "erin@twin.test")
    other = send(world, 3, "carol@remote.test")
    wait_until(lambda: recipient(world, other)["state"] == "delivered", "the mail that is not paused")
    for queue_id in (before, after):
        waiting = recipient(world, queue_id)
        assert (waiting["state"], waiting["attempts"]) == ("queued", 0)
        assert "maintenance there" in str(waiting["obstacles"])
    assert {copy.mark for copy in sink.copies} == {3}
    world.daemon.ctl("queue", "resume", "--domain", "twin.test")
    wait_until(lambda: {copy.mark for copy in sink.copies} == {1, 2, 3}, "the mail that was paused")


def test_a_site_that_is_down_stays_down_over_a_kill(world: World, sink: Sink) -> None:
    """A restart hammers nobody: what comes for a site that is down waits until it may be tried again."""
    world.daemon.start()
    first = send(world, 1, "carol@remote.test")
    wait_until(lambda: recipient(world, first)["state"] == "deferred", "the connection to be refused")
    known = wait_until(
        lambda: row if (row := the_site(world)).get("failures") else None, "the site to be down"
    )
    die(world)
    assert the_site(world)["down_until_ms"] == known["down_until_ms"]
    sink.start()
    world.daemon.start()
    others = [send(world, 2, "dave@remote.test"), send(world, 3, "erin@twin.test")]
    open_ms = known["down_until_ms"]
    # They are put off to the second in which the site opens, without an attempt.
    wait_until(
        lambda: all(0 <= recipient(world, one)["next_attempt_ms"] - open_ms < 1000 for one in others),
        "the new messages to be put off",
    )
    assert [recipient(world, one)["attempts"] for one in others] == [0, 0]
    assert sink.sessions == 0
    assert the_site(world)["down_until_ms"] == open_ms
    world.daemon.ctl("queue", "retry", others[1])
    wait_until(lambda: {copy.mark for copy in sink.copies} == {1, 2, 3}, "all that waited for the site")


def test_a_line_outlives_a_kill(world: World, sink: Sink) -> None:
    """Mail that stood in the line of a busy site when the daemon died stands there afterwards, and leaves."""
    sink.open.clear()
    sink.start()
    world.daemon.start()
    marks = range(60)
    for mark in marks:
        send(world, mark, *REMOTE)

    def line(snapshot: Snapshot) -> set[object]:
        return {key[4] for key, _ in snapshot.scan((LINE,))}

    wait_until(lambda: look(world, line), "mail to stand in line")
    die(world)
    assert look(world, line) <= {"remote.test", "twin.test"}
    assert look(world, line)
    sink.open.set()
    world.daemon.start()
    # No retry: the line itself must lead to all that nobody had begun to attempt.
    begun = {copy.mark for copy in sink.copies}
    wait_until(lambda: len({copy.mark for copy in sink.copies} - begun) > 10, "the line to move")
    drain(world)
    assert {(copy.mark, address) for copy in sink.copies for address in copy.recipients} == {
        (mark, address) for mark in marks for address in REMOTE
    }
    assert world.daemon.ctl_json("verify")["findings"] == []
