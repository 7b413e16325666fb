"""The steps of a setup: each looks at what is there, and changes it only where the answer is another one.

Invariants: a step that has run can be run again, and then changes nothing.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final

from fedaemon.accounts import directory, passwords
from fedaemon.accounts.records import Domain
from fedaemon.config import DEFAULT_LISTENERS, Listener
from fedaemon.ctl.account import make_account
from fedaemon.ctl.command import Context
from fedaemon.ctl.dkim import make_keys
from fedaemon.ctl.doctor.certificate import covers
from fedaemon.ctl.setup import certificate, daemon
from fedaemon.ctl.setup.files import SettingsFile
from fedaemon.ctl.setup.settings_text import Value, add_table, comment_out, set_value
from fedaemon.errors import BadSyntax, Refused
from fedaemon.mailauth import keys
from fedaemon.mailauth.keys import DkimKey
from fedaemon.message.address import parse_address
from fedaemon.message.domain import parse_domain
from fedaemon.net.certificate_file import CertificateFacts, read_chain
from fedaemon.net.pem import BadCertificate

HTTP_LISTENERS = ((443, "implicit"), (80, "none"))
"""Port and tls of the listeners for http."""
WEBROOT_MODE: Final = 0o755


class Setup:
    """One run of ``fedaemonctl setup``; ``result`` is what --json shows of it."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.file = SettingsFile(context)
        self.result: dict[str, Any] = {"config": str(context.config_path)}
        self.changes: list[str] = []

    def note(self, text: str, *, changed: bool) -> None:
        """Say how a step went."""
        if changed:
            self.changes.append(text)
        self.context.say(f"{'+' if changed else ' '} {text}")

    def finish(self, next_steps: Callable[[], None] = lambda: None) -> None:
        """Have a running daemon read what has changed, say what comes next, and show the result."""
        if self.file.changed and (said := daemon.tell(self.context)):
            self.result["daemon"] = said
            self.context.say(said)
        next_steps()
        self.context.show({**self.result, "changes": self.changes})


# -- The server


def read_hostname(text: str) -> str:
    """Return the name of a server; raises BadSyntax."""
    try:
        ip_address(text.strip("[]"))
    except ValueError:
        name = parse_domain(text)
    else:
        raise BadSyntax("that is an address; other servers want a name, such as mail.example.org")
    if "." not in name and name != "localhost":
        raise BadSyntax("that is no complete name; with its domain it is one, such as mail.example.org")
    return name


def set_hostname(setup: Setup, name: str) -> None:
    """Give the server its name."""
    changed = setup.file.edit(lambda text: set_value(text, "server", "hostname", name))
    setup.result["hostname"] = name
    setup.note(f"host name: {name}", changed=changed)


def set_postmaster(setup: Setup, address: str) -> None:
    """Let *address* get the mail for postmaster, unless somebody gets it already."""
    present = setup.context.settings.server.postmaster
    if present is None:
        setup.file.edit(partial(_with_postmaster, address))
    setup.result["postmaster"] = present or address
    setup.note(f"mail for postmaster: {present or address}", changed=present is None)


def _with_postmaster(address: str, text: str) -> str:
    return set_value(text, "server", "postmaster", address)


# -- Certificates


def set_certificate(setup: Setup, pair: certificate.Pair) -> None:
    """Show clients the certificate of *pair*."""
    leaf, changed = certificate.install(setup.context, setup.file, pair)
    _note_certificate(setup, leaf, changed=changed)
    setup.file.changed |= changed


def set_own_certificate(setup: Setup) -> None:
    """Show clients the certificate that the daemon makes itself."""
    changed = certificate.use_own(setup.context, setup.file)
    _note_certificate(setup, None, changed=changed)


def keep_certificate(setup: Setup) -> None:
    """Say which certificate is shown."""
    tls = setup.context.settings.tls
    leaf = None
    if tls is not None:
        try:
            with setup.context.as_caller():
                leaf = read_chain(tls.certificate)[0]
        except BadCertificate as error:
            raise Refused(str(error)) from None
    _note_certificate(setup, leaf, changed=False)


def _note_certificate(setup: Setup, leaf: CertificateFacts | None, *, changed: bool) -> None:
    if leaf is None:
        setup.result["certificate"] = None
        setup.note("certificate: made by the daemon at its first start; no client trusts it", changed=changed)
        return
    setup.result["certificate"] = {
        "names": list(leaf.names),
        "issuer": leaf.issuer,
        "ends": f"{leaf.ends:%Y-%m-%dT%H:%M:%SZ}",
    }
    hostname = setup.context.settings.server.hostname
    wrong = "" if covers(leaf.names, hostname) else f", NOT for {hostname}"
    setup.note(
        f"certificate: for {', '.join(leaf.names)}{wrong}, until {leaf.ends:%Y-%m-%d}", changed=changed
    )


# -- Mail programs and other servers over HTTP


