"""Thunderbird without a screen, with a profile of its own, driven through Marionette (its remote control).

What is run inside it is JavaScript that calls what its menus call; ``thunderbird_tools.js`` stands before each
script. Thunderbird answers some commands before the server has seen them (it plays them back half a second later),
so what is on the server must be awaited there.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
from pathlib import Path
from typing import Any, Final

from tests.daemon import PATIENCE_S, free_port, wait_until
from tests.interop.imap_account import Account

TOOLS: Final = Path(__file__).with_name("thunderbird_tools.js")
PROGRAM: Final = ("thunderbird", "--no-remote", "--headless", "--marionette", "--remote-allow-system-access")
SCRIPT_LIMIT_MS: Final = 60_000

LOG_IN: Final = """
for (const origin of ["imap://localhost", "smtp://localhost"]) {
  const login = Cc["@mozilla.org/login-manager/loginInfo;1"].createInstance(Ci.nsILoginInfo);
  login.init(origin, null, origin, args[0], args[1], "", "");
  await Services.logins.addLoginAsync(login);
}
server.getNewMessages(root, null, null);
await until(() => root.getFolderWithFlags(Ci.nsMsgFolderFlags.Trash));
"""


class Thunderbird:
    """A Thunderbird with one IMAP account, which it has opened.

    :param directory: an empty directory for its profile and its log of what was said over IMAP.
    :param settings: further preferences.
    """

    def __init__(self, directory: Path, account: Account, settings: dict[str, Any] | None = None) -> None:
        self._directory = directory
        self._account = account
        self._settings = settings or {}
        self._port = free_port()
        self._tools = TOOLS.read_text()
        self._process: subprocess.Popen[bytes] | None = None
        self._marionette: _Marionette | None = None

    def start(self) -> None:
        """Make the profile, start Thunderbird, and return when it has listed the mailboxes."""
        profile = self._directory / "profile"
        profile.mkdir()
        trust = ["-A", "-n", "local mode", "-t", "C,,", "-i", str(self._account.ca_file)]
        for arguments in (["-N", "--empty-password"], trust):
            subprocess.run(["certutil", "-d", f"sql:{profile}", *arguments], check=True, timeout=PATIENCE_S)
        lines = (
            f"user_pref({json.dumps(name)}, {json.dumps(value)});\n" for name, value in self._preferences()
        )
        (profile / "user.js").write_text("".join(lines))
        with (self._directory / "output").open("wb") as output:
            self._process = subprocess.Popen(
                [*PROGRAM, "--profile", str(profile)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, "HOME": str(self._directory), "MOZ_CRASHREPORTER_DISABLE": "1"},
            )
        self._marionette = wait_until(self._connected, "Thunderbird to listen", PATIENCE_S * 3)
        self._begin()

    def _begin(self) -> None:
        """Open the account."""
        self.run(LOG_IN, self._account.address, self._account.password)

    def _connected(self) -> _Marionette | None:
        assert self._process is not None
        assert self._process.poll() is None, (self._directory / "output").read_text()
        try:
            return _Marionette(self._port)
        except OSError:
            return None

    def _accounts(self) -> dict[str, dict[str, Any]]:
        """Return what the account assistant would have written."""
        address, ports = self._account.address, self._account.ports
        imap = {"type": "imap", "hostname": "localhost", "port": ports["imaps"], "userName": address}
        smtp = {"hostname": "localhost", "port": ports["submissions"], "username": address}
        return {
            "mail.accountmanager": {"accounts": "account1,account2", "localfoldersserver": "server2"},
            "mail.account.account1": {"server": "server1", "identities": "id1"},
            "mail.account.account2": {"server": "server2"},
            "mail.server.server1": {**imap, "socketType": 3, "authMethod": 3, "login_at_startup": False},
            "mail.server.server2": {"type": "none", "hostname": "Local Folders", "userName": "nobody"},
            "mail.identity.id1": {"useremail": address, "smtpServer": "smtp1", "valid": True},
            "mail.smtpserver.smtp1": {**smtp, "try_ssl": 3, "authMethod": 3},
            "mail": {"smtpservers": "smtp1"},
        }

    def _preferences(self) -> list[tuple[str, Any]]:
        """Return the accounts, and silence about anything but mail."""
        groups = [*self._accounts().items(), *self._silence().items()]
        named = [(f"{group}.{name}", value) for group, some in groups for name, value in some.items()]
        return [*named, *self._settings.items()]

    def _silence(self) -> dict[str, dict[str, Any]]:
        return {
            "mail": {"rights.version": 1, "biff.show_alert": False},
            "mail.provider": {"suppress_dialog_on_startup": True},
            "mailnews.start_page": {"enabled": False},
            "app.update": {"enabled": False},
            "datareporting.policy": {"dataSubmissionEnabled": False},
            "network.proxy": {"type": 0},
            "marionette": {"port": self._port},
        }

    def run(self, script: str, *arguments: Any) -> Any:
        """Run the body of an asynchronous function inside Thunderbird and return what it returns.

        :param arguments: what the script knows as ``args``; as JSON has it.
        """
        assert self._marionette is not None
        return self._marionette.run(self._tools + script, arguments)

    def close(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(PATIENCE_S)


class FreshThunderbird(Thunderbird):
    """A Thunderbird with local folders and nothing else: the account is for the test to set up."""

    def _accounts(self) -> dict[str, dict[str, Any]]:
        return {
            "mail.accountmanager": {"accounts": "account1", "localfoldersserver": "server1"},
            "mail.account.account1": {"server": "server1"},
            "mail.server.server1": {"type": "none", "hostname": "Local Folders", "userName": "nobody"},
        }

    def _begin(self) -> None:
        """There is nothing to open."""


class _Marionette:
    """A connection to what Thunderbird listens with: messages of JSON behind their length."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=2 * SCRIPT_LIMIT_MS / 1000)
        self._stream = self._socket.makefile("rb")
        self._count = 0
        self._read()
        # The questions that it asks before it deletes a folder are answered with yes.
        wishes = {"timeouts": {"script": SCRIPT_LIMIT_MS}, "unhandledPromptBehavior": "accept"}
        self._ask("WebDriver:NewSession", wishes)
        self._ask("Marionette:SetContext", {"value": "chrome"})

    def _read(self) -> Any:
        length = b""
        while (octet := self._stream.read(1)) != b":":
            assert octet, "Thunderbird closed the connection"
            length += octet
        return json.loads(self._stream.read(int(length)))

    def _ask(self, name: str, parameters: dict[str, Any]) -> Any:
        self._count += 1
        octets = json.dumps([0, self._count, name, parameters]).encode()
        self._socket.sendall(b"%d:%b" % (len(octets), octets))
        _, number, error, result = self._read()
        assert number == self._count
        assert error is None, f"{error['error']}: {error['message']}\n{error['stacktrace']}"
        return result

    def run(self, script: str, arguments: tuple[Any, ...]) -> Any:
        whole = (
            "const resolve = arguments[arguments.length - 1], args = [...arguments].slice(0, -1);\n"
            f"(async () => {{ {script} }})().then("
            "value => resolve({ value }), error => resolve({ error: `${error}\\n${error.stack}` }));"
        )
        parameters = {"script": whole, "args": list(arguments), "newSandbox": True, "sandbox": "system"}
        result = self._ask("WebDriver:ExecuteAsyncScript", parameters)["value"]
        assert "error" not in result, f"{result['error']}\n{script[-500:]}"
        return result.get("value")
