"""Settings: the sample is the truth about defaults, and every mistake is one line with file, line and fix."""

from __future__ import annotations

import argparse
import dataclasses
import io
import json
import re
import tomllib
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedaemon import config
from fedaemon.config import (
    BadSettings,
    Delivery,
    Limits,
    Listener,
    Route,
    Server,
    Settings,
    Tls,
    TlsSite,
    from_dict,
    parse_settings,
    read_settings,
)
from fedaemon.ctl import config as ctl_config
from fedaemon.ctl.command import DONE, USAGE, Context
from fedaemon.net.selfsigned import make_local_ca
from fedaemon.settings_file import as_table, find_lines, to_toml

SAMPLE = Path(__file__).parents[1] / "etc" / "fedaemon.toml"
HOST = '[server]\nhostname = "mail.example.org"\n'
NONE = "listener = []\n"


def problems(text: str, source: Path = Path("f.toml")) -> list[str]:
    """Return the lines that are said about *text*."""
    with pytest.raises(BadSettings) as caught:
        parse_settings(text, source)
    assert str(caught.value) == "\n".join(caught.value.problems)
    return list(caught.value.problems)


def uncommented(text: str) -> str:
    """Return the sample with every setting that has no default in effect."""
    return re.sub(r"(?m)^#(?=\[|\w+ = )", "", text)


# -- the sample


def test_the_sample_gives_the_defaults(tmp_path: Path) -> None:
    """What etc/fedaemon.toml shows is what is in effect without it, value by value."""
    text = SAMPLE.read_text().replace("#hostname", "hostname", 1)
    files = Tls(tmp_path / "a.pem", tmp_path / "a.key")
    for path in (files.certificate, files.private_key):
        path.touch()
    tls = f'[tls]\ncertificate = "{files.certificate}"\nprivate_key = "{files.private_key}"\n'
    read = parse_settings(text + tls, SAMPLE)
    assert read == Settings(Server("mail.example.org"), files)
    assert read.source == SAMPLE


def keys_of(cls: type, prefix: str = "") -> set[str]:
    """Return the dotted name of every setting."""
    found: set[str] = set()
    for field in dataclasses.fields(cls):
        if not field.metadata:
            continue
        name = prefix + field.metadata["key"]
        table = field.metadata["kind"].table
        found |= keys_of(table, name + ".") if table else {name}
    return found


def keys_in(table: dict[str, Any], prefix: str = "") -> set[str]:
    found: set[str] = set()
    for key, value in table.items():
        if isinstance(value, dict):
            found |= keys_in(value, f"{prefix}{key}.")
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            for each in value:
                found |= keys_in(each, f"{prefix}{key}.")
        else:
            found.add(prefix + key)
    return found


def test_the_sample_has_every_setting_and_no_other() -> None:
    """Nothing can be set that an operator cannot read about."""
    assert keys_in(tomllib.loads(uncommented(SAMPLE.read_text()))) == keys_of(Settings)


def test_the_values_without_default_in_the_sample_are_good(tmp_path: Path) -> None:
    """Taking the "#" away gives working settings."""
    text = uncommented(SAMPLE.read_text()).replace("/etc/fedaemon", str(tmp_path))
    text = text.replace('password = "secret"\n', "")
    for path in re.findall(r'= "(/[^"]+(?:pem|password))"', text):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text("from the file\nnot this\n")
    read = parse_settings(text)
    assert read.routes[0].password == "from the file"
    assert read.delivery.capture == "outbox@example.org"
    assert read.tls is not None
    assert len(read.tls.sites) == 1


def test_the_sample_as_installed_says_what_to_fill_in() -> None:
    """A fresh installation does not start with somebody else's name; it says what is missing."""
    (problem,) = problems(SAMPLE.read_text(), SAMPLE)
    line = next(i for i, text in enumerate(SAMPLE.read_text().splitlines(), 1) if text == "[server]")
    assert problem == f"{SAMPLE}:{line}: [server] lacks 'hostname'; add hostname = \"mail.example.org\""


def test_every_setting_has_a_line_of_explanation() -> None:
    """Each field of the dataclasses is followed by its docstring."""
    source = Path(config.__file__).read_text()
    declared = re.findall(
        r"(?m)^    (\w+): [^\n]*= setting\((?:[^\n]*|\n.*?\n    )\)\n(    \"\"\")?", source, re.DOTALL
    )
    undocumented = {name for name, docstring in declared if not docstring}
    tables = {field.name for field in dataclasses.fields(Settings)}
    assert len(declared) > 40
    assert undocumented <= tables


