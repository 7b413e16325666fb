"""What the values of settings may be: durations, sizes, hosts, networks and the like, each with its error in
words.

Every ``read`` raises ValueError with the end of the sentence "KEY in [TABLE]: …", which says what to write
instead.

Limits: durations and sizes have bounds, so that a slip of the keyboard ("5000d") does not go unnoticed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import partial
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

from fedaemon.errors import BadSyntax
from fedaemon.message.address import parse_address
from fedaemon.message.domain import parse_address_literal, parse_domain
from fedaemon.settings_file import Kind

_SECONDS = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}
_OCTETS = {"GB": 1024**3, "MB": 1024**2, "KB": 1024, "B": 1}


def _shown(value: Any) -> str:
    """Write a value in an error message as the file has it."""
    return json.dumps(value, ensure_ascii=False, default=str)


def _string(value: Any, expected: str) -> str:
    if not isinstance(value, str):
        raise ValueError(f"must be {expected} in quotes, not {_shown(value)}")  # noqa: TRY004 - see the header
    return value


def _read_text(value: Any, _: Path) -> str:
    text = _string(value, "text")
    if not text or not text.isprintable():
        raise ValueError("must be one line of text, and not empty")
    return text


TEXT = Kind(_read_text)


def _read_flag(value: Any, _: Path) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"must be true or false, not {_shown(value)}")  # noqa: TRY004
    return value


FLAG = Kind(_read_flag)


def whole(low: int, high: int) -> Kind:
    """A whole number within bounds."""

    def read(value: Any, _: Path) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise ValueError(f"must be a whole number from {low} to {high}, not {_shown(value)}")
        return value

    return Kind(read)


def choice(*values: str) -> Kind:
    """One of a few words."""

    def read(value: Any, _: Path) -> str:
        if value not in values:
            named = ", ".join(f'"{each}"' for each in values)
            raise ValueError(f"must be one of {named}, not {_shown(value)}")
        return str(value)

    return Kind(read)


def _quantity(
    value: Any, units: dict[str, int], pattern: re.Pattern[str], bounds: tuple[int, int], hint: str
) -> int:
    """Add up number-unit pairs such as "1d12h"; a number alone counts in the smallest unit."""
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(text, str) or (not pattern.fullmatch(text) and not text.isdecimal()):
        raise ValueError(f"must be {hint}, not {_shown(value)}")
    if text.isdecimal():
        total = int(text)
    else:
        total = sum(int(number) * units[unit] for number, unit in re.findall(r"(\d+)([A-Za-z]+)", text))
    low, high = bounds
    if not low <= total <= high:
        show = partial(_show_quantity, units=units)
        raise ValueError(f"must be from {_shown(show(low))} to {_shown(show(high))}, not {_shown(value)}")
    return total


def _show_quantity(amount: int, units: dict[str, int]) -> str:
    """Write an amount in the largest unit that holds it exactly."""
    for unit, size in units.items():
        if amount and amount % size == 0:
            return f"{amount // size}{unit}"
    return "0"


_DURATION = re.compile(r"(?:\d{1,9}[dhms])+")
_SIZE = re.compile(r"\d{1,12}(?:B|KB|MB|GB)")


def duration(low_s: int, high_s: int) -> Kind:
    """A time span; seconds inside."""
    hint = 'a time such as "5d", "4h", "30m", "90s" or "0"'
    return Kind(
        lambda value, _: _quantity(value, _SECONDS, _DURATION, (low_s, high_s), hint),
        partial(_show_quantity, units=_SECONDS),
    )


def size(low: int, high: int) -> Kind:
    """A number of octets; 1 KB is 1024."""
    hint = 'a size such as "50MB", "64KB" or a number of octets'
    return Kind(
        lambda value, _: _quantity(value, _OCTETS, _SIZE, (low, high), hint),
        partial(_show_quantity, units=_OCTETS),
    )


def _read_path(value: Any, base: Path) -> Path:
    """A path; relative ones begin at the settings file."""
    text = _string(value, "a path")
    if not text or "\0" in text:
        raise ValueError("must be a path, and not empty")
    return base.absolute() / text


def _read_file(value: Any, base: Path) -> Path:
    path = _read_path(value, base)
    try:
        found = path.is_file()
    except PermissionError:
        return path  # whoever runs the service may see it; reading it will tell
    if not found:
        raise ValueError(f"there is no file {path}; create it or correct the path")
    return path


PATH = Kind(_read_path, str)
FILE = Kind(_read_file, str)


def _mail(parse: Callable[[str], Any], text: str, expected: str) -> Any:
    try:
        return parse(text)
    except BadSyntax as error:
        raise ValueError(f"must be {expected}: {error}") from None


def _read_hostname(value: Any, _: Path) -> str:
    expected = 'a host name such as "mail.example.org"'
    return str(_mail(parse_domain, _string(value, expected), expected))


HOSTNAME = Kind(_read_hostname)


def _read_mailbox(value: Any, _: Path) -> str:
    expected = 'an address such as "outbox@example.org"'
    return str(_mail(parse_address, _string(value, expected), expected).key)


MAILBOX = Kind(_read_mailbox)


def _read_pattern(value: Any, _: Path) -> str:
    expected = '"*", a domain such as "example.org", or "*.example.org"'
    text = _string(value, expected)
    if text == "*":
        return text
    if text.startswith("["):
        return str(_mail(parse_address_literal, text, expected))
    start = "*." if text.startswith("*.") else ""
    return start + str(_mail(parse_domain, text.removeprefix(start), expected))


DOMAIN_PATTERN = Kind(_read_pattern)


def _read_host(value: Any, _: Path) -> str:
    expected = "a host name or an IP address"
    text = _string(value, expected)
    bare = text[1:-1].removeprefix("IPv6:") if text.startswith("[") and text.endswith("]") else text
    try:
        return str(ip_address(bare))
    except ValueError:
        return str(_mail(parse_domain, text, expected))


HOST = Kind(_read_host)


def _read_listen(value: Any, _: Path) -> str:
    expected = 'an IP address of this machine, "::" for all, or "systemd:NAME"'
    text = _string(value, expected)
    if text.startswith("systemd:"):
        if not text.removeprefix("systemd:"):
            raise ValueError('lacks the name: "systemd:NAME" with FileDescriptorName=NAME of the socket unit')
        return text
    try:
        return str(ip_address(text))
    except ValueError:
        raise ValueError(f"must be {expected}, not {_shown(text)}") from None


LISTEN = Kind(_read_listen)


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError(f"must be a list in brackets, not {_shown(value)}")  # noqa: TRY004
    return value


def _read_networks(value: Any, _: Path) -> tuple[Any, ...]:
    networks = []
    for each in _list(value):
        text = _string(each, "a network")
        try:
            network = ip_network(text, strict=False)
        except ValueError:
            raise ValueError(f'{_shown(each)} is no network; write one as "192.0.2.0/24"') from None
        if network.prefixlen == 0:
            raise ValueError(f"{_shown(each)} trusts the whole internet; name the networks of your own hosts")
        if "/" in text and str(network.network_address) != str(ip_address(text.partition("/")[0])):
            raise ValueError(f'{_shown(each)} has bits set beyond its mask; write "{network}"')
        networks.append(network)
    return tuple(networks)


NETWORKS = Kind(_read_networks, lambda networks: [str(network) for network in networks])

_WITH_PORT = re.compile(r"(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})|\[?([^\]]+)\]?")


def _read_servers(value: Any, _: Path) -> tuple[tuple[str, int], ...]:
    servers = []
    for each in _list(value):
        text = _string(each, "a name server")
        found = _WITH_PORT.fullmatch(text)
        host = (found[1] or found[2] or found[4]) if found else ""
        port = int(found[3]) if found and found[3] else 53
        try:
            servers.append((str(ip_address(host)), port))
        except ValueError:
            port = 0
        if not 0 < port < 65536:
            raise ValueError(
                f"{_shown(each)} is no name server; "
                'write an address as "127.0.0.1", "127.0.0.1:5353" or "[::1]:5353"'
            )
    return tuple(servers)


def _show_servers(servers: tuple[tuple[str, int], ...]) -> list[str]:
    return [f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in servers]


NAMESERVERS = Kind(_read_servers, _show_servers)


def _read_files(value: Any, base: Path) -> tuple[Path, ...]:
    return tuple(_read_file(each, base) for each in _list(value))


FILES = Kind(_read_files, lambda files: [str(file) for file in files])


def _read_patterns(value: Any, base: Path) -> tuple[str, ...]:
    patterns = tuple(_read_pattern(each, base) for each in _list(value))
    if not patterns:
        raise ValueError('must name at least one host, such as ["*.example.org"]')
    return patterns


HOST_PATTERNS = Kind(_read_patterns, list)


def _read_address(value: Any, _: Path) -> str:
    text = _string(value, "an IP address")
    try:
        return str(ip_address(text.strip("[]")))
    except ValueError:
        raise ValueError(
            f'must be an IP address of this machine, such as "192.0.2.1", not {_shown(value)}'
        ) from None


ADDRESS = Kind(_read_address)


def _read_name(value: Any, _: Path) -> str:
    text = _string(value, "a name")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", text):
        raise ValueError("must be a short name of letters, digits, dots and hyphens")
    return text.lower()


NAME = Kind(_read_name)
