"""The settings: what there is to set, what each is without being set, and the checks that look at several at
once.

app and ctl read them and hand plain values down; nothing below knows of this module. ``etc/fedaemon.toml`` is
the same list for operators, with the reason of every default; a test keeps the two equal.

Invariants: a ``Settings`` that ``read_settings`` returned can be run with: files it names are there,
listeners that need TLS have it. Values are immutable, so that a reload replaces all or nothing.
"""

# ruff: noqa: RUF009 - setting() is dataclasses.field() with what a settings file needs

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Any

from fedaemon import setting_kinds as kinds
from fedaemon.settings_file import BadSettings, Kind, Reader, read_toml, setting

__all__ = [
    "BadSettings",
    "Delivery",
    "Dns",
    "Limits",
    "Listener",
    "Route",
    "Server",
    "Settings",
    "Site",
    "Source",
    "Submission",
    "Tls",
    "TlsPolicy",
    "TlsSite",
    "from_dict",
    "parse_settings",
    "read_settings",
]

SERVICES = ("submission", "mx", "imap", "pop3", "http")
EVERYWHERE, THIS_MACHINE = "::", "127.0.0.1"
DAY_S = 86_400
MANY = 1_000_000_000
"""The highest value of a count: beyond it only 0, "no limit", makes sense."""


@dataclass(frozen=True, slots=True)
class Server:
    """[server]"""

    hostname: str = setting("hostname", kinds.HOSTNAME, example='hostname = "mail.example.org"')
    """Name in EHLO, Received and reports; other servers compare it with DNS."""
    data_dir: Path = setting("data_dir", kinds.PATH, Path("/var/lib/fedaemon"))
    """Where the store lives; fedaemon writes nowhere else."""
    postmaster: str | None = setting("postmaster", kinds.MAILBOX, None)
    """Who gets mail for <Postmaster> and for postmaster@ of domains that have none of their own."""


@dataclass(frozen=True, slots=True)
class TlsSite:
    """[[tls.site]]: a further certificate, shown to clients that ask for one of its names."""

    certificate: Path = setting("certificate", kinds.FILE, example='certificate = "/path/fullchain.pem"')
    """PEM file, leaf first and then its chain."""
    private_key: Path = setting("private_key", kinds.FILE, example='private_key = "/path/privkey.pem"')
    """PEM file without passphrase."""


@dataclass(frozen=True, slots=True)
class Tls:
    """[tls]"""

    certificate: Path = setting("certificate", kinds.FILE, example='certificate = "/path/fullchain.pem"')
    """PEM file, leaf first and then its chain; shown to clients that ask for no name of a site."""
    private_key: Path = setting("private_key", kinds.FILE, example='private_key = "/path/privkey.pem"')
    """PEM file without passphrase."""
    sites: tuple[TlsSite, ...] = setting("site", Kind(table=TlsSite, many=True), ())
    """Certificates for further names."""


@dataclass(frozen=True, slots=True)
class Listener:
    """[[listener]]"""

    service: str = setting("service", kinds.choice(*SERVICES), example='service = "submission"')
    """"submission" takes mail from users, "mx" from other servers; "imap" and "pop3" let users read theirs;
    "http" tells mail programs their settings, and monitoring how it goes."""
    address: str = setting("address", kinds.LISTEN, "")
    """IP address to listen on, or "systemd:NAME"; without it all, or this machine's own while hostname is
    "localhost"."""
    port: int = setting("port", kinds.whole(0, 65_535), 0)
    """TCP port; 0 is any free one. With a systemd socket the one that clients are told."""
    tls: str = setting("tls", kinds.choice("implicit", "starttls", "none"), "starttls")
    """TLS from the first octet, on the client's wish, or never."""
    proxy_protocol: bool = setting("proxy_protocol", kinds.FLAG, False)
    """Every connection begins with a PROXY protocol header, as a load balancer writes it."""
    trusted_networks: tuple[IPv4Network | IPv6Network, ...] = setting("trusted_networks", kinds.NETWORKS, ())
    """Hosts that need no AUTH (submission only)."""
    bare_lf: str = setting("bare_lf", kinds.choice("refuse", "normalise"), "refuse")
    """What to do with a line end that is LF alone; "normalise" on submission only."""


DEFAULT_LISTENERS = (
    Listener("mx", EVERYWHERE, 25, "starttls"),
    Listener("submission", EVERYWHERE, 465, "implicit"),
    Listener("submission", EVERYWHERE, 587, "starttls"),
    Listener("imap", EVERYWHERE, 993, "implicit"),
    Listener("pop3", EVERYWHERE, 995, "implicit"),
)


