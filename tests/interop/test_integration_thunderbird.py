"""docs/integrations/thunderbird.md: the account is found, made and used as its assistant does it.

Thunderbird asks http://autoconfig.example.test, which no DNS knows: it is told to ask a proxy, which leads that
name to the http listener of local mode, and every other nowhere.
"""

from __future__ import annotations

import http.client
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.daemon import PATIENCE_S, wait_until
from tests.interop.conftest import Local
from tests.interop.imap_account import Account
from tests.interop.pages import Page
from tests.interop.thunderbird import FreshThunderbird

ASSISTANT = """
const load = name => ChromeUtils.importESModule(`resource:///modules/accountcreation/${name}.sys.mjs`);
const { AccountConfig } = load("AccountConfig"), { CreateInBackend } = load("CreateInBackend");
const { FindConfig } = load("FindConfig"), { ConfigVerifier } = load("ConfigVerifier");
const [address, password, type] = args;

const found = await FindConfig.parallelAutoDiscovery(
  address.split("@")[1], address, new AbortController().signal, password).next();
const config = found.value;
config.incoming = [config.incoming, ...config.incomingAlternatives].find(one => one.type === type);
AccountConfig.replaceVariables(config, "Alice", address, password);
config.rememberPassword = true;
"""
"""What the assistant does with name, address and password; *type* is what the user chooses, "imap" or "pop3"."""

SHOW = """
const shown = one => [one.type, one.hostname, one.port, one.socketType, one.auth, one.username];
return [config.subSource, shown(config.incoming), shown(config.outgoing)];
"""

MAKE = """
await new Promise((resolve, reject) => new ConfigVerifier(null, new AbortController().signal)
  .verifyConfig(config, false).then(resolve, reject));
const made = await CreateInBackend.createAccountInBackend(config);
const others = MailServices.accounts.accounts.map(one => one.key).filter(key => key !== made.key);
MailServices.accounts.reorderAccounts([made.key, ...others]);
"""

FAILED = "Unable to log in at server. Probably wrong configuration, username or password."
SSL, STARTTLS, PASSWORD = 3, 2, 3
"""Thunderbird's numbers of socket types and of the method "normal password"."""


@pytest.fixture(scope="module")
def proxy(local: Local) -> Iterator[int]:
    """What leads autoconfig.example.test to local mode; yields its port."""

    class Proxy(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            url = urlsplit(self.path)
            if url.hostname != "autoconfig.example.test":
                return self.send_error(502)
            upstream = http.client.HTTPConnection("127.0.0.1", local.settings["ports"]["http"], PATIENCE_S)
            upstream.request("GET", f"{url.path}?{url.query}", headers={"Host": url.netloc})
            answer = upstream.getresponse()
            octets = answer.read()
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.headers["Content-Type"])
            self.send_header("Content-Length", str(len(octets)))
            self.end_headers()
            self.wfile.write(octets)
            return None

        def do_CONNECT(self) -> None:
            self.send_error(502)

        do_POST = do_CONNECT

        def log_request(self, code: Any = "-", size: Any = "-") -> None:
            """Say nothing."""

        def log_error(self, message: str, *args: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Proxy) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


@pytest.fixture(scope="module")
def account(local: Local) -> Account:
    return Account(local)


@pytest.fixture(scope="module")
def thunderbird(
    account: Account, proxy: int, need: Callable[..., None], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[FreshThunderbird]:
    need("thunderbird")
    need("certutil")
    through = {"type": 1, "http": "127.0.0.1", "http_port": proxy, "ssl": "127.0.0.1", "ssl_port": proxy}
    settings = {f"network.proxy.{name}": value for name, value in through.items()}
    program = FreshThunderbird(tmp_path_factory.mktemp("fresh"), account, settings)
    try:
        program.start()
        yield program
    finally:
        program.close()


@pytest.mark.parametrize(("kind", "port"), [("imap", "imaps"), ("pop3", "pop3s")], ids=["993", "995"])
def test_it_finds_the_settings(thunderbird: FreshThunderbird, account: Account, kind: str, port: str) -> None:
    """Address and password are all that it is told."""
    found = thunderbird.run(ASSISTANT + SHOW, account.address, account.password, kind)
    assert found == [
        "xml-from-isp-http",
        [kind, "localhost", account.ports[port], SSL, PASSWORD, account.address],
        ["smtp", "localhost", account.ports["submissions"], SSL, PASSWORD, account.address],
    ]


def test_an_account_by_imap(thunderbird: FreshThunderbird, account: Account) -> None:
    """The settings that were found hold: it logs in, shows what is there, and sends over 465."""
    account.put(b"INBOX", "waiting")
    thunderbird.run(ASSISTANT + MAKE, account.address, account.password, "imap")
    thunderbird.run(
        "server.getNewMessages(root, null, null);"
        'await until(() => root.containsChildNamed("INBOX") && message("INBOX", "waiting"))'
    )
    sends(thunderbird, account, "over 465")


def test_sending_over_587(thunderbird: FreshThunderbird, account: Account) -> None:
    """The other settings of the page, set by hand."""
    thunderbird.run(
        "const out = MailServices.outgoingServer.defaultServer.QueryInterface(Ci.nsISmtpServer);"
        "[out.port, out.socketType] = args",
        account.ports["submission"],
        STARTTLS,
    )
    sends(thunderbird, account, "over 587")


def sends(thunderbird: FreshThunderbird, account: Account, subject: str) -> None:
    """Write a letter to oneself, and wait until it is there."""
    script = "await compose('nsMsgDeliverNow', account.defaultIdentity.email, args[0], 'Grüße, мир\\n')"
    thunderbird.run(script, subject)
    found = wait_until(lambda: account.mail().get(subject), f"the letter {subject!r}")
    assert b" with ESMTPSA " in b" ".join(found.octets.split())


def test_an_account_by_pop3(thunderbird: FreshThunderbird, account: Account) -> None:
    """The same address once more, fetched by POP3 into folders of this machine."""
    account.put(b"INBOX", "fetched")
    thunderbird.run(ASSISTANT + MAKE, account.address, account.password, "pop3")
    thunderbird.run(
        "const inbox = root.getFolderWithFlags(Ci.nsMsgFolderFlags.Inbox);"
        "await done(listener => MailServices.pop3.GetNewMail(null, listener, inbox, server));"
        'await until(() => message("Inbox", "fetched"))'
    )


def test_a_wrong_password(thunderbird: FreshThunderbird, local: Local) -> None:
    """The assistant says what the page quotes, and makes nothing."""
    assert FAILED in Page("thunderbird").text
    other = Account(local)
    count = "return MailServices.accounts.accounts.length"
    before = thunderbird.run(count)
    with pytest.raises(AssertionError, match=FAILED):
        thunderbird.run(ASSISTANT + MAKE, other.address, "wrong", "imap")
    assert thunderbird.run(count) == before
