"""The real queue, finder and SMTP client on an internet in memory, whose time passes only when told.

Days of a message's life run in seconds: ``VirtualWorld`` is the ``World`` of the delivery tests with the real
transport and the real host finder; hosts are those of ``mx.py``.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterable
from typing import Any

from twisted.internet import error
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from fedaemon.delivery.manager import DeliveryManager
from fedaemon.delivery.mx import HostFinder
from fedaemon.delivery.remote import Finder
from fedaemon.delivery.transport import Transport
from fedaemon.net.resolver import Mx, MxAnswer, NoSuchName
from fedaemon.net.tls_client import ClientTls
from fedaemon.smtp.transport import SmtpTransport
from tests.delivery.support import World
from tests.fakes import MemoryEngine
from tests.lab.dialogue import Dialogue
from tests.lab.mx import Behaviour, MxHost
from tests.smtp_client.fakes import FakeTransport

OUR_ADDRESS = "192.0.2.99"
ROUND_TRIP_S = 0.02

_KILLED: list[DeliveryManager] = []


class Internet:
    """Hosts by address and zones by name; what is in *dead* refuses connections, in *deaf* it swallows them."""

    def __init__(self) -> None:
        self.hosts: dict[str, MxHost] = {}
        self.exchangers: dict[str, tuple[Mx, ...]] = {}
        self.dead: set[str] = set()
        self.deaf: set[str] = set()
        self.dialled: list[tuple[float, str]] = []
        """When (on the clock of the test) which address was dialled."""

    def add_domain(
        self, domain: str, *behaviours: Behaviour, host: MxHost | None = None, **more: Any
    ) -> MxHost:
        """Make a domain whose mail exchanger is *host*, or a new one that behaves like this."""
        if host is None:
            address = f"198.51.100.{len(self.hosts) + 1}"
            host = self.hosts[address] = MxHost(f"mx.{domain}", address, *behaviours, **more)
        known = self.exchangers.get(domain, ())
        self.exchangers[domain] = (*known, Mx(10 * (len(known) + 1), host.name))
        return host

    # What HostFinder asks of DNS

    def mx_answer(self, domain: str) -> Deferred[MxAnswer]:
        """Give the MX records."""
        if domain not in self.exchangers:
            return fail(NoSuchName(f"{domain} does not exist"))
        return succeed(MxAnswer(self.exchangers[domain], secure=False))

    def addresses(self, host: str) -> Deferred[list[str]]:
        """Give the address of a host."""
        return succeed([address for address, known in self.hosts.items() if known.name == host])


class InternetClock(Clock):
    """A clock that connects to the hosts of *internet*."""

    def __init__(self, internet: Internet, now_s: float) -> None:
        super().__init__()
        self.advance(now_s)
        self._internet = internet
        self._lines: set[_Line] = set()

    def connectTCP(
        self, host: str, port: int, factory: Any, timeout: float = 30, bindAddress: Any = None
    ) -> Any:
        """Dial (IReactorTCP)."""
        internet = self._internet
        internet.dialled.append((self.seconds(), host))
        connector = _Connector(factory)
        if host in internet.deaf:
            connector.fails(self, timeout, error.TimeoutError())
        elif host in internet.dead or host not in internet.hosts:
            connector.fails(self, ROUND_TRIP_S, error.ConnectionRefusedError(111, "Connection refused"))
        else:
            source = OUR_ADDRESS if bindAddress is None else bindAddress[0]
            self.callLater(ROUND_TRIP_S, self._connect, internet.hosts[host], factory, source)
        return connector

    def _connect(self, host: MxHost, factory: Any, source: str) -> None:
        line = _Line(self, host, source)
        self._lines.add(line)
        line.transport.protocol = factory.buildProtocol(None)
        line.transport.protocol.makeConnection(line.transport)
        line.dialogue.begin()

    def cut(self) -> None:
        """The machine dies: nothing of it happens any more, and its peers see their connections end."""
        calls: list[Any] = list(self.getDelayedCalls())
        for call in calls:
            call.cancel()
        for line in list(self._lines):
            line.ended()

    def forget(self, line: _Line) -> None:
        """A connection is gone."""
        self._lines.discard(line)


class _Connector:
    def __init__(self, factory: Any) -> None:
        self._factory = factory
        self._call: Any = None

    def fails(self, clock: Clock, after_s: float, reason: Exception) -> None:
        self._call = clock.callLater(after_s, self._factory.clientConnectionFailed, self, Failure(reason))

    def stopConnecting(self) -> None:
        if self._call is not None and self._call.active():
            self._call.cancel()
            self._factory.clientConnectionFailed(self, Failure(error.UserError()))


class _Transport(FakeTransport):
    """The client's end of a connection."""

    line: _Line

    def write(self, data: bytes) -> None:
        self.line.from_client(data)

    def _lose(self, reason: Failure) -> None:
        super()._lose(reason)
        self.line.ended()


