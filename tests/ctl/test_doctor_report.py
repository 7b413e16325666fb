"""doctor: name servers, running all checks, the report, and the command itself."""

from __future__ import annotations

import argparse
import io
import json
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fedaemon.ctl.command import Context
from fedaemon.ctl.doctor import examination, report, resolver
from fedaemon.ctl.doctor.case import read_store
from fedaemon.ctl.doctor.command import host_and_port, register, run_doctor
from fedaemon.ctl.doctor.examination import Check, Wishes, examine, run
from fedaemon.ctl.doctor.finding import Area, Finding
from fedaemon.ctl.doctor.lookup import Lookup
from fedaemon.ctl.main import build_parser
from fedaemon.errors import Unavailable
from fedaemon.net.dns_query import Answer, DnsTemporary, Missing, Server
from fedaemon.store.errors import StoreError
from tests.ctl.console import Console
from tests.ctl.doctor_case import DOMAIN, HOST, PLAIN, PaperDns, bad, new_case, right_records, the

LOCAL: Server = ("127.0.0.1", 53)
FAR: Server = ("192.0.2.53", 53)


class NameServer:
    """Answers for the signed name, as *secure* says; None: not at all."""

    def __init__(self, *, secure: bool | None) -> None:
        self.secure = secure

    def ask(self, name: str, kind: str) -> Answer | Missing:
        if self.secure is None:
            raise DnsTemporary(f"DNS cannot answer for {name} {kind} now: it does not answer")
        return Answer(("soa",), 60, name, self.secure)


def resolvers(dns: str, **secure: bool | None) -> list[Finding]:
    """Check name servers: local, far and google, whose answers are secure, are not, or do not come (None)."""
    addresses = {"local": LOCAL, "far": FAR, "google": ("8.8.8.8", 53)}
    answers = {addresses[name]: NameServer(secure=value) for name, value in secure.items()}
    case = new_case(f"{PLAIN}{dns}")
    return list(resolver.check_resolvers(case, tuple(answers), answers.__getitem__))


def test_a_validating_resolver_here() -> None:
    """Nothing is better."""
    assert bad(resolvers("", local=True)) == []
    assert bad(resolvers('[dns]\ntrust_ad = "yes"\n', far=True)) == []


@pytest.mark.parametrize(
    ("dns", "secure", "level", "words"),
    [
        ("", {"local": False}, "note", "do not validate"),
        ("", {"far": True}, "note", "are not on this machine"),
        ('[dns]\ntrust_ad = "no"\n', {"local": True}, "note", "not believed"),
        ('[dns]\ntrust_ad = "yes"\n', {"far": False}, "warning", 'trust_ad = "yes", but'),
    ],
)
def test_dnssec(dns: str, secure: dict[str, bool | None], level: str, words: str) -> None:
    """DANE needs answers that are validated and believed."""
    assert words in the(resolvers(dns, **secure), level, "dnssec").what


def test_servers_that_do_not_answer() -> None:
    """One of two is slow work; the only one is no work at all."""
    found = the(resolvers("", local=True, far=None), "warning", "answers")
    assert found.about == "192.0.2.53" and "resolv.conf" in found.todo
    the(resolvers("", far=None), "problem", "answers")


def test_a_resolver_that_everybody_uses() -> None:
    """Blocklists do not answer it."""
    assert [each.check for each in bad(resolvers("", google=True))] == ["dnssec", "public"]


AREA = Area("ports")


def test_checks_run_side_by_side_and_keep_their_order() -> None:
    """A check that fails is a finding, what it found before is kept, and the others go on."""

    def good(name: str) -> Iterator[Finding]:
        yield AREA.ok("port", name, "is right")

    def failing() -> Iterator[Finding]:
        yield AREA.ok("port", "2", "is right")
        raise ZeroDivisionError("a defect")

    def unanswered() -> Iterator[Finding]:
        yield from ()
        raise Unavailable("DNS cannot answer for x now")

    counts: list[int] = []
    checks = [
        Check(AREA, "1", lambda: good("1")),
        Check(AREA, "2", failing),
        Check(AREA, "3", unanswered),
        Check(AREA, "4", lambda: good("4")),
    ]
    found = run(checks, counts.append)
    assert [(each.level, each.about) for each in found] == [
        ("ok", "1"),
        ("ok", "2"),
        ("warning", "2"),
        ("warning", "3"),
        ("ok", "4"),
    ]
    assert "ZeroDivisionError: a defect" in found[2].what and "DNS cannot answer" in found[3].what
    assert counts == [1, 2, 3, 4]


