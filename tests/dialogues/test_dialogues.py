"""Every dialogue, played on the bare engine."""

from __future__ import annotations

from pathlib import Path

import pytest

from fedaemon.smtp.verbs import VERBS
from tests.dialogues.engine_driver import EngineDriver
from tests.dialogues.runner import Closed, Expect, Script, Send, StartTls, parse_script, read_scripts, run

SCRIPTS = read_scripts(Path(__file__).parent)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_dialogue(script: Script) -> None:
    """The engine says what the script says, and nothing more."""
    driver = EngineDriver(script)
    run(script, driver)
    assert driver.engine.take_output() == b""
    assert driver.engine.closed is isinstance(script.steps[-1][1], Closed)


def test_every_verb_has_a_dialogue() -> None:
    """No verb is without an example."""
    sent = {
        step.text.split(" ")[0] for script in SCRIPTS for _, step in script.steps if isinstance(step, Send)
    }
    assert {verb.decode() for verb in VERBS} <= sent


def test_parses_every_kind_of_step() -> None:
    """A script is read into steps with their line numbers."""
    head = "# Shows it.\n# listener: submission\n# settings: a=1 b=x\n\n"
    script = parse_script("it", head + "S: 220 *\nC: EHLO a\nR: x\\r\\n\nTLS\nCLOSED\n")
    assert (script.intent, script.listener) == ("Shows it.", "submission")
    assert script.settings == {"a": "1", "b": "x"}
    assert script.steps == [
        (5, Expect("220 *")),
        (6, Send("EHLO a", False)),
        (7, Send("x\\r\\n", True)),
        (8, StartTls()),
        (9, Closed()),
    ]


@pytest.mark.parametrize("line", ["X: what", "S:", "TLS now", "220 hello"])
def test_refuses_what_is_no_step(line: str) -> None:
    """A misspelt step is an error, not a step left out."""
    with pytest.raises(ValueError, match=r"it\.txt:2"):
        parse_script("it", f"# Shows it.\n{line}\n")


@pytest.mark.parametrize(
    ("ending", "complaint"),
    [
        ("S: 221 2.0.0 Bye\nS: 250 more\n", r"it\.txt:4: the server closes"),
        ("S: 250 *\n", r"it\.txt:3: the server says '221"),
        ("S: 250...\n", r"it\.txt:3: the server says '221"),
        ("CLOSED\n", r"it\.txt:3: instead of closing, the server says b'221"),
    ],
)
def test_notices_what_the_script_does_not_say(ending: str, complaint: str) -> None:
    """A server that departs from the script is told with file and line."""
    script = parse_script("it", "S: 220 *\nC: QUIT\n" + ending)
    with pytest.raises(AssertionError, match=complaint):
        run(script, EngineDriver(script))
