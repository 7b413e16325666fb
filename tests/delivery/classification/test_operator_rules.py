"""Files of an operator: what they add, replace and disable, and what is said about mistakes in them."""

from __future__ import annotations

from pathlib import Path

import pytest

from fedaemon.delivery.classification import BadRules, load_classifier
from fedaemon.delivery.classification.rule_file import read_rules
from tests.delivery.classification.support import ask, ours

RULE = {
    "name": '"acme-closed"',
    "any": '"the shop is closed"',
    "action": '"reject"',
    "category": '"policy"',
    "explanation": '"They take no mail at night. Write in the morning."',
    "example": '"550 5.7.1 the shop is closed"',
}


def rule(**keys: str | None) -> str:
    """A good rule with some keys (TOML values) changed, or left out (None)."""
    lines = (f"{key} = {value}" for key, value in {**RULE, **keys}.items() if value is not None)
    return "[[rule]]\n" + "\n".join(lines) + "\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the operator's file is."""
    return tmp_path / "rules.toml"


def problems(path: Path) -> list[str]:
    """What is wrong with the file."""
    with pytest.raises(BadRules) as caught:
        load_classifier([path])
    assert str(caught.value) == "\n".join(caught.value.problems)
    return caught.value.problems


def test_an_added_rule_comes_before_ours(path: Path) -> None:
    """It even catches what one of ours knows."""
    path.write_text(rule(any='"user unknown"', action='"retry"', example='"550 user unknown"'))
    found = ask("550 5.1.1 User unknown", classifier=load_classifier([path]))
    assert (found.action, found.category, found.rule) == ("retry", "policy", "acme-closed")


def test_a_rule_of_the_same_name_takes_the_place_of_ours(path: Path) -> None:
    """The order stays, so the changed rule meets the replies that it met before."""
    path.write_text(rule(name='"dmarc"', any='"DMARC"', category='"dmarc"', example='"550 DMARC"'))
    changed = load_classifier([path])
    assert [each.name for each in changed.rules] == [each.name for each in ours().rules]
    assert ask("550 5.7.1 DMARC says no", classifier=changed).action == "reject"
    assert ask("550 5.7.1 DMARC says no").action == "retry"


def test_a_disabled_rule_is_gone(path: Path) -> None:
    """What it knew goes to the next rule or the reply code."""
    path.write_text('[[rule]]\nname = "dmarc"\ndisabled = true\n')
    changed = load_classifier([path])
    assert changed.rule("dmarc") is None
    assert ask("550 5.7.1 DMARC xyzzy", classifier=changed).action == "reject"


def test_disabling_what_a_newer_version_no_longer_has_keeps_nobody_from_starting(path: Path) -> None:
    """The check command tells; the mail goes on."""
    path.write_text('[[rule]]\nname = "of-another-version"\ndisabled = true\n')
    assert [each.name for each in load_classifier([path]).rules] == [each.name for each in ours().rules]


def test_a_later_file_comes_before_and_replaces(path: Path, tmp_path: Path) -> None:
    """As with settings in directories: the last word is the last file's."""
    path.write_text(rule() + rule(name='"acme-moved"', any='"the shop has gone"'))
    later = tmp_path / "later.toml"
    later.write_text(rule(action='"retry"') + rule(name='"acme-new"', any='"the shop is new"'))
    changed = load_classifier([path, later])
    assert [each.name for each in changed.rules[:3]] == ["acme-new", "acme-closed", "acme-moved"]
    assert ask("550 the shop is closed", classifier=changed).action == "retry"


def test_every_condition_must_be_met(path: Path) -> None:
    """One reply meets all of them, and one for each condition lacks only that."""
    path.write_text(
        rule(
            host='["*.acme.example", "mx.other.example"]',
            code='["5xx", 450]',
            status='["5.7.1", "*.2.*"]',
            phase='"rcpt"',
            all='["the shop", "closed"]',
            any='["is closed", "was closed"]',
            none='"open tomorrow"',
            example='{ reply = "550 5.7.1 the shop is closed", host = "mx.acme.example", phase = "rcpt" }',
        )
    )
    classifier = load_classifier([path])

    def met(reply: str, host: str = "mx.acme.example", phase: str = "rcpt") -> bool:
        return ask(reply, host=host, phase=phase, classifier=classifier).rule == "acme-closed"

    assert met("550 5.7.1 the shop is closed")
    assert met("450 4.2.7 closed: the shop was closed")
    assert met("550 5.7.1 the shop is closed", host="MX.Other.Example.")
    assert not met("550 5.7.1 the shop is closed", host="acme.example")
    assert not met("550 5.7.1 the shop is closed", host="")
    assert not met("450 4.7.1 the shop is closed")
    assert not met("451 4.2.1 the shop is closed")
    assert not met("550 5.7.1 the shop is closed", phase="mail")
    assert not met("550 5.7.1 the shop is closed", phase="")
    assert not met("550 5.7.1 shop is closed")
    assert not met("550 5.7.1 the shop closed")
    assert not met("550 5.7.1 the shop is closed, open tomorrow")


