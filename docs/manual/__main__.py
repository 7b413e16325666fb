"""Writes all that is generated; run at the root of the repository."""

from __future__ import annotations

import sys

from docs.manual.files import ROOT, generated


def main() -> int:
    """Write what is not up to date, and say so."""
    for name, text in generated().items():
        path = ROOT / name
        if not path.is_file() or path.read_text() != text:
            path.write_text(text)
            print(f"written: {name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
