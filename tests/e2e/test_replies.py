"""What the real process answers stands on docs/replies.md, word for word.

``tests/test_replies.py`` compares the page with the code as it is written; here it is what goes over the wire.
"""

from __future__ import annotations

import base64
import re
import socket
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from fedaemon.net.selfsigned import make_local_ca
from tests.daemon import PATIENCE_S, Daemon, client_context, free_port
from tests.e2e.peers import ALICE, BOB, DOMAIN, PASSWORD
from tests.test_replies import documented, pattern

SETTINGS = """
[server]
hostname = "mail.example.test"
data_dir = "data"
[tls]
certificate = "{files.certificate}"
private_key = "{files.private_key}"
"""
SERVICES = (
    ("submission", "starttls"),
    ("submission", "implicit"),
    ("mx", "starttls"),
    ("imap", "starttls"),
    ("imap", "implicit"),
    ("pop3", "starttls"),
    ("pop3", "implicit"),
)

_REFUSAL = re.compile(r"[45]\d\d |-ERR|(?:\S+ )(?:NO|BAD|BYE)\b")
_MORE = re.compile(r"\d{3}-")
_TAG = re.compile(r"([a-z]\d|\*) ")


@cache
def known() -> list[re.Pattern[str]]:
    """Return what may be said, in the forms of all protocols, as the page's table has them."""
    forms = []
    for reply in documented():
        forms.append(reply)
        if found := re.fullmatch(r"(\d{3}) \S+ (.*)", reply):
            code, text = found.groups()
            if code == "535":
                forms += [f"-ERR [AUTH] {text}", f"NO [AUTHENTICATIONFAILED] {text}"]
            elif code[0] == "4":
                forms += [f"-ERR [SYS/TEMP] {text}", f"NO [UNAVAILABLE] {text}"]
    return [re.compile(re.escape(pattern(form)).replace(r"\{\}", ".+")) for form in forms]


class Talk:
    """One connection; ``refusals`` are what the server said no with."""

    def __init__(self, port: int, ca_file: Path, tls: str) -> None:
        plain = socket.create_connection(("localhost", port), PATIENCE_S)
        context = client_context(ca_file)
        self._socket = context.wrap_socket(plain, server_hostname="localhost") if tls == "implicit" else plain
        self._file = self._socket.makefile("rb")
        self.refusals: list[str] = []
        self._line()

    def __enter__(self) -> Talk:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._socket.close()

    def says(self, *lines: str | bytes) -> None:
        """Say lines, and hear an answer to each, until the server closes."""
        for line in lines:
            if self.refusals and self.refusals[-1].startswith("421"):
                return
            self._socket.sendall((line if isinstance(line, bytes) else line.encode()) + b"\r\n")
            self._hear(line if isinstance(line, str) else "")

    def _hear(self, line: str) -> None:
        tag = found[1] if (found := _TAG.match(line)) else ""
        said = self._line()
        texts = [said]
        while _MORE.match(said) or (tag and said and not said.startswith((f"{tag} ", "+ ", "* BYE"))):
            said = self._line()
            texts.append(said)
        if _REFUSAL.match(said):
            self.refusals.append(_one_text(texts))

    def _line(self) -> str:
        try:
            return self._file.readline().decode("utf-8").rstrip("\r\n")
        except ConnectionError:
            return ""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[dict[tuple[str, str], int], Path]]:
    """A server with all services; its ports by service and TLS, and the authority to trust."""
    directory = tmp_path_factory.mktemp("replies")
    files = make_local_ca(directory / "tls", ("localhost",))
    ports = {key: free_port() for key in SERVICES}
    settings = SETTINGS.format(files=files)
    for (service, tls), port in ports.items():
        settings += (
            f'[[listener]]\nservice = "{service}"\naddress = "127.0.0.1"\nport = {port}\ntls = "{tls}"\n'
        )
    daemon = Daemon(directory, settings)
    daemon.ctl("domain", "add", DOMAIN)
    for address in (ALICE, BOB):
        daemon.ctl("account", "add", address, "--password-stdin", stdin=PASSWORD)
    daemon.ctl("account", "disable", BOB)
    daemon.start()
    try:
        yield ports, files.ca_file
    finally:
        daemon.stop()


def _one_text(lines: list[str]) -> str:
    """Return a reply as the page has it: over SMTP its lines as one, over IMAP without the tag."""
    if not lines[-1][0].isdigit():
        return _TAG.sub("", lines[-1])
    code, status, _ = re.split("[ -]", lines[-1], maxsplit=2)
    return f"{code} {status} " + " ".join(line[len(code) + len(status) + 2 :] for line in lines)


def plain(login: str, password: str) -> str:
    """Return the message of SASL PLAIN."""
    return base64.b64encode(f"\0{login}\0{password}".encode()).decode()


def message(*lines: str) -> bytes:
    """Return a content with the end of DATA, without its last line end."""
    return "\r\n".join((*lines, ".")).encode()


