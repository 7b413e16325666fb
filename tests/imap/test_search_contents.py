"""What SEARCH makes of blocks of texts: where BODY looks in them, and which blocks it makes itself."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedaemon.imap.search.contents import rows_with
from fedaemon.imap.search.plan import Inside
from fedaemon.mailbox import text_index
from fedaemon.mailbox.text_index import BODY_BEGINS, LONG, TextBlock, TextKind
from tests.imap.lab import Lab
from tests.imap.mail import message

texts = st.lists(st.sampled_from((b"a", b"b", b"ab", b"\v", b"")), max_size=6).map(b"".join)
rows = st.tuples(texts, texts).map(BODY_BEGINS.join) | st.just(LONG)


@given(st.lists(rows, min_size=1, max_size=8), st.sampled_from((b"a", b"b", b"ab", b"ba", b"b\va", b"aab")))
def test_body_is_what_is_behind_the_headers_of_parts(found: list[bytes], needle: bytes) -> None:
    """RFC 9051 6.4.4: BODY does not match header fields."""
    node = Inside(TextKind.BODIES, needle, no_headers=True)
    expected = [number for number, row in enumerate(found) if needle in row.partition(BODY_BEGINS)[2]]
    assert list(rows_with(node, b"\n".join(found))) == expected


@given(st.lists(rows, min_size=1, max_size=8), st.sampled_from((b"a", b"ab", b"b\va")))
def test_text_is_either(found: list[bytes], needle: bytes) -> None:
    node = Inside(TextKind.BODIES, needle)
    expected = [number for number, row in enumerate(found) if needle in row]
    assert list(rows_with(node, b"\n".join(found))) == expected


def test_blocks_are_made_between_those_that_are_there(tmp_path: Path) -> None:
    """They stay; what one of them does not have, though it stands among its messages, is read."""
    with closing(Lab(tmp_path / "store")) as lab:
        lab.deliver(*[message("x", body=f"word{number}.") for number in range(1, 61)])
        mailbox_id = lab.mailbox_id()
        kept = [uid for uid in range(20, 31) if uid != 25]
        block = TextBlock.of(kept, [BODY_BEGINS + b"kept%d." % uid for uid in kept])
        lab.write(lambda transaction: text_index.put(transaction, mailbox_id, TextKind.BODIES, block))
        client = lab.client(select="INBOX")
        for _ in range(2):
            for word, number in ((b"word25.", 25), (b"word1.", 1), (b"kept30.", 30), (b"word60.", 60)):
                assert client.send(b"SEARCH BODY " + word)[0] == b"* SEARCH %d" % number
        made = lab.store.view(lambda s: text_index.blocks(s, mailbox_id, TextKind.BODIES, 1, 60))
        assert [list(each.uids) for each in made] == [[*range(1, 20)], kept, [*range(31, 61)]]


def test_blocks_without_messages_in_question_are_not_inflated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text_index, "BLOCK_OCTETS", 100)
    with closing(Lab(tmp_path / "store")) as lab:
        lab.deliver(*[message("x", body=f"word{number}.") for number in range(1, 61)])
        client = lab.client(select="INBOX")
        assert client.send(b"SEARCH BODY word60.")[0] == b"* SEARCH 60"
        inflated: list[int] = []
        text = TextBlock.text

        def counted(block: TextBlock) -> bytes:
            inflated.append(block.uids[0])
            return text(block)

        monkeypatch.setattr(TextBlock, "text", counted)
        assert client.send(b"SEARCH 30 BODY word")[0] == b"* SEARCH 30"
        assert len(inflated) == 1
        assert client.send(b"SEARCH BODY word60.")[0] == b"* SEARCH 60"
        assert len(inflated) > 5
