"""Python's libraries for IMAP, imaplib and IMAPClient, through all that they can ask of a server."""

from __future__ import annotations

import imaplib
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from email.message import EmailMessage
from typing import Any, Final

import pytest
from imapclient import IMAPClient
from imapclient.exceptions import IMAPClientError
from imapclient.response_types import Envelope

from tests.daemon import PATIENCE_S, client_context, wait_until
from tests.interop.conftest import Local
from tests.interop.imap_account import DATE, Account, message

ODD: Final = "Grüße & 日本/R&D"
DATE_S: Final = datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)


@pytest.fixture
def account(local: Local) -> Account:
    """An account without mail."""
    return Account(local)


@pytest.fixture(params=[False, True], ids=["993", "143"])
def plain(request: pytest.FixtureRequest, account: Account) -> Iterator[imaplib.IMAP4]:
    """imaplib, logged in, over TLS from the first octet or by STARTTLS."""
    context = client_context(account.ca_file)
    client: imaplib.IMAP4
    if request.param:
        client = imaplib.IMAP4("localhost", account.ports["imap"], timeout=PATIENCE_S)
        with pytest.raises(imaplib.IMAP4.error, match="PRIVACYREQUIRED"):
            client.login(account.address, account.password)
        client.starttls(context)
    else:
        client = imaplib.IMAP4_SSL(
            "localhost", account.ports["imaps"], ssl_context=context, timeout=PATIENCE_S
        )
    with client:
        client.login(account.address, account.password)
        yield client


def test_imaplib(account: Account, plain: imaplib.IMAP4) -> None:
    """A session from log-in to log-out: what imaplib returns as it is documented."""
    assert plain.create('"Two Words"')[0] == "OK"
    for number in range(3):
        typ, (uid,) = plain.append("INBOX", r"(\Flagged)", f'"{DATE}"', message(f"number {number}"))
        assert typ == "OK"
        assert re.fullmatch(rb"\[APPENDUID \d+ %d\] Added" % (number + 1), uid)
    assert plain.select("INBOX") == ("OK", [b"3"])
    assert plain.response("UIDNEXT") == ("UIDNEXT", [b"4"])
    assert plain.search(None, "SUBJECT", '"number 1"') == ("OK", [b"2"])
    assert plain.sort("(REVERSE SUBJECT)", "UTF-8", "ALL") == ("OK", [b"3 2 1"])
    assert plain.thread("REFERENCES", "UTF-8", "ALL")[0] == "OK"
    assert plain.fetch("2", "(UID RFC822.SIZE)")[1] == [
        b"2 (UID 2 RFC822.SIZE %d)" % len(message("number 1"))
    ]
    whole = plain.uid("FETCH", "3", "(BODY.PEEK[])")[1][0]
    assert whole[1] == account.mail()["number 2"].octets
    assert plain.store("1", "+FLAGS", r"(\Seen \Deleted)")[1] == [
        rb"1 (UID 1 FLAGS (\Recent \Seen \Flagged \Deleted))"
    ]
    typ, (uids,) = plain.copy("2", '"Two Words"')
    assert re.fullmatch(rb"\[COPYUID \d+ 2 1\] Copied", uids)
    assert plain.uid("MOVE", "3", '"Two Words"')[0] == "OK"
    assert plain.expunge() == ("OK", [b"3", b"1"]), "MOVE, then EXPUNGE"
    assert plain.status("INBOX", "(MESSAGES UNSEEN)") == ("OK", [b"INBOX (MESSAGES 1 UNSEEN 1)"])
    assert plain.close()[0] == "OK"
    assert account.flags() == {"number 1": {"\\Flagged"}}
    assert account.flags(b'"Two Words"').keys() == {"number 1", "number 2"}


