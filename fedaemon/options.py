"""What `twistd fedaemon` is given on its command line, and the service it becomes.

Settings that cannot be used end the program with one clear line and exit code 2, before anything is opened.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from twisted.application.service import IService
from twisted.python import usage

# First of all: what systemd passed is gone from the environment once Twisted's endpoints are loaded.
from fedaemon.net import systemd  # isort: skip
from fedaemon.app import Fedaemon
from fedaemon.config import BadSettings, read_settings
from fedaemon.errors import MailError
from fedaemon.net.listeners import CannotListen
from fedaemon.net.tls import BadCertificate

FAILED_EXIT, USAGE_EXIT = 1, 2


class Options(usage.Options):  # type: ignore[misc,unused-ignore]
    """The options of `twistd fedaemon`."""

    longdesc = "A complete mail service: SMTP submission and reception, a durable queue, and delivery."
    optParameters = [  # noqa: N815, RUF012 - the name and form that twisted.python.usage asks for
        ["config", "c", "/etc/fedaemon/fedaemon.toml", "The settings file."],
    ]


def makeService(options: Options) -> IService:  # noqa: N802 - the name that ServiceMaker asks for
    """Return the service for *options*; ends the program when the settings cannot be used."""
    from twisted.internet import reactor

    try:
        service: IService = _Service(read_settings(Path(options["config"])), reactor)  # type: ignore[assignment]
    except (BadSettings, BadCertificate) as error:
        print(error, file=sys.stderr)
        systemd.cannot_start(str(error))
        raise SystemExit(USAGE_EXIT) from None
    return service


class _Service(Fedaemon):
    """The service under twistd: what keeps it from starting is one line on standard error, not a traceback."""

    def privilegedStartService(self) -> None:  # noqa: N802
        self._or_exit(super().privilegedStartService)

    def startService(self) -> None:  # noqa: N802
        self._or_exit(super().startService)

    def _or_exit(self, start: Callable[[], None]) -> None:
        try:
            start()
        except (CannotListen, MailError) as error:
            # By now twistd sends sys.stderr to its log, where nobody looks first.
            print(f"fedaemon: {error}", file=sys.__stderr__)
            systemd.cannot_start(str(error))
            raise SystemExit(FAILED_EXIT) from None
