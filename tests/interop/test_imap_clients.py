"""Mail programs over IMAP, each with what local mode tells and nothing else.

Each reads, flags, moves, deletes and adds what it can; then a strict client looks at what is truly there.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.daemon import submission, wait_until
from tests.interop.conftest import Local
from tests.interop.imap_account import ODD_NAMES, Account, message, run, run_on_terminal, session

Need = Callable[..., None]


@pytest.fixture
def account(local: Local) -> Account:
    """An account with five messages in its INBOX, and mailboxes with odd names."""
    made = Account(local)
    with made.session() as client:
        for name in ODD_NAMES.values():
            client.ok(b"CREATE " + name)
            client.ok(b"SUBSCRIBE " + name)
    made.put(b"INBOX", "one", "two", "three", "four", "five")
    return made


class Curl:
    """curl with an account's password, over TLS from the first octet or by STARTTLS."""

    def __init__(self, account: Account, *, starttls: bool) -> None:
        port = account.ports["imap" if starttls else "imaps"]
        self._url = f"{'imap' if starttls else 'imaps'}://localhost:{port}/"
        self._options = ["--silent", "--show-error", "--cacert", account.ca_file, "--ssl-reqd"]
        self._options += ["--user", f"{account.address}:{account.password}"]

    def __call__(self, path: str, *options: object) -> str:
        return run("curl", *self._options, *options, self._url + path)


@pytest.mark.parametrize("starttls", [False, True], ids=["993", "143"])
def test_curl(account: Account, need: Need, tmp_path: Path, starttls: bool) -> None:
    """curl lists, fetches wholes and parts, searches, stores and appends, also where names are odd."""
    need("curl")
    curl = Curl(account, starttls=starttls)
    assert '"/" "Two Words"' in curl("")
    assert curl("INBOX?SUBJECT%20three").split() == ["*", "SEARCH", "3"]
    assert curl("INBOX;UID=2").encode() == account.mail()["two"].octets
    assert curl("INBOX;MAILINDEX=1;SECTION=TEXT") == "text\r\n"
    curl("INBOX", "--request", "STORE 4 +FLAGS (\\Flagged)")
    (tmp_path / "new").write_bytes(message("appended"))
    curl("Two%20Words", "--upload-file", tmp_path / "new")
    curl("Deep%2Fer%2Fest", "--upload-file", tmp_path / "new")
    assert account.flags()["four"] == {"\\Flagged"}
    assert account.mail(b'"Two Words"')["appended"].octets == (tmp_path / "new").read_bytes()
    assert account.flags(b"Deep/er/est") == {"appended": {"\\Seen"}}


def test_curl_with_a_large_message(account: Account, need: Need, tmp_path: Path) -> None:
    """curl appends 20 MB and gets the same octets."""
    need("curl")
    curl = Curl(account, starttls=False)
    (tmp_path / "large").write_bytes(message("large", (bytes(range(0x20, 0x100)) + b"\r\n") * 90_000))
    curl("Archive", "--upload-file", tmp_path / "large")
    curl("Archive;UID=1", "--output", tmp_path / "same")
    assert (tmp_path / "same").read_bytes() == (tmp_path / "large").read_bytes()


MUTT = r"""
set imap_user="{address}" imap_pass="{password}" imap_check_subscribed=yes
set folder="imaps://localhost:{imaps}/" spoolfile="+INBOX" record="+Sent" postponed="+Drafts" mbox="" trash=""
set ssl_ca_certificates_file="{ca_file}" certificate_file="{ca_file}" ssl_verify_host=yes
set imap_condstore=yes imap_qresync={qresync} header_cache="{directory}/cache"
set sort=mailbox-order editor="true" abort_unmodified=no from="{address}"
set confirmappend=no confirmcreate=no delete=yes move=no wait_key=no beep=no sleep_time=0 quit=yes recall=yes
set smtp_url="smtps://{address}@localhost:{submissions}/" smtp_pass="{password}" smtp_authenticators="plain"
"""
"""Both programs choose SCRAM-SHA-256-PLUS of themselves and then know no channel binding: sending needs a word."""


class Mutt:
    """Mutt or NeoMutt, used by the keys that a person would press."""

    def __init__(self, program: str, account: Account, directory: Path, *, qresync: str = "yes") -> None:
        settings = directory / "muttrc"
        settings.write_text(
            MUTT.format(
                address=account.address,
                password=account.password,
                ca_file=account.ca_file,
                directory=directory,
                qresync=qresync,
                **account.ports,
            )
        )
        inbox = f"imaps://localhost:{account.ports['imaps']}/INBOX"
        self._command = [program, "-n", "-F", settings, "-f", inbox, "-e"]
        self._directory = directory

    def press(self, keys: str) -> None:
        """Open the INBOX and press *keys*, the last of which must end the program."""
        run_on_terminal(*self._command, f'push "{keys}"', home=self._directory)