# -- what values mean


def test_all_values_are_read(tmp_path: Path) -> None:
    """Every kind of value arrives in the form the rest of fedaemon works with."""
    for name in ("c.pem", "k.pem", "sub/c.pem", "sub/k.pem", "rules.toml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    text = """
[server]
hostname = "Mail.BÜCHER.example"
data_dir = "data"
[tls]
certificate = "c.pem"
private_key = "k.pem"
[[tls.site]]
certificate = "sub/c.pem"
private_key = "sub/k.pem"
[[listener]]
service = "submission"
address = "systemd:submission"
trusted_networks = ["192.0.2.0/24", "2001:db8::1"]
bare_lf = "normalise"
[[listener]]
service = "mx"
address = "0:0:0::0"
port = 10025
tls = "none"
proxy_protocol = true
[dns]
nameservers = ["127.0.0.1:5353", "[::1]:54", "192.0.2.53", "2001:db8::53", "[2001:db8::54]"]
[delivery]
lifetime = "1d12h"
delay_notice = 0
retention = "0"
mx_port = 2525
paused = true
capture = "Outbox@Example.TEST"
bounce_rules = ["rules.toml"]
[[site]]
name = "Example"
hosts = ["*.mx.example.org", "mx.example.net"]
messages_per_minute = 600
[[source]]
address = "[2001:DB8::25]"
hostname = "Out.example.org"
[[tls_policy]]
domain = "*"
tls = "dane"
[[route]]
domain = "*.Example.org"
host = "[IPv6:2001:db8::25]"
port = 2525
tls = "verify"
username = "user"
password = "pass word"
lifetime = "1h"
[[route]]
domain = "[192.0.2.1]"
host = "relay.bücher.example"
[limits]
max_message_size = "64KB"
disk_reserve = 0
idle_timeout = "90s"
[submission]
show_client = true
[mailboxes]
quota = "5GB"
undelete = "14d"
empty_trash = "30d"
empty_junk = "10d"
[http]
metrics_networks = ["192.0.2.0/24"]
mta_sts = "enforce"
webroot = "acme"
"""
    read = parse_settings(text, tmp_path / "fedaemon.toml")
    assert read == Settings(
        Server("mail.xn--bcher-kva.example", tmp_path / "data"),
        Tls(
            tmp_path / "c.pem",
            tmp_path / "k.pem",
            (TlsSite(tmp_path / "sub" / "c.pem", tmp_path / "sub" / "k.pem"),),
        ),
        (
            Listener(
                "submission",
                "systemd:submission",
                trusted_networks=(ip_network("192.0.2.0/24"), ip_network("2001:db8::1/128")),
                bare_lf="normalise",
            ),
            Listener("mx", "::", 10025, "none", True),
        ),
        config.Dns(
            (
                ("127.0.0.1", 5353),
                ("::1", 54),
                ("192.0.2.53", 53),
                ("2001:db8::53", 53),
                ("2001:db8::54", 53),
            )
        ),
        Delivery(
            lifetime_s=129_600,
            delay_notice_s=0,
            retention_s=0,
            mx_port=2525,
            paused=True,
            capture="outbox@example.test",
            bounce_rules=(tmp_path / "rules.toml",),
        ),
        config.Submission(True),
        config.Mailboxes(5 * 2**30, 14 * 86_400, 30 * 86_400, 10 * 86_400),
        config.Http((ip_network("192.0.2.0/24"),), "enforce", tmp_path / "acme"),
        (
            Route("*.example.org", "2001:db8::25", 2525, "verify", "user", "pass word", lifetime_s=3600),
            Route("[192.0.2.1]", "relay.xn--bcher-kva.example"),
        ),
        (config.Site("example", ("*.mx.example.org", "mx.example.net"), messages_per_minute=600),),
        (config.Source("2001:db8::25", "out.example.org"),),
        (config.TlsPolicy("*", "dane"),),
        Limits(max_message_size=65_536, disk_reserve=0, idle_timeout_s=90),
    )


def test_passwords_never_show() -> None:
    """Settings can be logged."""
    route = Route("*", "192.0.2.1", tls="verify", username="user", password="geheim")
    assert "geheim" not in repr(Settings(Server("h"), routes=(route,)))
    assert "geheim" not in json.dumps(as_table(Settings(Server("h"), routes=(route,))))


SETTINGS = st.builds(
    Settings,
    server=st.builds(Server, hostname=st.just("mail.example.org"), data_dir=st.just(Path('/data/Ä "x'))),
    listeners=st.lists(
        st.builds(
            Listener,
            service=st.just("submission"),
            address=st.sampled_from(["127.0.0.1", "::1"]),
            port=st.integers(1, 65_535),
            tls=st.just("none"),
            proxy_protocol=st.booleans(),
            trusted_networks=st.just((ip_network("192.0.2.0/24"),)),
            bare_lf=st.sampled_from(["refuse", "normalise"]),
        ),
        max_size=3,
        unique_by=lambda listener: listener.port,
    ).map(tuple),
    delivery=st.builds(
        Delivery,
        lifetime_s=st.integers(1, 2_592_000),
        delay_notice_s=st.integers(0, 2_592_000),
        mx_port=st.integers(1, 65_535),
    ),
    limits=st.builds(Limits, max_message_size=st.integers(1024, 2**31), sessions=st.integers(0, 10**9)),
    routes=st.lists(
        st.builds(Route, domain=st.sampled_from(["*", "*.a.test"]), host=st.sampled_from(["::1", "b.test"])),
        max_size=2,
    ).map(tuple),
)


@settings(max_examples=50)
@given(SETTINGS)
def test_what_is_shown_can_be_read_again(value: Settings) -> None:
    """`config show` gives a file with the same meaning; from_dict reads the same tables."""
    assert parse_settings(to_toml(as_table(value))) == value
    assert from_dict(as_table(value)) == value


# -- mistakes


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[server]\nhostnam = 1\n", "f.toml:2: unknown key 'hostnam' in [server]; did you mean 'hostname'?"),
        (HOST + "\n[sever]\n", "f.toml:4: unknown key 'sever' in the file; did you mean 'server'?"),
        (
            HOST + "[dns]\nzzz = 1\n",
            "f.toml:4: unknown key 'zzz' in [dns]; known are nameservers",
        ),
        (
            HOST + "[delivery]\n\n# x\nlifetime = 'x'\n",
            "f.toml:6: lifetime in [delivery]: must be a time such as",
        ),
        (
            HOST + '[delivery]\nlifetime = "5000d"\n',
            'f.toml:4: lifetime in [delivery]: must be from "1s" to "30d"',
        ),
        (HOST + "[delivery]\nlifetime = -1\n", "must be a time such as"),
        (HOST + "[delivery]\nlifetime = true\n", "must be a time such as"),
        (
            HOST + '[delivery]\npaused = "no"\n',
            'f.toml:4: paused in [delivery]: must be true or false, not "no"',
        ),
        (
            HOST + "[delivery]\nmx_port = 0\n",
            "f.toml:4: mx_port in [delivery]: must be a whole number from 1 to",
        ),
        (HOST + "[delivery]\nmx_port = true\n", "must be a whole number from 1 to 65535, not true"),
        (
            HOST + '[delivery]\ncapture = "outbox"\n',
            "f.toml:4: capture in [delivery]: must be an address such as",
        ),
        (HOST + '[limits]\nmax_message_size = "50 MB"\n', 'must be a size such as "50MB"'),
        (HOST + '[limits]\nmax_message_size = "1B"\n', 'must be from "1000B" to "2GB", not "1B"'),
        ('[server]\nhostname = "a b"\n', "f.toml:2: hostname in [server]: must be a host name such as"),
        ("[server]\nhostname = 5\n", 'must be a host name such as "mail.example.org" in quotes, not 5'),
        ('server = "x"\n', "f.toml:1: server must be a table: write [server]"),
        (HOST + "[listener]\nport = 25\n", "f.toml:3: listener must be a list of tables: write [[listener]]"),
        ("", "f.toml:1: the file lacks 'server'; add [server] with hostname"),
        (
            HOST + '[dns]\nnameservers = "127.0.0.1"\n',
            "f.toml:4: nameservers in [dns]: must be a list in brackets",
        ),
        (
            HOST + '[dns]\nnameservers = ["ns.example.org"]\n',
            '"ns.example.org" is no name server; write an address',
        ),
        (HOST + '[dns]\nnameservers = ["127.0.0.1:0"]\n', '"127.0.0.1:0" is no name server'),
        (HOST + '[dns]\nnameservers = ["127.0.0.1:70000"]\n', "is no name server"),
        (HOST + '[[route]]\nhost = "h"\n', "f.toml:3: [[route]] lacks 'domain'; add domain = \"*\""),
        (
            HOST + '[[route]]\ndomain = "*x"\nhost = "h"\n',
            'f.toml:4: domain in [[route]]: must be "*", a domain',
        ),
        (
            HOST + '[[route]]\ndomain = "*"\nhost = "h:25"\n',
            "f.toml:5: host in [[route]]: must be a host name or an IP",
        ),
        (
            HOST + '[[route]]\ndomain = "*"\nhost = "h"\ntls = "yes"\n',
            'tls in [[route]]: must be one of "none", "opp',
        ),
        (HOST + "[server]\n", "f.toml:3: not valid TOML: Cannot declare"),
        (HOST + "x = [\n", "f.toml:4: not valid TOML: "),
        (HOST + "data_dir = /var\n", "f.toml:3: not valid TOML: Invalid value; strings need quotes"),
    ],
)
def test_a_mistake_is_one_line_with_the_fix(text: str, expected: str) -> None:
    """File, line, what is wrong, what to write instead."""
    (problem,) = problems(text)
    assert expected in problem
    assert "\n" not in problem


def listener(**values: object) -> str:
    table = {"service": "submission", "port": 587, **values}
    return "[[listener]]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in table.items())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (HOST + listener(tls="none"), "f.toml:6: tls in [[listener]]: without TLS nobody can log in"),
        (
            HOST + listener(service="http", tls="starttls"),
            'f.toml:6: tls in [[listener]]: HTTP has no STARTTLS; set tls = "implicit" (port 443)',
        ),
        (
            HOST + listener(service="smtp"),
            'service in [[listener]]: must be one of "submission", "mx", "imap", "pop3", "http", not "smtp"',
        ),
        (HOST + listener(address="localhost"), "f.toml:6: address in [[listener]]: must be an IP address"),
        (HOST + listener(address="systemd:"), "lacks the name"),
        (
            HOST + '[[listener]]\nservice = "mx"\ntls = "none"\n',
            "f.toml:3: [[listener]] lacks 'port'; add port = 25",
        ),
        (
            HOST + listener(service="mx", tls="none", port=25) * 2,
            "f.toml:7: two listeners at :: port 25; remove one",
        ),
        (
            HOST + listener(service="mx", tls="none", bare_lf="normalise"),
            'f.toml:7: bare_lf in [[listener]] is for service = "submission"; remove it',
        ),
        (
            HOST + listener(service="mx", tls="none", trusted_networks=["192.0.2.1"]),
            "f.toml:7: trusted_networks in [[listener]] is for",
        ),
        (HOST + listener(trusted_networks=["0.0.0.0/0"]), '"0.0.0.0/0" trusts the whole internet'),
        (
            HOST + listener(trusted_networks=["192.0.2.1/24"]),
            'bits set beyond its mask; write "192.0.2.0/24"',
        ),
        (HOST + listener(trusted_networks=["lan"]), '"lan" is no network; write one as "192.0.2.0/24"'),
        (HOST + listener(trusted_networks=[5]), "must be a network in quotes, not 5"),
    ],
)
def test_listeners_that_cannot_work_are_refused(text: str, expected: str) -> None:
    """A listener that nobody could use, or that would open more than it says, is an error at the start."""
    (problem,) = problems(text)
    assert expected in problem


@pytest.mark.parametrize(("hostname", "expected"), [("mail.example.org", "::"), ("localhost", "127.0.0.1")])
def test_a_server_called_localhost_is_reached_from_its_machine_alone(hostname: str, expected: str) -> None:
    """What somebody only tries out is not open to the world by accident; an address that is set is obeyed."""
    host = f'[server]\nhostname = "{hostname}"\n'
    assert {listener.address for listener in parse_settings(host).listeners} == {expected}
    (unset,) = parse_settings(host + listener()).listeners
    (given,) = parse_settings(host + listener(address="192.0.2.1")).listeners
    assert (unset.address, given.address) == (expected, "192.0.2.1")


ROUTE = NONE + HOST + '[[route]]\ndomain = "*"\nhost = "relay.example.org"\n'


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ('username = "u"\n', "f.toml:7: username in [[route]] has no password; add password_file"),
        ('password = "p"\n', "f.toml:7: password in [[route]] has no username; add username"),
        (
            'username = "u"\npassword = "p"\ntls = "none"\n',
            'f.toml:9: tls in [[route]]: "none" would send the password in the clear',
        ),
        ('password_file = "nowhere"\n', "f.toml:7: password_file in [[route]]: there is no file"),
        ('password = ""\n', "f.toml:7: password in [[route]]: must be one line of text"),
    ],
)
def test_credentials_of_a_route_are_whole_and_never_sent_in_the_clear(more: str, expected: str) -> None:
    """No login without password, and none without TLS except to this machine."""
    (problem,) = problems(ROUTE + more)
    assert expected in problem


def test_credentials_without_tls_are_allowed_to_this_machine() -> None:
    """A relay on loopback needs no TLS."""
    text = ROUTE.replace("relay.example.org", "127.0.0.1") + 'username = "u"\npassword = "p"\ntls = "none"\n'
    assert parse_settings(text).routes[0].tls == "none"


def test_a_password_is_given_once(tmp_path: Path) -> None:
    """Two passwords for one login are a mistake, not a choice."""
    (tmp_path / "p").write_text("x")
    (problem,) = problems(
        ROUTE + 'username = "u"\npassword = "p"\npassword_file = "p"\n', tmp_path / "f.toml"
    )
    assert ":9: password and password_file in [[route]]: give one of them" in problem


def test_a_password_file_of_octets_is_said(tmp_path: Path) -> None:
    """A file that holds no text is not taken as a password."""
    for octets, said in ((b"\xff\xfe", "cannot be read"), (b"\nx", "is empty")):
        (tmp_path / "p").write_bytes(octets)
        (problem,) = problems(ROUTE + 'username = "u"\npassword_file = "p"\n', tmp_path / "f.toml")
        assert ":8: password_file in [[route]]" in problem
        assert said in problem


def test_all_mistakes_are_said_at_once_in_the_order_of_the_file() -> None:
    """An operator repairs the file once."""
    text = '[limits]\nsessions = "many"\n\n[server]\nhostname = 5\ndatadir = "x"\n'
    assert [problem.partition(": ")[0] for problem in problems(text)] == ["f.toml:2", "f.toml:5", "f.toml:6"]


def test_missing_certificates_are_said_with_their_line() -> None:
    """The line of the setting, and the path as it was understood."""
    text = HOST + '[tls]\ncertificate = "c.pem"\nprivate_key = "k.pem"\n'
    first, second = problems(text, Path("/conf/f.toml"))
    assert first == (
        "/conf/f.toml:4: certificate in [tls]: there is no file /conf/c.pem; create it or correct the path"
    )
    assert second.startswith("/conf/f.toml:5: private_key in [tls]: there is no file /conf/k.pem")


def test_files_that_cannot_be_read_are_one_line(tmp_path: Path) -> None:
    """No file, a directory, or no text."""
    with pytest.raises(
        BadSettings, match=r"nowhere\.toml: there is no such file; fedaemonctl setup makes one"
    ):
        read_settings(tmp_path / "nowhere.toml")
    with pytest.raises(BadSettings, match="Is a directory"):
        read_settings(tmp_path)
    (tmp_path / "f.toml").write_bytes(b'[server]\nhostname = "\xff"\n')
    with pytest.raises(BadSettings, match=r"f\.toml:2: not UTF-8 text"):
        read_settings(tmp_path / "f.toml")


@settings(max_examples=100)
@given(st.text(max_size=60), st.sampled_from(["", HOST, HOST + "[limits]\n", "[[listener]]\n"]))
def test_any_text_is_read_or_refused_in_lines(text: str, start: str) -> None:
    """Nothing but BadSettings escapes, and every line says where."""
    try:
        parse_settings(start + text, Path("f.toml"))
    except BadSettings as error:
        assert all(re.match(r"f\.toml:\d+: ", problem) for problem in error.problems)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just("192.0.2.1"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=4,
)


@settings(max_examples=150)
@given(st.sampled_from(sorted(keys_of(Settings))), VALUES)
def test_any_value_of_any_setting_is_read_or_refused(name: str, value: object) -> None:
    """A value of a wrong type is a line for the operator, never a traceback."""
    *tables, key = name.split(".")
    values: Any = {key: value}
    for table in reversed(tables):
        values = {table: [values] if table in ("listener", "route", "site") else values}
    try:
        from_dict({"server": {"hostname": "h"}, **values})
    except BadSettings as error:
        assert error.problems


# -- lines


def test_lines_are_found_in_every_way_to_write_toml() -> None:
    """Comments, quotes, brackets and strings of many lines do not lead the scanner astray."""
    text = """# [not] a = table
a = 1  # [b]
"quoted.key" = '''
x = [1
'''
dotted.name = \"\"\"
[nor.this]
\\\"\"\"\"
list = [
  "]", # ]
  { k = 1 },
]
[ t . "u v" ]
inline = { p = 1, q = "}" }
[[many]]
one = 1
[[many]]
[[many.deep]]
two = 2
[many.last]
three = 3
"""
    tomllib.loads(text)
    lines = find_lines(text)
    expected = {
        ("a",): 2,
        ("quoted.key",): 3,
        ("dotted", "name"): 6,
        ("list",): 9,
        ("t", "u v"): 13,
        ("t", "u v", "inline"): 14,
        ("many",): 15,
        ("many", 0, "one"): 16,
        ("many", 1): 17,
        ("many", 1, "deep", 0, "two"): 19,
        ("many", 1, "last", "three"): 21,
    }
    assert {where: lines.get(where) for where in expected} == expected


# -- fedaemonctl config


def run(path: Path, *arguments: str) -> tuple[int, str, str]:
    """Run the command line *arguments*; return exit code, output, errors."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--json", action="store_true")
    parser = argparse.ArgumentParser()
    ctl_config.register(parser.add_subparsers(), common)
    parsed = parser.parse_args(["config", *arguments])
    context = Context(path, json=parsed.json, out=io.StringIO(), err=io.StringIO())
    code = parsed.run(context, parsed)
    assert isinstance(context.out, io.StringIO)
    assert isinstance(context.err, io.StringIO)
    return code, context.out.getvalue(), context.err.getvalue()


