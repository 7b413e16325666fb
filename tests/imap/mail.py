"""Messages for tests of SEARCH, SORT and THREAD, and the sealing of a mailbox."""

from __future__ import annotations

from collections.abc import Iterable

from fedaemon.mailbox import changing, keeping
from tests.imap.lab import NOW_S, Client, Lab


def message(
    subject: str, header: str = "", body: str = "", date: str = "Mon, 13 Nov 2023 10:00:00 +0000"
) -> bytes:
    """Return a message; *header* has more fields, without CR LF at its end."""
    fields = [f"Subject: {subject}", f"Date: {date}", *([header] if header else [])]
    return ("\r\n".join(fields) + "\r\n\r\n" + body).encode()


def seal(lab: Lab, rows: int, name: str = "INBOX") -> bool:
    """Make a chunk of the oldest rows of the tail; False when there are not so many."""
    mailbox_id = lab.mailbox_id(name)
    uids = lab.store.view(lambda snapshot: keeping.to_seal(snapshot, mailbox_id, rows))
    texts = lab.store.view(lambda snapshot: keeping.gather_texts(snapshot, mailbox_id, uids))
    return lab.write(lambda transaction: keeping.seal(transaction, mailbox_id, uids, texts))


def expunge(lab: Lab, uids: Iterable[int], name: str = "INBOX") -> None:
    """Expunge messages, as another session would."""
    ranges = changing.runs(sorted(uids))
    mailbox_id = lab.mailbox_id(name)
    lab.write(
        lambda transaction: changing.expunge(
            transaction, mailbox_id, ranges, NOW_S * 1000, only_deleted=False
        )
    )


def five_messages(lab: Lab) -> Client:
    """Return a client that has selected five messages: three in a chunk and two in the tail."""
    for number in range(1, 6):
        lab.now_s = NOW_S + number * 86_400.0
        lab.deliver(message(f"Number {number}", body=f"word{number} in the body\r\nof it"))
    seal(lab, 3)
    return lab.client(select="INBOX")
