"""``fedaemonctl webhook``: programs that hear what became of messages.

JSON of ``list`` is an array of ``name``, ``url``, ``events``, ``account``, ``domain``, ``created``, ``disabled``
(why, or ""), ``waiting`` (events), ``failures`` (posts that failed in a row), ``retry`` (RFC 3339 or null).
``backlog`` has these and ``posted``, ``dropped``, ``expired`` (events), ``last_error``, ``last_error_at``; with
a NAME also ``events_waiting``, an array of events with ``attempts`` and ``due``. ``add`` shows the ``secret``,
this once. ``test`` shows ``code``, ``answer``.
"""

from __future__ import annotations

import argparse
import secrets
import sys
import urllib.error
import urllib.request
from functools import partial
from http.client import HTTPException
from typing import Any, Final
from urllib.parse import urlsplit

from fedaemon.accounts import directory
from fedaemon.ctl.command import DONE, Context, sentence
from fedaemon.ctl.password import now_ms, show_time
from fedaemon.delivery.hooks import backlog, webhook
from fedaemon.delivery.hooks.events import trial_event
from fedaemon.delivery.hooks.post import TIMEOUT_S, Answer, Post, answered, make_post
from fedaemon.delivery.hooks.webhook import EVENTS, Webhook
from fedaemon.errors import Refused
from fedaemon.message.domain import parse_domain
from fedaemon.store.ids import new_id
from fedaemon.store.interface import Snapshot, Transaction

BY_HAND: Final = "disabled with fedaemonctl"
REMOVING: Final = "being removed"

SECRET_OCTETS: Final = 32
SHORTEST_SECRET, LONGEST_SECRET = 16, 256

SLICE: Final = 2000
"""Events removed in one transaction."""

SHOWN: Final = 20
"""Events that ``backlog NAME`` lists."""


def register(groups: argparse._SubParsersAction[Any], common: argparse.ArgumentParser) -> None:
    """Add the parsers of this command group."""
    text = "programs that hear what became of messages"
    group = groups.add_parser("webhook", help=text, description=sentence(text))
    commands = group.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def add(name: str, run: Any, text: str) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = commands.add_parser(
            name, parents=[common], help=text, description=sentence(text)
        )
        parser.set_defaults(run=run)
        return parser

    parser = add("add", run_add, "post events to a URL; prints the secret of the signature, once")
    parser.add_argument("url", metavar="URL", help="https://…, or http://… for a program on this machine")
    parser.add_argument("--name", metavar="NAME", help="what to call it (default: the host of the URL)")
    about = parser.add_mutually_exclusive_group()
    about.add_argument("--domain", metavar="DOMAIN", help="only about messages of this domain's accounts")
    about.add_argument("--account", metavar="ADDRESS", help="only about messages of this account")
    parser.add_argument("--events", default=",".join(EVENTS), help="some of %(default)s (default: all)")
    parser.add_argument(
        "--secret-stdin",
        action="store_true",
        help="read the secret from standard input (default: one is made)",
    )
    add("list", run_list, "list the webhooks")
    shown = 'as shown by "webhook list"'
    for name, run, text in (
        ("remove", run_remove, "remove a webhook and the events that wait for it"),
        ("enable", run_enable, "post again, at once, what waits for a webhook that is disabled or rests"),
        ("disable", run_disable, "post nothing more to a webhook; what waits already is kept for its time"),
        ("test", run_test, "post a test event now and print the answer"),
    ):
        add(name, run, text).add_argument("name", metavar="NAME", help=shown)
    parser = add("backlog", run_backlog, "how many events wait, and why; with a name, which ones")
    parser.add_argument("name", metavar="NAME", nargs="?", help=shown)


