"""The scene of the tests about reports: a daemon, a Postfix with DSN, and an MX host without; and mail to both."""

from __future__ import annotations

import email
import email.policy
import re
import smtplib
from dataclasses import dataclass
from email.message import EmailMessage, MIMEPart
from pathlib import Path
from typing import Final

from fedaemon.delivery.records import load_message
from fedaemon.store.interface import Snapshot
from fedaemon.store.lmdb_engine import LmdbEngine
from tests.daemon import submission, wait_until
from tests.e2e.peers import ALICE, BOB, DOMAIN, PASSWORD, World
from tests.interop.postfix import Postfix

CAROL: Final = "carol@post.test"
ADDRESS: Final = "127.0.0.4"
REFUSAL: Final = "550 5.1.1 No such user here, says mx1"
DEFERRAL: Final = "451 4.7.1 Come back later, says mx1"


def answer(recipient: str) -> str:
    """Return what the MX host without DSN says to a recipient."""
    return REFUSAL if recipient.startswith("nobody") else DEFERRAL if recipient.startswith("slow") else ""


def parse(octets: bytes) -> EmailMessage:
    """Return a message as a mail program reads it."""
    message = email.message_from_bytes(octets, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    return message


def is_report(octets: bytes) -> bool:
    """True for a message that is a delivery report."""
    return parse(octets).get_content_type() == "multipart/report"


def status_fields(report: EmailMessage) -> tuple[MIMEPart, list[MIMEPart]]:
    """Return the fields of a report about the message, and those about each recipient."""
    (part,) = [one for one in report.iter_parts() if one.get_content_type() == "message/delivery-status"]
    about, *recipients = part.iter_parts()
    return about, recipients


@dataclass
class Scene:
    """The daemon in its world, and Postfix."""

    world: World
    postfix: Postfix

    @classmethod
    def open(cls, directory: Path) -> Scene:
        """Start everything. A late message is told after a second."""
        world = World(directory, extra='delay_notice = "1s"')
        postfix = Postfix(ADDRESS, world.mx1.port, world.ports["mx"])
        scene = cls(world, postfix)
        try:
            scene._start()
        except BaseException:
            scene.close()
            raise
        return scene

    def _start(self) -> None:
        world = self.world
        world.dns.records["post.test", "MX"] = ["10 mx.post.test."]
        world.dns.records["mx.post.test", "A"] = [ADDRESS]
        world.mx1.rcpt = answer
        world.mx1.start()
        for name, targets in {
            "onward": ["carol@remote.test"],
            "team": [BOB, "dave@remote.test"],
            "away": ["nobody@remote.test"],
            "late": ["slow@remote.test"],
        }.items():
            world.daemon.ctl("alias", "add", f"{name}@{DOMAIN}", *targets)
        world.daemon.start()
        self.postfix.start()

    def close(self) -> None:
        """End everything that was started."""
        self.world.close()
        self.postfix.close()

    def submit(self, recipient: str, content: bytes, mail: str, rcpt: str) -> str:
        """Have alice send a message with parameters to MAIL and RCPT; return its queue id."""
        with submission(self.world.ports["submissions"], self.world.ca_file, ALICE, PASSWORD) as client:
            return hand_in(client, ALICE, recipient, content, mail, rcpt)

    def from_carol(self, recipient: str, content: bytes, mail: str = "", rcpt: str = "") -> str:
        """Have carol, who is elsewhere, send a message to an address here; return its queue id."""
        with smtplib.SMTP("127.0.0.1", self.world.ports["mx"]) as client:
            client.ehlo("mx.post.test")
            return hand_in(client, CAROL, recipient, content, mail, rcpt)

    def reports_to_alice(self, envelope_id: str) -> list[bytes]:
        """Return the reports in alice's mailbox about a message."""
        found = [octets for octets in self.world.daemon.mailbox(ALICE) if is_report(octets)]
        return [one for one in found if status_fields(parse(one))[0]["Original-Envelope-Id"] == envelope_id]

    def report_to_carol(self, envelope_id: str) -> bytes:
        """Return the report about a message in carol's mailbox, once it is there."""
        wanted = f"\nOriginal-Envelope-Id: {envelope_id}\n".encode()

        def found() -> bytes | None:
            return next((octets for octets in self.postfix.mailbox("carol") if wanted in octets), None)

        octets: bytes = wait_until(found, f"the report about {envelope_id}")
        return octets

    def remote_id(self, queue_id: str) -> str:
        """Return the queue id under which Postfix took a message."""

        def said() -> str:
            timeline = self.world.daemon.ctl_json("queue", "show", queue_id)["timeline"]
            replies = [entry["reply"] for entry in timeline if entry["event"] == "delivered"]
            return "".join(re.findall(r"queued as (\w+)", " ".join(replies)))

        found: str = wait_until(said, "Postfix to take the message")
        return found

    def sent_report(self, queue_id: str) -> bytes:
        """Return the report about a message as this server made it."""
        timeline = self.world.daemon.ctl_json("queue", "show", queue_id)["timeline"]
        (report_id,) = [entry["report"] for entry in timeline if entry["event"] == "report"]
        engine = LmdbEngine.open(self.world.daemon.directory / "data", create=False)

        def read(snapshot: Snapshot) -> bytes:
            message = load_message(snapshot, report_id)
            assert message is not None
            return b"".join(engine.blobs.open(snapshot, message.blob).chunks())

        try:
            return engine.view(read)
        finally:
            engine.close()


def hand_in(client: smtplib.SMTP, sender: str, recipient: str, content: bytes, mail: str, rcpt: str) -> str:
    """Send one message; return its queue id."""
    code, text = client.mail(sender, [mail] if mail else [])
    assert code == 250, text
    code, text = client.rcpt(recipient, [rcpt] if rcpt else [])
    assert code == 250, text
    code, text = client.data(content)
    assert code == 250, text
    return text.decode().rpartition(" ")[2]
