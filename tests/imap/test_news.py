"""What sessions are told of the changes of others: behind commands, in IDLE, by NOTIFY."""

from __future__ import annotations

from tests.imap.lab import Client, Lab

MAIL = b"Subject: s\r\n\r\ntext\r\n"


def idling(lab: Lab, *before: bytes) -> Client:
    """Return a client that waits for news of INBOX."""
    client = lab.client()
    for command in before:
        assert client.tagged(command).startswith(b"OK "), command
    client.send(b"SELECT INBOX")
    assert client.raw(b"i IDLE\r\n") == b"+ idling\r\n"
    return client


def test_changes_are_told_behind_commands(lab: Lab) -> None:
    lab.deliver(MAIL, MAIL, MAIL)
    one, other = lab.client(select="INBOX"), lab.client(select="INBOX")
    one.send(b"STORE 2 +FLAGS (\\Deleted)")
    assert other.send(b"NOOP")[:-1] == [rb"* 2 FETCH (UID 2 FLAGS (\Deleted))"]
    one.send(b"EXPUNGE")
    # Neither may renumber: RFC 9051 7.5.1.
    for command in (b"FETCH 3 UID", b"STORE 3 +FLAGS.SILENT (\\Seen)", b"SEARCH ALL"):
        assert not [line for line in other.send(command) if b"EXPUNGE" in line]
    assert b"* 2 EXPUNGE" in other.send(b"UID FETCH 3 FLAGS")


def test_idle(lab: Lab) -> None:
    """RFC 9051 6.3.13: at once, whatever it is, until DONE."""
    lab.deliver(MAIL)
    client, other = idling(lab), lab.client(select="INBOX")
    lab.deliver(MAIL)
    assert client.go_on() == b"* 2 EXISTS\r\n* 2 RECENT\r\n"
    other.send(b"STORE 1 +FLAGS (\\Deleted)")
    assert client.go_on() == b"* 1 FETCH (UID 1 FLAGS (\\Deleted \\Recent))\r\n".replace(
        b"\\Deleted \\Recent", b"\\Recent \\Deleted"
    )
    other.send(b"EXPUNGE")
    assert client.go_on() == b"* 1 EXPUNGE\r\n"
    assert client.go_on() == b""
    assert client.raw(b"done\r\n") == b"i OK Idle no more\r\n"


def test_idle_is_ended_by_done_alone(lab: Lab) -> None:
    client = idling(lab)
    assert client.raw(b"x NOOP\r\n").startswith(b"i BAD ")
    assert client.tagged(b"NOOP").startswith(b"OK ")


def test_idle_without_a_mailbox(lab: Lab) -> None:
    client = lab.client()
    assert client.raw(b"i IDLE\r\nDONE\r\n") == b"+ idling\r\ni OK Idle no more\r\n"


def test_the_forms_of_what_is_told(lab: Lab) -> None:
    """RFC 7162 3.1.4, 3.2.10, RFC 9586 3.4: by what the client has enabled."""
    lab.deliver(MAIL, MAIL)
    plain, condstore = idling(lab), idling(lab, b"ENABLE CONDSTORE")
    qresync, uid_only = idling(lab, b"ENABLE QRESYNC"), idling(lab, b"ENABLE UIDONLY IMAP4rev2")
    other = lab.client(select="INBOX")
    other.send(b"STORE 2 +FLAGS (\\Deleted)")
    assert b"(UID 2 FLAGS (\\Recent \\Deleted))" in plain.go_on()
    assert condstore.go_on() == b"* 2 FETCH (UID 2 FLAGS (\\Deleted) MODSEQ (3))\r\n"
    assert qresync.go_on() == b"* 2 FETCH (UID 2 FLAGS (\\Deleted) MODSEQ (3))\r\n"
    assert uid_only.go_on() == b"* 2 UIDFETCH (FLAGS (\\Deleted))\r\n"
    other.send(b"EXPUNGE")
    assert plain.go_on() == condstore.go_on() == b"* 2 EXPUNGE\r\n"
    assert qresync.go_on() == uid_only.go_on() == b"* VANISHED 2\r\n"


def test_many_expunges_keep_their_numbers(lab: Lab) -> None:
    lab.deliver(*[MAIL] * 6)
    client, other = idling(lab), lab.client(select="INBOX")
    other.send(b"STORE 2,3,6 +FLAGS.SILENT (\\Deleted)")
    client.go_on()
    other.send(b"EXPUNGE")
    assert client.go_on() == b"* 6 EXPUNGE\r\n* 3 EXPUNGE\r\n* 2 EXPUNGE\r\n"


def test_who_does_not_care_is_not_woken(lab: Lab) -> None:
    client = idling(lab)
    woken: list[int] = []
    client.engine.session.wake = lambda: woken.append(1)
    lab.deliver(MAIL, name="Sent")
    assert not woken
    lab.deliver(MAIL)
    lab.deliver(MAIL)
    assert woken == [1]


