"""Keys: order, prefixes and limits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedaemon.store.errors import StoreError
from fedaemon.store.interface import Key
from fedaemon.store.keys import KEY_OCTETS, decode_key, encode_key, prefix_end

# Few different characters, the awkward ones among them, so that parts share prefixes often.
TEXTS = st.text(alphabet="\x00\x01a~ÿ\uffff\U0001f600", max_size=6)
BYTES = st.lists(st.sampled_from([b"\x00", b"\x01", b"a", b"\xfe", b"\xff"]), max_size=6).map(b"".join)
INTEGERS = st.one_of(st.integers(0, 300), st.integers(0, 2**64 - 1))
PARTS = st.one_of(TEXTS, BYTES, INTEGERS)
KEYS = st.lists(PARTS, max_size=5).map(tuple)
SIMILAR = st.lists(st.sampled_from([TEXTS, BYTES, INTEGERS]), max_size=4).flatmap(
    lambda kinds: st.tuples(st.tuples(*kinds), st.tuples(*kinds))
)


@given(KEYS)
def test_decoding_gives_back_the_key(key: Key) -> None:
    assert decode_key(encode_key(key)) == key


@given(SIMILAR)
def test_octets_sort_as_the_keys_do(keys: tuple[Key, Key]) -> None:
    one, other = keys
    assert (encode_key(one) < encode_key(other)) == (one < other)


@given(KEYS, KEYS)
def test_a_key_lies_in_the_range_of_a_prefix_exactly_when_it_begins_with_its_parts(
    prefix: Key, key: Key
) -> None:
    start = encode_key(prefix)
    assert (start <= encode_key(key) < prefix_end(start)) == (key[: len(prefix)] == prefix)


@given(KEYS, KEYS)
def test_every_continuation_of_a_key_lies_in_its_range(prefix: Key, rest: Key) -> None:
    start = encode_key(prefix)
    assert start <= encode_key(prefix + rest) < prefix_end(start)


def test_a_part_that_only_begins_alike_is_outside_the_range() -> None:
    start = encode_key(("a",))
    assert encode_key(("a\x00b",)) >= prefix_end(start)


@given(st.binary(max_size=40))
def test_garbage_raises_only_store_error(data: bytes) -> None:
    try:
        key = decode_key(data)
    except StoreError:
        return
    assert decode_key(encode_key(key)) == key


@pytest.mark.parametrize("part", [-1, 2**64, True, None, 1.5, "\ud800", "a\udcff"])
def test_what_a_key_cannot_hold_is_refused(part: object) -> None:
    with pytest.raises(StoreError):
        encode_key(("space", part))  # type: ignore[arg-type]


def test_the_longest_key_is_taken_and_the_next_refused() -> None:
    assert len(encode_key(("x" * (KEY_OCTETS - 2),))) == KEY_OCTETS
    with pytest.raises(StoreError, match="longer than 510"):
        encode_key(("x" * (KEY_OCTETS - 1),))
