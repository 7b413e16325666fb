"""Domain names as mail uses them: lower-case A-labels, from whatever form people write.

Everything inside fedaemon compares and stores domains in this one form, so that ``Bücher.example``, its
decomposed spelling and ``XN--BCHER-KVA.example`` are one domain.

Standards: RFC 5321 4.1.2 (Domain), RFC 5890 2.3 (A-labels and U-labels), RFC 5891 5 (look-up), UTS #46
(non-transitional mapping), RFC 1123 2.1 (a name is never a dotted number), RFC 1035 2.3.4 (lengths).
Invariants: the result has only a-z, 0-9, "-" and "."; parsing it again gives the same.
Limits: MAX_DOMAIN_OCTETS for the whole name, both before and after conversion; MAX_LABEL_OCTETS.
Known gaps: a label that is written as an A-label is not checked against IDNA 2008, because names outside it
(emoji domains) exist in DNS, and DNS compares only the A-label.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address
from typing import Final

import idna

from fedaemon.errors import BadSyntax
from fedaemon.message.grammar import DOMAIN, MAX_DOMAIN_OCTETS, MAX_LABEL_OCTETS

RECIPIENT_STATUS: Final = "5.1.3"
"""Bad destination mailbox address syntax (RFC 3463 3.2): what is said unless it is known to be a sender."""
MAX_LITERAL_OCTETS: Final = 64
"""An address literal: the longest IPv6 text is 45 octets, with "[IPv6:" and "]" 52."""

_PLAIN = re.compile(DOMAIN).fullmatch
# 0177.0.0.1 is octal to some programs and decimal to others: no leading zeros.
_IPV4 = re.compile(r"(?:0|[1-9][0-9]{0,2})(?:\.(?:0|[1-9][0-9]{0,2})){3}").fullmatch
_IPV6 = re.compile(r"[0-9A-Fa-f:.]+").fullmatch


def bad_address(text: str, *, code: int = 553, status: str = RECIPIENT_STATUS) -> BadSyntax:
    """Return the error for an address that is none."""
    return BadSyntax(text, code=code, status=status)


def parse_domain(text: str) -> str:
    """Return a domain name in its canonical form.

    :param text: U-labels, A-labels or a mixture, without a trailing dot; MAX_DOMAIN_OCTETS characters.
    :returns: lower-case A-labels.
    :raises BadSyntax: 553 5.1.3, saying what is wrong with it.

    Spec: RFC 5321 4.1.2, RFC 5891 5, UTS #46
    """
    if len(text) > MAX_DOMAIN_OCTETS:
        raise bad_address(f"the domain is longer than {MAX_DOMAIN_OCTETS} octets")
    if _PLAIN(text) is not None:
        return text.lower()
    if not text.isascii():
        converted = _to_a_labels(text)
        if len(converted) > MAX_DOMAIN_OCTETS:
            raise bad_address(f"the domain is longer than {MAX_DOMAIN_OCTETS} octets in its ASCII form")
        if _PLAIN(converted) is not None:
            return converted
        text = converted
    raise bad_address(_fault(text))


def _to_a_labels(text: str) -> str:
    try:
        mapped = idna.uts46_remap(text, std3_rules=True, transitional=False)
        labels = [label if label.isascii() else idna.alabel(label).decode() for label in mapped.split(".")]
    # idna's errors are UnicodeErrors; surrogates and odd labels end in other ValueErrors.
    except ValueError:
        raise bad_address("the domain has characters that a domain name cannot have") from None
    return ".".join(labels).lower()


def _fault(text: str) -> str:
    """Say why *text*, which is ASCII, is not a domain."""
    if not text:
        return "the domain is missing"
    labels = text.split(".")
    if "" in labels:
        return "the domain has an empty label (a dot too many)"
    if any(len(label) > MAX_LABEL_OCTETS for label in labels):
        return f"a label of the domain is longer than {MAX_LABEL_OCTETS} octets"
    if labels[-1].isdigit():
        return "the domain ends in a number; an IP address is written [192.0.2.1] or [IPv6:2001:db8::1]"
    if any(label[0] == "-" or label[-1] == "-" for label in labels):
        return "a label of the domain begins or ends with a hyphen"
    return "the domain has characters other than letters, digits, hyphens and dots"


def parse_address_literal(text: str) -> str:
    """Return an address literal in its one canonical spelling.

    :param text: with its brackets: "[192.0.2.1]" or "[IPv6:2001:db8::1]", at most MAX_LITERAL_OCTETS.
    :raises BadSyntax: 553 5.1.3 for anything else; no General-address-literal tag is registered.

    Spec: RFC 5321 4.1.3
    """
    inner = text[1:-1]
    if len(text) <= MAX_LITERAL_OCTETS and text[:1] == "[" and text[-1:] == "]":
        try:
            if _IPV4(inner) is not None:
                return f"[{IPv4Address(inner)}]"
            if inner[:5].lower() == "ipv6:" and _IPV6(inner[5:]) is not None:
                return f"[IPv6:{IPv6Address(inner[5:])}]"
        except ValueError:
            pass
    raise bad_address("the address literal is neither [192.0.2.1] nor [IPv6:2001:db8::1] in form")
