"""Reads the mail that lies in Maildirs: with Maildir++ folders, with nested ones, with keywords of others.

Nothing is changed or locked. What is public but ``read_maildir`` serves ``ctl/mbox_reading.py`` too.

Standards: RFC 9051 2.3.2 (flags and keywords), 5.1 (names); RFC 3501 5.1.3 (modified UTF-7).
Invariants: mail that is not read is yielded as ``Skipped``. Each LF of a content has a CR before it; a content
whose lines end so already is given octet for octet, and it has as many octets as its size says, or reading it
raises Unavailable. A name occurs once in a directory. Symbolic links below the top are not followed.
Limits: memory for the file names of one folder and a few pieces of a message; MAX_KEYWORD_FILE_OCTETS, MAX_DEPTH.
Known gaps: only for mail at rest: who can put links in place of files meanwhile can have them followed. Empty
folders are not told; mail comes in the order of the seconds in its names, not of another server's UIDs; info
of another version than "2," is not read; keywords without a name, or one that IMAP can say, are left out.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import takewhile
from pathlib import Path
from typing import Final

from fedaemon.errors import BadSyntax, Refused, Unavailable
from fedaemon.imap.grammar import ATOM
from fedaemon.imap.names import read_name
from fedaemon.imap.parse.values import MAX_KEYWORD_OCTETS

CHUNK: Final = 65536
MAX_DEPTH: Final = 32
MAX_KEYWORD_FILE_OCTETS: Final = 64 * 1024 * 1024
"""Of one file of keywords; Courier's has a line for each message."""

_FLAGS: Final = dict(
    zip("DFPRST", rb"\Draft \Flagged $Forwarded \Answered \Seen \Deleted".split(), strict=True)
)
_KEYWORD = re.compile(ATOM + rb"+").fullmatch
_SECONDS = re.compile(r"[0-9]{1,18}").match
_NUMBER = re.compile(rb"[0-9]{1,4}").fullmatch
_UPDATE = re.compile(r"(?:\.([0-9]{1,18})\.)?([^.:].*)").fullmatch


@dataclass(frozen=True, slots=True)
class Found:
    """A message that can be read.

    :ivar name: what stays the same when the same place is read again; unique in its folder.
    :ivar folder: the mailbox, with "/" between levels; INBOX for the top.
    :ivar flags: system flags and keywords, none of them twice.
    :ivar internal_s: internal date, seconds since the epoch.
    :ivar size: octets of the content as ``open`` gives it.
    :ivar open: reads the content from its beginning; raises Unavailable when it cannot, or when it changed.
    """

    name: str
    folder: str
    flags: tuple[bytes, ...]
    internal_s: int
    size: int
    open: Callable[[], Iterator[bytes]]


@dataclass(frozen=True, slots=True)
class Skipped:
    """Something that may be mail, or belong to it, and was passed over; *reason* is for people to read."""

    path: Path
    reason: str


def read_maildir(top: Path) -> Iterator[Found | Skipped]:
    """Yield the mail of a Maildir and of the folders in it, folder by folder.

    Folders are Maildir++ (``.Sent.2024``) and nested directories (``Sent/2024``), in UTF-8 or modified UTF-7.

    :raises Refused: when there is no Maildir, or it cannot be read.

    Spec: RFC 9051 2.3.2, 5.1
    """
    skipped: list[Skipped] = []
    try:
        folders = sorted(_folders(top, b"", 0, skipped))
        if not folders and not skipped:
            raise Refused(f"{top} is no Maildir: neither it nor a directory in it has cur/ or new/")
        yield from skipped
        for folder, path in folders:
            yield from _folder(folder, path)
    except OSError as error:
        raise Refused(f"{error.filename or top} cannot be read: {error.strerror}") from None


