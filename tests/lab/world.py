"""A real fedaemon on a loopback internet of its own: DNS, scripted mail exchangers, and an administrator's hands.

One world serves all tests of a file: each test makes a domain of its own, so they do not disturb each other.
"""

from __future__ import annotations

import email
import io
import json
import random
from collections.abc import Iterable, Sequence
from email.message import Message as Mail
from pathlib import Path
from typing import Any

from fedaemon.ctl.command import Context
from fedaemon.ctl.main import build_parser
from fedaemon.net.selfsigned import make_local_ca
from tests.daemon import Daemon, DnsServer, free_port, submission, wait_until
from tests.lab.authority import Authority
from tests.lab.listening import Listening
from tests.lab.mx import Behaviour, MxHost

DOMAIN = "example.test"
ALICE, BOB = f"alice@{DOMAIN}", f"bob@{DOMAIN}"
PASSWORD = "correct horse battery staple"

SETTINGS = """
[server]
hostname = "mail.example.test"
data_dir = "{directory}/data"
postmaster = "{alice}"
[tls]
certificate = "{certificate}"
private_key = "{private_key}"
[[listener]]
service = "submission"
address = "127.0.0.1"
port = {submissions}
tls = "implicit"
[dns]
nameservers = ["{nameserver}"]
[limits]
daily_messages_per_account = 0
[delivery]
mx_port = {mx_port}
ca_file = "{ca_file}"
{delivery}
{tables}
"""


