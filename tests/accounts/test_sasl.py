"""The mechanisms take the messages of their RFCs, and refuse every other one as the family it belongs to."""

from __future__ import annotations

import base64
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedaemon.accounts.login import BadCredentials
from fedaemon.accounts.passwords import scram_keys
from fedaemon.accounts.sasl import (
    Challenge,
    Login,
    Mechanism,
    NeedPassword,
    NeedScram,
    Plain,
    Proved,
    ScramKey,
    ScramSecrets,
    ScramSha256,
    new_mechanism,
    offered,
)
from fedaemon.errors import BadSyntax, MailError, Refused
from tests.accounts.scram_client import ScramClient

SALT = base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")
BINDINGS = {"tls-exporter": b"e" * 32, "tls-server-end-point": b"s" * 32}


def secrets_of(*passwords: str) -> ScramSecrets:
    keys = [(password, scram_keys(password, SALT, 4096)) for password in passwords]
    return ScramSecrets(
        SALT, 4096, tuple(ScramKey(f"hash of {text}", key.stored_key, key.server_key) for text, key in keys)
    )


def test_plain_with_an_initial_response() -> None:
    """RFC 4616 2: authorization identity (none, or the same user), user, password."""
    assert Plain().start(b"\0tim@example.org\0tan staaf") == NeedPassword("tim@example.org", "tan staaf")
    assert Plain().start(b"Tim@Example.ORG\0tim@example.org\0x") == NeedPassword("tim@example.org", "x")


def test_plain_without_an_initial_response() -> None:
    """The empty challenge asks for the message (RFC 4954 4)."""
    mechanism = Plain()
    assert mechanism.start(None) == Challenge(b"")
    assert mechanism.respond("\0j\u00fc@example.org\0p\u00e4ss".encode()) == NeedPassword(
        "j\u00fc@example.org", "p\u00e4ss"
    )


@pytest.mark.parametrize(
    "message", [b"", b"\0", b"a\0b", b"\0a\0b\0c", b"\0\0password", b"\0a\0\xff", b"\0a\0" + b"x" * 5000]
)
def test_malformed_plain(message: bytes) -> None:
    """Wrong number of parts, no user, no UTF-8, too long."""
    with pytest.raises(BadSyntax):
        Plain().start(message)


def test_login() -> None:
    """User name and password are asked for with the words that clients look for."""
    mechanism = Login()
    assert mechanism.start(None) == Challenge(b"Username:")
    assert mechanism.respond(b"alice@example.org") == Challenge(b"Password:")
    assert mechanism.respond(b"secret") == NeedPassword("alice@example.org", "secret")


def test_login_with_an_initial_response() -> None:
    """An initial response is the user name."""
    mechanism = Login()
    assert mechanism.start(b"alice@example.org") == Challenge(b"Password:")
    assert mechanism.respond(b"secret") == NeedPassword("alice@example.org", "secret")