MX = (
    "MAIL FROM:<a@b.example>",
    "EHLO",
    "FOO",
    "EHLO client.example",
    "AUTH PLAIN",
    "MAIL FROM:a@b.example",
    "MAIL FROM:<a.@b.example>",
    "MAIL FROM:<a@-.example>",
    "MAIL FROM:<a@b.example> SIZE=99999999999",
    "MAIL FROM:<a@b.example> SIZE=x",
    "MAIL FROM:<a@b.example> FOO=1",
    "MAIL FROM:<a@b.example>",
    "MAIL FROM:<a@b.example>",
    "RCPT TO:<>",
    "RCPT TO:<nobody@example.test>",
    f"RCPT TO:<{BOB}>",
    "RCPT TO:<bob@elsewhere.example>",
    "DATA",
    "EXPN all",
    "ETRN example.test",
    "NOOP",
    "STARTTLS now",
    b"NOOP\r\r",
    "BAR",
    "BAZ",
    "QUX",
)
POP3 = (
    "FOO",
    "STAT",
    "STLS",
    "USER",
    "APOP alice 0123",
    "PASS x",
    "AUTH CRAM-MD5",
    "AUTH PLAIN !",
    f"USER {BOB}",
    f"PASS {PASSWORD}",
    "USER alice",
    "PASS x",
    f"USER {ALICE}",
    "PASS wrong",
    f"USER {ALICE}",
    f"PASS {PASSWORD}",
    "USER alice",
    "RETR 1",
    "TOP 1",
    "DELE x",
)
IMAP = (
    "a1 FOO",
    "a2 SELECT INBOX",
    "a3 STARTTLS",
    "a4 AUTHENTICATE CRAM-MD5",
    f'a5 LOGIN {ALICE} "wrong"',
    f'a6 LOGIN {BOB} "{PASSWORD}"',
    f'a7 LOGIN {ALICE} "{PASSWORD}"',
    "b1 SELECT nowhere",
    "b2 DELETE INBOX",
    "b3 CREATE a//b",
    "b4 CREATE Drafts (USE (\\Nothing))",
    "b5 RENAME Sent Sent/below",
    "b6 FETCH 1 FLAGS",
    "b7 SELECT INBOX",
    "b8 FETCH 1",
    "b9 FETCH 7 FLAGS",
    "c1 SEARCH CHARSET KOI8-R TEXT x",
    "c2 SETQUOTA alice ()",
    "c3 GETQUOTA alice",
    "c4 COMPRESS ZSTD",
    "c5 STORE 1 FLAGS (\\Nothing)",
    "c6 APPEND nowhere {1+}\r\nx",
    "c7 EXAMINE INBOX",
    "c8 EXPUNGE",
    "c9 UID FETCH 1 (FLAGS) (VANISHED)",
    "d1 LOGOUT",
)
SUBMISSION = (
    "EHLO client.example",
    f"MAIL FROM:<{ALICE}>",
    "AUTH CRAM-MD5",
    "AUTH PLAIN !",
    f"AUTH PLAIN {plain(ALICE, 'wrong')}",
    f"AUTH PLAIN {plain('alice', PASSWORD)}",
    f"AUTH PLAIN {plain(BOB, PASSWORD)}",
    f"AUTH PLAIN {plain(ALICE, PASSWORD)}",
    "STARTTLS",
    f"MAIL FROM:<{BOB}>",
    f"MAIL FROM:<{ALICE}> HOLDUNTIL=2020-01-01T00:00:00Z",
    f"MAIL FROM:<{ALICE}>",
    f"RCPT TO:<{ALICE}>",
    "DATA",
    message("Subject: nobody", "", "x"),
    f"MAIL FROM:<{ALICE}>",
    f"RCPT TO:<{ALICE}>",
    "DATA",
    message(f"From: {BOB}", "", "x"),
    f"MAIL FROM:<{ALICE}>",
    f"RCPT TO:<{ALICE}>",
    "DATA",
    message(f"From: {ALICE}", "nonsense", "", "x"),
    f"MAIL FROM:<{ALICE}>",
    f"RCPT TO:<{ALICE}>",
    "DATA",
    message(f"From: {ALICE}", "", "a bare\nline feed"),
)


@pytest.mark.parametrize(
    ("service", "tls", "lines", "refused"),
    [
        ("mx", "starttls", MX, 21),
        ("submission", "starttls", ("EHLO x", f"MAIL FROM:<{ALICE}>", "AUTH PLAIN"), 2),
        ("submission", "implicit", SUBMISSION, 13),
        ("pop3", "starttls", ("USER alice", "AUTH PLAIN"), 2),
        ("pop3", "implicit", POP3, 15),
        ("imap", "starttls", ("a1 LOGIN a b",), 1),
        ("imap", "implicit", IMAP, 23),
    ],
)
def test_each_refusal_is_on_the_page(
    service: str,
    tls: str,
    lines: tuple[str | bytes, ...],
    refused: int,
    server: tuple[dict[tuple[str, str], int], Path],
) -> None:
    ports, ca_file = server
    with Talk(ports[service, tls], ca_file, tls) as talk:
        talk.says(*lines)
    assert not [said for said in talk.refusals if not any(form.fullmatch(said) for form in known())]
    assert len(talk.refusals) == refused, talk.refusals