def test_imaplib_in_utf8(account: Account, plain: imaplib.IMAP4) -> None:
    """With UTF8=ACCEPT names and searches are UTF-8 (RFC 6855).

    Not tried is APPEND, for which imaplib then puts the word UTF8 and its parentheses into the message.
    """
    assert plain.enable("UTF8=ACCEPT")[0] == "OK"
    assert plain.create('"Grüße"')[0] == "OK"
    account.put(b"Gr&APwA3w-e", "über alles")
    assert plain.select('"Grüße"') == ("OK", [b"1"])
    assert plain.search(None, 'SUBJECT "über"') == ("OK", [b"1"])
    (listed,) = plain.list('""', '"Gr*"')[1]
    assert listed == '(\\HasNoChildren) "/" "Grüße"'.encode()


def test_imaplib_in_idle(account: Account, plain: imaplib.IMAP4) -> None:
    """IDLE, which imaplib leaves to its user before Python 3.14, tells of what others add."""
    plain.select("INBOX")
    plain.send(b"x1 IDLE\r\n")
    assert plain.readline().startswith(b"+ ")
    account.put(b"INBOX", "new")
    assert plain.readline() == b"* 1 EXISTS\r\n"
    plain.send(b"DONE\r\n")
    while not (line := plain.readline()).startswith(b"x1 "):
        assert line.startswith(b"* ")
    assert line.startswith(b"x1 OK ")


@pytest.fixture
def client(account: Account) -> Iterator[IMAPClient]:
    """IMAPClient, logged in."""
    context = client_context(account.ca_file)
    made = IMAPClient("localhost", account.ports["imaps"], ssl_context=context, timeout=PATIENCE_S)
    with made:
        made.login(account.address, account.password)
        yield made


def test_imapclient_by_starttls(account: Account) -> None:
    """IMAPClient by STARTTLS and AUTHENTICATE PLAIN; a wrong password is refused."""
    with IMAPClient("localhost", account.ports["imap"], ssl=False, timeout=PATIENCE_S) as made:
        assert b"AUTH=PLAIN" not in made.capabilities()
        made.starttls(client_context(account.ca_file))
        with pytest.raises(IMAPClientError, match="AUTHENTICATIONFAILED"):
            made.plain_login(account.address, "wrong")
        made.plain_login(account.address, account.password)
        assert b"IDLE" in made.capabilities()
        assert made.namespace().personal == (("", "/"),)
        assert made.id_({"name": "test"}) == ((b"name", b"fedaemon"),)


def test_imapclient_folders(client: IMAPClient) -> None:
    """Mailboxes with odd names: made, found, renamed, subscribed to and deleted; the special ones are known."""
    client.create_folder(ODD)
    assert client.folder_exists(ODD)
    assert ((b"\\HasNoChildren",), b"/", ODD) in client.list_folders()
    client.subscribe_folder(ODD)
    assert ODD in [name for _, _, name in client.list_sub_folders()]
    client.unsubscribe_folder(ODD)
    assert ODD not in [name for _, _, name in client.list_sub_folders()]
    client.rename_folder("Grüße & 日本", 'An "even" odder\\name')
    assert client.folder_status('An "even" odder\\name/R&D', ["MESSAGES", "UIDNEXT"]) == {
        b"MESSAGES": 0,
        b"UIDNEXT": 1,
    }
    client.delete_folder('An "even" odder\\name/R&D')
    assert not client.folder_exists('An "even" odder\\name/R&D')
    uses = (b"\\Sent", b"\\Drafts", b"\\Trash", b"\\Junk", b"\\Archive")
    assert [client.find_special_folder(use) for use in uses] == ["Sent", "Drafts", "Trash", "Junk", "Archive"]