@dataclass(frozen=True, slots=True)
class Dns:
    """[dns]"""

    nameservers: tuple[tuple[str, int], ...] = setting("nameservers", kinds.NAMESERVERS, ())
    """(address, port) of the name servers to ask; empty for the system's."""
    trust_ad: str = setting("trust_ad", kinds.choice("auto", "yes", "no"), "auto")
    """Believe them when they say that DNSSEC vouches for an answer; auto: when all are on this machine."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """[delivery]"""

    lifetime_s: int = setting("lifetime", kinds.duration(1, 30 * DAY_S), 5 * DAY_S)
    """How long delivery is tried, from acceptance, before the sender is told that it failed."""
    delay_notice_s: int = setting("delay_notice", kinds.duration(0, 30 * DAY_S), 4 * 3600)
    """When the sender is told once that a message is late; 0 never."""
    retention_s: int = setting("retention", kinds.duration(0, 3650 * DAY_S), 30 * DAY_S)
    """How long content is kept after final delivery; 0 redacts at once."""
    history_s: int = setting("history", kinds.duration(DAY_S, 3650 * DAY_S), 180 * DAY_S)
    """How long header and timeline are kept after final delivery."""
    suppression_s: int = setting("suppression", kinds.duration(0, 365 * DAY_S), 14 * DAY_S)
    """How long an address that does not exist is refused to the account whose mail bounced there; 0 never."""
    complaints: str | None = setting("complaints", kinds.MAILBOX, None)
    """Address to which providers send complaints (ARF); what arrives there is read."""
    bounce_rules: tuple[Path, ...] = setting("bounce_rules", kinds.FILES, ())
    """TOML files with rules about what other servers' replies mean; they come before ours."""
    mx_port: int = setting("mx_port", kinds.whole(1, 65_535), 25)
    """Port of other servers."""
    paused: bool = setting("paused", kinds.FLAG, False)
    """Accept and queue, deliver nothing remote."""
    capture: str | None = setting("capture", kinds.MAILBOX, None)
    """Account that gets all mail for other domains instead of them (local mode)."""
    connections: int = setting("connections", kinds.whole(1, 10_000), 400)
    """Connections to other servers at a time."""
    connections_per_site: int = setting("connections_per_site", kinds.whole(1, 1000), 20)
    """The most connections at a time to one site; a new one begins with five and earns more."""
    messages_per_connection: int = setting("messages_per_connection", kinds.whole(1, 100_000), 100)
    """Messages after which a connection is closed; 1: connections are not reused."""
    connection_idle_s: int = setting("connection_idle", kinds.duration(0, 300), 5)
    """How long an open connection waits for a further message."""
    recipients_per_message: int = setting("recipients_per_message", kinds.whole(1, 1000), 100)
    """Recipients of a message in one transaction."""
    messages_per_minute: int = setting("messages_per_minute", kinds.whole(0, 1_000_000), 0)
    """Messages a minute to one site; 0 is no limit."""
    mta_sts: bool = setting("mta_sts", kinds.FLAG, True)
    """Look for MTA-STS policies of other domains (RFC 8461) and keep them."""
    mta_sts_port: int = setting("mta_sts_port", kinds.whole(1, 65_535), 443)
    """Port of the web servers that have those policies."""
    ca_file: Path | None = setting("ca_file", kinds.FILE, None)
    """PEM file of the authorities to trust when a certificate is verified; the system's without it."""


@dataclass(frozen=True, slots=True)
class Site:
    """[[site]]: limits for the sites one of whose hosts fits; the first match wins, and comes before ours."""

    name: str = setting("name", kinds.NAME, example='name = "example"')
    """Its name in listings."""
    hosts: tuple[str, ...] = setting("hosts", kinds.HOST_PATTERNS, example='hosts = ["*.mx.example.org"]')
    """Mail exchangers: "mx.example.org", or "*.example.org" for everything below it."""
    shared: bool = setting("shared", kinds.FLAG, True)
    """All those hosts are one site with one budget."""
    connections: int = setting("connections", kinds.whole(1, 1000), 20)
    """Connections at a time."""
    messages_per_connection: int = setting("messages_per_connection", kinds.whole(1, 100_000), 100)
    """Messages after which a connection is closed."""
    connection_idle_s: int = setting("connection_idle", kinds.duration(0, 300), 5)
    """How long an open connection waits for a further message."""
    recipients_per_message: int = setting("recipients_per_message", kinds.whole(1, 1000), 100)
    """Recipients of a message in one transaction."""
    messages_per_minute: int = setting("messages_per_minute", kinds.whole(0, 1_000_000), 0)
    """Messages a minute; 0 is no limit."""


