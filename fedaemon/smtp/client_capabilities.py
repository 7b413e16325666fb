"""What a server offers in its reply to EHLO.

Standards: RFC 5321 4.1.1.1, RFC 1870 (SIZE), RFC 4954 (AUTH), RFC 9422 (LIMITS), RFC 2852
(DELIVERBY).
Limits: a reply has at most 100 lines (client_reply), so this is small; numbers of more than 20 digits are
ignored.
"""

from __future__ import annotations

from collections.abc import Sequence


def _number(text: str) -> int:
    """Return the value of a decimal number, 0 for anything else."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 20 else 0


class Capabilities:
    """The extensions offered: ``"PIPELINING" in capabilities``; keywords are upper case."""

    __slots__ = ("_keywords",)

    def __init__(self, lines: Sequence[bytes] = ()) -> None:
        """Take the *lines* of a reply to EHLO; the first holds the server's name and is not looked at."""
        self._keywords: dict[str, str] = {}
        for line in lines[1:]:
            keyword, _, parameters = line.decode("ascii", "replace").upper().partition(" ")
            if keyword.startswith(
                "AUTH="
            ):  # written by servers from before RFC 2554, beside or instead of AUTH
                keyword, parameters = "AUTH", f"{keyword[5:]} {parameters} {self._keywords.get('AUTH', '')}"
            elif keyword == "AUTH":
                parameters = f"{parameters} {self._keywords.get('AUTH', '')}"
            self._keywords[keyword] = parameters

    def __contains__(self, keyword: str) -> bool:
        return keyword in self._keywords

    @property
    def size_limit(self) -> int:
        """The largest message in octets, 0 when none is declared.

        Spec: RFC 1870 4
        """
        return _number(self._keywords.get("SIZE", "").partition(" ")[0])

    @property
    def least_deliver_by_s(self) -> int | None:
        """The shortest time that the server takes with DELIVERBY, 0 for any; None when it does not offer it.

        Spec: RFC 2852 3
        """
        least = self._keywords.get("DELIVERBY")
        return None if least is None else _number(least.partition(" ")[0])

    @property
    def max_recipients(self) -> int:
        """The most recipients of a transaction, 0 when none is declared.

        Spec: RFC 9422 3
        """
        return self._limit("RCPTMAX")

    @property
    def max_transactions(self) -> int:
        """The most transactions of a connection, 0 when none is declared.

        Spec: RFC 9422 3
        """
        return self._limit("MAILMAX")

    @property
    def auth_mechanisms(self) -> frozenset[str]:
        """The names of the SASL mechanisms offered."""
        return frozenset(self._keywords.get("AUTH", "").split())

    def _limit(self, name: str) -> int:
        for item in self._keywords.get("LIMITS", "").split():
            key, _, value = item.partition("=")
            if key == name:
                return _number(value)
        return 0