MUTT_KEYS = (
    "<tag-pattern>~s one<enter><tag-prefix><save-message>=Two<quote-char> Words<enter><untag-pattern>.<enter>"
    "<tag-pattern>~s two<enter><tag-prefix><delete-message><untag-pattern>.<enter>"
    "<search>~s three<enter><flag-message><search>~s four<enter><copy-message>=Grüße<quote-char> R&D<enter>"
    "<search>~s five<enter><display-message><exit><sync-mailbox><quit>"
)
"""Move one, delete two, flag three, copy four to a new mailbox, read five."""


@pytest.mark.parametrize("program", ["mutt", "neomutt"])
@pytest.mark.parametrize("qresync", ["yes", "no"], ids=["qresync", "plain"])
def test_mutt(account: Account, need: Need, tmp_path: Path, program: str, qresync: str) -> None:
    """Mutt and NeoMutt move, delete, flag, copy and read; begun again they find it so, and what is new.

    What was there unread when they ended they give the keyword ``Old``.
    """
    need(program)
    mutt = Mutt(program, account, tmp_path, qresync=qresync)
    mutt.press(MUTT_KEYS)
    assert account.flags() == {"three": {"\\Flagged", "Old"}, "four": {"Old"}, "five": {"\\Seen"}}
    assert account.flags(b'"Two Words"') == {"one": set()}
    assert account.flags(b'"Gr&APwA3w-e R&-D"') == {"four": set()}
    account.put(b"INBOX", "six")
    mutt.press(
        "<tag-pattern>~s six|~F<enter><tag-prefix><save-message>=Deep/er/est<enter><sync-mailbox><quit>"
    )
    assert account.flags() == {"four": {"Old"}, "five": {"\\Seen"}}
    assert account.flags(b"Deep/er/est") == {"three": {"\\Flagged", "Old"}, "six": set()}


@pytest.mark.parametrize("program", ["mutt", "neomutt"])
def test_mutt_writes(account: Account, need: Need, tmp_path: Path, program: str) -> None:
    """A message that is put off lies in Drafts; sent later it lies in Sent, arrives, and is a draft no more."""
    need(program)
    mutt = Mutt(program, account, tmp_path)
    mutt.press(f"<mail>{account.address}<enter>put off<enter><postpone-message><quit>")
    assert account.flags(b"Drafts").keys() == {"put off"}
    mutt.press("<recall-message><send-message><quit>")
    assert account.mail(b"Drafts") == {}
    assert account.flags(b"Sent") == {"put off": {"\\Seen"}}
    wait_until(lambda: "put off" in account.mail(), "what was sent to arrive")


def fetchmail(account: Account, directory: Path, options: str) -> list[object]:
    """Return fetchmail's command line; what it fetches goes into the file ``fetched``."""
    settings = directory / "fetchmailrc"
    settings.write_text(
        f'poll localhost protocol imap port {account.ports["imaps"]} user "{account.address}" '
        f'password "{account.password}" ssl sslcertck sslcertfile "{account.ca_file}" {options} '
        f'mda "tee -a {directory / "fetched"}"\n'
    )
    settings.chmod(0o600)
    return ["fetchmail", "-f", settings, "--pidfile", directory / "pid", "-i", directory / "ids"]


NOTHING_NEW = 1
"""How fetchmail ends when there was no mail."""


def test_fetchmail(account: Account, need: Need, tmp_path: Path) -> None:
    """fetchmail fetches what is unseen and keeps it, marked as seen; or deletes what it has fetched."""
    need("fetchmail")
    keeping = fetchmail(account, tmp_path, "keep")
    run(*keeping)
    fetched = (tmp_path / "fetched").read_bytes()
    assert [fetched.count(b"Subject: %b" % word) for word in (b"one", b"five")] == [1, 1]
    assert set(map(frozenset, account.flags().values())) == {frozenset({"\\Seen"})}
    run(*keeping, codes=(NOTHING_NEW,))
    assert (tmp_path / "fetched").read_bytes() == fetched
    account.put(b"INBOX", "six")
    run(*fetchmail(account, tmp_path, "nokeep folder INBOX"))
    assert (tmp_path / "fetched").read_bytes().count(b"Subject: six") == 1
    assert account.flags().keys() == {"one", "two", "three", "four", "five"}


@contextmanager
def running(command: list[object]) -> Iterator[None]:
    """A program that waits for mail until it is killed: getmail, asked to end, may wait on."""
    process = subprocess.Popen([str(part) for part in command], stdout=subprocess.DEVNULL)
    try:
        yield
        assert process.poll() is None
    finally:
        process.kill()
        process.wait()


