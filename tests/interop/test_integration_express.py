"""docs/integrations/express.md: its service, started as it stands, sends, refuses, and cannot be abused."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.daemon import PATIENCE_S, wait_until
from tests.interop.conftest import Local
from tests.interop.examples import FILE_NAME, INVOICE, STRANGER, Example, account, arrived, check_letter
from tests.interop.imap_account import Account
from tests.interop.pages import Page, replaced, says
from tests.interop.servers import LOGIN, SPENT, Server, silent_server

__all__ = ["account"]

PAGE = Page("express")
TOKEN = "a token of the test"


class Service:
    """The running service: where it is, and what it has logged."""

    def __init__(self, example: Example, url: str, log: Path) -> None:
        self.example, self.url, self.log = example, url, log

    def letter(self, **changes: Any) -> dict[str, Any]:
        """Return the request of the page with the invoice in it, changed as a caller might."""
        request: dict[str, Any] = json.loads((self.example.directory / "request.json").read_text())
        request["attachments"] = [{"filename": FILE_NAME, "content": base64.b64encode(INVOICE).decode()}]
        return request | changes

    def post(self, body: object, token: str = TOKEN) -> tuple[int, dict[str, Any]]:
        """Ask the service to send *body*, as JSON unless it is octets; return status and answer."""
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        octets = body if isinstance(body, bytes) else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/messages", octets, headers)
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    def refuses(self, status: int, failure: str, **changes: Any) -> None:
        """Post the letter; fail unless it is answered *status*, and logged as the page quotes for *failure*."""
        answered, answer = self.post(self.letter(**changes))
        assert answered == status, answer
        assert not re.search(r"\d\.\d\.\d|<", answer["error"]), "the caller learns nothing of the mail server"
        quoted = PAGE.errors()[failure]
        log = wait_until(self.log.read_text, "a line in the log")
        assert says(log, quoted, self.example.replacements), f"the page:\n{quoted}\nthe log:\n{log}"


Start = Callable[..., AbstractContextManager[Service]]


@pytest.fixture
def start(local: Local, tmp_path: Path, need: Callable[..., None], node_modules: Path) -> Start:
    """Start the service of the page, with a mistake if there is one; use it as a context."""
    need("node")

    @contextmanager
    def started(
        server: Server | None = None,
        recipient: str = "bob@example.test",
        variant: str = "",
        edit: tuple[str, str, str] | None = None,
        **changes: str,
    ) -> Iterator[Service]:
        example = Example(PAGE, tmp_path, server or Server.of(local), recipient, variant)
        example.environment |= {"NODE_PATH": str(node_modules), "PORT": "0", "API_TOKEN": TOKEN} | changes
        if edit is not None:
            example.edit(*edit)
        log = tmp_path / "log"
        command = replaced(PAGE.commands()["start"], example.replacements).split()
        with log.open("wb") as errors:
            process = subprocess.Popen(
                command, cwd=tmp_path, env=example.environment, stdout=subprocess.PIPE, stderr=errors
            )
        try:
            assert process.stdout is not None
            found = re.search(r"http://127\.0\.0\.1:\d+", process.stdout.readline().decode())
            assert found, log.read_text()
            yield Service(example, found[0], log)
        finally:
            process.terminate()
            code = process.wait(PATIENCE_S)
            assert process.stdout is not None
            process.stdout.close()
        assert code == 0, log.read_text()

    return started


@pytest.mark.parametrize("variant", ["", "587"], ids=["465", "587"])
def test_a_posted_letter_arrives(start: Start, account: Account, variant: str) -> None:
    with start(recipient=account.address, variant=variant) as service:
        status, answer = service.post(service.letter())
    assert status == 200, answer
    assert check_letter(arrived(account))["Message-ID"] == answer["messageId"]


def test_curl_as_the_page_says(start: Start, account: Account, need: Callable[..., None]) -> None:
    """The last commands of the page, with nothing but the port of the service changed."""
    need("curl")
    with start(recipient=account.address) as service:
        lines = PAGE.commands()["send"].replace("http://127.0.0.1:3000", service.url)
        printed = service.example.shell(lines)
    assert printed.code == 0, printed.text
    assert json.loads(printed.text)["messageId"].encode() in arrived(account)


def test_nothing_without_the_token(start: Start) -> None:
    with start() as service:
        assert service.post(service.letter(), token="")[0] == 401
        assert service.post(service.letter(), token=TOKEN + "x")[0] == 401


def test_no_start_without_a_token(start: Start) -> None:
    with pytest.raises(AssertionError, match="set API_TOKEN"), start(API_TOKEN=""):
        pass


INJECTIONS: list[dict[str, Any]] = [
    {"subject": "hello\r\nBcc: carol@example.test"},
    {"subject": "hello\nBcc: carol@example.test"},
    {"to": "bob@example.test\r\nBcc: carol@example.test"},
    {"to": "bob@example.test, carol@example.test"},
    {"to": "bob@example.test>\r\nRCPT TO:<carol@example.test"},
    {"to": ["bob@example.test", "carol@example.test"]},
    {"to": {"name": "Bob\r\nBcc: carol@example.test", "address": "bob@example.test"}},
    {"to": "Carol <carol@example.test>"},
    {"subject": {"path": "/etc/passwd"}},
    {"text": {"path": "/etc/passwd"}},
    {"html": {"href": "http://127.0.0.1/"}},
    {"attachments": [{"filename": "x\r\nBcc: carol@example.test", "content": ""}]},
    {"attachments": [{"filename": "x", "path": "/etc/passwd"}]},
    {"attachments": {"length": 1}},
]
"""What callers may not do: more recipients, fields of their own, files of the machine, other people's servers."""


