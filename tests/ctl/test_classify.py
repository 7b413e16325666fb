"""``fedaemonctl classify``: verdicts, the list of rules, and the check of an operator's file."""

from __future__ import annotations

import argparse
import io
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fedaemon.ctl import classify
from fedaemon.ctl.command import DONE, USAGE, Context
from fedaemon.delivery.classification.classifier import OUR_RULES

OWN_RULE = """
[[rule]]
name = "acme-closed"
host = "*.acme.example"
any = "the shop is closed"
action = "retry"
category = "policy"
explanation = "They take no mail at night. It is tried again in the morning."
example = { reply = "550 5.7.1 the shop is closed", host = "mx.acme.example" }
"""


class ClassifyConsole:
    """The command line, with the operator's files that the settings would name (None: no settings)."""

    def __init__(self, *extra: Path, settings: bool = True) -> None:
        self.extra = extra if settings else None
        self.out = self.err = ""
        common = argparse.ArgumentParser(add_help=False)
        common.add_argument("--json", action="store_true")
        self.parser = argparse.ArgumentParser(prog="fedaemonctl")
        classify.register(self.parser.add_subparsers(required=True), common)

    def run(self, *arguments: str) -> int:
        """Run a command line; return its exit code."""
        parsed = self.parser.parse_args(("classify", *arguments))
        out, err = io.StringIO(), io.StringIO()
        context = Context(Path("/nonexistent/fedaemon.toml"), json=parsed.json, out=out, err=err)
        if self.extra is not None:
            context.__dict__["settings"] = SimpleNamespace(delivery=SimpleNamespace(bounce_rules=self.extra))
        code: int = parsed.run(context, parsed)
        assert "engine" not in context.__dict__, "the command opened a store"
        self.out, self.err = out.getvalue(), err.getvalue()
        return code

    def json(self, *arguments: str) -> Any:
        assert self.run(*arguments, "--json") == DONE, self.err
        return json.loads(self.out)


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """An operator's file of one rule."""
    path = tmp_path / "acme.toml"
    path.write_text(OWN_RULE)
    return path


def test_a_verdict_says_what_follows_why_and_which_rule() -> None:
    """The four things that an administrator wants to know stand on a line each."""
    console = ClassifyConsole()
    assert console.run("550 5.1.1 <bob@example.com>: User unknown") == DONE
    follows, category, explanation, rule = console.out.splitlines()
    assert follows.startswith("reject: ")
    assert category == "category: recipient"
    assert "no such mailbox" in explanation
    assert rule == f"rule: unknown-user in {OUR_RULES}"
    assert console.err == ""


def test_json_holds_the_verdict_and_what_was_understood() -> None:
    """A program gets every part by name."""
    found = ClassifyConsole().json("552 5.2.2 mailbox full", "--host", "MX.example.com.", "--phase", "rcpt")
    assert found.pop("explanation")
    assert found == {
        "action": "retry",
        "category": "capacity",
        "rule": "mailbox-full",
        "source": str(OUR_RULES),
        "code": 552,
        "status": "5.2.2",
        "text": "mailbox full",
        "phase": "rcpt",
        "host": "mx.example.com",
    }


def test_a_reply_that_no_rule_knows_is_said_to_follow_its_code() -> None:
    """Nobody searches a rule that there is not."""
    console = ClassifyConsole()
    assert console.run("550 xyzzy") == DONE
    assert console.out.endswith("rule: none; the reply code decides\n")
    assert console.json("550 xyzzy")["source"] == ""


def test_phase_and_host_decide_where_they_matter() -> None:
    """554 to the greeting is about this server, 554 to the content about the message."""
    console = ClassifyConsole()
    assert console.json("554 xyzzy", "--phase", "greeting")["action"] == "retry"
    assert console.json("554 xyzzy", "--phase", "content")["action"] == "reject"
    assert console.json("421 xyzzy", "--host", "mta5.am0.yahoodns.net")["rule"] == "yahoo-deferral"