def test_without_name_servers_dns_is_not_asked() -> None:
    """One finding says so, instead of one for each record; what is on this machine is looked at all the same."""
    dns = PaperDns({})
    case = new_case(lookup=Lookup(dns))
    found = examine(case, Wishes(), (FAR,), lambda _: NameServer(secure=None))
    assert [each.check for each in found if each.area == "dns"] == ["not-checked"]
    assert {each.area for each in found} >= {"settings", "files", "clock", "ports", "certificate", "resolver"}


def test_a_right_server_has_no_problem_in_dns() -> None:
    """All areas, in their order; localhost does not look into DNS at all."""
    case = new_case(lookup=Lookup(PaperDns(right_records())))
    found = examine(case, Wishes(), (LOCAL,), lambda _: NameServer(secure=True))
    areas = [each.area for each in found]
    assert areas == sorted(areas, key=examination.AREAS.index)
    assert {each.check for each in found if each.area == "dns" and each.level == "problem"} == {"dkim"}
    local = new_case('[server]\nhostname = "localhost"\n')
    assert not [
        each
        for each in examine(local, Wishes(), (LOCAL,), lambda _: NameServer(secure=True))
        if each.area == "dns"
    ]


def test_blocklists_only_on_demand() -> None:
    """They get to know who asks."""
    records = {**right_records(), ("44.33.22.11.list.test", "A"): ["127.0.0.2"]}
    case = new_case(lookup=Lookup(PaperDns(records)))
    for zones, expected in (((), []), (("list.test",), ["problem"])):
        wishes = Wishes(blocklists=zones)
        found = examine(case, wishes, (LOCAL,), lambda _: NameServer(secure=True))
        assert [each.level for each in found if each.area == "blocklists"] == expected


FINDINGS = [
    AREA.ok("port", "imap port 993", "answers"),
    AREA.warning("port", "pop3 port 995", "is slow", "people wait", "look"),
    AREA.problem(
        "port", "mx port 25", "is closed " * 20, "no mail", "open it:\nexample. IN MX 10 mail.example."
    ),
    Area("dns").ok("mx", "example.org", "is right"),
]


def test_the_report() -> None:
    """The worst first, wrapped, with records on lines of their own; what is right only as a count."""
    lines = list(report.lines(FINDINGS, 60, verbose=False))
    assert lines[0] == "ports: 1 problem, 1 warning, 1 ok"
    assert (
        lines[1].startswith("  PROBLEM  mx port 25: is closed is closed") and max(map(len, lines[:-1])) <= 60
    )
    assert "      do   open it:" in lines and "           example. IN MX 10 mail.example." in lines
    assert "dns: 1 ok" in lines and not [line for line in lines if "imap" in line]
    assert lines[-1] == "1 problem, 1 warning, 2 ok: mend the problems, then run this again"
    verbose = list(report.lines(FINDINGS, 60, verbose=True))
    assert "  ok       imap port 993: answers" in verbose


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mx.example.org", ("mx.example.org", 25)),
        ("mx.example.org:2525", ("mx.example.org", 2525)),
        ("2001:db8::1", ("2001:db8::1", 25)),
        ("[2001:db8::1]:26", ("2001:db8::1", 26)),
    ],
)
def test_hosts_and_ports(text: str, expected: tuple[str, int]) -> None:
    """As people write them."""
    assert host_and_port(text) == expected


@pytest.mark.parametrize("text", ["", ":25", "mx:", "mx:0", "mx:65536", "mx:smtp"])
def test_no_hosts_and_ports(text: str) -> None:
    """Said at once, with an example."""
    with pytest.raises(argparse.ArgumentTypeError, match=r"mx\.example\.org"):
        host_and_port(text)


