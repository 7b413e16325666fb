"""``fedaemonctl queue``: looking at the queue, on a real store."""

from __future__ import annotations

import io
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fedaemon.ctl import queue_list, terminal
from fedaemon.ctl.command import DONE, REFUSED, USAGE
from fedaemon.ctl.terminal import printable, read_span, span
from fedaemon.delivery.listing import summary
from fedaemon.delivery.selection import LOOK, Found
from fedaemon.store import ids as id_source
from tests.ctl.queue_console import QueueConsole
from tests.delivery import support
from tests.delivery.support import ACCEPTED, BOB, DAY, GREYLISTED, HOUR


@pytest.fixture
def console(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[QueueConsole]:
    console = QueueConsole(tmp_path)
    monkeypatch.setattr(terminal, "now_ms", console.world.now_ms)
    yield console
    console.engine.close()


def listed(console: QueueConsole, *arguments: str) -> list[str]:
    return [row["id"] for row in console.json("list", *arguments)]


def test_list_shows_messages_in_order_with_their_status(console: QueueConsole) -> None:
    """Fields and their values, as programs read them."""
    first = console.world.submit("carol@remote.test")
    console.world.transport.answer = lambda address: GREYLISTED
    second = console.world.submit("dave@remote.test", sender="", account=None)
    rows = console.json("list")
    assert [row["id"] for row in rows] == [first, second]
    assert rows[0]["status"] == "sent"
    assert rows[0]["recipients"][0]["state"] == "delivered"
    (recipient,) = rows[1]["recipients"]
    assert set(recipient) == {"address", "state", "category", "site"}
    assert (recipient["address"], recipient["category"]) == ("dave@remote.test", "greylist")
    assert (rows[1]["status"], rows[1]["sender"], rows[1]["account"]) == ("deferred", "", None)
    assert rows[1]["next_attempt_ms"] > console.world.now_ms()
    assert rows[1]["finished_ms"] is None
    assert first in console.text("list")
    assert "<> -> dave@remote.test" in console.out


def test_list_filters(console: QueueConsole, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each option by itself and together with others."""
    # Contents are named by the true time, and ids of one process never go back.
    monkeypatch.setattr(support, "START_MS", int(time.time() * 1000) - 2 * DAY * 1000)
    monkeypatch.setattr(id_source, "_last", 0)
    console.world.transport.answer = lambda address: GREYLISTED if "slow" in address else ACCEPTED
    waiting = console.world.submit("carol@slow.test")
    console.world.pass_time(2 * DAY)
    sent = console.world.submit("carol@fast.test", account="bob@example.test", sender="bob@example.test")
    site = console.json("list", "--state", "waiting")[0]["recipients"][0]["site"]
    for found, options in (
        (waiting, "--state deferred"),
        (waiting, "--state waiting --domain SLOW.test"),
        (waiting, "--domain slow.test --recipient CAROL@slow.test --category greylist"),
        (waiting, "--older 1d"),
        (waiting, f"--state waiting --site {site}"),
        (sent, "--account BOB@example.test"),
        (sent, "--sender bob@example.test --newer 1d12h"),
    ):
        rows = listed(console, *options.split())
        assert rows == [found], options
    assert len(listed(console, "--limit", "1")) == 1
    assert listed(console, "--sender", "<>") == [
        each for each in listed(console) if each not in (waiting, sent)
    ]
    assert listed(console, "--state", "deferred", "--domain", "fast.test") == []
    for wrong in ("--state nonsense", "--limit 0", "--older yesterday", "--newer 5", "--newer -1h"):
        assert console.run("list", *wrong.split()) == USAGE, wrong
    assert console.run("list", "--domain", "slow..test") == REFUSED
    assert "no such messages" in console.text("list", "--domain", "slow.test", "--state", "bounced")


def test_list_reads_on_beyond_a_view(console: QueueConsole) -> None:
    """More messages than are read in one view come each once and in order."""
    console.world.manager.stop()
    for _ in range(LOOK + 5):
        console.world.enqueue("carol@remote.test")
    for options in ((), ("--state", "waiting", "--domain", "remote.test")):
        ids = listed(console, *options)
        assert len(set(ids)) == LOOK + 5
        assert ids == sorted(ids)
        assert len(listed(console, *options, "--limit", str(LOOK + 2))) == LOOK + 2


def test_list_streams(console: QueueConsole, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is found is printed before the next is looked for."""
    console.world.manager.stop()
    for _ in range(3):
        console.world.enqueue("carol@remote.test")
    printed: list[int] = []

    class Out(io.StringIO):
        def write(self, text: str) -> int:
            printed[-1] += len(text) if printed else 0
            return super().write(text)

    def watched(found: Found) -> dict[str, Any]:
        printed.append(0)
        return summary(found)

    monkeypatch.setattr(queue_list, "summary", watched)
    monkeypatch.setattr("tests.ctl.queue_console.io.StringIO", Out)
    console.run("list", "--json")
    assert len(printed) == 3
    assert all(count > 100 for count in printed)


def test_an_empty_queue_says_so(console: QueueConsole) -> None:
    """For people and for programs."""
    assert console.text("list") == "no messages\n"
    assert console.json("list") == []


def test_show_explains_a_wait(console: QueueConsole) -> None:
    """Why, what next, and when: for programs and for people."""
    console.world.transport.answer = lambda address: GREYLISTED
    queue_id = console.world.submit("carol@remote.test", BOB, via={"tls": "TLSv1.3"})
    shown = console.json("show", queue_id.lower())
    assert [recipient["state"] for recipient in shown["recipients"]] == ["deferred", "delivered"]
    carol = shown["recipients"][0]
    assert "451 4.7.1 greylisted" in carol["why"]
    assert carol["next"] == "another attempt"
    assert carol["given_up_ms"] == shown["accepted_ms"] + 432_000_000 == shown["expires_ms"]
    assert shown["recipients"][1]["local"] is True
    assert [entry["event"] for entry in shown["timeline"]] == ["accepted", "delivered", "deferred"]
    text = console.text("show", queue_id)
    assert "why:   the last attempt failed (rcpt, mx.remote.test): 451 4.7.1 greylisted" in text
    assert "next:  another attempt, at 2025-" in text
    assert "told:  the sender hears of the delay at 2025-" in text
    assert "ends:  given up at 2025-" in text


def test_show_writes_a_line_for_each_event_in_columns(console: QueueConsole) -> None:
    """When, what, for whom, where, how it was protected, then the reply and what it means."""
    console.world.transport.answer = lambda address: GREYLISTED
    queue_id = console.world.submit("carol@remote.test", BOB, via={"tls": "TLSv1.3"})
    lines = console.text("show", queue_id).partition("timeline:\n")[2].splitlines()
    assert [line.split()[2] for line in lines] == ["accepted", "delivered", "deferred"]
    deferred = lines[2]
    assert re.search(
        r"deferred\s+#0\s+mx\.remote\.test\[192\.0\.2\.1\]\s+TLSv1\.3\S*.*451 4\.7\.1 greylisted, come back"
        r" later \[greylist\]",
        deferred,
    )
    assert lines[1].index("#1") == deferred.index("#0")
    assert "next attempt 2025-" in deferred
    assert lines[0].endswith("TLSv1.3")


def test_show_tells_what_the_sender_asked_for(console: QueueConsole) -> None:
    """Release, time to deliver by, priority and TLS."""
    at_ms = console.world.now_ms() + HOUR * 1000
    queue_id = console.world.submit(
        "carol@remote.test",
        release_ms=at_ms,
        deliver_by_ms=at_ms * 2,
        deliver_by_mode="N",
        priority=-4,
        require_tls=True,
        tls_optional=True,
    )
    text = console.text("show", queue_id)
    for words in ("to be released at", "the sender is told", "priority -4", "REQUIRETLS", "TLS-Required: No"):
        assert words in text
    assert "waits: held for release later, as the sender asked, until 2025-" in text


def test_show_says_that_delivery_is_paused(console: QueueConsole) -> None:
    """The settings are part of the explanation."""
    console.paused = True
    queue_id = console.world.enqueue("carol@remote.test")
    assert "delivery.paused" in console.json("show", queue_id)["recipients"][0]["next"]
    assert "waits: remote delivery is paused by the settings" in console.text("show", queue_id)


def test_no_reply_can_drive_the_terminal(console: QueueConsole) -> None:
    """Threat: escape sequences and line ends in what a remote server says."""
    reply = (GREYLISTED[0], "later\x1b]0;owned\x07\x9b31m\r\nfake line", *GREYLISTED[2:])
    console.world.transport.answer = lambda address: reply
    queue_id = console.world.submit("carol@remote.test")
    for command in (("show", queue_id), ("sites",), ("list",)):
        text = console.text(*command)
        assert all(line.isprintable() for line in text.splitlines()), command
    assert "fake line" in console.text("show", queue_id)
    assert not [line for line in console.out.splitlines() if line.startswith("fake")]


def test_an_unknown_message_is_refused(console: QueueConsole) -> None:
    """Exit code 1, and where to look."""
    assert console.run("show", "0000000000000000") == REFUSED
    assert "queue list" in console.err


def test_the_help_lists_every_command_with_examples(
    console: QueueConsole, capsys: pytest.CaptureFixture[str]
) -> None:
    """All that there is, and every example is a command that parses."""
    assert console.run("--help") == DONE
    text = capsys.readouterr().out
    commands = [
        "list",
        "show",
        "sites",
        "stats",
        "retry",
        "hold",
        "release",
        "bounce",
        "delete",
        "pause",
        "resume",
        "pauses",
    ]
    for name in commands:
        assert re.search(rf"^    {name} ", text, re.M), name
        assert console.run(name, "--help") == DONE
        assert "--json" in capsys.readouterr().out
    examples = re.findall(r"^  fedaemonctl queue (.*?)(?:  .*)?$", text, re.M)
    assert len(examples) >= 9
    for example in examples:
        words = re.findall(r'"[^"]*"|\S+', example)
        console.parser.parse_args(["queue", *(word.strip('"') for word in words)])


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("30m", 1800), ("1d12h", 129_600), ("0s", 0), ("2d", 172_800)]
)
def test_times_are_read_and_written_alike(text: str, seconds: int) -> None:
    """What is read back from what is written is the same time."""
    assert read_span(text) == seconds
    assert read_span(span(seconds)) == seconds


def test_text_of_strangers_keeps_what_can_be_printed() -> None:
    """Letters of all scripts stay; controls and line ends do not."""
    assert printable("Grüße, 世界") == "Grüße, 世界"
    assert printable("a\x1b[1m\u2028\x85b") == "a?[1m??b"
