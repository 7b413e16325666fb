"""The package, built once, and a server to install it on."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.debian.building import Built, build
from tests.debian.roots import TOOLS, build_root, server_root
from tests.debian.server import Server


@pytest.fixture(scope="session")
def tools() -> None:
    """Without root or the tools there is no container: then the tests are skipped, but never in CI."""
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if os.geteuid() == 0 and not missing:
        return
    reason = f"needs {', '.join(missing)}" if missing else "needs root"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def builder(tools: None) -> Iterator[Path]:
    """A system with what building needs."""
    with build_root() as root:
        yield root


@pytest.fixture(scope="session")
def built(builder: Path) -> Built:
    """The package as it is now; with DEB_BUILD_OPTIONS=nocheck without its own tests."""
    return build(builder, options=os.environ.get("DEB_BUILD_OPTIONS", ""))


@pytest.fixture(scope="session")
def newer(builder: Path, built: Built) -> Built:
    """The same with a higher version."""
    return build(builder, version="0.1.1", options="nocheck")


@pytest.fixture(scope="module")
def server(tools: None) -> Iterator[Server]:
    """A small Debian with systemd that has just been booted, without the package."""
    with server_root() as root:
        machine = Server(root)
        try:
            machine.boot()
            yield machine
        finally:
            machine.shut_down()