@dataclass(frozen=True, slots=True)
class Source:
    """[[source]]: an address that connections to other servers come from; the first that is not blocked."""

    address: str = setting("address", kinds.ADDRESS, example='address = "192.0.2.1"')
    """IP address of this machine."""
    hostname: str | None = setting("hostname", kinds.HOSTNAME, None)
    """Our name in EHLO from there; that of [server] without it."""


@dataclass(frozen=True, slots=True)
class TlsPolicy:
    """[[tls_policy]]: how much TLS the mail exchangers of *domain* must have; the first match wins."""

    domain: str = setting("domain", kinds.DOMAIN_PATTERN, example='domain = "example.org"')
    """"*" for all, "example.org", or "*.example.org" for everything below it."""
    tls: str = setting(
        "tls", kinds.choice("none", "opportunistic", "required", "verify", "dane"), example='tls = "verify"'
    )
    """none, opportunistic, required, verify, or dane."""


@dataclass(frozen=True, slots=True)
class Route:
    """[[route]]: mail for *domain* goes to *host* instead of where DNS says; the first match wins."""

    domain: str = setting("domain", kinds.DOMAIN_PATTERN, example='domain = "*"')
    """"*" for all, "example.org", or "*.example.org" for everything below it."""
    host: str = setting("host", kinds.HOST, example='host = "relay.example.org"')
    """Host name or IP address."""
    port: int = setting("port", kinds.whole(1, 65_535), 25)
    """TCP port."""
    tls: str = setting("tls", kinds.choice("none", "opportunistic", "required", "verify"), "opportunistic")
    """How much TLS the connection must have."""
    username: str | None = setting("username", kinds.TEXT, None)
    """Login at that host."""
    password: str | None = setting("password", kinds.TEXT, None, secret=True)
    """Its password."""
    password_file: Path | None = setting("password_file", kinds.FILE, None)
    """File whose first line is the password, instead of ``password``."""
    lifetime_s: int | None = setting("lifetime", kinds.duration(1, 30 * DAY_S), None)
    """How long delivery this way is tried; delivery.lifetime without it."""


@dataclass(frozen=True, slots=True)
class Limits:
    """[limits]: 0 is no limit where it says so."""

    max_message_size: int = setting("max_message_size", kinds.size(1000, 2**31), 50 * 2**20)
    """Octets of one message."""
    max_recipients: int = setting("max_recipients", kinds.whole(1, 100_000), 100)
    """Recipients of one transaction."""
    max_received: int = setting("max_received", kinds.whole(1, 10_000), 100)
    """Received fields after which a message is going in circles."""
    header_size: int = setting("header_size", kinds.size(1024, 16 * 2**20), 256 * 1024)
    """Octets of a message's header."""
    sessions: int = setting("sessions", kinds.whole(0, MANY), 10_000)
    """Connections at a time; 0 none."""
    sessions_per_address: int = setting("sessions_per_address", kinds.whole(0, MANY), 100)
    """Connections at a time from one IPv4 address or IPv6 /64; 0 none."""
    sessions_per_account: int = setting("sessions_per_account", kinds.whole(0, MANY), 60)
    """Connections at a time logged in to one account; 0 none."""
    errors_per_session: int = setting("errors_per_session", kinds.whole(1, 10_000), 20)
    """Wrong commands after which a connection is closed."""
    idle_timeout_s: int = setting("idle_timeout", kinds.duration(1, DAY_S), 300)
    """Silence between commands after which a connection is closed."""
    data_timeout_s: int = setting("data_timeout", kinds.duration(1, DAY_S), 600)
    """Silence within a message after which a connection is closed."""
    daily_messages_per_account: int = setting("daily_messages_per_account", kinds.whole(0, MANY), 300)
    """Messages an account may submit in a day (UTC); 0 none."""
    daily_messages_per_domain: int = setting("daily_messages_per_domain", kinds.whole(0, MANY), 0)
    """Messages all accounts of a domain may submit in a day (UTC); 0 none."""
    max_hold_s: int = setting("max_hold", kinds.duration(0, 365 * DAY_S), 30 * DAY_S)
    """The longest time that a message is held for a later release (FUTURERELEASE); 0: none is held."""
    login_failures_per_hour: int = setting("login_failures_per_hour", kinds.whole(0, MANY), 10)
    """Failed logins after which an address has to wait; 0 none."""
    disk_reserve: int = setting("disk_reserve", kinds.size(0, 2**40), 256 * 2**20)
    """Free octets below which no new mail is taken."""


