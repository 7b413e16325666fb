"""The parameters of MAIL that say when a message is to go: offered, read, and handed on.

Standards: RFC 4865 3, 4.2, RFC 3339 5.6, RFC 2852 4, RFC 6710 4.1, 7.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedaemon.message.address import Address
from fedaemon.smtp.events import MailFrom, MailParams
from fedaemon.smtp.verbs.wishes import read_date_time
from fedaemon.submission.wishes import Offer, Terms, Wishes
from tests.smtp.driving import MX, SUBMISSION, Caller, codes, greeted
from tests.smtp.test_protocol import Connection

OFFER = Offer(3600, "2030-01-01T00:00:00Z", True)

WISHES: dict[bytes, Wishes] = {
    b"HOLDFOR=1": Wishes(hold_for_s=1),
    b"holdfor=999999999": Wishes(hold_for_s=999_999_999),
    b"HOLDUNTIL=2026-01-31T08:00:00Z": Wishes(hold_until_ms=1_769_846_400_000),
    b"HOLDUNTIL=2026-01-31t10:00:00.0001+02:00": Wishes(hold_until_ms=1_769_846_400_001),
    b"HOLDUNTIL=2016-12-31T23:59:60z": Wishes(hold_until_ms=1_483_228_800_000),
    b"BY=120;R": Wishes(deliver_by=(120, "R")),
    b"BY=+7;nt": Wishes(deliver_by=(7, "NT")),
    b"BY=-999999999;N": Wishes(deliver_by=(-999_999_999, "N")),
    b"BY=0;NT": Wishes(deliver_by=(0, "NT")),
    b"MT-PRIORITY=9": Wishes(priority=9),
    b"MT-PRIORITY=-9": Wishes(priority=-9),
    b"MT-PRIORITY=0": Wishes(priority=0),
    b"HOLDFOR=5 BY=60;R mt-priority=4": Wishes(5, None, (60, "R"), 4),
}

BAD_WISHES: dict[bytes, bytes] = {
    b"HOLDFOR": b"501 5.5.4",
    b"HOLDFOR=0": b"501 5.5.4",
    b"HOLDFOR=01": b"501 5.5.4",
    b"HOLDFOR=-1": b"501 5.5.4",
    b"HOLDFOR=1000000000": b"501 5.5.4",
    b"HOLDFOR=5 HOLDFOR=5": b"501 5.5.4",
    b"HOLDUNTIL": b"501 5.5.4",
    b"HOLDUNTIL=2026-01-31": b"501 5.5.4",
    b"HOLDUNTIL=2026-01-31T08:00:00": b"501 5.5.4",
    b"HOLDUNTIL=2026-02-30T08:00:00Z": b"501 5.5.4",
    b"HOLDUNTIL=2026-01-31T24:00:00Z": b"501 5.5.4",
    b"HOLDUNTIL=2026-01-31T08:00:61Z": b"501 5.5.4",
    b"HOLDUNTIL=2026-01-31T08:00:00+24:00": b"501 5.5.4",
    b"HOLDUNTIL=0000-01-31T08:00:00Z": b"501 5.5.4",
    b"BY": b"501 5.5.4",
    b"BY=120": b"501 5.5.4",
    b"BY=120;X": b"501 5.5.4",
    b"BY=;R": b"501 5.5.4",
    b"BY=1000000000;N": b"501 5.5.4",
    b"BY=0;R": b"501 5.5.4",
    b"BY=-1;RT": b"501 5.5.4",
    b"BY=1;RTT": b"501 5.5.4",
    b"MT-PRIORITY": b"501 5.5.2",
    b"MT-PRIORITY=10": b"501 5.5.2",
    b"MT-PRIORITY=-0": b"501 5.5.2",
    b"MT-PRIORITY=+1": b"501 5.5.2",
}


def offered() -> Caller:
    """Return a caller that made an offer."""
    caller = greeted(SUBMISSION, tls=True)
    caller.engine.authentication_not_required()
    caller.engine.make_offer(OFFER)
    return caller


@pytest.mark.parametrize(("text", "wishes"), WISHES.items())
def test_wishes(text: bytes, wishes: Wishes) -> None:
    """RFC 4865 3, RFC 2852 4 and RFC 6710 7: the caller gets what was asked for, and judges it."""
    caller = offered()
    assert codes(caller.say(b"MAIL FROM:<ann@example.org> SIZE=7 " + text + b"\r\n")) == [250]
    assert caller.events[-1] == MailFrom(Address("ann", "example.org"), MailParams(size=7, wishes=wishes))


@pytest.mark.parametrize(("text", "reply"), BAD_WISHES.items())
def test_bad_wishes(text: bytes, reply: bytes) -> None:
    """The reply is the one the standard names, the caller is not asked, and a next MAIL is taken."""
    caller = offered()
    assert caller.say(b"MAIL FROM:<ann@example.org> " + text + b"\r\n").startswith(reply)
    assert caller.of(MailFrom) == []
    assert codes(caller.say(b"MAIL FROM:<ann@example.org>\r\n")) == [250]


@pytest.mark.parametrize("text", WISHES)
def test_wishes_without_an_offer(text: bytes) -> None:
    """Where nothing was offered the parameters are unknown ones."""
    assert codes(greeted(MX).say(b"MAIL FROM:<ann@example.org> " + text + b"\r\n")) == [555]


@pytest.mark.parametrize(
    ("offer", "lines"),
    [
        (OFFER, [b"FUTURERELEASE 3600 2030-01-01T00:00:00Z", b"DELIVERBY", b"MT-PRIORITY MIXER"]),
        (Offer(0, "2030-01-01T00:00:00Z", False), [b"MT-PRIORITY MIXER"]),
        (None, []),
    ],
)
def test_ehlo_lists_what_was_offered(offer: Offer | None, lines: list[bytes]) -> None:
    """And nothing else: who may not ask does not hear of it."""
    caller = greeted(SUBMISSION, tls=True)
    caller.engine.make_offer(offer)
    said = caller.say(b"EHLO client.example.net\r\n").split(b"\r\n")
    words = (b"FUTURERELEASE", b"DELIVERBY", b"MT-PRIORITY")
    assert [line[4:] for line in said if line[4:].startswith(words)] == lines


moments = st.datetimes(datetime(1971, 1, 1), datetime(9998, 12, 31), timezones=st.just(UTC))


@given(moments, st.integers(-23 * 60 - 59, 23 * 60 + 59))
def test_any_date_time_is_read(moment: datetime, offset_min: int) -> None:
    """What another program writes in RFC 3339's form, in any zone, is the same moment, rounded up."""
    zone = timezone(timedelta(minutes=offset_min))
    text = moment.astimezone(zone).isoformat().encode()
    exact = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    assert read_date_time(text) == -(-exact // 1000)


@given(st.binary(max_size=40) | st.from_regex(rb"[0-9T:Zz.+-]{10,35}", fullmatch=True))
def test_what_is_no_date_time_is_none(text: bytes) -> None:
    """Nothing that a client writes raises, and what is read has the form."""
    found = read_date_time(text)
    assert found is None or text[10:11] in (b"T", b"t")


def test_what_was_granted_is_in_the_envelope_and_a_lowered_priority_in_the_reply() -> None:
    """The terms go with the message; who gets less than asked for is told (RFC 6710 4.1)."""
    connection = Connection(trusted_networks=(ip_network("192.168.1.1"),))
    connection.protocol.dataReceived(b"EHLO x\r\n")
    assert b"250-FUTURERELEASE 3600 2030-01-01T00:00:00Z\r\n" in connection.said()
    connection.protocol.dataReceived(b"MAIL FROM:<a@example.test> MT-PRIORITY=-3\r\nRSET\r\n")
    assert connection.said() == b"250 2.1.0 Ok\r\n250 2.0.0 Ok\r\n"
    connection.protocol.dataReceived(b"MAIL FROM:<a@example.test> MT-PRIORITY=3\r\n")
    assert connection.said().startswith(b"250 2.3.6 0 ")
    connection.protocol.dataReceived(b"RCPT TO:<b@example.test>\r\nDATA\r\n")
    (message,) = connection.intake.messages
    assert message.envelope.terms == Terms(priority=0)


def test_without_an_offer_the_parameters_are_unknown() -> None:
    """A client that may ask for nothing hears what any unknown parameter gets."""
    connection = Connection()
    connection.protocol.dataReceived(b"EHLO x\r\nMAIL FROM:<a@example.test> HOLDFOR=60\r\n")
    assert connection.said().endswith(b"555 5.5.4 The parameter HOLDFOR is not offered here\r\n")