def run_add(context: Context, arguments: argparse.Namespace) -> int:
    """Add a webhook."""
    url = webhook.parse_url(arguments.url)
    new = Webhook(
        name=webhook.parse_name(arguments.name or (urlsplit(url).hostname or "").replace(":", "-")),
        url=url,
        events=webhook.parse_events(arguments.events),
        secret=_read_secret() if arguments.secret_stdin else secrets.token_hex(SECRET_OCTETS),
        account=webhook.parse_account(arguments.account) if arguments.account else "",
        domain=parse_domain(arguments.domain) if arguments.domain else "",
        created_ms=now_ms(),
    )

    def add(transaction: Transaction) -> None:
        if new.account:
            directory.need_account(transaction, new.account)
        if new.domain:
            directory.need_domain(transaction, new.domain)
        webhook.add(transaction, new)

    context.transact(add)
    context.say(f"{new.name} -> {new.url} ({', '.join(new.events)})")
    if arguments.secret_stdin:
        context.show(as_json(new, backlog.Backlog()))
    else:
        context.say(f"secret: {new.secret}")
        context.say("It is shown this once: posts are signed with it, see X-Webhook-Signature.")
        context.show({**as_json(new, backlog.Backlog()), "secret": new.secret})
    return DONE


def _read_secret() -> str:
    text = sys.stdin.readline(LONGEST_SECRET + 2).rstrip("\r\n")
    if not (SHORTEST_SECRET <= len(text) <= LONGEST_SECRET and text.isascii() and text.isprintable()):
        raise Refused(f"a secret has {SHORTEST_SECRET} to {LONGEST_SECRET} printable ASCII characters")
    return text


def as_json(hook: Webhook, state: backlog.Backlog) -> dict[str, Any]:
    """Return a webhook as it is shown with --json; its secret is not."""
    return {
        "name": hook.name,
        "url": hook.url,
        "events": list(hook.events),
        "account": hook.account,
        "domain": hook.domain,
        "created": show_time(hook.created_ms),
        "disabled": hook.disabled,
        "waiting": state.waiting,
        "failures": state.failures,
        "retry": show_time(state.retry_ms) if state.retry_ms else None,
    }


def _more_json(hook: Webhook, state: backlog.Backlog) -> dict[str, Any]:
    return {
        **as_json(hook, state),
        "posted": state.posted,
        "dropped": state.dropped,
        "expired": state.expired,
        "last_error": state.last_error,
        "last_error_at": show_time(state.last_error_ms) if state.last_error_ms else None,
    }


def _all(snapshot: Snapshot) -> list[tuple[Webhook, backlog.Backlog]]:
    return [(each, backlog.load_backlog(snapshot, each.name)) for each in webhook.webhooks(snapshot)]


def run_list(context: Context, arguments: argparse.Namespace) -> int:
    """List the webhooks."""
    found = context.view(_all)
    rows = [
        (
            hook.name,
            hook.account or hook.domain or "all",
            ",".join(hook.events),
            _state(hook, state),
            hook.url,
        )
        for hook, state in found
    ]
    context.table(("NAME", "ABOUT", "EVENTS", "STATE", "URL"), rows)
    context.show([as_json(hook, state) for hook, state in found])
    return DONE


def _state(hook: Webhook, state: backlog.Backlog) -> str:
    if hook.disabled:
        return f"disabled: {hook.disabled}" if hook.disabled != BY_HAND else "disabled"
    if state.retry_ms > now_ms():
        return f"rests until {show_time(state.retry_ms)}"
    return "failing" if state.failures else "enabled"


def run_remove(context: Context, arguments: argparse.Namespace) -> int:
    """Remove a webhook, slice by slice, so that the daemon never waits long."""
    name = arguments.name
    context.transact(partial(webhook.disable, name=name, why=REMOVING))
    while context.transact(partial(backlog.forget, name=name, limit=SLICE)) == SLICE:
        pass
    context.transact(partial(_remove, name))
    context.say(f"{name} is removed")
    context.show({"name": name, "removed": True})
    return DONE