def test_reject_waits_on_a_temporary_code_unless_the_rule_says_otherwise(path: Path) -> None:
    """on_4xx is the way to overrule a server's "later"."""
    path.write_text(rule() + rule(name='"acme-gone"', any='"the shop has gone"', on_4xx='"reject"'))
    classifier = load_classifier([path])
    assert ask("550 the shop is closed", classifier=classifier).action == "reject"
    assert ask("450 the shop is closed", classifier=classifier).action == "retry"
    assert ask("450 the shop has gone", classifier=classifier).action == "reject"


BAD: dict[str, tuple[str, str]] = {
    "not TOML": ("[[rule]\n", "is not TOML"),
    "other settings": ("[server]\n", "there is no setting 'server'"),
    "a single table": ('[rule]\nname = "x"\n', "[[rule]] tables"),
    "no name": (rule(name=None), "rule number 1: it has no proper name"),
    "a strange name": (rule(name='"Acme closed"'), "it has no proper name"),
    "a name twice": (rule() + rule(), "is used twice"),
    "an unknown key": (rule(regex='"^5"'), "there is no key 'regex'"),
    "no condition": (rule(any=None), "it has no condition"),
    "only none": (rule(any=None, none='"open"'), "it has no condition"),
    "no action": (rule(action=None), "action must be one of retry, slow_down, reject"),
    "an unknown action": (rule(action='"defer"'), "it is 'defer'"),
    "on_4xx of a retry": (rule(action='"retry"', on_4xx='"retry"'), 'only for action = "reject"'),
    "an unknown category": (rule(category='"blacklist"'), "the category must be one of"),
    "no explanation": (rule(explanation=None), "the explanation must be one line"),
    "a short explanation": (rule(explanation='"No."'), "the explanation must be one line"),
    "no example": (rule(example=None), "it has no example"),
    "an example of a wrong form": (rule(example='{ text = "550" }'), "is not a reply"),
    "a host with a path": (rule(host='"https://acme.example/"'), "host has 'https://acme.example/'"),
    "a wildcard in a host": (rule(host='"mx*.acme.example"'), "host has"),
    "a code of success": (rule(code="250"), "code has 250"),
    "a boolean code": (rule(code="true"), "code has True"),
    "a strange status": (rule(status='"5.7"'), "status has '5.7'"),
    "an unknown phase": (rule(phase='"quit"'), "phase has 'quit'"),
    "an empty list": (rule(any="[]"), "any is empty"),
    "a phrase that is no text": (rule(any="[5]"), "is no text"),
    "a phrase of nothing": (rule(any='"*"'), "fewer than 3 letters"),
    "a phrase of wildcards": (rule(any='"a*b*c*d*e*f"'), "more than 4 wildcards"),
    "a long phrase": (rule(any=f'"{"word " * 40}"'), "more than 160 characters"),
    "an address": (rule(any='"write to postmaster@acme.example"'), "addresses do not count"),
    "disabled and more": (rule(disabled="true"), "a disabled rule has no other keys"),
    "disabled by a word": ('[[rule]]\nname = "dmarc"\ndisabled = "yes"\n', "must be true or false"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_mistake_is_told_with_file_rule_and_remedy(path: Path, case: str) -> None:
    """ "FILE: rule NAME: what; fix"."""
    content, expected = BAD[case]
    path.write_text(content)
    (problem,) = problems(path)
    assert problem.startswith(f"{path}: ")
    assert expected in problem
    assert "; " in problem


def test_all_mistakes_of_a_file_are_told_at_once(path: Path) -> None:
    """Nobody likes to correct a file five times."""
    path.write_text(rule(action='"defer"') + rule(name='"second"', category='"x"') + rule(name='"third"'))
    assert [line.split(": ")[1] for line in problems(path)] == ["rule acme-closed", "rule second"]


def test_a_file_that_cannot_be_read_is_told(path: Path) -> None:
    """Missing, or not text."""
    assert "cannot be read: No such file" in problems(path)[0]
    path.write_bytes(b"\xff\xfe")
    assert "is not UTF-8" in problems(path)[0]


def test_a_file_may_be_empty(path: Path) -> None:
    """A packaged sample with everything in comments is no mistake."""
    path.write_text("# nothing yet\n")
    assert read_rules(path).rules == ()
