"""What the server engine tells its caller.

Some events are questions: after one of them the engine gives no further event until it is answered with
``accept`` or ``refuse`` (or the AUTH answers). The others are statements and need no answer.

Standards: RFC 5321 4.1, RFC 3030, RFC 3207, RFC 3461 4, RFC 4954, RFC 6531, RFC 8689; RFC 4865, RFC
2852 and RFC 6710 for *wishes*.
"""

from __future__ import annotations

from dataclasses import dataclass

from fedaemon.message.address import Address
from fedaemon.submission.wishes import Wishes


@dataclass(frozen=True, slots=True)
class Hello:
    """EHLO or HELO was answered. *name* is the client's name: one ASCII word, otherwise unchecked."""

    name: str
    extended: bool


@dataclass(frozen=True, slots=True)
class StartTls:
    """Send the output, start TLS on the transport, then call ``tls_started``."""


@dataclass(frozen=True, slots=True)
class AuthStart:
    """Question: a log-in begins. *mechanism* is one of the settings'; *initial* is None when none was sent.

    Answered with ``auth_challenge``, ``auth_succeeded`` or ``refuse``.
    """

    mechanism: str
    initial: bytes | None


@dataclass(frozen=True, slots=True)
class AuthResponse:
    """Question: the client's answer to a challenge, decoded. Answered like ``AuthStart``."""

    data: bytes


@dataclass(frozen=True, slots=True)
class AuthCancel:
    """The client gave the exchange up ("*") or broke it; the engine has answered."""


@dataclass(frozen=True, slots=True)
class MailParams:
    """Parameters of MAIL.

    *size* is None when not declared (SIZE=0 counts as that). *body* is "7BIT" when not given. *ret* is "",
    "FULL" or "HDRS"; *envid* is the xtext as given ("" when absent). *auth* is None when absent, "" for
    ``<>``, else the mailbox. *wishes* are the parameters that say when the message is to go, None without
    any.
    """

    size: int | None = None
    body: str = "7BIT"
    smtputf8: bool = False
    ret: str = ""
    envid: str = ""
    require_tls: bool = False
    auth: str | None = None
    wishes: Wishes | None = None


@dataclass(frozen=True, slots=True)
class MailFrom:
    """Question: a transaction begins. *sender* is None for the empty reverse-path."""

    sender: Address | None
    params: MailParams


@dataclass(frozen=True, slots=True)
class RcptParams:
    """Parameters of RCPT. *notify* is upper case, as given otherwise; *orcpt* is as given; "" when absent."""

    notify: str = ""
    orcpt: str = ""


@dataclass(frozen=True, slots=True)
class RcptTo:
    """Question: one more recipient."""

    recipient: Address
    params: RcptParams


@dataclass(frozen=True, slots=True)
class DataStart:
    """Question: the content is about to come. Refusing it ends the transaction.

    *binary* says BODY=BINARYMIME. *size_hint* is what the client said the size is, or the first chunk's size;
    else None.
    """

    binary: bool
    size_hint: int | None


@dataclass(frozen=True, slots=True)
class Content:
    """A block of content, dot-stuffing removed; a caller that cannot take more stops asking for events."""

    data: bytes


@dataclass(frozen=True, slots=True)
class ContentEnd:
    """Question: the content is complete; accepting it is the 250 after which the message is ours.

    *size* is the octets handed up; *eight_bit* says whether any of them is outside ASCII.
    """

    size: int
    eight_bit: bool


@dataclass(frozen=True, slots=True)
class ContentAborted:
    """Throw away the content and its transaction; a client that is still there has been answered.

    *reason* is for the log.
    """

    reason: str


@dataclass(frozen=True, slots=True)
class Reset:
    """The open transaction, of which no content had come, was thrown away (RSET, EHLO, HELO)."""


@dataclass(frozen=True, slots=True)
class Quit:
    """The client takes its leave: send the output and close."""


@dataclass(frozen=True, slots=True)
class TooManyErrors:
    """The client made more errors than a session may: send the output (421) and close."""


@dataclass(frozen=True, slots=True)
class Abuse:
    """The client does what no mail client does (*reason*, for the log): send the output and close."""

    reason: str


Event = (
    Hello
    | StartTls
    | AuthStart
    | AuthResponse
    | AuthCancel
    | MailFrom
    | RcptTo
    | DataStart
    | Content
    | ContentEnd
    | ContentAborted
    | Reset
    | Quit
    | TooManyErrors
    | Abuse
)