def test_injections_are_refused(start: Start) -> None:
    with start() as service:
        for changes in INJECTIONS:
            status, answer = service.post(service.letter(**changes))
            assert status == 400, (changes, answer)
            assert answer["error"].startswith(f"{next(iter(changes))}: ")
        assert service.log.read_text() == ""


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b'"text"', b"{", b"\xff", b'{"to": null}'])
def test_what_is_no_letter_is_refused_in_words(start: Start, body: bytes) -> None:
    """No trace of the program's inside, and no crash."""
    with start() as service:
        status, answer = service.post(body)
        assert status == 400
        assert list(answer) == ["error"]
        assert "\n" not in answer["error"]
        assert service.post(service.letter(to="not an address"))[0] == 400


def test_fields_that_are_not_known_have_no_effect(start: Start, account: Account) -> None:
    """A sender, more recipients, an envelope or headers of the caller's are not taken over."""
    with start(recipient=account.address) as service:
        more = {
            "from": STRANGER,
            "bcc": "bob@example.test",
            "envelope": {"from": STRANGER, "to": ["bob@example.test"]},
            "headers": {"X-Injected": "yes"},
            "attachments": [
                {"filename": FILE_NAME, "content": base64.b64encode(INVOICE).decode(), "path": "/etc/passwd"}
            ],
        }
        status, answer = service.post(service.letter(**more))
        assert status == 200, answer
    message = check_letter(arrived(account))
    assert message["From"] == f"Alice <{LOGIN}>"
    assert message["X-Injected"] is None


def test_wrong_password(start: Start) -> None:
    with start(MAIL_PASSWORD="wrong") as service:
        service.refuses(500, "wrong-password")


def test_foreign_from(start: Start) -> None:
    with start(edit=("message.js", LOGIN, STRANGER)) as service:
        service.refuses(500, "foreign-from")


def test_without_tls(start: Start) -> None:
    with start(variant="587", edit=("mailer.js", "requireTLS: true", "ignoreTLS: true")) as service:
        service.refuses(500, "no-tls")


def test_untrusted_certificate(start: Start) -> None:
    with start(NODE_EXTRA_CA_CERTS="") as service:
        service.refuses(503, "certificate")


def test_silence(start: Start, local: Local) -> None:
    edit = ("mailer.js", "greetingTimeout: 30_000", "greetingTimeout: 500")
    with silent_server() as port:
        server = replace(Server.of(local), ports={"submissions": port, "submission": port})
        with start(server, variant="587", edit=edit) as service:
            service.refuses(503, "timeout")


def test_too_big(start: Start, strict: Server) -> None:
    with start(strict, recipient=LOGIN) as service:
        service.refuses(500, "too-big")


def test_daily_limit(start: Start, strict: Server) -> None:
    with start(replace(strict, login=SPENT), recipient=LOGIN) as service:
        service.refuses(503, "daily-limit", attachments=[])


def test_unknown_recipient(start: Start) -> None:
    with start() as service:
        service.example.replacements["bob@example.net"] = "nobody@example.test"
        service.refuses(500, "unknown-recipient", to="nobody@example.test")
