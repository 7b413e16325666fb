"""One session of a scripted mail exchanger: octets in, octets out, on whatever line it is given.

Invariants: replies leave in the order of the commands, also when some are late: until an answer has left nothing
more is read.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable
from typing import Protocol

from tests.lab.mx import GARBAGE, HangUp, Message, Moment, MxHost, Silence

_PATH = re.compile(r"(?:FROM|TO):<([^>]*)>(.*)", re.IGNORECASE)


class Wire(Protocol):
    """What a session stands on."""

    def write(self, data: bytes) -> None: ...
    def hang_up(self) -> None: ...
    def later(self, seconds: float, function: Callable[[], None]) -> None: ...
    def start_tls(self, context: ssl.SSLContext) -> None: ...
    def now_s(self) -> float: ...


class Dialogue:
    """A session of *host* with a client at *peer*."""

    def __init__(self, host: MxHost, wire: Wire, peer: str) -> None:
        self._host = host
        self._wire = wire
        self._peer = peer
        self._number = host.connected(peer)
        self._carried = 0
        self._tls = False
        self._message: Message | None = None
        self._received = b""
        self._mode: Callable[[], bool] = self._command
        self._chunk = 0
        self._last_chunk = False
        self._over = False

    def begin(self) -> None:
        """Greet."""
        self._act("connect", "", lambda: self._reply(f"220 {self._host.name} ESMTP"))

    def receive(self, data: bytes) -> None:
        """Take octets from the client."""
        self._received += data
        while not self._over and self._mode():
            pass

    def lost(self) -> None:
        """The connection is gone."""
        self._over = True
        self._host.disconnected()

    def protected(self) -> None:
        """The handshake is done."""
        self._tls = True
        self._message = None
        self._mode = self._command
        # The client may have been quicker than we were told.
        self.receive(b"")

    # -- Input: each mode takes what it can and says whether there may be more to take

    def _wait(self) -> bool:
        return False

    def _command(self) -> bool:
        line, end, rest = self._received.partition(b"\r\n")
        if not end:
            return False
        self._received = rest
        verb, _, argument = line.decode().partition(" ")
        perform = {
            "EHLO": self._ehlo,
            "HELO": self._ehlo,
            "STARTTLS": self._starttls,
            "MAIL": self._mail,
            "RCPT": self._rcpt,
            "DATA": self._data,
            "BDAT": self._bdat,
            "RSET": self._rset,
            "NOOP": self._rset,
            "QUIT": self._quit,
        }.get(verb.upper())
        if perform is None:
            self._reply("500 5.5.1 what?")
        else:
            perform(argument)
        return True

    def _content(self) -> bool:
        """The content behind DATA."""
        whole = self._received
        end = 0 if whole.startswith(b".\r\n") else whole.find(b"\r\n.\r\n") + 2
        if not whole.startswith(b".\r\n") and end < 2:
            return False
        assert self._message is not None
        lines = whole[:end].split(b"\r\n")
        self._message.content = b"\r\n".join(line[1:] if line.startswith(b".") else line for line in lines)
        self._received = whole[end + 3 :]
        self._end_of_message()
        return True

    def _blocks(self) -> bool:
        """A chunk behind BDAT."""
        assert self._message is not None
        taken, self._received = self._received[: self._chunk], self._received[self._chunk :]
        self._message.content += taken
        self._chunk -= len(taken)
        if self._chunk:
            return False
        self._mode = self._command
        if self._last_chunk:
            self._end_of_message()
        else:
            self._reply("250 2.0.0 go on")
        return True

    def _nonsense(self) -> bool:
        """What comes after STARTTLS of a host whose TLS is broken."""
        if self._received:
            self._received = b""
            self._wire.write(GARBAGE)
            self._hang_up()
        return False

    # -- Commands

    def _ehlo(self, argument: str) -> None:
        self._host.names.append(argument)
        lines = [self._host.name, *self._host.extensions]
        if self._tls:
            lines += self._host.under_tls
        elif self._host.tls is not None:
            lines.append("STARTTLS")
        text = "\r\n".join([*(f"250-{line}" for line in lines[:-1]), f"250 {lines[-1]}"])
        self._act("ehlo", argument, lambda: self._reply(text))

    def _starttls(self, argument: str) -> None:
        def go_ahead() -> None:
            self._reply("220 2.0.0 go ahead")
            if isinstance(self._host.tls, ssl.SSLContext):
                self._mode = self._wait
                self._wire.start_tls(self._host.tls)
            else:
                self._mode = self._nonsense

        self._act("starttls", argument, go_ahead)

    def _mail(self, argument: str) -> None:
        sender, parameters = _parse(argument)

        def accept() -> None:
            now_s = self._wire.now_s()
            self._message = Message(
                sender, parameters, peer=self._peer, connection=self._number, tls=self._tls, at_s=now_s
            )
            self._reply("250 2.1.0 Ok")

        self._act("mail", sender, accept)

    def _rcpt(self, argument: str) -> None:
        recipient, parameters = _parse(argument)
        self._host.offered.append(recipient)

        def accept() -> None:
            assert self._message is not None, "RCPT without MAIL"
            self._message.recipients[recipient] = parameters
            self._reply("250 2.1.5 Ok")

        if self._message is None:
            self._reply("503 5.5.1 MAIL first")
        else:
            self._act("rcpt", recipient, accept)

    def _data(self, argument: str) -> None:
        def go_ahead() -> None:
            self._mode = self._content
            self._reply("354 go ahead")

        if self._message is None or not self._message.recipients:
            self._reply("554 5.5.1 no valid recipients")
        else:
            self._act("data", "", go_ahead)

    def _bdat(self, argument: str) -> None:
        size, _, last = argument.partition(" ")
        self._chunk, self._last_chunk = int(size), last.upper() == "LAST"
        if self._message is None or not self._message.recipients:
            # The chunk comes all the same, and is not a command (RFC 3030 2).
            self._message = Message("", {})
            self._mode = self._refused_chunk
        else:
            self._mode = self._blocks

    def _refused_chunk(self) -> bool:
        taken = min(self._chunk, len(self._received))
        self._received = self._received[taken:]
        self._chunk -= taken
        if self._chunk:
            return False
        self._message = None
        self._mode = self._command
        self._reply("554 5.5.1 no valid recipients")
        return True

    def _rset(self, argument: str) -> None:
        self._message = None
        self._reply("250 2.0.0 Ok")

    def _quit(self, argument: str) -> None:
        self._reply("221 2.0.0 bye")
        self._hang_up()

    def _end_of_message(self) -> None:
        message = self._message
        assert message is not None
        self._mode = self._command

        def accept() -> None:
            self._message = None
            self._carried += 1
            self._host.messages.append(message)
            self._reply(f"250 2.0.0 Ok: queued as {len(self._host.messages)}")

        self._act("content", message.sender, accept)

    # -- Output

    def _act(self, phase: str, argument: str, as_it_should: Callable[[], None]) -> None:
        """Do what the host's behaviours say, or else *as_it_should*; input waits until that is done."""
        moment = Moment(
            self._host,
            phase,
            argument,
            self._peer,
            self._number,
            self._carried,
            self._tls,
            self._message,
            self._wire.now_s(),
        )
        delay_s, action = self._host.decide(moment)

        def perform() -> None:
            if action is None:
                as_it_should()
            elif isinstance(action, str):
                self._refuse(phase, action)
            elif isinstance(action, HangUp):
                if action.keep and self._message is not None:
                    self._host.messages.append(self._message)
                self._hang_up()
            else:
                assert isinstance(action, Silence)
                self._mode = self._wait

        if not delay_s:
            perform()
            return
        before, self._mode = self._mode, self._wait

        def resume() -> None:
            if not self._over:
                self._mode = before
                perform()
                self.receive(b"")

        self._wire.later(delay_s, resume)

    def _refuse(self, phase: str, reply: str) -> None:
        if phase == "content":
            self._message = None
        self._reply(reply)
        if reply.startswith("421") or (phase == "connect" and reply[0] == "5"):
            self._host.turned_away += reply.startswith("421")
            self._hang_up()

    def _reply(self, text: str) -> None:
        self._wire.write(text.encode() + b"\r\n")

    def _hang_up(self) -> None:
        self._over = True
        self._wire.hang_up()


def _parse(argument: str) -> tuple[str, dict[str, str]]:
    """Return the address of MAIL or RCPT and its parameters."""
    match = _PATH.fullmatch(argument)
    assert match is not None, argument
    given = dict(each.partition("=")[::2] for each in match[2].split())
    return match[1], {name.upper(): value for name, value in given.items()}
