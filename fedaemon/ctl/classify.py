"""``fedaemonctl classify``: what a reply of another server means to this one, and which rule says so.

JSON of a verdict: ``action`` (retry, slow_down, reject), ``category``, ``explanation``, ``rule`` (its name, ""
when the reply code alone decided), ``source`` (the file of the rule or ""), and what was understood: ``code``,
``status``, ``text``, ``phase``, ``host``. JSON of ``--list`` is an array of rules in their order with the keys of
a rule file and ``source``. JSON of ``--check`` is ``file``, ``ok`` and ``problems``; settings that name a bad file
give the latter two.

Invariants: needs no store, and no settings either: without a readable settings file the built-in rules answer.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, Final

from fedaemon.config import BadSettings
from fedaemon.ctl.command import DONE, USAGE, Context
from fedaemon.delivery.classification.classifier import (
    OUR_RULES,
    Classifier,
    load_classifier,
    misplaced_examples,
)
from fedaemon.delivery.classification.reply import read_reply, split_reply
from fedaemon.delivery.classification.rule import Rule
from fedaemon.delivery.classification.rule_file import BadRules, read_rules
from fedaemon.delivery.classification.verdict import PHASES

WHAT_FOLLOWS: Final = {
    "retry": "retry: it is tried again as the schedule says",
    "slow_down": "slow_down: it is tried again, and less is sent to that site for a while",
    "reject": "reject: the sender gets it back",
}


def register(groups: Any, common: argparse.ArgumentParser) -> None:
    """Add the command."""
    parser = groups.add_parser(
        "classify",
        parents=[common],
        help="explain a reply of another server: what follows, and which rule says so",
        description="Explain a reply of another server, or a failure without one. Without a readable settings "
        "file the built-in rules answer.",
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("reply", nargs="?", metavar="REPLY", help='such as "550 5.7.1 …", with its codes')
    what.add_argument(
        "--list", action="store_true", help="list all rules in the order in which they are asked"
    )
    what.add_argument("--check", type=Path, metavar="FILE", help="say whether a file of rules is good")
    parser.add_argument("--host", default="", help="the host that said it; some rules are for one provider")
    parser.add_argument("--phase", default="", choices=PHASES, help="where in the session it was said")
    parser.set_defaults(run=run)


def run(context: Context, arguments: argparse.Namespace) -> int:
    """Explain, list or check."""
    try:
        if arguments.check is not None:
            return _check(context, arguments.check)
        classifier = load_classifier(_extra(context))
    except BadRules as error:
        context.show({"ok": False, "problems": error.problems})
        if not context.json:
            print(error, file=context.err)
        return USAGE
    if arguments.list:
        return _list(context, classifier)
    return _explain(context, classifier, arguments)


def _extra(context: Context) -> tuple[Path, ...]:
    """Return the operator's files; none when there are no settings to name them."""
    try:
        return context.settings.delivery.bounce_rules
    except BadSettings as error:
        print(f"fedaemonctl: only the built-in rules are used: {error.problems[0]}", file=context.err)
        return ()


def _explain(context: Context, classifier: Classifier, arguments: argparse.Namespace) -> int:
    code, status, text = split_reply(arguments.reply)
    reply = read_reply(
        code=code, status=status, text=text, phase=arguments.phase, host=arguments.host, permanent=False
    )
    verdict = classifier.classify_reply(reply)
    rule = classifier.rule(verdict.rule)
    source = rule.source if rule else ""
    context.show(
        {
            "action": verdict.action,
            "category": verdict.category,
            "explanation": verdict.explanation,
            "rule": verdict.rule,
            "source": source,
            "code": reply.code,
            "status": reply.status,
            "text": " ".join(text.split()),
            "phase": reply.phase,
            "host": reply.host,
        }
    )
    context.say(WHAT_FOLLOWS[verdict.action])
    context.say(f"category: {verdict.category}")
    context.say(verdict.explanation)
    context.say(f"rule: {verdict.rule} in {source}" if rule else "rule: none; the reply code decides")
    return DONE


def _list(context: Context, classifier: Classifier) -> int:
    context.show([_as_table(rule) for rule in classifier.rules])
    context.table(
        ("RULE", "ACTION", "CATEGORY", "FILE"),
        ((rule.name, rule.action, rule.category, rule.source) for rule in classifier.rules),
    )
    return DONE


def _as_table(rule: Rule) -> dict[str, Any]:
    """Return a rule under the keys of a rule file; what it does not have is left out."""
    conditions = {
        "host": rule.hosts,
        "code": rule.codes,
        "status": rule.statuses,
        "phase": rule.phases,
        "any": tuple(phrase.source for phrase in rule.any_of),
        "all": tuple(phrase.source for phrase in rule.all_of),
        "none": tuple(phrase.source for phrase in rule.none_of),
    }
    table: dict[str, Any] = {"name": rule.name}
    table |= {key: list(values) for key, values in conditions.items() if values}
    table["action"] = rule.action
    if rule.action == "reject":
        table["on_4xx"] = rule.on_4xx
    return table | {
        "category": rule.category,
        "explanation": rule.explanation,
        "example": [example.reply for example in rule.examples],
        "source": rule.source,
    }


def _check(context: Context, path: Path) -> int:
    """Check one file beside the built-in rules."""
    problems: list[str] = []
    try:
        file = read_rules(path)
        known = {rule.name for rule in read_rules(OUR_RULES).rules}
        problems += [
            f"{path}: rule {name}: there is no built-in rule to disable; correct the name (--list shows all)"
            for name in sorted(file.disabled - known)
        ]
        problems += misplaced_examples(load_classifier([path]), str(path))
    except BadRules as error:
        problems += error.problems
    context.show({"file": str(path), "ok": not problems, "problems": problems})
    if not problems:
        context.say(f"{path}: ok")
        return DONE
    if not context.json:
        for problem in problems:
            print(problem, file=context.err)
    return USAGE