@pytest.fixture
def good(tmp_path: Path) -> Path:
    """A settings file with a certificate that works."""
    files = make_local_ca(tmp_path, ["mail.example.org"])
    path = tmp_path / "fedaemon.toml"
    path.write_text(
        f'{HOST}[tls]\ncertificate = "{files.certificate}"\nprivate_key = "{files.private_key}"\n'
    )
    return path


def test_check_says_ok(good: Path) -> None:
    """One line, exit code 0."""
    assert run(good, "check") == (DONE, f"{good}: ok\n", "")
    code, out, _ = run(good, "check", "--json")
    assert (code, json.loads(out)) == (DONE, {"file": str(good), "ok": True, "problems": []})


def test_check_says_every_problem(good: Path) -> None:
    """One line for each on standard error, exit code 2."""
    good.write_text(good.read_text() + "x = 1\n[limits]\ny = 2\n")
    code, out, err = run(good, "check")
    assert (code, out) == (USAGE, "")
    assert [line.partition(": ")[0] for line in err.splitlines()] == [f"{good}:6", f"{good}:8"]
    code, out, _ = run(good, "check", "--json")
    assert code == USAGE
    assert json.loads(out)["problems"] == err.splitlines()


def test_check_looks_into_the_certificate(good: Path) -> None:
    """A key of another certificate is found before the service is restarted with it."""
    other = make_local_ca(good.parent / "other", ["mail.example.org"])
    text = good.read_text()
    good.write_text(text.replace(str(good.parent / "server.key"), str(other.private_key)))
    code, _, err = run(good, "check")
    assert code == USAGE
    assert "does not belong to" in err
    assert len(err.splitlines()) == 1


def test_show_gives_what_is_in_effect(good: Path) -> None:
    """All defaults, as TOML for people and as JSON for programs, without secrets."""
    route = '[[route]]\ndomain = "*"\nhost = "r.test"\ntls = "verify"\nusername = "u"\npassword = "geheim"\n'
    good.write_text(good.read_text() + route)
    code, text, _ = run(good, "show")
    assert code == DONE
    assert "geheim" not in text
    shown = tomllib.loads(text)
    code, out, _ = run(good, "show", "--json")
    assert (code, json.loads(out)) == (DONE, shown)
    assert shown["limits"]["max_message_size"] == "50MB"
    assert shown["delivery"]["lifetime"] == "5d"
    assert shown["route"][0]["password"] == "********"
    assert [each["port"] for each in shown["listener"]] == [25, 465, 587, 993, 995]