def doctor(config: Path, *arguments: str) -> tuple[int, str]:
    """Run the command; return its exit code and what it printed."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--json", action="store_true")
    parser = argparse.ArgumentParser()
    register(parser.add_subparsers(required=True), common)
    parsed = parser.parse_args(["doctor", *arguments])
    context = Context(config, json=parsed.json, out=io.StringIO(), err=io.StringIO())
    try:
        code = run_doctor(context, parsed)
    finally:
        context.close()
    assert isinstance(context.out, io.StringIO)
    return code, context.out.getvalue()


def test_settings_that_cannot_be_used(tmp_path: Path) -> None:
    """Exit code 2, and every line with what to do, also as JSON."""
    config = tmp_path / "fedaemon.toml"
    config.write_text('[server]\nhostnam = "mail.example.org"\n[limits]\nsessions = "many"\n')
    code, text = doctor(config)
    assert code == 2 and "fedaemon.toml:2:" in text and "unknown key 'hostnam' in [server]" in text
    code, text = doctor(config, "--json")
    found: list[dict[str, Any]] = json.loads(text)
    assert code == 2 and [each["level"] for each in found] == ["problem", "problem"]
    assert found[0]["todo"] == "did you mean 'hostname'?"


def test_a_store_that_cannot_be_read(tmp_path: Path) -> None:
    """It is a problem, and nobody claims that there is no domain."""
    config, database = tmp_path / "fedaemon.toml", tmp_path / "data" / "store" / "data.mdb"
    config.write_text(f'[server]\nhostname = "localhost"\ndata_dir = "{tmp_path}/data"\n')
    database.parent.mkdir(parents=True)
    database.write_bytes(b"this is no database" * 1000)
    code, text = doctor(config, "--json")
    found: list[dict[str, Any]] = json.loads(text)
    assert code == 1 and [each["check"] for each in found if each["level"] == "problem"] == ["store"]
    assert "domains" not in [each["check"] for each in found]
    assert found == sorted(found, key=lambda each: examination.AREAS.index(each["area"]))


@pytest.mark.skipif(os.geteuid() != 0, reason="takes on the rights of another user, which needs root")
def test_a_caller_without_access() -> None:
    """Who cannot look into the data directory is told whose it is, instead of a report full of errors."""
    with tempfile.TemporaryDirectory() as name:  # pytest's own are closed to others
        Path(name).chmod(0o755)
        config, data = Path(name, "fedaemon.toml"), Path(name, "data")
        config.write_text(f'[server]\nhostname = "localhost"\ndata_dir = "{data}"\n')
        data.mkdir(mode=0o700)
        os.seteuid(54321)
        try:
            with pytest.raises(StoreError, match="belongs to root, and you have no access to it; run it as"):
                doctor(config)
        finally:
            os.seteuid(0)


def test_what_the_store_tells() -> None:
    """Domains, accounts, and for which domains somebody is postmaster."""
    console = Console()
    for arguments in (("add", "a.example"), ("add", "b.example"), ("disable", "b.example")):
        console.text("domain", *arguments)
    console.text("account", "add", "me@a.example")
    console.text("alias", "add", "postmaster@a.example", "me@a.example")
    stored = console.engine.view(lambda snapshot: read_store(snapshot, None))
    assert stored.domains == ("a.example", "b.example") and stored.disabled == {"b.example"}
    assert stored.accounts == 1 and stored.postmasters == {"a.example"}
    assert console.engine.view(lambda s: read_store(s, "me@a.example")).postmasters == {
        "a.example",
        "b.example",
    }


def test_every_command_that_is_advised_exists() -> None:
    """Findings name commands; none of them was renamed or never made."""
    root = build_parser()
    advised = {
        match
        for path in Path(report.__file__).parent.glob("*.py")
        for match in re.findall(r"fedaemonctl ([a-z]+)(?: ([a-z]+)\b)?", path.read_text())
    }
    assert len(advised) > 8
    for name, step in advised:
        commands = choices(root)
        assert name in commands, name
        assert not choices(commands[name]) or step in ("", *choices(commands[name])), (name, step)


def choices(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """Return the commands that a parser knows."""
    found = [each for each in parser._actions if isinstance(each, argparse._SubParsersAction)]
    return dict(found[0].choices) if found else {}


def test_names_for_monitoring_do_not_change() -> None:
    """Others compare these; a new one may come, none may go."""
    finding = AREA.problem("port", HOST, "what", "why", "todo").as_json()
    assert list(finding) == ["level", "area", "check", "about", "what", "why", "todo"]
    assert finding["area"] in examination.AREAS and DOMAIN