def _remove(name: str, transaction: Transaction) -> None:
    # A post that ended meanwhile has left its mark again.
    backlog.forget(transaction, name, SLICE)
    webhook.remove(transaction, name)


def run_enable(context: Context, arguments: argparse.Namespace) -> int:
    """Enable a webhook."""

    def enable(transaction: Transaction) -> Webhook:
        found = webhook.disable(transaction, arguments.name, "")
        backlog.revive(transaction, arguments.name)
        return found

    context.transact(enable)
    context.say(f"{arguments.name} is enabled")
    context.show({"name": arguments.name, "disabled": ""})
    return DONE


def run_disable(context: Context, arguments: argparse.Namespace) -> int:
    """Disable a webhook."""
    context.transact(partial(webhook.disable, name=arguments.name, why=BY_HAND))
    context.say(f"{arguments.name} is disabled")
    context.show({"name": arguments.name, "disabled": BY_HAND})
    return DONE


def run_backlog(context: Context, arguments: argparse.Namespace) -> int:
    """Show what waits for all webhooks, or for one."""
    if arguments.name is None:
        found = context.view(_all)
        titles = ("NAME", "WAITING", "POSTED", "DROPPED", "EXPIRED", "STATE", "LAST ERROR")
        context.table(titles, [_row(hook, state) for hook, state in found])
        context.show([_more_json(hook, state) for hook, state in found])
        return DONE
    hook, state, events = context.view(partial(_one, arguments.name))
    context.say(f"{hook.name}: {state.waiting} events wait; {_state(hook, state)}")
    if state.last_error:
        context.say(f"last error at {show_time(state.last_error_ms)}: {state.last_error}")
    rows = [
        (each["due"], each["attempts"], each["event"], each["queue_id"], each["recipient"]) for each in events
    ]
    if rows:
        context.table(("DUE", "ATTEMPTS", "EVENT", "QUEUE ID", "RECIPIENT"), rows)
    context.show({**_more_json(hook, state), "events_waiting": events})
    return DONE


def _row(hook: Webhook, state: backlog.Backlog) -> tuple[object, ...]:
    error = state.last_error or "-"
    return (hook.name, state.waiting, state.posted, state.dropped, state.expired, _state(hook, state), error)


def _one(name: str, snapshot: Snapshot) -> tuple[Webhook, backlog.Backlog, list[dict[str, Any]]]:
    hook = webhook.need(snapshot, name)
    events = [
        {**each.event, "attempts": each.attempts, "due": show_time(int(each.key[2]))}
        for each in backlog.waiting(snapshot, name, SHOWN)
    ]
    return hook, backlog.load_backlog(snapshot, name), events


def run_test(context: Context, arguments: argparse.Namespace) -> int:
    """Post a test event and say what came of it."""
    hook = context.view(partial(webhook.need, name=arguments.name))
    at_ms = now_ms()
    answer = _send(make_post(hook, {"id": new_id(at_ms), **trial_event(at_ms)}, 1, at_ms))
    context.show({"name": hook.name, "code": answer.code, "answer": answer.text})
    if not 200 <= answer.code < 300:
        return context.refuse(f"{hook.name}: {answer.text}; a webhook is to answer 200 to 299")
    context.say(f"{hook.name}: {answer.text}")
    return DONE


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Shows redirects as the answer, as the daemon takes them."""

    def redirect_request(self, *arguments: Any) -> None:
        """Follow none."""


def _send(post: Post) -> Answer:
    """Send *post* and wait for its end; like the daemon without proxies and redirects."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirect())
    request = urllib.request.Request(post.url, post.body, dict(post.headers), method="POST")  # noqa: S310
    try:
        with opener.open(request, timeout=TIMEOUT_S) as response:
            return answered(response.status)
    except urllib.error.HTTPError as error:
        with error:
            return answered(error.code)
    except (OSError, HTTPException, ValueError) as error:
        return Answer(0, f"no answer: {getattr(error, 'reason', None) or error}")
