"""Reading Maildirs, as qmail, Dovecot, Courier and Python leave them."""

from __future__ import annotations

import mailbox as stdlib_mailbox
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedaemon.ctl import maildir
from fedaemon.ctl.maildir import Found, Skipped, keyword, read_maildir, with_crlf
from fedaemon.errors import Refused, Unavailable

MESSAGE = b"Subject: x\n\nbody\n"


@pytest.fixture
def top(tmp_path: Path) -> Path:
    make(tmp_path / "Maildir")
    return tmp_path / "Maildir"


def make(path: Path) -> Path:
    for name in ("tmp", "new", "cur"):
        (path / name).mkdir(parents=True)
    return path


def put(path: Path, data: bytes = MESSAGE, modified_s: int = 1_000_000_000) -> None:
    path.write_bytes(data)
    os.utime(path, (0, modified_s))


def found(top: Path) -> list[Found]:
    """Return the mail; each size must be true."""
    messages = [each for each in read_maildir(top) if isinstance(each, Found)]
    assert [len(content(each)) for each in messages] == [each.size for each in messages]
    return messages


def skipped(top: Path) -> dict[str, str]:
    return {
        str(each.path.relative_to(top)): each.reason
        for each in read_maildir(top)
        if isinstance(each, Skipped)
    }


def content(message: Found) -> bytes:
    return b"".join(message.open())


def test_messages_have_names_flags_dates_and_crlf(top: Path) -> None:
    """In the order of delivery, new and cur together; tmp is not mail."""
    put(top / "cur" / "1000.M2.host,S=17:2,FS", modified_s=7)
    put(top / "new" / "900.M1.host")
    put(top / "tmp" / "800.M1.host")
    first, second = found(top)
    assert (first.name, first.folder, first.flags, first.internal_s) == (
        "900.M1.host", "INBOX", (), 1_000_000_000,
    )  # fmt: skip
    assert (second.name, second.flags, second.internal_s) == (
        "1000.M2.host,S=17", (b"\\Flagged", b"\\Seen"), 7,
    )  # fmt: skip
    assert content(second) == content(second) == b"Subject: x\r\n\r\nbody\r\n"


@pytest.mark.parametrize(
    ("info", "flags"),
    [
        ("", ()),
        (":2,", ()),
        (":2,DFPRST", (b"\\Draft", b"\\Flagged", b"$Forwarded", b"\\Answered", b"\\Seen", b"\\Deleted")),
        (":2,SSaczS", (b"\\Seen", b"$Label1", b"Junk")),
        (":2,S,a", (b"\\Seen",)),
        (":1,S", ()),
        (":2,SXb1", (b"\\Seen",)),
        (":2", ()),
    ],
)
def test_info_gives_flags(top: Path, info: str, flags: tuple[bytes, ...]) -> None:
    """RFC 9051 2.3.2 has the names; letters from a on are Dovecot's keywords, the unknown ones nothing."""
    (top / "dovecot-keywords").write_bytes(b"0 $Label1\n2 Junk\n26 TooFar\n")
    put(top / "cur" / f"1.a{info}")
    (message,) = found(top)
    assert (message.name, message.flags) == ("1.a", flags)


def test_broken_keyword_files_are_told_and_hide_no_mail(top: Path) -> None:
    """With the offset of each line that says nothing."""
    (top / "dovecot-keywords").write_bytes(b"0 Good\nx y\n1 b(d\n2\n")
    courier = top / "courierimapkeywords"
    courier.mkdir()
    (courier / ":list").write_bytes(b"Work\n\n1.a:0\n1.b:7\nnothing\n")
    put(top / "cur" / "1.a:2,a")
    assert [each.flags for each in found(top)] == [(b"Good", b"Work")]
    told = [(each.path.name, each.reason[:9]) for each in read_maildir(top) if isinstance(each, Skipped)]
    assert told == [
        ("dovecot-keywords", "octet 7: "),
        ("dovecot-keywords", "octet 11:"),
        ("dovecot-keywords", "octet 17:"),
        (":list", "octet 12:"),
        (":list", "octet 18:"),
    ]


