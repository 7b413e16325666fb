"""``fedaemonctl queue``: what is in the queue, why it waits, and what an administrator can do about it.

JSON of ``list`` is an array of messages: ``id``, ``status`` (pending, queued, deferred, sent, partially_sent,
bounced, rejected), ``sender`` ("" for a report), ``account`` (login or null), ``size`` (octets),
``accepted_ms``, ``finished_ms``, ``next_attempt_ms`` (milliseconds since the epoch or null), ``recipients``
(array of ``address``, ``state``: queued, deferred, held, delivered, bounced, expired, suppressed, and
``category`` and ``site`` of the latest reply or null).

JSON of ``show`` is one such message with, besides, ``via`` (how it came), ``body``, ``smtputf8``,
``require_tls``, ``tls_optional``, ``priority``, ``ret``, ``envid``, ``release_ms``, ``deliver_by_ms``,
``deliver_by_mode``, ``expires_ms``, ``redacted_ms``; each of ``recipients`` has ``number``, ``address``,
``original`` (address before aliases), ``state``, ``local``, ``destination``, ``site``, ``attempts``,
``under_way``, ``next_attempt_ms``, ``expected_ms`` (when the next attempt is to be expected with all that is
in its way; null when a person decides), ``notice_ms`` (when the sender hears of the delay), ``given_up_ms``,
``finished_ms``, ``notify``, ``orcpt``, ``last`` (latest reply: ``at_ms``, ``code``, ``status``, ``text``,
``phase``, ``host``, and where they apply ``category``, ``rule``, ``explanation``, ``site``), ``why`` it is
where it is, ``obstacles`` (array of ``kind``: settings, pause, release, down, blocked, slowed, busy; ``text``,
``until_ms``) and what comes ``next``; ``timeline`` is an array of what happened: ``at_ms``, ``event`` and
details (``delivery/timeline.py`` lists them).

JSON of ``retry``, ``hold``, ``release``, ``delete`` and ``bounce`` is in ``queue_change.py``, that of
``sites`` in ``queue_sites.py``, of ``stats`` in ``queue_stats.py``, of ``pause``, ``resume`` and ``pauses`` in
``queue_pause.py``.
"""

from __future__ import annotations

import argparse
from typing import Any, Final

from fedaemon.ctl import queue_change, queue_list, queue_pause, queue_show, queue_sites, queue_stats

EXAMPLES: Final = """\
examples:
  fedaemonctl queue stats                                what waits, where and for how long
  fedaemonctl queue list --state waiting --domain example.org
  fedaemonctl queue list --account alice@example.org --newer 1h --json
  fedaemonctl queue show 01K2X4W7QBTN5R8M                why it waits, what comes next, and when
  fedaemonctl queue sites                                where it goes, and what is wrong there
  fedaemonctl queue retry --site mx.example.org          try now, also if the site is closed
  fedaemonctl queue hold --account alice@example.org     stop what an account has sent
  fedaemonctl queue bounce --domain example.org --older 1d --reason "the domain has closed"
  fedaemonctl queue pause --domain example.org --why "asked by their postmaster"
  fedaemonctl queue resume --domain example.org

All of them work beside a running daemon, which follows within a second, and without one.
Exit codes: 0 done, 1 refused, not found or interrupted, 2 usage or settings."""


def register(groups: Any, common: argparse.ArgumentParser) -> None:
    """Add the command group."""
    group = groups.add_parser(
        "queue",
        help="the queue: list, show, sites, stats, retry, hold, release, bounce, delete, pause, resume",
        description="Look at the queue, and act on what is in it.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = group.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for part in (queue_list, queue_show, queue_sites, queue_stats, queue_change, queue_pause):
        part.register(commands, common)
