"""Writes mailboxes to a directory: as a Maildir with folders, as mbox files, or as one file a message.

Theory of operation: a name is made from UID and UIDVALIDITY, so what an earlier run has written is known by it,
and left. What is written gets its name when it is whole.

Standards: RFC 3501 5.1.3 (folder names in modified UTF-7, as other servers have them); RFC 4155 appendix A.
Invariants: files hold the stored octets, those of mbox once unquoted; nothing outside the directory is written,
whatever a mailbox is called; nothing of others is overwritten.
Known gaps: mbox and eml have no flags, as they would have to stand in the message; an import takes no date before
1970-01-02 from an mbox; an mbox that exists is not written again. A Maildir has letters for KEYWORDS keywords and
$Forwarded; a mailbox whose name has a dot is a nested directory, as Maildir++ has no way to say it.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Final

from fedaemon.ctl.mbox import write_mbox_message
from fedaemon.errors import Refused
from fedaemon.imap import mutf7
from fedaemon.mailbox.mailboxes import INBOX, SEPARATOR
from fedaemon.mailbox.rows import Row
from fedaemon.store.interface import Content

KEYWORDS: Final = 26
"""Letters a to z."""
_LETTERS: Final = {
    "\\Draft": "D",
    "\\Flagged": "F",
    "$forwarded": "P",
    "\\Answered": "R",
    "\\Seen": "S",
    "\\Deleted": "T",
}
_OF_MAILDIR: Final = ("cur", "new", "tmp")


class Writer(ABC):
    """Writes mailboxes, one after the other.

    :param top: the directory.
    :ivar nameless: messages that have lost keywords.
    """

    def __init__(self, top: Path) -> None:
        self.top = top
        self.nameless = 0

    @abstractmethod
    def begin(self, name: str, uidvalidity: int, keywords: Sequence[str]) -> None:
        """Begin a mailbox; raises Refused when it cannot be written here, OSError when the system fails."""

    @abstractmethod
    def has(self, row: Row) -> bool:
        """Tell whether an earlier run has written this message."""

    @abstractmethod
    def write(self, row: Row, flags: Sequence[str], prefix: bytes, content: Content) -> None:
        """Write a message; raises StoreError when it cannot be read, and nothing of it is there then."""

    @abstractmethod
    def end(self, *, whole: bool) -> bool:
        """End a mailbox, of which all was written if it is *whole*; return whether what was written stays."""


class EmlWriter(Writer):
    """A directory for each mailbox, a file for each message."""

    def begin(self, name: str, uidvalidity: int, keywords: Sequence[str]) -> None:
        """Begin a mailbox."""
        self._directory = self.top.joinpath(*_parts(name))
        self._directory.mkdir(parents=True, exist_ok=True)

    def has(self, row: Row) -> bool:
        """Tell whether an earlier run has written this message."""
        return _is_whole(self._path(row), row)

    def write(self, row: Row, flags: Sequence[str], prefix: bytes, content: Content) -> None:
        """Write a message."""
        path = self._path(row)
        _write(path.with_name(f".{path.name}.part"), path, row, content)

    def end(self, *, whole: bool) -> bool:
        """End a mailbox."""
        return True

    def _path(self, row: Row) -> Path:
        return self._directory / f"{row.uid:08}.eml"


class MboxWriter(Writer):
    """A file for each mailbox."""

    def begin(self, name: str, uidvalidity: int, keywords: Sequence[str]) -> None:
        """Begin a mailbox."""
        *above, last = _parts(name)
        self._path = self.top.joinpath(*above, f"{last}.mbox")
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._draft = self._path.with_name(f".{self._path.name}.part")
        self._file: BinaryIO | None = None if self._path.exists() else self._draft.open("wb")

    def has(self, row: Row) -> bool:
        """Tell whether an earlier run has written this message."""
        return self._file is None

    def write(self, row: Row, flags: Sequence[str], prefix: bytes, content: Content) -> None:
        """Write a message."""
        assert self._file is not None
        before = self._file.tell()
        try:
            write_mbox_message(self._file, content, prefix, row.internal_s)
        except BaseException:
            self._file.seek(before)
            self._file.truncate()
            raise

    def end(self, *, whole: bool) -> bool:
        """End a mailbox."""
        if self._file is not None:
            self._file.close()
            if whole:
                self._draft.rename(self._path)
            else:
                self._draft.unlink()
        return whole


class MaildirWriter(Writer):
    """A Maildir whose folders are those of Maildir++."""

    def begin(self, name: str, uidvalidity: int, keywords: Sequence[str]) -> None:
        """Begin a mailbox."""
        self._directory = directory = self.top / _folder(name)
        for each in _OF_MAILDIR:
            (directory / each).mkdir(parents=True, exist_ok=True)
        if directory != self.top:
            (directory / "maildirfolder").touch()
        self._uidvalidity = uidvalidity
        self._letters = self._name_keywords([word for word in keywords if word.lower() not in _LETTERS])
        self._there: dict[str, Path] = {}
        for each in ("new", "cur"):
            with os.scandir(directory / each) as scan:
                self._there |= {entry.name.partition(":")[0]: Path(entry.path) for entry in scan}

    def _name_keywords(self, words: Sequence[str]) -> dict[str, str]:
        """Have a letter stand for each keyword, as Dovecot does; return the letters."""
        path = self._directory / "dovecot-keywords"
        wanted = "".join(f"{number} {word}\n" for number, word in enumerate(words))
        there = path.read_text("utf-8", "surrogateescape") if path.exists() else ""
        if not wanted.startswith(there):
            raise Refused(f"{path} gives letters to keywords of another server; export to an empty directory")
        if wanted != there:
            path.write_text(wanted, "utf-8")
        return {word: chr(ord("a") + number) for number, word in enumerate(words[:KEYWORDS])}

    def has(self, row: Row) -> bool:
        """Tell whether an earlier run has written this message."""
        path = self._there.get(self._unique(row))
        if path is None or _is_whole(path, row):
            return path is not None
        path.unlink()  # a crash has cut it off
        return False

    def write(self, row: Row, flags: Sequence[str], prefix: bytes, content: Content) -> None:
        """Write a message."""
        letters = [
            _LETTERS.get(flag) or _LETTERS.get(flag.lower()) or self._letters.get(flag) for flag in flags
        ]
        self.nameless += None in letters
        info = "".join(sorted(letter for letter in letters if letter))
        unique = self._unique(row)
        path = self._directory / "cur" / f"{unique}:2,{info}"
        _write(self._directory / "tmp" / unique, path, row, content)

    def end(self, *, whole: bool) -> bool:
        """End a mailbox."""
        return True

    def _unique(self, row: Row) -> str:
        # S= is the size that Maildir++ programs look for; zeros keep messages of one second in their order.
        return f"{row.internal_s}.U{row.uid:010}V{self._uidvalidity}.fedaemon,S={row.size}"


def _parts(name: str) -> list[str]:
    """Return the levels of a mailbox name as names of directories.

    :raises Refused: when one would lead elsewhere.

    Spec: RFC 3501 5.1.3
    """
    parts = [mutf7.encode(part).decode("ascii") for part in name.split(SEPARATOR)]
    if any(part in ("", ".", "..") for part in parts):
        raise Refused("its name cannot be that of a directory")
    return parts


def _folder(name: str) -> Path:
    """Return the directory of a folder, below that of the Maildir; raises Refused when there can be none."""
    if name == INBOX:
        return Path()
    parts = _parts(name)
    if not any("." in part for part in parts):
        return Path("." + ".".join(parts))
    if parts[0].startswith(".") or any(part in _OF_MAILDIR for part in parts):
        raise Refused("its name cannot be that of a folder in a Maildir")
    return Path(*parts)


def _is_whole(path: Path, row: Row) -> bool:
    with suppress(FileNotFoundError):
        return path.stat().st_size == row.size
    return False


def _write(draft: Path, path: Path, row: Row, content: Content) -> None:
    """Write a message to *draft*, with the time when it arrived, and give it its name."""
    try:
        with draft.open("wb") as output:
            for chunk in content.chunks():
                output.write(chunk)
        os.utime(draft, (row.internal_s, row.internal_s))
        draft.rename(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