def test_scram_of_rfc_7677() -> None:
    """The exchange of RFC 7677 3, octet for octet."""
    mechanism = ScramSha256(plus=False, bindings={}, nonce=lambda: b"%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0")
    assert mechanism.start(b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO") == NeedScram("user")
    assert mechanism.secrets(secrets_of("pencil")) == Challenge(
        b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
    )
    step = mechanism.respond(
        b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
        b"p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
    )
    assert step == Proved("user", "hash of pencil", b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")


def exchange(client: ScramClient, mechanism: ScramSha256, known: ScramSecrets) -> Proved:
    """Run an exchange up to the server's proof, and check that."""
    assert mechanism.start(None) == Challenge(b"")
    assert isinstance(mechanism.respond(client.first()), NeedScram)
    step = mechanism.respond(client.final(mechanism.secrets(known).data))
    assert isinstance(step, Proved) and client.accepts(step.data)
    return step


@pytest.mark.parametrize("password", ["main", "laptop", "phone"])
def test_scram_with_any_password_of_the_account(password: str) -> None:
    """The client need not say which of the passwords it has."""
    client = ScramClient("alice@example.org", password)
    proved = exchange(client, ScramSha256(plus=False, bindings={}), secrets_of("main", "laptop", "phone"))
    assert proved.hash == f"hash of {password}"


@pytest.mark.parametrize("kind", sorted(BINDINGS))
def test_scram_plus(kind: str) -> None:
    """With the channel's own binding of either type the exchange succeeds."""
    client = ScramClient("a@example.org", "x", flag=f"p={kind}", binding=BINDINGS[kind])
    assert exchange(client, ScramSha256(plus=True, bindings=BINDINGS), secrets_of("x")).hash == "hash of x"


def test_scram_with_a_client_that_can_bind_where_it_is_not_offered() -> None:
    """Flag "y" is right when the server has no channel binding to offer."""
    client = ScramClient("a@example.org", "x", flag="y")
    assert exchange(client, ScramSha256(plus=False, bindings={}), secrets_of("x")).login == "a@example.org"


def test_scram_names_with_commas_and_equal_signs() -> None:
    """RFC 5802 5.1: =2C and =3D; the authorization identity may be the same user in another spelling."""
    client = ScramClient('"a,b=c"@example.org', "x", authzid='"a=2Cb=3Dc"@EXAMPLE.org')
    proved = exchange(client, ScramSha256(plus=False, bindings={}), secrets_of("x"))
    assert proved.login == '"a,b=c"@example.org'


def test_scram_extensions_are_passed_over() -> None:
    """Optional attributes after the known ones do not matter (RFC 5802 5.1) but count in the proof."""
    mechanism = ScramSha256(plus=False, bindings={}, nonce=lambda: b"server")
    assert mechanism.start(b"n,,n=a@example.org,r=client,x=extension") == NeedScram("a@example.org")


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"n,,",
        b"n,,n=user",
        b"n,,n=,r=nonce",
        b"n,,n=user,r=",
        b"n,,m=must,n=user,r=nonce",
        b"n,,n=user,r=nonce,m=must",
        b"x,,n=user,r=nonce",
        b"n,n=user,r=nonce",
        b"n,,n=user,r=no nonce",
        b"n,,n=us=er,r=nonce",
        b"n,,n=us\0er,r=nonce",
        b"n,,n=\xff,r=nonce",
        b"n,,n=user,r=nonce\n",
        b"p=tls-exporter,,n=user,r=nonce",
        b"p=,,n=user,r=nonce",
        b"n,,n=user,r=" + b"x" * 513,
        b"n,,n=" + b"u" * 5000 + b",r=nonce",
    ],
)
def test_malformed_first_scram_message(message: bytes) -> None:
    """What is not RFC 5802 7's client-first-message for this mechanism is BadSyntax."""
    with pytest.raises(BadSyntax):
        ScramSha256(plus=False, bindings={}).start(message)


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"c=biws",
        b"c=biws,r=NONCE",
        b"r=NONCE,c=biws,p=AAAA",
        b"c=bi ws,r=NONCE,p=AAAA",
        b"c=biw,r=NONCE,p=AAAA",
        b"c=biws,r=NONCE,p=AAA",
        b"c=biws,r=NONCE,m=x,p=AAAA",
        b"c=biws,r=NONCE,p=AAAA,x=y",
    ],
)
def test_malformed_final_scram_message(message: bytes) -> None:
    """Missing, disordered or unreadable parts are BadSyntax."""
    mechanism = ScramSha256(plus=False, bindings={}, nonce=lambda: b"server")
    mechanism.start(b"n,,n=user,r=client")
    mechanism.secrets(secrets_of("x"))
    with pytest.raises(BadSyntax):
        mechanism.respond(message.replace(b"NONCE", b"clientserver"))


def test_what_is_offered() -> None:
    """Strongest first; the -PLUS mechanism only where there is a channel to bind to."""
    assert offered(BINDINGS) == ("SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "PLAIN", "LOGIN")
    assert offered({}) == ("SCRAM-SHA-256", "PLAIN", "LOGIN")


def test_mechanisms_by_name() -> None:
    """Names are taken in any case; unknown ones, and -PLUS without bindings, are 504 with the list."""
    assert isinstance(new_mechanism("plain", {}), Plain)
    assert isinstance(new_mechanism("scram-sha-256-plus", BINDINGS), ScramSha256)
    for name in ("CRAM-MD5", "SCRAM-SHA-256-PLUS", ""):
        with pytest.raises(Refused, match="PLAIN") as refused:
            new_mechanism(name, {})
        assert (refused.value.code, refused.value.status) == (504, "5.5.4")


messages = st.binary(max_size=60) | st.lists(
    st.sampled_from(
        [
            b"n",
            b"y",
            b"p=tls-exporter",
            b",",
            b",,",
            b"n=a@b.org",
            b"r=abc",
            b"c=biws",
            b"p=AAAA",
            b"\0",
            b"=",
            b"a=x",
        ]
    ),
    max_size=12,
).map(b"".join)


@pytest.mark.parametrize(
    "make",
    [
        Plain,
        Login,
        lambda: ScramSha256(plus=False, bindings={}),
        lambda: ScramSha256(plus=True, bindings=BINDINGS),
    ],
)
@given(st.lists(messages, min_size=1, max_size=4))
def test_garbage_raises_only_mail_errors(make: Callable[[], Mechanism], said: list[bytes]) -> None:
    """Whatever a client says, and in whatever order: no other exception, and no proof of anything."""
    mechanism = make()
    try:
        step = mechanism.start(said[0])
        for message in said[1:]:
            if isinstance(step, NeedScram) and isinstance(mechanism, ScramSha256):
                mechanism.secrets(secrets_of("x"))
            step = mechanism.respond(message)
            assert not isinstance(step, Proved)
    except (BadSyntax, BadCredentials) as error:
        assert isinstance(error, MailError)
