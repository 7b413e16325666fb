"""The editor of settings files: it changes what it is asked to, and nothing else."""

from __future__ import annotations

import copy
import json
import tomllib
from difflib import ndiff
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedaemon.ctl.setup.settings_text import CannotEdit, Value, add_table, comment_out, set_value

SAMPLE = (Path(__file__).parents[2] / "etc/fedaemon.toml").read_text()

values = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
    st.integers(-(2**62), 2**62),
    st.booleans(),
)
comments = st.sampled_from(["", " # why", '# "a = 1"', "#[tls]", '#certificate = "x"', "  # [server]"])
keys = st.sampled_from(["hostname", "certificate", "paused", "port"])
written = st.one_of(
    values.map(lambda value: json.dumps(value, ensure_ascii=False).replace("\x7f", "")),
    st.sampled_from(['"""\n[tls]\na = 1\n"""', '[\n  "a", # b\n  "[c]",\n]', "'#'", "1_000", "{ a = 1 }"]),
)


@st.composite
def files(draw: st.DrawFn) -> str:
    """A settings file as people write it: tables in any order, comments, values over several lines."""
    names = draw(st.lists(st.sampled_from(["server", "tls", "http", "delivery"]), unique=True))
    lines: list[str] = []
    for name in names:
        lines.extend(draw(st.lists(comments, max_size=2)))
        lines.append(f"[{name}]{draw(st.sampled_from(['', ' # it']))}")
        for key in draw(st.lists(keys, unique=True)):
            lines.append(draw(comments.filter(lambda text: text != " # why")))
            lines.append(f"{key} = {draw(written)}{draw(st.sampled_from(['', '  # because']))}")
    for _ in range(draw(st.integers(0, 2))):
        lines.extend(["", "[[listener]]", 'service = "mx"', *draw(st.lists(comments, max_size=1))])
    return "\n".join(lines) + draw(st.sampled_from(["", "\n", "\n\n"]))


def data(text: str) -> dict[str, object]:
    return tomllib.loads(text)


@given(files(), st.sampled_from(["server", "tls", "http"]), keys, values)
def test_only_the_value_changes(text: str, table: str, key: str, value: Value) -> None:
    """Everything else means the same, and every line but one or two is still there, in its order."""
    edited = set_value(text, table, key, value)
    wanted = copy.deepcopy(data(text))
    section = wanted.setdefault(table, {})
    assert isinstance(section, dict)
    section[key] = value
    assert data(edited) == wanted
    lost = [
        line for line in ndiff(text.rstrip("\n").split("\n"), edited.split("\n")) if line.startswith("- ")
    ]
    replaced = key in data(text).get(table, {})  # type: ignore[operator]
    assert replaced or len(lost) <= 2
    assert set_value(edited, table, key, value) == edited


@given(files(), values)
def test_a_table_that_is_added_and_commented_out_again_leaves_the_rest(text: str, value: Value) -> None:
    edited = add_table(text, "listener", {"service": "http", "port": value})
    before = data(text).get("listener", [])
    assert isinstance(before, list)
    assert data(edited) == {**data(text), "listener": [*before, {"service": "http", "port": value}]}
    assert data(comment_out(edited, ("listener", len(before)))) == data(text)


def test_the_sample_gets_its_values_where_it_has_them_commented_out() -> None:
    """So the explanation stands above the value."""
    text = set_value(SAMPLE, "server", "hostname", "mail.example.org")
    text = set_value(text, "tls", "certificate", "/c.pem")
    text = set_value(text, "tls", "private_key", "/k.pem")
    changed = [
        (old, new) for old, new in zip(SAMPLE.split("\n"), text.split("\n"), strict=True) if old != new
    ]
    assert changed == [
        ('#hostname = "mail.example.org"', 'hostname = "mail.example.org"'),
        ("#[tls]", "[tls]"),
        ('#certificate = "/etc/fedaemon/tls/fullchain.pem"', 'certificate = "/c.pem"'),
        ('#private_key = "/etc/fedaemon/tls/privkey.pem"', 'private_key = "/k.pem"'),
    ]
    gone = comment_out(text, ("tls",))
    assert data(gone) == data(set_value(SAMPLE, "server", "hostname", "mail.example.org"))
    assert set_value(set_value(gone, "tls", "certificate", "/c.pem"), "tls", "private_key", "/k.pem") == text


def test_a_comment_behind_a_value_stays() -> None:
    assert set_value('[server]\nhostname = "a#b"  # c\n', "server", "hostname", "d") == (
        '[server]\nhostname = "d"  # c\n'
    )


def test_a_value_over_several_lines_is_replaced_as_a_whole() -> None:
    assert (
        set_value("[http]\nwebroot = '''\n[server]\n'''\n", "http", "webroot", "/w")
        == '[http]\nwebroot = "/w"\n'
    )


def test_a_dotted_key_is_found() -> None:
    assert set_value('server.hostname = "a"\n', "server", "hostname", "b") == 'server.hostname = "b"\n'


def test_a_table_is_not_opened_where_it_would_take_others_values() -> None:
    """What stands behind the commented header belongs to [server]."""
    text = '[server]\n#[tls]\nhostname = "a"\n'
    assert set_value(text, "tls", "certificate", "/c") == text + '\n[tls]\ncertificate = "/c"\n'


def test_a_table_of_its_sites_alone_is_no_place_for_a_certificate() -> None:
    """[[tls.site]] does not open [tls]."""
    text = '[[tls.site]]\ncertificate = "/a"\n'
    edited = set_value(text, "tls", "certificate", "/c")
    assert data(edited) == {"tls": {"certificate": "/c", "site": [{"certificate": "/a"}]}}


def test_what_cannot_be_edited_is_said_with_what_to_write() -> None:
    with pytest.raises(CannotEdit, match=r'set hostname = "b" in \[server\] yourself'):
        set_value('server = { hostname = "a" }\n', "server", "hostname", "b")
    with pytest.raises(CannotEdit, match=r"write \[server\], and set"):
        set_value("[[server]]\n", "server", "hostname", "b")
    with pytest.raises(CannotEdit, match=r'add \[\[listener\]\] with service = "http"'):
        add_table('listener = [{ service = "mx" }]\n', "listener", {"service": "http"})