class Lab:
    """A daemon, its settings (*delivery*: lines of [delivery]; *tables*: whole tables) and all around it.

    :param nameserver: address and port of a DNS server that others run; without it the lab has one of its own,
        whose records ``add_domain`` makes.
    :param mx_port: the port of all mail exchangers.
    """

    def __init__(
        self,
        directory: Path,
        *,
        delivery: str = "",
        tables: str = "",
        nameserver: str = "",
        mx_port: int | None = None,
        authority: Authority | None = None,
    ) -> None:
        self.dns = DnsServer({})
        self.authority = authority or Authority(directory / "authority")
        self.network = Listening(mx_port or free_port("127.0.0.2"))
        # Hosts of tests that run beside this one have other addresses.
        self._net = f"127.{random.randint(1, 250)}.{random.randint(0, 250)}"
        self.hosts: list[MxHost] = []
        self._exports = 0
        local = make_local_ca(directory / "tls", ("localhost", "127.0.0.1"))
        self.ca_file = local.ca_file
        self.port = free_port()
        self.daemon = Daemon(
            directory,
            SETTINGS.format(
                directory=directory,
                alice=ALICE,
                certificate=local.certificate,
                private_key=local.private_key,
                submissions=self.port,
                nameserver=nameserver or f"127.0.0.1:{self.dns.port}",
                mx_port=self.network.port,
                ca_file=self.authority.ca_file,
                delivery=delivery,
                tables=tables,
            ),
        )
        self.ctl("domain", "add", DOMAIN)
        for address in (ALICE, BOB):
            self.daemon.ctl("account", "add", address, "--password-stdin", stdin=PASSWORD + "\n")

    def start(self) -> Lab:
        """Start the daemon."""
        self.daemon.start()
        return self

    def close(self) -> None:
        """End everything that was started."""
        process = self.daemon.process
        if process is not None and process.poll() is None:
            self.daemon.kill()
        self.network.close()
        self.dns.close()

    # -- The internet

    def free_address(self) -> str:
        """Return an address for one more host."""
        return f"{self._net}.{len(self.hosts) + 1}"

    def add_host(self, name: str, *behaviours: Behaviour, listens: bool = True, **more: Any) -> MxHost:
        """Make a mail exchanger with an address of its own."""
        host = MxHost(name, more.pop("address", None) or self.free_address(), *behaviours, **more)
        self.hosts.append(host)
        self.dns.records[name, "A"] = [host.address]
        if listens:
            self.network.start(host)
        return host

    def add_domain(
        self, domain: str, *behaviours: Behaviour, host: MxHost | None = None, **more: Any
    ) -> MxHost:
        """Make a domain whose mail exchanger is *host*, or a new one that behaves like this."""
        host = host or self.add_host(f"mx.{domain}", *behaviours, **more)
        self.dns.records[domain, "MX"] = [f"10 {host.name}."]
        return host

    # -- Users

    def send(
        self,
        *recipients: str,
        sender: str = ALICE,
        mail: Sequence[str] = (),
        rcpt: Sequence[str] = (),
        **fields: str,
    ) -> str:
        """Submit a message and return its queue id."""
        (queue_id,) = self.send_all([recipients], sender=sender, mail=mail, rcpt=rcpt, **fields)
        return queue_id

    def send_all(
        self,
        messages: Iterable[Sequence[str]],
        *,
        sender: str = ALICE,
        mail: Sequence[str] = (),
        rcpt: Sequence[str] = (),
        **fields: str,
    ) -> list[str]:
        """Submit a message to each group of recipients on one connection; return the queue ids."""
        ids = []
        with submission(self.port, self.ca_file, sender, PASSWORD) as client:
            client.ehlo_or_helo_if_needed()
            for recipients in messages:
                code, text = client.mail(sender, list(mail))
                assert code == 250, text
                for recipient in recipients:
                    code, text = client.rcpt(recipient, list(rcpt))
                    assert code == 250, text
                code, text = client.data(written(sender, recipients, **fields))
                assert code == 250, text
                ids.append(text.decode().rpartition(" ")[2])
        return ids

    def refused(self, recipient: str, sender: str = ALICE) -> str:
        """Submit to a recipient that must be refused, and return the refusal."""
        with submission(self.port, self.ca_file, sender, PASSWORD) as client:
            client.ehlo_or_helo_if_needed()
            client.mail(sender)
            code, text = client.rcpt(recipient)
            assert code >= 500, (code, text)
            return f"{code} {text.decode()}"

    def inbox(self, account: str = ALICE) -> list[Mail]:
        """Return the messages in an account's INBOX."""
        self._exports += 1
        target = self.daemon.directory / f"export-{self._exports}"
        self.ctl("mailbox", "export", account, str(target), "--mailbox", "INBOX", "--eml")
        return [email.message_from_bytes(path.read_bytes()) for path in sorted(target.rglob("*.eml"))]

    def reports(self, about: str, account: str = ALICE) -> list[Mail]:
        """Return the delivery reports about a recipient."""
        return [
            each
            for each in self.inbox(account)
            if each.get_content_type() == "multipart/report" and about in str(each.get_payload(1))
        ]

    # -- The administrator

    def ctl(self, *arguments: str) -> str:
        """Run a command of fedaemonctl and return what it printed."""
        code, out, err = self._run(*arguments)
        assert code == 0, (arguments, out, err)
        return out

    def _run(self, *arguments: str) -> tuple[int, str, str]:
        """Run a command, in this process because there are many; return exit code and both outputs."""
        parsed = build_parser().parse_args(["-c", str(self.daemon.config), *arguments])
        out, err = io.StringIO(), io.StringIO()
        context = Context(parsed.config, json=getattr(parsed, "json", False), out=out, err=err)
        try:
            code = parsed.run(context, parsed)
        finally:
            context.close()
        return code, out.getvalue(), err.getvalue()

    def ctl_json(self, *arguments: str) -> Any:
        """Run a command with --json and return what it printed."""
        return json.loads(self.ctl(*arguments, "--json"))

    def shown(self, queue_id: str) -> dict[str, Any]:
        """Return all about a message."""
        found: dict[str, Any] = self.ctl_json("queue", "show", queue_id)
        return found

    def states(self, queue_id: str) -> list[str]:
        """Return the states of a message's recipients."""
        return [recipient["state"] for recipient in self.shown(queue_id)["recipients"]]

    def until(self, queue_id: str, *states: str) -> dict[str, Any]:
        """Wait until the recipients are in *states*, no attempt under way; return the first of them."""

        def there() -> dict[str, Any] | None:
            recipients = self.shown(queue_id)["recipients"]
            if [each["state"] for each in recipients] != list(states):
                return None
            done = not any(each["under_way"] for each in recipients)
            return dict(recipients[0]) if done else None

        try:
            found: dict[str, Any] = wait_until(there, f"{queue_id} to be {', '.join(states)}", 15)
        except AssertionError as error:
            raise AssertionError(f"{error}:\n{json.dumps(self.shown(queue_id), indent=1)}") from None
        return found

    def retry(self, *queue_ids: str) -> None:
        """Let time pass for messages: they are tried again now."""
        self.ctl("queue", "retry", *queue_ids)

    def site(self, destination: str) -> dict[str, Any]:
        """Return what is known of the site of a destination, as soon as something is."""

        def known() -> dict[str, Any] | None:
            code, out, _ = self._run("queue", "sites", "--site", destination, "--json")
            (found,) = json.loads(out) if code == 0 else [{"site": None}]
            return dict(found) if found["site"] is not None else None

        found: dict[str, Any] = wait_until(known, f"the site of {destination}")
        return found


def arrived(host: MxHost, count: int) -> None:
    """Wait until a host has so many messages."""
    wait_until(lambda: len(host.messages) >= count, f"{count} messages at {host.name}")


def written(sender: str, recipients: Sequence[str], **fields: str) -> bytes:
    """Return a message as a mail program writes it."""
    head = {"From": sender, "To": ", ".join(recipients), "Subject": "hello", **fields}
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in head.items())
    return (lines + "\r\nHello.\r\n.\r\n..dots\r\n").encode()


def failed_with(report: Mail) -> Mail:
    """Return what a report says of its only recipient."""
    status: Any = report.get_payload(1)
    (_, about) = status.get_payload()
    assert isinstance(about, Mail)
    return about
