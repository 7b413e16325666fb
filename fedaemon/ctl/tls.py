"""``fedaemonctl tls``: how TLS sessions with other servers went, and the MTA-STS policies that are kept.

JSON of ``results`` is ``{"day", "results": [{"policy_domain", "policy", "succeeded", "failed": [{"failure",
"host", "count"}]}]}``. JSON of ``policies`` is ``[{"domain", "mode", "mx", "id", "max_age_s", "fetched_ms",
"expires_ms", "expired"}]``.
"""

from __future__ import annotations

import argparse
import time
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from fedaemon.ctl.command import DONE, Context, sentence
from fedaemon.delivery.tls_policy import results, sts
from fedaemon.delivery.tls_policy.results import DayResult

EPOCH: Final = date(1970, 1, 1)

EXPLANATION: Final = """\
POLICY: tlsa: DANE; sts: MTA-STS; no-policy-found: the domain has no policy.
FAILURE: the result types of RFC 8460: what was wrong with a session or with the policy itself.
Counts are stored once a minute and kept for 30 days."""


def register(groups: Any, common: argparse.ArgumentParser) -> None:
    """Add the command group."""
    text = "TLS with other servers: results, policies"
    group = groups.add_parser("tls", help=text, description=sentence(text))
    commands = group.add_subparsers(title="commands", metavar="COMMAND", required=True)

    text = "count TLS sessions of a day by policy and by what failed"
    shown = commands.add_parser(
        "results",
        parents=[common],
        help=text,
        description=sentence(text),
        epilog=EXPLANATION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    shown.add_argument(
        "--day", type=parse_day, metavar="YYYY-MM-DD", help="a day in UTC (default: the last with results)"
    )
    shown.set_defaults(run=run_results)

    text = "list the MTA-STS policies of other domains that are kept"
    listed = commands.add_parser("policies", parents=[common], help=text, description=sentence(text))
    listed.set_defaults(run=run_policies)


def parse_day(text: str) -> int:
    """Return a day of the command line as days since 1970-01-01."""
    try:
        day = (date.fromisoformat(text) - EPOCH).days
    except ValueError:
        day = -1
    if day < 0:
        raise argparse.ArgumentTypeError(f'"{text}" is not a day; write it like 2025-12-31')
    return day


def run_results(context: Context, arguments: argparse.Namespace) -> int:
    """Show the results of a day."""
    day = arguments.day
    if day is None:
        day = max(context.view(results.days), default=int(time.time()) // 86_400)
    found = context.view(lambda snapshot: results.results(snapshot, day))
    name = (EPOCH + timedelta(days=day)).isoformat()
    context.show({"day": name, "results": [_result_json(result) for result in found]})
    if not found:
        context.say(f"no TLS sessions were counted on {name}")
        return DONE
    context.say(f"{name} (UTC)")
    context.table(
        ("DOMAIN", "POLICY", "SUCCEEDED", "FAILED", "FAILURE", "HOST"),
        [row for result in found for row in _rows(result)],
    )
    return DONE


def _rows(result: DayResult) -> list[tuple[object, ...]]:
    """Return a line for the successes, if any, and one for each failure."""
    first: tuple[object, ...] = (result.policy_domain, result.policy, result.succeeded, "", "", "")
    rows = [first] if result.succeeded or not result.failed else []
    rows.extend(
        (result.policy_domain, result.policy, "", failed.count, failed.failure, failed.host)
        for failed in result.failed
    )
    return rows


def _result_json(result: DayResult) -> dict[str, Any]:
    return {
        "policy_domain": result.policy_domain,
        "policy": result.policy,
        "succeeded": result.succeeded,
        "failed": [
            {"failure": failed.failure, "host": failed.host, "count": failed.count}
            for failed in result.failed
        ],
    }


def run_policies(context: Context, arguments: argparse.Namespace) -> int:
    """List the MTA-STS policies."""
    now_ms = int(time.time() * 1000)
    found = context.view(sts.load_all)
    context.show(
        [
            {
                "domain": domain,
                **policy.to_record(),
                "expires_ms": policy.expires_ms,
                "expired": policy.expires_ms <= now_ms,
            }
            for domain, policy in found
        ]
    )
    if not found:
        context.say("no MTA-STS policy is kept")
        return DONE
    context.table(
        ("DOMAIN", "MODE", "EXPIRES", "MX"),
        [(domain, policy.mode, _time(policy.expires_ms), " ".join(policy.mx)) for domain, policy in found],
    )
    return DONE


def _time(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")
