"""Posting over real sockets, in a process with a reactor of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fedaemon.net.selfsigned import LocalCa, make_local_ca

PROGRAM = Path(__file__).with_name("client_program.py")
ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def local_ca(tmp_path_factory: pytest.TempPathFactory) -> LocalCa:
    """A server certificate for localhost, and the authority that signed it."""
    return make_local_ca(tmp_path_factory.mktemp("tls"), ["localhost"])


def run(
    *paths: str, host: str = "127.0.0.1", ca: LocalCa | None = None, trusted: bool = True, cut_ms: int = 0
) -> dict[str, Any]:
    """Return the answers to posts and what the server saw."""
    environment = {"PYTHONPATH": str(ROOT)}
    files = ["", ""]
    if ca is not None:
        files = [str(ca.certificate), str(ca.private_key)]
        if trusted:
            environment["SSL_CERT_FILE"] = str(ca.ca_file)
    done = subprocess.run(
        [sys.executable, str(PROGRAM), *files, host, str(cut_ms), *paths],
        check=True,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=environment,
        timeout=60,
    )
    assert done.stderr == ""
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def test_answers_and_one_connection() -> None:
    """Body and header fields arrive; the status is the answer; posts in a row share a connection."""
    report = run("/200", "/500", "/410")
    assert report["answers"] == [
        [200, "the server answered 200"],
        [500, "the server answered 500"],
        [410, "the server answered 410"],
    ]
    assert [each["body"] for each in report["seen"]] == ['{"a":1}'] * 3
    assert report["seen"][0]["headers"]["X-Webhook-Id"] == "1"
    assert len({each["connection"] for each in report["seen"]}) == 1


def test_redirects_are_not_followed() -> None:
    """Whoever answers 302 has not taken the event, and nothing is posted elsewhere."""
    report = run("/302")
    assert report["answers"] == [[302, "the server answered 302"]]
    assert [each["path"] for each in report["seen"]] == ["/302"]


def test_a_long_answer_is_not_read() -> None:
    """The status counts; ten megabytes behind it are not waited for."""
    report = run("/long")
    assert report["answers"] == [[200, "the server answered 200"]]
    assert {"read": "everything"} not in report["seen"]


def test_a_server_that_never_answers() -> None:
    """After the time-out there is no answer, and it was asked once."""
    report = run("/hang")
    assert report["answers"] == [[0, "no answer within 2 s"]]
    assert len(report["seen"]) == 1


@pytest.mark.parametrize("cut_ms", [0, 500])
def test_an_answer_that_never_ends(cut_ms: int) -> None:
    """Its status counts, at the time-out and when the post is cut off: the event was taken."""
    report = run("/stall", "/200", cut_ms=cut_ms)
    assert [code for code, _ in report["answers"]] == [200, 200]
    assert len(report["seen"]) == 2


def test_a_post_that_is_cut_off() -> None:
    """Cancelling ends it as cancelled, so that nobody takes it for the server's failure."""
    report = run("/hang", cut_ms=300)
    assert report["answers"] == [["cancelled", ""]]
    assert len(report["seen"]) == 1


def test_a_kept_connection_that_was_closed() -> None:
    """The next post goes over a new one at once, and only once."""
    report = run("/closes", "/200", "/200")
    assert [code for code, _ in report["answers"]] == [200, 200, 200]
    assert len(report["seen"]) == 3


def test_nobody_listens() -> None:
    """A refused connection is no answer."""
    [[code, text]] = run("/refused")["answers"]
    assert code == 0
    assert "refused" in text.lower()


def test_an_ipv6_address_in_the_url() -> None:
    """[::1] is dialled, not looked up as a name."""
    [[code, text]] = run("/refused", host="[::1]")["answers"]
    assert code == 0
    assert "lookup" not in text.lower()


def test_https_with_a_trusted_certificate(local_ca: LocalCa) -> None:
    """The certificate is for the host of the URL and comes from a trusted authority."""
    report = run("/200", "/200", host="localhost", ca=local_ca)
    assert [code for code, _ in report["answers"]] == [200, 200]


def test_https_with_an_unknown_authority(local_ca: LocalCa) -> None:
    """Nothing is posted, and the reason names the certificate."""
    report = run("/200", host="localhost", ca=local_ca, trusted=False)
    [[code, text]] = report["answers"]
    assert code == 0
    assert "certificate" in text
    assert [each for each in report["seen"] if "path" in each] == []


def test_https_with_another_name(local_ca: LocalCa) -> None:
    """A certificate for localhost is none for 127.0.0.1."""
    report = run("/200", host="127.0.0.1", ca=local_ca)
    assert report["answers"][0][0] == 0
    assert [each for each in report["seen"] if "path" in each] == []
