"""The pages of docs/integrations as programs: what they tell people to copy is what the tests run.

There is no second copy of an example. A page marks its code with comments that a reader does not see, each
directly before a fenced block:

- ``<!-- file: NAME -->``: the block is the whole file NAME of the example.
- ``<!-- file: NAME (VARIANT) -->``: it takes the place of NAME in this variant, such as ``587``.
- ``<!-- command: NAME -->``: shell lines that run in the directory of the files; ``(VARIANT)`` as above.
- ``<!-- error: NAME -->``: what the program prints when this goes wrong; ``…`` stands for what differs.

A test writes the files as they stand and replaces nothing but the placeholders of host, ports and addresses.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

INTEGRATIONS = Path(__file__).parent.parent.parent / "docs" / "integrations"
PLACEHOLDERS = ("mail.example.org", "465", "587", "alice@example.org", "bob@example.net", "PASSWORD")
"""What a test may replace in an example, and nothing else."""

_BLOCK = re.compile(
    r"^(?:<!-- (?P<kind>[a-z]+): (?P<name>\S+?)(?: \((?P<variant>[^)\n]+)\))? -->\n+)?"
    r"^```(?P<language>[^\n]*)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
_MARK = re.compile(r"^<!-- [a-z]+:.*-->$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block; *kind*, *name* and *variant* are empty where the page has no mark before it."""

    kind: str
    name: str
    variant: str
    language: str
    text: str


class Page:
    """One page of docs/integrations, such as ``Page("nodemailer")`` or ``Page("nodemailer", "ru")``."""

    def __init__(self, name: str, language: str = "en") -> None:
        self.path = INTEGRATIONS / ("" if language == "en" else language) / f"{name}.md"
        self.text = self.path.read_text()
        self.blocks = [
            Block(
                found["kind"] or "",
                found["name"] or "",
                found["variant"] or "",
                found["language"],
                found["text"],
            )
            for found in _BLOCK.finditer(self.text)
        ]
        marked = sum(1 for block in self.blocks if block.kind)
        assert marked == len(_MARK.findall(self.text)), f"{self.path}: a mark has no block behind it"

    def files(self, variant: str = "") -> dict[str, str]:
        """Return the example's files by name, with those of *variant* in their place."""
        return self._named("file", variant)

    def commands(self, variant: str = "") -> dict[str, str]:
        """Return the marked shell lines by name, with those of *variant* in their place."""
        return self._named("command", variant)

    def errors(self) -> dict[str, str]:
        """Return what the page says a program prints, by the name of the failure."""
        return self._named("error", "")

    def write(self, directory: Path, replacements: Mapping[str, str], variant: str = "") -> None:
        """Write the example's files into *directory*, with *replacements* for the placeholders."""
        for name, text in self.files(variant).items():
            path = directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(replaced(text, replacements))

    def _named(self, kind: str, variant: str) -> dict[str, str]:
        wanted = [block for block in self.blocks if block.kind == kind]
        assert not variant or any(block.variant == variant for block in self.blocks), (
            f"{self.path}: {variant}?"
        )
        plain = {block.name: block.text for block in wanted if not block.variant}
        return plain | {block.name: block.text for block in wanted if block.variant == variant}


def replaced(text: str, replacements: Mapping[str, str]) -> str:
    """Return *text* with the placeholders replaced where they stand as words of their own."""
    assert set(replacements) <= set(PLACEHOLDERS), replacements
    if not replacements:
        return text
    words = "|".join(map(re.escape, replacements))
    return re.sub(rf"(?<![\w.@])(?:{words})(?![\w@])", lambda found: replacements[found[0]], text)


def says(output: str, quoted: str, replacements: Mapping[str, str] | None = None) -> bool:
    """Return whether *output* contains what a page quotes; how lines are broken makes no difference.

    ``…`` in *quoted* stands for anything, and at its ends for nothing in particular.
    """
    pieces = replaced(quoted, replacements or {}).split("…")
    pattern = r".*?".join(r"\s+".join(map(re.escape, piece.split())) for piece in pieces)
    return re.search(pattern, output, re.DOTALL) is not None
