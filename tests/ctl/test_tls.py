"""``fedaemonctl tls``: results of TLS sessions, kept MTA-STS policies."""

from __future__ import annotations

import argparse
import io
import json
import time
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from fedaemon.ctl import tls
from fedaemon.ctl.command import Context
from fedaemon.delivery.tls_policy import results, sts
from fedaemon.delivery.tls_policy.sts_policy import StsPolicy
from tests.fakes import MemoryEngine

DAY = 20_089
NAME = "2025-01-01"


class TlsConsole:
    """The command line on a store."""

    def __init__(self) -> None:
        self.engine = MemoryEngine()

    def text(self, *arguments: str) -> str:
        """Run a command that must succeed; return what it printed."""
        common = argparse.ArgumentParser(add_help=False)
        common.add_argument("--json", action="store_true")
        parser = argparse.ArgumentParser(prog="fedaemonctl")
        tls.register(parser.add_subparsers(required=True), common)
        parsed = parser.parse_args(("tls", *arguments))
        out = io.StringIO()
        context = Context(Path("unused"), json=parsed.json, out=out, err=io.StringIO())
        context.__dict__["engine"] = self.engine
        assert parsed.run(context, parsed) == 0
        return out.getvalue()

    def json(self, *arguments: str) -> Any:
        return json.loads(self.text(*arguments, "--json"))

    def count(self, day: int = DAY) -> None:
        counts = Counter(
            {
                (day, "example.org", "tlsa", "", ""): 5,
                (day, "example.net", "sts", "certificate-expired", "mx.example.net"): 2,
            }
        )
        self.engine.transact(lambda transaction: results.add(transaction, counts))


@pytest.fixture
def console() -> TlsConsole:
    return TlsConsole()


def test_results_of_a_day(console: TlsConsole) -> None:
    """One line for successes, one for each way to fail."""
    console.count()
    lines = [line.split() for line in console.text("results", "--day", NAME).splitlines()]
    assert lines == [
        [NAME, "(UTC)"],
        ["DOMAIN", "POLICY", "SUCCEEDED", "FAILED", "FAILURE", "HOST"],
        ["example.net", "sts", "2", "certificate-expired", "mx.example.net"],
        ["example.org", "tlsa", "5"],
    ]


def test_results_as_json(console: TlsConsole) -> None:
    """The same for programs."""
    console.count()
    failed = [{"failure": "certificate-expired", "host": "mx.example.net", "count": 2}]
    assert console.json("results", "--day", NAME) == {
        "day": NAME,
        "results": [
            {"policy_domain": "example.net", "policy": "sts", "succeeded": 0, "failed": failed},
            {"policy_domain": "example.org", "policy": "tlsa", "succeeded": 5, "failed": []},
        ],
    }


def test_the_last_day_with_results_is_the_default(console: TlsConsole) -> None:
    """Whatever day it is."""
    console.count(DAY - 1)
    console.count(DAY)
    assert console.json("results")["day"] == NAME


def test_a_day_without_results_says_so(console: TlsConsole) -> None:
    """And an empty store has none today."""
    assert console.text("results", "--day", NAME) == f"no TLS sessions were counted on {NAME}\n"
    assert console.json("results")["results"] == []


@pytest.mark.parametrize("day", ["yesterday", "2025-02-30", "1969-12-31", ""])
def test_what_is_no_day_is_refused(console: TlsConsole, day: str, capsys: pytest.CaptureFixture[str]) -> None:
    """With an example of one."""
    with pytest.raises(SystemExit) as caught:
        console.text("results", "--day", day)
    assert caught.value.code == 2
    assert "2025-12-31" in capsys.readouterr().err


def test_policies(console: TlsConsole) -> None:
    """What is kept, until when, and whether that has passed."""
    assert console.text("policies") == "no MTA-STS policy is kept\n"
    now_ms = int(time.time() * 1000)
    kept = {
        "a.test": StsPolicy("1", "enforce", ("mx.a.test", "*.b.test"), 86_400, now_ms),
        "z.test": StsPolicy("2", "testing", ("mx.z.test",), 10, now_ms - 10_001),
    }
    for domain, policy in kept.items():
        console.engine.transact(partial(sts.save, domain=domain, policy=policy, now_ms=0))
    rows = [line.split() for line in console.text("policies").splitlines()]
    assert rows[0] == ["DOMAIN", "MODE", "EXPIRES", "MX"]
    assert [(row[0], row[1], row[-1]) for row in rows[1:]] == [
        ("a.test", "enforce", "*.b.test"),
        ("z.test", "testing", "mx.z.test"),
    ]
    first, second = console.json("policies")
    assert first == {
        "domain": "a.test",
        "mode": "enforce",
        "mx": ["mx.a.test", "*.b.test"],
        "id": "1",
        "max_age_s": 86_400,
        "fetched_ms": now_ms,
        "expires_ms": now_ms + 86_400_000,
        "expired": False,
    }
    assert second["expired"] is True