def test_keywords_of_courier(top: Path) -> None:
    """The list, then the newest file of a message replaces what the list has, an empty one takes all away."""
    courier = top / "courierimapkeywords"
    courier.mkdir()
    (courier / ":list").write_bytes(b"Work\nHome\n\n1.a:1 0\n2.b:0\n3.c:0\n4.d:0\n")
    (courier / ".9.2.b").write_bytes(b"Old\n")
    (courier / ".10.2.b").write_bytes(b"Newer\n")
    (courier / ".10.3.c").write_bytes(b"Numbered\n")
    (courier / "3.c").write_bytes(b"Newest\nb(d\n")
    (courier / "4.d").write_bytes(b"")
    (courier / ".tmp.5.4.d").write_bytes(b"Unfinished\n")
    for name in ("1.a", "2.b", "3.c", "4.d"):
        put(top / "cur" / f"{name}:2,S")
    assert [each.flags[1:] for each in found(top)] == [(b"Home", b"Work"), (b"Newer",), (b"Newest",), ()]


def test_folders_of_both_layouts(top: Path) -> None:
    """Maildir++ and nested directories, names in modified UTF-7 and in UTF-8 (RFC 3501 5.1.3)."""
    names = {
        ".Sent.2024": "Sent/2024",
        ".Entw&APw-rfe": "Entwürfe",
        ".Grüße": "Grüße",
        ".R&D": "R&D",
        "Archive/2023.old": "Archive/2023.old",
        "Archive": "Archive",
        "no mail here/but below": "no mail here/but below",
    }
    for number, name in enumerate(names):
        put(make(top / name) / "cur" / f"{number}.x:2,")
    (top / "sieve").mkdir()
    put(top / "cur" / "99.x:2,")
    assert {each.name: each.folder for each in found(top)} == {
        **{f"{number}.x": folder for number, folder in enumerate(names.values())},
        "99.x": "INBOX",
    }
    assert skipped(top) == {}


def test_keywords_belong_to_their_folder(top: Path) -> None:
    """The same letter is another keyword elsewhere."""
    make(top / ".Sent")
    (top / "dovecot-keywords").write_bytes(b"0 Top\n")
    (top / ".Sent" / "dovecot-keywords").write_bytes(b"0 Sent\r\n")
    put(top / "cur" / "1.a:2,a")
    put(top / ".Sent" / "cur" / "1.a:2,a")
    assert [(each.folder, each.flags) for each in found(top)] == [("INBOX", (b"Top",)), ("Sent", (b"Sent",))]


def test_what_is_passed_over_has_a_reason(top: Path) -> None:
    """Links, directories, hidden files, odd names: told, and never read."""
    put(top.parent / "secret", b"of others")
    (top / "cur" / "1.link").symlink_to(top.parent / "secret")
    (top / "cur" / "2.directory").mkdir()
    os.mkfifo(top / "cur" / "3.fifo")
    put(top / "cur" / ".nfs1")
    put(top / "cur" / ":2,S")
    put(top / "cur" / "4.a\nb")
    put(Path(os.fsdecode(os.fsencode(top) + b"/cur/5.\xff")))
    put(top / "new" / "6.twice")
    put(top / "cur" / "6.twice:2,S")
    make(top / ".bad..name")
    make(top / "ctrl\x01")
    make(top.parent / "elsewhere")
    (top / ".Link").symlink_to(top.parent / "elsewhere")
    assert skipped(top) == {
        "cur/1.link": "a symbolic link",
        "cur/2.directory": "no regular file",
        "cur/3.fifo": "no regular file",
        "cur/.nfs1": "a hidden file, or one without a unique name",
        "cur/:2,S": "a hidden file, or one without a unique name",
        "cur/4.a\nb": "a file name that is not UTF-8 or has control characters",
        "cur/5.\udcff": "a file name that is not UTF-8 or has control characters",
        "new/6.twice": "another file has the same name",
        ".bad..name": "a folder name with an empty part",
        "ctrl\x01": "a mailbox name that is too long or has control characters",
        ".Link": "a symbolic link to a directory",
    }
    assert [(each.name, each.flags) for each in found(top)] == [("6.twice", (b"\\Seen",))]


def test_a_linked_cur_is_not_followed(top: Path) -> None:
    """Else an account could have the mail of another imported."""
    put(make(top.parent / "other") / "cur" / "1.secret:2,")
    (top / "cur").rmdir()
    (top / "cur").symlink_to(top.parent / "other" / "cur")
    assert found(top) == []
    assert skipped(top) == {"cur": "a symbolic link to a directory"}