def test_fetchmail_idle(account: Account, need: Need, tmp_path: Path) -> None:
    """fetchmail waits in IDLE, and fetches what comes meanwhile."""
    need("fetchmail")
    fetched = tmp_path / "fetched"
    with running(fetchmail(account, tmp_path, "fetchall nokeep idle")):
        wait_until(lambda: fetched.exists() and b"Subject: five" in fetched.read_bytes(), "the mail before")
        wait_until(lambda: not account.mail(), "the INBOX to be empty")
        account.put(b"INBOX", "while it waits")
        wait_until(lambda: b"Subject: while it waits" in fetched.read_bytes(), "the mail in IDLE")
        wait_until(lambda: not account.mail(), "the INBOX to be empty again")


def getmail(account: Account, directory: Path, options: str = "") -> list[object]:
    """Return getmail's command line; what it fetches goes into the file ``fetched``."""
    (directory / "getmailrc").write_text(
        f"[retriever]\ntype = SimpleIMAPSSLRetriever\nserver = localhost\nport = {account.ports['imaps']}\n"
        f"username = {account.address}\npassword = {account.password}\nca_certs = {account.ca_file}\n"
        'mailboxes = ("INBOX", "Two Words", "Deep/er/est")\n'
        f"[destination]\ntype = MDA_external\npath = /usr/bin/tee\n"
        f'arguments = ("-a", "{directory / "fetched"}")\nallow_root_commands = true\n'
        f"[options]\nread_all = false\nreceived = false\ndelivered_to = false\n{options}"
    )
    return ["getmail", "--getmaildir", directory, "--rcfile", "getmailrc"]


def test_getmail(account: Account, need: Need, tmp_path: Path) -> None:
    """getmail6 fetches from several mailboxes, knows what it has, and deletes when it is to."""
    need("getmail")
    account.put(ODD_NAMES["Deep/er/est"], "below")
    account.put(ODD_NAMES["Two Words"], "beside")
    for _ in range(2):
        run(*getmail(account, tmp_path))
    fetched = (tmp_path / "fetched").read_bytes()
    assert [fetched.count(b"Subject: %b" % word) for word in (b"one", b"beside", b"below")] == [1, 1, 1]
    assert len(account.mail()) == 5
    run(*getmail(account, tmp_path, "delete = true\n"))
    assert (tmp_path / "fetched").read_bytes() == fetched
    assert account.mail() == {}


def test_getmail_idle(account: Account, need: Need, tmp_path: Path) -> None:
    """getmail6 waits in IDLE, and fetches what comes meanwhile."""
    need("getmail")
    fetched = tmp_path / "fetched"
    with running([*getmail(account, tmp_path), "--idle", "INBOX"]):
        wait_until(lambda: fetched.exists() and b"Subject: five" in fetched.read_bytes(), "the mail before")
        account.put(b"INBOX", "while it waits")
        wait_until(lambda: b"Subject: while it waits" in fetched.read_bytes(), "the mail in IDLE")


def test_mail_sent_is_seen_in_idle(local: Local, account: Account) -> None:
    """What alice sends is told to a session that waits in IDLE, without its asking, and can be read at once."""
    with account.session() as waiting:
        waiting.ok(b"SELECT INBOX")
        tag, _ = waiting.begin(b"IDLE")
        assert waiting.read().tag == "+"
        with submission(
            account.ports["submissions"], account.ca_file, "alice@example.test", local.alice
        ) as client:
            client.sendmail("alice@example.test", [account.address], message("sent"))
        assert waiting.wait_for("EXISTS").number == 6
        waiting.send(b"DONE\r\n")
        assert waiting.until(tag).status.name == "OK"
        (fetched,) = waiting.ok(b"FETCH 6 BODY.PEEK[HEADER.FIELDS (SUBJECT)]").fetched().values()
    assert fetched["BODY[HEADER.FIELDS (SUBJECT)]"] == b"Subject: sent\r\n\r\n"


def test_captured_mail_is_read_in_the_outbox(local: Local) -> None:
    """Mail to other domains is read over IMAP in the account that local mode captures it in."""
    subject = f"captured {os.urandom(8).hex()}"
    ports, ca_file = local.settings["ports"], Path(local.settings["ca_file"])
    with submission(ports["submissions"], ca_file, "alice@example.test", local.alice) as client:
        client.sendmail("alice@example.test", ["someone@elsewhere.example"], message(subject))
    password = local.settings["accounts"]["outbox@example.test"]["password"]
    with session(local, "outbox@example.test", password) as client_of_outbox:
        client_of_outbox.ok(b"SELECT INBOX")

        def found() -> bool:
            client_of_outbox.ok(b"NOOP")
            (answer,) = client_of_outbox.ok(b'SEARCH SUBJECT "%b"' % subject.encode()).named("SEARCH")
            return len(answer.tokens) == 1

        wait_until(found, "the captured message")
