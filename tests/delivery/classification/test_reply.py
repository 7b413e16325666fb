"""How a refusal is taken apart: codes, further lines, white space, addresses, the limit.

Standards: RFC 5321 4.2.1 (replies of several lines), RFC 2034 (enhanced status codes).
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedaemon.delivery.classification.reply import MAX_TEXT, fold, read_reply, split_reply
from tests.delivery.classification.support import ask, ours


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ("550 5.1.1 User unknown", (550, "5.1.1", "User unknown")),
        ("550-5.1.1 User\r\n550 5.1.1 unknown", (550, "5.1.1", "User\r\n550 5.1.1 unknown")),
        ("550 #5.1.0 Address rejected", (550, "5.1.0", "Address rejected")),
        ("550 sorry, no mailbox here (#5.1.1)", (550, "5.1.1", "sorry, no mailbox here (#5.1.1)")),
        ("550 4.1.1 odd", (550, "", "4.1.1 odd")),
        ("421", (421, "", "")),
        ("5.3.4 too large", (0, "5.3.4", "too large")),
        ("Connection refused", (0, "", "Connection refused")),
        ("192.0.2.1 refused", (0, "", "192.0.2.1 refused")),
        ("550 192.0.2.1 refused", (550, "", "192.0.2.1 refused")),
    ],
)
def test_a_reply_is_taken_apart(reply: str, expected: tuple[int, str, str]) -> None:
    """Code, status, text; a status of another class than the code is text. RFC 2034 4"""
    assert split_reply(reply) == expected


def test_several_lines_are_one_text_without_their_codes() -> None:
    """A phrase that breaks over lines is found, however the lines were joined."""
    lines = "550-5.7.1 The message is\r\n550-5.7.1   likely\tunsolicited\r\n550 5.7.1 mail"
    assert fold(lines, 550, "5.7.1") == "the message is likely unsolicited mail"
    assert fold(lines.replace("\r\n", " "), 550, "5.7.1") == "the message is likely unsolicited mail"
    assert ask("552-5.2.2 The mailbox\r\n552 5.2.2 is full").rule == "mailbox-full"


def test_typographic_quotes_are_as_good_as_plain_ones() -> None:
    """Some servers write "doesn\u2019t"."""
    assert ask("550 This user doesn\u2019t have a yahoo.com account").category == "recipient"


def test_what_an_address_says_does_not_count() -> None:
    """Whoever chooses an address must not choose the verdict."""
    assert ask("550 5.1.1 <virus.spam.dmarc@quota-exceeded.example>: User unknown").category == "recipient"
    assert ask("550 no: spamhaus.greylisted@example.com").rule == ""
    assert fold("to <Bob@example.com>: x,y@z;w", 0, "") == "to <@>: x,@;w"


def test_only_the_beginning_of_a_reply_counts() -> None:
    """2 kB are plenty for a reason, and bound what a hostile server can make us read."""
    assert ask("550 " + "x" * (MAX_TEXT - 20) + " user unknown").rule == "unknown-user"
    assert ask("550 " + "x" * MAX_TEXT + " user unknown").rule == ""


@pytest.mark.parametrize("code", [0, 250, 354, 399, 600, -5])
def test_a_code_that_is_no_refusal_counts_as_none(code: int) -> None:
    """The caller says what it thinks of such an answer."""
    final = ours().classify(code=code, status="", text="xyzzy", phase="mail", permanent=True)
    later = ours().classify(code=code, status="", text="xyzzy", phase="mail", permanent=False)
    assert (final.action, later.action) == ("reject", "retry")


@given(st.text(max_size=300), st.sampled_from([0, 421, 550]))
def test_folding_raises_nothing_and_leaves_one_line(text: str, code: int) -> None:
    """Any text, also of a server that speaks no SMTP at all."""
    folded = fold(text, code, "5.7.1")
    assert folded == " ".join(folded.split())
    assert read_reply(code=code, status="", text=text, phase="", host="", permanent=False).code == code


def test_cost_of_folding_is_bounded_by_the_limit() -> None:
    """What lies behind the limit is not even looked at."""
    assert fold("a" * 10_000_000, 0, "") == "a" * MAX_TEXT