@dataclass(frozen=True, slots=True)
class Submission:
    """[submission]"""

    show_client: bool = setting("show_client", kinds.FLAG, False)
    """Write the submitting client's address into Received."""


@dataclass(frozen=True, slots=True)
class Mailboxes:
    """[mailboxes]"""

    quota: int = setting("quota", kinds.size(0, 2**50), 0)
    """Octets that an account without a quota of its own may have; 0 is no limit."""
    undelete_s: int = setting("undelete", kinds.duration(60, 3650 * DAY_S), 7 * DAY_S)
    """How long what was expunged or deleted can be restored."""
    empty_trash_s: int = setting("empty_trash", kinds.duration(0, 3650 * DAY_S), 0)
    """After this time in Trash messages are expunged; 0 never."""
    empty_junk_s: int = setting("empty_junk", kinds.duration(0, 3650 * DAY_S), 0)
    """After this time in Junk messages are expunged; 0 never."""


@dataclass(frozen=True, slots=True)
class Http:
    """[http]: what the listeners with service = "http" show, and to whom."""

    metrics_networks: tuple[IPv4Network | IPv6Network, ...] = setting(
        "metrics_networks", kinds.NETWORKS, (ip_network("127.0.0.0/8"), ip_network("::1/128"))
    )
    """Hosts that may read /metrics."""
    mta_sts: str = setting("mta_sts", kinds.choice("none", "testing", "enforce"), "testing")
    """Mode of the MTA-STS policy that other servers find here (RFC 8461 5)."""
    webroot: Path | None = setting("webroot", kinds.PATH, None)
    """Directory whose .well-known/acme-challenge is shown, for "certbot --webroot"."""


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings; *source* is the file they came from."""

    server: Server = setting(
        "server", Kind(table=Server), example='[server] with hostname = "mail.example.org"'
    )
    tls: Tls | None = setting("tls", Kind(table=Tls), None)
    listeners: tuple[Listener, ...] = setting("listener", Kind(table=Listener, many=True), DEFAULT_LISTENERS)
    dns: Dns = setting("dns", Kind(table=Dns), Dns())
    delivery: Delivery = setting("delivery", Kind(table=Delivery), Delivery())
    submission: Submission = setting("submission", Kind(table=Submission), Submission())
    mailboxes: Mailboxes = setting("mailboxes", Kind(table=Mailboxes), Mailboxes())
    http: Http = setting("http", Kind(table=Http), Http())
    routes: tuple[Route, ...] = setting("route", Kind(table=Route, many=True), ())
    sites: tuple[Site, ...] = setting("site", Kind(table=Site, many=True), ())
    sources: tuple[Source, ...] = setting("source", Kind(table=Source, many=True), ())
    tls_policies: tuple[TlsPolicy, ...] = setting("tls_policy", Kind(table=TlsPolicy, many=True), ())
    limits: Limits = setting("limits", Kind(table=Limits), Limits())
    source: Path = field(default=Path("fedaemon.toml"), compare=False)


def read_settings(path: Path) -> Settings:
    """Read the settings file.

    :raises BadSettings: one line "FILE:LINE: what; fix" for everything that is wrong with it.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise BadSettings(
            f"{path}: there is no such file; fedaemonctl setup makes one, or name another with -c FILE"
        ) from None
    except OSError as error:
        raise BadSettings(
            f"{path}: {error.strerror}; the user fedaemon runs as must be able to read it"
        ) from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise BadSettings(f"{path}:{line}: not UTF-8 text; save the file as UTF-8") from None
    return parse_settings(text, path)


def parse_settings(text: str, source: Path = Path("fedaemon.toml")) -> Settings:
    """Read settings from TOML text; relative paths in it begin at the directory of *source*.

    :raises BadSettings: as ``read_settings``.
    """
    return _read(read_toml(text, source))


def from_dict(values: Mapping[str, Any], source: Path = Path("fedaemon.toml")) -> Settings:
    """Read settings from what tomllib would have made of a file.

    :raises BadSettings: as ``read_settings``; every line is 1.
    """
    return _read(Reader(values, source, {}))


