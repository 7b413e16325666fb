"""Spans of time as people write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedaemon.accounts.spans import parse_span, show_span
from fedaemon.errors import BadSyntax


@pytest.mark.parametrize(
    ("text", "span_s"), [("0", 0), ("0d", 0), ("90s", 90), ("5m", 300), ("1d12h", 129_600), ("36h", 129_600)]
)
def test_spans(text: str, span_s: int) -> None:
    """Numbers with units, added up."""
    assert parse_span(text, low_s=0, high_s=10**9) == span_s


@pytest.mark.parametrize("text", ["", "5", "d", "-1d", "1.5h", "1w", "1d ", "\u0663d", "1234567890s"])
def test_what_is_no_span(text: str) -> None:
    """The error repeats what was written."""
    with pytest.raises(BadSyntax, match="is no time"):
        parse_span(text, low_s=0, high_s=10**9)


@pytest.mark.parametrize("text", ["59s", "1h1s"])
def test_bounds(text: str) -> None:
    """Below and above: the error says from where to where."""
    with pytest.raises(BadSyntax, match="from 1m to 1h"):
        parse_span(text, low_s=60, high_s=3600)


@given(st.integers(0, 10**9))
def test_what_is_shown_is_read(span_s: int) -> None:
    """The invariant of the module."""
    assert parse_span(show_span(span_s), low_s=0, high_s=10**9) == span_s
