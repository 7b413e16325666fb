"""Ids and records."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedaemon.store import records
from fedaemon.store.errors import NewerFormat, StoreError
from fedaemon.store.ids import ALPHABET, ID_LENGTH, is_id, new_id

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.lists(st.integers(0, 2**40), min_size=2, max_size=30))
def test_ids_increase_whatever_the_clock_does(times: list[int]) -> None:
    ids = [new_id(now) for now in times]
    assert ids == sorted(set(ids))
    assert all(is_id(each) for each in ids)


def test_an_id_tells_its_time() -> None:
    now = 2**41 + 12345
    name = new_id(now)
    number = 0
    for character in name:
        number = number * 32 + ALPHABET.index(character)
    assert number >> 32 == now


@pytest.mark.parametrize("text", ["", "0" * 15, "0" * 17, "I" * 16, "0" * 15 + "l", "../../etc/passwd"])
def test_other_texts_are_no_ids(text: str) -> None:
    assert not is_id(text)


def test_sixteen_zeros_have_the_form_of_an_id() -> None:
    assert is_id("0" * ID_LENGTH)


@given(st.dictionaries(st.text(), JSON, max_size=4))
def test_decoding_gives_back_the_record(record: dict[str, Any]) -> None:
    assert records.decode(records.encode(record)) == record


def test_bytes_of_peers_kept_as_surrogates_survive() -> None:
    record = {"reply": b"\xff\xfe na\xefve".decode("ascii", "surrogateescape")}
    assert records.decode(records.encode(record)) == record


@pytest.mark.parametrize("value", [b"", b"\x00{}", b"\x01", b"\x01[]", b"\x01{", b"\x01\xff"])
def test_damaged_records_raise_store_error(value: bytes) -> None:
    with pytest.raises(StoreError, match="damaged"):
        records.decode(value)


def test_a_record_of_a_later_version_names_the_remedy() -> None:
    with pytest.raises(NewerFormat, match="run the newer fedaemon"):
        records.decode(b"\x02{}")
