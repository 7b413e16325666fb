"""Reads a file of rules, and says about each mistake where it is and what to do.

The form is described at the head of ``rules.toml``.

Invariants: a file is taken as a whole or not at all; every problem in it is told at once, as
"FILE: rule NAME: what; fix".
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from fedaemon.delivery.classification.phrase import Phrase
from fedaemon.delivery.classification.rule import Example, Rule
from fedaemon.delivery.classification.verdict import ACTIONS, CATEGORIES, PHASES, Action

_NAME: Final = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_CODE: Final = re.compile(r"0|[45]xx|[45][0-9][0-9]")
_STATUS: Final = re.compile(r"(?:[45]|\*)\.(?:[0-9]{1,3}|\*)\.(?:[0-9]{1,3}|\*)")
_HOST: Final = re.compile(r"(?:\*\.)?[a-z0-9-]+(?:\.[a-z0-9-]+)*")

CONDITIONS: Final = ("host", "code", "status", "phase", "any", "all")
KEYS: Final = frozenset(
    (*CONDITIONS, "none", "name", "disabled", "action", "on_4xx", "category", "explanation", "example")
)

MIN_EXPLANATION: Final = 20
MAX_EXPLANATION: Final = 300
"""Characters: it stands in reports to people, who should get a sentence and not an essay."""


class BadRules(Exception):
    """A file of rules cannot be used. *problems* has one line for each mistake."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class RuleFile:
    """What a file says: rules in their order, and names of rules that are not to be used."""

    path: Path
    rules: tuple[Rule, ...]
    disabled: frozenset[str]


class _Mistake(Exception):
    """What is wrong with one rule, and the remedy."""


def read_rules(path: Path) -> RuleFile:
    """Read a file of rules.

    :raises BadRules: the file cannot be read or is not in the form that the head of rules.toml describes.
    """
    tables = _tables(path)
    rules: list[Rule] = []
    disabled: set[str] = set()
    problems: list[str] = []
    for number, table in enumerate(tables, 1):
        name = table.get("name")
        label = name if isinstance(name, str) and name else f"number {number}"
        try:
            _check_keys(table, {rule.name for rule in rules} | disabled)
            if table.get("disabled", False):
                disabled.add(str(name))
            else:
                rules.append(_rule(table, str(path)))
        except _Mistake as mistake:
            problems.append(f"{path}: rule {label}: {mistake}")
    if problems:
        raise BadRules(problems)
    return RuleFile(path, tuple(rules), frozenset(disabled))


