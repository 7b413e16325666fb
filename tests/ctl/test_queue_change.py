"""``fedaemonctl queue retry``, ``hold``, ``release``, ``bounce`` and ``delete``, on a real store."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fedaemon.ctl import queue_change, slices, terminal
from fedaemon.ctl.command import DONE, REFUSED, USAGE
from fedaemon.ctl.queue_change import SLICE
from fedaemon.store.errors import StoreError
from tests.ctl.queue_console import QueueConsole, typed
from tests.delivery.support import ACCEPTED, ALICE, BOB, GREYLISTED, MINUTE, UNKNOWN, UNREACHABLE

COMMANDS = ("retry", "hold", "release", "bounce", "delete")


@pytest.fixture
def console(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[QueueConsole]:
    console = QueueConsole(tmp_path)
    monkeypatch.setattr(terminal, "now_ms", console.world.now_ms)
    monkeypatch.setattr(slices, "PAUSE_S", 0)
    yield console
    console.engine.close()


def result(messages: list[str], recipients: int, **more: Any) -> dict[str, Any]:
    """What --json prints."""
    plain = {"messages": messages, "recipients": recipients, "under_way": 0, "spared": 0, "stopped": None}
    return plain | more


def fill(console: QueueConsole, count: int, *addresses: str) -> list[str]:
    """Queue mail that nobody tries."""
    console.world.manager.stop()
    return [console.world.enqueue(*(addresses or ("carol@remote.test",))) for _ in range(count)]


@pytest.mark.parametrize("command", COMMANDS)
def test_unknown_messages_are_refused_before_anything_is_done(console: QueueConsole, command: str) -> None:
    """Exit code 1, where to look, and the known ones among them untouched."""
    (known,) = fill(console, 1)
    assert console.run(command, known, "0000000000000000") == REFUSED
    assert "0000000000000000" in console.err
    assert "queue list" in console.err
    assert console.world.states(known) == ["queued"]


@pytest.mark.parametrize("command", COMMANDS)
def test_what_is_meant_must_be_said_once(console: QueueConsole, command: str) -> None:
    """Nothing, or two ways at once, is a usage error: nothing happens to a whole queue by mistake."""
    (queue_id,) = fill(console, 1)
    for arguments in (
        (),
        (queue_id, "--all"),
        (queue_id, "--domain", "remote.test"),
        ("--all", "--domain", "remote.test"),
    ):
        assert console.run(command, *arguments) == USAGE, arguments
    assert console.world.states(queue_id) == ["queued"]


def test_retry_hold_release_bounce_and_delete(console: QueueConsole) -> None:
    """Each does what it says to what it names, and reports it."""
    world = console.world
    world.transport.answer = lambda address: GREYLISTED
    one, two = world.submit("carol@remote.test"), world.submit("dave@remote.test", "eve@remote.test")
    assert console.json("hold", one, two.lower(), one) == result([one, two], 3)
    assert world.states(two) == ["held", "held"]
    assert console.json("release", two) == result([two], 2)
    world.transport.answer = lambda address: UNKNOWN
    assert console.json("retry", two) == result([two], 2)
    console.follow()
    assert world.states(two) == ["bounced", "bounced"]
    assert console.json("retry", two) == result([], 0)
    assert console.json("bounce", one, "--reason", "it has moved") == result([one], 1)
    console.follow()
    assert world.states(one) == ["bounced"]
    assert any(b"it has moved" in report for report in world.inbox(ALICE))
    assert "1 messages, 0 recipients deleted" in console.text("delete", one)
    assert console.run("show", one) == REFUSED


def test_all_means_what_is_not_finished(console: QueueConsole) -> None:
    """--all works on every unfinished message, slice by slice; without any it is done."""
    done = console.world.submit("carol@remote.test")
    ids = fill(console, SLICE + 5, "dave@remote.test")
    assert console.json("hold", "--all") == result(ids, SLICE + 5)
    assert console.json("retry", "--all") == result([], 0)
    assert console.json("delete", "--all") == result(ids, SLICE + 5)
    assert [row["id"] for row in console.json("list")] == [done]
    assert console.json("delete", "--all") == result([], 0)


def test_a_filter_changes_only_the_recipients_that_fit(console: QueueConsole) -> None:
    """Who else gets the message is not concerned; a message that waits for others is not deleted."""
    (both,) = fill(console, 1, "carol@one.test", "dave@two.test")
    (one,) = fill(console, 1, "carol@one.test")
    options = ("--domain", "one.test")
    assert console.json("hold", *options) == result([both, one], 2)
    assert console.world.states(both) == ["held", "queued"]
    assert console.json("release", *options, "--state", "held") == result([both, one], 2)
    assert console.json("delete", *options) == result([one], 1, spared=1)
    assert console.json("bounce", *options, "--state", "waiting") == result([both], 1)
    assert console.world.states(both) == ["bounced", "queued"]


def test_delete_takes_finished_mail_only_when_it_is_asked_for(console: QueueConsole) -> None:
    """A filter means what waits, unless its state is one that mail ends in."""
    world = console.world
    world.transport.answer = lambda address: UNKNOWN if "gone" in address else ACCEPTED
    gone, sent = world.submit("c@gone.test", sender=""), world.submit("c@fast.test")
    (partly,) = fill(console, 1, "c@fast.test")
    assert console.json("delete", "--account", ALICE) == result([partly], 1)
    assert console.json("delete", "--state", "bounced") == result([gone], 0)
    assert console.json("delete", "--state", "delivered") == result([sent], 0)
    assert console.json("list") == []


def test_mail_that_still_waits_is_not_finished_mail(console: QueueConsole) -> None:
    """delete --state delivered leaves a message whose other recipient is to be tried again."""
    world = console.world
    world.transport.answer = lambda address: GREYLISTED if "slow" in address else ACCEPTED
    world.submit("c@slow.test", "c@fast.test")
    assert console.json("delete", "--state", "delivered") == result([], 0, spared=1)
    assert "1 messages were left alone: they also wait" in console.text("delete", "--state", "delivered")


def test_what_is_under_way_is_reported(console: QueueConsole) -> None:
    """Its recipients are left alone, and that is said."""
    console.world.transport.answer = None
    console.world.submit("carol@remote.test")
    assert console.json("bounce", "--domain", "remote.test") == result([], 0, under_way=1)
    assert "an attempt for them is under way" in console.text("retry", "--all")


def test_retry_for_a_site_opens_it(console: QueueConsole) -> None:
    """The daemon takes over within a second that the site is to be tried now."""
    world = console.world
    world.transport.answer = lambda address: UNREACHABLE
    queue_id = world.submit("carol@remote.test")
    world.pass_time(5, step=1)
    (row,) = console.json("sites")
    assert row["state"] == "down"
    world.transport.answer = lambda address: ACCEPTED
    assert console.json("retry", "--site", row["site"]) == result([queue_id], 1)
    console.follow()
    assert world.states(queue_id) == ["delivered"]


def test_five_thousand_messages_are_changed_in_slices(
    console: QueueConsole, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No transaction holds more than a slice, others get their turn between two, and all is done."""
    world = console.world
    world.manager.stop()
    ids: list[str] = []

    def submit(transaction: Any) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(world, "transact", lambda function: function(transaction))
            ids.extend(
                world.enqueue("carol@remote.test" if n % 2 else "dave@other.test") for n in range(5000)
            )

    world.engine.transact(submit)
    sizes: list[int] = []
    apply = queue_change._apply

    def counted(deed: Any, begin: Any, slice_: Any, wanted: Any, transaction: Any) -> Any:
        sizes.append(len(slice_))
        return apply(deed, begin, slice_, wanted, transaction)

    pauses: list[float] = []
    monkeypatch.setattr(queue_change, "_apply", counted)
    monkeypatch.setattr("fedaemon.ctl.queue_change.time.sleep", pauses.append)
    assert console.json("hold", "--domain", "remote.test") == result(ids[1::2], 2500)
    assert sizes == [SLICE] * 25
    assert pauses == [slices.PAUSE_S] * 24
    assert len(console.json("release", "--all")["messages"]) == 2500


