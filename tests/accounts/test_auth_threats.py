"""Attacks on logging in, each by its name."""

from __future__ import annotations

import base64
import re

import pytest

from fedaemon.accounts import passwords
from fedaemon.accounts.conversation import Conversation, Success
from fedaemon.accounts.login import BadCredentials
from fedaemon.accounts.records import SCOPES
from fedaemon.accounts.sasl import Challenge
from fedaemon.errors import BadSyntax, MailError, Refused
from tests.accounts.scram_client import ScramClient
from tests.accounts.world import ALICE, NOW_S, PEER, Threads, World, make_account, results_of

SECRET = "alice's secret"
MALLORY = "mallory@example.org"
EXPORTER = {"tls-exporter": b"e" * 32}


@pytest.fixture
def world() -> World:
    """alice with three passwords, mallory with one, bob with none."""
    world = World()
    world.put(make_account(apps={"a": ("app one", SCOPES), "b": ("app two", frozenset({"imap"}))}))
    world.put(make_account(MALLORY, main="mallory's"))
    world.put(make_account("bob@example.org", main=None))
    return world


def refusal(world: World, login: str, password: str, peer: str = PEER) -> MailError:
    with pytest.raises(MailError) as refused:
        world.verify(login, password, peer=peer)
    return refused.value


def begin(
    world: World, client: ScramClient, bindings: dict[str, bytes] | None = None
) -> tuple[Conversation, bytes]:
    """Begin a SCRAM exchange; return it with the server's first message."""
    name = "SCRAM-SHA-256-PLUS" if client.gs2.startswith(b"p=") else "SCRAM-SHA-256"
    conversation = world.authenticator.converse(name, bindings or {}, "smtp", PEER)
    step = world.result(conversation.start(client.first()))
    assert isinstance(step, Challenge)
    return conversation, step.data


# -- Finding out who exists ------------------------------------------------------------------------


def test_user_enumeration_by_text(world: World) -> None:
    """An unknown user, an unknown domain, no password and a wrong password are answered the same."""
    answers = {
        (error.code, error.status, error.text)
        for error in (
            refusal(world, login, "wrong", f"198.51.100.{number}")
            for number, login in enumerate(
                [ALICE, "nobody@example.org", "a@elsewhere.example", "bob@example.org"]
            )
        )
    }
    assert len(answers) == 1


