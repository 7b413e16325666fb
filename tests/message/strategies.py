"""Hypothesis strategies that several tests of the mail formats share."""

from __future__ import annotations

from hypothesis import strategies as st

ATEXT = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&'*+-/=?^_`{|}~"

atoms = st.text(ATEXT, min_size=1, max_size=12)
dot_strings = st.lists(atoms, min_size=1, max_size=4).map(".".join)
printable = st.text([chr(code) for code in range(0x20, 0x7F)], max_size=20)
labels = st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9-]{0,8}[A-Za-z0-9])?", fullmatch=True)
domains = st.builds(
    lambda first, last: ".".join([*first, last]),
    st.lists(labels, max_size=3),
    st.from_regex(r"[a-z]{2,6}", fullmatch=True),
)
unicode_words = st.text(
    st.characters(categories=["Ll", "Lu", "Lo", "Mn"], min_codepoint=0x80, max_codepoint=0x2FFF),
    min_size=1,
    max_size=8,
)
# Garbage that looks enough like mail to get far into a parser.
mail_like = st.text(
    st.one_of(
        st.sampled_from('<>@,;:.()[]"\\ \t=?\r\n\0abBq_-+0179é\u202e\ufffd\ud800'),
        st.characters(),
    ),
    max_size=60,
)
mail_like_octets = st.one_of(
    st.binary(max_size=60), mail_like.map(lambda text: text.encode("utf-8", "surrogatepass"))
)
