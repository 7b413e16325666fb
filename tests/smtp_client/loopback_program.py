"""Run by test_loopback in its own process: attempts over real sockets, described and answered in JSON.

Argument: a JSON file with a list of {"hosts": [values of NextHost], "content": FILE, "ca": FILE,
"recipients": [address], "sources": [[address, hostname]], "times": attempts one after the other}.
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

from fedaemon.delivery.transport import (
    Attempt,
    HostTls,
    NextHost,
    Outcome,
    Recipient,
    Source,
    Tlsa,
    TlsPolicy,
)
from fedaemon.net.tls_client import ClientTls
from fedaemon.smtp.transport import SmtpTransport
from tests.smtp_client.fakes import Text

reactor: Any = global_reactor


def policy(tls: str | dict[str, Any]) -> HostTls:
    """A level alone, or the values of ``HostTls`` with the data of TLSA records in hex."""
    if isinstance(tls, str):
        return HostTls(TlsPolicy(tls), tls)
    tlsa = tuple(
        Tlsa(usage, selector, matching, bytes.fromhex(data))
        for usage, selector, matching, data in tls.get("tlsa", ())
    )
    names = tuple(tls.get("names", ()))
    return HostTls(**{**tls, "level": TlsPolicy(tls["level"]), "names": names, "tlsa": tlsa})


def plain(outcome: Outcome) -> dict[str, Any]:
    values = {name: getattr(outcome, name) for name in (field.name for field in dataclasses.fields(outcome))}
    return {**values, "result": outcome.result.value, "effect": None}


async def main() -> None:
    answers: list[list[dict[str, Any]]] = []
    for task in json.loads(Path(sys.argv[1]).read_text()):
        hosts = tuple(
            NextHost(**{**host, "addresses": tuple(host["addresses"]), "tls": policy(host["tls"])})
            for host in task["hosts"]
        )
        recipients = tuple(Recipient(number, address) for number, address in enumerate(task["recipients"]))
        content = Text(Path(task["content"]).read_bytes())
        transport = SmtpTransport(reactor, "client.example.org", ClientTls(Path(task["ca"])))
        sources = tuple(Source(*source) for source in task.get("sources", ()))
        attempt = Attempt("Q", "a@example.org", recipients, content, hosts, sources=sources)
        answers.append([])
        for _ in range(task.get("times", 1)):
            answers[-1].extend(plain(outcome) for outcome in await transport.attempt(attempt))
        await transport.close()
    print(json.dumps(answers))


def failed(failure: Failure) -> None:
    failure.printTraceback(sys.stderr)


def run() -> None:
    Deferred.fromCoroutine(main()).addErrback(failed).addBoth(lambda _: reactor.stop())


reactor.callWhenRunning(run)
reactor.run()
