"""The SASL mechanisms of the server, without I/O: messages of the client in, what is to be done out.

Theory of operation: a protocol decodes base64, handles "*" (cancel), and gives ``start`` the initial
response or None, then ``respond`` each further response. What comes back is a step: a ``Challenge`` to
send; ``NeedPassword`` to have checked; ``NeedScram`` to answer with ``secrets``; or ``Proved``, after which
the server's own proof is still to be sent as the last challenge, because SMTP, IMAP and POP3 have no place
for it in their final reply. ``conversation.py`` does all this.

Standards: RFC 4422, RFC 4616 (PLAIN), RFC 5802 and RFC 7677 (SCRAM-SHA-256, -PLUS), RFC 9266 and RFC 5929
(channel bindings, given by the caller); LOGIN was never standardised (draft-murchison-sasl-login).
Invariants: the authorization identity is empty or the login itself; a nonce is used for one exchange, and
an exchange once; a client that could bind to the channel but was kept from it (flag "y") is refused;
nothing but BadSyntax and BadCredentials escapes.
Limits: a message has at most 4096 octets, a nonce 512.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from fedaemon.accounts.login import OTHER_USER, WRONG, BadCredentials, login_key
from fedaemon.errors import BadSyntax, Refused

MAX_MESSAGE = 4096
NONCE_OCTETS = 18


@dataclass(frozen=True, slots=True)
class Challenge:
    """Send *data* and wait for the client's response."""

    data: bytes


@dataclass(frozen=True, slots=True)
class NeedPassword:
    """Check *password* of *login*; with that the exchange is over."""

    login: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class NeedScram:
    """Look up the SCRAM keys of *login* and call ``secrets``."""

    login: str


@dataclass(frozen=True, slots=True)
class Proved:
    """The client knows the password of *login* with this *hash*; if it may log in, send it *data* at last."""

    login: str
    hash: str = field(repr=False)
    data: bytes = field(repr=False)


Step = Challenge | NeedPassword | NeedScram | Proved


@dataclass(frozen=True, slots=True)
class ScramKey:
    """The SCRAM keys of one password; *hash* identifies it."""

    hash: str = field(repr=False)
    stored_key: bytes = field(repr=False)
    server_key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class ScramSecrets:
    """What SCRAM needs to know of an account: all its passwords share the salt and the iteration count."""

    salt: bytes
    iterations: int
    keys: tuple[ScramKey, ...]


class Mechanism(Protocol):
    """One exchange of one mechanism."""

    def start(self, initial: bytes | None) -> Step:
        """Begin, with the initial response if the client sent one."""

    def respond(self, data: bytes) -> Step:
        """Go on with the client's response to the last challenge."""


class Plain:
    """PLAIN: authorization identity, login and password between NULs in one message. Spec: RFC 4616 2."""

    def start(self, initial: bytes | None) -> Step:
        """See ``Mechanism``."""
        return Challenge(b"") if initial is None else self.respond(initial)

    def respond(self, data: bytes) -> Step:
        """See ``Mechanism``."""
        parts = _text(data).split("\0")
        if len(parts) != 3 or not parts[1]:
            raise BadSyntax("the PLAIN message is not: [authorization identity] NUL user name NUL password")
        other, login, password = parts
        check_authorization(other, login)
        return NeedPassword(login, password)


class Login:
    """LOGIN: the user name, then the password, each asked for; an initial response is the user name."""

    def __init__(self) -> None:
        self._login: str | None = None

    def start(self, initial: bytes | None) -> Step:
        """See ``Mechanism``."""
        return Challenge(b"Username:") if initial is None else self.respond(initial)

    def respond(self, data: bytes) -> Step:
        """See ``Mechanism``."""
        text = _text(data)
        if "\0" in text:
            raise BadSyntax("NUL in a LOGIN response")
        if self._login is None:
            self._login = text
            return Challenge(b"Password:")
        return NeedPassword(self._login, text)