def test_imapclient_messages(account: Account, client: IMAPClient) -> None:
    """Messages are appended one by one and together, found, sorted, threaded, flagged, copied, moved, expunged."""
    client.create_folder(ODD)
    client.append("INBOX", message("first"), (b"\\Seen",), DATE_S)
    appended = [
        {"msg": message("second"), "flags": ["\\Flagged"], "date": DATE_S},
        message("third ü"),
        message("fourth"),
    ]
    client.multiappend("INBOX", appended)
    assert account.flags() == {
        "first": {"\\Seen"},
        "second": {"\\Flagged"},
        "third ü": set(),
        "fourth": set(),
    }
    assert {kept.date for kept in account.mail().values()} > {DATE}
    selected = client.select_folder("INBOX")
    assert (selected[b"EXISTS"], selected[b"UIDNEXT"]) == (4, 5)
    assert client.search(["UNSEEN", "NOT", ["SUBJECT", "fourth"]]) == [2, 3]
    assert client.search(["SUBJECT", "ü"], charset="UTF-8") == [3]
    assert client.sort("REVERSE SUBJECT") == [3, 2, 4, 1]
    assert client.thread("ORDEREDSUBJECT") == ((1,), (2,), (3,), (4,))
    assert client.add_flags([3, 4], [b"\\Answered", b"$Work"]).keys() == {3, 4}
    assert client.remove_flags([4], [b"\\Answered"]) == {4: (b"\\Recent", b"$Work")}
    assert client.set_flags([4], [b"\\Draft"]) == {4: (b"\\Recent", b"\\Draft")}
    assert client.get_flags([3]) == {3: (b"\\Recent", b"\\Answered", b"$Work")}
    client.copy([2], ODD)
    client.move([3], ODD)
    client.delete_messages([1, 2])
    client.uid_expunge([1])
    assert account.flags() == {"second": {"\\Flagged", "\\Deleted"}, "fourth": {"\\Draft"}}
    client.expunge()
    assert client.search() == [4]
    client.unselect_folder()
    assert account.flags(b'"Gr&APwA3w-e &- &ZeVnLA-/R&-D"') == {
        "second": {"\\Flagged"},
        "third ü": {"\\Answered", "$Work"},
    }


def test_imapclient_reads_structures(client: IMAPClient) -> None:
    """ENVELOPE, BODYSTRUCTURE and parts of a message as the library understands them."""
    sent = EmailMessage()
    sent["From"], sent["To"], sent["Subject"] = "Ünal <u@example.test>", "a@b.example, c@d.example", "Prüfung"
    sent["Date"], sent["Message-ID"] = DATE_S, "<structure@example.test>"
    sent.set_content("Text\n")
    sent.add_alternative("<b>Text</b>\n", subtype="html")
    sent.add_attachment(bytes(range(256)), maintype="application", subtype="octet-stream", filename="ü.bin")
    client.append("Drafts", sent.as_bytes().replace(b"\n", b"\r\n"))
    client.select_folder("Drafts", readonly=True)
    found = client.fetch([1], ["ENVELOPE", "BODYSTRUCTURE", "BODY[2]", "INTERNALDATE", "FLAGS"])[1]
    envelope, structure = found[b"ENVELOPE"], found[b"BODYSTRUCTURE"]
    assert isinstance(envelope, Envelope)
    assert envelope.message_id == b"<structure@example.test>"
    assert [str(address) for address in envelope.to] == ["a@b.example", "c@d.example"]
    assert structure.is_multipart
    assert [part[:2] for part in structure[0][0][0]] == [(b"text", b"plain"), (b"text", b"html")]
    assert structure[0][1][:2] == (b"application", b"octet-stream")
    assert b"AAECAwQF" in found[b"BODY[2]"]
    assert found[b"FLAGS"] in ((), (b"\\Recent",))


def test_imapclient_waits(account: Account, client: IMAPClient) -> None:
    """IDLE tells of new mail, of flags and of expunged mail."""
    told: list[Any] = []

    def heard() -> list[Any]:
        told.extend(client.idle_check(1))
        return told

    def flagged(response: Any) -> bool:
        return response[:2] == (2, b"FETCH") and b"\\Flagged" in response[2][-1]

    account.put(b"INBOX", "one")
    client.select_folder("INBOX")
    client.idle()
    account.put(b"INBOX", "two")
    wait_until(lambda: (2, b"EXISTS") in heard(), "EXISTS")
    with account.session() as other:
        other.ok(b"SELECT INBOX")
        other.ok(b"STORE 2 +FLAGS (\\Flagged)")
        wait_until(lambda: any(map(flagged, heard())), "FETCH with the flag")
        other.ok(b"STORE 1 +FLAGS (\\Deleted)")
        other.ok(b"EXPUNGE")
    wait_until(lambda: (1, b"EXPUNGE") in heard(), "EXPUNGE")
    client.idle_done()
    assert client.search() == [2]
