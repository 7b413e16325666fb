"""Whole SASL exchanges, from the mechanism's name to the account."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedaemon.accounts.conversation import Conversation, Success
from fedaemon.accounts.login import BadCredentials
from fedaemon.accounts.sasl import Challenge
from fedaemon.errors import BadSyntax, MailError, Refused
from tests.accounts.scram_client import ScramClient
from tests.accounts.world import ALICE, PEER, World, make_account

SECRET = "alice's secret"
EXPORTER = {"tls-exporter": b"e" * 32}


@pytest.fixture
def world() -> World:
    world = World()
    world.put(make_account(apps={"printer": ("printer's", frozenset({"smtp"}))}))
    return world


def converse(
    world: World, name: str, bindings: dict[str, bytes] | None = None, scope: str = "smtp"
) -> Conversation:
    return world.authenticator.converse(name, bindings or {}, scope, PEER)


def scram(
    world: World, client: ScramClient, bindings: dict[str, bytes] | None = None, scope: str = "smtp"
) -> Challenge | Success:
    """Run a SCRAM exchange to its end."""
    plus = client.gs2.startswith(b"p=")
    conversation = converse(world, "SCRAM-SHA-256-PLUS" if plus else "SCRAM-SHA-256", bindings, scope)
    first = world.result(conversation.start(client.first()))
    assert isinstance(first, Challenge)
    final = world.result(conversation.respond(client.final(first.data)))
    assert isinstance(final, Challenge) and client.accepts(final.data)
    return world.result(conversation.respond(b""))


def test_plain(world: World) -> None:
    """One message, and the account is there."""
    step = world.result(converse(world, "PLAIN").start(f"\0{ALICE}\0{SECRET}".encode()))
    assert isinstance(step, Success) and step.account.address == ALICE


def test_plain_after_the_empty_challenge(world: World) -> None:
    """Without an initial response the message is asked for."""
    conversation = converse(world, "plain")
    assert world.result(conversation.start(None)) == Challenge(b"")
    assert isinstance(world.result(conversation.respond(f"\0{ALICE}\0{SECRET}".encode())), Success)


def test_login(world: World) -> None:
    """User name, password, in."""
    conversation = converse(world, "LOGIN")
    world.result(conversation.start(None))
    world.result(conversation.respond(ALICE.encode()))
    assert isinstance(world.result(conversation.respond(SECRET.encode())), Success)


@pytest.mark.parametrize("password", [SECRET, "printer's"])
def test_scram(world: World, password: str) -> None:
    """Any password of the account, and the session knows which."""
    step = scram(world, ScramClient("Alice@Example.org", password))
    assert isinstance(step, Success) and step.account.address == ALICE
    used = next(entry for entry in step.account.passwords if entry.hash == step.account.logged_in_with)
    assert used.name == ("" if password == SECRET else "printer")


def test_scram_plus(world: World) -> None:
    """The same with channel binding."""
    client = ScramClient(ALICE, SECRET, flag="p=tls-exporter", binding=EXPORTER["tls-exporter"])
    assert isinstance(scram(world, client, EXPORTER), Success)


def test_scram_costs_no_hash(world: World) -> None:
    """The server's part of SCRAM is a few HMACs: nothing goes to the threads."""
    scram(world, ScramClient(ALICE, SECRET))
    assert world.hashes == 0


def test_scram_minds_scopes_and_disabling(world: World) -> None:
    """A proof of a password that is not for this service, or of a disabled account, does not let in."""
    with pytest.raises(BadCredentials, match="--scope imap"):
        scram(world, ScramClient(ALICE, "printer's"), scope="imap")
    world.put(make_account("bob@example.org", main="bob's", disabled=True))
    with pytest.raises(BadCredentials) as disabled:
        scram(world, ScramClient("bob@example.org", "bob's"))
    assert disabled.value.status == "5.7.13"


def test_scram_needs_a_full_address(world: World) -> None:
    """As with a password, the text says so."""
    with pytest.raises(BadCredentials, match="full address"):
        world.result(converse(world, "SCRAM-SHA-256").start(ScramClient("alice", SECRET).first()))


def test_the_last_scram_message_is_answered_with_nothing(world: World) -> None:
    """Anything but the empty line there is a fault of the client."""
    client = ScramClient(ALICE, SECRET)
    conversation = converse(world, "SCRAM-SHA-256")
    first = world.result(conversation.start(client.first()))
    assert isinstance(first, Challenge)
    world.result(conversation.respond(client.final(first.data)))
    with pytest.raises(BadSyntax):
        world.result(conversation.respond(b"x"))


def test_an_unknown_mechanism(world: World) -> None:
    """504 5.5.4, and what there is."""
    with pytest.raises(Refused, match="SCRAM-SHA-256, PLAIN, LOGIN") as refused:
        converse(world, "CRAM-MD5")
    assert refused.value.code == 504


shared = World(failures_per_hour=0)
shared.put(make_account())


@given(
    st.sampled_from(["PLAIN", "LOGIN", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"]),
    st.lists(
        st.none()
        | st.binary(max_size=40)
        | st.sampled_from([b"", b"n,,n=a@b.org,r=x", ALICE.encode(), b"\0a\0b"]),
        min_size=1,
        max_size=4,
    ),
)
def test_garbage_never_logs_in(name: str, said: list[bytes | None]) -> None:
    """Whatever is said, the answer is a challenge or an error of the families, never a success."""
    conversation = converse(shared, name, EXPORTER)
    try:
        step = shared.result(conversation.start(said[0]))
        for data in said[1:]:
            assert isinstance(step, Challenge)
            step = shared.result(conversation.respond(data or b""))
        assert isinstance(step, Challenge)
    except MailError as error:
        assert error.code in (501, 535)
