"""MTA-STS policies and the DNS records that announce them: reading, judging hosts, storing.

Theory of operation: the TXT record at ``_mta-sts.DOMAIN`` says that there is a policy, and names its version (the
id); the policy itself is a short text of "key: value" lines.

Standards: RFC 8461 3.1 (record), 3.2 (policy), 4.1 (which hosts match).
Invariants: a policy that breaks the grammar is no policy; whatever the standard does not define is ignored.
Limits: ``MAX_PATTERNS`` mx patterns of a policy, ``MAX_AGE_S``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, Literal, cast

from fedaemon.errors import BadSyntax
from fedaemon.message.domain import parse_domain

Mode = Literal["enforce", "testing", "none"]

MAX_AGE_S: Final = 31_557_600
"""A year."""
MAX_PATTERNS: Final = 500

_ID = re.compile(rb"id=([A-Za-z0-9]{1,32})").fullmatch
_EXTENSION = re.compile(rb"[A-Za-z0-9][A-Za-z0-9_.-]{0,31}=[\x21-\x3a\x3c\x3e-\x7e]+").fullmatch
_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,31}").fullmatch
_MAX_AGE = re.compile(r"[0-9]{1,10}").fullmatch


@dataclass(frozen=True, slots=True)
class StsPolicy:
    """A policy as fetched. *mx* are host names, or "*.domain" for all names one label below *domain*."""

    id: str
    mode: Mode
    mx: tuple[str, ...]
    max_age_s: int
    fetched_ms: int

    @property
    def expires_ms(self) -> int:
        """Until when the policy holds."""
        return self.fetched_ms + self.max_age_s * 1000

    def allows(self, host: str) -> bool:
        """Return True when mail may go to *host* (lower-case A-labels). Spec: RFC 8461 4.1"""
        parent = host.partition(".")[2]
        return host in self.mx or f"*.{parent}" in self.mx

    def to_record(self) -> dict[str, Any]:
        """Return the policy as it is stored."""
        return {
            "id": self.id,
            "mode": self.mode,
            "mx": list(self.mx),
            "max_age_s": self.max_age_s,
            "fetched_ms": self.fetched_ms,
        }

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> StsPolicy:
        """Return a stored policy."""
        return cls(
            record["id"], record["mode"], tuple(record["mx"]), record["max_age_s"], record["fetched_ms"]
        )


def announced_id(texts: Iterable[bytes]) -> str | None:
    """Return the id in the TXT records at ``_mta-sts.DOMAIN``; None when they announce no policy.

    Records of other protocols are passed over; two of this one, or one that is malformed, announce nothing.

    Spec: RFC 8461 3.1
    """
    records = [text for text in texts if text.startswith(b"v=STSv1;")]
    if len(records) != 1:
        # A version without any field is malformed, and counts for nothing as well.
        return None
    fields = [field.strip(b" \t") for field in records[0].split(b";")][1:]
    if fields[-1] == b"":
        fields.pop()
    found = ""
    for field in fields:
        match = _ID(field)
        if match is None:
            if field.startswith(b"id=") or _EXTENSION(field) is None:
                return None
        elif not found:
            found = match[1].decode("ascii")
    return found or None


def parse_policy(body: bytes, policy_id: str, fetched_ms: int) -> StsPolicy:
    """Read a policy.

    Of a field that must not be repeated the first counts.

    :raises BadSyntax: it is none; the text says why.

    Spec: RFC 8461 3.2
    """
    values: dict[str, str] = {}
    patterns: list[str] = []
    for key, value in _fields(body):
        if key == "mx":
            patterns.append(_pattern(value))
        else:
            values.setdefault(key, value)
    if values.get("version") != "STSv1":
        raise BadSyntax("the policy is not of version STSv1")
    mode = values.get("mode")
    if mode not in ("enforce", "testing", "none"):
        raise BadSyntax("the policy has no mode enforce, testing or none")
    age = values.get("max_age", "")
    if _MAX_AGE(age) is None or int(age) > MAX_AGE_S:
        raise BadSyntax(f"the policy has no max_age between 0 and {MAX_AGE_S}")
    if not patterns and mode != "none":
        raise BadSyntax("the policy names no mx")
    if len(patterns) > MAX_PATTERNS:
        raise BadSyntax(f"the policy names more than {MAX_PATTERNS} mx")
    mx = tuple(dict.fromkeys(patterns))
    return StsPolicy(policy_id, cast("Mode", mode), mx, int(age), fetched_ms)


def _fields(body: bytes) -> Iterable[tuple[str, str]]:
    """Give the fields in order."""
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        raise BadSyntax("the policy is not UTF-8") from None
    for line in text.replace("\r\n", "\n").split("\n"):
        key, colon, value = line.partition(":")
        if colon and _KEY(key):
            yield key, value.strip(" \t")
        elif line.strip(" \t"):
            raise BadSyntax(f'the policy has a line that is no field: "{line[:60]!a}"')


def _pattern(value: str) -> str:
    """Return one mx pattern in canonical form."""
    wildcard = "*." if value.startswith("*.") else ""
    domain = value[len(wildcard) :]
    if domain.isascii():
        with suppress(BadSyntax):
            return wildcard + parse_domain(domain)
    raise BadSyntax(f"the policy has an mx that is no host name in A-labels: {value[:60]!a}")
