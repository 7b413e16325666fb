"""Run by test_loopback in its own process: attempts over real sockets, described and answered in JSON.

Argument: a JSON file with a list of {"hosts": [values of NextHost], "content": FILE, "ca": FILE,
"recipients": [address]}.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

from twisted.internet import reactor as global_reactor
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from fedaemon.delivery.transport import Attempt, NextHost, Outcome, Recipient, TlsPolicy
from fedaemon.net.tls import ClientTls
from fedaemon.smtp.transport import SmtpTransport
from tests.smtp_client.fakes import Text

reactor: Any = global_reactor


def plain(outcome: Outcome) -> dict[str, Any]:
    values = {name: getattr(outcome, name) for name in (field.name for field in dataclasses.fields(outcome))}
    return {**values, "result": outcome.result.value, "effect": None}


async def main() -> None:
    answers = []
    for task in json.loads(Path(sys.argv[1]).read_text()):
        hosts = tuple(
            NextHost(**{**host, "addresses": tuple(host["addresses"]), "tls": TlsPolicy(host["tls"])})
            for host in task["hosts"]
        )
        recipients = tuple(Recipient(number, address) for number, address in enumerate(task["recipients"]))
        content = Text(Path(task["content"]).read_bytes())
        transport = SmtpTransport(reactor, "client.example.org", ClientTls(Path(task["ca"])))
        outcomes = await transport.attempt(Attempt("Q", "a@example.org", recipients, content, hosts))
        await transport.close()
        answers.append([plain(outcome) for outcome in outcomes])
    print(json.dumps(answers))


def failed(failure: Failure) -> None:
    failure.printTraceback(sys.stderr)


def run() -> None:
    Deferred.fromCoroutine(main()).addErrback(failed).addBoth(lambda _: reactor.stop())


reactor.callWhenRunning(run)
reactor.run()