def with_crlf(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield *pieces* with a CR put before each LF that has none."""
    held = b""
    for piece in pieces:
        data = held + piece
        # Whether a CR at the end is half of a line end shows in the next piece only.
        held = b"\r" if data.endswith(b"\r") else b""
        data = data[: len(data) - len(held)].replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
        if data:
            yield data
    if held:
        yield held


def keyword(name: bytes) -> bool:
    """Say whether IMAP can name this keyword.

    Spec: RFC 9051 2.3.2, 9 (flag-keyword)
    """
    return len(name) <= MAX_KEYWORD_OCTETS and _KEYWORD(name) is not None


def read_again(pieces: Callable[[], Iterator[bytes]], size: int, path: Path) -> Iterator[bytes]:
    """Yield what *pieces* gives, with CRLF, and see that it is *size* octets.

    :raises Unavailable: when it is not, or cannot be read.
    """
    left = size
    try:
        for piece in with_crlf(pieces()):
            left -= len(piece)
            if left < 0:
                break
            yield piece
    except OSError as error:
        raise Unavailable(f"{path} cannot be read: {error.strerror}") from None
    if left:
        raise Unavailable(f"{path} changed while it was read; try again when nothing writes to it")


def _folders(path: Path, raw: bytes, depth: int, skipped: list[Skipped]) -> Iterator[tuple[str, Path]]:
    """Yield the folder that a directory is, if it is one, and those below it.

    :param raw: its name as the file system has it, with "/" between levels; empty for the top.
    """
    if depth > MAX_DEPTH:
        skipped.append(Skipped(path, f"directories nested more than {MAX_DEPTH} deep"))
        return
    with os.scandir(path) as scan:
        entries = sorted(scan, key=lambda entry: entry.name)
    directories = [entry for entry in entries if entry.is_dir()]
    if any(entry.name in ("cur", "new") for entry in directories):
        try:
            yield _folder_name(raw), path
        except BadSyntax as error:
            skipped.append(Skipped(path, error.text))
    for entry in directories:
        below = path / entry.name
        if entry.is_symlink():
            # It may lead to the mail of others, or around in a circle.
            skipped.append(Skipped(below, "a symbolic link to a directory"))
            continue
        if entry.name in ("cur", "new", "tmp"):
            continue
        name = os.fsencode(entry.name)
        if not raw and name.startswith(b"."):
            name = name[1:].replace(b".", b"/")
        yield from _folders(below, raw + b"/" + name if raw else name, depth + 1, skipped)


def _folder_name(raw: bytes) -> str:
    """Return the mailbox name for what the file system has."""
    if not raw:
        return "INBOX"
    if b"" in raw.split(b"/"):
        raise BadSyntax("a folder name with an empty part")
    try:
        # In a name of plain ASCII "&" is an escape; what is none was written by a server with UTF-8 names.
        return read_name(raw, utf8=False)
    except BadSyntax:
        return read_name(raw, utf8=True)


def _folder(folder: str, path: Path) -> Iterator[Found | Skipped]:
    """Yield the mail of one folder in the order in which it was delivered."""
    # new before cur: what moves between the two looks is then seen twice and not lost.
    files = [(_order(name), name, sub) for sub in ("new", "cur") for name in _names(path / sub)]
    # "cur" sorts before "new": of two files with one name it is the one that has the flags.
    files.sort(key=lambda file: (file[0], file[2], file[1]))
    skipped: list[Skipped] = []
    letters, courier = _dovecot(path, skipped), _courier(path, skipped)
    yield from skipped
    before = ":"
    for (_, unique), name, sub in files:
        file = path / sub / name
        try:
            reason = "another file has the same name" if unique == before else _odd(file, unique)
            if not reason:
                flags = (*_flags(name, unique, letters), *courier.get(unique, ()))
                found = _message(file, unique, folder, tuple(dict.fromkeys(flags)))
        except OSError as error:
            reason = f"it cannot be read: {error.strerror}"
        if reason:
            yield Skipped(file, reason)
        else:
            yield found
            before = unique


def _names(directory: Path) -> list[str]:
    if directory.is_symlink() or not directory.is_dir():
        return []
    return os.listdir(directory)  # noqa: PTH208  names are smaller than a Path each


def _order(name: str) -> tuple[int, str]:
    """Return the seconds that a file name begins with, and its unique part."""
    seconds = _SECONDS(name)
    return int(seconds[0]) if seconds else 0, name.partition(":")[0]


def _odd(file: Path, unique: str) -> str:
    """Return why a file is no message, or nothing."""
    mode = file.lstat().st_mode
    if not stat.S_ISREG(mode):
        return "a symbolic link" if stat.S_ISLNK(mode) else "no regular file"
    if not unique or unique.startswith("."):
        return "a hidden file, or one without a unique name"
    if not unique.isprintable():
        # Surrogates too, which stand for what is not UTF-8: no key could be made of them.
        return "a file name that is not UTF-8 or has control characters"
    return ""


def _message(file: Path, unique: str, folder: str, flags: tuple[bytes, ...]) -> Found:
    modified_s = int(file.stat().st_mtime)
    pieces = partial(_pieces, file)
    size = sum(map(len, with_crlf(pieces())))
    return Found(unique, folder, flags, modified_s, size, partial(read_again, pieces, size, file))


def _pieces(file: Path) -> Iterator[bytes]:
    with file.open("rb", buffering=0) as stream:
        while piece := stream.read(CHUNK):
            yield piece


def _flags(name: str, unique: str, keywords: dict[str, bytes]) -> list[bytes]:
    """Return what the letters in a file name stand for."""
    info = name[len(unique) + 1 :]
    # Dovecot once wrote more after a further comma.
    letters = info[2:].partition(",")[0] if info.startswith("2,") else ""
    return [flag for letter in letters if (flag := _FLAGS.get(letter) or keywords.get(letter))]


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield the lines of a small file with their offsets; a file that is not there has none."""
    if path.is_symlink() or not path.is_file():
        return
    with path.open("rb") as stream:
        data = stream.read(MAX_KEYWORD_FILE_OCTETS + 1)
    if len(data) > MAX_KEYWORD_FILE_OCTETS:
        raise Refused(f"{path} has more than {MAX_KEYWORD_FILE_OCTETS} octets")
    offset = 0
    for line in data.split(b"\n"):
        yield offset, line.rstrip(b"\r")
        offset += len(line) + 1


def _dovecot(folder: Path, skipped: list[Skipped]) -> dict[str, bytes]:
    """Return the keywords that ``dovecot-keywords`` gives to the letters a to z."""
    path = folder / "dovecot-keywords"
    letters = {}
    for offset, line in _lines(path):
        number, _, name = line.partition(b" ")
        if _NUMBER(number) and keyword(name):
            letters[int(number)] = name
        elif line:
            skipped.append(Skipped(path, f"octet {offset}: not a number and a keyword"))
    # Numbers above 25 have no letter: file names cannot tell them.
    return {chr(ord("a") + number): name for number, name in letters.items() if number < 26}


def _courier(folder: Path, skipped: list[Skipped]) -> dict[str, tuple[bytes, ...]]:
    """Return the keywords of messages, by unique name, from ``courierimapkeywords``."""
    directory = folder / "courierimapkeywords"
    found = _courier_list(directory / ":list", skipped)
    updates = [match for match in map(_UPDATE, _names(directory)) if match]
    # A file for one message replaces what the list has; one without a number is newer than all that have one.
    for update in sorted(updates, key=lambda match: int(match[1] or 10**18)):
        found[update[2]] = tuple(line for _, line in _lines(directory / update[0]) if keyword(line))
    return found


def _courier_list(path: Path, skipped: list[Skipped]) -> dict[str, tuple[bytes, ...]]:
    """Return what Courier's list has: keywords, an empty line, then ``unique name:numbers``."""
    lines = _lines(path)
    keywords = list(takewhile(bool, (line for _, line in lines)))
    found: dict[str, tuple[bytes, ...]] = {}
    for offset, line in lines:
        name, colon, numbers = line.rpartition(b":")
        indexes = [int(number) if _NUMBER(number) else len(keywords) for number in numbers.split()]
        if colon and all(index < len(keywords) for index in indexes):
            found[os.fsdecode(name)] = tuple(filter(keyword, (keywords[index] for index in indexes)))
        elif line:
            skipped.append(Skipped(path, f"octet {offset}: not a name and numbers of keywords"))
    return found