def test_rules_that_the_settings_name_are_used(own: Path) -> None:
    """An operator sees what the daemon would do, and that it comes from their file."""
    console = ClassifyConsole(own)
    found = console.json("550 5.7.1 the shop is closed", "--host", "mx.acme.example")
    assert (found["rule"], found["source"]) == ("acme-closed", str(own))


def test_without_settings_the_built_in_rules_answer_and_it_is_said() -> None:
    """On a machine without fedaemon's settings the command is of use all the same."""
    console = ClassifyConsole(settings=False)
    assert console.run("552 mailbox full") == DONE
    assert "rule: mailbox-full" in console.out
    assert "only the built-in rules are used" in console.err


def test_list_shows_every_rule_in_its_order(own: Path) -> None:
    """The operator's rules stand first, with their file."""
    console = ClassifyConsole(own)
    assert console.run("--list") == DONE
    title, first, *others = console.out.splitlines()
    assert title.split() == ["RULE", "ACTION", "CATEGORY", "FILE"]
    assert first.split() == ["acme-closed", "retry", "policy", str(own)]
    rules = console.json("--list")
    assert [rule["name"] for rule in rules] == [line.split()[0] for line in (first, *others)]
    assert rules[0] == {
        "name": "acme-closed",
        "host": ["*.acme.example"],
        "any": ["the shop is closed"],
        "action": "retry",
        "category": "policy",
        "explanation": "They take no mail at night. It is tried again in the morning.",
        "example": ["550 5.7.1 the shop is closed"],
        "source": str(own),
    }


def test_check_approves_a_good_file(own: Path) -> None:
    """The file need not be in the settings yet."""
    console = ClassifyConsole(settings=False)
    assert console.run("--check", str(own)) == DONE
    assert console.out == f"{own}: ok\n"
    assert console.json("--check", str(own)) == {"file": str(own), "ok": True, "problems": []}


def test_check_names_file_rule_mistake_and_remedy(tmp_path: Path) -> None:
    """Each problem is one line."""
    bad = tmp_path / "bad.toml"
    bad.write_text(OWN_RULE.replace('"policy"', '"weather"'))
    console = ClassifyConsole()
    assert console.run("--check", str(bad)) == USAGE
    assert console.err.startswith(f"{bad}: rule acme-closed: the category must be one of auth, block")
    assert console.run("--check", str(bad), "--json") == USAGE
    assert json.loads(console.out)["problems"]


def test_check_finds_an_example_that_another_rule_knows_first(tmp_path: Path) -> None:
    """A replaced rule stands where ours stood, so what comes before may take its replies."""
    shadowed = tmp_path / "shadowed.toml"
    shadowed.write_text(
        OWN_RULE.replace("acme-closed", "policy-refusal")
        .replace("the shop is closed", "mailbox full, the shop is closed")
        .replace('any = "mailbox full, the shop is closed"', 'any = "the shop is closed"')
    )
    console = ClassifyConsole()
    assert console.run("--check", str(shadowed)) == USAGE
    assert "rule policy-refusal: its example" in console.err
    assert "is known by the rule mailbox-full before" in console.err


def test_check_finds_a_name_that_disables_nothing(tmp_path: Path) -> None:
    """A slip in a name would leave the rule in force unnoticed."""
    slip = tmp_path / "slip.toml"
    slip.write_text('[[rule]]\nname = "dmrac"\ndisabled = true\n')
    console = ClassifyConsole()
    assert console.run("--check", str(slip)) == USAGE
    assert "rule dmrac: there is no built-in rule to disable" in console.err


def test_a_bad_file_in_the_settings_is_told(tmp_path: Path) -> None:
    """A verdict by half of the rules would mislead."""
    console = ClassifyConsole(tmp_path / "missing.toml")
    assert console.run("550 no") == USAGE
    assert "missing.toml: cannot be read" in console.err
    assert console.out == ""