CLIENT_FIRST = re.compile(
    rb"(?P<gs2>(?:(?P<flag>[ny])|p=(?P<binding>[A-Za-z0-9.-]{1,64})),(?:a=(?P<other>[^,\0]+))?,)"
    rb"(?P<bare>n=(?P<login>[^,\0]+),r=(?P<nonce>[\x21-\x2b\x2d-\x7e]{1,512})(?:,[A-Za-ln-z]=[^,\0]+)*)"
)
"""RFC 5802 7; "m=" (a mandatory extension) is not matched, since we know none."""

CLIENT_FINAL = re.compile(
    rb"(?P<without_proof>c=(?P<bound>[A-Za-z0-9+/=]+),r=(?P<nonce>[\x21-\x2b\x2d-\x7e]+)(?:,[A-Za-ln-z]=[^,\0]+)*)"
    rb",p=(?P<proof>[A-Za-z0-9+/=]+)"
)


def new_nonce() -> bytes:
    """Return a random nonce without commas."""
    return base64.b64encode(secrets.token_bytes(NONCE_OCTETS))


class ScramSha256:
    """SCRAM-SHA-256, and with *plus* SCRAM-SHA-256-PLUS. Spec: RFC 5802 5, RFC 7677.

    :param plus: the client chose the mechanism that binds to the channel.
    :param bindings: the channel's bindings by type; SCRAM-SHA-256-PLUS has been offered when there are any.
    :param nonce: makes the server's part of the nonce.
    """

    def __init__(
        self, *, plus: bool, bindings: Mapping[str, bytes], nonce: Callable[[], bytes] = new_nonce
    ) -> None:
        self._plus = plus
        self._bindings = bindings
        self._new_nonce = nonce
        self._respond: Callable[[bytes], Step] = self._client_first
        self._login = ""
        self._gs2 = b""
        self._binding = b""
        self._bare = b""
        self._nonce = b""
        self._server_first = b""
        self._secrets: ScramSecrets | None = None

    def start(self, initial: bytes | None) -> Step:
        """See ``Mechanism``."""
        return Challenge(b"") if initial is None else self.respond(initial)

    def respond(self, data: bytes) -> Step:
        """See ``Mechanism``."""
        if len(data) > MAX_MESSAGE:
            raise BadSyntax("the SCRAM message is too long")
        # Whatever happens now, the same message is not expected a second time.
        respond, self._respond = self._respond, self._out_of_turn
        return respond(data)

    def secrets(self, found: ScramSecrets) -> Challenge:
        """Go on after ``NeedScram``; *found* has at least one key, a stand-in for nobody."""
        self._secrets = found
        salt = base64.b64encode(found.salt)
        self._server_first = b"r=%b,s=%b,i=%d" % (self._nonce, salt, found.iterations)
        self._respond = self._client_final
        return Challenge(self._server_first)

    def _client_first(self, data: bytes) -> Step:
        message = CLIENT_FIRST.fullmatch(data)
        if message is None:
            raise BadSyntax("the first SCRAM message cannot be read (RFC 5802 7)")
        self._check_binding(message["flag"], message["binding"])
        self._login = _saslname(message["login"])
        check_authorization(_saslname(message["other"] or b""), self._login)
        self._gs2 = message["gs2"]
        self._bare = message["bare"]
        self._nonce = message["nonce"] + self._new_nonce()
        return NeedScram(self._login)

    def _check_binding(self, flag: bytes | None, binding: bytes | None) -> None:
        """Set the channel binding that the client wants; raise when it does not fit what was offered.

        Spec: RFC 5802 6
        """
        if self._plus != (binding is not None):
            raise BadSyntax("SCRAM-SHA-256-PLUS is with channel binding, SCRAM-SHA-256 without")
        if flag == b"y" and self._bindings:
            raise BadCredentials(
                "Your program could have used SCRAM-SHA-256-PLUS, which was offered: somebody may have "
                "removed it from the list on the way"
            )
        if binding is not None:
            found = self._bindings.get(binding.decode("ascii"))
            if found is None:
                known = ", ".join(self._bindings)
                raise BadSyntax(f"this channel binding type is not supported here; known: {known}")
            self._binding = found

    def _client_final(self, data: bytes) -> Step:
        message = CLIENT_FINAL.fullmatch(data)
        if message is None:
            raise BadSyntax("the final SCRAM message cannot be read (RFC 5802 7)")
        bound = _decode(message["bound"])
        if not hmac.compare_digest(bound, self._gs2 + self._binding):
            raise BadCredentials(
                "The channel binding does not match: something between your program and this server may be "
                "reading along"
            )
        if not hmac.compare_digest(message["nonce"], self._nonce):
            raise BadCredentials(WRONG)
        return self._check_proof(_decode(message["proof"]), message["without_proof"])

    def _check_proof(self, proof: bytes, without_proof: bytes) -> Proved:
        """Find the password whose keys the proof was made with. Spec: RFC 5802 3."""
        assert self._secrets is not None
        said = b",".join((self._bare, self._server_first, without_proof))
        proved = None
        for key in self._secrets.keys:
            signature = hmac.digest(key.stored_key, said, "sha256")
            client_key = bytes(a ^ b for a, b in zip(proof, signature, strict=False))
            if hmac.compare_digest(hashlib.sha256(client_key).digest(), key.stored_key) and len(proof) == 32:
                proved = key
        if proved is None:
            raise BadCredentials(WRONG)
        final = b"v=" + base64.b64encode(hmac.digest(proved.server_key, said, "sha256"))
        return Proved(self._login, proved.hash, final)

    def _out_of_turn(self, data: bytes) -> Step:
        raise BadSyntax("no SCRAM message is expected now")


