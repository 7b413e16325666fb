"""fedaemonctl dkim, on a store and a name server of the test."""

from __future__ import annotations

import argparse
import base64
import io
import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dns.rcode
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from fedaemon.ctl import dkim, dkim_records, domain
from fedaemon.ctl.command import REFUSED, Context
from fedaemon.errors import MailError
from fedaemon.mailauth import keys
from tests.fakes import MemoryEngine
from tests.net.dns_server import NameServer, reply

SOA = "example.org. 60 IN SOA ns.example.org. root.example.org. 1 1 1 1 60"


class DkimConsole:
    """Runs ``dkim`` and ``domain``, with the name server *published* (name: texts) as the settings'."""

    def __init__(self) -> None:
        self.engine = MemoryEngine()
        self.published: dict[str, list[str]] = {}
        self.broken = False
        self.out = self.err = ""
        self.server = NameServer(self._answer)
        common = argparse.ArgumentParser(add_help=False)
        common.add_argument("--json", action="store_true")
        self.parser = argparse.ArgumentParser(prog="fedaemonctl")
        groups = self.parser.add_subparsers(required=True)
        for group in (domain, dkim):
            group.register(groups, common)

    def _answer(self, query: Any) -> Any:
        if self.broken:
            return reply(query, rcode=dns.rcode.SERVFAIL)
        name = query.question[0].name.to_text()
        texts = self.published.get(name.rstrip("."))
        if texts is None:
            return reply(query, authority=(SOA,), rcode=dns.rcode.NXDOMAIN)
        return reply(
            query, *(f"{name} 60 IN TXT {text}" for text in texts), authority=() if texts else (SOA,)
        )

    def run(self, *arguments: str) -> int:
        parsed = self.parser.parse_args(arguments)
        context = Context(Path("unused"), json=parsed.json, out=io.StringIO(), err=io.StringIO())
        context.__dict__["engine"] = self.engine
        context.__dict__["settings"] = SimpleNamespace(
            dns=SimpleNamespace(nameservers=(self.server.address,))
        )
        try:
            code: int = parsed.run(context, parsed)
        except MailError as error:
            code = context.refuse(error.text)
        assert isinstance(context.out, io.StringIO) and isinstance(context.err, io.StringIO)
        self.out, self.err = context.out.getvalue(), context.err.getvalue()
        assert code != REFUSED or self.err
        return code

    def text(self, *arguments: str) -> str:
        assert self.run("dkim", *arguments) == 0, self.err
        return self.out

    def json(self, *arguments: str) -> Any:
        return json.loads(self.text(*arguments, "--json"))

    def refused(self, *arguments: str) -> str:
        assert self.run("dkim", *arguments) == 1
        return self.err

    def publish(self, *shown: Any) -> None:
        """Put records into DNS as they were printed for a zone file."""
        for key in shown:
            strings = key["record"]["zone"].partition(" IN TXT ")[2].strip("()").replace("\n", "")
            self.published[key["record"]["name"]] = [strings.strip()]


@pytest.fixture
def console() -> Iterator[DkimConsole]:
    console = DkimConsole()
    assert console.run("domain", "add", "example.org") == 0
    yield console
    console.server.close()


def test_from_nothing_to_signing(console: DkimConsole) -> None:
    """Create, publish what was printed, check, activate: each step says what is next."""
    text = console.text("create", "example.org")
    assert text.count("Next: publish") == 2 and "dkim check example.org" in text and "dkim activate" in text
    shown = console.json("list", "example.org")
    assert [(key["algorithm"], key["bits"], key["state"]) for key in shown] == [
        ("ed25519", 256, "pending"),
        ("rsa", 2048, "pending"),
    ]
    for key in shown:
        assert key["record"]["zone"] in text and f"value: {key['record']['value']}\n" in text
    assert "2 of 2 keys" in console.refused("check", "example.org")
    assert console.out.count("PROBLEM: there is no TXT record") == 2
    first, second = (key["selector"] for key in shown)
    assert "publish it first" in console.refused("activate", "example.org", first)
    console.publish(*shown)
    assert [found["found"] for found in console.json("check", "example.org")] == ["published"] * 2
    for selector in (first, second):
        assert "from now on" in console.text("activate", "example.org", selector.upper())
    assert {key["state"] for key in console.json("list")} == {"active"}


