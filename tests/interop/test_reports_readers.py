"""What other programs make of our reports: neomutt shows them to people, Mailman's bounce detector acts on them.

The reports are those of a real daemon about mail to its own users, as they lie in a mailbox: one for each kind
of news, one with an address and a subject beyond ASCII, one that returns the whole message.

Standards: RFC 3464, RFC 6522 3, RFC 6533 (international reports), RFC 3461 6.2.
Known gaps: Thunderbird has no way to show a message without a display, so it is not among the programs.
"""

from __future__ import annotations

import fcntl
import json
import os
import pty
import struct
import subprocess
import termios
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.daemon import PATIENCE_S, submission, wait_until
from tests.e2e.peers import ALICE, BOB, DOMAIN, PASSWORD, World
from tests.interop.reports import DEFERRAL, REFUSAL, answer, hand_in, is_report

Need = Callable[..., None]
CONTENT = (
    f"From: {ALICE}\r\nTo: somebody\r\nSubject: =?utf-8?q?gr=C3=BC=C3=9Fe?=\r\nMIME-Version: 1.0\r\n"
    "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nПривет, мир\r\n"
).encode()


@dataclass(frozen=True)
class Case:
    """A message that leads to a report: what is asked for, what the reader must see, what Mailman must find.

    *temporary* and *permanent* are the addresses that Mailman takes for late and for failed.
    """

    to: str
    mail: str
    rcpt: str
    shown: tuple[str, ...]
    temporary: tuple[str, ...] = ()
    permanent: tuple[str, ...] = ()


CASES = {
    "failed": Case(
        "nobody@remote.test",
        "RET=HDRS",
        "",
        ("Your message could not be delivered to:", "<nobody@remote.test>", REFUSAL, "Subject: grüße"),
        permanent=("nobody@remote.test",),
    ),
    "failed-full": Case(
        "nobody-else@remote.test",
        "RET=FULL BODY=8BITMIME",
        "NOTIFY=FAILURE",
        ("Your message could not be delivered to:", REFUSAL, "Привет, мир"),
        permanent=("nobody-else@remote.test",),
    ),
    "delayed": Case(
        "slow@remote.test",
        "",
        "NOTIFY=DELAY",
        ("Your message has not been delivered yet to:", "<slow@remote.test>", DEFERRAL),
        temporary=("slow@remote.test",),
    ),
    "delivered": Case(BOB, "", "NOTIFY=SUCCESS", ("Your message was delivered to:", f"<{BOB}>")),
    "relayed": Case(
        "carol@remote.test",
        "",
        "NOTIFY=SUCCESS",
        ("Your message was handed on to the next mail server, for:", "<carol@remote.test>"),
    ),
    "expanded": Case(
        f"team@{DOMAIN}",
        "",
        "NOTIFY=SUCCESS",
        ("Your message reached a list or alias", f"<team@{DOMAIN}>"),
    ),
    "international": Case(
        "nobody-ü@remote.test",
        "SMTPUTF8",
        "",
        ("Your message could not be delivered to:", "<nobody-ü@remote.test>", REFUSAL),
    ),
}


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, bytes]]:
    """The report for each case, as it lies in alice's mailbox."""
    world = World(tmp_path_factory.mktemp("readers"), extra='delay_notice = "1s"')
    try:
        world.mx1.rcpt = answer
        world.mx1.start()
        world.daemon.ctl("alias", "add", f"team@{DOMAIN}", BOB, "dave@remote.test")
        world.daemon.start()
        yield {name: report_about(world, case) for name, case in CASES.items()}
        assert world.daemon.stop() == 0
    finally:
        world.close()


def report_about(world: World, case: Case) -> bytes:
    """Send the message of *case*, wait for the report about it, and return that."""
    with submission(world.ports["submissions"], world.ca_file, ALICE, PASSWORD) as client:
        client.ehlo()
        queue_id = hand_in(client, ALICE, case.to, CONTENT, case.mail, case.rcpt)
    wanted = f"\r\nX-Queue-ID: {queue_id}\r\n".encode()

    def found() -> bytes | None:
        if case.temporary:
            world.daemon.ctl("queue", "retry", queue_id)
        return next((one for one in world.daemon.mailbox(ALICE) if is_report(one) and wanted in one), None)

    octets: bytes = wait_until(found, f"the report about {case.to}")
    return octets


@pytest.mark.parametrize("name", list(CASES))
def test_neomutt_shows_what_happened(
    reports: dict[str, bytes], need: Need, tmp_path: Path, name: str
) -> None:
    """The text for people is what the reader sees, in its own characters, and nothing is left coded."""
    need("neomutt")
    seen = " ".join(shown_by_neomutt(reports[name], tmp_path).split())
    for words in CASES[name].shown:
        assert words in seen, words
    assert "Delivery Status Notification" in seen
    assert "=C3" not in seen
    assert "unsupported" not in seen


def shown_by_neomutt(octets: bytes, directory: Path) -> str:
    """Return the message as neomutt decodes it for its pager, with every part."""
    mailbox, shown, settings = directory / "mbox", directory / "shown", directory / "rc"
    mailbox.write_bytes(
        b"From MAILER-DAEMON Thu Jan  1 00:00:00 1970\n" + octets.replace(b"\r\n", b"\n") + b"\n"
    )
    settings.write_text(
        f"""
set folder="{directory}" pipe_decode=yes wait_key=no quit=yes move=no
set charset="utf-8" send_charset="utf-8"
set sendmail="/bin/false" editor="/bin/false"
push "<pipe-message>cat > {shown}<enter><quit>"
"""
    )
    # It wants a terminal, though nobody looks at it.
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 120, 0, 0))
    environment = {**os.environ, "TERM": "xterm", "HOME": str(directory), "LC_ALL": "C.UTF-8"}
    process = subprocess.Popen(
        ["neomutt", "-n", "-F", settings, "-f", mailbox],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=environment,
        start_new_session=True,
    )
    os.close(theirs)
    os.set_blocking(ours, False)
    screen = bytearray()

    def over() -> bool:
        try:
            screen.extend(os.read(ours, 65536))
        except (BlockingIOError, OSError):
            # Nothing to read for now, or the other end is closed.
            return process.poll() is not None
        return False

    try:
        wait_until(over, "neomutt to end")
    finally:
        process.kill()
        process.wait(PATIENCE_S)
        os.close(ours)
    assert shown.exists(), bytes(screen)
    return shown.read_text()


MAILMAN = """
import email, json, sys
from flufl.bounce import all_failures
found = all_failures(email.message_from_bytes(sys.stdin.buffer.read()))
print(json.dumps([sorted(address.decode() for address in addresses) for addresses in found]))
"""


@pytest.mark.parametrize("name", [name for name in CASES if name != "international"])
def test_mailman_understands(reports: dict[str, bytes], need: Need, name: str) -> None:
    """A list server unsubscribes who failed for good, has patience with who is late, and no more than that."""
    need("/usr/bin/python3", "/usr/lib/python3/dist-packages/flufl/bounce")
    done = subprocess.run(
        ["/usr/bin/python3", "-c", MAILMAN], input=reports[name], capture_output=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    case = CASES[name]
    assert json.loads(done.stdout) == [list(case.temporary), list(case.permanent)]