class _Line:
    """A connection between the client and a host; it is the ``Wire`` of its dialogue."""

    def __init__(self, clock: InternetClock, host: MxHost, source: str) -> None:
        self._clock = clock
        self.transport = _Transport(clock)
        self.transport.line = self
        self.transport.local = source
        self._gone = False
        self.dialogue = Dialogue(host, self, source)

    def from_client(self, data: bytes) -> None:
        self._clock.callLater(0, self._received, data)

    def _received(self, data: bytes) -> None:
        if not self._gone:
            self.dialogue.receive(data)

    def ended(self) -> None:
        """Tell the host, once."""
        if not self._gone:
            self._gone = True
            self._clock.forget(self)
            self.dialogue.lost()

    def write(self, data: bytes) -> None:
        self.transport.deliver(data)

    def hang_up(self) -> None:
        self.transport.lose(error.ConnectionDone())

    def later(self, seconds: float, function: Callable[[], None]) -> None:
        self._clock.callLater(seconds, function)

    def now_s(self) -> float:
        return self._clock.seconds()

    def start_tls(self, context: ssl.SSLContext) -> None:
        raise AssertionError("hosts in memory do not offer TLS")


class VirtualWorld(World):
    """A server's queue and SMTP client on an ``Internet``."""

    def __init__(self, **rules: Any) -> None:
        self.internet = Internet()
        super().__init__(**rules)
        self.manager.start()

    def new_manager(
        self, transport: Transport | None = None, finder: Finder | None = None
    ) -> DeliveryManager:
        self.clock = InternetClock(self.internet, self.clock.seconds())
        hosts = HostFinder(
            self.internet, names=("mail.example.test",), seconds=self.clock.seconds, random=lambda: 0.5
        )
        return super().new_manager(
            transport or SmtpTransport(self.clock, "mail.example.test", ClientTls()), finder or hosts
        )

    def restart(self) -> None:
        """Kill the server and start it again."""
        assert isinstance(self.clock, InternetClock)
        self.clock.cut()
        # What is left of the old run writes into the void, and is not torn down while tests run.
        self.store.engine = MemoryEngine()
        _KILLED.append(self.manager)
        self.kill()
        self.manager.start()
        self.settle()

    def submit_many(self, addresses: Iterable[str], **more: Any) -> list[str]:
        """Accept a message for each of *addresses* at once."""
        ids = [self.enqueue(address, **more) for address in addresses]
        self.manager.wake()
        self.clock.advance(0)
        return ids

    def state(self, queue_id: str) -> str:
        """Return the state of a message's only recipient."""
        (state,) = self.states(queue_id)
        return state

    def last(self, queue_id: str) -> dict[str, Any]:
        """Return what the last attempt for a message's first recipient brought."""
        found = self.recipient(queue_id).last
        assert found is not None
        return dict(found)

    def dials(self, host: MxHost, since_s: float = 0.0) -> int:
        """Return how often *host* was dialled."""
        return sum(at_s >= since_s and address == host.address for at_s, address in self.internet.dialled)