def test_create_with_options(console: DkimConsole) -> None:
    """One algorithm, a name, a length, signing at once."""
    (key,) = console.json(
        *("create", "EXAMPLE.org", "--algorithm", "rsa", "--selector", "Mail", "--bits", "3072", "--activate")
    )
    assert (key["selector"], key["bits"], key["state"]) == ("mail", 3072, "active")
    assert key["activated"] and key["keep_until"] is None
    both = console.json("create", "example.org", "--selector", "x")
    assert [key["selector"] for key in both] == ["xr", "xe"]


def test_a_key_in_use_is_not_replaced_blindly(console: DkimConsole) -> None:
    """--activate is for a first key; nothing is left of a refused command."""
    console.text("create", "example.org", "--algorithm", "ed25519", "--activate")
    assert "without --activate" in console.refused("create", "example.org", "--activate")
    assert len(console.json("list")) == 1


def test_rotate(console: DkimConsole, monkeypatch: pytest.MonkeyPatch) -> None:
    """New keys beside the old, which go when mail signed with them has arrived."""
    old = console.json("create", "example.org", "--activate")
    new = console.json("rotate", "example.org")
    assert [key["algorithm"] for key in new] == ["ed25519", "rsa"]
    assert {key["state"] for key in new} == {"pending"}
    assert not {key["selector"] for key in new} & {key["selector"] for key in old}
    assert "activate or remove it" in console.refused("rotate", "example.org")
    console.publish(*old, *new)
    for key in new:
        change = console.json("activate", "example.org", key["selector"])
        assert change["active"]["state"] == "active"
        (retired,) = change["retired"]
        assert retired["state"] == "retired" and retired["algorithm"] == key["algorithm"]
        assert "on its way" in console.refused("remove", "example.org", retired["selector"])
    # Still needed in DNS, until it is not.
    assert len(console.json("check", "example.org")) == 4
    del console.published[old[0]["record"]["name"]]
    assert "1 of 4" in console.refused("check", "example.org")
    later_ms = dkim_records.now_ms() + keys.SIGNATURE_LIFETIME_S * 1000 + 60_000
    for module in (dkim, dkim_records):
        monkeypatch.setattr(module, "now_ms", lambda: later_ms)
    assert "not needed any more" in console.text("check", "example.org")
    for key in old:
        assert "out of DNS" in console.text("remove", "example.org", key["selector"])
    assert {key["selector"] for key in console.json("list")} == {key["selector"] for key in new}


def test_a_long_rsa_key_stays_long(console: DkimConsole) -> None:
    """Rotation does not weaken what the operator chose."""
    console.text("create", "example.org", "--algorithm", "rsa", "--bits", "3072", "--activate")
    (key,) = console.json("rotate", "example.org")
    assert key["bits"] == 3072


