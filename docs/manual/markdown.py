"""Text for people as Markdown that is shown as it is, on a web page and as a man page."""

from __future__ import annotations

import re

_SPECIAL = re.compile(r"([\\*<>\[\]`|])")
_LITERAL = re.compile(
    r'((?<!\w)"[^"`]{1,60}"(?!\w)|(?<!\w)(?:--?[a-z][a-z-]*|\$[A-Z_]+|\[\[?[a-z_.]+\]\]?)(?!\w))'
)
"""What is typed as it stands: quotation marks would not be, were they made round."""


_LONG = re.compile(r"[^\s,]+(?:,[^\s,]+)+")
_WORD = 60
"""Characters of a word that fits on a line of a man page."""


def plain(text: str) -> str:
    """Return *text* with nothing in it that Markdown reads as its own; options and the like as code.

    A list without spaces that is longer than a line gets some.
    """
    spaced = _LONG.sub(lambda match: match[0].replace(",", ", ") if len(match[0]) > _WORD else match[0], text)
    pieces = _LITERAL.split(spaced)
    return "".join(
        f"`{piece}`" if index % 2 else _SPECIAL.sub(r"\\\1", piece) for index, piece in enumerate(pieces)
    )


def definition(term: str, *texts: str) -> str:
    """Return an entry of a list of terms: one paragraph, since a second would be code on a web page."""
    told = " ".join(filter(None, texts))
    return f"{term}\n: {told}\n" if told else f"{term}\n"


def indented(text: str) -> str:
    """Return *text* as a block that is shown as it is."""
    return "".join(f"    {line}".rstrip() + "\n" for line in text.rstrip().splitlines())
