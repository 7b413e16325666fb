"""Names of mailboxes as clients write them.

Standards: RFC 9051 5.1, 5.1.1, RFC 3501 5.1.3, RFC 6855 3, RFC 5198 2.
Invariants: one mailbox has one name: NFC, INBOX in upper case, also as the first level; no control characters.
Limits: MAX_NAME_OCTETS.
"""

from __future__ import annotations

import re
from typing import Final, NewType
from unicodedata import is_normalized, normalize

from fedaemon.errors import BadSyntax
from fedaemon.imap import mutf7
from fedaemon.mailbox.mailboxes import canonical_name

MailboxName = NewType("MailboxName", str)
"""A mailbox name in Unicode, as it is stored; INBOX in upper case."""

MAX_NAME_OCTETS: Final = 1000
"""In UTF-8; clients keep mailboxes in file systems that know paths of 1,024."""

# RFC 5198 2 and RFC 6855 3: controls and the line and paragraph separators.
_UNFIT = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]").search


def read_name(data: bytes, *, utf8: bool) -> MailboxName:
    """Return the mailbox that a client names; the empty name is returned as it is.

    :param utf8: whether the session writes names in UTF-8 (RFC 6855); otherwise they are modified UTF-7.
    :raises BadSyntax: for what is not in that form, is too long, or has control characters.

    Spec: RFC 9051 5.1, RFC 6855 3
    """
    return MailboxName(canonical_name(read_text(data, utf8=utf8)))


def read_text(data: bytes, *, utf8: bool) -> str:
    """Return a name or a pattern of LIST as Unicode; parameters and errors are those of ``read_name``."""
    if len(data) > MAX_NAME_OCTETS * 2:
        raise BadSyntax("a mailbox name that is too long")
    try:
        name = data.decode("utf-8") if utf8 else mutf7.decode(data)
    except UnicodeDecodeError:
        raise BadSyntax("a mailbox name that is not UTF-8") from None
    if not is_normalized("NFC", name):
        name = normalize("NFC", name)
    if _UNFIT(name) is not None or len(name.encode("utf-8", "surrogatepass")) > MAX_NAME_OCTETS:
        raise BadSyntax("a mailbox name that is too long or has control characters")
    return name


def write_name(name: str, *, utf8: bool) -> bytes:
    """Return a mailbox name as the session reads it, before quoting.

    Spec: RFC 9051 5.1, RFC 3501 5.1.3
    """
    return name.encode("utf-8") if utf8 else mutf7.encode(name)
