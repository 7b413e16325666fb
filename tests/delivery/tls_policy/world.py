"""What the tests of policies share: DNS and policy hosts that answer as told, and a clock."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, fail, succeed

from fedaemon.net.dns_query import NoSuchName
from fedaemon.net.https import Response
from fedaemon.net.resolver import AddressAnswer, TlsaAnswer, TlsaRecord

DAY_MS = 86_400_000
START_MS = 20_000 * DAY_MS

MX = "mx.example.org"
DOMAIN = "example.org"
DIGEST = b"\xab" * 32
EE = TlsaRecord(3, 1, 1, DIGEST)


def fired(deferred: Deferred[Any]) -> Any:
    """Return what a Deferred has fired with; it must have."""
    results: list[Any] = []
    deferred.addBoth(results.append)
    assert results, "nothing has come yet"
    return results[0]


class Time:
    """A wall clock that stands until told."""

    def __init__(self) -> None:
        self.ms = START_MS

    def __call__(self) -> int:
        return self.ms


class FakeDns:
    """Answers from dictionaries; an exception in place of an answer is a failure."""

    def __init__(self) -> None:
        self.texts: dict[str, list[bytes] | Exception] = {}
        self.hosts: dict[str, AddressAnswer | Exception] = {}
        self.aliases: dict[str, bool | Exception] = {}
        self.tlsa_records: dict[str, TlsaAnswer | Exception] = {}
        self.asked: list[str] = []

    def host(self, name: str, *, secure: bool = True, leads_to: str = "") -> None:
        self.hosts[name] = AddressAnswer(("192.0.2.1",), leads_to or name, secure)

    def records(self, host: str, *records: TlsaRecord, secure: bool = True) -> None:
        self.tlsa_records[f"_25._tcp.{host}"] = TlsaAnswer(records, secure)

    def txt(self, name: str) -> Deferred[list[bytes]]:
        return self._answer(self.texts, name, NoSuchName(f"{name} does not exist"))

    def address_answer(self, host: str) -> Deferred[AddressAnswer]:
        return self._answer(self.hosts, host, NoSuchName(f"{host} does not exist"))

    def alias_is_secure(self, host: str) -> Deferred[bool]:
        return self._answer(self.aliases, host, False)

    def tlsa(self, name: str) -> Deferred[TlsaAnswer]:
        return self._answer(self.tlsa_records, name, TlsaAnswer((), secure=True))

    def _answer(self, answers: dict[str, Any], name: str, default: Any) -> Deferred[Any]:
        self.asked.append(name)
        found = answers.get(name, default)
        return fail(found) if isinstance(found, Exception) else succeed(found)


class FakeHttps:
    """Gives each fetch the next answer of *answers*; None keeps it waiting in *waiting*."""

    def __init__(self) -> None:
        self.answers: list[Response | Exception | None] = []
        self.fetched: list[str] = []
        self.waiting: list[Deferred[Response]] = []
        self.limits: tuple[int, float] = (0, 0)

    def get(self, host: str, path: str, *, limit_octets: int, timeout_s: float) -> Deferred[Response]:
        self.fetched.append(f"https://{host}{path}")
        self.limits = (limit_octets, timeout_s)
        answer = self.answers.pop(0)
        if answer is None:
            self.waiting.append(Deferred())
            return self.waiting[-1]
        return fail(answer) if isinstance(answer, Exception) else succeed(answer)


def policy_text(*, mode: str = "enforce", mx: str = MX, max_age: int = 604_800) -> Response:
    """Return a policy host's good answer."""
    text = f"version: STSv1\nmode: {mode}\nmx: {mx}\nmax_age: {max_age}\n"
    return Response(200, "text/plain", text.encode())