def _read(reader: Reader) -> Settings:
    settings: Settings | None = reader.table(Settings, reader.values)
    reader.raise_problems()
    assert settings is not None
    settings = replace(
        settings,
        source=reader.source,
        routes=_with_passwords(reader, settings.routes),
        listeners=_with_addresses(reader, settings),
    )
    _check_listeners(reader, settings)
    if settings.delivery.history_s < settings.delivery.retention_s:
        reader.problem(
            ("delivery", "history"),
            "history in [delivery] is shorter than retention, and nothing outlives its history; set it longer",
        )
    for index, route in enumerate(settings.routes):
        _check_route(reader, route, ("route", index))
    reader.raise_problems()
    return settings


def _with_addresses(reader: Reader, settings: Settings) -> tuple[Listener, ...]:
    """Return the listeners with the address that those without one have.

    A server whose name is "localhost" is one to try things with: nobody else is to reach it by accident.
    """
    usual = THIS_MACHINE if settings.server.hostname == "localhost" else EVERYWHERE
    return tuple(
        replace(listener, address=usual)
        if not listener.address or "listener" not in reader.values
        else listener
        for listener in settings.listeners
    )


def _with_passwords(reader: Reader, routes: tuple[Route, ...]) -> tuple[Route, ...]:
    """Return the routes with the contents of their password files."""
    filled = []
    for index, route in enumerate(routes):
        where = ("route", index, "password_file")
        password = route.password
        if route.password_file is not None and password is not None:
            reader.problem(
                where, "password and password_file in [[route]]: give one of them; remove the other"
            )
        elif route.password_file is not None:
            try:
                password = route.password_file.read_text(encoding="utf-8").partition("\n")[0].rstrip("\r")
            except (OSError, UnicodeDecodeError) as error:
                reader.problem(where, f"password_file in [[route]] cannot be read: {error}")
            if password == "":
                reader.problem(
                    where, "password_file in [[route]]: its first line is empty; write the password there"
                )
        filled.append(replace(route, password=password))
    return tuple(filled)


def _check_route(reader: Reader, route: Route, where: tuple[str | int, ...]) -> None:
    if route.username is not None and route.password is None and route.password_file is None:
        reader.problem((*where, "username"), "username in [[route]] has no password; add password_file = …")
    if route.username is None and route.password is not None:
        reader.problem((*where, "password"), "password in [[route]] has no username; add username = …")
    if route.username is not None and route.tls == "none" and not _is_loopback(route.host):
        reader.problem(
            (*where, "tls"),
            'tls in [[route]]: "none" would send the password in the clear; set tls = "verify" or "required"',
        )


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _check_listeners(reader: Reader, settings: Settings) -> None:
    given = reader.values.get("listener")
    seen: set[tuple[str, int]] = set()
    for index, listener in enumerate(settings.listeners):
        where = ("listener", index)
        _check_listener(reader, listener, where)
        systemd = listener.address.startswith("systemd:")
        if given is not None and not systemd and "port" not in given[index]:
            reader.problem(where, f"[[listener]] lacks 'port'; add port = {_usual_port(listener)}")
        place = (listener.address, 0 if systemd else listener.port)
        if place in seen and (systemd or listener.port != 0):
            reader.problem(where, f"two listeners at {place[0]} port {place[1]}; remove one")
        seen.add(place)


def _usual_port(listener: Listener) -> int:
    implicit, other = {"mx": (25, 25), "imap": (993, 143), "pop3": (995, 110), "http": (443, 80)}.get(
        listener.service, (465, 587)
    )
    return implicit if listener.tls == "implicit" else other


def _check_listener(reader: Reader, listener: Listener, where: tuple[str | int, ...]) -> None:
    if listener.service != "submission":
        for key, given in (
            ("trusted_networks", bool(listener.trusted_networks)),
            ("bare_lf", listener.bare_lf != "refuse"),
        ):
            if given:
                reader.problem(
                    (*where, key), f'{key} in [[listener]] is for service = "submission"; remove it'
                )
        if listener.service in ("imap", "pop3") and listener.tls == "none":
            reader.problem(
                (*where, "tls"),
                'tls in [[listener]]: without TLS nobody can log in; set tls = "implicit" or "starttls"',
            )
        if listener.service == "http" and listener.tls == "starttls":
            reader.problem(
                (*where, "tls"),
                'tls in [[listener]]: HTTP has no STARTTLS; set tls = "implicit" (port 443) or "none" (port 80)',
            )
    elif listener.tls == "none" and not listener.trusted_networks:
        reader.problem(
            (*where, "tls"),
            "tls in [[listener]]: without TLS nobody can log in; "
            'set tls = "starttls", or name trusted_networks',
        )
