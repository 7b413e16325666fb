"""A plugin of pytest for ``make interop``: a line for each page of docs/integrations, and how it ended.

A test belongs to the integration whose name stands in its own name, its parameters or its module. It has tried the
ports that stand in its name, its parameters or its docstring.
"""

from __future__ import annotations

import json
import platform
import re
import subprocess
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib import metadata
from typing import Final

import pytest

from tests.interop.conftest import ROOT

KEPT: Final = ROOT / "var" / "interop"
READING: Final = "test_integration_pages.py"
"""Tests of what is written, which try nothing."""

PORT: Final = re.compile(r"(?<!\d)(?:465|587|993|995)(?!\d)")


def debian(package: str) -> str:
    """Return the version of an installed Debian package, as its authors count."""
    command = ["dpkg-query", "--show", "--showformat", "${Version}", package]
    return upstream(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def downloaded(name: str) -> str:
    """Return the version of a package that tests/prepare has downloaded."""
    (package,) = KEPT.glob(f"{name}/{name}*-daemon-light_*.deb")
    return upstream(package.name.split("_")[1])


def npm(package: str) -> str:
    """Return the version of a package of Node's."""
    version: str = json.loads((KEPT / "node_modules" / package / "package.json").read_text())["version"]
    return version


def upstream(version: str) -> str:
    """Return a Debian version without what Debian adds."""
    return re.split(r"[+-]", version.partition(":")[2] or version)[0]


Version = Callable[[], str]
INTEGRATIONS: Final[dict[str, Version]] = {
    "nodemailer": lambda: npm("nodemailer"),
    "express": lambda: npm("express"),
    "smtplib": platform.python_version,
    "django": lambda: metadata.version("django"),
    "phpmailer": lambda: debian("libphp-phpmailer"),
    "laravel": lambda: debian("php-laravel-framework"),
    "ruby-mail": lambda: debian("ruby-mail"),
    "javamail": lambda: debian("libjakarta-mail-java"),
    "thunderbird": lambda: debian("thunderbird"),
    "apple-mail": lambda: "its profile",
    "gmail": lambda: "its dialogue",
    "outlook": lambda: "Autodiscover",
    "msmtp": lambda: debian("msmtp"),
    "swaks": lambda: debian("swaks"),
    "postfix": lambda: debian("postfix"),
    "exim": lambda: downloaded("exim"),
}
"""Each page and how to learn the version of the program that it is about."""

MARKS: Final = {"apple-mail": "apple", "ruby-mail": "ruby_mail"}
"""What stands in the names of tests in place of the name of the page."""


@dataclass(slots=True)
class Tried:
    """What is known of one integration."""

    ports: set[str] = field(default_factory=set)
    outcomes: dict[str, str] = field(default_factory=dict)
    reason: str = ""

    def line(self) -> str:
        """Return how it ended."""
        outcomes = list(self.outcomes.values())
        failed = outcomes.count("failed")
        if failed:
            return f"FAILED ({failed} of {len(outcomes)} tests)"
        if "passed" not in outcomes:
            return f"skipped: {self.reason}"
        skipped = outcomes.count("skipped")
        return f"passed ({len(outcomes) - skipped} tests{f', {skipped} skipped' if skipped else ''})"


TRIED: Final[dict[str, Tried]] = defaultdict(Tried)


def integration(nodeid: str) -> str | None:
    """Return the integration that a test belongs to."""
    path, _, test = nodeid.partition("::")
    module = path.rpartition("/")[2]
    if not module.startswith("test_integration_") or module == READING:
        return None
    for name in (test, module):
        for page in INTEGRATIONS:
            if re.search(rf"(?<![a-z]){MARKS.get(page, page)}(?![a-z])", name):
                return page
    return None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Note which ports the tests will try."""
    for item in items:
        page = integration(item.nodeid)
        if page is not None:
            documented = getattr(getattr(item, "function", None), "__doc__", None) or ""
            TRIED[page].ports |= set(PORT.findall(item.name + documented))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Note how a test ended: a failure before or after it is its failure."""
    page = integration(report.nodeid)
    if page is None or (report.when != "call" and report.passed):
        return
    tried = TRIED[page]
    tried.outcomes[report.nodeid] = report.outcome
    if report.skipped and isinstance(report.longrepr, tuple):
        tried.reason = report.longrepr[2].removeprefix("Skipped: ")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the lines."""
    terminalreporter.section("integrations")
    for line in lines():
        terminalreporter.write_line(line)


def lines() -> Iterator[str]:
    """Yield a line for each integration that was tried."""
    for page, version in INTEGRATIONS.items():
        tried = TRIED.get(page)
        if tried is None or not tried.outcomes:
            continue
        try:
            found = version()
        except (OSError, subprocess.CalledProcessError, ValueError, metadata.PackageNotFoundError):
            found = "absent"
        yield f"{page:<12} {found:<14} {' '.join(sorted(tried.ports)):<17} {tried.line()}"
