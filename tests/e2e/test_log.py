"""What a real server logs of a message, from the login to its end; and what ``fedaemonctl log`` makes of it."""

from __future__ import annotations

import json
import smtplib
from typing import Any

import pytest

from tests.daemon import submission, wait_until
from tests.e2e.peers import ALICE, BOB, PASSWORD, World
from tests.logs.reading import fields

REMOTE = "carol@remote.test"
MESSAGE = f"From: {ALICE}\r\nMessage-ID: <one@example.test>\r\nSubject: x\r\n\r\ncontent\r\n".encode()


def send(world: World) -> str:
    """Send a message to an account here and to another server; return its queue id when all is done."""
    with pytest.raises(smtplib.SMTPAuthenticationError):
        with submission(world.ports["submissions"], world.ca_file, ALICE, "wr0ng"):
            pass
    with submission(world.ports["submissions"], world.ca_file, ALICE, PASSWORD) as client:
        client.sendmail(ALICE, [BOB, REMOTE], MESSAGE)
    rows = wait_until(
        lambda: [row for row in world.daemon.ctl_json("queue", "list") if row["status"] == "sent"], "delivery"
    )
    queue_id: str = rows[0]["id"]
    return queue_id


def records(world: World) -> list[dict[str, Any]]:
    return [json.loads(line) for line in world.daemon.log.read_text().splitlines()]


def test_json_lines_under_twistd(world: World) -> None:
    """Every line is an object, those of Twisted too; the events of a message have what administrators look for."""
    world.daemon.twistd_options = ("--logger", "fedaemon.logs.json_lines")
    world.mx1.start()
    world.daemon.start()
    queue_id = send(world)
    assert world.daemon.stop() == 0
    found = records(world)
    assert found[0]["event"] == "twisted"
    events = {record["event"]: record for record in found}
    failed = events["login-failed"]
    assert (failed["service"], failed["address"], failed["login"], failed["level"]) == (
        "submission",
        "127.0.0.1",
        ALICE,
        "warn",
    )
    login, accepted = events["login"], events["accepted"]
    assert login["tls"].startswith("TLSv1.3")
    assert login["mechanism"]
    for name, value in {
        "id": queue_id,
        "from": ALICE,
        "account": ALICE,
        "recipients": 2,
        "session": login["session"],
        "message_id": "<one@example.test>",
    }.items():
        assert accepted[name] == value
    assert accepted["size"] > len(MESSAGE)
    delivered = {record["to"]: record for record in found if record["event"] == "delivered"}
    assert set(delivered) == {BOB, REMOTE}
    assert delivered[REMOTE]["host"] == "mx1.remote.test"
    assert "host" not in delivered[BOB]
    assert events["session-ended"]["account"] == ALICE
    assert {"ready", "stopped"} <= set(events)
    assert "wr0ng" not in world.daemon.log.read_text()
    assert "content" not in world.daemon.log.read_text()


def test_lines_for_people_under_twistd(world: World) -> None:
    """The lines that fail2ban and people read."""
    world.daemon.twistd_options = ("--logger", "fedaemon.logs.text")
    world.mx1.start()
    world.daemon.start()
    queue_id = send(world)
    world.daemon.stop()
    lines = [line.split(" ", 2) for line in world.daemon.log.read_text().splitlines()]
    (accepted,) = [shown for _, level, shown in lines if level == "info" and shown.startswith("accepted ")]
    assert fields(accepted)["id"] == queue_id
    warned = [shown for _, level, shown in lines if level == "warn"]
    # smtplib tries one mechanism after the other.
    assert warned
    assert all(
        shown.startswith("login-failed service=submission session=1 address=127.0.0.1 ") for shown in warned
    )


def test_the_log_of_one_message(world: World) -> None:
    """From the queue's own records, beside the running server."""
    world.mx1.start()
    world.daemon.start()
    queue_id = send(world)
    found = world.daemon.ctl_json("log", queue_id)
    assert [record["event"] for record in found] == ["accepted", "delivered", "delivered"]
    assert {record.get("to") for record in found[1:]} == {BOB, REMOTE}
    assert (found[0]["service"], found[0]["address"], found[0]["account"]) == (
        "submission",
        "127.0.0.1",
        ALICE,
    )
    assert "nothing is known of a message NONE" in world.daemon.ctl("log", "none", code=1)
