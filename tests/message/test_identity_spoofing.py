"""Threat: a message that one program reads as from its sender and another as from somebody else.

The submission service allows a message when its one From field has one address and the account owns it. Each
entry here is a known way to show a reader a second sender; every one must count as two fields or addresses,
name the forged address itself, or be refused.
"""

from __future__ import annotations

import pytest

from fedaemon.errors import BadSyntax
from fedaemon.message.header import Header
from fedaemon.message.mailboxes import parse_mailboxes

OWN = "alice@ours.example"


def senders(block: bytes) -> list[str]:
    """All addresses of all From fields, which is what the identity check looks at."""
    header = Header.parse(block, max_octets=10_000, max_fields=100)
    return [
        str(mailbox.address) for field in header.get_all(b"From") for mailbox in parse_mailboxes(field.value)
    ]


def test_the_honest_message_passes() -> None:
    """The table below proves nothing if the plain form were refused, too."""
    assert senders(b"To: x@y.example\r\nFrom: Alice <alice@ours.example>\r\n") == [OWN]


@pytest.mark.parametrize(
    "block",
    [
        b"From: alice@ours.example\r\nFrom: ceo@bank.example\r\n",
        b"From: alice@ours.example\r\nFROM: ceo@bank.example\r\n",
        b"From: alice@ours.example\r\nfrom :ceo@bank.example\r\n",
        b"From \t: ceo@bank.example\r\nFrom: alice@ours.example\r\n",
        b"From: alice@ours.example, ceo@bank.example\r\n",
        b"From: alice@ours.example,\r\n ceo@bank.example\r\n",
        b"From: alice@ours.example,\r\n\tceo@bank.example\r\n",
        b"From: ,alice@ours.example,,<ceo@bank.example>,\r\n",
        b"From: Staff: alice@ours.example, ceo@bank.example;\r\n",
        b"From: Staff: ceo@bank.example;, alice@ours.example\r\n",
        b"From: alice@ours.example (, ), ceo@bank.example\r\n",
    ],
)
def test_two_senders_are_counted_as_two(block: bytes) -> None:
    """Case, white space before the colon, folding, groups and empty elements do not hide the second one."""
    assert sorted(senders(block)) == [OWN, "ceo@bank.example"]


@pytest.mark.parametrize(
    "block",
    [
        b'From: "alice@ours.example" <ceo@bank.example>\r\n',
        b'From: "alice@ours.example"\r\n <ceo@bank.example>\r\n',
        b"From: =?utf-8?q?alice=40ours=2Eexample?= <ceo@bank.example>\r\n",
        b"From: (alice@ours.example) ceo@bank.example\r\n",
        b"From: ceo@bank.example (<alice@ours.example>)\r\n",
        b"From: (\\)<alice@ours.example>) ceo@bank.example\r\n",
        b'From: "\\" <alice@ours.example>" <ceo@bank.example>\r\n',
        b"From: <@ours.example:ceo@bank.example>\r\n",
        b"From: ceo @ bank . example\r\n",
        b"From: ceo(alice)@(ours.example)bank.example\r\n",
    ],
)
def test_only_the_real_address_counts(block: bytes) -> None:
    """Names, comments, escapes, source routes and spaces inside do not make another address out of it."""
    assert senders(block) == ["ceo@bank.example"]


def test_a_quoted_local_part_is_no_address_of_ours() -> None:
    """The domain stands after the last @, outside the quotes."""
    (sender,) = senders(b'From: "alice@ours.example"@bank.example\r\n')
    assert sender == '"alice@ours.example"@bank.example'
    (sender,) = senders(b'From: "alice@ours.example>, <ceo"@bank.example\r\n')
    assert sender.endswith("@bank.example")


@pytest.mark.parametrize(
    "block",
    [
        b" From: ceo@bank.example\r\nFrom: alice@ours.example\r\n",
        b"From: alice@ours.example\r\n\r\nFrom: ceo@bank.example\r\n",
        b"From: alice@ours.example\nFrom: ceo@bank.example\r\n",
        b"From: alice@ours.example\rFrom: ceo@bank.example\r\n",
        b"From\0: ceo@bank.example\r\nFrom: alice@ours.example\r\n",
        b"Fr om: ceo@bank.example\r\nFrom: alice@ours.example\r\n",
        b"From\xc2\xa0: ceo@bank.example\r\nFrom: alice@ours.example\r\n",
        b"\xef\xbb\xbfFrom: ceo@bank.example\r\nFrom: alice@ours.example\r\n",
        b"From ceo@bank.example Tue Jul  1 10:00:00 2025\r\nFrom: alice@ours.example\r\n",
        b"From: alice@ours.example\0 <ceo@bank.example>\r\n",
        b"From: alice@ours.example <ceo@bank.example>\r\n",
        b"From: <alice@ours.example> <ceo@bank.example>\r\n",
        b"From: <alice@ours.example> ceo@bank.example\r\n",
        b"From: <ceo@bank.example> <alice@ours.example>\r\n",
        b"From: alice@ours.example ceo@bank.example\r\n",
        b"From: alice@ours.example; ceo@bank.example\r\n",
        b"From: <ceo@bank.example, alice@ours.example>\r\n",
        b"From: <ceo@bank.example:alice@ours.example>\r\n",
        b"From: <@ceo@bank.example:alice@ours.example>\r\n",
        b"From: ceo@bank.example@ours.example\r\n",
        b"From: alice@ours.example>\r\n",
        b'From: "Alice <ceo@bank.example>\r\n',
        b"From: (Alice <ceo@bank.example>\r\n",
        b"From: =?utf-8?q?=3Cceo=40bank.example=3E=00?=@ours.example\r\n",
        b"From: <=?utf-8?q?ceo=40bank.example=2C?=@ours.example>\r\n",
        b'From: "=?utf-8?b?Y2VvQGJhbmsuZXhhbXBsZQ==?="@ours.example\r\n',
        b"From: alice@=?utf-8?q?ours.example?=\r\n",
        b"From: alice@ours.example.\r\n",
        "From: ceo\u202e@ours.example\r\n".encode(),
        "From: alice＠bank.example\r\n".encode(),
        b"From: alice\xc0\xa0@ours.example\r\n",
        b"From: alice\r\n",
        b"From:\r\n",
        b"From: <>\r\n",
    ],
)
def test_ambiguous_forms_are_refused(block: bytes) -> None:
    """Where two readers could see two senders, nobody is asked: the message is refused."""
    with pytest.raises(BadSyntax):
        senders(block)


def test_an_empty_group_has_no_sender() -> None:
    """RFC 6854 allows it; nobody owns it, so the count is not one."""
    assert senders(b"From: Nobody:;\r\n") == []


def test_an_unknown_field_does_not_count_as_from() -> None:
    """Only the name From is a From field: what looks like it is somebody else's."""
    assert senders(b"X-From: ceo@bank.example\r\nFrom-: a@b.c\r\nFrom: alice@ours.example\r\n") == [OWN]
    assert senders(b"Subject: x\r\n From: ceo@bank.example\r\nFrom: alice@ours.example\r\n") == [OWN]
