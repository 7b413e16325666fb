"""What the build makes: one package that holds what it should, and about which lintian has nothing to say."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.debian.building import Built
from tests.debian.container import run_alone
from tests.debian.roots import BUILDER, PROJECT

PACKAGES = "/usr/lib/python3/dist-packages"
WANTED = (
    "/etc/fedaemon/fedaemon.toml",
    "/etc/fail2ban/filter.d/fedaemon.conf",
    "/lib/systemd/system/fedaemon.service",
    "/lib/systemd/system/fedaemon@.socket",
    "/usr/bin/fedaemonctl",
    "/usr/lib/sysusers.d/fedaemon.conf",
    "/usr/lib/tmpfiles.d/fedaemon.conf",
    "/usr/share/bash-completion/completions/fedaemonctl",
    "/usr/share/doc/fedaemon/NEWS.md",
    "/usr/share/doc/fedaemon/README.Debian",
    "/usr/share/doc/fedaemon/docs/handbook.md",
    "/usr/share/man/man1/fedaemonctl.1.gz",
    "/usr/share/man/man5/fedaemon.toml.5.gz",
    "/usr/share/man/man8/fedaemon.8.gz",
    f"{PACKAGES}/twisted/plugins/fedaemon_plugin.py",
)
UNWANTED = (
    f"{PACKAGES}/tests",
    f"{PACKAGES}/bench",
    # With one of these Twisted would look for no other plugins, or show what it no longer has.
    f"{PACKAGES}/twisted/__init__.py",
    f"{PACKAGES}/twisted/plugins/__init__.py",
    f"{PACKAGES}/twisted/plugins/dropin.cache",
)


@pytest.fixture(scope="module")
def contents(built: Built) -> frozenset[str]:
    """The paths in the package, directories without the slash at their end."""
    listed = subprocess.run(["dpkg-deb", "--fsys-tarfile", built.deb], stdout=subprocess.PIPE, check=True)
    names = subprocess.run(["tar", "-t"], input=listed.stdout, stdout=subprocess.PIPE, check=True)
    return frozenset("/" + line.strip("./").rstrip("/") for line in names.stdout.decode().splitlines())


def test_it_is_one_package_for_every_architecture(built: Built) -> None:
    made = sorted(path.name for path in built.deb.parent.glob("*.deb"))
    assert made == [f"fedaemon_{built.version}_all.deb"]


@pytest.mark.parametrize("path", WANTED)
def test_it_holds(contents: frozenset[str], path: str) -> None:
    assert path in contents


@pytest.mark.parametrize("path", UNWANTED)
def test_it_leaves_out(contents: frozenset[str], path: str) -> None:
    assert path not in contents


def test_every_module_and_data_file_is_there(contents: frozenset[str]) -> None:
    """Data files are easily forgotten: what is in the tree beside the modules is compared, not listed here."""
    tree = PROJECT / "fedaemon"
    files = [path for path in tree.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    assert [path for path in files if f"{PACKAGES}/{path.relative_to(PROJECT)}" not in contents] == []


def test_lintian_has_nothing_to_say(built: Built) -> None:
    said = run_alone(
        built.root,
        f"lintian --pedantic --display-info --fail-on none {built.directory}/*.changes",
        user=BUILDER,
    )
    assert said == ""


def test_the_changelog_has_the_version_of_the_program(built: Built) -> None:
    assert f"version = {built.version}\n" in (PROJECT / "setup.cfg").read_text()


def test_each_override_is_explained() -> None:
    lines = (Path(PROJECT) / "debian" / "fedaemon.lintian-overrides").read_text().splitlines()
    for before, line in zip(["", *lines], lines, strict=False):
        assert line.startswith("#") or before.startswith("#"), line
