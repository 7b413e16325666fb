"""Every dialogue, played over real connections on a real process."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.daemon import client_context
from tests.dialogues.runner import Script, log_in_variables, read_scripts, run
from tests.e2e.peers import ALICE, PASSWORD, World

SCRIPTS = read_scripts(Path(__file__).parent.parent / "dialogues")
Groups = dict[tuple[tuple[str, str], ...], list[Script]]


def by_settings() -> Groups:
    """Group the scripts by the settings that they need: each group has a daemon of its own."""
    groups: Groups = {}
    for script in SCRIPTS:
        groups.setdefault(tuple(sorted(script.settings.items())), []).append(script)
    return groups


class SocketDriver:
    """One TCP connection to the daemon."""

    def __init__(self, world: World, script: Script) -> None:
        self.variables: Mapping[str, str] = log_in_variables("mail.example.test", ALICE, PASSWORD)
        self.context = client_context(world.ca_file)
        self.connection: socket.socket = socket.create_connection(
            ("127.0.0.1", world.ports[script.listener]), 20
        )
        if script.listener == "submissions":
            self.start_tls()

    def send(self, data: bytes) -> None:
        """Send *data*; a server that has closed already is seen by the next ``receive``."""
        try:
            self.connection.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            return

    def receive(self) -> bytes:
        """Return what the server sends next."""
        try:
            return self.connection.recv(65536)
        except (ConnectionResetError, ssl.SSLEOFError):
            return b""

    def start_tls(self) -> None:
        """Make the handshake."""
        self.connection = self.context.wrap_socket(self.connection, server_hostname="localhost")


@pytest.fixture(scope="module", params=list(by_settings()), ids=lambda group: str(dict(group)))
def scripts(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[World, list[Script]]]:
    """A daemon with the settings of a group of scripts, and the scripts."""
    settings = dict(request.param)
    bare_lf = settings.pop("bare_lf", "refuse")
    settings.setdefault("max_message_size", "1000000")
    limits = "".join(f"{name} = {value}\n" for name, value in settings.items())
    world = World(
        tmp_path_factory.mktemp("dialogues"), extra=f"[limits]\n{limits}login_failures_per_hour = 0\n"
    )
    config = world.daemon.config
    config.write_text(
        config.read_text().replace(
            'service = "submission"\n', f'service = "submission"\nbare_lf = "{bare_lf}"\n'
        )
    )
    try:
        world.daemon.start()
        yield world, by_settings()[request.param]
    finally:
        world.close()


def test_dialogues_on_the_wire(scripts: tuple[World, list[Script]]) -> None:
    """The daemon says what each script says; all departures are told together."""
    world, group = scripts
    problems = []
    for script in group:
        driver = SocketDriver(world, script)
        try:
            run(script, driver)
        except AssertionError as error:
            problems.append(str(error))
        except TimeoutError:
            problems.append(f"{script.name}: the server says nothing")
        finally:
            driver.connection.close()
    assert problems == []