def test_user_enumeration_by_time(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each wrong login is one hash job of the same work, whoever it is for."""
    work: list[tuple[int, int, str]] = []
    keys_of, matches = passwords.scram_keys, passwords.matches

    def scram_keys(prepared: str, salt: bytes, iterations: int) -> passwords.ScramKeys:
        work.append((len(salt), iterations, ""))
        return keys_of(prepared, salt, iterations)

    def match(prepared: str, hashed: str) -> bool:
        work.append((len(hashed), 0, hashed.split("$")[2]))
        return matches(prepared, hashed)

    monkeypatch.setattr(passwords, "scram_keys", scram_keys)
    monkeypatch.setattr(passwords, "matches", match)
    done = []
    for number, login in enumerate([ALICE, "nobody@example.org", "a@elsewhere.example", "bob@example.org"]):
        work.clear()
        refusal(world, login, "wrong", f"198.51.100.{number}")
        done.append(list(work))
    assert world.hashes == 4
    assert len(done[0]) == 2 and all(each == done[0] for each in done)


def test_user_enumeration_by_delay(world: World) -> None:
    """Answers are held back by the number of failures, not by who exists."""
    held = []
    for login in (ALICE, "nobody@example.org"):
        world.clock.advance(2 * 3600)
        started = world.clock.seconds()
        for number in range(5):
            refusal(world, login, f"guess {number}")
        held.append(world.clock.seconds() - started)
    assert held[0] == held[1] > 0


def test_user_enumeration_by_scram_salt(world: World) -> None:
    """A stranger's salt is as everybody's: of the same length and count, always the same, each their own."""

    def server_first(login: str) -> tuple[bytes, bytes]:
        _, data = begin(world, ScramClient(login, "x"))
        fields = dict(part.split(b"=", 1) for part in data.split(b","))
        return fields[b"s"], fields[b"i"]

    known, stranger = server_first(ALICE), server_first("nobody@example.org")
    assert len(base64.b64decode(known[0])) == len(base64.b64decode(stranger[0]))
    assert known[1] == stranger[1]
    assert server_first("Nobody@EXAMPLE.org") == stranger != server_first("somebody@example.org")
    for login in ("bob@example.org", "nobody@example.org"):
        assert len(world.result(world.authenticator.scram_secrets(login)).keys) == 1, (
            "a proof is checked for all"
        )
    world.authenticator = world.new_authenticator(world.run_at_once)
    assert server_first("nobody@example.org") == stranger, (
        "a restart must not change the salt of strangers only"
    )


def test_user_enumeration_by_scram_refusal(world: World) -> None:
    """A wrong proof for a known user, for one without passwords and for a stranger gets the same answer."""
    answers = set()
    for login in (ALICE, "bob@example.org", "nobody@example.org"):
        client = ScramClient(login, "wrong")
        conversation, first = begin(world, client)
        with pytest.raises(BadCredentials) as refused:
            world.result(conversation.respond(client.final(first)))
        answers.add((refused.value.code, refused.value.status, refused.value.text))
    assert len(answers) == 1


def test_user_enumeration_by_lockout(world: World) -> None:
    """A name that does not exist is locked as one that does."""
    texts = set()
    for login in (ALICE, "nobody@example.org"):
        for number in range(50):
            refusal(world, login, f"guess {number}", f"203.0.{len(login)}.{number}")
        text = refusal(world, login, SECRET, "198.51.100.1").text
        texts.add(re.sub(r"\d\d:\d\d", "", text))
    assert len(texts) == 1


# -- Guessing --------------------------------------------------------------------------------------


def test_guessing_in_parallel(world: World) -> None:
    """Hundreds of guesses at once from one address: hashed are as many as may fail, plus the threads'."""
    threads = Threads()
    authenticator = world.new_authenticator(threads)
    answers = [
        results_of(authenticator.verify(ALICE, f"guess {number}", "smtp", PEER)) for number in range(300)
    ]
    while threads.waiting:
        threads.run()
    world.clock.advance(10)
    assert all(isinstance(answer[0], MailError) for answer in answers)
    assert threads.started <= 10 + 2


def test_guessing_in_parallel_scram_exchanges(world: World) -> None:
    """Exchanges opened side by side do not get more guesses than one after the other."""
    clients = [ScramClient(ALICE, f"guess {number}") for number in range(30)]
    clients[-1] = ScramClient(ALICE, SECRET)
    begun = [(client, *begin(world, client)) for client in clients]
    codes = []
    for client, conversation, first in begun:
        with pytest.raises(MailError) as refused:
            world.result(conversation.respond(client.final(first)))
        codes.append(refused.value.code)
    assert codes == [535] * 10 + [454] * 20
    with pytest.raises(Refused) as locked:
        begin(world, ScramClient("bob@example.org", "x"))
    assert locked.value.code == 454


def test_an_account_of_ones_own_does_not_reset_the_counter(world: World) -> None:
    """Logging in as oneself between guesses at somebody else forgives nothing."""
    for number in range(10):
        refusal(world, ALICE, f"guess {number}")
        if number < 9:
            assert world.verify(MALLORY, "mallory's").address == MALLORY
    assert refusal(world, MALLORY, "mallory's").code == 454


def test_guessing_from_many_addresses(world: World) -> None:
    """A botnet gets fifty guesses an hour at one name, not ten from each address."""
    world.verify(peer="198.51.100.1")
    codes = [refusal(world, ALICE, f"guess {number}", f"10.0.0.{number}").code for number in range(100)]
    assert codes == [535] * 50 + [454] * 50
    assert world.verify(peer="198.51.100.1").address == ALICE, "where the owner has logged in from stays open"


def test_locking_somebody_out_on_purpose(world: World) -> None:
    """Wrong passwords for alice from elsewhere do not keep her out where she works."""
    world.verify(peer="198.51.100.1")
    for number in range(200):
        refusal(world, ALICE, f"guess {number}", f"10.0.{number // 250}.{number % 250}")
    assert world.verify(peer="198.51.100.1").address == ALICE


def test_filling_the_hash_queue_from_one_address(world: World) -> None:
    """However much one address asks for, another one's login is hashed after a bounded number of others."""
    threads = Threads()
    authenticator = world.new_authenticator(threads)
    for number in range(500):
        results_of(authenticator.verify(f"user{number}@example.org", "x", "smtp", PEER))
    results = results_of(authenticator.verify(ALICE, SECRET, "smtp", "198.51.100.1"))
    for _ in range(25):
        if threads.waiting:
            threads.run()
    assert len(results) == 1 and getattr(results[0], "address", None) == ALICE


@pytest.mark.parametrize("password", ["x" * 129, "x" * 100_000, "a\0b", "\0", "\ufffe", " ", ""])
def test_passwords_that_cannot_be_cost_nothing(world: World, password: str) -> None:
    """Too long, with NUL, not a character: refused as wrong, without a hash, and counted."""
    assert refusal(world, ALICE, password).status == "5.7.8"
    assert world.hashes == 0
    assert refusal(world, "nobody@example.org", password).text == refusal(world, ALICE, password).text


# -- Being somebody else ---------------------------------------------------------------------------


@pytest.mark.parametrize("other", [MALLORY, "alice", "postmaster@example.org", "alice+x@example.org", " "])
def test_acting_for_another_user_with_plain(world: World, other: str) -> None:
    """CVE-2023-27582: the authorization identity is nobody but the one who logs in."""
    conversation = world.authenticator.converse("PLAIN", {}, "smtp", PEER)
    with pytest.raises(BadCredentials):
        world.result(conversation.start(f"{other}\0{ALICE}\0{SECRET}".encode()))


def test_acting_for_another_user_with_scram(world: World) -> None:
    """The same in SCRAM's header; one's own name in another spelling is fine."""
    with pytest.raises(BadCredentials):
        begin(world, ScramClient(MALLORY, "mallory's", authzid=ALICE))
    client = ScramClient(ALICE, SECRET, authzid="ALICE@example.org")
    conversation, first = begin(world, client)
    assert isinstance(world.result(conversation.respond(client.final(first))), Challenge)


def test_a_truncated_or_stuffed_plain_message(world: World) -> None:
    """A NUL more or less never shifts one part into another."""
    for message in (
        f"{ALICE}\0{SECRET}",
        f"\0{MALLORY}\0mallory's\0{ALICE}",
        f"\0\0{ALICE}\0{SECRET}",
        f"\0{ALICE}\0{SECRET}\0",
    ):
        conversation = world.authenticator.converse("PLAIN", {}, "smtp", PEER)
        with pytest.raises(BadSyntax):
            world.result(conversation.start(message.encode()))


def test_a_tag_or_quotes_are_not_another_way_in(world: World) -> None:
    """alice+x is not alice's login; "alice" in quotes is, with her password, and is counted as hers."""
    assert refusal(world, "alice+x@example.org", SECRET).status == "5.7.8"
    assert world.verify('"alice"@example.org').address == ALICE


# -- Reading along and replaying -------------------------------------------------------------------


def test_replayed_scram_exchange(world: World) -> None:
    """Messages recorded from one exchange do not open another: the server's nonce is new."""
    client = ScramClient(ALICE, SECRET)
    conversation, first = begin(world, client)
    recorded = client.final(first)
    assert isinstance(world.result(conversation.respond(recorded)), Challenge)
    again, second = begin(world, client)
    assert second != first
    with pytest.raises(BadCredentials):
        world.result(again.respond(recorded))


@pytest.mark.parametrize("nonce", [b"rOprNGfwEbeRWgbNEkqO", b"rOprNGfwEbeRWgbNEkqOchosen", b"x"])
def test_a_nonce_of_the_clients_own(world: World, nonce: bytes) -> None:
    """Who knows the password cannot choose the server's part of the nonce, not even with a right proof."""
    client = ScramClient(ALICE, SECRET)
    conversation, first = begin(world, client)
    with pytest.raises(BadCredentials):
        world.result(conversation.respond(client.final(first, nonce)))


def test_replayed_scram_message_within_an_exchange(world: World) -> None:
    """After a failure the exchange is over: a second try needs a new nonce."""
    client = ScramClient(ALICE, SECRET)
    conversation, first = begin(world, client)
    right = client.final(first)
    with pytest.raises(BadCredentials):
        world.result(conversation.respond(right[:-8] + b"AAAAAAA="))
    with pytest.raises(BadSyntax):
        world.result(conversation.respond(right))


@pytest.mark.parametrize(
    "alter",
    [
        lambda final: final.replace(b",r=", b",r=x"),
        lambda final: re.sub(rb"r=[^,]+", b"r=rOprNGfwEbeRWgbNEkqO", final),
        lambda final: final.replace(b",p=", b",x=extension,p="),
        lambda final: final.replace(b"c=biws", b"c=" + base64.b64encode(b"y,,")),
        lambda final: final.replace(b"c=biws", b"c=" + base64.b64encode(b"n,a=alice@example.org,")),
        lambda final: re.sub(rb"p=.*", b"p=" + base64.b64encode(bytes(32)), final),
        lambda final: re.sub(
            rb"p=(.*)", lambda m: b"p=" + base64.b64encode(base64.b64decode(m[1]) + b"x"), final
        ),
        lambda final: re.sub(
            rb"p=(.*)", lambda m: b"p=" + base64.b64encode(base64.b64decode(m[1])[:31]), final
        ),
        lambda final: re.sub(rb"p=.*", b"p=", final),
    ],
)
def test_altered_scram_message(world: World, alter: object) -> None:
    """Each part of the final message is covered: nonce, binding, extensions, proof, its length."""
    assert callable(alter)
    client = ScramClient(ALICE, SECRET)
    conversation, first = begin(world, client)
    with pytest.raises((BadCredentials, BadSyntax)):
        world.result(conversation.respond(alter(client.final(first))))


def test_man_in_the_middle_with_channel_binding(world: World) -> None:
    """Who relays an exchange from one TLS channel to another has the wrong binding (CVE-2026-33603)."""
    client = ScramClient(ALICE, SECRET, flag="p=tls-exporter", binding=b"the channel to the attacker")
    conversation, first = begin(world, client, EXPORTER)
    with pytest.raises(BadCredentials, match="reading along"):
        world.result(conversation.respond(client.final(first)))


def test_downgrade_from_channel_binding(world: World) -> None:
    """A client that says "y" was not shown the -PLUS mechanism that was offered: somebody removed it."""
    with pytest.raises(BadCredentials, match="was offered"):
        begin(world, ScramClient(ALICE, SECRET, flag="y"), EXPORTER)
    client = ScramClient(ALICE, SECRET, flag="n")
    conversation, first = begin(world, client, EXPORTER)
    altered = client.final(first).replace(b"c=biws", b"c=" + base64.b64encode(b"y,,"))
    with pytest.raises(BadCredentials):
        world.result(conversation.respond(altered))


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("SCRAM-SHA-256-PLUS", b"n,,n=alice@example.org,r=x"),
        ("SCRAM-SHA-256-PLUS", b"y,,n=alice@example.org,r=x"),
        ("SCRAM-SHA-256-PLUS", b"p=tls-unique,,n=alice@example.org,r=x"),
        ("SCRAM-SHA-256", b"p=tls-exporter,,n=alice@example.org,r=x"),
    ],
)
def test_mechanism_and_flag_that_do_not_fit(world: World, name: str, first: bytes) -> None:
    """-PLUS only with a binding of a known type, the plain form only without."""
    conversation = world.authenticator.converse(name, EXPORTER, "smtp", PEER)
    with pytest.raises((BadSyntax, BadCredentials)):
        world.result(conversation.start(first))


