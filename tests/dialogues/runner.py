"""Reads and plays SMTP dialogues: plain-text scripts that look like the examples in an RFC.

A script begins with comment lines: the first says what it shows; ``# listener: NAME`` names the kind of
listener it is for (mx, submission, submissions), ``# settings: name=value ...`` what the listener must be set
to. Then:

    C: text     the client sends a line; consecutive lines leave in one write, as a pipelining client does it
    R: text     the client sends octets, without a line end; \\r \\n \\0 \\\\ and \\xHH stand for octets
    S: text     the server's next line; * stands for any text, "S: 250..." for a whole reply of that code
    TLS         both sides start TLS
    CLOSED      the server closes the connection

``{name}`` stands for a value of the driver, ``{text*number}`` for a repeated text. The runner knows nothing
of how octets travel: that is the driver's part, so the same scripts run on the bare engine and on a real
process.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol


class Driver(Protocol):
    """One connection to a server."""

    variables: Mapping[str, str]

    def send(self, data: bytes) -> None:
        """Send *data* to the server in one write."""

    def receive(self) -> bytes:
        """Return some octets from the server, b"" when it has closed; raise when nothing comes."""

    def start_tls(self) -> None:
        """Begin a TLS handshake and finish it."""


@dataclass(frozen=True)
class Send:
    """Octets for the server."""

    text: str
    raw: bool


@dataclass(frozen=True)
class Expect:
    """A line of the server."""

    pattern: str


@dataclass(frozen=True)
class StartTls:
    """A TLS handshake."""


@dataclass(frozen=True)
class Closed:
    """The server's end of the connection."""


Step = Send | Expect | StartTls | Closed


@dataclass
class Script:
    """A dialogue: what it shows, where it is for, and its steps with their line numbers."""

    name: str
    intent: str
    listener: str = "mx"
    settings: dict[str, str] = field(default_factory=dict)
    steps: list[tuple[int, Step]] = field(default_factory=list)


def read_scripts(folder: Path) -> list[Script]:
    """Return all scripts of *folder*."""
    return [read_script(path) for path in sorted(folder.glob("*.txt"))]


def read_script(path: Path) -> Script:
    """Return the script in the file *path*."""
    return parse_script(path.stem, path.read_text(encoding="utf-8"))


def parse_script(name: str, text: str) -> Script:
    """Return the script that *text* is; raise ValueError with its line number where it is none."""
    lines = text.splitlines()
    script = Script(name, lines[0].removeprefix("# "))
    for number, line in enumerate(lines, 1):
        mark, _, rest = line.partition(" ")
        if mark == "#":
            key, _, value = rest.partition(": ")
            if key == "listener":
                script.listener = value
            elif key == "settings":
                script.settings = dict(item.split("=", 1) for item in value.split())
        elif line:
            script.steps.append((number, _parse_step(name, number, mark, rest)))
    return script


def _parse_step(name: str, number: int, mark: str, rest: str) -> Step:
    if mark in ("C:", "R:"):
        return Send(rest, mark == "R:")
    if mark == "S:" and rest:
        return Expect(rest)
    if mark in ("TLS", "CLOSED") and not rest:
        return StartTls() if mark == "TLS" else Closed()
    raise ValueError(f"{name}.txt:{number}: not a step of a dialogue")


def log_in_variables(hostname: str, user: str, password: str) -> dict[str, str]:
    """Return the variables that scripts use, for a server *hostname* with one account to log in with.

    The account has the rights that accounts have by default. *soon*, *past* and *in_a_year* are moments.
    """
    return {
        "hostname": hostname,
        "soon": _date_time(3600),
        "past": _date_time(-3600),
        "in_a_year": _date_time(365 * 86_400),
        "user": user,
        "plain": _base64(f"\0{user}\0{password}"),
        "plain_wrong": _base64(f"\0{user}\0wrong"),
        "user64": _base64(user),
        "password64": _base64(password),
        "wrong64": _base64("wrong"),
    }


def _date_time(distance_s: int) -> str:
    moment = datetime.now(UTC) + timedelta(seconds=distance_s)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _base64(text: str) -> str:
    return b64encode(text.encode()).decode()


def run(script: Script, driver: Driver) -> None:
    """Play *script*; raise AssertionError with file, line and what came where the server departs from it."""
    _Run(script, driver).play()


class _Run:
    def __init__(self, script: Script, driver: Driver) -> None:
        self.script = script
        self.driver = driver
        self.unsent = b""
        self.received = b""
        self.number = 0

    def play(self) -> None:
        for number, step in self.script.steps:
            self.number = number
            if isinstance(step, Send):
                self.unsent += self.octets(step)
                continue
            self.flush()
            if isinstance(step, Expect):
                self.expect(step.pattern)
            elif isinstance(step, StartTls):
                self.nothing_left()
                self.driver.start_tls()
            else:
                self.nothing_left()
                rest = self.driver.receive()
                assert rest == b"", self.message(f"instead of closing, the server says {rest!r}")
        self.flush()
        self.nothing_left()

    def octets(self, step: Send) -> bytes:
        text = self.filled(step.text)
        if not step.raw:
            return text.encode() + b"\r\n"
        return re.sub(rb"\\(x..|.)", _unescaped, text.encode())

    def filled(self, text: str) -> str:
        text = re.sub(r"\{(.+?)\*(\d+)\}", lambda match: match[1] * int(match[2]), text)
        return re.sub(r"\{(\w+)\}", lambda match: self.driver.variables[match[1]], text)

    def flush(self) -> None:
        if self.unsent:
            self.driver.send(self.unsent)
            self.unsent = b""

    def line(self) -> str:
        while b"\r\n" not in self.received:
            more = self.driver.receive()
            assert more, self.message(f"the server closes after {self.received!r}")
            self.received += more
        line, _, self.received = self.received.partition(b"\r\n")
        return line.decode("utf-8")

    def expect(self, pattern: str) -> None:
        if pattern.endswith("..."):
            code = pattern.removesuffix("...")
            line = self.line()
            while line.startswith(f"{code}-"):
                line = self.line()
            assert line.startswith(f"{code} "), self.message(f"the server says {line!r}")
            return
        line = self.line()
        wanted = ".*".join(map(re.escape, self.filled(pattern).split("*")))
        assert re.fullmatch(wanted, line), self.message(f"the server says {line!r}")

    def nothing_left(self) -> None:
        assert not self.received, self.message(f"the server also says {self.received!r}")

    def message(self, what: str) -> str:
        return f"{self.script.name}.txt:{self.number}: {what}"


def _unescaped(match: re.Match[bytes]) -> bytes:
    known = {b"r": b"\r", b"n": b"\n", b"0": b"\0", b"\\": b"\\"}
    what = match[1]
    return bytes((int(what[1:], 16),)) if what[:1] == b"x" else known[what]
