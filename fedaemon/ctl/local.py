"""`fedaemonctl local DIR`: a mail service on this machine alone, for people who develop applications that
send mail.

It makes everything that real submission has: TLS with a certificate for localhost (its own authority is
DIR/ca.pem), accounts with passwords, the same checks and replies. Mail to other domains is captured in
outbox@example.test and nothing leaves the machine. Started again on the same DIR it keeps mail and passwords.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any, cast

from fedaemon.accounts import directory as accounts
from fedaemon.accounts.passwords import generate_password, new_account, new_password
from fedaemon.accounts.records import MAIN, Domain
from fedaemon.config import Settings, read_settings
from fedaemon.ctl.account import add_account
from fedaemon.ctl.command import DONE, REFUSED, Context
from fedaemon.net.selfsigned import LocalCa, make_local_ca
from fedaemon.store.interface import Transaction
from fedaemon.store.lmdb_engine import LmdbEngine

DOMAIN = "example.test"
PEOPLE = (f"alice@{DOMAIN}", f"bob@{DOMAIN}")
OUTBOX = f"outbox@{DOMAIN}"
ACCOUNTS = (*PEOPLE, OUTBOX)

PORTS = {
    "submissions": 10465,
    "submission": 10587,
    "mx": 10025,
    "imaps": 10993,
    "imap": 10143,
    "pop3s": 10995,
    "pop3": 10110,
    "http": 10080,
}
"""Service names of local.json and their ports without --port-offset."""

LISTENERS = {
    "submissions": ("submission", "implicit"),
    "submission": ("submission", "starttls"),
    "mx": ("mx", "starttls"),
    "imaps": ("imap", "implicit"),
    "imap": ("imap", "starttls"),
    "pop3s": ("pop3", "implicit"),
    "pop3": ("pop3", "starttls"),
    "http": ("http", "none"),
}
"""Service name -> service and tls of its listener."""


def register(groups: Any, common: argparse.ArgumentParser) -> None:
    """Add the command."""
    parser = groups.add_parser(
        "local",
        help="run a mail service on this machine alone, for application developers",
        description=f"Start local mode in DIR: domain {DOMAIN} with accounts {', '.join(PEOPLE)}; mail to any "
        f"other domain is captured in {OUTBOX}. Writes DIR/local.json with ports and passwords. Ctrl-C ends it.",
    )
    parser.add_argument("directory", type=Path, metavar="DIR", help="made when it is not there")
    parser.add_argument("--port-offset", type=int, default=0, metavar="N", help="add N to every port")
    parser.set_defaults(run=run)


def run(context: Context, arguments: argparse.Namespace) -> int:
    """Prepare DIR, start the service in this process, and serve until a signal."""
    directory: Path = arguments.directory.absolute()
    directory.mkdir(parents=True, exist_ok=True)
    ports = {name: port + arguments.port_offset for name, port in PORTS.items()}
    files = make_local_ca(directory, ("localhost", "127.0.0.1", "::1"))
    config = directory / "fedaemon.toml"
    config.write_text(settings_text(directory, ports, files))
    settings = read_settings(config)
    passwords = make_accounts(settings, directory / "local.json")
    description = describe(config, files, ports, passwords)
    (directory / "local.json").unlink(missing_ok=True)

    def ready() -> None:
        write_description(directory / "local.json", description)
        context.say(for_people(directory, description))
        context.out.flush()

    return serve(settings, directory / "fedaemon.log", ready)


def settings_text(directory: Path, ports: dict[str, int], files: LocalCa) -> str:
    """Return the settings that local mode runs with."""
    listeners = "".join(
        f'\n[[listener]]\nservice = "{service}"\naddress = "127.0.0.1"\nport = {ports[name]}\ntls = "{tls}"\n'
        for name, (service, tls) in LISTENERS.items()
    )
    return f"""# The settings of local mode; made anew at each start.
[server]
hostname = "localhost"
data_dir = {json.dumps(str(directory / "data"))}
postmaster = "{PEOPLE[0]}"

[tls]
certificate = {json.dumps(str(files.certificate))}
private_key = {json.dumps(str(files.private_key))}

[delivery]
capture = "{OUTBOX}"