def test_directories_nested_too_deep_are_told(top: Path) -> None:
    """Recursion ends at a limit, not with the stack."""
    deep = top.joinpath(*["d"] * (maildir.MAX_DEPTH + 1))
    make(deep)
    assert skipped(top) == {str(deep.relative_to(top)): "directories nested more than 32 deep"}


def test_a_message_that_vanishes_is_told(top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another program may move it between the listing and the reading."""
    monkeypatch.setattr(maildir, "_names", lambda path: ["1.gone"] if path.name == "new" else [])
    assert skipped(top) == {"new/1.gone": "it cannot be read: No such file or directory"}


def test_what_is_no_maildir_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing there, no directory, nothing in it; and a keyword file beyond all reason."""
    with pytest.raises(Refused, match="is no Maildir"):
        list(read_maildir(tmp_path))
    with pytest.raises(Refused, match="nothing cannot be read: No such file"):
        list(read_maildir(tmp_path / "nothing"))
    make(tmp_path)
    (tmp_path / "dovecot-keywords").write_bytes(b"0 Keyword\n")
    monkeypatch.setattr(maildir, "MAX_KEYWORD_FILE_OCTETS", 9)
    with pytest.raises(Refused, match="dovecot-keywords has more than 9 octets"):
        list(read_maildir(tmp_path))


@pytest.mark.parametrize("data", [b"Subject: x\n", MESSAGE + b"more\n"])
def test_a_message_that_changes_is_noticed(top: Path, data: bytes) -> None:
    """Neither a shorter nor a longer one passes for what was counted."""
    put(top / "cur" / "1.a:2,")
    (message,) = found(top)
    put(top / "cur" / "1.a:2,", data)
    with pytest.raises(Unavailable, match="changed"):
        content(message)
    (top / "cur" / "1.a:2,").unlink()
    with pytest.raises(Unavailable, match="No such file"):
        content(message)


def test_a_long_message_comes_in_pieces(top: Path) -> None:
    """Of bounded size; a CR and its LF may lie in two of them."""
    data = (b"x" * (maildir.CHUNK - 1) + b"\r\n") * 3 + b"y\n" * maildir.CHUNK + b"z\r"
    put(top / "cur" / "1.a:2,", data)
    (message,) = found(top)
    pieces = list(message.open())
    assert max(map(len, pieces)) <= 2 * maildir.CHUNK + 2
    assert b"".join(pieces) == data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


@given(st.lists(st.lists(st.sampled_from([b"\r", b"\n", b"a"])).map(b"".join)))
def test_line_ends_do_not_depend_on_the_pieces(pieces: list[bytes]) -> None:
    """Each LF has its CR, nothing else changes, and what is so already stays."""
    whole = b"".join(pieces)
    written = b"".join(with_crlf(pieces))
    assert written == b"".join(with_crlf([whole])) == b"".join(with_crlf([written]))
    assert written.replace(b"\r\n", b"\n") == whole.replace(b"\r\n", b"\n")
    assert written.count(b"\n") == written.count(b"\r\n")


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(["", "Sent", "Sent.2024"]), st.sets(st.sampled_from("DFPRST"))), max_size=6
    )
)
def test_python_finds_the_same(tmp_path_factory: Any, messages: list[tuple[str, set[str]]]) -> None:
    """Python's own module wrote it; both readers see the same mail with the same flags."""
    top = tmp_path_factory.mktemp("maildir") / "x"
    theirs = stdlib_mailbox.Maildir(str(top))
    expected = set()
    for number, (folder, letters) in enumerate(messages):
        message = stdlib_mailbox.MaildirMessage(b"Subject: %d\n\nx\n" % number)
        message.set_flags("".join(letters))
        if letters:
            message.set_subdir("cur")
        box = theirs.add_folder(folder) if folder else theirs
        key = box.add(message)
        written = box.get_bytes(key).replace(b"\n", b"\r\n")
        expected.add((key, folder.replace(".", "/") or "INBOX", len(letters), written))
    assert {(each.name, each.folder, len(each.flags), content(each)) for each in found(top)} == expected


def test_keywords_that_imap_can_name() -> None:
    """RFC 9051 9: atoms; a keyword has a limit here."""
    assert all(map(keyword, [b"$Forwarded", b"Junk", b"a" * 100, b"a.b/c"]))
    assert not any(map(keyword, [b"", b"\\Seen", b"a b", b"a\n", b"(", b"]", b"\xc3\xa9", b"%", b"a" * 101]))