def _tables(path: Path) -> list[dict[str, Any]]:
    try:
        content = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise BadRules(
            [f"{path}: cannot be read: {error.strerror}; check the path and the permissions"]
        ) from None
    except UnicodeDecodeError:
        raise BadRules([f"{path}: is not UTF-8; save it as UTF-8"]) from None
    except tomllib.TOMLDecodeError as error:
        raise BadRules([f"{path}: is not TOML: {error}; correct that place"]) from None
    unknown = sorted(content.keys() - {"rule"})
    if unknown:
        raise BadRules([f"{path}: there is no setting {unknown[0]!r} here; each rule begins with [[rule]]"])
    tables = content.get("rule", [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise BadRules([f"{path}: rules must be written as [[rule]] tables; use double brackets"])
    return tables


def _check_keys(table: Mapping[str, Any], used: set[str]) -> None:
    """Check what every table must have; *used* are the names above it in the file."""
    name = table.get("name")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise _Mistake('it has no proper name; give it one such as name = "acme-too-fast"')
    if name in used:
        raise _Mistake("the name is used twice in this file; give each rule its own")
    if unknown := sorted(table.keys() - KEYS):
        raise _Mistake(f"there is no key {unknown[0]!r}; use {', '.join(sorted(KEYS))}")
    if not isinstance(table.get("disabled", False), bool):
        raise _Mistake("disabled must be true or false; write disabled = true")
    if table.get("disabled") and len(table) > 2:
        raise _Mistake("a disabled rule has no other keys; take them away or disabled = true")


def _rule(table: Mapping[str, Any], source: str) -> Rule:
    if not any(key in table for key in CONDITIONS):
        raise _Mistake(f"it has no condition; give it at least one of {', '.join(CONDITIONS)}")
    action = _action(table, "action")
    if "on_4xx" in table and action != "reject":
        raise _Mistake('on_4xx is only for action = "reject"; take it away')
    category = table.get("category")
    if category not in CATEGORIES:
        raise _Mistake(f"the category must be one of {', '.join(CATEGORIES)}; it is {category!r}")
    return Rule(
        name=table["name"],
        action=action,
        on_4xx=_action(table, "on_4xx") if "on_4xx" in table else "retry",
        category=str(category),
        explanation=_explanation(table),
        source=source,
        examples=_examples(table),
        hosts=_strings(table, "host", _HOST, 'a host name or "*.example.net", in small letters'),
        codes=_strings(table, "code", _CODE, 'a code such as 550, "5xx", or 0 for no reply'),
        statuses=_strings(table, "status", _STATUS, 'a status such as "5.7.1", "5.7.*" or "*.2.2"'),
        phases=_strings(table, "phase", re.compile("|".join(PHASES)), f"one of {', '.join(PHASES)}"),
        any_of=_phrases(table, "any"),
        all_of=_phrases(table, "all"),
        none_of=_phrases(table, "none"),
    )


def _action(table: Mapping[str, Any], key: str) -> Action:
    action = table.get(key)
    if not isinstance(action, str) or action not in ACTIONS:
        raise _Mistake(f"{key} must be one of {', '.join(ACTIONS)}; it is {action!r}")
    return ACTIONS[action]


def _explanation(table: Mapping[str, Any]) -> str:
    text = table.get("explanation")
    if (
        not isinstance(text, str)
        or not MIN_EXPLANATION <= len(text) <= MAX_EXPLANATION
        or not text.isprintable()
    ):
        raise _Mistake(
            f"the explanation must be one line of {MIN_EXPLANATION} to {MAX_EXPLANATION} characters; "
            "say what the reply means and what to do"
        )
    return text


def _list(table: Mapping[str, Any], key: str) -> list[Any]:
    """Return a value as a list; one value stands for a list of one."""
    value = table.get(key, [])
    values = value if isinstance(value, list) else [value]
    if key in table and not values:
        raise _Mistake(f"{key} is empty; fill it or take it away")
    return values


def _strings(table: Mapping[str, Any], key: str, form: re.Pattern[str], what: str) -> tuple[str, ...]:
    values = []
    for value in _list(table, key):
        text = str(value) if isinstance(value, str) or type(value) is int else ""
        if not form.fullmatch(text):
            raise _Mistake(f"{key} has {value!r}; write {what}")
        values.append(text)
    return tuple(values)


def _phrases(table: Mapping[str, Any], key: str) -> tuple[Phrase, ...]:
    return tuple(_phrase(value) for value in _list(table, key))


def _phrase(value: Any) -> Phrase:
    if not isinstance(value, str):
        raise _Mistake(f"the phrase {value!r} is no text; put it in quotes")
    try:
        return Phrase(value)
    except ValueError as error:
        raise _Mistake(f"{error}; write a few words of the reply") from None


def _examples(table: Mapping[str, Any]) -> tuple[Example, ...]:
    examples = tuple(_example(value) for value in _list(table, "example"))
    if not examples:
        raise _Mistake("it has no example; copy a whole reply from the log, it is the test of the rule")
    return examples


def _example(value: Any) -> Example:
    if isinstance(value, str):
        return Example(value)
    known = isinstance(value, dict) and "reply" in value and value.keys() <= {"reply", "host", "phase"}
    if not known or not all(isinstance(each, str) for each in value.values()):
        raise _Mistake(
            f'the example {value!r} is not a reply; write "550 5.1.1 …" or '
            '{ reply = "550 5.1.1 …", host = "mx.example.net", phase = "rcpt" }'
        )
    return Example(**value)
