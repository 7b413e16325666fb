"""The dialogues of ``fedaemonctl probe``: a submission and a look into a mailbox, as mail programs have them.

Invariants: a password is sent under TLS alone; to a server on this machine even when its certificate is not good,
which is then said.
"""

from __future__ import annotations

import imaplib
import re
import smtplib
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from email.policy import SMTP
from typing import Any, Final, TypeVar

from fedaemon.config import Listener, Settings
from fedaemon.errors import Refused
from fedaemon.tls_setup import own_files
from fedaemon.web.advertised import from_here

TIMEOUT_S: Final = 20.0
_QUEUED: Final = re.compile(r"queued as ([0-9A-Z]+)")

T = TypeVar("T")


class Failed(Exception):
    """A step did not work; *text* says why, *seconds* how long it took."""

    def __init__(self, step: str, text: str, seconds: float) -> None:
        super().__init__(text)
        self.step, self.text, self.seconds = step, text, seconds


class _NamedContext(ssl.SSLContext):
    """Checks the certificate for *name*, whatever address was dialled."""

    name: str

    def wrap_socket(self, sock: socket.socket, *given: Any, **named: Any) -> ssl.SSLSocket:
        return super().wrap_socket(sock, *given, **{**named, "server_hostname": self.name})


def usual_listener(settings: Settings, service: str) -> Listener:
    """Return the listener of *service* that mail programs are told of: TLS from the first octet, else STARTTLS.

    :raises Refused: there is none with TLS.
    """
    found = [one for one in settings.listeners if one.service == service and one.tls != "none"]
    if not found:
        raise Refused(f'there is no [[listener]] with service = "{service}" and TLS')
    return min(found, key=lambda one: (one.tls != "implicit", one.proxy_protocol))


def _context(settings: Settings, *, verify: bool) -> _NamedContext:
    context = _NamedContext(ssl.PROTOCOL_TLS_CLIENT)
    context.name = settings.server.hostname
    if not verify:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    elif settings.tls is None:
        context.load_verify_locations(cafile=str(own_files(settings).ca_file))
    else:
        context.load_default_certs()
    return context


@contextmanager
def _step(name: str, listener: Listener) -> Iterator[None]:
    """Turn what can go wrong in a dialogue into ``Failed``."""
    began_s = time.monotonic()
    try:
        yield
    except ConnectionRefusedError:
        text = f"nothing answers on port {listener.port}; is it running? systemctl start fedaemon"
    except TimeoutError:
        text = f"port {listener.port} did not answer within {TIMEOUT_S:.0f} s"
    except smtplib.SMTPRecipientsRefused as error:
        text = "; ".join(
            f"{code} {reply.decode('utf-8', 'replace')}" for code, reply in error.recipients.values()
        )
    except smtplib.SMTPResponseException as error:
        reply = error.smtp_error
        text = f"{error.smtp_code} {reply.decode('utf-8', 'replace') if isinstance(reply, bytes) else reply}"
    except (OSError, smtplib.SMTPException, imaplib.IMAP4.error) as error:
        text = str(error) or type(error).__name__
    else:
        return
    raise Failed(name, text, time.monotonic() - began_s) from None


def _with_tls(settings: Settings, dialogue: Callable[[_NamedContext], T]) -> tuple[T, str]:
    """Have a dialogue with a certificate that is checked, else with one that is not; say which it was."""
    try:
        result = dialogue(_context(settings, verify=True))
    except ssl.SSLCertVerificationError as error:
        return dialogue(
            _context(settings, verify=False)
        ), f"its certificate is not good: {error.verify_message}"
    own = settings.tls is None
    return (
        result,
        "with a certificate made here, which clients do not trust" if own else "its certificate is good",
    )


def submit(
    settings: Settings, listener: Listener, login: str, password: str, message: EmailMessage
) -> tuple[str, str | None]:
    """Submit *message* as *login*; return what to say of it, and the queue id.

    :raises Failed: it was not taken.
    """

    def dialogue(context: _NamedContext) -> tuple[str, str]:
        client: smtplib.SMTP
        if listener.tls == "implicit":
            client = smtplib.SMTP_SSL(
                from_here(listener.address), listener.port, timeout=TIMEOUT_S, context=context
            )
        else:
            client = smtplib.SMTP(from_here(listener.address), listener.port, timeout=TIMEOUT_S)
            client.starttls(context=context)
        with client:
            version = client.sock.version() if isinstance(client.sock, ssl.SSLSocket) else None
            client.login(login, password)
            for code, reply in (client.mail(login), client.rcpt(str(message["To"]))):
                if code >= 300:
                    raise smtplib.SMTPResponseException(code, reply)
            code, reply = client.data(message.as_bytes(policy=SMTP))
            if code != 250:
                raise smtplib.SMTPResponseException(code, reply)
            return version or "", reply.decode("utf-8", "replace")

    with _step("submission", listener):
        (version, reply), certificate = _with_tls(settings, dialogue)
    queued = _QUEUED.search(reply)
    text = f"port {listener.port}, {version}, {certificate}; logged in as {login}; {reply}"
    return text, queued[1] if queued else None


def read_back(
    settings: Settings, listener: Listener, login: str, password: str, message: EmailMessage
) -> str:
    """Find *message* in the INBOX of *login*, compare it, and remove it; return what to say of it.

    :raises Failed: it is not there, or not what was sent.
    """

    def dialogue(context: _NamedContext) -> str:
        client: imaplib.IMAP4
        if listener.tls == "implicit":
            client = imaplib.IMAP4_SSL(
                from_here(listener.address), listener.port, ssl_context=context, timeout=TIMEOUT_S
            )
        else:
            client = imaplib.IMAP4(from_here(listener.address), listener.port, timeout=TIMEOUT_S)
            client.starttls(context)
        with client:
            client.login(login, password)
            client.select("INBOX")
            _, found = client.uid("SEARCH", "HEADER", "Message-ID", f'"{message["Message-ID"]}"')
            uid = (found[0] or b"").decode()
            if not uid.isdigit():
                raise imaplib.IMAP4.error("the message is not in INBOX")
            _, fetched = client.uid("FETCH", uid, "(BODY.PEEK[TEXT])")
            client.uid("STORE", uid, "+FLAGS.SILENT", "(\\Deleted)")
            client.uid("EXPUNGE", uid)
            assert isinstance(fetched[0], tuple)
            if fetched[0][1] != message.as_bytes(policy=SMTP).partition(b"\r\n\r\n")[2]:
                raise imaplib.IMAP4.error("the message that arrived is not what was sent")
            return f"port {listener.port}, read what was sent, and removed it again"

    with _step("imap", listener):
        text, certificate = _with_tls(settings, dialogue)
    return f"{text}; {certificate}"
