"""The log: events with stable names and fields, and what writes them down.

A module that logs has a ``Logger`` of this package and calls it with one fixed sentence for people and with named
values: ``_log.warn("a policy cannot be stored", event="sts-policy-unwritten", domain=domain, reason=error.text)``.
Names and fields are a promise to scripts and dashboards; docs/events.md lists them, and a test compares it to the
code. A value never stands in the sentence, so that nothing a peer says can look like another event or field.

``journald``, ``json_lines`` and ``text`` make observers for ``twistd --logger fedaemon.logs.NAME``.

Invariants: secrets and contents of messages are never fields; what an observer cannot write is lost without
harm to mail.
"""

from fedaemon.logs.journal import journald
from fedaemon.logs.lines import json_lines, text
from fedaemon.logs.logger import Logger

__all__ = ["Logger", "journald", "json_lines", "text"]
