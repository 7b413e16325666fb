"""The scripts of tests/pop3/dialogues on the bare engine."""

from __future__ import annotations

from pathlib import Path

import pytest

from fedaemon.pop3.verbs import VERBS
from tests.dialogues.runner import Script, Send, read_scripts, run
from tests.pop3.driving import EngineDriver

SCRIPTS = read_scripts(Path(__file__).parent / "dialogues")


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_dialogue(script: Script) -> None:
    """The engine answers what the script says."""
    run(script, EngineDriver(script))


def test_every_command_has_its_dialogue() -> None:
    """No command of the table goes unspoken."""
    spoken = {
        step.text.split(" ")[0].upper()
        for script in SCRIPTS
        for _, step in script.steps
        if isinstance(step, Send) and not step.raw
    }
    assert {verb.decode() for verb in VERBS} - spoken == set()
