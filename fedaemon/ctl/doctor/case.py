"""What the checks examine: the settings, what the store says, and the means to ask.

Invariants: a case does not change while it is examined, so that checks can run in threads.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final

from fedaemon.accounts import directory
from fedaemon.config import Settings
from fedaemon.ctl.dns_host import host_of
from fedaemon.ctl.dns_records import Host
from fedaemon.ctl.doctor.lookup import Lookup
from fedaemon.ctl.doctor.machine import Machine
from fedaemon.mailauth import keys
from fedaemon.mailauth.keys import DkimKey
from fedaemon.message.address import parse_address
from fedaemon.store.interface import Snapshot
from fedaemon.web.status_client import read_status

CONNECT_S: Final = 10.0
"""For a whole dialogue with a server."""
LOCALHOST: Final = "localhost"

Connect = Callable[[tuple[str, int], float, tuple[str, int] | None], socket.socket]
"""Opens a TCP connection to (address, port) within a time, from (address, 0) if that is given; raises OSError."""


@dataclass(frozen=True, slots=True)
class Stored:
    """What the store says of the domains here.

    *postmasters* are the domains that take mail for postmaster@; *known* is False where the store cannot be read.
    """

    domains: tuple[str, ...] = ()
    disabled: frozenset[str] = frozenset()
    accounts: int = 0
    postmasters: frozenset[str] = frozenset()
    keys: dict[str, tuple[DkimKey, ...]] = field(default_factory=dict)
    known: bool = True


@dataclass(frozen=True, slots=True)
class Case:
    """One server to be examined.

    :ivar domains: those whose DNS is looked at.
    :ivar addresses: the addresses that DNS gives its name, () also when DNS cannot say.
    :ivar now: the time of the examination.
    :ivar uid: user id that the daemon runs as.
    :ivar pid: process of the daemon, None when it does not run.
    :ivar read_status: asks the daemon of a data directory how it is; raises ``Unavailable``.
    """

    settings: Settings
    stored: Stored
    lookup: Lookup
    domains: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    uid: int = 0
    pid: int | None = None
    machine: Machine = field(default_factory=Machine)
    connect: Connect = socket.create_connection
    read_status: Callable[[Path], dict[str, Any]] = read_status

    @property
    def hostname(self) -> str:
        """Our name."""
        return self.settings.server.hostname

    @property
    def ca_file(self) -> Path | None:
        """The authorities to trust; None for the system's."""
        return self.settings.delivery.ca_file

    @property
    def is_local(self) -> bool:
        """True for a server to try things with, of which nobody else knows."""
        return self.hostname == LOCALHOST

    @property
    def delivers_itself(self) -> bool:
        """False when a relay, or an account that captures, gets all mail for other domains."""
        everything = any(route.domain == "*" for route in self.settings.routes)
        return self.settings.delivery.capture is None and not everything

    def sources(self) -> tuple[str, ...]:
        """Return the addresses of this machine that mail goes out from, as it sees them."""
        named = tuple(source.address for source in self.settings.sources)
        return named or self.machine.outgoing()

    def source_for(self, address: str) -> str | None:
        """Return the address that the settings want connections to *address* to come from."""
        version = ip_address(address).version
        named = (source.address for source in self.settings.sources)
        return next((each for each in named if ip_address(each).version == version), None)

    def public_addresses(self) -> tuple[str, ...]:
        """Return the addresses that other servers see: those in DNS, and those that mail goes out from; behind
        NAT only the former are known."""
        seen = [address for address in self.sources() if ip_address(address).is_global]
        return tuple(dict.fromkeys([*self.addresses, *seen]))

    def host(self) -> Host:
        """Return what DNS records are made from."""
        return host_of(self.settings, self.addresses)


def read_store(snapshot: Snapshot, postmaster: str | None) -> Stored:
    """Return what there is to know of the domains in the store.

    :param postmaster: who gets mail for postmaster@ of domains that have none of their own.
    """
    domains = tuple(directory.domains(snapshot))
    names = tuple(domain.name for domain in domains)
    return Stored(
        domains=names,
        disabled=frozenset(domain.name for domain in domains if domain.disabled),
        accounts=sum(1 for _ in directory.accounts(snapshot)),
        postmasters=frozenset(
            name
            for name in names
            if postmaster is not None or directory.resolve(snapshot, parse_address(f"postmaster@{name}"))
        ),
        keys={name: tuple(keys.keys(snapshot, name)) for name in names},
    )
