"""The load on IMAP and POP3: it reads answers to their end, however they come in pieces, and ends on a refusal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from bench.imap_load import TAG, Connection, LoadError, Maildrop, fill, message, rotate
from bench.imap_server import Fedaemon
from bench.server import run

PASSWORD = "correct-horse"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fedaemon]:
    """A fedaemon with one account."""
    directory = tmp_path_factory.mktemp("load")
    files = directory / "certificate.pem", directory / "key.pem"
    make_certificate(*files)
    with Fedaemon(directory / "fe", *files, PASSWORD) as fedaemon:
        yield fedaemon


def make_certificate(certificate: Path, private_key: Path) -> None:
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", str(private_key)]
    run(["openssl", "req", "-x509", *key, "-out", str(certificate), "-days", "2", "-subj", "/CN=bench.test"])


class Answered(Connection):
    """A connection on which so many pieces come, then the end."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)

    def receive(self) -> bytes:
        for piece in self._pieces:
            return piece
        raise LoadError("the server closed the connection")


@pytest.mark.parametrize("mail", [b"", b"x" * 5_000], ids=["short", "longer than what is looked at"])
def test_an_answer_ends_at_its_tagged_line(mail: bytes) -> None:
    """Wherever the pieces end, and though a message has the same words."""
    text = b"* 1 FETCH (BODY[] {1}\r\n" + mail + TAG + b"X OK\r\n)\r\n" + TAG + b" OK done\r\n"
    for cut in (*range(1, 40), *range(len(text) - 60, len(text))):
        assert Answered([text[:cut], text[cut:]]).answer() == text
    assert Answered(bytes([octet]) for octet in text).answer() == text


@pytest.mark.parametrize("end", [b"", TAG + b" NO no\r\n", TAG + b" BAD OK\r\n"], ids=["closed", "no", "bad"])
def test_what_is_not_ok_ends_the_measurement(end: bytes) -> None:
    """And so does a server that goes away."""
    with pytest.raises(LoadError):
        Answered([b"* OK here\r\n", *([end] if end else [])]).answer()


def test_what_is_appended_comes_back(server: Fedaemon) -> None:
    """Many in one command; answers are whole, of whatever size, and POP3 has the same messages."""
    with Connection(server) as connection:
        fill(connection, b"INBOX", 7, octets=40_000)
        assert b"* 7 EXISTS\r\n" in connection.command(b"SELECT INBOX")
        answer = connection.command(b"FETCH 1:* BODY.PEEK[]")
        assert all(message(number, 40_000) in answer for number in range(7))
        assert answer.endswith(b"\r\n") and answer.count(TAG) == 1
        assert connection.command(b"SEARCH UNSEEN").startswith(b"* SEARCH 1\r\n")
    with Maildrop(server) as maildrop:
        assert message(6, 40_000) in maildrop.retrieve(7)
        with pytest.raises(LoadError, match="-ERR"):
            maildrop.retrieve(8)
        maildrop.quit()


def test_a_refusal_ends_it(server: Fedaemon) -> None:
    """An answer that is not OK is no figure, nor is a log-in with a wrong password."""
    with Connection(server) as connection, pytest.raises(LoadError, match="NO "):
        connection.command(b"SELECT nowhere")
    wrong = Fedaemon(server.directory, server.certificate, server.private_key, "wrong")
    wrong.port = server.port
    with pytest.raises(LoadError, match="AUTHENTICATIONFAILED"):
        Connection(wrong)


def test_commands_go_to_whoever_is_free(server: Fedaemon) -> None:
    """Each is carried out once; a refused one ends all."""
    connections = [Connection(server) for _ in range(3)]
    rotate(connections, iter([b"CREATE m%d" % number for number in range(10)]))
    assert connections[0].command(b'LIST "" m%').count(b"* LIST") == 10
    with pytest.raises(LoadError, match="ALREADYEXISTS"):
        rotate(connections, iter([b"CREATE m1"]))
    for each in connections:
        each.socket.close()
