"""The libraries that programs read mail with, each in its own language and doing what it can.

Each script makes mailboxes with odd names, appends, fetches whole messages and parts, searches, flags, copies,
moves and expunges, hears of new mail without asking where it can, and fails at the first thing that is wrong.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest

from tests.daemon import PATIENCE_S
from tests.interop.conftest import ROOT, Local
from tests.interop.imap_account import ODD_NAMES, Account, Mail
from tests.lab.dovecot import PASSWORD, Dovecot, dovecot
from tests.lab.imap_client import ImapClient, Literal

__all__ = ["dovecot"]

HERE = Path(__file__).parent
JARS = ("/usr/share/java/javax.mail.jar", "/usr/share/java/javax.activation.jar")
Need = Callable[..., None]


@pytest.fixture
def account(local: Local) -> Account:
    return Account(local)


def said(account: Account, *command: object) -> str:
    """Run a program that is told of an account by its environment; return what it says."""
    ports = {f"PORT_{name.upper()}": str(port) for name, port in account.ports.items()}
    person = {"MAIL_USER": account.address, "MAIL_PASSWORD": account.password}
    ca_file = str(account.ca_file)
    done = subprocess.run(
        [str(word) for word in command],
        env={**os.environ, **ports, **person, "CA_FILE": ca_file, "NODE_EXTRA_CA_CERTS": ca_file},
        capture_output=True,
        timeout=PATIENCE_S * 4,
        check=False,
    )
    assert done.returncode == 0, (done.stdout + done.stderr).decode("utf-8", "replace")
    return done.stdout.decode()


@pytest.fixture(scope="module")
def imapflow(need: Need) -> Path:
    """imapflow from the npm registry, kept in var/; return where scripts find it."""
    need("node")
    directory = ROOT / "var" / "imapflow"
    if not (directory / "node_modules" / "imapflow").exists():
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "package.json").write_text('{"private": true}')
        command = ["npm", "install", "--silent", "--no-audit", "--no-fund", "imapflow"]
        subprocess.run(command, cwd=directory, check=True, timeout=300)
    return directory


def test_imapflow(account: Account, imapflow: Path) -> None:
    """Node's imapflow, which enables IMAP4rev2, QRESYNC and UTF8=ACCEPT and idles."""
    script = imapflow / "imapflow.js"
    script.write_bytes((HERE / "imapflow.js").read_bytes())
    enabled = '["CONDSTORE","IMAP4REV2","QRESYNC","UTF8=ACCEPT"]'
    assert said(account, "node", script) == f'{{"enabled":{enabled},"quota":true}}\n'


def test_javamail(account: Account, need: Need, tmp_path: Path) -> None:
    """JavaMail: IMAP with UTF8=ACCEPT, QRESYNC, SORT, MOVE and IDLE, compressed too, and POP3."""
    need("javac", *JARS)
    trust = tmp_path / "trust.p12"
    store = ["-keystore", str(trust), "-storetype", "PKCS12", "-storepass", "changeit"]
    keytool = ["keytool", "-importcert", "-noprompt", "-alias", "ca", "-file", str(account.ca_file), *store]
    subprocess.run(keytool, check=True, capture_output=True, timeout=PATIENCE_S)
    options = [f"-Djavax.net.ssl.trustStore={trust}", "-Djavax.net.ssl.trustStorePassword=changeit"]
    java = ["java", "-Dfile.encoding=UTF-8", *options, "-cp", ":".join(JARS)]
    assert said(account, *java, HERE / "MailDay.java") == "done\n"
    assert list(account.mail()) == []


def test_net_imap(account: Account, need: Need) -> None:
    """Ruby's net/imap, by both kinds of TLS."""
    need("ruby")
    assert said(account, "ruby", HERE / "net_imap.rb") == "done\n"


def test_php(account: Account, need: Need) -> None:
    """PHP's imap functions, which are the c-client of Washington's server: the oldest parser there is."""
    extensions = sorted(Path("/usr/share").glob("php*-imap"))
    need("php", str(extensions[-1] if extensions else "/usr/share/php-imap"))
    assert said(account, "php", HERE / "imap.php") == "done\n"


def kept(client: ImapClient, mailbox: bytes) -> list[Mail]:
    """Return the messages of a mailbox on any server, in their order."""
    client.ok(b"EXAMINE " + mailbox)
    fetched = client.ok(b"UID FETCH 1:* (FLAGS INTERNALDATE BODY.PEEK[])").fetched()
    messages: list[Mail] = []
    for _, items in sorted(fetched.items()):
        octets, flags, date = items["BODY[]"], items["FLAGS"], items["INTERNALDATE"]
        assert isinstance(octets, bytes)
        assert isinstance(flags, list)
        assert isinstance(date, bytes)
        shown = frozenset(str(flag) for flag in flags if flag != "\\Recent")
        messages.append(Mail(octets, shown, date.decode()))
    return messages


def test_a_whole_account_from_dovecot_and_back(
    account: Account, dovecot: Dovecot, need: Need, tmp_path: Path
) -> None:
    """Perl's Mail::IMAPClient copies everything as imapsync does: octets, flags, keywords, and dates stay."""
    need("perl", "/usr/share/perl5/Mail/IMAPClient.pm")
    names = [b"INBOX", *ODD_NAMES.values()]
    with dovecot.imap("before") as client:
        for place, name in enumerate(names):
            if name != b"INBOX":
                client.ok(b"CREATE " + name)
            for number, flags in enumerate(
                (b"", rb"\Seen \Answered", rb"\Flagged $Forwarded Ours", rb"\Draft")
            ):
                date = b'"%2d-Feb-2004 23:59:%02d -0330"' % (number + 1, place)
                body = b"Subject: \xc3\xbc %d\r\n\r\n.\r\n%b" % (number, bytes(range(1, 256)) * number * 50)
                client.ok(b"APPEND %b (%b) %b " % (name, flags, date), Literal(body))
        client.ok(b"CREATE Empty")
        before = {name: kept(client, name) for name in (*names, b"Empty")}
    assert all(len(before[name]) == 4 for name in names)
    there = f"{account.ports['imaps']},{account.address},{account.password},{account.ca_file}"
    dovecots = "{},{},{},{}".format
    first = dovecots(dovecot.imaps_port, "before", PASSWORD, dovecot.certificate)
    last = dovecots(dovecot.imaps_port, "after", PASSWORD, dovecot.certificate)
    said(account, "perl", HERE / "imapclient.pl", first, there)
    said(account, "perl", HERE / "imapclient.pl", there, last)
    with account.session() as near, dovecot.imap("after") as client:
        for name, messages in before.items():
            assert same(kept(near, name)) == same(messages), name
            assert same(kept(client, name)) == same(messages), name


def same(messages: list[Mail]) -> list[Mail]:
    """Return messages with their dates as seconds since 1970: each server shows its own zone."""
    return [Mail(one.octets, one.flags, str(seconds(one.date))) for one in messages]


def seconds(date: str) -> float:
    """Return an internal date as seconds since 1970."""
    return datetime.strptime(date.strip(), "%d-%b-%Y %H:%M:%S %z").timestamp()