def has_http(context: Context) -> bool:
    """Tell whether there is a listener for http."""
    return any(listener.service == "http" for listener in context.settings.listeners)


def set_http(setup: Setup, *, wanted: bool, webroot: Path | None = None) -> None:
    """Open or close ports 80 and 443.

    :param webroot: where certbot leaves its answers; beside the data directory unless the settings say otherwise.
    """
    settings = setup.context.settings
    present = has_http(setup.context)
    if wanted and not present:
        setup.file.edit(_with_http)
    elif present and not wanted:
        setup.file.edit(partial(_without_http, settings.listeners))
    changed = present is not wanted
    if wanted:
        data_dir = settings.server.data_dir
        chosen = webroot or settings.http.webroot or data_dir.with_name(f"{data_dir.name}-acme")
        changed |= _set_webroot(setup, chosen.absolute())
    setup.result["http"] = wanted
    setup.note(f"http: {'ports 443 and 80' if wanted else 'off'}", changed=changed)


def _set_webroot(setup: Setup, path: Path) -> bool:
    """Name the directory in the settings, and make it; return whether that is a change."""
    with setup.context.as_caller():
        try:
            path.mkdir(mode=WEBROOT_MODE, parents=True, exist_ok=True)
        except OSError as error:
            raise Refused(f"{path} cannot be made: {error.strerror}; run it as root") from error
    return setup.file.edit(lambda text: set_value(text, "http", "webroot", str(path)))


def _with_http(text: str) -> str:
    if "listener" not in tomllib.loads(text):
        # Without any listener the usual five are there; one of ours would take their place.
        for listener in DEFAULT_LISTENERS:
            text = add_table(text, "listener", _table(listener))
    for port, tls in HTTP_LISTENERS:
        text = add_table(text, "listener", {"service": "http", "port": port, "tls": tls})
    return text


def _without_http(listeners: tuple[Listener, ...], text: str) -> str:
    for index in reversed(range(len(listeners))):
        if listeners[index].service == "http":
            text = comment_out(text, ("listener", index))
    return text


def _table(listener: Listener) -> dict[str, Value]:
    return {"service": listener.service, "port": listener.port, "tls": listener.tls}


# -- Who has mail here


def read_address(domain: str) -> Callable[[str], str]:
    """Return what reads the address of an account; a name alone is one at *domain*."""

    def read(text: str) -> str:
        return parse_address(text if "@" in text else f"{text}@{domain}").key

    return read


def read_account(context: Context, domain: str) -> Callable[[str], str]:
    """Return what reads the address of an account that a domain of this server can have."""

    def read(text: str) -> str:
        address = read_address(domain)(text)
        need_domain(context, address.rpartition("@")[2])
        return address

    return read


def add_domain(setup: Setup, name: str) -> None:
    """Take the mail of a domain."""
    context = setup.context
    known = context.view(partial(directory.get_domain, name=name)) is not None
    if not known:
        context.transact(lambda transaction: directory.add_domain(transaction, Domain(name)))
    setup.result["domain"] = name
    setup.note(f"domain: {name}", changed=not known)


def first_account(context: Context, domain: str) -> str:
    """Return the first account of *domain*, "" when it has none."""
    return context.view(
        lambda snapshot: next((each.address for each in directory.accounts(snapshot, domain)), "")
    )


def add_account(setup: Setup, address: str, choose: Callable[[], str | None]) -> None:
    """Add an account.

    :param choose: gives the password, None for one that is made and shown; asked only for a new account.
    """
    context = setup.context
    setup.result["account"] = address
    if context.view(partial(directory.stored_account, address=address)) is not None:
        setup.note(f"account: {address}", changed=False)
        return
    chosen = choose()
    secret = make_account(context, passwords.new_account(address), chosen)
    setup.note(f"account: {address}", changed=True)
    if chosen is None:
        setup.result["password"] = secret
        context.say(f"\n    Its password is: {secret}\n    It is shown only now.\n")


def add_keys(setup: Setup, domain: str) -> list[DkimKey]:
    """Make DKIM keys for a domain that has none, and sign with them at once; return those to publish."""
    context = setup.context
    found = [
        key
        for key in context.view(lambda snapshot: list(keys.keys(snapshot, domain)))
        if key.state != "retired"
    ]
    made = [] if found else make_keys(context, domain, activate=True)
    kept = sorted(found or made, key=lambda key: key.selector)
    setup.result["dkim"] = [{"selector": key.selector, "state": key.state} for key in kept]
    signing = "; they sign from now on" if made else ""
    setup.note(f"DKIM keys: {', '.join(key.selector for key in kept)}{signing}", changed=bool(made))
    return kept


def need_domain(context: Context, text: str) -> str:
    """Return the name of a domain of this server; raises Refused."""
    name = parse_domain(text)
    if context.view(partial(directory.get_domain, name=name)) is None:
        raise Refused(f"{name} is no domain of this server yet: fedaemonctl setup domain {name}")
    return name