def test_the_final_message_before_the_first(world: World) -> None:
    """Messages out of turn are refused, and the right one after them as well."""
    conversation = world.authenticator.converse("SCRAM-SHA-256", {}, "smtp", PEER)
    with pytest.raises(BadSyntax):
        world.result(conversation.start(b"c=biws,r=x,p=AAAA"))
    with pytest.raises(BadSyntax):
        world.result(conversation.respond(ScramClient(ALICE, SECRET).first()))


def test_the_empty_line_is_not_a_proof(world: World) -> None:
    """Answering the server's first message as if it were the last one does not log in."""
    conversation, _ = begin(world, ScramClient(ALICE, SECRET))
    with pytest.raises(BadSyntax):
        world.result(conversation.respond(b""))
    assert not isinstance(conversation._admitted, Success)


# -- What is left lying around ---------------------------------------------------------------------


def test_memory_holds_no_password(world: World) -> None:
    """What is remembered of a login is a keyed digest: neither the password nor a plain hash of it."""
    world.verify()
    kept = repr(world.authenticator._remembered) + repr(world.lockout.__dict__) + repr(world.engine.entries)
    assert SECRET not in kept and repr(SECRET.encode())[2:-1] not in kept
    other = World()
    other.put(make_account())
    other.verify()
    assert not set(other.authenticator._remembered) & set(world.authenticator._remembered)


def test_errors_hold_no_password(world: World) -> None:
    """A refusal and its causes do not repeat what was typed."""
    error: BaseException | None = refusal(world, ALICE, "a wrong password I use elsewhere")
    while error is not None:
        assert "elsewhere" not in repr(error)
        error = error.__cause__ or error.__context__


def test_the_lockout_ends(world: World) -> None:
    """An hour after the first guess the address may try again: nobody is kept out for good."""
    for number in range(10):
        refusal(world, ALICE, f"guess {number}")
    assert isinstance(refusal(world, ALICE, SECRET), Refused)
    world.clock.advance(NOW_S + 3600 - world.clock.seconds())
    assert world.verify().address == ALICE
