"""Thunderbird, as people use it: what it shows is what the server has, what is done in it is done on the server.

Standards: RFC 6855 (it enables UTF8=ACCEPT and names and appends in UTF-8), RFC 4978 (it compresses), RFC 6851 (it
moves), RFC 9051 6.3.13 (it idles in each folder that it has open).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from email.message import EmailMessage
from email.policy import SMTP

import pytest

from tests.daemon import wait_until
from tests.interop.conftest import Local
from tests.interop.imap_account import Account, Mail
from tests.interop.thunderbird import Thunderbird

BREAD = "Käse & Brot"


@pytest.fixture(scope="module")
def account(local: Local) -> Account:
    return Account(local)


@pytest.fixture(scope="module")
def thunderbird(
    account: Account, need: Callable[..., None], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Thunderbird]:
    need("thunderbird")
    need("certutil")
    program = Thunderbird(tmp_path_factory.mktemp("thunderbird"), account)
    try:
        program.start()
        yield program
    finally:
        program.close()


def awaited(account: Account, mailbox: bytes, subject: str, *flags: str) -> Mail:
    """Return the message once it is on the server with exactly those flags."""

    def found() -> Mail | None:
        kept = account.mail(mailbox).get(subject)
        return kept if kept is not None and kept.flags == set(flags) else None

    mail: Mail = wait_until(found, f"{subject!r} with {flags} in {mailbox!r}")
    return mail


def test_it_knows_what_the_mailboxes_are_for(thunderbird: Thunderbird) -> None:
    """It finds the special mailboxes by what LIST says of them, and makes none of its own."""
    uses = {"Inbox": "INBOX", "Drafts": "Drafts", "SentMail": "Sent", "Trash": "Trash", "Archive": "Archive"}
    found = thunderbird.run(
        "return Object.fromEntries(args[0].map(use =>"
        " [use, root.getFoldersWithFlags(Ci.nsMsgFolderFlags[use]).map(folder => folder.name)]))",
        [*uses, "Junk"],
    )
    assert found == {use: [name] for use, name in {**uses, "Junk": "Junk"}.items()}


def test_new_mail_shows_without_asking(thunderbird: Thunderbird, account: Account) -> None:
    """IDLE brings what is new, what is flagged elsewhere, and takes away what is expunged elsewhere."""
    account.put(b"INBOX", "stays", "goes")
    thunderbird.run('await until(() => message("INBOX", "stays") && message("INBOX", "goes"))')
    with account.session() as client:
        client.ok(b"SELECT INBOX")
        client.ok(rb"UID STORE %d +FLAGS (\Flagged \Seen)" % uid_of(account, "stays"))
        client.ok(rb"UID STORE %d +FLAGS (\Deleted)" % uid_of(account, "goes"))
        client.ok(b"EXPUNGE")
    thunderbird.run(
        'await until(() => message("INBOX", "stays").isFlagged && message("INBOX", "stays").isRead);'
        'await until(() => !message("INBOX", "goes"))'
    )


def uid_of(account: Account, subject: str, mailbox: bytes = b"INBOX") -> int:
    """Return the UID of the message with that subject."""
    with account.session() as client:
        client.ok(b"EXAMINE " + mailbox)
        (found,) = client.ok(b'UID SEARCH RETURN (ALL) SUBJECT "%b"' % subject.encode()).named("ESEARCH")
    return int(str(found.tokens[-1]))


def test_flags_and_tags(thunderbird: Thunderbird, account: Account) -> None:
    """Read, starred, answered, and tags: set and taken away."""
    account.put(b"INBOX", "marks")
    thunderbird.run(
        'const header = await until(() => message("INBOX", "marks")), inbox = named("INBOX");'
        "inbox.markMessagesRead([header], true);"
        "inbox.markMessagesFlagged([header], true);"
        'inbox.addKeywordsToMessages([header], "$label1 mine");'
        "inbox.addMessageDispositionState(header, inbox.nsMsgDispositionState_Replied);"
    )
    awaited(account, b"INBOX", "marks", "\\Seen", "\\Flagged", "\\Answered", "$label1", "mine")
    thunderbird.run(
        'const header = message("INBOX", "marks"), inbox = named("INBOX");'
        "inbox.markMessagesRead([header], false);"
        "inbox.markMessagesFlagged([header], false);"
        'inbox.removeKeywordsFromMessages([header], "$label1");'
    )
    awaited(account, b"INBOX", "marks", "\\Answered", "mine")


def test_a_message_as_it_is(thunderbird: Thunderbird, account: Account) -> None:
    """A large message with lines of every octet that 8BITMIME has arrives as it was appended."""
    body = (bytes(octet for octet in range(1, 256) if octet not in b"\r\n") + b"\r\n") * 2000
    account.put(b"Archive", "large", body=body)
    shown = thunderbird.run(
        'update("Archive"); await until(() => message("Archive", "large"));return octets("Archive", "large")'
    )
    assert without_own_lines(shown) == account.mail(b"Archive")["large"].octets


def without_own_lines(shown: str) -> bytes:
    """Return the octets of a message without the lines that Thunderbird puts before what it keeps."""
    return re.sub(rb"\AX-Mozilla-Status: .*\nX-Mozilla-Status2: .*\n", b"", shown.encode("latin-1"))


def test_folders(thunderbird: Thunderbird, account: Account) -> None:
    """Folders with odd names are made, renamed with those below, and moved into the trash."""
    thunderbird.run(
        "root.createSubfolder(args[0], null); await until(() => root.containsChildNamed(args[0]));"
        'named(args[0]).createSubfolder("日本", null); await until(() => folders().includes(`${args[0]}/日本`))',
        BREAD,
    )
    made = {b"K&AOQ-se &- Brot", b"K&AOQ-se &- Brot/&ZeVnLA-"}
    assert made <= account.names()
    thunderbird.run(
        'named(args[0]).rename("Käse", null); await until(() => folders().includes("Käse/日本"))', BREAD
    )
    renamed = {b"K&AOQ-se", b"K&AOQ-se/&ZeVnLA-"}
    wait_until(lambda: renamed <= account.names(), "the folder to be renamed")
    assert not made & account.names()
    # It asks whether it may, and runs no script until that is answered.
    thunderbird.run('setTimeout(() => named("Käse").deleteSelf(null), 0)')
    gone = {b"Trash/K&AOQ-se", b"Trash/K&AOQ-se/&ZeVnLA-"}
    wait_until(
        lambda: thunderbird.run("return 1") and gone <= account.names(), "the folder to be in the trash"
    )
    assert not renamed & account.names()


def test_copy_move_delete(thunderbird: Thunderbird, account: Account) -> None:
    """A message keeps its octets, flags and date wherever it is put; emptied, the trash is empty."""
    account.put(b"INBOX", "copied", "moved", "deleted", flags=b"\\Flagged")
    before = account.mail()
    thunderbird.run(
        'await until(() => ["copied", "moved", "deleted"].every(one => message("INBOX", one)));'
        'await copy("INBOX", "copied", "Archive", false)'
    )
    assert awaited(account, b"Archive", "copied", "\\Flagged") == before["copied"]
    thunderbird.run('await copy("INBOX", "moved", "Junk", true)')
    assert awaited(account, b"Junk", "moved", "\\Flagged") == before["moved"]
    thunderbird.run(
        'const header = message("INBOX", "deleted");'
        'await done(listener => named("INBOX").deleteMessages([header], null, false, false, listener, false))'
    )
    assert awaited(account, b"Trash", "deleted", "\\Flagged") == before["deleted"]
    left = set(account.mail())
    assert "copied" in left
    assert not {"moved", "deleted"} & left
    thunderbird.run('update("Trash"); await until(() => message("Trash", "deleted"))')
    thunderbird.run('setTimeout(() => named("Trash").emptyTrash(null), 0)')
    wait_until(lambda: thunderbird.run("return 1") and not account.mail(b"Trash"), "the trash to be empty")


def test_draft_and_sent(thunderbird: Thunderbird, account: Account) -> None:
    """A draft is saved as one; what is sent arrives, and is kept as it was sent."""
    write = "await compose(args[0], account.defaultIdentity.email, args[1], 'Grüße, мир\\n')"
    thunderbird.run(write, "nsMsgSaveAsDraft", "the draft")
    assert "Grüße, мир".encode() in awaited(account, b"Drafts", "the draft", "\\Draft").octets
    thunderbird.run(write, "nsMsgDeliverNow", "the letter")
    kept = awaited(account, b"Sent", "the letter", "\\Seen")
    arrived = awaited(account, b"INBOX", "the letter")
    assert arrived.octets.partition(b"\r\n\r\n")[2] == kept.octets.partition(b"\r\n\r\n")[2]


def test_search_on_the_server(thunderbird: Thunderbird, account: Account) -> None:
    """It asks the server for what stands in bodies, in UTF-8."""
    account.put(b"INBOX", "wanted", body="eine Möhre\r\n".encode())
    account.put(b"INBOX", "unwanted", body=b"eine Birne\r\n")
    found = thunderbird.run(
        'await until(() => message("INBOX", "wanted") && message("INBOX", "unwanted"));'
        'return [await search("INBOX", "Body", "möhre"), await search("INBOX", "Subject", "wanted")]'
    )
    assert found == [["wanted"], ["unwanted", "wanted"]]


@pytest.mark.parametrize(("folder", "condstore"), [("Junk", False), ("Drafts", True)])
def test_it_comes_back(thunderbird: Thunderbird, account: Account, folder: str, condstore: bool) -> None:
    """After its connections were closed it finds what has changed meanwhile, also by CHANGEDSINCE."""
    mailbox, names = folder.encode(), ("flagged meanwhile", "expunged meanwhile", "new meanwhile")
    account.put(mailbox, *names[:2])
    thunderbird.run(
        "update(args[0]); await until(() => message(args[0], args[1]));"
        "Services.prefs.setBoolPref(`mail.server.${server.key}.use_condstore`, args[2]);"
        "server.closeCachedConnections()",
        folder,
        names[1],
        condstore,
    )
    with account.session() as client:
        client.ok(b"SELECT " + mailbox)
        client.ok(rb"UID STORE %d +FLAGS (\Flagged)" % uid_of(account, names[0], mailbox))
        client.ok(rb"UID STORE %d +FLAGS (\Deleted)" % uid_of(account, names[1], mailbox))
        client.ok(b"EXPUNGE")
    account.put(mailbox, names[2])
    thunderbird.run(
        "const [folder, flagged, expunged, fresh] = args;"
        "update(folder); await until(() => message(folder, fresh));"
        "await until(() => message(folder, flagged).isFlagged && !message(folder, expunged));"
        # Only then the next test hears of new mail.
        "server.getNewMessages(root, null, null)",
        folder,
        *names,
    )


def test_a_folder_to_take_along(thunderbird: Thunderbird, account: Account) -> None:
    """A folder that is downloaded for reading offline is there completely, with its attachments."""
    letter = EmailMessage()
    letter["Subject"] = "with a file"
    letter.set_content("text")
    letter.add_attachment(bytes(range(256)) * 400, maintype="image", subtype="png", filename="Bäume.png")
    with account.session() as client:
        client.ok(b"CREATE Along")
        client.ok(b"SUBSCRIBE Along")
        client.append(b"Along", letter.as_bytes(policy=SMTP))
    account.put(b"Along", *(f"number {number}" for number in range(300)))
    thunderbird.run(
        'server.performExpand(null); await until(() => folders().includes("Along")); update("Along");'
        'await until(() => subjects("Along").length === 301); await keep("Along")'
    )
    kept = thunderbird.run(
        "Services.io.offline = true;"
        "try { const whole = {};"
        'for (const subject of subjects("Along")) whole[subject] = await octets("Along", subject); return whole; }'
        "finally { Services.io.offline = false }"
    )
    there = {subject: mail.octets for subject, mail in account.mail(b"Along").items()}
    assert {subject: without_own_lines(shown) for subject, shown in kept.items()} == there
    assert thunderbird.run('return attachments("Along", "with a file")') == ["Bäume.png"]


def test_many_at_once(thunderbird: Thunderbird, account: Account) -> None:
    """Hundreds are read, moved, marked as deleted, and expunged, by one command each."""
    names = [f"many {number:03}" for number in range(400)]
    with account.session() as client:
        client.ok(b"CREATE Many")
        client.ok(b"CREATE Moved")
        client.ok(b"SUBSCRIBE Many")
        client.ok(b"SUBSCRIBE Moved")
    account.put(b"Many", *names)
    thunderbird.run(
        'server.performExpand(null); await until(() => folders().includes("Many") && folders().includes("Moved"));'
        'update("Many"); await until(() => subjects("Many").length === 400);'
        'named("Many").markAllMessagesRead(null)'
    )
    seen = {name: {"\\Seen"} for name in names}
    wait_until(lambda: account.flags(b"Many") == seen, "all to be read")
    thunderbird.run(
        'const some = [...named("Many").messages].filter(header => Number(header.subject.slice(5)) % 3);'
        "await done(listener => MailServices.copy.copyMessages("
        'named("Many"), some, named("Moved"), true, listener, null, false))'
    )
    left = {name: {"\\Seen"} for name in names[::3]}
    wait_until(lambda: account.flags(b"Many") == left, "two thirds to be moved")
    assert account.flags(b"Moved") == {name: {"\\Seen"} for name in names if name not in left}
    thunderbird.run(
        'const rest = [...named("Many").messages];'
        'await done(listener => named("Many").deleteMessages(rest, null, true, false, listener, false))'
    )
    deleted = {name: {"\\Seen", "\\Deleted"} for name in left}
    wait_until(lambda: account.flags(b"Many") == deleted, "the rest to be marked")
    thunderbird.run('await done(listener => named("Many").compact(listener, null))')
    wait_until(lambda: account.flags(b"Many") == {}, "the rest to be expunged")
