"""STAT, LIST and UIDL: what there is.

Standards: RFC 1939 5, 7.
Limits: a listing is made ``LINES`` lines at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Final

from fedaemon.pop3.maildrop import Maildrop, read_number

if TYPE_CHECKING:
    from fedaemon.pop3.session import Session

LINES: Final = 1000

NO_SUCH_MESSAGE = b"-ERR There is no such message\r\n"

Line = Callable[[Maildrop, int], bytes]


def stat(session: Session, argument: bytes) -> None:
    """Say how many messages there are and their size. Spec: RFC 1939 5"""
    session.say(b"+OK %d %d\r\n" % (session.maildrop.count(), session.maildrop.octets()))


def list_(session: Session, argument: bytes) -> None:
    """List numbers and sizes. Spec: RFC 1939 5"""
    _list(session, argument, _size_line)


def uidl(session: Session, argument: bytes) -> None:
    """List numbers and unique ids. Spec: RFC 1939 7"""
    _list(session, argument, _unique_id_line)


def _list(session: Session, argument: bytes, line: Line) -> None:
    maildrop = session.maildrop
    if argument:
        number = named(session, argument)
        if number is not None:
            session.say(b"+OK " + line(maildrop, number))
        return
    session.say(b"+OK %d messages (%d octets)\r\n" % (maildrop.count(), maildrop.octets()))
    session.transmit(_blocks(maildrop, line))


def _blocks(maildrop: Maildrop, line: Line) -> Iterator[bytes]:
    numbers = maildrop.numbers()
    while block := b"".join(line(maildrop, number) for number in islice(numbers, LINES)):
        yield block
    yield b".\r\n"


def _size_line(maildrop: Maildrop, number: int) -> bytes:
    return b"%d %d\r\n" % (number, maildrop.size(number))


def _unique_id_line(maildrop: Maildrop, number: int) -> bytes:
    return b"%d %b\r\n" % (number, maildrop.unique_id(number))


def named(session: Session, argument: bytes) -> int | None:
    """Return the number of the message that *argument* names; refuse it and return None where it names none.

    Spec: RFC 1939 3, 5
    """
    number = read_number(argument)
    if number is not None and number in session.maildrop:
        return number
    session.fault(NO_SUCH_MESSAGE)
    return None