# Nothing here is a stranger: no sending limits, no lock-outs.
[limits]
daily_messages_per_account = 0
daily_messages_per_domain = 0
login_failures_per_hour = 0
sessions_per_address = 0
sessions_per_account = 0
{listeners}"""


def make_accounts(settings: Settings, description: Path) -> dict[str, str]:
    """See to it that the domain and its accounts exist; return their passwords, the old ones where known."""
    known: dict[str, str] = {}
    if description.exists():
        old = json.loads(description.read_text())
        known = {address: entry["password"] for address, entry in old.get("accounts", {}).items()}
    engine = LmdbEngine.open(settings.server.data_dir)
    try:
        if engine.view(lambda snapshot: accounts.get_domain(snapshot, DOMAIN)) is None:
            engine.transact(lambda transaction: accounts.add_domain(transaction, Domain(DOMAIN)))
        return {name: _see_to_account(engine, name, known.get(name)) for name in ACCOUNTS}
    finally:
        engine.close()


def _see_to_account(engine: LmdbEngine, name: str, known: str | None) -> str:
    """Make the account *name* unless it is there with the *known* password; return its password."""
    account = engine.view(lambda snapshot: accounts.stored_account(snapshot, name))
    if account is not None and known is not None:
        return known
    password = known or generate_password()
    fresh = account or new_account(name)
    stored = new_password(fresh, MAIN, password, now_ms=int(time.time() * 1000))

    def write(transaction: Transaction) -> None:
        if account is None:
            add_account(transaction, fresh)
        accounts.set_password(transaction, fresh, stored, replaces=True)

    engine.transact(write)
    return password


def describe(
    config: Path, files: LocalCa, ports: dict[str, int], passwords: dict[str, str]
) -> dict[str, Any]:
    """Return what local.json holds."""
    return {
        "host": "localhost",
        "ports": ports,
        "accounts": {address: {"password": password} for address, password in passwords.items()},
        "ca_file": str(files.ca_file),
        "config": str(config),
    }


def write_description(path: Path, description: dict[str, Any]) -> None:
    """Write local.json in one step: a program that waits for it never sees half of it."""
    temporary = path.with_suffix(".new")
    temporary.touch(mode=0o600)
    temporary.write_text(json.dumps(description, indent=2) + "\n")
    temporary.replace(path)


def for_people(directory: Path, description: dict[str, Any]) -> str:
    """Return the same as lines to read."""
    ports = description["ports"]
    lines = [
        "fedaemon is ready on localhost.",
        "",
        f"  submission   {ports['submissions']} (TLS), {ports['submission']} (STARTTLS)",
        f"  from outside {ports['mx']} (SMTP, as other servers send)",
        f"  IMAP         {ports['imaps']} (TLS), {ports['imap']} (STARTTLS)",
        f"  POP3         {ports['pop3s']} (TLS), {ports['pop3']} (STARTTLS)",
        f"  settings     http://localhost:{ports['http']}/ (and /healthz, /metrics)",
        "",
        *(
            f"  {address:<20} password {entry['password']}"
            for address, entry in description["accounts"].items()
        ),
        "",
        f"  trust        {description['ca_file']}",
        f"  the same     {directory / 'local.json'}",
        "",
        f"Mail to other domains is captured in {OUTBOX}. Read mail by POP3, or with:",
        f"  fedaemonctl -c {description['config']} mailbox list {OUTBOX}",
        f"  fedaemonctl -c {description['config']} mailbox export {OUTBOX} DIR --eml",
        "Ctrl-C ends it.",
    ]
    return "\n".join(lines)


def serve(settings: Settings, log: Path, ready: Any) -> int:
    """Run the service in this process until a signal ends it."""
    from twisted.internet import reactor
    from twisted.logger import ILogObserver, globalLogBeginner

    from fedaemon.app import Fedaemon
    from fedaemon.logs import text
    from fedaemon.net.listeners import CannotListen

    globalLogBeginner.beginLoggingTo([cast(ILogObserver, text(log.open("a")))], redirectStandardIO=False)
    service = Fedaemon(settings, reactor, on_ready=ready)
    try:
        service.privilegedStartService()
        service.startService()
    except CannotListen as error:
        print(f"fedaemonctl: {error}; or use --port-offset N", file=sys.stderr)
        return REFUSED
    untyped: Any = reactor
    untyped.addSystemEventTrigger("before", "shutdown", service.stopService)
    untyped.run()
    return DONE
