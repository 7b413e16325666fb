"""What hosts out there do: each function makes a behaviour for ``MxHost``."""

from __future__ import annotations

from collections.abc import Callable

from tests.lab.mx import Action, Behaviour, HangUp, Late, Moment, Silence

GREYLISTED = "451 4.7.1 Greylisted, please try again later"
FULL = "552 5.2.2 <{}>: mailbox full, quota exceeded"
UNKNOWN = "550 5.1.1 <{}>: Recipient address rejected: User unknown in virtual mailbox table"
BLOCKED = "554 5.7.1 Service unavailable; Client host [{}] blocked using zen.spamhaus.org"


def says(phase: str, reply: str) -> Behaviour:
    """Gives *reply* at *phase*; "{}" in it is the recipient or whatever the command is about."""
    return lambda moment: reply.replace("{}", moment.argument) if moment.phase == phase else None


def silent(phase: str) -> Behaviour:
    """Says nothing more from *phase* on."""
    return lambda moment: Silence() if moment.phase == phase else None


def hangs_up(phase: str, *, keep: bool = False) -> Behaviour:
    """Closes the connection in place of an answer."""
    return lambda moment: HangUp(keep) if moment.phase == phase else None


def slow(seconds: float, *phases: str) -> Behaviour:
    """Takes its time at *phases* (all when none is given)."""
    return lambda moment: Late(seconds) if not phases or moment.phase in phases else None


def greylists(for_s: float = 300.0) -> Behaviour:
    """Knows nobody for *for_s* after the first attempt; a triplet is client, sender and recipient."""
    seen: dict[tuple[str, str, str], float] = {}

    def behave(moment: Moment) -> Action | None:
        if moment.phase != "rcpt" or moment.message is None:
            return None
        triplet = (moment.peer, moment.message.sender, moment.argument)
        return GREYLISTED if moment.now_s - seen.setdefault(triplet, moment.now_s) < for_s else None

    return behave


def has_enough_after(messages: int) -> Behaviour:
    """Ends a connection with 421 when another message comes after *messages*."""

    def behave(moment: Moment) -> Action | None:
        enough = moment.phase == "mail" and moment.carried >= messages
        return "421 4.7.0 Too many messages on this connection, please reconnect" if enough else None

    return behave


def bears(connections: int) -> Behaviour:
    """Turns away who comes while *connections* are open."""

    def behave(moment: Moment) -> Action | None:
        if moment.phase != "connect" or moment.host.open <= connections:
            return None
        return "421 4.7.0 Too many concurrent SMTP connections from your host, try again later"

    return behave


def refuses(local_part: str, reply: str = UNKNOWN) -> Behaviour:
    """Refuses recipients whose address begins with *local_part*."""

    def behave(moment: Moment) -> Action | None:
        refused = moment.phase == "rcpt" and moment.argument.partition("@")[0] == local_part
        return reply.replace("{}", moment.argument) if refused else None

    return behave


def mailbox_full(reply: str = FULL) -> Behaviour:
    """No recipient has room left."""
    return says("rcpt", reply)


def blocklists(*addresses: str, phase: str = "connect") -> Behaviour:
    """Believes a list that has *addresses* (every address when none is given)."""

    def behave(moment: Moment) -> Action | None:
        if moment.phase != phase or (addresses and moment.peer not in addresses):
            return None
        return BLOCKED.replace("{}", moment.peer)

    return behave


def first(times: int, behaviour: Behaviour) -> Behaviour:
    """Does what *behaviour* does, but only so many times."""
    left = times

    def behave(moment: Moment) -> Action | None:
        nonlocal left
        action = behaviour(moment) if left else None
        left -= action is not None
        return action

    return behave


def until(over: Callable[[Moment], bool], behaviour: Behaviour) -> Behaviour:
    """Does what *behaviour* does until the moment for which *over* says so."""
    return lambda moment: None if over(moment) else behaviour(moment)