@pytest.mark.parametrize("command", ["bounce", "delete"])
@pytest.mark.parametrize("answer", ["y\n", "n\n", "\n", ""])
def test_what_cannot_be_undone_is_asked_for_on_a_terminal(
    console: QueueConsole, monkeypatch: pytest.MonkeyPatch, command: str, answer: str
) -> None:
    """Only a yes goes on; the question says how many."""
    fill(console, 3)
    monkeypatch.setattr(sys, "stdin", typed(answer))
    code = console.run(command, "--all")
    assert f"{command} 3 messages? [y/N]" in console.err
    assert code == (DONE if answer == "y\n" else REFUSED)
    assert len(console.json("list", "--state", "waiting", "--account", ALICE)) == (
        0 if answer == "y\n" else 3
    )


def test_nobody_is_asked_needlessly(console: QueueConsole, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not with --yes, not for ids, not for what can be undone, not when there is nothing."""
    ids = fill(console, 2)
    monkeypatch.setattr(sys, "stdin", typed("n\n"))
    for arguments in (
        ("hold", "--all"),
        ("delete", ids[0]),
        ("delete", "--all", "--yes"),
        ("delete", "--all"),
    ):
        assert console.run(*arguments) == DONE, arguments
        assert console.err == ""
    assert console.json("list") == []


def test_an_interrupt_says_what_was_done(console: QueueConsole, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C lets the slice under way finish; what is reported is what is in the store."""
    ids = fill(console, 2 * SLICE + 1)
    before = signal.getsignal(signal.SIGINT)
    apply = queue_change._apply

    def interrupted(*arguments: Any) -> Any:
        signal.raise_signal(signal.SIGINT)
        return apply(*arguments)

    monkeypatch.setattr(queue_change, "_apply", interrupted)
    assert console.run("hold", "--all") == REFUSED
    assert f"interrupted; before that: {SLICE} messages, {SLICE} recipients held" in console.err
    assert [row["id"] for row in console.json("list", "--state", "held")] == ids[:SLICE]
    assert signal.getsignal(signal.SIGINT) is before


def test_an_interrupt_while_looking_changes_nothing(
    console: QueueConsole, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing has been done yet, and that is what is said."""
    (queue_id,) = fill(console, 1)

    def interrupted(*arguments: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(queue_change, "_collect", interrupted)
    assert console.run("delete", "--all") == REFUSED
    assert "nothing was deleted" in console.err
    assert console.world.states(queue_id) == ["queued"]


def test_a_store_that_refuses_stops_it_with_an_account(
    console: QueueConsole, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was done before is said, in JSON too."""
    ids = fill(console, SLICE + 1)
    apply = queue_change._apply
    slices = 0

    def failing(*arguments: Any) -> Any:
        nonlocal slices
        slices += 1
        if slices > 1:
            raise StoreError("the disk is full")
        return apply(*arguments)

    monkeypatch.setattr(queue_change, "_apply", failing)
    assert console.run("hold", "--all", "--json") == REFUSED
    assert '"stopped": "the disk is full"' in console.out
    assert f"the disk is full; before that: {SLICE} messages" in console.err
    assert console.world.states(ids[-1]) == ["queued"]


def test_progress_is_shown_on_a_terminal(console: QueueConsole, monkeypatch: pytest.MonkeyPatch) -> None:
    """Count, total and rate on standard error, gone at the end; nothing where there is no terminal."""
    fill(console, 2 * SLICE)
    monkeypatch.setattr(terminal, "PROGRESS_S", -1)
    assert console.run("hold", "--all") == DONE
    assert console.err == ""
    console.terminal = True
    assert console.json("release", "--all")["recipients"] == 2 * SLICE
    assert f"release: {SLICE} of {2 * SLICE} messages, " in console.err
    assert "looking for messages: " in console.err
    assert console.err.endswith("\r")


@pytest.mark.parametrize("reason", ["", "  ", "x" * 401, "a\x00b"])
def test_a_reason_must_be_readable(console: QueueConsole, reason: str) -> None:
    """It goes into a report as it is."""
    (queue_id,) = fill(console, 1)
    assert console.run("bounce", queue_id, "--reason", reason) == USAGE
    assert console.world.states(queue_id) == ["queued"]


def test_bounced_mail_for_a_mailbox_here_is_reported_too(console: QueueConsole) -> None:
    """Local recipients that wait or are held end the same way."""
    (queue_id,) = fill(console, 1, BOB)
    assert console.json("bounce", "--domain", "example.test") == result([queue_id], 1)
    console.world.kill()
    console.world.manager.start()
    console.world.pass_time(MINUTE)
    (report,) = console.world.inbox(ALICE)
    assert b"Action: failed" in report
    assert console.world.inbox(BOB) == []
