"""Programs that keep a Maildir and a server the same, in both directions: isync (mbsync) and OfflineIMAP.

What is new, flagged or expunged on either side is so on the other after one run; a further run changes nothing.
"""

from __future__ import annotations

import mailbox
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.interop.conftest import Local
from tests.interop.imap_account import DATE, ODD_NAMES, Account, message, run

Need = Callable[..., None]
BIG = (bytes(range(0x20, 0x100)) + b"\r\n") * 10_000
LETTERS = {"S": "\\Seen", "F": "\\Flagged", "R": "\\Answered", "D": "\\Draft", "T": "\\Deleted"}


@dataclass
class Sides:
    """An account and the directory that a program keeps like it."""

    account: Account
    folders: Path
    program: list[object]

    def run(self) -> str:
        """Let the program do its work once."""
        return run(*self.program)

    def folder(self, name: bytes = b"INBOX") -> mailbox.Maildir:
        """Return the folder of a mailbox; both programs name it as IMAP does."""
        return mailbox.Maildir(self.folders / name.decode().strip('"'), create=False)

    def near(self, name: bytes = b"INBOX") -> dict[str, set[str]]:
        """Return the flags of each message of a folder, by its subject."""
        kept = {}
        for one in self.folder(name):
            assert one["Subject"] not in kept
            kept[one["Subject"]] = {LETTERS[letter] for letter in one.get_flags() if letter in LETTERS}
        return kept

    def octets(self, name: bytes) -> set[bytes]:
        """Return the messages of a folder as they are on the server: mbsync marks those that it brings."""
        folder = self.folder(name)
        kept = (re.sub(rb"\nX-TUID: .{12}\n", b"\n", folder.get_bytes(key)) for key in folder.iterkeys())
        return {octets.replace(b"\n", b"\r\n") for octets in kept}

    def state(self) -> dict[bytes, list[tuple[object, ...]]]:
        """Return what is on the server, with all that a needless transfer would change."""
        shown: dict[bytes, list[tuple[object, ...]]] = {}
        with self.account.session() as client:
            for name in (b"INBOX", *ODD_NAMES.values()):
                client.ok(b"EXAMINE %b (CONDSTORE)" % name)
                fetched = client.ok(b"UID FETCH 1:* (UID MODSEQ EMAILID)").fetched()
                shown[name] = [(number, repr(items)) for number, items in fetched.items()]
        return shown

    def files(self) -> set[Path]:
        """Return the files of all messages on this side."""
        return {path for path in self.folders.rglob("*") if path.parent.name in ("cur", "new")}


@pytest.fixture
def account(local: Local) -> Account:
    """An account with mail in the INBOX and in mailboxes with odd names."""
    made = Account(local)
    with made.session() as client:
        for name in ODD_NAMES.values():
            client.ok(b"CREATE " + name)
            client.ok(b"SUBSCRIBE " + name)
    for number, name in enumerate(ODD_NAMES.values()):
        made.put(name, f"in odd {number}", flags=b"\\Seen")
    made.put(b"INBOX", "read", flags=b"\\Seen")
    made.put(b"INBOX", "flagged here", "flagged there", "expunged here", "expunged there")
    made.put(b"INBOX", "big", body=BIG)
    return made


def mbsync(account: Account, directory: Path) -> Sides:
    """isync's mbsync, which logs in by SCRAM and compresses when it may."""
    settings, folders = directory / "mbsyncrc", directory / "mail"
    folders.mkdir()
    settings.write_text(
        f"IMAPAccount far\nHost localhost\nPort {account.ports['imaps']}\nUser {account.address}\n"
        f"Pass {account.password}\nSSLType IMAPS\nCertificateFile {account.ca_file}\n\n"
        f"IMAPStore far\nAccount far\n\nMaildirStore near\nPath {folders}/\nInbox {folders}/INBOX\n"
        "SubFolders Verbatim\n\nChannel all\nFar :far:\nNear :near:\nPatterns *\nCreate Both\nExpunge Both\n"
        "CopyArrivalDate yes\nSyncState *\n"
    )
    return Sides(account, folders, ["mbsync", "--config", settings, "all"])


