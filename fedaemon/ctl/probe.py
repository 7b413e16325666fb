"""``fedaemonctl probe ADDRESS``: sends a real message as an account and sees it arrive, step by step.

The first thing to do with a new server, and what monitoring can call: it goes the way that mail programs go, by
TLS and a log-in to submission, through the queue, and for a mailbox here back by IMAP. For the time it takes, the
account has an app password of its own. What it delivered to a mailbox here it removes again.

JSON is ``delivered`` (true or false), ``id`` (the queue id, or null) and ``steps``: an array of ``step``
(submission, delivery, imap), ``ok``, ``text`` and ``seconds``.

Standards: RFC 8314 3 (implicit TLS first), RFC 5322 3.6.
Invariants: the app password is removed whatever happens; nobody else's message is touched.
Limits: ``TIMEOUT_S`` for a step of a dialogue, ``--wait`` for the delivery.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from functools import partial
from typing import Any, Final

from fedaemon.accounts import directory, passwords
from fedaemon.accounts.records import Account
from fedaemon.ctl import terminal
from fedaemon.ctl.command import DONE, Context
from fedaemon.ctl.password import need
from fedaemon.ctl.probe_sessions import Failed, read_back, submit, usual_listener
from fedaemon.ctl.terminal import printable, read_span, span
from fedaemon.delivery.listing import show
from fedaemon.delivery_setup import schedule
from fedaemon.errors import Refused
from fedaemon.message.address import Address, parse_address

NAME: Final = "fedaemonctl probe"
"""Of the app password."""
POLL_S: Final = 0.1
SETTLED: Final = frozenset({"delivered", "bounced", "expired", "suppressed", "deferred", "held"})
"""States of a recipient of which there is something to say."""


def register(groups: Any, common: argparse.ArgumentParser) -> None:
    """Add the command."""
    parser = groups.add_parser(
        "probe",
        parents=[common],
        help="send a test message as an account and see it arrive",
        description="Logs in to submission as ADDRESS, sends a test message, follows it through the queue, and "
        "reads it back by IMAP when its recipient is an account here. Each step says how it went. The account's "
        "password is not needed. The daemon must run. Exit code 0 when the message was delivered.",
    )
    parser.add_argument("address", metavar="ADDRESS", help="the account that sends")
    parser.add_argument("--to", metavar="ADDRESS", help="who gets the message (default: the account itself)")
    parser.add_argument(
        "--wait",
        type=read_span,
        default=60,
        metavar="TIME",
        help='how long to wait for the delivery, such as "2m" (default: 60s)',
    )
    parser.set_defaults(run=run_probe)


def run_probe(context: Context, arguments: argparse.Namespace) -> int:
    """Send a message and follow it."""
    account = need(context, arguments.address)
    to = parse_address(arguments.to or account.address)
    probe = Probe(context, account, to, wait_s=arguments.wait)
    with temporary_password(context, account) as password:
        delivered = probe.run(password)
    context.show({"delivered": delivered, "id": probe.queue_id, "steps": probe.steps})
    if delivered:
        return DONE
    follow = f"fedaemonctl queue show {probe.queue_id}" if probe.queue_id else "fedaemonctl doctor"
    return context.refuse(f"the message was not delivered; next: {follow}")


@contextmanager
def temporary_password(context: Context, account: Account) -> Iterator[str]:
    """Give *account* a password of its own for as long as this lasts."""
    secret = passwords.generate_password()
    made = passwords.new_password(account, NAME, secret, now_ms=terminal.now_ms())
    context.transact(partial(directory.set_password, account=account, password=made, replaces=True))
    try:
        yield secret
    finally:
        context.transact(partial(directory.remove_password, address=account.address, name=NAME))


class Probe:
    """One test message on its way; *steps* and *queue_id* are as in the JSON."""

    def __init__(self, context: Context, account: Account, to: Address, *, wait_s: float) -> None:
        self._context = context
        self._account = account
        self._to = to
        self._wait_s = wait_s
        self.queue_id: str | None = None
        self.steps: list[dict[str, Any]] = []

    def run(self, password: str) -> bool:
        """Take all steps; return whether the message was delivered."""
        message = test_message(self._account.address, self._to.key)
        try:
            self._submit(message, password)
            self._follow()
            if self._is_account():
                self._read_back(message, password)
        except Failed as error:
            self._tell(error.step, error.text, error.seconds, ok=False)
            return False
        return True

    def _tell(self, step: str, text: str, seconds: float, *, ok: bool = True) -> None:
        text = printable(text)
        self.steps.append({"step": step, "ok": ok, "text": text, "seconds": round(seconds, 3)})
        self._context.say(f"{'ok ' if ok else 'NO '} {step:<10}  {text}")

    def _submit(self, message: EmailMessage, password: str) -> None:
        began_s = time.monotonic()
        listener = usual_listener(self._context.settings, "submission")
        text, self.queue_id = submit(
            self._context.settings, listener, self._account.address, password, message
        )
        self._tell("submission", text, time.monotonic() - began_s)

    def _follow(self) -> None:
        """Wait until there is something to say of the recipient.

        :raises Failed: it is not delivered within the time, or refused.
        """
        began_s, settings, queue_id = time.monotonic(), self._context.settings, self.queue_id
        if queue_id is None:
            raise Failed("delivery", "the reply to the message named no queue id", 0.0)
        view = partial(show, queue_id=queue_id, schedule=schedule(settings), paused=settings.delivery.paused)
        state, why = "queued", "it waits in the queue"
        while state not in SETTLED and time.monotonic() - began_s < self._wait_s:
            time.sleep(POLL_S)
            shown = self._context.view(partial(view, now_ms=terminal.now_ms()))
            if shown is not None:
                state, why = shown["recipients"][0]["state"], shown["recipients"][0]["why"]
        seconds = time.monotonic() - began_s
        if state != "delivered":
            raise Failed("delivery", f"{state} after {span(seconds)}: {why}", seconds)
        self._tell("delivery", f"delivered to {self._to.key} after {seconds:.1f} s", seconds)

    def _is_account(self) -> bool:
        """Tell whether the recipient is the account that logs in: nobody else's mailbox is opened."""
        return self._to.key == self._account.address

    def _read_back(self, message: EmailMessage, password: str) -> None:
        began_s = time.monotonic()
        try:
            listener = usual_listener(self._context.settings, "imap")
        except Refused:
            return  # nobody reads mail by IMAP here
        text = read_back(self._context.settings, listener, self._account.address, password, message)
        self._tell("imap", text, time.monotonic() - began_s)


def test_message(sender: str, to: str) -> EmailMessage:
    """Return a message that says what it is."""
    message = EmailMessage()
    message["From"], message["To"] = sender, to
    message["Subject"] = "Test message of fedaemonctl probe"
    message["Date"] = formatdate(localtime=True)
    message["Message-ID"] = make_msgid(domain=sender.rpartition("@")[2])
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(
        "This message was sent by `fedaemonctl probe`, to see that mail gets from here to you.\n"
        "Nothing needs to be done about it.\n"
    )
    return message
