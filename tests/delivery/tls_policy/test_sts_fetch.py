"""MTA-STS over real HTTPS on loopback: only a policy host that is who it says can give a policy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from twisted.internet.defer import Deferred, succeed

from fedaemon.delivery.tls_policy.sts import StsAnswer, StsPolicies
from fedaemon.net.https import HttpsClient
from fedaemon.net.tls import ClientTls, ServerTls
from tests.delivery.tls_policy.world import DOMAIN, Time
from tests.fakes import MemoryStore
from tests.net.https_server import Answer, Authority, HttpsServer, document
from tests.net.live_reactor import reactor, turn_until, wait_for

HOST = f"mta-sts.{DOMAIN}"
TEXT = "version: STSv1\r\nmode: enforce\r\nmx: *.example.org\r\nmax_age: 604800\r\n"


class Dns:
    """Announces a policy for every domain; every host is this one."""

    def txt(self, name: str) -> Deferred[list[bytes]]:
        return succeed([b"v=STSv1; id=20250101;"])

    def addresses(self, host: str) -> Deferred[list[str]]:
        return succeed(["127.0.0.1"])


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


Ask = Callable[[ServerTls, Answer], tuple[StsAnswer, list[bytes]]]


@pytest.fixture
def ask(authority: Authority) -> Iterator[Ask]:
    running: list[HttpsServer] = []

    def find(tls: ServerTls, answer: Answer) -> tuple[StsAnswer, list[bytes]]:
        """Return the policy that holds when the policy host answers so, and the requests it got."""
        server = HttpsServer(tls, answer)
        running.append(server)
        client = ClientTls(authority.ca_file)
        https = HttpsClient(reactor, Dns(), lambda host: client.creator(host, verify=True), port=server.port)
        found: StsAnswer = wait_for(StsPolicies(Dns(), https, MemoryStore(), Time()).find(DOMAIN))
        return found, server.requests

    yield find
    for server in running:
        turn_until(lambda server=server: server.open == 0)  # type: ignore[misc]
        server.close()


def test_a_good_policy_host(authority: Authority, ask: Ask) -> None:
    """RFC 8461 3.3: the certificate is for mta-sts.DOMAIN, the place is well known, the text is plain."""
    found, requests = ask(authority.server(HOST), lambda _: document(TEXT))
    assert found.policy is not None
    assert (found.policy.mode, found.policy.mx, found.policy.id) == (
        "enforce",
        ("*.example.org",),
        "20250101",
    )
    assert requests[0].startswith(b"GET /.well-known/mta-sts.txt HTTP/1.1\r\n")


@pytest.mark.parametrize(
    ("names", "days", "says"),
    [((HOST,), -1, "expired"), ((DOMAIN,), 30, "not for"), (("mta-sts.example.net",), 30, "not for")],
    ids=["expired", "the domain's certificate", "another domain's"],
)
def test_a_host_that_cannot_prove_its_name_gives_no_policy(
    authority: Authority, ask: Ask, names: tuple[str, ...], days: int, says: str
) -> None:
    """RFC 8461 3.3: else whoever can forge DNS could give a policy that names his own servers."""
    found, requests = ask(authority.server(*names, days=days), lambda _: document(TEXT))
    assert (found.policy, found.failure) == (None, "sts-webpki-invalid")
    assert says in found.why
    assert requests == []


def test_a_host_of_an_unknown_authority_gives_no_policy(tmp_path: Path, ask: Ask) -> None:
    """The same for a certificate that anybody could have made."""
    found, requests = ask(Authority(tmp_path).server(HOST), lambda _: document(TEXT))
    assert (found.failure, requests) == ("sts-webpki-invalid", [])


def test_redirects_give_no_policy(authority: Authority, ask: Ask) -> None:
    """RFC 8461 3.3: they must not be followed, not even to a good place."""
    place = f"Location: https://{HOST}/.well-known/mta-sts.txt\r\n"
    found, requests = ask(authority.server(HOST), lambda _: document(TEXT, status="302 Found", more=place))
    assert (found.policy, found.failure, len(requests)) == (None, "sts-policy-fetch-error", 1)


@pytest.mark.parametrize(
    ("octets", "failure"),
    [
        (document(TEXT, media_type="text/html"), "sts-policy-invalid"),
        (document(TEXT + "x" * 70_000), "sts-policy-fetch-error"),
        (document(TEXT)[:-20], "sts-policy-fetch-error"),
        (document(TEXT.replace("enforce", "maybe")), "sts-policy-invalid"),
        (document(TEXT, status="404 Not Found"), "sts-policy-fetch-error"),
    ],
    ids=["media type", "too long", "cut short", "no policy", "not found"],
)
def test_other_answers_give_no_policy(authority: Authority, ask: Ask, octets: bytes, failure: str) -> None:
    """Each with the name that RFC 8460 4.3 has for it."""
    found, _ = ask(authority.server(HOST), lambda _: octets)
    assert (found.policy, found.failure) == (None, failure)
