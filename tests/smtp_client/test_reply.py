"""Reading replies: well-formed, odd and hostile ones."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedaemon.errors import BadSyntax
from fedaemon.smtp.client_reply import MAX_LINE_OCTETS, MAX_LINES, MAX_TEXT, RemoteReply, ReplyReader


def read_all(*pieces: bytes) -> list[RemoteReply]:
    reader = ReplyReader()
    replies = []
    for piece in pieces:
        reader.receive(piece)
        while (reply := reader.next_reply()) is not None:
            replies.append(reply)
    return replies


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[start:stop] for start, stop in pairwise(edges)]


def test_a_reply_of_several_lines_is_one_reply() -> None:
    [reply] = read_all(b"250-mx.example.net\r\n250-SIZE 1000\r\n250 DSN\r\n")
    assert reply == RemoteReply(250, (b"mx.example.net", b"SIZE 1000", b"DSN"))


def test_code_alone_is_a_reply() -> None:
    assert read_all(b"250\r\n354\r\n") == [RemoteReply(250, (b"",)), RemoteReply(354, (b"",))]


def test_bare_line_feeds_end_lines_too() -> None:
    assert read_all(b"250-a\n250 b\n") == [RemoteReply(250, (b"a", b"b"))]


def test_the_enhanced_status_is_taken_out_of_every_line_of_the_text() -> None:
    [reply] = read_all(b"550-5.1.1 No such user.\r\n550 5.1.1 Look again.\r\n")
    assert (reply.code, reply.status, reply.text) == (550, "5.1.1", "No such user. Look again.")


@pytest.mark.parametrize(
    "text", [b"4.1.1 wrong class", b"5.1 short", b"5.1.1.1 long", b"5.1.1234 long", b"see 5.1.1"]
)
def test_what_is_no_status_of_this_reply_stays_in_the_text(text: bytes) -> None:
    [reply] = read_all(b"550 " + text + b"\r\n")
    assert (reply.status, reply.text) == ("", text.decode())


def test_the_last_line_decides_among_codes_of_one_class() -> None:
    assert read_all(b"250-a\r\n251 b\r\n")[0].code == 251


@pytest.mark.parametrize(
    "data",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 400 Bad Request\r\n",
        b"\r\n",
        b"25\r\n",
        b"2500\r\n",
        b"250_ok\r\n",
        b"150 wait\r\n",
        b"650 what\r\n",
        b"\xd9\xa2\xd9\xa5\xd9\xa0 arabic digits\r\n",
        b"250-yes\r\n550 no\r\n",
    ],
)
def test_what_is_no_reply_is_bad_syntax(data: bytes) -> None:
    with pytest.raises(BadSyntax):
        read_all(data)


def test_an_endless_line_is_cut_off() -> None:
    with pytest.raises(BadSyntax, match="longer than"):
        read_all(*[b"250 " + b"x" * 500] * (MAX_LINE_OCTETS // 500 + 1))


def test_a_line_at_the_limit_is_read() -> None:
    line = b"250 " + b"x" * (MAX_LINE_OCTETS - 6)
    assert len(read_all(line + b"\r\n")) == 1
    with pytest.raises(BadSyntax):
        read_all(line + b"x\r\n")


def test_an_endless_reply_is_cut_off() -> None:
    assert len(read_all(b"250-x\r\n" * (MAX_LINES - 1) + b"250 x\r\n")) == 1
    with pytest.raises(BadSyntax, match="more than 100 lines"):
        read_all(b"250-x\r\n" * MAX_LINES + b"250 x\r\n")


def test_text_for_people_has_no_control_characters_and_an_end() -> None:
    """Terminal escapes, NUL and direction overrides of a hostile server do not reach logs and reports."""
    hostile = "554 \x1b[2Jcleared\x00\u202egnp.exe\u2028\x85 end ".encode() + b"\xff" + b"y" * 1500
    [reply] = read_all(hostile + b"\r\n")
    assert reply.text.isprintable()
    assert len(reply.text) <= MAX_TEXT
    assert "cleared" in reply.text


@given(
    st.lists(
        st.tuples(st.integers(200, 599), st.lists(st.binary(max_size=20), min_size=1, max_size=4)), max_size=4
    ),
    st.lists(st.integers(0, 10_000), max_size=8),
)
def test_any_split_of_the_bytes_gives_the_same_replies(
    given_replies: list[tuple[int, list[bytes]]], places: list[int]
) -> None:
    expected, data = [], b""
    for code, lines in given_replies:
        lines = [line.replace(b"\n", b"").rstrip(b"\r") for line in lines]
        expected.append(RemoteReply(code, tuple(lines)))
        data += b"".join(b"%d-%b\r\n" % (code, line) for line in lines[:-1]) + b"%d %b\r\n" % (
            code,
            lines[-1],
        )
    assert read_all(*cut(data, places)) == expected


@given(
    st.lists(
        st.one_of(st.binary(max_size=60), st.sampled_from([b"250-", b"250 ", b"\r\n", b"421"])), max_size=30
    )
)
def test_garbage_raises_nothing_but_bad_syntax_and_is_printable(pieces: list[bytes]) -> None:
    try:
        replies = read_all(*pieces)
    except BadSyntax as error:
        assert error.text.isprintable()
    else:
        assert all(200 <= reply.code < 600 and reply.text.isprintable() for reply in replies)