def test_import(console: DkimConsole, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key of another program, from a file or standard input, already published."""
    private = rsa.generate_private_key(65_537, 1024)
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    file = tmp_path / "mail.private"
    file.write_bytes(pem)
    key = console.json("import", "example.org", "mail", str(file))
    assert (key["algorithm"], key["bits"], key["state"]) == ("rsa", 1024, "pending")
    console.publish(key)
    assert console.json("activate", "example.org", "mail")["active"]["selector"] == "mail"
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(pem)))
    assert console.json("import", "example.org", "again", "-")["record"]["value"] == key["record"]["value"]
    assert "No such file" in console.refused("import", "example.org", "x", str(tmp_path / "none"))
    file.write_bytes(b"nonsense")
    assert "private key" in console.refused("import", "example.org", "x", str(file))


def test_check_names_what_is_wrong(console: DkimConsole) -> None:
    """Another key, a broken server, and a right answer beside it."""
    rsa_key, ed_key = console.json("create", "example.org")
    console.publish(ed_key)
    console.published[rsa_key["record"]["name"]] = ['"v=DKIM1; k=rsa; p=" "AQAB"']
    assert "1 of 2 keys" in console.refused("check", "example.org", "--json")
    found = {item["selector"]: (item["found"], item["good"]) for item in json.loads(console.out)}
    assert found == {rsa_key["selector"]: ("different", False), ed_key["selector"]: ("published", True)}
    assert "is right" in console.text("check", "example.org", ed_key["selector"])
    console.broken = True
    console.refused("check", "example.org", ed_key["selector"], "--json")
    assert json.loads(console.out)[0]["found"] == "unknown"
    assert "DNS cannot answer" in console.refused("activate", "example.org", ed_key["selector"])
    assert "from now on" in console.text("activate", "example.org", ed_key["selector"], "--force")


def test_no_private_key_is_printed(console: DkimConsole) -> None:
    """Whatever is shown, in either form."""
    console.text("create", "example.org", "--algorithm", "ed25519", "--selector", "s")
    (key,) = console.engine.view(lambda snapshot: list(keys.keys(snapshot)))
    seed = key.private[-32:]
    secrets = (base64.b64encode(key.private)[-20:].decode(), base64.b64encode(seed).decode(), seed.hex())
    commands = (("list",), ("show", "example.org", "s"), ("activate", "example.org", "s", "--force"))
    for arguments in (*commands, ("remove", "example.org", "s", "--force")):
        if arguments[0] in ("list", "show"):
            assert not [secret for secret in secrets if secret in console.text(*arguments)]
        text = console.text(*arguments, "--json")
        assert key.selector in text
        assert not [secret for secret in secrets if secret in text]


def test_refusals(console: DkimConsole) -> None:
    """Exit code 1, and what to do."""
    assert "domain add" in console.refused("create", "other.example")
    assert "dkim create" in console.refused("rotate", "example.org")
    assert "dkim create" in console.refused("check", "example.org")
    assert "dkim list" in console.refused("show", "example.org", "none")
    assert "dkim list" in console.refused("activate", "example.org", "none")
    assert "no selector" in console.refused(
        "create", "example.org", "--selector", "a b", "--algorithm", "ed25519"
    )
    assert console.json("list") == []
    console.text("create", "example.org", "--algorithm", "ed25519", "--selector", "s", "--activate")
    assert "--force" in console.refused("remove", "example.org", "s")
    assert "out of DNS" in console.text("remove", "example.org", "s", "--force")


@pytest.mark.parametrize("bits", ["1024", "8192", "many", "-1"])
def test_lengths_that_are_none(console: DkimConsole, bits: str, capsys: pytest.CaptureFixture[str]) -> None:
    """New keys have what verifiers take and nobody can break. Spec: RFC 8301 3.2"""
    with pytest.raises(SystemExit) as ended:
        console.run("dkim", "create", "example.org", f"--bits={bits}")
    assert ended.value.code == 2
    assert "2048 to 4096" in capsys.readouterr().err


def test_the_list_for_people(console: DkimConsole) -> None:
    """Aligned columns; a retired key says how long its record must stay."""
    console.text("create", "example.org", "--algorithm", "ed25519", "--selector", "old", "--activate")
    console.text("create", "example.org", "--algorithm", "ed25519", "--selector", "new")
    console.text("activate", "example.org", "new", "--force")
    titles, *rows = console.text("list").splitlines()
    assert titles.split() == ["DOMAIN", "SELECTOR", "ALGORITHM", "BITS", "STATE", "CREATED", "KEEP", "UNTIL"]
    assert [row.split()[1:5] for row in rows] == [
        ["new", "ed25519", "256", "active"],
        ["old", "ed25519", "256", "retired"],
    ]
    assert len(rows[1].split()) == len(rows[0].split()) + 1
    assert "DNS record needed until" in console.text("show", "example.org", "old")