MECHANISMS: dict[str, Callable[[Mapping[str, bytes]], Mechanism]] = {
    "SCRAM-SHA-256-PLUS": lambda bindings: ScramSha256(plus=True, bindings=bindings),
    "SCRAM-SHA-256": lambda bindings: ScramSha256(plus=False, bindings=bindings),
    "PLAIN": lambda bindings: Plain(),
    "LOGIN": lambda bindings: Login(),
}
"""By name, strongest first: the order in which they are offered."""


def offered(bindings: Mapping[str, bytes]) -> tuple[str, ...]:
    """Return the names of the mechanisms to offer on a channel with these bindings."""
    return tuple(name for name in MECHANISMS if bindings or not name.endswith("-PLUS"))


def new_mechanism(name: str, bindings: Mapping[str, bytes]) -> Mechanism:
    """Begin an exchange of the mechanism *name* (in any case).

    :raises Refused: 504 5.5.4, it was not offered.
    """
    name = name.upper()
    if name not in offered(bindings):
        raise Refused(
            f"this mechanism is not supported; use one of: {', '.join(offered(bindings))}",
            code=504,
            status="5.5.4",
        )
    return MECHANISMS[name](bindings)


def check_authorization(other: str, login: str) -> None:
    """Raise ``BadCredentials`` unless the authorization identity *other* is empty or *login* itself."""
    if other and other != login and (login_key(other) is None or login_key(other) != login_key(login)):
        raise BadCredentials(OTHER_USER)


def _text(data: bytes) -> str:
    if len(data) > MAX_MESSAGE:
        raise BadSyntax("the authentication message is too long")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadSyntax("the authentication message is not UTF-8") from error


def _saslname(data: bytes) -> str:
    """Decode a user name in which "," is "=2C" and "=" is "=3D". Spec: RFC 5802 5.1."""
    if re.search(rb"=(?!2C|3D)", data):
        raise BadSyntax('"=" in a SCRAM user name must be part of "=2C" or "=3D" (RFC 5802 5.1)')
    return _text(data).replace("=2C", ",").replace("=3D", "=")


def _decode(data: bytes) -> bytes:
    try:
        return base64.b64decode(data, validate=True)
    except binascii.Error as error:
        raise BadSyntax("invalid base64 in a SCRAM message") from error