class TestNotify:
    """RFC 5465."""

    def test_other_mailboxes(self, lab: Lab) -> None:
        client = lab.client(select="INBOX")
        assert client.send(
            b"NOTIFY SET (selected (MessageNew MessageExpunge FlagChange)) "
            b"(personal (MessageNew MessageExpunge))"
        ) == [b"OK Told from here on"]
        lab.deliver(MAIL, name="Sent")
        said = client.go_on()
        assert said.startswith(b"* STATUS Sent (MESSAGES 1 UIDNEXT 2 ")
        other = lab.client(select="Sent")
        other.send(b"STORE 1 +FLAGS (\\Flagged)")
        assert client.go_on() == b""
        other.send(b"STORE 1 +FLAGS (\\Deleted)")
        other.send(b"EXPUNGE")
        assert client.go_on().startswith(b"* STATUS Sent (MESSAGES 0 UIDNEXT 2 ")

    def test_the_selected_mailbox_at_any_time(self, lab: Lab) -> None:
        lab.deliver(MAIL)
        client = lab.client(select="INBOX")
        client.send(b"NOTIFY SET (selected (MessageNew (UID BODY.PEEK[TEXT]) MessageExpunge FlagChange))")
        lab.deliver(MAIL)
        said = client.go_on()
        assert b"* 2 EXISTS\r\n" in said
        assert said.endswith(b"* 2 FETCH (UID 2 BODY[TEXT] {6}\r\ntext\r\n)\r\n")
        other = lab.client(select="INBOX")
        other.send(b"STORE 1 +FLAGS (\\Deleted)")
        assert b"* 1 FETCH (UID 1 FLAGS (\\Recent \\Deleted))" in client.go_on()
        other.send(b"EXPUNGE")
        assert client.go_on() == b"* 1 EXPUNGE\r\n"

    def test_delayed_expunges_come_behind_the_next_command(self, lab: Lab) -> None:
        lab.deliver(MAIL, MAIL, flags=("\\Deleted",))
        client, other = lab.client(select="INBOX"), lab.client(select="INBOX")
        client.send(b"NOTIFY SET (selected-delayed (MessageNew MessageExpunge))")
        other.send(b"EXPUNGE")
        assert client.go_on() == b""
        assert b"EXPUNGE" not in b"".join(client.send(b"FETCH 1 UID"))
        assert client.send(b"NOOP")[:2] == [b"* 2 EXPUNGE", b"* 1 EXPUNGE"]

    def test_of_the_selected_mailbox_nothing_is_told_that_was_not_asked(self, lab: Lab) -> None:
        client = lab.client(select="INBOX")
        client.send(b"NOTIFY SET (personal (MessageNew MessageExpunge))")
        lab.deliver(MAIL)
        assert client.go_on() == b""
        assert b"* 1 EXISTS" in client.send(b"NOOP")

    def test_names(self, lab: Lab) -> None:
        client, other = lab.client(), lab.client()
        client.send(b"NOTIFY SET (subtree Work (MailboxName SubscriptionChange))")
        other.send(b"CREATE Work/a")
        assert client.go_on() == b'* LIST () "/" Work\r\n* LIST () "/" Work/a\r\n'
        other.send(b"SUBSCRIBE Work/a")
        assert client.go_on() == b'* LIST (\\Subscribed) "/" Work/a\r\n'
        other.send(b"RENAME Work/a Work/b")
        assert b'* LIST () "/" Work/b ("OLDNAME" (Work/a))\r\n' in client.go_on()
        other.send(b"DELETE Work/b")
        assert client.go_on() == b'* LIST (\\NonExistent) "/" Work/b\r\n'
        other.send(b"CREATE Other")
        assert client.go_on() == b""

    def test_annotations(self, lab: Lab) -> None:
        """RFC 5464 4.4.2: which entry, without its value."""
        client, other = lab.client(), lab.client()
        client.send(b"NOTIFY SET (mailboxes (Sent) (MailboxMetadataChange ServerMetadataChange))")
        other.send(b'SETMETADATA Sent (/private/comment "x")')
        assert client.go_on() == b"* METADATA Sent /private/comment\r\n"
        other.send(b'SETMETADATA Drafts (/private/comment "x")')
        assert client.go_on() == b""
        other.send(b'SETMETADATA "" (/private/vendor/x "y")')
        assert client.go_on() == b'* METADATA "" /private/vendor/x\r\n'

    def test_the_status_of_all_at_the_beginning(self, lab: Lab) -> None:
        lab.deliver(MAIL, name="Sent")
        client = lab.client(select="INBOX")
        lines = client.send(b"NOTIFY SET STATUS (personal (MessageNew MessageExpunge))")
        told = sorted(line.split()[2] for line in lines[:-1])
        assert told == [b"Archive", b"Drafts", b"Junk", b"Sent", b"Trash"]
        assert [line for line in lines if line.startswith(b"* STATUS Sent (MESSAGES 1 ")]

    def test_none(self, lab: Lab) -> None:
        client = lab.client()
        client.send(b"NOTIFY SET (personal (MessageNew MessageExpunge))")
        client.send(b"NOTIFY NONE")
        lab.deliver(MAIL)
        assert client.go_on() == b""
        assert not lab.live._accounts

    def test_an_event_that_is_not_there(self, lab: Lab) -> None:
        tagged = lab.client().tagged(b"NOTIFY SET (personal (MessageNew MessageExpunge AnnotationChange))")
        assert tagged.startswith(b"NO [BADEVENT (MessageNew ")

    def test_the_end_of_the_session_ends_it(self, lab: Lab) -> None:
        client = lab.client()
        client.send(b"NOTIFY SET (personal (MessageNew MessageExpunge))")
        client.send(b"LOGOUT")
        assert not lab.live._accounts