def offlineimap(account: Account, directory: Path) -> Sides:
    """OfflineIMAP for Python 3; not over STARTTLS, where its library reads and writes TLS at once and may hang."""
    settings, folders = directory / "offlineimaprc", directory / "mail"
    settings.write_text(
        f"[general]\naccounts = one\nmetadata = {directory / 'metadata'}\nui = basic\n\n"
        "[Account one]\nlocalrepository = near\nremoterepository = far\n\n"
        f"[Repository near]\ntype = Maildir\nlocalfolders = {folders}\nsep = /\nutime_from_header = no\n\n"
        f"[Repository far]\ntype = IMAP\nremotehost = localhost\nremoteport = {account.ports['imaps']}\n"
        f"remoteuser = {account.address}\nremotepass = {account.password}\nssl = yes\n"
        f"sslcacertfile = {account.ca_file}\n"
    )
    return Sides(account, folders, ["offlineimap", "-o", "-c", settings])


@pytest.fixture(params=[mbsync, offlineimap], ids=["mbsync", "offlineimap"])
def sides(request: pytest.FixtureRequest, account: Account, need: Need, tmp_path: Path) -> Sides:
    """Both sides after the first run."""
    need(request.param.__name__)
    made: Sides = request.param(account, tmp_path)
    made.run()
    return made


def test_first_run(sides: Sides) -> None:
    """The first run brings each mailbox and message, and changes nothing on the server."""
    for name in (b"INBOX", *ODD_NAMES.values()):
        far = sides.account.mail(name)
        assert sides.near(name) == {subject: set(kept.flags) for subject, kept in far.items()}
        assert sides.octets(name) == {kept.octets for kept in far.values()}
        assert {kept.date for kept in far.values()} == {DATE}
    assert len(sides.near()) == 6


def test_second_run_is_nothing(sides: Sides) -> None:
    """A second run without news transfers no message and changes no flag, here or there."""
    far, near = sides.state(), sides.files()
    sides.run()
    assert (sides.state(), sides.files()) == (far, near)


def test_both_ways(sides: Sides) -> None:
    """Flags, expunged and new messages go both ways in one run, whose successor finds nothing to do."""
    folder = sides.folder()
    by_subject = {one["Subject"]: key for key, one in folder.iteritems()}
    flagged = folder[by_subject["flagged here"]]
    flagged.add_flag("FS")
    folder[by_subject["flagged here"]] = flagged
    folder.discard(by_subject["expunged here"])
    folder.add(mailbox.MaildirMessage(message("new here").replace(b"\r\n", b"\n")))
    with sides.account.session() as client:
        client.ok(b"SELECT INBOX")
        client.ok(b"STORE 3 +FLAGS (\\Answered)")
        client.ok(b"STORE 5 +FLAGS (\\Deleted)")
        client.ok(b"EXPUNGE")
    sides.account.put(b"INBOX", "new there", flags=b"\\Flagged")
    sides.run()
    expected = {
        "read": {"\\Seen"},
        "flagged here": {"\\Seen", "\\Flagged"},
        "flagged there": {"\\Answered"},
        "big": set(),
        "new here": set(),
        "new there": {"\\Flagged"},
    }
    assert sides.account.flags() == expected
    assert sides.near() == expected
    far, near = sides.state(), sides.files()
    sides.run()
    assert (sides.state(), sides.files()) == (far, near)


def test_new_mailboxes(sides: Sides) -> None:
    """A folder made here, with a space and an umlaut in its name, becomes a mailbox there with its mail."""
    name = b'"Neu &- gr&APwA3w-"'
    made = mailbox.Maildir(sides.folders / name.decode().strip('"'))
    made.add(mailbox.MaildirMessage(message("in a new folder").replace(b"\r\n", b"\n")))
    sides.run()
    assert set(sides.account.mail(name)) == {"in a new folder"}
    assert sides.near(name).keys() == {"in a new folder"}
